"""What a runbook tells an operator to do: whole, or the finding names what is missing in which row and step."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from gt_conformance import resources
from gt_conformance.checks import CheckCall, Parameters, Violation
from gt_conformance.runbook import Row, Runbook, Step, load_directory
from gt_conformance.session import Session
from gt_conformance.vocabulary import Outcome, Route, Verdict
from tests.fake_tenant import TENANT, FakeSender, plan_of, run

DOCUMENTED = "runbook.extensions_documented"
BOOKS = load_directory(resources.runbooks_dir())
DIFY = next(book for book in BOOKS if book.id == "dify")
UPLOAD = DIFY.row(Route.CONVERSATION_FILES)
OPEN, SEND, POLL = UPLOAD.steps
INSTEAD = DIFY.row(Route.SPEECH)


def judged(book: Runbook) -> tuple[Session, CheckCall]:
    """The session that judged this runbook, and by which call."""
    call = CheckCall(DOCUMENTED, None, Parameters(runbook=book.id))
    return run(replace(plan_of(TENANT, call), runbooks=(book,)), FakeSender()), call


def violations(*rows: Row) -> Sequence[Violation]:
    """What is said of a runbook of these rows."""
    runner, call = judged(replace(DIFY, rows=rows))
    assert not runner.suite_errors
    return runner.result(call).violations


def with_steps(*steps: Step) -> Row:
    """The row of conversation uploads, with these steps."""
    return replace(UPLOAD, steps=steps)


@pytest.mark.parametrize("book", BOOKS, ids=[book.id for book in BOOKS])
def test_the_runbooks_that_come_with_it_are_documented(book: Runbook) -> None:
    """Each says all that an operator needs."""
    runner, call = judged(book)
    result = runner.result(call)
    assert (result.outcome, result.reason) == (Outcome.CONFORMS, "")


KEYLESS = "does not show the key in the Authorization header"
NO_RESULT = "does not say what to keep of the answer, for POST /v1/conversations/files"
MISSING: dict[str, tuple[Row, list[str]]] = {
    "no step sends it": (with_steps(OPEN, POLL), ["no step sends POST /v1/conversations/files"]),
    "nothing is polled": (with_steps(OPEN, SEND), ["no step says what to poll, and until when"]),
    "no steps at all": (
        with_steps(),
        ["no step sends POST /v1/conversations/files", "no step says what to poll, and until when"],
    ),
    "no key": (
        with_steps(replace(OPEN, headers=()), SEND, POLL),
        [f"step 1 (POST /v1/conversations) {KEYLESS}"],
    ),
    "the key of somebody": (
        with_steps(OPEN, SEND, replace(POLL, headers=(("Authorization", "Bearer acme"),))),
        [f"step 3 (GET /v1/files/{{id}}) {KEYLESS}"],
    ),
    "the key in another header": (
        with_steps(replace(OPEN, headers=(("X-Key", "{api_key}"),)), SEND, POLL),
        [f"step 1 (POST /v1/conversations) {KEYLESS}"],
    ),
    "no conversation": (
        with_steps(OPEN, replace(SEND, headers=OPEN.headers), POLL),
        ["step 2 (POST /v1/conversations/files) does not set X-GT-Conversation-Id"],
    ),
    "nothing to send": (
        with_steps(replace(OPEN, body=None), SEND, POLL),
        ["step 1 (POST /v1/conversations) does not say what to send"],
    ),
    "nothing to keep": (
        with_steps(OPEN, replace(SEND, result=""), POLL),
        [f"step 2 (POST /v1/conversations/files) {NO_RESULT}"],
    ),
    "blanks to keep": (
        with_steps(OPEN, replace(SEND, result=" "), POLL),
        [f"step 2 (POST /v1/conversations/files) {NO_RESULT}"],
    ),
    "several things in a step": (
        with_steps(OPEN, replace(SEND, headers=(), body=None), POLL),
        [
            f"step 2 (POST /v1/conversations/files) {what}"
            for what in (KEYLESS, "does not set X-GT-Conversation-Id", "does not say what to send")
        ],
    ),
    "nothing instead": (replace(INSTEAD, instead=None), ["it does not say what to do instead"]),
    "blanks instead": (replace(INSTEAD, instead="  "), ["it does not say what to do instead"]),
}


@pytest.mark.parametrize(("row", "missing"), MISSING.values(), ids=MISSING)
def test_what_an_operator_is_not_told_violates(row: Row, missing: list[str]) -> None:
    """Each thing by itself, with the row, the step and the file in which it belongs."""
    found = violations(row)
    assert [violation.found for violation in found] == missing
    assert {violation.expected for violation in found} == {
        f"the row {row.route.title} of dify.yaml tells an operator what to do"
    }


ENOUGH: dict[str, Row] = {
    "headers in small letters": with_steps(
        OPEN, replace(SEND, headers=tuple((name.lower(), value) for name, value in SEND.headers)), POLL
    ),
    "the key without a scheme": with_steps(replace(OPEN, headers=(("Authorization", "{api_key}"),)), SEND, POLL),
    "a native row": replace(UPLOAD, verdict=Verdict.NATIVE, steps=()),
    "a row of which something else is done": INSTEAD,
}


@pytest.mark.parametrize("row", ENOUGH.values(), ids=ENOUGH)
def test_what_an_operator_can_follow_conforms(row: Row) -> None:
    """A GET needs no body, an upload into a dataset no conversation, a native row no steps."""
    assert violations(row, DIFY.row(Route.DATASET_FILES)) == ()


def test_every_row_is_read() -> None:
    """What is missing in one row does not hide what is missing in the next."""
    found = violations(
        replace(INSTEAD, instead=None), with_steps(OPEN, SEND), replace(DIFY.row(Route.IMAGES), instead="")
    )
    assert [violation.expected.split()[3] for violation in found] == [
        "/v1/audio/speech",
        "/v1/conversations/files",
        "/v1/images/generations",
    ]


def test_without_a_runbook_there_is_nothing_to_read() -> None:
    """A plan that names none is a fault of the suite, and is reported as one."""
    runner = run(plan_of(TENANT, CheckCall(DOCUMENTED)), FakeSender())
    assert "runbook.extensions_documented takes a runbook" in runner.suite_errors[0]
