"""Reading YAML: what it means, where it stands, and what is said about each slip."""

import hashlib
import json
import re
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gt_conformance import document, resources
from gt_conformance.document import Document, _yaml
from gt_conformance.errors import InputError

RUNBOOK = (resources.runbooks_dir() / "dify.yaml").read_text(encoding="utf-8")

Read = Callable[[str | bytes], Document]
Lines = Sequence[str | re.Pattern[str]]


@pytest.fixture
def read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Read:
    """Read what is given as the file x.yaml of the current folder, against no schema."""
    monkeypatch.chdir(tmp_path)

    def reading(content: str | bytes) -> Document:
        Path("x.yaml").write_bytes(content if isinstance(content, bytes) else content.encode())
        return document.read(Path("x.yaml"), schema=None)

    return reading


def problems_of(error: InputError) -> list[str]:
    """The problems of the error, a line each."""
    return [str(problem) for problem in error.problems]


def agree(found: list[str], expected: Lines) -> None:
    """Each problem of x.yaml is the line expected at its turn, or matches it."""
    assert len(found) == len(expected), found
    for line, wanted in zip(found, expected, strict=True):
        if isinstance(wanted, re.Pattern):
            assert wanted.search(line), line
        else:
            assert line == f"x.yaml:{wanted}"


WORDS: dict[str, object] = {
    "on": "on",
    "yes": "yes",
    "n": "n",
    "2026-11-22": "2026-11-22",
    "0.7.4": "0.7.4",
    "1:30": "1:30",
    "1_000": "1_000",
    "https://<tenant-host>/api/tenant": "https://<tenant-host>/api/tenant",
    "=": "=",
    ".": ".",
    "+": "+",
    "1e": "1e",
    "٣": "٣",
    "true": True,
    "True": True,
    "FALSE": False,
    "null": None,
    "~": None,
    "": None,
    "NULL": None,
    "7": 7,
    "-7": -7,
    "+7": 7,
    "007": 7,
    "0o17": 15,
    "0x1F": 31,
    "1.0": 1.0,
    "1.": 1.0,
    "-.5": -0.5,
    "1e3": 1000.0,
    "-.inf": float("-inf"),
    "'true'": "true",
    '"7"': "7",
    "!!str 7": "7",
    '"{base_url}"': "{base_url}",
    ">-\n  two\n  lines": "two lines",
}


@pytest.mark.parametrize(("word", "value"), WORDS.items(), ids=[repr(word) for word in WORDS])
def test_words_mean_what_yaml_1_2_says(read: Read, word: str, value: object) -> None:
    """An unquoted word is what the core schema of YAML 1.2 makes of it; anything else is text."""
    found = read(f"a: {word}\n").value["a"]
    assert found == value
    assert type(found) is type(value)


def test_not_a_number_is_read(read: Read) -> None:
    """``.nan`` is the number that is none."""
    assert str(read("a: .nan").value["a"]) == "nan"


def test_values_are_plain(read: Read) -> None:
    """Mappings and lists are plain dicts and lists, in the file's order."""
    value = read("b: {c: [1, {d: x}]}\na: !!seq []\n").value
    assert value == {"b": {"c": [1, {"d": "x"}]}, "a": []}
    assert list(value) == ["b", "a"]
    assert type(value) is dict
    assert type(value["b"]["c"]) is list


def test_aliases_are_written_out(read: Read) -> None:
    """An alias stands for a value of its own: changing one place changes no other."""
    value = read("a: &a {x: [1]}\nb: *a\nc: [*a, *a]\n&d d: *a\n").value
    value["b"]["x"].append(2)
    assert value == {"a": {"x": [1]}, "b": {"x": [1, 2]}, "c": [{"x": [1]}, {"x": [1]}], "d": {"x": [1]}}


def test_a_document_knows_its_file(read: Read) -> None:
    """A document carries its path and the digest of the file's bytes, and keeps its value out of its repr."""
    content = b"# caf\xc3\xa9\r\na: hunter2\r\n"
    found = read(content)
    assert found.path == Path("x.yaml")
    assert found.text_digest == hashlib.sha256(content).hexdigest()
    assert "hunter2" not in repr(found)


PLACES: dict[str, tuple[tuple[str | int, ...], str, str]] = {
    "the root": ((), "2:1", "2:1"),
    "a text": (("title",), "2:8", "2:1"),
    "a mapping": (("routes",), "4:3", "3:1"),
    "a key with spaces": (("routes", "GET /v1/models"), "5:5", "4:3"),
    "deep inside": (("routes", "GET /v1/models", "verdict"), "5:14", "5:5"),
    "a list": (("docs",), "7:3", "6:1"),
    "an item": (("docs", 1), "8:5", "8:5"),
    "in a mapping in braces": (("wire", "on"), "9:15", "9:11"),
    "an alias": (("same",), "10:7", "10:1"),
    "inside of an alias": (("same", "on"), "9:15", "9:11"),
    "a value that is left out": (("empty",), "11:7", "11:1"),
    "a key that is not there": (("routes", "verdict"), "4:3", "4:3"),
    "an item that is not there": (("docs", 2), "7:3", "7:3"),
    "below a text": (("title", "x", 3), "2:8", "2:8"),
    "behind other letters": (("ünïcödé",), "12:10", "12:1"),
    "behind a line separator": (("last",), "13:7", "13:1"),
}
PLACED = """# a comment
title: Dify
routes:
  GET /v1/models:
    verdict: native
docs:
  - https://a
  - https://b
wire: &w {on: x}
same: *w
empty:
ünïcödé: "\u2028"
last: 1
"""


@pytest.mark.parametrize("ends", ["\n", "\r\n", "\r"], ids=["LF", "CRLF", "CR"])
@pytest.mark.parametrize(("path", "value", "key"), PLACES.values(), ids=PLACES)
def test_every_part_knows_its_line(read: Read, path: tuple[str | int, ...], value: str, key: str, ends: str) -> None:
    """Every value and key has the line and column that an editor shows; what is missing, its nearest ancestor's."""
    found = read(PLACED.replace("\n", ends))
    assert str(found.locate(*path)) == f"x.yaml:{value}"
    assert str(found.locate_key(*path)) == f"x.yaml:{key}"


FITTING = "It is read as part of what starts in line {}: check the indentation, and quotes that close too early."
QUOTES = "Put text that starts with * or & in quotes."
SLIPS: dict[str, tuple[str, Lines]] = {
    "tab": ("a:\n\t- b: 1\n", ["2:1: a tab is used for indentation: YAML takes spaces only."]),
    "tab after spaces": ("a:\n  b: 1\n  \tc: 2\n", ["3:3: a tab is used for indentation: YAML takes spaces only."]),
    "colon in text": (
        "a: Enter: the key\n",
        ["1:9: a ':' is not allowed here. Put text that holds ': ' in quotes, or check the indentation of this line."],
    ),
    "at sign": ("a: @x\n", ["1:4: text cannot start with '@'. Put it in quotes."]),
    "star": ("a: *.yaml\n", [f"1:4: * starts an alias and & an anchor, which need a name. {QUOTES}"]),
    "bold": ("a: **b**\n", [f"1:4: * starts an alias and & an anchor, which need a name. {QUOTES}"]),
    "open quote": ("a: 1\nb: 'x\nc: 2\n", ["2:4: this quote is never closed. Close it with the same quote."]),
    "open quote with a tab": ("b: 'x\n\ty", ["1:4: this quote is never closed. Close it with the same quote."]),
    "quote over the end": (
        'a: "x\n---\nb"\n',
        ["1:4: this quote is not closed before the line that ends the document. Close it with the same quote."],
    ),
    "quote closed early": ("a: 'x' y\n", [f"1:8: this line does not fit those above it. {FITTING.format(1)}"]),
    "dedent": ("a:\n  b: 1\n c: 2\n", [f"3:2: this line does not fit those above it. {FITTING.format(1)}"]),
    "mapping in a list": ("- a\nb: 1\n", [f"2:1: this line does not fit those above it. {FITTING.format(1)}"]),
    "text after the end": (
        "a: 1\n...\nfoo\n",
        ["3:1: this line does not fit those above it. Check its indentation."],
    ),
    "open bracket": (
        "a: [1, 2\nb: 3\n",
        ["1:4: the list that opens here is not closed. A ',' or ']' is missing by line 2."],
    ),
    "open brace": (
        "a: {x: 1\nb: 3\n",
        ["1:4: the mapping that opens here is not closed. A ',' or '}' is missing by line 2."],
    ),
    "bracket": (
        "a: ]\n",
        ["1:4: a value is missing here, or it must be in quotes. Text cannot start with [ ] { } , or %."],
    ),
    "line without colon": (
        "a: 1\nb\nc: 2\n",
        [
            (
                "2:1: this line has no ': ' after a key. "
                "Write it as key: value, or indent it where it belongs to the text above."
            )
        ],
    ),
    "question mark": (
        "a: ? b\n",
        [("1:4: a '? ' is not allowed here: YAML starts a long key with it. Put text that starts with ? in quotes.")],
    ),
    "item behind a key": (
        "a: - b\n",
        ["1:4: a list item ('- ') is not allowed here. Start the list on a line of its own, below its key."],
    ),
    "text behind a bar": (
        "a: |x\n b\n",
        ["1:5: only a comment can follow | or > in its line. Start the text in the next line."],
    ),
    "directive": (
        "%YAML 2.0\n---\na: 1\n",
        [
            (
                "1:1: lines that start with % are YAML directives, and this one is not supported. "
                "Put text that starts with % in quotes."
            )
        ],
    ),
    "tag handle": (
        "a: !x!y z\n",
        ["1:4: tags (words that start with !) are not read here. Put text that starts with ! in quotes."],
    ),
    "tag": (
        "a: !!python/object/apply:os.system [id]\nb: !!int '3'\n",
        [
            (
                "1:4: a: the tag '!!python/object/apply:os.system' is not read here. "
                "Delete it; put text that starts with ! in quotes."
            ),
            "2:4: b: the tag '!!int' is not read here. Delete it; put text that starts with ! in quotes.",
        ],
    ),
    "second document": (
        "a: 1\n---\nb: 1\n",
        ["2:1: a second document starts here: a file holds one. Delete the line, or split the file."],
    ),
    "duplicate keys": (
        "a:\n  b: 1\n  c: 2\n  b: 3\na: 4\na: 5\n",
        [
            "4:3: a: duplicate key 'b': it is in line 2 and again in line 4. Keep one.",
            "5:1: duplicate key 'a': it is in line 1 and again in line 5. Keep one.",
            "6:1: duplicate key 'a': it is in line 1 and again in line 6. Keep one.",
        ],
    ),
    "keys that are no text": (
        "1: a\ntrue: b\n? [x]\n: c\n{y: z}: d\n~: e\n",
        [
            "1:1: a key must be text, not the number 1. Put it in quotes.",
            "2:1: a key must be text, not true. Put it in quotes.",
            "3:3: a key must be text, not a list of 1 item. Put it in quotes.",
            "5:1: a key must be text, not a mapping of 1 key. Put it in quotes.",
            "6:1: a key must be text, not null. Put it in quotes.",
        ],
    ),
    "merge key": (
        "a: &a {x: 1}\nb:\n  <<: *a\n",
        ["3:3: b: merge keys (<<) are not read here. Write out the keys that belong here."],
    ),
    "unknown alias": (
        "a: [x, *y]\n",
        ["1:8: a.1: the alias '*y' has no anchor '&y' before it. Put text that starts with * in quotes."],
    ),
    "recursive alias": ("a: &x [*x]\n", ["1:8: a.0: the alias '*x' refers to a value that contains the same alias."]),
    "long number": (
        f"a: {'9' * 301}\nb: 0x{'f' * 5000}\nc: {'9' * 300}\n",
        [
            "1:4: a: this number is too long to be one. If it is text, put it in quotes.",
            "2:4: b: this number is too long to be one. If it is text, put it in quotes.",
        ],
    ),
    "a key": ("a: *gtak_s3cret\n", [re.compile("'[*]gtak_[*]{3}' has no anchor '&gtak_[*]{3}' before it")]),
    "empty": ("", ["1:1: the file is empty."]),
    "blank": (" \n\n", ["1:1: the file is empty."]),
    "comments": ("# a\n\n# b\n", ["1:1: the file holds only comments."]),
    "list": ("# a\n- b\n", ["2:1: the file must hold a mapping (keys and values), not a list of 1 item."]),
    "text": ("hello\n", ["1:1: the file must hold a mapping (keys and values), not the text 'hello'."]),
}


@pytest.mark.parametrize("loader", [yaml.CSafeLoader, yaml.SafeLoader], ids=["libyaml", "PyYAML"])
@pytest.mark.parametrize(("content", "expected"), SLIPS.values(), ids=SLIPS)
def test_each_slip_is_said_plainly(
    read: Read, monkeypatch: pytest.MonkeyPatch, content: str, expected: Lines, loader: object
) -> None:
    """Each slip is said where it was made, in the same words whichever parser is installed."""
    monkeypatch.setattr(_yaml, "_LOADER", loader)
    with pytest.raises(InputError) as caught:
        read(content)
    agree(problems_of(caught.value), expected)


@pytest.mark.parametrize("loader", [yaml.CSafeLoader, yaml.SafeLoader], ids=["libyaml", "PyYAML"])
@pytest.mark.parametrize("escape", [r"\d", r"\xZZ", r"\UFFFFFFFF"])
def test_wrong_escapes_are_problems(read: Read, monkeypatch: pytest.MonkeyPatch, escape: str, loader: object) -> None:
    """An escape that double quotes do not know is a problem, with either parser."""
    monkeypatch.setattr(_yaml, "_LOADER", loader)
    with pytest.raises(InputError, match=r"^x.yaml:"):
        read(f'a: "{escape}"\n')


BYTES: dict[str, tuple[bytes, Lines]] = {
    "byte-order mark": (
        b"\xef\xbb\xbfa: 1\na: 2\n",
        [
            "1:1: starts with a byte-order mark: save as UTF-8 without one.",
            "2:1: duplicate key 'a': it is in line 1 and again in line 2. Keep one.",
        ],
    ),
    "Latin-1": (b"a: 1\nb: caf\xe9\n", ["2:7: the byte 0xE9 is not UTF-8. Save the file as UTF-8."]),
    "UTF-16": ("a: 1\n".encode("utf-16"), [re.compile("^x.yaml:1:1: the byte 0xF[EF] is not UTF-8.")]),
    "NUL": (b"a: 1\nb: x\x00y\n", ["2:5: the character U+0000 is not allowed in a text file. Delete it."]),
    "control characters": (
        "a: \x1b[31m\x1b[0m\ufeff\n".encode(),
        ["1:4: the character U+001B is not allowed in a text file. Delete it, and 2 more like it."],
    ),
}


@pytest.mark.parametrize(("content", "expected"), BYTES.values(), ids=BYTES)
def test_bytes_that_are_no_text_are_named(read: Read, content: bytes, expected: Lines) -> None:
    """What keeps a file from being plain UTF-8 text is named with its line."""
    with pytest.raises(InputError) as caught:
        read(content)
    agree(problems_of(caught.value), expected)


def test_a_megabyte_is_read_and_no_more(read: Read) -> None:
    """A file of 1 MiB is read, one byte more is not."""
    assert len(read("a: " + "x" * ((1 << 20) - 3)).value["a"]) == (1 << 20) - 3
    with pytest.raises(InputError, match=r"^x.yaml: the file is larger than 1 MiB. Is it the right one\?$"):
        read("a: " + "x" * ((1 << 20) - 2))


NOT_THERE: dict[str, tuple[str, str]] = {
    "missing": ("no.yaml", "no.yaml: there is no such file."),
    "other suffix": ("dify.yml", "dify.yml: there is no such file. Did you mean dify.yaml?"),
    "misspelled": ("dfiy.yaml", "dfiy.yaml: there is no such file. Did you mean dify.yaml?"),
    "missing folder": ("n/dify.yaml", "n/dify.yaml: there is no such file. There is no folder n either."),
    "folder": (".", ".: this is a folder, not a file. Name a file in it. A variable of the command line may be empty."),
    "below a file": ("dify.yaml/x", "dify.yaml/x: the file cannot be read: Not a directory."),
    "long name": ("x" * 300, "x" * 300 + ": the file cannot be read: File name too long."),
    "impossible name": ("a\0", "a\0: the file cannot be read: its name holds a null character."),
}


@pytest.mark.parametrize(("path", "expected"), NOT_THERE.values(), ids=NOT_THERE)
def test_a_file_that_cannot_be_read_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str, expected: str
) -> None:
    """A path that leads to no file is said to, with the nearest name that does."""
    monkeypatch.chdir(tmp_path)
    Path("dify.yaml").touch()
    with pytest.raises(InputError) as caught:
        document.read(Path(path), schema=None)
    assert problems_of(caught.value) == [expected]


def test_a_file_that_may_not_be_read_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file without the permission to read it says so."""

    def refuse(_: Path, __: int) -> None:
        raise PermissionError

    monkeypatch.setattr("gt_conformance.files.os.open", refuse)  # rather than chmod, which does not keep root out
    with pytest.raises(InputError, match=r"^x.yaml: the file may not be read. Check its permissions.$"):
        document.read(Path("x.yaml"), schema=None)


def chained(first: str, width: int, count: int) -> str:
    """A list under an anchor, and further ones that each hold the one before several times."""
    lines = [f"a0: &a0 {first}", *(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * width)}]" for n in range(1, count))]
    return "\n".join(lines)


TOO_MUCH: dict[str, tuple[str, str]] = {
    "a billion laughs": (chained("[x, x, x, x, x, x, x, x, x]", 9, 12), "aliases expand to more than 10,000 values"),
    "long texts": (chained(f"[{'x' * 100_000}]", 9, 3), "aliases expand to more than 10,000 values"),
    "deep aliases": (chained("[x]", 1, 110), "nested too deeply: at most 100 levels are read"),
    "brackets": ("a: " + "[" * 1_000_000, "nested too deeply: at most 100 levels are read"),
    "dashes": ("- " * 500_000, "nested too deeply: at most 100 levels are read"),
    "braces": ("{a: " * 200_000, "nested too deeply: at most 100 levels are read"),
}


@pytest.mark.parametrize(("content", "expected"), TOO_MUCH.values(), ids=TOO_MUCH)
def test_what_would_expand_without_end_is_refused(read: Read, content: str, expected: str) -> None:
    """A small file that stands for a huge or bottomless value is refused at once, in one short line."""
    begun = time.thread_time()  # of this thread alone: a busy machine does not count
    with pytest.raises(InputError, match=expected) as caught:
        read(content)
    assert time.thread_time() - begun < 5
    assert len(problems_of(caught.value)) == 1
    assert len(str(caught.value)) < 250


def test_small_aliases_and_a_hundred_levels_are_fine(read: Read) -> None:
    """Aliases are read up to 10,000 values, nesting up to 100 levels."""
    values = read(f"a: &a [{'x,' * 4999}]\nb: [*a, *a]\n").value
    assert len(values["b"][1]) == 4999
    assert read("a: " + "[" * 99 + "]" * 99).value["a"]
    with pytest.raises(InputError, match="nested too deeply"):
        read("a: " + "[" * 100 + "]" * 100)


def position(text: str, part: str) -> str:
    """The line and column at which the part first stands in the text."""
    before = text[: text.index(part)]
    return f"{before.count(chr(10)) + 1}:{len(before) - before.rfind(chr(10))}"


SPEECH = """    verdict: not_supported
    integration: This runbook sets up no text-to-speech model on the provider.
"""
ALLOWED = "Allowed here: verdict, integration, instead."
ROUTES = (
    "GET /v1/models, POST /v1/chat/completions, POST /v1/embeddings, POST /v1/audio/transcriptions, "
    "POST /v1/audio/speech, POST /v1/images/generations, POST /v1/conversations/files, "
    "POST /v1/datasets/{id}/files, GET /v1/files/{id}."
)
QUOTE_IT = "Text that holds ': ', or starts with '{', '[' or '- ', must be in quotes."
EDITS: dict[str, tuple[str, str, str]] = {  # what stood there; what now stands there, ‸ before the problem; the problem
    "unknown key": (
        "  POST /v1/embeddings:\n    verdict: native\n",
        "  POST /v1/embeddings:\n    # verdict:\n    instead: x\n    ‸verdit: not_supported\n",
        f"routes.POST /v1/embeddings: unknown key 'verdit': did you mean 'verdict'? {ALLOWED}",
    ),
    "unknown route": (
        "  GET /v1/models:",
        "  ‸GET /v1/model:",
        f"routes: unknown key 'GET /v1/model': did you mean 'GET /v1/models'? Allowed here: {ROUTES}",
    ),
    "wrong word": (
        "  POST /v1/embeddings:\n    verdict: native",
        "  POST /v1/embeddings:\n    verdict: ‸nativ",
        (
            "routes.POST /v1/embeddings.verdict: 'nativ' is not allowed here: did you mean 'native'? "
            "Allowed: native, not_supported."
        ),
    ),
    "missing key": (
        f"{SPEECH}    instead: ",
        f"    ‸{SPEECH.lstrip()}    # instead: ",
        "routes.POST /v1/audio/speech: the key 'instead' is missing: it is needed where 'verdict' is 'not_supported'.",
    ),
    "misplaced key": (
        "  POST /v1/embeddings:\n    verdict: native\n",
        "  POST /v1/embeddings:\n    verdict: native\n    ‸instead: x\n",
        "routes.POST /v1/embeddings: the key 'instead' does not belong here where 'verdict' is 'native'.",
    ),
    "number for text": (
        "version: 0.7.4",
        "version: ‸1.10",
        "wire.clients.0.version: must be text, not the number 1.1. To make it text, put it in quotes.",
    ),
    "braces for text": (
        'value: "{alias}"',
        "value: ‸{alias}",
        f"configuration.2.value: must be text, not a mapping of 1 key. {QUOTE_IT}",
    ),
    "colon in an item": (
        "  - Enter the GT key",
        "  - ‸Enter: the GT key",
        f"setup.1: must be text, not a mapping of 1 key. {QUOTE_IT}",
    ),
    "text for a list": (
        "known_by: [alias_published]",
        "known_by: ‸alias_published",
        (
            "prerequisites.0.known_by: must be a list, not the text 'alias_published'. "
            "Put it in [ ], or start each item with '- '."
        ),
    ),
    "yes for true": (
        "tools: true",
        "tools: ‸yes",
        "wire.clients.0.chat.tools: must be true or false, not the text 'yes'. Write true or false.",
    ),
    "nothing for text": (
        "title: Dify",
        "title:‸",
        "title: must be text, not null. Nothing is written here.",
    ),
    "a key for a name": (
        "id: dify",
        "id: ‸gtak_s3cret-of-tenant",
        (
            "id: 'gtak_***' does not match ^[a-z0-9]+(-[a-z0-9]+)*$. For example: dify, openai-sdk-curl. "
            "A file must not contain a key: name the environment variable that holds it."
        ),
    ),
    "a list entry twice": (
        "checks: [key.rotation, embeddings.after_rotation]",
        "checks: [key.rotation, ‸key.rotation]",
        "checklist.1.checks.1: 'key.rotation' is already in this list.",
    ),
}


@pytest.mark.parametrize(("old", "new", "expected"), EDITS.values(), ids=EDITS)
def test_a_slip_in_a_runbook_is_the_only_thing_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, old: str, new: str, expected: str
) -> None:
    """One slip in a sound runbook gives one problem, at its place, that says what is right."""
    monkeypatch.chdir(tmp_path)
    assert old in RUNBOOK
    marked = RUNBOOK.replace(old, new, 1)
    Path("dify.yaml").write_text(marked.replace("‸", ""), encoding="utf-8")
    with pytest.raises(InputError) as caught:
        document.read(Path("dify.yaml"), schema="runbook")
    assert problems_of(caught.value) == [f"dify.yaml:{position(marked, '‸')}: {expected}"]


def test_all_problems_of_all_files_come_at_once_by_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Reading several files raises one error with every problem of each, file by file and line by line."""
    monkeypatch.chdir(tmp_path)
    Path("good.yaml").write_text(RUNBOOK, encoding="utf-8")
    Path("tab.yaml").write_text("a:\n\tb: 1\n", encoding="utf-8")
    slips = RUNBOOK.replace("stream: both", "stream: booth").replace("title: Dify", "title: 3\ntitle: Dify")
    Path("three.yaml").write_text(slips.replace("category: Workflow", "category: Werkflow"), encoding="utf-8")
    with pytest.raises(InputError) as caught:
        document.read_all([Path(f"{name}.yaml") for name in ("tab", "good", "three", "no")], schema="runbook")
    assert [re.sub(r" .*", "", line) for line in problems_of(caught.value)] == [
        "tab.yaml:2:1:",
        "three.yaml:3:8:",
        "three.yaml:4:1:",
        "three.yaml:5:11:",
        f"three.yaml:{position(slips, 'booth')}:",
        "no.yaml:",
    ]


def test_a_value_that_could_not_be_read_is_not_held_against_the_schema(tmp_path: Path) -> None:
    """A value lost to a tag or alias is one problem, not a schema error as well."""
    path = tmp_path / "dify.yaml"
    path.write_text(RUNBOOK.replace("title: Dify", "title: *dify").replace("id: dify", "id: !x 3"), encoding="utf-8")
    with pytest.raises(InputError) as caught:
        document.read(path, schema="runbook")
    assert [problem.path for problem in caught.value.problems] == ["id", "title"]


def test_of_many_problems_the_first_forty_are_shown(tmp_path: Path) -> None:
    """A file with a hundred problems shows forty and says how many more there are."""
    path = tmp_path / "dify.yaml"
    path.write_text(RUNBOOK + "".join(f"x{n}: 1\n" for n in range(100)), encoding="utf-8")
    with pytest.raises(InputError) as caught:
        document.read(path, schema="runbook")
    assert len(caught.value.problems) == 41
    assert str(caught.value.problems[-1]) == f"{path}: and 60 more problems in this file."


def test_the_runbooks_of_the_project_are_read() -> None:
    """The project's own runbooks are sound, in the order asked for."""
    paths = sorted(resources.runbooks_dir().glob("*.yaml"), reverse=True)
    assert [each.path for each in document.read_all(paths, schema="runbook")] == paths


def test_an_unknown_schema_is_an_error_even_for_a_sound_file(read: Read) -> None:
    """A schema that does not exist is said to, not passed over."""
    read("a: 1")
    with pytest.raises(InputError, match="there is no schema 'runbok'"):
        document.read(Path("x.yaml"), schema="runbok")


def only_documents_or_located_problems(content: bytes, schema: str | None) -> None:
    """Read the content; anything but a document or problems with a file and a sentence fails."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.yaml"
        path.write_bytes(content)
        try:
            found = document.read(path, schema=schema)
        except InputError as error:
            problems = error.problems
        else:
            assert isinstance(found.value, dict)
            assert found.locate().line
            return
    assert problems
    for problem in problems:
        assert problem.where
        assert problem.where.file == str(path)
        assert problem.where.line or "more problems" in problem.message
        assert "\n" not in str(problem)
        assert len(str(problem)) < 2000


PIECES = (
    *("a", "b", "1", "~", "é", ": ", ":", "- ", "? ", ",", "[", "]", "{", "}", "'", '"', "\\", "|", ">", "|\n  "),
    *(
        "&a ",
        "*a",
        "!x ",
        "!!str ",
        "<<",
        "# c",
        "---\n",
        "...",
        "%",
        "@",
        "\n",
        "\n  ",
        "\n\t",
        "\r\n",
        "\u2028",
        "\x85",
    ),
)
YAML_ISH = st.lists(st.sampled_from(PIECES), max_size=30).map("".join)


@pytest.mark.unmeasured
@settings(derandomize=True, max_examples=200)  # the same examples each time: a finding is the change's
@given(content=st.one_of(YAML_ISH.map(str.encode), st.text().map(lambda text: text.encode("utf-8", "surrogatepass"))))
@example(content=b"\xff\xfe")
@example(content=b"%YAML 99999999999999999999.1\n---\na: 1")
def test_any_text_gives_a_document_or_located_problems(content: bytes) -> None:
    """Whatever a file holds, reading it gives a document or problems with their lines."""
    only_documents_or_located_problems(content, None)


@st.composite
def edited_runbooks(draw: st.DrawFn) -> bytes:
    """The text of a sound runbook after a few slips of the hand."""
    text = RUNBOOK
    for _ in range(draw(st.integers(1, 4))):
        lines = text.splitlines(keepends=True)
        at = draw(st.integers(0, len(lines) - 1))
        column = draw(st.integers(0, len(lines[at])))
        match draw(st.sampled_from(["insert", "drop", "repeat", "indent", "cut"])):
            case "insert":
                lines[at] = lines[at][:column] + draw(YAML_ISH) + lines[at][column:]
            case "drop":
                lines[at] = ""
            case "repeat":
                lines.insert(draw(st.integers(0, len(lines))), lines[at])
            case "indent":
                lines[at] = draw(st.sampled_from([" ", "  ", "\t"])) + lines[at]
            case _:
                lines[at] = lines[at][:column]
        text = "".join(lines) or "\n"
    return text.encode()


@pytest.mark.unmeasured
@settings(derandomize=True, max_examples=200)
@given(content=edited_runbooks())
def test_any_slip_in_a_runbook_gives_a_document_or_located_problems(content: bytes) -> None:
    """However a runbook is mangled, reading it gives a document or problems with their lines."""
    only_documents_or_located_problems(content, "runbook")


KINDS = {
    "tenant": {"base_url": "https://acme.example/api/tenant", "models": {}, "keys": {}, "waivers": "waivers.yaml"},
    "fleet": {"tenants": {"acme": {"file": "acme.yaml"}}, "attestations": "attestations.yaml"},
    "attestations": {"attestations": []},
    "waivers": {"waivers": []},
}


@pytest.mark.parametrize("wanted", KINDS)
@pytest.mark.parametrize("there", KINDS)
def test_a_file_of_another_kind_is_one_error(tmp_path: Path, wanted: str, there: str) -> None:
    """Whoever names the one file in the place of the other reads that, and not what is wrong with each key."""
    path = tmp_path / "it.yaml"
    path.write_text(json.dumps(KINDS[there]), encoding="utf-8")
    try:
        document.read(path, schema=wanted)
    except InputError as error:
        messages = [problem.message for problem in error.problems]
    else:
        messages = []
    assert any("is wanted here" in message for message in messages) == (there != wanted)
    assert there == wanted or len(messages) == 1
