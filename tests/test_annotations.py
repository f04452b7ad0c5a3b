"""What a GitHub workflow is told: findings as annotations, and no command that a tenant made up."""

import re
from typing import Any

import pytest

from gt_conformance.exchange import inert
from gt_conformance.report import Workflow, decision_line
from gt_conformance.results import Record
from tests.made_records import book, check, record, refused

COMMAND = re.compile(r"::(?P<command>\w+) title=(?P<title>[^:,\r\n]*)::(?P<message>[^\r\n]*)")
HOSTILE = {
    "a-command": "\n::error::forged",
    "the-older-form": "\r##[error]forged",
    "an-escape-of-its-own": "%0A::error::forged",
    "a-property": "a, file=x.py,line=1::forged",
    "a-stop": "\r\n::stop-commands::forged",
    "separators": "\u2028::error::forged\x85::error::forged\x0b::error::forged",
}


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What a workflow hears, line by line, from a run in one."""
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    lines: list[str] = []
    return lines


def unescaped(text: str) -> str:
    """The text as GitHub's runner reads it."""
    for escape, char in (("%0D", "\r"), ("%0A", "\n"), ("%3A", ":"), ("%2C", ","), ("%25", "%")):
        text = text.replace(escape, char)
    return text


def annotated(said: list[str], value: Record) -> list[tuple[str, str, str]]:
    """Command, title and message of each annotation of a record, after the word that lets them pass."""
    workflow = Workflow(said.append)
    workflow.begin()
    said.append("what a run prints")
    workflow.end(value)
    stop, printed, word, *lines = said
    assert re.fullmatch(r"::stop-commands::[0-9a-f]{32}", stop)
    assert word == f"::{stop.removeprefix('::stop-commands::')}::"
    assert printed == "what a run prints"
    found = [COMMAND.fullmatch(line) for line in lines]
    return [(match["command"], unescaped(match["title"]), unescaped(match["message"])) for match in found if match] + [
        ("no command", line, "") for line, match in zip(lines, found, strict=True) if match is None
    ]


def test_what_violates_is_an_error_and_what_is_untested_a_warning(said: list[str]) -> None:
    """Each finding is one annotation, with its promise, what was expected and found, and what to do."""
    parts = {
        "chat": [check("violates")],
        "models": [check("blocked")],
        "item-1": [check("unattested", remedy="Attest it.")],
    }
    value = record(book(parts=parts))
    ids = {found["outcome"]: found["id"] for found in value["findings"]}
    assert annotated(said, value) == [
        ("notice", "Decision", decision_line(value)),
        (
            "error",
            "V1 chat.completes (medium) in 1 row",
            (
                "A chat is completed.\nExpected: HTTP 200\nFound: HTTP 500\n→ Fix it.\n"
                f"The platform (tenant) has to act. Finding {ids['violates']}."
            ),
        ),
        (
            "warning",
            "B1 Not tested: 1 row",
            (
                "Found: chat.completes blocked\n→ Fix it.\n"
                f"The operator (setup: keys, names, tenant file) has to act. Finding {ids['blocked']}."
            ),
        ),
        (
            "warning",
            "U1 Not attested: 1 item",
            (
                "Found: chat.completes unattested\n→ Fix it.\n"
                f"A person who can attest it has to act. Finding {ids['unattested']}."
            ),
        ),
    ]


def test_what_conforms_is_not_annotated(said: list[str]) -> None:
    """A run without findings says its decision alone, and so does one whose only finding someone owns."""
    value = record(book(parts={"chat": [check("waived")]}))
    assert annotated(said, value) == [("notice", "Decision", decision_line(value))]
    assert "A. Example, until 2027-01-31" in decision_line(value)


def test_the_run_itself_is_annotated(said: list[str]) -> None:
    """A missing tenant stands alone; a waiver that has to go and a fault of the suite are errors."""
    blocked = book(parts={"chat": [check("blocked")]})
    faults: dict[str, Any] = {
        "waiver_problems": ["w.yaml:3: expired"],
        "suite_errors": ["Traceback\n  x\nValueError: odd"],
    }
    value = refused(record(blocked, **faults))
    assert annotated(said, value) == [
        ("notice", "Decision", decision_line(value)),
        ("error", "Nothing could be tested", "nobody answers at the tenant\nCheck the address."),
    ]
    said.clear()
    value = record(book(), **faults)
    assert annotated(said, value) == [
        ("notice", "Decision", decision_line(value)),
        ("error", "The suite itself failed", "ValueError: odd"),
        ("error", "A waiver must be removed", "w.yaml:3: expired"),
    ]


def test_ten_of_each_are_told(said: list[str]) -> None:
    """GitHub shows ten errors and ten warnings of a step."""
    some = [check("violates", f"chat.{number}") for number in range(12)]
    some += [
        check("blocked", f"chat.b{number}", obstacles=[{"reason": "no key", "remedy": f"Add key {number}."}])
        for number in range(12)
    ]
    found = annotated(said, record(book(parts={"chat": some})))
    assert [command for command, *_ in found] == ["notice"] + ["error"] * 10 + ["warning"] * 10


@pytest.mark.parametrize("name", HOSTILE)
def test_a_tenants_words_are_data(said: list[str], name: str) -> None:
    """However hostile, they stay inside the message of one annotation, and are read as what they are."""
    poison = HOSTILE[name]
    violation = {"expected": poison, "found": poison, "exchange": None}
    one = check("violates", poison, claim=poison, remedy=poison, breaches=[violation])
    notice, found = annotated(said, record(book(parts={"chat": [one]})))
    assert [notice[0], found[0]] == ["notice", "error"]
    assert found[1].count("forged") == poison.count("forged")
    assert found[2].count(str(inert(poison))) >= 4


def test_elsewhere_nothing_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """Outside a workflow there is nobody to take commands."""
    lines: list[str] = []
    for value in (None, "false", ""):
        monkeypatch.delenv("GITHUB_ACTIONS", raising=False)
        if value is not None:
            monkeypatch.setenv("GITHUB_ACTIONS", value)
        workflow = Workflow(lines.append)
        workflow.begin()
        workflow.end(record(book(parts={"chat": [check("violates")]})))
    assert lines == []


def test_each_run_has_a_word_of_its_own(said: list[str]) -> None:
    """A tenant that saw one run's log cannot end the next one's silence."""
    for _ in range(2):
        Workflow(said.append).begin()
    assert said[0] != said[1]
