"""``gt-conformance attest``: what it writes, what it leaves as it is, what it refuses, and what it lists."""

import os
import shlex
import shutil
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest

from gt_conformance import attestation, resources
from gt_conformance.runbook import load_directory
from tests.commands import Finished, in_process
from tests.scripted import BOOKS

TODAY = "2026-11-22"
TENANT = "https://acme.example/api/tenant"
SAID = {
    "--tenant": TENANT,
    "--statement": "It does.",
    "--by": "A. Example",
    "--role": "Platform lead",
    "--evidence": "logs/crew.txt",
}

Attest = Callable[..., Finished]


@pytest.fixture
def attest(tmp_path: Path) -> Attest:
    """Run ``gt-conformance attest`` in a folder of its own, on 2026-11-22, about two runbooks that need a person."""
    for name in ("crewai", "open-webui"):
        (tmp_path / "books").mkdir(exist_ok=True)
        shutil.copy(resources.runbooks_dir() / f"{name}.yaml", tmp_path / "books")

    def attesting(*words: str) -> Finished:
        return in_process("attest", *words, "--runbooks", tmp_path / "books", "--today", TODAY, cwd=tmp_path)

    return attesting


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """The file that the command writes unless another is named."""
    return tmp_path / "attestations.yaml"


def said(**changes: str) -> list[str]:
    """The options of a good attestation, with these changes; an empty one is left out."""
    options = SAID | {f"--{name}": value for name, value in changes.items()}
    return [word for name, value in options.items() if value for word in (name, value)]


def digest(name: str = "crewai") -> str:
    """The digest of that runbook."""
    return BOOKS[name].digest


def block(runbook: str = "crewai", item: int = 2, statement: str = "It did.", expires: str = "2027-06-30") -> str:
    """An entry that someone wrote by hand, with comments of theirs."""
    return f"""\
  - runbook: {runbook}   # the crew
    item: {item}
    tenant: {TENANT}
    # Seen together with B. Example.
    statement: >-
      {statement}
    by: {{name: B. Example, role: Operations}}
    on: 2026-06-30
    evidence: evidence/{runbook}.txt
    expires: {expires}
    runbook_digest: {digest(runbook)}
"""


def lines(runbook: str = "crewai", item: int = 2) -> str:
    """The entry that the command writes."""
    return f"""\
  - runbook: "{runbook}"
    item: {item}
    tenant: "{TENANT}"
    statement: "It does."
    by: {{name: "A. Example", role: "Platform lead"}}
    on: 2026-11-22
    evidence: "logs/crew.txt"
    expires: 2027-11-22
    runbook_digest: "{digest(runbook)}"
"""


# -- what it writes


def test_it_makes_the_file(tmp_path: Path, file: Path) -> None:
    """The first attestation makes the file, names its schema, and says what was attested and until when."""
    done = in_process("attest", "crewai", "2", *said(), "--today", TODAY, cwd=tmp_path)
    assert (done.code, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        "Item 2 of crewai: Where persistence is on, the log shows when a conversation id is made, used and dropped.",
        f"  tenant     {TENANT}",
        "  statement  It does.",
        "  by         A. Example (Platform lead), on 2026-11-22",
        "  evidence   logs/crew.txt",
        "  until      2027-11-22, or until the runbook changes",
        "Added to attestations.yaml.",
    ]
    schema = resources.schemas_dir() / "attestations.schema.json"
    head = f"# yaml-language-server: $schema={schema}\nattestations:\n"
    assert file.read_text(encoding="utf-8") == head + lines()


def test_within_the_checkout_the_schema_is_named_from_there(
    attest: Attest, tmp_path: Path, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that is committed beside the schemas names no folder of one machine."""
    shutil.copytree(resources.schemas_dir(), tmp_path / "schemas")
    monkeypatch.setattr(resources, "root", lambda: tmp_path)
    assert attest("crewai", "2", *said()).code == 0
    first = file.read_text(encoding="utf-8").splitlines()[0]
    assert first == "# yaml-language-server: $schema=schemas/attestations.schema.json"


def test_it_adds_to_the_file(attest: Attest, file: Path) -> None:
    """Another attestation comes after the others, which stay byte for byte as they are, comments included."""
    before = f"# ours\nattestations:\n{block()}\n  # the end"
    file.write_text(before, encoding="utf-8")
    file.chmod(0o640)
    done = attest("open-webui", "3", *said())
    assert (done.code, done.stderr) == (0, "")
    assert file.read_text(encoding="utf-8") == f"{before}\n{lines('open-webui', 3)}"
    assert file.stat().st_mode & 0o777 == 0o640
    assert attest("--list").code == 0


FORMS = {
    "brackets": ("attestations: []  # none yet\n", "attestations:  # none yet\n"),
    "nothing": ("# ours\nattestations:\n", "# ours\nattestations:\n"),
    "no-line-end": ("attestations:", "attestations:\n"),
}


@pytest.mark.parametrize(("before", "kept"), FORMS.values(), ids=FORMS)
def test_it_adds_to_an_empty_list(attest: Attest, file: Path, before: str, kept: str) -> None:
    """A list without entries takes one in each of the ways in which it can be written."""
    file.write_text(before, encoding="utf-8")
    assert attest("crewai", "2", *said()).code == 0
    assert file.read_text(encoding="utf-8") == kept + lines()


def test_it_keeps_the_line_ends_and_the_indentation(attest: Attest, file: Path) -> None:
    """A file from Windows, its dashes not indented, stays such a file."""
    before = f"attestations:\n{block()}".replace("\n  ", "\n").replace("\n", "\r\n").encode()
    file.write_bytes(before)
    assert attest("open-webui", "3", *said()).code == 0
    added = lines("open-webui", 3).replace("\n  ", "\n").removeprefix("  ")
    assert file.read_bytes() == before + added.replace("\n", "\r\n").encode()


@pytest.mark.parametrize(
    "statement",
    [
        pytest.param("a: b # c", id="syntax"),
        pytest.param("'single' \"double\" \\n \\", id="quotes"),
        pytest.param("- one\n- two\ttab\n", id="lines"),
        pytest.param("Prüfung 山田 😀", id="scripts"),
        pytest.param("a\u2028b\u0085c\u00a0d\ufeffe\x1bf\x7fg", id="unseen"),
        pytest.param("on", id="word"),
        pytest.param("007", id="number"),
    ],
)
def test_any_text_comes_back_as_it_was(attest: Attest, tmp_path: Path, file: Path, statement: str) -> None:
    """Whatever is said is read back as it was said."""
    assert attest("crewai", "2", *said(statement=statement, by="null", role="{x}")).code == 0
    books = load_directory(tmp_path / "books")
    (entry,) = attestation.load(file, books, date.fromisoformat(TODAY)).entries
    assert (entry.statement, entry.by) == (statement, "null ({x})")


def test_it_replaces_one_where_it_is_told_to(attest: Attest, file: Path) -> None:
    """With --replace the new word stands in the place of the old one, and all else stays byte for byte as it was."""
    head, middle, end = "# ours\nattestations:\n\n  # first\n", "\n  # second\n", "\n# the end\n"
    file.write_text(head + block() + middle + block("open-webui", 3) + end, encoding="utf-8")
    done = attest("crewai", "2", *said(), "--replace")
    assert (done.code, done.stdout.splitlines()[-1]) == (0, "Replaced in attestations.yaml.")
    assert file.read_text(encoding="utf-8") == head + lines() + middle + block("open-webui", 3) + end
    assert attest("open-webui", "3", *said(), "--replace").code == 0
    assert file.read_text(encoding="utf-8") == head + lines() + middle + lines("open-webui", 3) + end


def test_the_dates_can_be_named(attest: Attest, file: Path) -> None:
    """The day on which one looked, and until when it counts, can be named: up to two years."""
    assert attest("crewai", "2", *said(on="2026-11-01", expires="2028-11-01")).code == 0
    assert "\n    on: 2026-11-01\n" in file.read_text(encoding="utf-8")
    assert "\n    expires: 2028-11-01\n" in file.read_text(encoding="utf-8")


def test_a_leap_day_has_a_year_after_it(tmp_path: Path, file: Path) -> None:
    """What is attested on the 29th of February counts through the 28th of the next."""
    words = ["attest", "crewai", "2", *said(), "--today", "2028-02-29"]
    assert in_process(*words, cwd=tmp_path).code == 0
    assert "\n    expires: 2029-02-28\n" in file.read_text(encoding="utf-8")


# -- what it refuses

REFUSED: dict[str, tuple[list[str], list[str]]] = {
    "automatic": (
        ["crewai", "1", *said()],
        ["ITEM: item 1 of crewai is verified by the run; nothing to attest. Of crewai, item 2 needs a person."],
    ),
    "no-such-item": (["crewai", "4", *said()], ["ITEM: 4 is not allowed here. Allowed: 1, 2, 3."]),
    "no-such-runbook": (
        ["crew", "2", *said()],
        ["RUNBOOK: there is no runbook 'crew': did you mean crewai? Known: crewai, open-webui."],
    ),
    "everything": (
        ["crewai", "2", *said(statement="...", by="...", on="2026-11-23", expires="2026-11-22")],
        [
            "--statement: '...' says nothing. Put it in words.",
            "--by: '...' says nothing. Put it in words.",
            "--on: 2026-11-23 is in the future: today is 2026-11-22. Name the day on which they looked.",
            "--expires: it expires on 2026-11-22, before it was given on 2026-11-23. Name a later day.",
        ],
    ),
    "blank": (["crewai", "2", *said(role=" ")], ["--role: must not be blank."]),
    "a-key": (
        ["crewai", "2", *said(evidence="gtak_canary")],
        ["--evidence: this text contains a GT key. Delete it, and rotate the key: whoever can read it has it."],
    ),
    "no-text": (
        ["crewai", "2", *said(role=os.fsdecode(b"Leit\xe4r"))],
        ["--role: this text is not UTF-8. Save or type it as UTF-8."],
    ),
    "too-long": (
        ["crewai", "2", *said(expires="2028-11-23")],
        ["--expires: it expires on 2028-11-23, more than two years after 2026-11-22. At most 2028-11-22."],
    ),
    "over-already": (
        ["crewai", "2", *said(on="2025-11-21")],
        ["--expires: it would have expired on 2026-11-21 already. Look again today, or name a later end."],
    ),
    "over-before-it-was": (
        ["crewai", "2", *said(on="2026-11-20", expires="2026-11-19")],
        ["--expires: it expires on 2026-11-19, before it was given on 2026-11-20. Name a later day."],
    ),
    "no-folder": (
        ["crewai", "2", *said(attestations="nowhere/a.yaml")],
        ["nowhere/a.yaml: the file cannot be written: No such file or directory. Nothing was changed."],
    ),
    "not-a-folder": (
        ["crewai", "2", *said(attestations="books/crewai.yaml/a.yaml")],
        ["books/crewai.yaml/a.yaml: the file cannot be written: Not a directory. Nothing was changed."],
    ),
}


def test_a_refusal_ends_the_command_with_code_4(tmp_path: Path, file: Path) -> None:
    """The command itself tells what is wrong on standard error and ends with exit code 4."""
    done = in_process("attest", "dify", "1", *said(), cwd=tmp_path)
    assert (done.code, done.stdout) == (4, "")
    assert done.stderr.splitlines() == [
        "error: ITEM: item 1 of dify is verified by the run; nothing to attest. Of dify, item 3 needs a person."
    ]
    assert not file.exists()


@pytest.mark.parametrize(("words", "told"), REFUSED.values(), ids=REFUSED)
def test_what_may_not_be_attested_is_refused(attest: Attest, tmp_path: Path, words: list[str], told: list[str]) -> None:
    """Each mistake is told by the option that holds it, all at once, with exit code 4; no file is made."""
    done = attest(*words)
    assert (done.code, done.stdout) == (4, "")
    assert done.stderr.splitlines() == [f"error: {line}" for line in told]
    assert [path.name for path in tmp_path.iterdir()] == ["books"]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        pytest.param(
            ["crewai", "--by", "A. Example"], "missing: ITEM, --statement, --role, --evidence, --tenant.", id="missing"
        ),
        pytest.param(["crewai", "two", *said()], "'two' is not a valid integer", id="no-number"),
        pytest.param(["crewai", "2", *said(on="soon")], "'soon' does not match the format", id="no-date"),
        pytest.param(["--list", "crewai", "--replace"], "--list takes no RUNBOOK, --replace.", id="list"),
    ],
)
def test_a_bad_command_line_is_refused(attest: Attest, words: list[str], told: str) -> None:
    """What is missing or too much on the command line is told, with exit code 4."""
    done = attest(*words)
    assert done.code == 4
    assert told in done.said


IN_BRACKETS = (
    "attestations: [{runbook: open-webui, item: 3, tenant: embedded, statement: It did., by: {name: "
    "B. Example, role: Operations}, "
    f'on: 2026-06-30, evidence: it, expires: 2027-06-30, runbook_digest: "{digest()}"}}]\n'
)
LEFT_ALONE: dict[str, tuple[str, ...]] = {
    "one-is-there": (
        f"attestations:\n{block(expires='2026-11-01')}",
        "attestations.yaml:2: item 2 of crewai is attested already, by B. Example (Operations) until 2026-11-01.",
        "Add --replace to put yours in its place.",
    ),
    "brackets": (
        IN_BRACKETS,
        "attestations.yaml: this file is written in a form to which no entry can be added; it was left as it is.",
        "Write its list with one '- ' for each entry and each key on a line of its own.",
    ),
    "end-mark": (
        f"attestations:\n{block('open-webui', 3)}...\n",
        "attestations.yaml: this file is written in a form to which no entry can be added; it was left as it is.",
        "Write its list with one '- ' for each entry and each key on a line of its own.",
    ),
    "already-wrong": (
        f"attestations:\n{block('open-webui', 1)}",
        "attestations.yaml:3:11: attestations.0.item: item 1 of open-webui is verified by the run; nothing to attest.",
        "Of open-webui, item 3 needs a person.",
    ),
}
"""A file, and the parts of the one line that is said about it."""


@pytest.mark.parametrize(
    ("before", "told"), [(text, " ".join(parts)) for text, *parts in LEFT_ALONE.values()], ids=LEFT_ALONE
)
def test_a_file_that_cannot_take_it_is_left_as_it_was(
    attest: Attest, tmp_path: Path, file: Path, before: str, told: str
) -> None:
    """Where an entry cannot be added the file keeps every byte, and nothing is left beside it."""
    file.write_text(before, encoding="utf-8")
    done = attest("crewai", "2", *said())
    assert (done.code, done.stderr.splitlines()) == (4, [f"error: {told}"])
    assert file.read_text(encoding="utf-8") == before
    assert {path.name for path in tmp_path.iterdir()} == {"books", "attestations.yaml"}


# -- what it lists


def test_it_lists_what_needs_a_person(tmp_path: Path) -> None:
    """Without a file every such item is missing, each with the command that is due, and the exit code is 7."""
    items = [item for book in BOOKS.values() for item in book.checklist if attestation.needs_a_person(item)]
    done = in_process("attest", "--list", cwd=tmp_path)
    told = done.stdout.splitlines()
    assert done.code == 7
    assert [line.split() for line in told[: len(items)]] == [
        [item.runbook, str(item.number), "missing"] for item in items
    ]
    commands = [line for line in told if " Look at it, then attest it: gt-conformance attest " in line]
    assert len(commands) == len(items)
    assert told[told.index(f"crewai 2: {next(item.text for item in items if item.id == 'crewai-item-2')}") + 1] == (
        '  Look at it, then attest it: gt-conformance attest crewai 2 --tenant "..." --statement "..." --by "..." '
        '--role "..." --evidence "..."'
    )
    assert told[-2:] == [
        "There is no file attestations.yaml yet.",
        f"Items that need a person: {len(items)} ({len(items)} missing).",
    ]


def test_the_command_that_it_lists_is_right_but_for_what_only_a_person_knows(attest: Attest, file: Path) -> None:
    """Pasted as it stands the listed command is refused for its ``...``; with words in their place it attests."""
    listed = attest("--list", "--tenant", TENANT, "--attestations", "our file.yaml").stdout.splitlines()
    words = shlex.split(listed[4].partition("gt-conformance attest ")[2])
    runbooks = words.index("--runbooks")
    del words[runbooks : runbooks + 2]  # the fixture names them
    assert [line.partition(":")[2] for line in attest(*words).stderr.splitlines()] == [
        f" --{name}: '...' says nothing. Put it in words." for name in ("statement", "by", "role", "evidence")
    ]
    assert attest(*(word.replace("...", "seen") for word in words)).code == 0
    assert (file.parent / "our file.yaml").is_file()


BY = "by B. Example (Operations), on 2026-06-30, until"
LISTED = {
    "valid": ("2027-06-30", "", f"valid     {BY} 2027-06-30", False, 0),
    "soon": ("2026-12-22", "", f"valid     {BY} 2026-12-22  about to expire", True, 0),
    "expired": ("2026-11-21", "", f"expired   {BY} 2026-11-21", True, 7),
    "outdated": ("2027-06-30", "# new\n", f"outdated  {BY} 2027-06-30", True, 7),
}
"""When it expires, what is added to the runbook, the line, whether the command is due, and the exit code."""


@pytest.mark.parametrize(("expires", "change", "line", "due", "code"), LISTED.values(), ids=LISTED)
def test_it_lists_whose_word_counts(
    attest: Attest,
    tmp_path: Path,
    file: Path,
    expires: str,
    change: str,
    line: str,
    due: bool,  # noqa: FBT001 - a table
    code: int,
) -> None:
    """Each item shows whose word there is, from when and until when; the exit code is 0 as long as all count."""
    file.write_text(f"attestations:\n{block(expires=expires)}{block('open-webui', 3)}", encoding="utf-8")
    with (tmp_path / "books" / "crewai.yaml").open("a", encoding="utf-8") as book:
        book.write(change)
    done = attest("--list")
    told = done.stdout.splitlines()
    assert (done.code, done.stderr, told[0]) == (code, "", f"crewai     2  {line}")
    assert any("attest crewai 2 " in one and one.endswith(" --replace") for one in told) is due
    assert any(one.startswith("crewai 2: ") for one in told) is due


def test_a_file_with_mistakes_is_not_listed(attest: Attest, file: Path) -> None:
    """What is wrong with the file is told at its line, with exit code 4."""
    file.write_text(f"attestations:\n{block(runbook='crewai').replace('2026-06-30', '2027-06-30')}", encoding="utf-8")
    done = attest("--list")
    assert (done.code, done.stdout) == (4, "")
    assert "attestations.yaml:9:9: attestations.0.on: 2027-06-30 is in the future" in done.stderr


def test_runbooks_without_such_items_need_nobody(tmp_path: Path) -> None:
    """Where no item needs a person there is nothing to do."""
    shutil.copy(resources.runbooks_dir() / "langchain.yaml", tmp_path)
    done = in_process("attest", "--list", "--runbooks", tmp_path, cwd=tmp_path)
    assert done.code == 0
    assert done.stdout.splitlines()[-1] == "Items that need a person: 0."


# -- for which tenant

FILE = """\
base_url: https://ACME.example/api/tenant/
models: {chat: field-analyst}
keys: {chat: {secret_env: GT_KEY_THAT_IS_NOT_SET}}
"""


@pytest.mark.parametrize("given", ["acme.yaml", f"{TENANT}/", "HTTPS://acme.example:443/api/tenant"])
def test_the_tenant_is_named_by_its_file_or_its_address(attest: Attest, file: Path, given: str) -> None:
    """A tenant file, of which no secret is needed, or a base URL: what is written is the tenant's one address."""
    (file.parent / "acme.yaml").write_text(FILE, encoding="utf-8")
    assert attest("crewai", "2", *said(tenant=given)).code == 0
    assert file.read_text(encoding="utf-8").endswith(lines())


def test_the_environment_names_the_tenant(tmp_path: Path, file: Path) -> None:
    """Where --tenant is left out, GT_BASE_URL is the tenant, as for a run."""
    words = ["attest", "crewai", "2", *said(tenant=""), "--today", TODAY]
    assert in_process(*words, cwd=tmp_path, env={"GT_BASE_URL": TENANT}).code == 0
    assert file.read_text(encoding="utf-8").endswith(lines())


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("acme.yml", "error: acme.yml: there is no such file."),
        ("http://acme.example/api/tenant", "error: base_url is plain http to acme.example"),
        ("https://acme.example/api/tenant/v1", "Leave it out, the suite adds it: https://acme.example/api/tenant"),
    ],
    ids=["no file", "plain http", "with /v1"],
)
def test_what_is_no_tenant_is_refused(attest: Attest, file: Path, given: str, told: str) -> None:
    """A file that is not there, or an address that no run would take, is told, and nothing is written."""
    done = attest("crewai", "2", *said(tenant=given))
    assert (done.code, told in done.stderr, file.exists()) == (4, True, False)


def test_each_tenant_has_its_own_entry(attest: Attest, file: Path) -> None:
    """The same item of another tenant is added, not replaced; which one is listed is said by --tenant."""
    other = "https://staging.acme.example/api/tenant"
    assert attest("crewai", "2", *said()).code == 0
    assert attest("crewai", "2", *said(tenant=other, by="B. Example")).code == 0
    assert file.read_text(encoding="utf-8").count("- runbook: ") == 2
    for tenant, name in ((TENANT, "A. Example"), (other, "B. Example")):
        listed = attest("--list", "--tenant", tenant).stdout.splitlines()
        assert listed[0].startswith(f"crewai     2  valid     by {name} (")
        assert f"Tenant: {tenant}." in listed
    unnamed = attest("--list")
    assert unnamed.code == 4
    assert f"several tenants: {TENANT}, {other}. Name one with --tenant." in unnamed.stderr


def test_what_was_attested_for_another_tenant_is_listed_as_such(attest: Attest, file: Path) -> None:
    """Another tenant's attestation does not count: the line says so, and the command adds one for this tenant."""
    file.write_text(f"attestations:\n{block()}{block('open-webui', 3)}", encoding="utf-8")
    other = "https://staging.acme.example/api/tenant"
    done = attest("--list", "--tenant", other)
    assert done.code == 7
    assert done.stdout.splitlines()[0].startswith("crewai     2  other-tenant")
    assert f"gt-conformance attest crewai 2 --tenant {other} " in done.stdout
    assert "Items that need a person: 2 (2 other-tenant)." in done.stdout


def test_the_sample_is_not_listed_for_a_live_tenant(tmp_path: Path) -> None:
    """The bundled sample is refused in one sentence where a live tenant is named."""
    sample = resources.sample_attestations()
    done = in_process("attest", "--list", "--tenant", TENANT, "--attestations", sample, cwd=tmp_path)
    assert (done.code, len(done.stderr.splitlines())) == (4, 1)
    assert "attestations are a sample for the embedded tenant: nobody attested anything of a live one." in done.stderr
    assert in_process("attest", "--list", "--attestations", sample, cwd=tmp_path).code == 0
