"""Checklist items rest on the rows of which they speak: none is green where such a row is not, in any runbook."""

from collections.abc import Callable, Sequence
from functools import cache

import pytest

from gt_conformance import resources
from gt_conformance.checks import CheckCall, CheckResult, Parameters
from gt_conformance.judgement import HumanInput, Judge, Judgement
from gt_conformance.planning import Case, CaseKind, Plan, make_plan
from gt_conformance.runbook import Runbook, load_directory
from gt_conformance.session import load_human_input
from gt_conformance.tenant import Tenant, TenantKind
from gt_conformance.vocabulary import EvidenceKind, Outcome, Part
from tests.commands import in_process
from tests.fake_tenant import key, tenant_of

BOOKS = load_directory(resources.runbooks_dir())
TENANT: Tenant = tenant_of(
    key("chat"), key("app", scopes=None, purpose=None), kind=TenantKind.EMBEDDED, source="/etc/acme/acme.yaml"
)
SAMPLE: HumanInput = load_human_input(BOOKS, sample=True)

ClientResults = Callable[[Case], Sequence[CheckResult]]


@cache
def planned() -> Plan:
    """A plan of everything."""
    return make_plan(TENANT, BOOKS)


def judged(
    plan: Plan, case: Case, results: dict[CheckCall, Outcome], client_results: ClientResults = lambda _: ()
) -> Judgement:
    """The judgement of a case where these calls have these outcomes, and all others conform."""

    def result(call: CheckCall) -> CheckResult:
        return CheckResult(call, "It holds.", results.get(call, Outcome.CONFORMS), "", "")

    return Judge(plan, result, SAMPLE, client_results).judge(case)


@pytest.mark.parametrize("book", BOOKS, ids=[book.id for book in BOOKS])
def test_no_item_is_green_where_a_check_of_its_rows_is_not(book: Runbook) -> None:
    """What violates in a row that an item rests on violates in the item, and what is blocked there blocks it.

    Each check of the row as this client uses it, one after the other; where all conform, so does the item.
    """
    plan = planned()
    rows = {case.route: case for case in plan.of(CaseKind.ROW, book.id)}
    for item in plan.of(CaseKind.ITEM, book.id):
        assert judged(plan, item, {}).outcome is Outcome.CONFORMS
        assert item.item is not None
        for call in (call for route in item.item.rests_on for call in rows[route].checks):
            assert call in item.checks
            for outcome in (Outcome.VIOLATES, Outcome.BLOCKED):
                assert judged(plan, item, {call: outcome}).outcome is outcome, (item.id, call.check)


def test_an_item_takes_no_check_of_a_row_twice() -> None:
    """What a row and the item's own checks name is one call, judged once a run."""
    plan = planned()
    for case in plan.cases:
        assert len(set(case.checks)) == len(case.checks)
    taken = {call for case in plan.of(CaseKind.ROW) for call in case.checks}
    assert {call for case in plan.of(CaseKind.ITEM) for call in case.checks} & taken <= set(plan.distinct)


# -- what shows each part


def evidence(item_id: str, results: dict[CheckCall, Outcome], driven: Sequence[CheckResult] = ()) -> dict[Part, object]:
    """What shows each part of an item of a plan of everything."""
    plan = planned()
    judgement = judged(plan, plan.case(item_id), results, lambda _: driven)
    return {one.part: (one.kind, one.source) for one in judgement.evidence}


def works(outcome: Outcome) -> CheckResult:
    """What a driven client found."""
    return CheckResult(
        CheckCall("client.works", "chat", Parameters(client="langchain-python")), "It works.", outcome, "", ""
    )


@pytest.mark.parametrize(
    ("driven", "expected"),
    [
        ([], (EvidenceKind.PROBED, None)),
        ([works(Outcome.CONFORMS)], (EvidenceKind.CLIENT_DRIVEN, "langchain-python")),
        ([works(Outcome.VIOLATES)], (EvidenceKind.CLIENT_DRIVEN, "langchain-python")),
        ([works(Outcome.BLOCKED)], (EvidenceKind.PROBED, None)),
    ],
    ids=["not driven", "driven", "driven and failed", "could not be driven"],
)
def test_a_client_part_is_probed_until_the_client_is_driven(
    driven: list[CheckResult], expected: tuple[EvidenceKind, str | None]
) -> None:
    """Driven, with the client's name; a session that says nothing leaves it probed."""
    assert evidence("langchain-item-1", {}, driven)[Part.CLIENT] == expected


def test_a_setup_part_names_the_tenant_file() -> None:
    """By its name and not by its folder; blocked, nothing shows it."""
    assert evidence("cursor-item-2", {})[Part.SETUP] == (EvidenceKind.TENANT_FILE, "acme.yaml")
    plan = planned()
    [dedicated] = plan.case("cursor-item-2").checks
    assert evidence("cursor-item-2", {dedicated: Outcome.BLOCKED})[Part.SETUP] == (EvidenceKind.DOCUMENTED, None)


def test_one_blocked_check_leaves_the_tenant_part_documented() -> None:
    """Half a proof is none."""
    plan = planned()
    first, *_ = plan.case("langchain-item-1").checks
    assert evidence("langchain-item-1", {})[Part.TENANT] == (EvidenceKind.PROBED, None)
    assert evidence("langchain-item-1", {first: Outcome.BLOCKED})[Part.TENANT] == (EvidenceKind.DOCUMENTED, None)


# -- explain


def test_explain_describes_an_item() -> None:
    """Whom it asks, which rows and checks it rests on, and its place on the page."""
    done = in_process("explain", "vercel-ai-sdk-item-1", cwd=resources.root())
    words = " ".join(done.stdout.split())
    for part in (
        "asks the tenant (probed over HTTP); the client (probed until it is driven: run --clients); a person",
        "rests on vercel-ai-sdk-chat-native",
        "checks key.never_echoed, attestation",
        (
            "source wiki/Gen3-Gt-Api-Runbooks-Vercel-Ai-Sdk.md, edition of 2026-05-29, section "
            "Validation checklist, item 1"
        ),
    ):
        assert part in words
    wrong = in_process("explain", "dify-item-9", cwd=resources.root())
    assert (wrong.code, "there is no checklist item 'dify-item-9'. Did you mean dify-item-" in wrong.stderr) == (
        4,
        True,
    )
