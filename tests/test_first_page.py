"""The first page of compliance.html: seven questions, answered on the first screen, whatever the run came to."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import pytest
from playwright.sync_api import Browser

from gt_conformance.report import render_html
from gt_conformance.results import Record
from gt_conformance.results.case_types import AttestationRecord, CheckRecord
from tests.browser import NARROW, chromium, reading
from tests.made_records import book, check, record, refused

pytestmark = pytest.mark.slow

WIDE = (1440, 900)
ACME = {"name": "Acme staging"}
ATTESTATION: AttestationRecord = {
    "statement": "Done by hand.",
    "name": "B. Example",
    "role": "operator",
    "on": "2026-11-01",
    "expires": "2027-03-31",
    "evidence": "A ticket.",
}


class Answers(NamedTuple):
    """What the first screen says to each question, word for word; every text of a tuple is there."""

    ready: tuple[str, ...]
    why: tuple[str, ...]
    proof: tuple[str, ...]
    attested: tuple[str, ...]
    untested: tuple[str, ...]
    next_step: tuple[str, ...]
    how_bad: tuple[str, ...]


def _violating(name: str, severity: str = "high") -> CheckRecord:
    """A check with a violation of its own cause."""
    broken = {
        "expected": "HTTP 200",
        "found": f"HTTP 500 from {name}",
        "exchange": "x0001",
        "finding": f"{name}~1",
        "severity": severity,
        "acts": "tenant",
        "remedy": f"Repair {name}.",
    }
    return check("violates", name, breaches=[broken], claim=f"The promise of {name}.")


def _attested(made: Record) -> Record:
    for one in made["runbooks"]:
        one["checklist"][0]["attestation"] = ATTESTATION
    return made


def _many() -> Record:
    severities = ("critical", "high", "high", "medium")
    broken = [_violating(f"chat.part{number}", severities[number % 4]) for number in range(12)]
    return record(book("aider", {"chat": broken}), *(book(name) for name in ("dify", "n8n")), tenant=ACME)


_NOBODY = ("Attested", "By nobody: no checklist item relies on an attestation")
_PROOF = ("1 request for", "in this document")
RECORDS: Mapping[str, tuple[Record, Answers]] = {
    "conforming": (
        _attested(record(book("dify"), book("n8n"), tenant_checks=[check(name="key.required")], tenant=ACME)),
        Answers(
            ("GO", "All 2 runbooks work with Acme staging as they say.", "2 of 2 runbooks ready", "Dify, N8n"),
            ("Everything that was judged conforms.",),
            ("1 request for 1 tenant check, 18 rows and 6 checklist items", "in this document"),
            ("Attested", "B. Example, operator: 2 items, until 2027-03-31"),
            ("Nothing: everything that belongs to it was tested.",),
            ("Next, and by whom", "Nothing has to be done."),
            ("How bad: nothing violates",),
        ),
    ),
    "one runbook": (
        record(book("dify", {"chat": [_violating("chat.completes")]}), tenant=ACME),
        Answers(
            ("NO-GO", "Dify is not ready for Acme staging.", "0 of 1 runbook ready"),
            ("high", "V1 The promise of chat.completes.", "1 row"),
            ("proof x0001: HTTP 500 from chat.completes", *_PROOF),
            _NOBODY,
            ("Not tested", "Nothing: everything that belongs to it was tested."),
            ("The platform (tenant): Repair chat.completes. V1",),
            ("How bad: 1 high",),
        ),
    ),
    "many findings": (
        _many(),
        Answers(
            ("NO-GO", "1 of 3 runbooks is not ready for Acme staging.", "2 of 3 runbooks ready", "NO-GO 1 Aider"),
            ("critical", "V1 The promise of chat.part", "And 6 more findings"),
            ("proof x0001", *_PROOF),
            _NOBODY,
            ("Nothing: everything that belongs to it was tested.",),
            (
                "The platform (tenant): Repair chat.part0. V1 Repair chat.part4. V2 Repair chat.part8. V3 Then V4, V5,",
                "and 4 more",
            ),
            ("How bad: 3 critical, 6 high, 3 medium",),
        ),
    ),
    "blocked only": (
        record(book("dify", {"embeddings": [check("blocked", "embeddings.batch")]}), tenant=ACME),
        Answers(
            ("NOT DECIDED", "Whether Dify works with Acme staging is not decided", "0 of 1 runbook ready"),
            ("nothing violates, and something could not be tested",),
            _PROOF,
            _NOBODY,
            ("Not tested", "1 row:", "B1 Fix it."),
            ("The operator (setup: keys, names, tenant file): Fix it. B1",),
            ("How bad: nothing violates",),
        ),
    ),
    "waived": (
        record(book("dify", {"chat": [check("waived")]}), tenant=ACME),
        Answers(
            ("GO WITH EXCEPTIONS", "Dify works with Acme staging as its runbook says, apart from 1 known exception."),
            ("W1 A chat is completed.", "waived: owner A. Example, until 2027-01-31"),
            ("proof x0001: HTTP 500", *_PROOF),
            _NOBODY,
            ("Nothing: everything that belongs to it was tested.",),
            ("A. Example (owner, until 2027-01-31): Fix it. W1",),
            ("How bad: nothing violates but what is waived",),
        ),
    ),
    "embedded": (
        record(book("dify"), tenant={"kind": "embedded", "base_url": "http://127.0.0.1:4000/api/tenant"}),
        Answers(
            ("GO (EMBEDDED)", "Dify works with the embedded tenant as its runbook says."),
            ("Everything that was judged conforms.", "evidence about this suite, never about a tenant"),
            _PROOF,
            _NOBODY,
            ("Nothing: everything that belongs to it was tested.",),
            ("Nothing has to be done.",),
            ("How bad: nothing violates",),
        ),
    ),
    "interrupted": (
        record(
            book(
                "dify", {"chat": [check("blocked", obstacles=[{"reason": "it was interrupted", "remedy": "Run it."}])]}
            ),
            run={"interrupted": "SIGTERM"},
        ),
        Answers(
            ("Interrupted by SIGTERM.", "NOT DECIDED", "Whether Dify works with acme.example is not decided"),
            ("the run was interrupted by SIGTERM",),
            _PROOF,
            _NOBODY,
            ("What was not judged by then is blocked.", "1 row:"),
            ("The operator (setup: keys, names, tenant file): Run it. B1",),
            ("How bad: nothing violates",),
        ),
    ),
    "unreachable": (
        refused(record(book("dify", only=()), tenant=ACME)),
        Answers(
            ("UNREACHABLE", "Nothing is known of Dify: Acme staging was not reached."),
            ("Nobody answers at the tenant.",),
            ("1 request, and nothing was judged by that", "in this document"),
            ("Attested", "By nobody: the checklist items were not judged."),
            ("Nothing was tested.",),
            ("Next, and by whom", "Whoever runs the suite: Check the address."),
            ("How bad: not known",),
        ),
    ),
}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One Chromium for all of it."""
    with chromium() as running:
        yield running


@pytest.fixture(scope="module")
def documents(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Path]:
    """The documents of the eight records."""
    folder = tmp_path_factory.mktemp("first")
    paths = {name: folder / f"{name.replace(' ', '-')}.html" for name in RECORDS}
    for name, path in paths.items():
        path.write_text(render_html(RECORDS[name][0]), encoding="utf-8")
    return paths


_SEEN = """height => {
  const said = [];
  const walker = document.createTreeWalker(document.querySelector(".cover"), NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const box = node.parentElement.getBoundingClientRect();
    if (box.top < height && box.height > 0 && !node.parentElement.closest("[aria-hidden=true]")) said.push(node.data);
  }
  return said.join("").replace(/\\s+/g, " ");
}"""
"""What assistive technology reads of the first page down to that height."""


@pytest.mark.parametrize("name", RECORDS)
@pytest.mark.parametrize(("size", "screens"), [(WIDE, 1), (NARROW, 2)], ids=["1440", "360"])
def test_seven_questions_are_answered(
    browser: Browser, documents: Mapping[str, Path], name: str, size: tuple[int, int], screens: int
) -> None:
    """On the first screen, or the first two of a telephone: ready, why, proof, attested, untested, next, how bad."""
    with reading(browser, documents[name], size) as page:
        said = page.evaluate(_SEEN, size[1] * screens)
    answers = RECORDS[name][1]._asdict()
    assert {question: [text for text in texts if text not in said] for question, texts in answers.items()} == {
        question: [] for question in answers
    }, said


def test_the_title_names_decision_runbook_and_tenant(browser: Browser, documents: Mapping[str, Path]) -> None:
    """A tab or a mailed file can be told from another."""
    with reading(browser, documents["one runbook"]) as page:
        assert page.title() == "compliance report, NO-GO, Dify, Acme staging, 22 November 2026, 03:00 UTC"
