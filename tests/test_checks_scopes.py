"""The checks of scopes: who is let in where, and what a client's key opens beyond what its client needs."""

from dataclasses import replace
from itertools import count

import pytest

from gt_conformance.checks import Parameters, requests
from gt_conformance.exchange import Request, Response
from gt_conformance.tenant import KeyMapping, Tenant
from gt_conformance.vocabulary import CONVERSATION_HEADER, Actor, Outcome, Preset, Purpose, Route, Scope
from tests.fake_tenant import (
    ALIAS,
    BASE_URL,
    TENANT,
    FakeSender,
    Rule,
    answer,
    by,
    extensions,
    findings,
    judged,
    key,
    place,
    refusal,
    sent_json,
    tenant_of,
    to,
)
from tests.keys_asked import (
    APP,
    CHAT,
    CONVERSATION_FILES,
    CONVERSATIONS,
    DATASET_FILES,
    DATASETS,
    EMBEDDINGS,
    IMAGES,
    INFERENCE_ROUTES,
    SPEECH,
    asked,
    only_bearer,
    violates,
    with_twins,
)

# -- key.scope_enforced

TALKS = key("talks", scopes=frozenset({Scope.CHAT}))
SCOPED = tenant_of(TALKS, key("app", **APP), dataset="scratch")
BEYOND = INFERENCE_ROUTES - {CHAT} | {CONVERSATION_FILES, DATASET_FILES, "/v1/files/file-app"}
KEPT_OUT = by("talks", refusal(403), at=BEYOND)


def test_each_key_is_tried_where_its_scopes_do_not_reach() -> None:
    """A key is sent to each route that it lacks the scope for, by both addresses, and one that has them all to none."""
    sender = FakeSender(KEPT_OUT, extensions)
    result = judged("key.scope_enforced", tenant=SCOPED, sender=sender)
    assert (result.outcome, result.advisories) == (Outcome.CONFORMS, ())
    scoped = INFERENCE_ROUTES - {CHAT} | {DATASET_FILES}
    assert asked(sender, by="talks") == BEYOND | with_twins({*scoped, CONVERSATION_FILES})
    made = {CONVERSATIONS, DATASET_FILES}
    answered = {EMBEDDINGS, "/v1/audio/transcriptions", "/v1/audio/speech", "/v1/images/generations"}
    assert asked(sender, by="app") == made | answered, "it makes what the other is kept from, and is answered first"


@pytest.mark.parametrize("path", sorted(BEYOND))
def test_a_route_that_takes_a_key_without_its_scope_is_a_violation(path: str) -> None:
    """A 2xx to a key that lacks the right violates on every route, and names the key."""
    result = judged("key.scope_enforced", by("talks", answer({}), at=[path]), KEPT_OUT, extensions, tenant=SCOPED)
    violates(result, " by the key talks is refused")
    assert len(result.violations) == 1


def test_keys_of_each_purpose_try_the_unversioned_address_and_one_of_chats_embeddings() -> None:
    """There an address may take a key for what it is: of embeddings that is the likeliest mistake."""
    sender = FakeSender(KEPT_OUT, only_bearer, extensions)
    chats = {"purpose": Purpose.CONVERSATION, "scopes": frozenset({Scope.CHAT})}
    keys = (key("all"), TALKS, key("writes", **DATASETS), key("app", **chats))
    judged("key.scope_enforced", tenant=tenant_of(*keys, dataset="scratch"), sender=sender)
    tried_by = {place(request): request.key for request in sender.sent if request.key and "/v1/" not in request.url}
    assert tried_by[EMBEDDINGS.removeprefix("/v1")] == "talks"
    assert set(tried_by.values()) == {"talks", "writes", "app"}


def test_a_key_that_is_not_allowed_the_model_opens_no_conversation() -> None:
    """One key of each purpose is tried; a key that is allowed the model may open one, whatever its purpose."""
    other = frozenset({"other"})
    keys = (key("all"), TALKS, key("writes", **DATASETS), key("app", **APP), key("draws", models=other))
    sender = FakeSender(only_bearer, extensions)
    result = judged("key.scope_enforced", tenant=tenant_of(*keys, key("wide", models=other)), sender=sender)
    opening = {request.key for request in sender.sent if place(request) == CONVERSATIONS and request.key}
    assert opening - {"app"} == {"writes", "draws"}
    violates(result, "POST /v1/conversations with a name that the key draws may not use is refused with a 4xx")


@pytest.mark.parametrize(
    ("opened", "found"),
    [
        ("raw", "POST /v1/conversations with a name that the key app may not use is refused with a 4xx"),
        (ALIAS, "POST /conversations by the key app, which is not allowed the name, is refused"),
    ],
    ids=["raw model", "alias"],
)
def test_a_conversation_key_opens_none_with_a_raw_model_or_an_alias_of_others(opened: str, found: str) -> None:
    """They are on allowlists of their own: each is tried by one address. Open by both it is no hole of an address."""
    own = frozenset({"other"})
    keys = (key("wide", models=frozenset({ALIAS, "raw", *own})), key("app", **APP | {"models": own}))
    ids = count(1)

    def opens(request: Request) -> Response | None:
        is_meant = request.key == "app" and sent_json(request).get("model") == opened
        return answer({"id": f"own-{next(ids)}"}) if is_meant else None

    rules = (opens, by("app", refusal(403)), only_bearer, extensions)
    result = judged("key.scope_enforced", *rules, tenant=tenant_of(*keys, raw_models=("raw",)))
    violates(result, found)
    [violation] = result.violations
    assert "look for the name, alias or raw model, on the key's allowlist" in str(violation.remedy)


BUSY = refusal(429)
TOLD_APART = "a refusal looks like an absence without a real"
NO_FILE = f"{TOLD_APART} file, and no other key could upload one"
NO_CONVERSATION = f"{TOLD_APART} conversation, and no other key could open one"
NO_DATASET = f"{TOLD_APART} dataset, and none is named"
UNTRIED: dict[str, tuple[tuple[Rule, ...], Tenant, set[str]]] = {
    "nothing of another key to be refused": (
        (by("chat", refusal(403)),),
        TENANT,
        {
            f"GET /v1/files/{{id}} by the key chat: {NO_FILE}",
            f"POST /v1/conversations/files by the key chat: {NO_CONVERSATION}",
            f"POST /v1/datasets/{{id}}/files by the key chat: {NO_DATASET}",
        },
    ),
    "a route is busy": (
        (by("talks", BUSY, at=[SPEECH]), KEPT_OUT, extensions),
        SCOPED,
        {"POST /v1/audio/speech by the key talks: the tenant answered 429 (too many requests) 1 time"},
    ),
    "conversations are busy": (
        (by("draws", BUSY, at=[CONVERSATIONS]), by("draws", refusal(403)), KEPT_OUT, extensions),
        tenant_of(*SCOPED.credentials.values(), key("draws", models=frozenset({"other"})), dataset="scratch"),
        {"POST /v1/conversations by the key draws: the tenant answered 429 (too many requests) 1 time"},
    ),
    "nothing may be created": (
        (),
        tenant_of(key("writes", **DATASETS | {"scopes": frozenset(Scope)}), read_only=True),
        {"the run is read-only, and this creates something in the tenant"},
    ),
    "no key declares what it lacks": (
        (),
        tenant_of(key("open", purpose=None, scopes=None)),
        {"no key is declared with scopes that leave a route out"},
    ),
}


@pytest.mark.parametrize(("rules", "tenant", "reasons"), UNTRIED.values(), ids=UNTRIED)
def test_what_could_not_be_tried_is_blocked(rules: tuple[Rule, ...], tenant: Tenant, reasons: set[str]) -> None:
    """A part that could not be tried is said with its route and key: the check is not green without it."""
    result = judged("key.scope_enforced", *rules, tenant=tenant)
    assert result.outcome is Outcome.BLOCKED
    assert {blocker.reason for blocker in result.blockers} == reasons
    assert all(blocker.remedy for blocker in result.blockers)


def test_a_read_only_run_creates_nothing_to_see_it_refused() -> None:
    """A conversation that a tenant would open by mistake stays unasked for where nothing may be created."""
    sender = FakeSender(extensions)
    judged("key.scope_enforced", tenant=replace(SCOPED, read_only=True), sender=sender)
    assert not [request for request in sender.sent if request.creates]


def test_what_a_read_only_run_asks_for_without_a_key_could_create_nothing() -> None:
    """Nor would it where the tenant lets anybody in: datasets, conversations and names are made up."""
    sender = FakeSender(extensions)
    judged("key.required", tenant=replace(SCOPED, read_only=True, dataset="scratch"), sender=sender)
    creating = [request for request in sender.sent if request.creates]
    assert {request.url.removeprefix(f"{BASE_URL}/v1") for request in creating} >= {
        f"/datasets/{requests.MADE_UP_ID}/files",
        "/conversations",
        "/conversations/files",
    }
    for request in creating:
        header = dict(request.headers).get(CONVERSATION_HEADER)
        assert requests.MADE_UP_ID in {header, sent_json(request).get("model"), *request.url.split("/")}


ENOUGH: dict[str, Tenant] = {
    "a route alone": tenant_of(key("talks", purpose=None, scopes=frozenset({Scope.CHAT})), dataset="scratch"),
    "conversations alone": tenant_of(key("talks", purpose=Purpose.UPLOAD, scopes=frozenset(Scope))),
}


@pytest.mark.parametrize("tenant", ENOUGH.values(), ids=ENOUGH)
def test_one_refusal_is_enough(tenant: Tenant) -> None:
    """Where something was refused the check has seen a scope at work."""
    assert judged("key.scope_enforced", by("talks", refusal(403)), tenant=tenant).outcome is Outcome.CONFORMS


# -- presets

VOICE = frozenset({Scope.CHAT, Scope.TRANSCRIBE, Scope.SPEECH})
PRESET_KEY = key("voice", preset=Preset.VOICE_AUDIO, scopes=VOICE)
PRESETS: dict[str, tuple[Rule, str]] = {
    "all is open": (lambda _: None, ""),
    "speech is refused": (
        by("voice", refusal(403), at=[SPEECH]),
        "the preset voice-audio lets the key voice reach POST /v1/audio/speech; found HTTP 403",
    ),
    "speech is broken": (by("voice", refusal(500, "Down."), at=[SPEECH]), ""),
    "more is open": (by("voice", answer({}), at=[IMAGES]), "POST /v1/images/generations"),
}


@pytest.mark.parametrize(("rule", "said"), PRESETS.values(), ids=PRESETS)
def test_a_key_of_a_preset_may_do_what_it_says_and_no_more(rule: Rule, said: str) -> None:
    """What the preset grants is open to the key, by its own name; what fails otherwise is no question of keys."""
    others = by("voice", refusal(403), at=[EMBEDDINGS, IMAGES, DATASET_FILES, CONVERSATION_FILES, CONVERSATIONS])
    result = judged("key.scope_enforced", rule, others, tenant=tenant_of(PRESET_KEY))
    assert bool(result.violations) is bool(said), findings(result)
    assert said in findings(result)


def test_a_preset_is_held_to_names_that_are_declared() -> None:
    """A refusal may be due to a name that the key is not declared to have: it tells nothing of the preset."""
    tenant = tenant_of(replace(PRESET_KEY, models=None))
    others = by("voice", refusal(403), at=INFERENCE_ROUTES | {DATASET_FILES, CONVERSATION_FILES, CONVERSATIONS})
    assert judged("key.scope_enforced", others, tenant=tenant).violations == ()


# -- key.dedicated

FOR_DIFY = Parameters(runbook="dify")
BOTH = (key("chat"), key("rag"))
MAPPED = {"dify": KeyMapping("chat", "rag")}
SHARED: dict[str, tuple[Tenant, str]] = {
    "another runbook's key": (
        tenant_of(*BOTH, runbooks=MAPPED | {"n8n": KeyMapping("chat"), "cline": KeyMapping("chat")}),
        "the key chat does not serve dify alone: it also serves cline, n8n",
    ),
    "another runbook's extension key": (
        tenant_of(*BOTH, runbooks=MAPPED | {"n8n": KeyMapping("rag", "chat")}),
        "the key chat does not serve dify alone: it also serves n8n",
    ),
}


@pytest.mark.parametrize(("tenant", "said"), SHARED.values(), ids=SHARED)
def test_a_key_that_serves_more_than_its_client_blocks(tenant: Tenant, said: str) -> None:
    """A key that another runbook takes is no client's own: for the operator to change, and no fault of the tenant."""
    result = judged("key.dedicated", tenant=tenant, parameters=FOR_DIFY)
    assert (result.outcome, result.reason) == (Outcome.BLOCKED, said)
    assert [blocker.acts for blocker in result.blockers] == [Actor.SETUP]


def test_a_key_of_its_own_is_told_from_the_file_alone() -> None:
    """Where other runbooks take other keys the key is dedicated, and nothing was sent to know it."""
    result = judged(
        "key.dedicated", tenant=tenant_of(*BOTH, runbooks=MAPPED | {"n8n": KeyMapping("rag")}), parameters=FOR_DIFY
    )
    assert (result.outcome, result.exchanges) == (Outcome.CONFORMS, ())


@pytest.mark.parametrize(
    "mapped",
    [{}, {"n8n": KeyMapping("chat")}, {"dify": KeyMapping(extension_key="chat")}],
    ids=["no runbook is mapped", "only another one is", "only its extension key is"],
)
def test_a_runbook_without_a_named_key_is_blocked(mapped: dict[str, KeyMapping]) -> None:
    """Where the tenant file names no key for the runbook, nobody knows which one its client has."""
    result = judged("key.dedicated", tenant=tenant_of(*BOTH, runbooks=mapped), parameters=FOR_DIFY)
    assert (result.outcome, result.reason) == (Outcome.BLOCKED, "nothing says which key dify uses")


# -- key.least_privilege

NEEDLESS = Parameters(routes=(Route.EMBEDDINGS, Route.FILE_STATUS))


def test_a_key_is_refused_what_its_runbook_does_not_need() -> None:
    """Each needless route is tried with the runbook's key, with a real file where it takes one."""
    sender = FakeSender(KEPT_OUT, extensions)
    result = judged("key.least_privilege", tenant=SCOPED, parameters=NEEDLESS, sender=sender)
    assert result.outcome is Outcome.CONFORMS
    assert asked(sender, by="talks") == {EMBEDDINGS, "/v1/files/file-app"}


def test_a_needless_route_that_its_declared_scopes_leave_out_is_a_violation() -> None:
    """A route that is open although the tenant file says that the key has no right to it: scopes are not enforced."""
    state = by("talks", answer({"id": "file-app", "status": "ready"}), at=["/v1/files/file-app"])
    result = judged("key.least_privilege", only_bearer, state, extensions, tenant=SCOPED, parameters=NEEDLESS)
    violates(
        result, "POST /v1/embeddings by the key talks is refused: its declared scopes leave it out; found HTTP 200"
    )
    assert len(result.violations) == 2
    assert len({item.finding for item in result.violations}) == 1


@pytest.mark.parametrize("scopes", [None, frozenset({Scope.CHAT, Scope.EMBED})], ids=["not declared", "declared"])
def test_a_key_that_opens_more_than_its_runbook_needs_blocks(scopes: frozenset[Scope] | None) -> None:
    """A wide key is the operator's to narrow: the item is not green, and says which scope to take off."""
    wide = tenant_of(key("talks", scopes=scopes))
    result = judged("key.least_privilege", tenant=wide, parameters=Parameters(routes=(Route.EMBEDDINGS,)))
    assert result.outcome is Outcome.BLOCKED
    assert result.reason == "the key talks opens more than its runbook needs: POST /v1/embeddings"
    assert result.remedy.startswith("Take inference:embed off the key talks")
    assert [blocker.acts for blocker in result.blockers] == [Actor.SETUP]


def test_a_scope_is_not_proved_by_a_route_that_does_not_exist() -> None:
    """A route that is missing refuses everybody: what a key lacks was not the reason."""
    missing = refusal(404, "There is no such route.")
    rules = (to("embeddings", missing), to("gt-conformance-no-such-route", missing))
    alone = judged("key.scope_enforced", *rules, KEPT_OUT, extensions, tenant=SCOPED)
    assert alone.outcome is Outcome.BLOCKED
    reasons = [blocker.reason for blocker in alone.blockers]
    assert any(reason.startswith("POST /v1/embeddings by the key talks") for reason in reasons)


def test_a_needless_route_that_could_not_be_tried_is_named() -> None:
    """A route that cannot be tried without something real is a blocker; the others are tried all the same."""
    sender = FakeSender(by("chat", refusal(403)))
    parameters = Parameters(routes=(Route.FILE_STATUS, Route.EMBEDDINGS))
    result = judged("key.least_privilege", parameters=parameters, sender=sender)
    assert result.outcome is Outcome.BLOCKED
    assert result.reason == f"GET /v1/files/{{id}}: {NO_FILE}"
    assert asked(sender, by="chat") == {EMBEDDINGS}


def test_a_key_whose_runbook_needs_all_leaves_nothing_to_refuse() -> None:
    """Where every route is needed the check is blocked, and says how to divide the rights."""
    result = judged("key.least_privilege")
    assert result.outcome is Outcome.BLOCKED
    assert result.reason == "the key chat serves every route of this runbook, so nothing is left to refuse"
