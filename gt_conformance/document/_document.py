"""A file that was read: its text, its value, the place of each part, and what a schema refuses about it."""

import difflib
import re
from bisect import bisect_right
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gt_conformance import files
from gt_conformance.errors import InputError, Location, Problem
from gt_conformance.schema import SchemaError, count_noun, format_path, masked

MAX_BYTES = 1 << 20
"""No file of ours comes near 1 MiB; one that does is a mistake, or hostile."""

_BOM = "\ufeff"
_LINE_END = re.compile(r"\r\n|\n|\r")
# Each by itself, and not all but what can be printed: a set that goes up to the last character is slow to make.
_UNPRINTABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff\ufeff\ufffe\uffff]")


@dataclass(frozen=True, slots=True)
class Source:
    """The text of a file. Lines are those that an editor counts, which YAML's own marks are not."""

    file: str
    text: str
    _starts: tuple[int, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Note where each line starts."""
        object.__setattr__(self, "_starts", (0, *(match.end() for match in _LINE_END.finditer(self.text))))

    def location(self, index: int) -> Location:
        """The line and column of the character at that index."""
        line = bisect_right(self._starts, index)
        return Location(self.file, line, index - self._starts[line - 1] + 1)

    def line_start(self, index: int) -> int:
        """The index at which the line of that character starts."""
        return self._starts[bisect_right(self._starts, index) - 1]


def read_bytes(path: Path, most: int = MAX_BYTES) -> bytes:
    """The bytes of the file. Raises InputError where there are none, or too many."""
    where = Location(str(path))
    try:
        return files.read_bounded(path, most)
    except files.TooLarge as error:
        raise InputError.of(
            f"the file is larger than {most // files.MIB} MiB.", where=where, hint="Is it the right one?"
        ) from error
    except FileNotFoundError as error:
        raise InputError.of("there is no such file.", where=where, hint=_similar(path)) from error
    except IsADirectoryError as error:
        hint = "Name a file in it. A variable of the command line may be empty."
        raise InputError.of("this is a folder, not a file.", where=where, hint=hint) from error
    except PermissionError as error:
        raise InputError.of("the file may not be read.", where=where, hint="Check its permissions.") from error
    except OSError as error:
        raise InputError.of(f"the file cannot be read: {error.strerror}.", where=where) from error


def decode(found: bytes, path: Path) -> tuple[Source, list[Problem]]:
    """The text of the bytes, and what is wrong with it that does not keep it from being read.

    Raises InputError where it cannot be read as text at all.
    """
    try:
        text = found.decode()
    except UnicodeDecodeError as error:
        before = Source(str(path), found[: error.start].decode())
        raise InputError.of(
            f"the byte 0x{found[error.start]:02X} is not UTF-8.",
            where=before.location(len(before.text)),
            hint="Save the file as UTF-8.",
        ) from error
    problems = []
    if text.startswith(_BOM):
        text = text.removeprefix(_BOM)
        finding = "starts with a byte-order mark: save as UTF-8 without one."
        problems.append(Problem(finding, where=Location(str(path), 1, 1)))
    source = Source(str(path), text)
    if odd := _UNPRINTABLE.search(text):
        more = len(_UNPRINTABLE.findall(text)) - 1
        finding = f"the character U+{ord(odd[0]):04X} is not allowed in a text file."
        hint = f"Delete it, and {more} more like it." if more else "Delete it."
        raise InputError([*problems, Problem(finding, where=source.location(odd.start()), hint=hint)])
    return source, problems


def _similar(path: Path) -> str | None:
    if {"http:", "https:"}.intersection(path.parts):
        return (
            "This is an address: name a file. That of the tenant goes into base_url of its file, or into GT_BASE_URL."
        )
    if (unexpanded := files.explain_unexpanded(path)) is not None:
        return unexpanded
    try:
        names = {other.stem: other.name for other in sorted(path.parent.iterdir())}
    except OSError:
        return f"There is no folder {path.parent} either."
    near = difflib.get_close_matches(path.stem, names, n=1)
    return f"Did you mean {path.with_name(names[near[0]])}?" if near else None


@dataclass(slots=True)
class Place:
    """Where a value starts, where its key does, and the same of what is in it; as indexes into the text."""

    at: int
    key_at: int
    inner: dict[str | int, "Place"] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class Document:
    """A mapping read from a YAML file: dicts, lists, text, numbers, booleans and None, shared by nobody."""

    path: Path
    value: dict[str, Any] = field(repr=False)
    text_digest: str
    """SHA-256 of the file's bytes, in hex."""
    _source: Source = field(repr=False)
    _root: Place = field(repr=False)

    @property
    def text(self) -> str:
        """The text of the file."""
        return self._source.text

    def locate(self, *path: str | int) -> Location:
        """Where the value at the path starts; where there is none, its nearest ancestor."""
        return self._source.location(self._nearest(path)[0].at)

    def locate_key(self, *path: str | int) -> Location:
        """Where the key of the value at the path is; where there is none, the nearest ancestor's value."""
        place, whole = self._nearest(path)
        return self._source.location(place.key_at if whole else place.at)

    def _nearest(self, path: tuple[str | int, ...]) -> tuple[Place, bool]:
        place = self._root
        for step in path:
            inner = place.inner.get(step)
            if inner is None:
                return place, False
            place = inner
        return place, True


MAX_PROBLEMS = 40
"""Nobody fixes more at once; after fixing these, the rest is often gone."""

_WORDS_FOR_BOOLEANS = frozenset({"yes", "no", "on", "off", "y", "n"})


def explain_errors(
    errors: Iterable[SchemaError], document: Document, lost: Collection[tuple[str | int, ...]]
) -> Iterator[Problem]:
    """The problems that the errors stand for. ``lost`` are places already known to hold what was not meant."""
    for error in errors:
        if error.path in lost:
            continue
        located = document.locate(*error.path) if error.key is None else document.locate_key(*error.path, error.key)
        hints = [hint for hint in (error.hint, _about_keys(error), _about_yaml(error)) if hint]
        yield Problem(error.finding, located, format_path(error.path) or None, " ".join(hints) or None)


def limit_problems(problems: Collection[Problem], path: Path) -> list[Problem]:
    """The problems of a file by line; where there are too many, the first of them and how many more there are."""
    ordered = sorted(problems, key=_position)
    more = len(ordered) - MAX_PROBLEMS
    if more <= 0:
        return ordered
    return [
        *ordered[:MAX_PROBLEMS],
        Problem(f"and {count_noun(more, 'more problem')} in this file.", where=Location(str(path))),
    ]


def _position(problem: Problem) -> tuple[int, int]:
    where = problem.where
    return (where.line or 0, where.column or 0) if where else (0, 0)


def _about_keys(error: SchemaError) -> str | None:
    if isinstance(error.value, str) and masked(error.value) != error.value:
        return "A file must not contain a key: name the environment variable that holds it."
    return None


def _about_yaml(error: SchemaError) -> str | None:
    """How YAML came to read something else than was meant."""
    if error.keyword != "type":
        return None
    value, wanted = error.value, error.allowed
    hint = None
    if value is None and "boolean" in wanted:
        hint = "Nothing is written here. Write true or false."
    elif value is None and {"object", "array"}.isdisjoint(wanted):
        hint = "Nothing is written here."
    elif value is None:
        hint = "Nothing is written here; what belongs here must be indented below its key."
    elif "string" in wanted and isinstance(value, (bool, int, float)):
        hint = "To make it text, put it in quotes."
    elif "string" in wanted and isinstance(value, (dict, list)):
        hint = "Text that holds ': ', or starts with '{', '[' or '- ', must be in quotes."
    elif "boolean" in wanted and isinstance(value, str) and value.lower() in _WORDS_FOR_BOOLEANS:
        hint = "Write true or false."
    elif "array" in wanted and not isinstance(value, (dict, list)):
        hint = "Put it in [ ], or start each item with '- '."
    return hint
