"""The boundary of one runbook's keys, found in a run of that runbook, and that of all keys as a run of its own."""

import re
from collections.abc import Iterator, Mapping

import pytest

from gt_conformance import resources, session, tenant
from gt_conformance.planning import CaseKind, Plan, Selection, list_cases
from gt_conformance.results import Record
from gt_conformance.runbook import load_directory
from gt_conformance.tenant import Tenant, TenantKind
from gt_conformance.vocabulary import Verdict
from gt_sandbox import EmbeddedTenant
from gt_sandbox.faults import FAULTS, select_faults

pytestmark = pytest.mark.runs

BOOKS = load_directory(resources.runbooks_dir())
DIFY = next(book for book in BOOKS if book.id == "dify")
ONE_RUNBOOK = Selection(runbooks=(DIFY.id,))


def tenant_of(running: EmbeddedTenant) -> Tenant:
    """The tenant that a running embedded one is."""
    document = running.tenant_document()
    return tenant.from_mapping(document, running.secrets, kind=TenantKind.EMBEDDED, name="the embedded tenant")


@pytest.fixture(scope="module")
def embedded() -> Iterator[Tenant]:
    """An embedded tenant that is planned for; rehearsals send nothing to it."""
    with EmbeddedTenant() as running:
        yield tenant_of(running)


def judge(fault: str) -> Record:
    """The record of a run of one runbook against a tenant with that fault."""
    with EmbeddedTenant(middleware=select_faults([fault]).middleware) as running:
        plan = session.plan(tenant_of(running), BOOKS, selection=ONE_RUNBOOK)
        return session.run(plan, human_input=session.load_human_input(BOOKS, sample=True))


@pytest.mark.parametrize(
    "fault",
    [
        "unversioned-open-without-a-key",
        "unversioned-scopes-ignored",
        "unversioned-takes-internal-names",
        "retired-secret-still-chats",
        "revoked-key-still-chats",
        "conversations-of-others-answer-chats",
    ],
)
def test_a_hole_at_a_runbooks_own_keys_is_found_in_its_run(fault: str) -> None:
    """Each is the finding of the check that a run of everything finds it with, and the only one."""
    record = judge(fault)
    assert [finding["check"] for finding in record["findings"]] == [FAULTS[fault].caught_by]
    assert record["decision"] == "NO-GO"


def judge_with(secrets: Mapping[str, str], *faults: str, selection: Selection = ONE_RUNBOOK) -> Record:
    """The same with secrets in the place of others: by their variables, without what all begin with."""
    with EmbeddedTenant(middleware=select_faults(faults).middleware) as running:
        known = dict(running.secrets)
        placed = {f"GT_EMBEDDED_{name}": known.get(f"GT_EMBEDDED_{of}", of) for name, of in secrets.items()}
        under_test = tenant.from_mapping(
            running.tenant_document(), {**known, **placed}, kind=TenantKind.EMBEDDED, name="the embedded tenant"
        )
        plan = session.plan(under_test, BOOKS, selection=selection)
        return session.run(plan, human_input=session.load_human_input(BOOKS, sample=True))


@pytest.mark.parametrize("live", ["RAG", "CHAT", "APP"])
def test_the_secrets_of_a_live_and_a_revoked_key_in_each_others_place_are_the_operators(live: str) -> None:
    """The tenant refuses the one and takes the other: nothing says that a revoked key works."""
    record = judge_with({"GONE": live, live: "GONE"})
    (finding,) = record["findings"]
    assert (finding["outcome"], finding["acts"]) == ("blocked", "setup")
    assert finding["remedy"].startswith("Check these secrets in the tenant file")
    assert {live.lower(), "gone"} <= set(re.findall("[a-z]+", finding["remedy"]))
    assert record["decision"] == "NOT DECIDED"


def test_secrets_that_are_each_in_the_next_ones_place_are_the_operators() -> None:
    """As many keys are refused what is declared of them as are let in beyond it: the tenant keeps scopes."""
    keys = ("CHAT", "RAG", "FULL", "UPLOAD", "APP", "PARTNER", "CURSOR", "MANUS")
    record = judge_with(dict(zip(keys, (*keys[1:], keys[0]), strict=True)))
    assert {(one["outcome"], one["acts"]) for one in record["findings"]} == {("blocked", "setup")}


def test_a_revoked_key_that_works_in_a_part_violates_beside_a_live_key_that_does_not() -> None:
    """It is let in at chats alone, where the live key would be let in elsewhere as well: it is not that one."""
    record = judge_with({"RAG": "gtak_no_longer_anything"}, "revoked-key-still-chats", selection=Selection())
    assert [one["check"] for one in record["findings"] if one["outcome"] == "violates"] == ["key.revocation"]


def keys_used(plan: Plan) -> set[str]:
    """The keys of the plan's checks."""
    return {call.credential for call in plan.distinct if call.credential is not None}


@pytest.mark.unmeasured
def test_a_run_of_one_runbook_asks_with_its_own_keys(embedded: Tenant) -> None:
    """Of the keys of others it needs some alone: as strangers, and to compare with. It is a fraction of a whole run."""
    plan = session.plan(embedded, BOOKS, selection=ONE_RUNBOOK)
    choice = plan.choices[DIFY.id]
    used = {row.route for row in DIFY.rows if row.verdict is not Verdict.NOT_SUPPORTED}
    own = {key.name for route in used for key in (choice.inference.get(route), choice.extension.get(route)) if key}
    assert keys_used(plan) == own
    sent = session.rehearse(plan).exchanges
    let_in = {one.request.key for one in sent if one.response is not None and one.response.succeeded}
    others = {key.name for key in embedded.live_credentials} - own
    assert len(let_in & others) < len(others) / 2
    everything = session.rehearse(session.plan(embedded, BOOKS))
    assert len(sent) < len(everything.exchanges) / 3


def test_the_boundary_is_a_run_of_its_own_over_all_keys(embedded: Tenant) -> None:
    """No runbook is judged, each tenant check is, and every live key is tried."""
    selection = Selection(boundary=True)
    cases = list_cases(BOOKS, selection)
    assert {case.kind for case in cases} == {CaseKind.TENANT}
    plan = session.plan(embedded, BOOKS, selection=selection)
    assert not any(call.parameters.keys for call in plan.distinct)
    tried = {one.request.key for one in session.rehearse(plan).exchanges if one.response and one.response.refused}
    assert {key.name for key in embedded.live_credentials} <= tried
