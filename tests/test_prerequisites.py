"""Prerequisites: what a run knows of each, and what it does not claim to know."""

from dataclasses import replace

import pytest

from gt_conformance import resources
from gt_conformance.judgement import Knowledge, Known, known
from gt_conformance.runbook import Prerequisite, load_directory
from gt_conformance.tenant import KeyMapping, Tenant, choose
from gt_conformance.vocabulary import Fact, Outcome, Purpose, Scope
from tests.fake_tenant import key, tenant_of

DIFY = next(book for book in load_directory(resources.runbooks_dir()) if book.id == "dify")
CONFORMS, VIOLATES, BLOCKED = Outcome.CONFORMS, Outcome.VIOLATES, Outcome.BLOCKED
YES, NO, UNKNOWN = Knowledge.YES, Knowledge.NO, Knowledge.UNKNOWN


def one(*known_by: str, tenant: Tenant, **outcomes: tuple[Outcome, ...]) -> Known:
    """What is known of dify's one prerequisite; outcomes by check, ``__`` for the dot in its name."""
    book = replace(DIFY, prerequisites=(Prerequisite("It is there.", tuple(map(Fact, known_by))),))
    by_check = {check.replace("__", "."): found for check, found in outcomes.items()}
    [found] = known(tenant, book, choose(tenant, book.id, book.native_routes()), by_check)
    assert found.text == "It is there."
    return found


ALL = tenant_of(key("chat"))
TALKS = key("chat", scopes=frozenset({Scope.CHAT}))
EMBEDS = key("rag", scopes=frozenset({Scope.EMBED}))
MAPPED = tenant_of(TALKS, runbooks={"dify": KeyMapping("chat")})
SCOPES: dict[str, tuple[Tenant, tuple[Outcome, ...], str]] = {
    "the check that needs it conforms": (ALL, (CONFORMS,), "scope inference:embed on the key chat: yes"),
    "it conforms for one client": (ALL, (VIOLATES, CONFORMS), "scope inference:embed on the key chat: yes"),
    "the check violates, perhaps for another reason": (
        ALL,
        (VIOLATES,),
        "scope inference:embed on the key chat: unknown",
    ),
    "the check was blocked": (ALL, (BLOCKED,), "scope inference:embed on the key chat: unknown"),
    "the check was not selected": (ALL, (), "scope inference:embed on the key chat: unknown"),
    "the runbook's key is declared without it": (MAPPED, (), "scope inference:embed on the key chat: no"),
    "it conforms though the key is declared without it": (
        MAPPED,
        (CONFORMS,),
        "scope inference:embed on the key chat: yes",
    ),
    "the tenant file leaves the scopes out": (
        tenant_of(key("chat", scopes=None)),
        (),
        "scope inference:embed on the key chat: unknown",
    ),
    "each route has a key of its own": (
        tenant_of(TALKS, EMBEDS),
        (CONFORMS,),
        "scope inference:embed on the key rag: yes",
    ),
    "no key may be used at all": (
        tenant_of(key("gone", revoked=True)),
        (),
        "scope inference:embed: unknown",
    ),
}


@pytest.mark.parametrize(("tenant", "outcomes", "how"), SCOPES.values(), ids=SCOPES)
def test_a_scope_is_known_by_its_check_or_by_its_declaration(
    tenant: Tenant, outcomes: tuple[Outcome, ...], how: str
) -> None:
    """A check that conforms shows the scope, a declaration without it denies it; nothing else tells."""
    assert one("scope_embed", tenant=tenant, embeddings__batch=outcomes).how == (how,)


UPLOADER = key("up", purpose=Purpose.UPLOAD, scopes=frozenset({Scope.DATASETS_WRITE}))
UPLOADS: dict[str, tuple[Tenant, tuple[Outcome, ...], tuple[str, ...]]] = {
    "an upload becomes ready": (
        ALL,
        (CONFORMS,),
        ("upload key works: yes", "dataset on the key's allowlist: yes", "conversation key works: unknown"),
    ),
    "no key is for uploads": (
        ALL,
        (VIOLATES,),
        ("upload key works: no", "dataset on the key's allowlist: unknown", "conversation key works: unknown"),
    ),
    "a key is for uploads": (
        tenant_of(key("chat"), UPLOADER),
        (VIOLATES,),
        ("upload key works: unknown", "dataset on the key's allowlist: unknown", "conversation key works: unknown"),
    ),
    "a key is for what the file does not say": (
        tenant_of(key("chat"), key("open", purpose=None)),
        (),
        ("upload key works: unknown", "dataset on the key's allowlist: unknown", "conversation key works: unknown"),
    ),
    "the key for uploads is revoked": (
        tenant_of(key("chat"), replace(UPLOADER, revoked=True)),
        (),
        ("upload key works: no", "dataset on the key's allowlist: unknown", "conversation key works: unknown"),
    ),
}


@pytest.mark.parametrize(("tenant", "outcomes", "how"), UPLOADS.values(), ids=UPLOADS)
def test_keys_of_other_purposes_are_known_by_their_work(
    tenant: Tenant, outcomes: tuple[Outcome, ...], how: tuple[str, ...]
) -> None:
    """An upload that becomes ready shows its key; where every key is for something else, there is none."""
    names = ("upload_key", "dataset_allowlisted", "conversation_key")
    assert one(*names, tenant=tenant, upload__dataset_ready=outcomes).how == how


DEDICATED: dict[str, tuple[dict[str, KeyMapping], Knowledge]] = {
    "no runbook is mapped": ({}, UNKNOWN),
    "only another runbook is mapped": ({"n8n": KeyMapping("chat")}, UNKNOWN),
    "its extension key alone is named": ({"dify": KeyMapping(extension_key="chat")}, UNKNOWN),
    "nobody else has its key": ({"dify": KeyMapping("chat"), "n8n": KeyMapping("rag", "up")}, YES),
    "another runbook has its key": ({"dify": KeyMapping("chat"), "n8n": KeyMapping("chat")}, NO),
    "another runbook extends by its key": ({"dify": KeyMapping("chat"), "n8n": KeyMapping("rag", "chat")}, NO),
}


@pytest.mark.parametrize(("mapped", "answer"), DEDICATED.values(), ids=DEDICATED)
def test_a_dedicated_key_is_known_by_the_tenant_file(mapped: dict[str, KeyMapping], answer: Knowledge) -> None:
    """Where the tenant file says which key the runbook uses, it says whether another one uses it as well."""
    tenant = tenant_of(TALKS, EMBEDS, UPLOADER, runbooks=mapped)
    assert one("dedicated_key", tenant=tenant).how == (f"dedicated key: {answer.value}",)


WHOLE: dict[str, tuple[tuple[str, ...], Knowledge]] = {
    "all parts are there": (("alias_published", "scope_chat"), YES),
    "a part is unknown": (("alias_published", "conversation_key"), UNKNOWN),
    "a part is missing": (("alias_published", "scope_embed"), NO),
    "a part is missing and one unknown": (("conversation_key", "scope_embed"), NO),
    "all parts are unknown": (("conversation_key",), UNKNOWN),
    "no run can know it": ((), UNKNOWN),
}


@pytest.mark.parametrize(("names", "answer"), WHOLE.values(), ids=WHOLE)
def test_a_prerequisite_is_there_where_all_its_parts_are(names: tuple[str, ...], answer: Knowledge) -> None:
    """One part that is missing denies the whole; one that is unknown leaves it open."""
    conforming = {"models__contains_alias": (CONFORMS,), "chat__completes": (CONFORMS,)}
    assert one(*names, tenant=MAPPED, **conforming).known is answer
