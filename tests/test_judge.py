"""The judge: what was found, what a person attested, and what is waived, brought together."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest

from gt_conformance import resources
from gt_conformance.attestation import Attestation, Attestations
from gt_conformance.checks import ATTESTATION, CheckCall, CheckResult, Violation
from gt_conformance.dated_entries import address_of
from gt_conformance.errors import Blocker, Location
from gt_conformance.judgement import HumanInput, Judge, Judgement
from gt_conformance.planning import Case, CaseKind, Plan, client_case, item_case, row_case
from gt_conformance.runbook import load_directory
from gt_conformance.vocabulary import Outcome, Route
from gt_conformance.waiver import TENANT as TENANT_WIDE
from gt_conformance.waiver import Waiver, Waivers
from tests.fake_tenant import TENANT, make_plan_of

CONFORMS, WAIVED, UNATTESTED, BLOCKED, VIOLATES = Outcome
TODAY = date(2026, 11, 22)
CREWAI = next(book for book in load_directory(resources.runbooks_dir()) if book.id == "crewai")
MEASURED, VOUCHED = CREWAI.checklist[0], CREWAI.checklist[1]
ROW = CREWAI.row(Route.CHAT)
THREE = tuple(CheckCall(name, "chat") for name in ("chat.completes", "chat.roles", "chat.streams"))
PLANNED = replace(row_case(ROW), checks=THREE)
ITEM = replace(item_case(MEASURED), checks=THREE)
WIDE = Case(CaseKind.TENANT, "chat.roles", "It holds.", THREE[1:2])
DRIVEN = client_case(ROW)
WHERE = Location("waivers.yaml", 3)


def a_plan(*cases: Case) -> Plan:
    """A plan of these cases of crewai."""
    return make_plan_of(TENANT, *cases, runbooks=(CREWAI,))


def a_judge(found: Mapping[str, Outcome], human_input: HumanInput, plan: Plan | None = None, **further: Any) -> Judge:
    """A judge of these results; a check that is not named conforms."""

    def result(call: CheckCall) -> CheckResult:
        outcome = found.get(call.check, CONFORMS)
        return CheckResult(call, f"The claim of {call.check}.", outcome, "", f"The remedy of {call.check}.")

    return Judge(plan or a_plan(), result, human_input, **further)


def a_waiver(check: str | None = None, **facts: Any) -> Waiver:
    """A waiver in crewai, for another month."""
    defaults: dict[str, Any] = {
        "runbook": "crewai",
        "row": None,
        "item": None,
        "reason": "Known.",
        "owner": "A. Example",
        "issue": "GT-1",
        "expires": TODAY + timedelta(days=30),
        "where": WHERE,
        "lines": "lines 3-9",
    }
    return Waiver(check=check, **(defaults | facts))


def waiving(*waivers: Waiver) -> HumanInput:
    """These waivers, read today."""
    return HumanInput(waivers=Waivers(waivers), today=TODAY)


def outcomes(judged: Judgement) -> list[Outcome]:
    """What each of its checks came to."""
    return [check.outcome for check in judged.checks]


# -- waivers

TWO_WRONG = {"chat.roles": VIOLATES, "chat.streams": VIOLATES}
ROLES = a_waiver("chat.roles")
WAIVERS: dict[str, tuple[Mapping[str, Outcome], Waiver, list[Outcome]]] = {
    "one of two": (TWO_WRONG, ROLES, [CONFORMS, WAIVED, VIOLATES]),
    "the other of two": (TWO_WRONG, a_waiver("chat.streams"), [CONFORMS, VIOLATES, WAIVED]),
    "the whole row": (TWO_WRONG, a_waiver(row=Route.CHAT), [CONFORMS, WAIVED, WAIVED]),
    "another row": (TWO_WRONG, a_waiver(row=Route.IMAGES), [CONFORMS, VIOLATES, VIOLATES]),
    "an item": (TWO_WRONG, a_waiver(item=1), [CONFORMS, VIOLATES, VIOLATES]),
    "until yesterday": (TWO_WRONG, a_waiver(expires=TODAY - timedelta(days=1)), [CONFORMS, VIOLATES, VIOLATES]),
    "until today": (TWO_WRONG, a_waiver(expires=TODAY), [CONFORMS, WAIVED, WAIVED]),
    "what conforms": ({}, ROLES, [CONFORMS, CONFORMS, CONFORMS]),
    "what was blocked": ({"chat.roles": BLOCKED}, ROLES, [CONFORMS, WAIVED, CONFORMS]),
    "violations only": ({"chat.roles": BLOCKED}, replace(ROLES, outcome=VIOLATES), [CONFORMS, BLOCKED, CONFORMS]),
    "blocks only": (TWO_WRONG, replace(ROLES, outcome=BLOCKED), [CONFORMS, VIOLATES, VIOLATES]),
    "everywhere": (TWO_WRONG, replace(ROLES, runbook=None), [CONFORMS, WAIVED, VIOLATES]),
}


@pytest.mark.parametrize(("found", "waiver", "expected"), WAIVERS.values(), ids=WAIVERS)
def test_a_waiver_of(found: Mapping[str, Outcome], waiver: Waiver, expected: list[Outcome]) -> None:
    """What someone owns, until a date, is waived, and nothing else is."""
    judge = a_judge(found, waiving(waiver))
    assert outcomes(judge.judge(PLANNED)) == expected
    used = {call.check: one for (call, _), one in judge.judge(PLANNED).waivers.items()}
    assert used == {check.check: waiver for check, one in zip(THREE, expected, strict=True) if one is WAIVED}


def test_what_is_waived_still_says_what_was_found() -> None:
    """A waived check keeps its claim and its remedy, and the row is as bad as its worst check."""
    judged = a_judge({"chat.roles": VIOLATES}, waiving(ROLES)).judge(PLANNED)
    assert judged.outcome is WAIVED
    assert [check.remedy for check in judged.failing] == ["The remedy of chat.roles."]


def test_rows_of_clients_items_and_the_tenant_have_waivers_of_their_own() -> None:
    """A waiver counts where it says: in a row by real clients, in an item, in the tenant."""
    found = {"chat.roles": VIOLATES}
    wide = a_waiver("chat.roles", runbook=TENANT_WIDE)
    by_row, by_item = a_waiver(row=Route.CHAT), a_waiver(item=1)
    failed = CheckResult(THREE[1], "It holds.", VIOLATES, "", "")
    for waiver, expected in ((by_row, [1, 0, 0]), (by_item, [0, 1, 0]), (wide, [0, 0, 1])):
        by_clients = lambda case: [failed] if case is DRIVEN else []  # noqa: E731 - as short as what it stands for
        judge = a_judge(found, waiving(waiver), client_results=by_clients)
        judged = [judge.judge(case) for case in (DRIVEN, ITEM, WIDE)]
        assert [WAIVED in outcomes(one) for one in judged] == [bool(one) for one in expected]


def test_a_waiver_of_a_cause_waives_what_it_alone_keeps_from_being_tested() -> None:
    """In the same runbook: what was blocked by the waived finding. What was blocked by anything else is not."""
    cause = Violation("It completes.", "It does not.", remedy="Have it complete.", finding="chat.completes~aaaaaa")
    shut = Blocker("Chats do not complete.", "", because=cause.finding)
    other = Blocker("Nothing was uploaded.", "Upload something.")

    def result(call: CheckCall) -> CheckResult:
        found = CheckResult(call, f"The claim of {call.check}.", CONFORMS, "", "")
        match call.check:
            case "chat.completes":
                return replace(found, outcome=VIOLATES, violations=(cause,))
            case "chat.roles":
                return replace(found, outcome=BLOCKED, blockers=(shut,))
            case _:
                return replace(found, outcome=BLOCKED, blockers=(other,))

    for waiver, expected in (
        (a_waiver("chat.completes"), [WAIVED, WAIVED, BLOCKED]),
        (a_waiver("chat.completes", expires=TODAY - timedelta(days=1)), [VIOLATES, BLOCKED, BLOCKED]),
        (a_waiver("chat.completes", row=Route.IMAGES), [VIOLATES, BLOCKED, BLOCKED]),
    ):
        assert outcomes(Judge(a_plan(PLANNED), result, waiving(waiver)).judge(PLANNED)) == expected
    wide = a_waiver("chat.roles", runbook=TENANT_WIDE)
    assert outcomes(Judge(a_plan(PLANNED, WIDE), result, waiving(wide)).judge(WIDE)) == [WAIVED]


PLACES: dict[str, tuple[Plan, Waiver]] = {
    "a row": (a_plan(PLANNED), a_waiver("chat.roles", row=Route.CHAT)),
    "an item": (a_plan(ITEM), a_waiver("chat.roles", item=1)),
    "the tenant": (a_plan(WIDE), a_waiver("chat.roles", runbook=TENANT_WIDE)),
}


@pytest.mark.parametrize(("plan", "waiver"), PLACES.values(), ids=PLACES)
def test_a_waiver_that_is_no_longer_needed_has_to_go(plan: Plan, waiver: Waiver) -> None:
    """Once what it waives conforms, or its day is over, the run says which lines to remove; not before."""
    [problem] = a_judge({}, waiving(waiver), plan).waiver_news().problems
    assert "is no longer needed, since what it covers conforms: remove this entry (lines 3-9)." in str(problem)
    assert a_judge({"chat.roles": VIOLATES}, waiving(waiver), plan).waiver_news().problems == ()
    [problem] = a_judge({}, waiving(replace(waiver, expires=TODAY - timedelta(days=1))), plan).waiver_news().problems
    assert "expired on 2026-11-21" in str(problem)


def test_what_real_clients_found_keeps_a_waiver() -> None:
    """A waiver is needed where a real client's row violates, though the row's own checks conform."""
    waiver = a_waiver("client.works", row=Route.CHAT)
    failed = CheckResult(CheckCall("client.works"), "It works.", VIOLATES, "", "")
    plan = a_plan(PLANNED, DRIVEN)
    for found, needed in ((failed, True), (replace(failed, outcome=CONFORMS), False)):
        judge = a_judge(
            {}, waiving(waiver), plan, client_results=lambda case, found=found: [found] if case is DRIVEN else []
        )
        assert bool(judge.waiver_news().problems) is not needed


# -- a person's word

WORD = Attestation(
    runbook="crewai",
    item=2,
    statement="The log shows each id.",
    name="A. Example",
    role="Platform lead",
    on=TODAY - timedelta(days=10),
    evidence="logs/crew.txt",
    expires=TODAY + timedelta(days=300),
    runbook_digest=CREWAI.digest,
    where=Location("attestations.yaml", 2),
    tenant=address_of(TENANT),
)
ATTESTED = replace(item_case(VOUCHED), checks=THREE[:1])
OLD = TODAY + timedelta(days=1_000)
NOBODY = "Only a person can attest this item, and nobody has."
OVER = (
    "A. Example (Platform lead) attested item 2 of crewai on 2026-11-12, "
    "but only until 2027-09-18 (attestations.yaml:2)."
)
WORDS: dict[str, tuple[HumanInput, Outcome, str]] = {
    "a word that holds": (HumanInput(Attestations((WORD,)), today=TODAY), CONFORMS, ""),
    "no word": (HumanInput(today=TODAY), UNATTESTED, NOBODY),
    "a word for another item": (HumanInput(Attestations((replace(WORD, item=1),)), today=TODAY), UNATTESTED, NOBODY),
    "a word for another tenant": (
        HumanInput(Attestations((replace(WORD, tenant="https://elsewhere.example/api/tenant"),)), today=TODAY),
        UNATTESTED,
        (
            "A. Example (Platform lead) attested item 2 of crewai on 2026-11-12, but for "
            f"https://elsewhere.example/api/tenant (attestations.yaml:2), not for {address_of(TENANT)}."
        ),
    ),
    "a word that is over": (
        HumanInput(Attestations((WORD,)), today=OLD),
        UNATTESTED,
        OVER,
    ),
    "the sample, as of the day on which it was written": (
        HumanInput(Attestations((WORD,)), today=OLD, sampled_on=TODAY),
        CONFORMS,
        "",
    ),
}


@pytest.mark.parametrize(("human_input", "outcome", "reason"), WORDS.values(), ids=WORDS)
def test_an_item_that_needs_a_person_stands_by(human_input: HumanInput, outcome: Outcome, reason: str) -> None:
    """A person's word is judged after the checks; where none holds, the item says so and what to run."""
    judged = a_judge({}, human_input).judge(ATTESTED)
    assert outcomes(judged) == [CONFORMS, outcome]
    word = judged.checks[-1]
    assert (word.call.check, word.reason) == (ATTESTATION, reason)
    assert judged.attestation == (WORD if outcome is CONFORMS else None)
    assert [blocker.reason for blocker in word.blockers] == ([reason] if reason else [])
    assert bool(word.remedy) is (outcome is UNATTESTED)
    assert all("gt-conformance attest crewai 2" in text for text in [word.remedy] if text)


def test_an_item_that_is_measured_asks_for_no_word() -> None:
    """Where checks tell all, nobody has to attest anything."""
    judged = a_judge({}, HumanInput(today=TODAY)).judge(ITEM)
    assert (judged.outcome, judged.attestation) == (CONFORMS, None)
    assert len(judged.checks) == len(THREE)


def test_what_clients_add_to_an_item_counts() -> None:
    """A client that an item names is judged with it, before a person's word."""
    added = CheckResult(CheckCall("client.steps"), "Its steps pass.", VIOLATES, "", "")
    judge = a_judge({}, HumanInput(today=TODAY), client_results=lambda case: [added] if case is ATTESTED else [])
    assert outcomes(judge.judge(ATTESTED)) == [CONFORMS, VIOLATES, UNATTESTED]
    assert outcomes(judge.judge(ITEM)) == [CONFORMS] * 3
