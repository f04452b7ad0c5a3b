"""The decision as a value: of each runbook, of the run, and the exit code that repeats it."""

from typing import Any

import pytest

from gt_conformance.results import EXIT_CODES, Record, decide, exit_code
from gt_conformance.vocabulary import Decision
from tests.made_records import OUTCOMES, PARTS, book, check, record, refused

BY_OUTCOME = {
    "conforms": Decision.GO,
    "waived": Decision.GO_WITH_EXCEPTIONS,
    "unattested": Decision.NOT_DECIDED,
    "blocked": Decision.NOT_DECIDED,
    "violates": Decision.NO_GO,
}
SHARES = ("runbooks", "rows", "items", "tenant_checks")


def of_runbooks(value: Record) -> dict[str, str]:
    """The decision of each runbook, by its id."""
    return {one["id"]: one["decision"] for one in value["runbooks"]}


@pytest.mark.parametrize("outcome", OUTCOMES)
@pytest.mark.parametrize("part", ["chat", "item-2"])
def test_a_case_decides_its_runbook_and_the_run(part: str, outcome: str) -> None:
    """Of a row or an item; the other runbook keeps the decision of its own."""
    value = record(book(parts={part: [check(outcome)]}), book("n8n"))
    assert of_runbooks(value) == {"dify": BY_OUTCOME[outcome], "n8n": Decision.GO}
    assert value["decision"] == BY_OUTCOME[outcome]
    assert exit_code(value) == EXIT_CODES[BY_OUTCOME[outcome]]


@pytest.mark.parametrize("outcome", OUTCOMES)
def test_a_tenant_check_decides_every_runbook(outcome: str) -> None:
    """The tenant's boundary protects the users of each."""
    value = record(book(), book("n8n"), tenant_checks=[check(outcome, "key.required")])
    assert {*of_runbooks(value).values(), value["decision"]} == {BY_OUTCOME[outcome]}


@pytest.mark.parametrize("better", OUTCOMES)
@pytest.mark.parametrize("worse", OUTCOMES)
def test_the_worst_decides(better: str, worse: str) -> None:
    """In whatever order they come."""
    value = record(book(parts={"chat": [check(better)], "speech": [check(worse)]}))
    assert value["decision"] == BY_OUTCOME[max(better, worse, key=OUTCOMES.index)]


@pytest.mark.parametrize("left_out", ["models", "item-3"])
@pytest.mark.parametrize("outcome", OUTCOMES)
def test_a_part_is_never_go(left_out: str, outcome: str) -> None:
    """A row or an item that was left out; what fails or is untested in what is left decides all the same."""
    parts = [part for part in PARTS if part != left_out]
    value = record(book(parts={"chat": [check(outcome)]}, only=parts))
    wanted = Decision.PARTIAL if outcome in {"conforms", "waived"} else BY_OUTCOME[outcome]
    assert of_runbooks(value) == {"dify": wanted}
    assert value["decision"] == wanted


def test_a_partial_runbook_makes_the_run_partial_and_no_other_runbook() -> None:
    """The whole one is GO."""
    value = record(book(only=PARTS[:2]), book("n8n"))
    assert of_runbooks(value) == {"dify": Decision.PARTIAL, "n8n": Decision.GO}
    assert value["decision"] == Decision.PARTIAL


def test_without_all_tenant_checks_nothing_is_go() -> None:
    """Rows and items alone say nothing of the boundary."""
    share = {"selected": 1, "known": 1}
    scope = dict.fromkeys(SHARES, share) | {"tenant_checks": {"selected": 1, "known": 2}}
    value = record(book(), tenant_checks=[check(name="key.required")], run={"scope": scope})
    assert {*of_runbooks(value).values(), value["decision"]} == {Decision.PARTIAL}


def test_one_whole_runbook_of_many_is_go() -> None:
    """What was not selected is no part of the decision."""
    share = {"selected": 1, "known": 1}
    scope = dict.fromkeys(SHARES, share) | {"runbooks": {"selected": 1, "known": 9}}
    assert record(book(), run={"scope": scope})["decision"] == Decision.GO


@pytest.mark.parametrize(
    ("outcome", "wanted"),
    [("conforms", Decision.NOT_DECIDED), ("waived", Decision.NOT_DECIDED), ("violates", Decision.NO_GO)],
)
def test_an_interrupted_run_decides_nothing_but_a_violation(outcome: str, wanted: Decision) -> None:
    """What violates does so however the run ended."""
    value = record(book(parts={"chat": [check(outcome)]}), run={"interrupted": "SIGTERM"})
    assert {*of_runbooks(value).values(), value["decision"]} == {wanted}


@pytest.mark.parametrize("outcome", OUTCOMES)
def test_a_waiver_that_has_to_go_is_a_no_go(outcome: str) -> None:
    """Of the run, whatever else was found; the runbooks' own decisions are of what was found in them."""
    value = record(book(parts={"chat": [check(outcome)]}), waiver_problems=["w.yaml:3: it expired."])
    assert value["decision"] == Decision.NO_GO
    assert of_runbooks(value) == {"dify": BY_OUTCOME[outcome]}


@pytest.mark.parametrize("outcome", OUTCOMES)
def test_where_the_suite_failed_nothing_is_decided(outcome: str) -> None:
    """And the exit code says so, whatever was found."""
    value = record(book(parts={"chat": [check(outcome)]}), suite_errors=["Traceback"])
    assert {*of_runbooks(value).values(), value["decision"]} == {Decision.NOT_DECIDED}
    assert exit_code(value) == 3


def test_where_nobody_answers_it_is_unreachable() -> None:
    """Whatever stands in the cases, and even where the suite failed besides."""
    for errors in ([], ["Traceback"]):
        value = refused(record(book(parts={"chat": [check("blocked")]}), suite_errors=errors))
        assert {*of_runbooks(value).values(), value["decision"]} == {Decision.UNREACHABLE}


def test_no_runbook_at_all_is_partial() -> None:
    """The tenant's boundary alone is a part."""
    assert record(tenant_checks=[check(name="key.required")])["decision"] == Decision.PARTIAL


@pytest.mark.parametrize("decision", Decision)
def test_each_decision_has_an_exit_code(decision: Decision) -> None:
    """0 where nothing stands against the selected part, and nowhere else."""
    good = {Decision.GO, Decision.GO_WITH_EXCEPTIONS, Decision.PARTIAL}
    assert (EXIT_CODES[decision] == 0) == (decision in good)


def test_a_clients_row_decides_the_run_and_its_runbook() -> None:
    """A client that fails where the probes conform is a NO-GO."""
    driven: Any = {
        "runbook": "dify",
        "title": "Dify",
        "outcome": "violates",
        "driven": [],
        "routes": [
            {
                "id": "dify-client-chat",
                "route": "chat",
                "title": "POST /v1/chat/completions",
                "verdict": "native",
                "integration": "As it is.",
                "instead": None,
                "outcome": "violates",
                "checks": [check("violates", "client.works")],
            }
        ],
    }
    value = record(book(), book("n8n"), clients=[driven])
    assert value["decision"] == decide(value) == Decision.NO_GO
    assert of_runbooks(value) == {"dify": Decision.NO_GO, "n8n": Decision.GO}
