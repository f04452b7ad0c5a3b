"""A tenant without a chat model: the tenant file leaves it out, and everything else is judged."""

from collections.abc import Sequence

import pytest

from gt_conformance import resources, session, tenant
from gt_conformance.planning import Selection
from gt_conformance.results import Record
from gt_conformance.results.case_types import FindingRecord
from gt_conformance.runbook import load_directory
from gt_conformance.tenant import TenantKind
from gt_conformance.vocabulary import Actor, Outcome
from gt_sandbox import EmbeddedTenant
from gt_sandbox.faults import FAULTS, select_faults
from gt_sandbox.middleware import CHAT, CONVERSATIONS, change_successes, error_response

BOOKS = load_directory(resources.runbooks_dir())
REFUSAL = error_response(404, "The model 'field-analyst' does not chat.", "invalid_request_error")
NO_CHAT = change_successes(lambda request: CHAT(request) or CONVERSATIONS(request), lambda _: REFUSAL)
WITHOUT_CHAT = dict.fromkeys(("embeddings", "transcription", "speech", "image"), "field-analyst")


def judge(models: dict[str, str], *faults: str) -> Record:
    """The record of a run of Dify against a tenant that refuses chats and conversations."""
    with EmbeddedTenant(middleware=(NO_CHAT, *select_faults(faults).middleware)) as running:
        document = {**running.tenant_document(), "models": models}
        under_test = tenant.from_mapping(document, running.secrets, kind=TenantKind.EMBEDDED, name="the tenant")
        plan = session.plan(under_test, BOOKS, selection=Selection(runbooks=("dify",)))
        return session.run(plan, human_input=session.load_human_input(BOOKS, sample=True))


def found(record: Record, outcome: Outcome) -> Sequence[FindingRecord]:
    """Its findings of that outcome."""
    return [finding for finding in record["findings"] if finding["outcome"] == outcome]


def test_what_needs_a_chat_model_is_one_block_and_the_rest_is_judged() -> None:
    """The operator supplies a name, or accepts the one block; nothing is held against the tenant."""
    record = judge(WITHOUT_CHAT)
    assert not found(record, Outcome.VIOLATES)
    (blocked,) = found(record, Outcome.BLOCKED)
    assert blocked["acts"] == Actor.SETUP
    assert blocked["proofs"][0]["found"] == "the tenant file names no model for chat"
    assert blocked["remedy"] == (
        "Add chat: NAME to models in the tenant. Where the tenant has no such model, accept that this is not tested "
        "(gt-conformance accept)."
    )
    outcomes = {row["route"]: row["outcome"] for row in record["runbooks"][0]["routes"]}
    assert outcomes["chat"] == outcomes["conversation_files"] == Outcome.BLOCKED
    assert outcomes["embeddings"] == outcomes["models"] == outcomes["dataset_files"] == Outcome.CONFORMS


def test_a_model_that_is_left_out_is_not_asked_by_the_name_of_another() -> None:
    """Only an alias for chat stands for what is left out: each other name is for its own route."""
    record = judge({"image": "field-analyst"})
    assert not found(record, Outcome.VIOLATES)
    missing = {finding["proofs"][0]["found"] for finding in found(record, Outcome.BLOCKED)}
    assert missing == {f"the tenant file names no model for {name}" for name in ("chat", "embeddings")}


@pytest.mark.parametrize("fault", ["unversioned-scopes-ignored", "embeddings-all-alike", "revoked-keys-work"])
def test_what_is_broken_beside_it_is_found(fault: str) -> None:
    """Without a chat model a fault of other routes, and of the boundary, is the finding that it always is."""
    record = judge(WITHOUT_CHAT, fault)
    assert [finding["check"] for finding in found(record, Outcome.VIOLATES)] == [FAULTS[fault].caught_by]
    assert record["decision"] == "NO-GO"
