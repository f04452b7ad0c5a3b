"""The checks of keys in time: what is dead after a rotation or a revocation, and what has to stay as it was."""

from dataclasses import replace

import pytest

from gt_conformance.checks import CheckCall, Earlier, Parameters, Sketch, requests
from gt_conformance.exchange import Request, Response
from gt_conformance.tenant import Credential, KnownConversation, Secret, Tenant
from gt_conformance.vocabulary import Outcome, RemarkKind
from tests.fake_tenant import (
    ALIAS,
    FakeSender,
    Reply,
    Rule,
    answer,
    by,
    embedding_list,
    findings,
    judged,
    key,
    place,
    plan_of,
    refusal,
    run,
    tenant_of,
    to,
    vector_of,
)
from tests.keys_asked import DEAD, EMBEDDINGS, GONE, MODELS, asked, dead, only_bearer, violates, where_dead

# -- key.revocation

REVOKED = tenant_of(key("chat"), key("gone", revoked=True))

ALIVE: dict[str, tuple[Response | Reply, str]] = {
    "a 2xx": (answer({}), "POST /v1/embeddings with a revoked key of gone is refused with 401 or 403; found HTTP 200"),
    "a 5xx": (refusal(500, "Down."), "found HTTP 500: Down."),
    "no answer": (GONE, "found no answer: closed"),
}


@pytest.mark.parametrize(("given", "said"), ALIVE.values(), ids=ALIVE)
def test_a_revoked_key_that_is_not_dead_is_a_violation(given: Response | Reply, said: str) -> None:
    """A revoked key is answered 401 or 403; a 2xx, a 5xx and silence violate."""
    rules = (by("gone", given, at=[EMBEDDINGS]), dead("gone"), only_bearer)
    result = judged("key.revocation", *rules, tenant=REVOKED)
    violates(result, said)
    assert len(result.violations) == 1


def test_a_revoked_key_is_not_blamed_for_a_route_that_takes_any() -> None:
    """What answers without a key at all is that hole alone, though a revoked key gets in as well."""
    result = judged("key.revocation", to("embeddings", answer({})), dead("gone"), only_bearer, tenant=REVOKED)
    assert (result.outcome, result.violations) == (Outcome.BLOCKED, ())
    required = judged("key.required", to("embeddings", answer({})), only_bearer, tenant=REVOKED)
    assert result.because in {violation.finding for violation in required.violations}


@pytest.mark.parametrize("given", [refusal(403, "No."), answer("", 401)], ids=["a 403", "a 401 without a reason"])
def test_no_page_says_how_a_dead_key_is_refused(given: Response) -> None:
    """401 and 403 are alike, in any form."""
    result = judged("key.revocation", by("gone", given, at=[EMBEDDINGS]), dead("gone"), tenant=REVOKED)
    assert (result.outcome, result.reason) == (Outcome.CONFORMS, "")


def test_a_revoked_key_is_dead_on_every_route() -> None:
    """Each revoked key is tried with all that a key opens, by both addresses, none of them only remarked."""
    sender = FakeSender(dead("gone"))
    result = judged("key.revocation", tenant=REVOKED, sender=sender, strict=True)
    assert (result.outcome, result.reason) == (Outcome.CONFORMS, "")
    assert asked(sender, by="gone") | {MODELS} == where_dead()


def test_a_revoked_key_may_be_refused_in_another_shape() -> None:
    """A 401 in a shape of its own is remarked, no more."""
    result = judged("key.revocation", by("gone", answer({"detail": "revoked"}, 401)), dead("gone"), tenant=REVOKED)
    assert result.outcome is Outcome.CONFORMS
    assert [item.text for item in result.advisories] == [
        "refusals do not carry OpenAI's error object (message, type, param, code)"
    ]


def test_a_tenant_file_without_a_revoked_key_proves_no_revocation() -> None:
    """Without a revoked key nothing is tried, and the check says what to do."""
    result = judged("key.revocation")
    assert (result.outcome, result.reason) == (Outcome.BLOCKED, "no revoked key is known")
    assert result.exchanges == ()


def test_a_live_key_that_dies_of_a_revocation_is_a_violation() -> None:
    """The live key lists models after the revoked one was tried, whatever another check asked before."""
    revoked: list[Request] = []

    def takes_both_down(request: Request) -> Response | None:
        if request.key == "gone":
            revoked.append(request)
            return DEAD
        return refusal(403, "Locked.") if revoked and place(request) == MODELS and request.key == "chat" else None

    # Another key goes on working: else it would be this machine that is refused, and not the key.
    tenant = tenant_of(*REVOKED.credentials.values(), key("other"))
    call = CheckCall("key.revocation", "chat")
    plan = plan_of(tenant, call, CheckCall("models.contains_alias", "other"))
    result = run(plan, FakeSender(takes_both_down)).result(call)
    violates(result, "the key chat goes on working; found HTTP 403: Locked.")


def test_no_other_checks_model_list_stands_in_for_the_one_after_a_revocation() -> None:
    """The list that shows the live key at work is asked for anew, though others ask for it as well."""
    sender = FakeSender(dead("gone"))
    discovery = CheckCall("client.discovery", "chat", Parameters(discovery=("GET /api/tags",)))
    run(plan_of(REVOKED, CheckCall("key.revocation", "chat"), discovery), sender)
    assert [request.key for request in sender.sent if place(request) == MODELS].count("chat") == 4


def test_a_retired_secret_that_no_runbook_uses_is_tried_in_a_run_of_everything() -> None:
    """Each retired secret is dead wherever its key may be let in, and its key need serve no runbook."""
    tenant = tenant_of(key("chat"), key("spare", retired_secret=Secret("gtak_" + "1" * 40)), key("gone", revoked=True))
    alive = by("spare.old", answer({}), at=[EMBEDDINGS])
    rules = (alive, dead("spare.old"), dead("gone"), only_bearer)
    violates(judged("key.revocation", *rules, tenant=tenant), "POST /v1/embeddings with a retired secret of spare is")
    some = Parameters(keys=("chat",))
    assert judged("key.revocation", *rules, tenant=tenant, parameters=some).outcome is Outcome.CONFORMS


def test_a_retired_secret_is_tried_without_a_revoked_key() -> None:
    """What is alive violates, though no revoked key is known; else that is what is missing."""
    tenant = tenant_of(key("chat", retired_secret=Secret("gtak_" + "1" * 40)))
    violates(judged("key.revocation", only_bearer, tenant=tenant), "with a retired secret of chat is refused")
    result = judged("key.revocation", dead("chat.old"), tenant=tenant)
    assert (result.outcome, result.reason) == (Outcome.BLOCKED, "no revoked key is known")


def in_conversation(told: str) -> Rule:
    """A rule: what a chat in the conversation of the revoked key gives."""
    given = answer({"choices": [{"message": {"role": "assistant", "content": told}, "finish_reason": "stop"}]})
    return lambda request: given if dict(request.headers).get("X-GT-Conversation-Id") == "conv_1" else None


@pytest.mark.parametrize(
    ("rule", "outcome"),
    [
        pytest.param(in_conversation("It is Amber 4711."), Outcome.VIOLATES, id="told"),
        pytest.param(in_conversation("I do not know."), Outcome.CONFORMS, id="answered without"),
        pytest.param(lambda _: None, Outcome.CONFORMS, id="refused"),
    ],
)
def test_what_was_said_in_a_revoked_keys_conversation_is_told_to_nobody(rule: Rule, outcome: Outcome) -> None:
    """Another key that names the conversation is not told the code word of it."""
    left = KnownConversation("conv_1", "amber-4711")
    tenant = tenant_of(key("chat"), key("gone", revoked=True, conversation=left))
    result = judged("key.revocation", dead("gone"), rule, tenant=tenant)
    assert result.outcome is outcome
    if outcome is Outcome.VIOLATES:
        assert findings(result).endswith("reaches nobody; found the key chat gets its code word")


# -- key.rotation, embeddings.after_rotation

ROTATED = tenant_of(key("chat", retired_secret=Secret("gtak_" + "0" * 40)))
REPLACED = dead("chat.old")


def lists(*names: str, by: str = "chat") -> Rule:
    """A rule: the models that a key is shown."""
    data = [{"id": name, "object": "model", "created": 1, "owned_by": "gt"} for name in names]
    given = answer({"object": "list", "data": data})
    return lambda request: given if place(request) == MODELS and request.key == by else None


MANY = tuple(f"name-{number:02}" for number in range(12))
SOME = f"{', '.join(MANY[:5])} and {len(MANY[5:])} more"
ROTATIONS: dict[str, tuple[str, tuple[Rule, ...], str]] = {
    "rotation: the old secret lists": (
        "key.rotation",
        (lists(ALIAS, by="chat.old"), REPLACED, only_bearer),
        "GET /v1/models with a retired secret of chat is refused with 401 or 403; found HTTP 200",
    ),
    "rotation: the old secret gets no answer": (
        "key.rotation",
        (by("chat.old", GONE, at=[MODELS]), REPLACED),
        "found no answer: closed",
    ),
    "rotation: a name is lost": ("key.rotation", (REPLACED, lists()), f"names: {ALIAS}; found not listed: {ALIAS}"),
    "rotation: a name is new": (
        "key.rotation",
        (REPLACED, lists("raw", ALIAS)),
        f"the new secret lists the key's names: {ALIAS}; found listed though not allowed: raw",
    ),
    "rotation: the names are others": (
        "key.rotation",
        (REPLACED, lists(*MANY)),
        f"names: {ALIAS}; found listed though not allowed: {SOME}",
    ),
    "embeddings: the old secret embeds": (
        "embeddings.after_rotation",
        (only_bearer,),
        "POST /v1/embeddings with a retired secret of chat is refused with 401 or 403; found HTTP 200",
    ),
    "embeddings: the new secret does not": (
        "embeddings.after_rotation",
        (REPLACED, to("embeddings", refusal(500, "Down."))),
        "the new secret embeds; found HTTP 500: Down.",
    ),
    "embeddings: dimensions differ": (
        "embeddings.after_rotation",
        (REPLACED, to("embeddings", answer(embedding_list([[1.0, 2.0], [1.0], [1.0]])))),
        "vectors of one dimension; found dimensions [1, 2]",
    ),
}


@pytest.mark.parametrize(("check", "rules", "said"), ROTATIONS.values(), ids=ROTATIONS)
def test_a_rotation_that_leaves_or_takes_too_much_violates(check: str, rules: tuple[Rule, ...], said: str) -> None:
    """The old secret is dead, and the new one can do what the old one could; a few names are named."""
    result = judged(check, *rules, tenant=ROTATED)
    violates(result, said)
    assert findings(result).endswith(said)


BEFORE = Sketch.of(ALIAS, vector_of(requests.SAME_IN_EACH_RUN))
TURNED = Sketch.of(ALIAS, [-number for number in vector_of(requests.SAME_IN_EACH_RUN)])
SHORTER = Sketch.of(ALIAS, vector_of(requests.SAME_IN_EACH_RUN)[:1])
WITH_OLD, WITH_NEW = (ROTATED.secrets()[name].fingerprint for name in ("chat.old", "chat"))
RECORDED: dict[str, tuple[str, Sketch, Outcome, str]] = {
    "the same": (WITH_OLD, BEFORE, Outcome.CONFORMS, ""),
    "another model": (WITH_OLD, TURNED, Outcome.VIOLATES, "found another vector of"),
    "another length": (WITH_OLD, SHORTER, Outcome.VIOLATES, "1 in the run of 2026-05-01"),
    "another model without a rotation": (WITH_NEW, TURNED, Outcome.CONFORMS, "embeds a text otherwise than in the run"),
}


@pytest.mark.parametrize(("secret", "sketch", "outcome", "said"), RECORDED.values(), ids=RECORDED)
def test_vectors_are_compared_with_the_last_recorded_run(
    secret: str, sketch: Sketch, outcome: Outcome, said: str
) -> None:
    """A rotation between two runs may not change them; a change without one is advised, and no rotation's."""
    earlier = {secret: Earlier("2026-05-01", {ALIAS: sketch})}
    result = judged("embeddings.after_rotation", REPLACED, tenant=ROTATED, earlier=earlier)
    assert result.outcome is outcome
    assert said in " ".join([findings(result), *(advisory.text for advisory in result.advisories)])
    assert bool(result.remarks) is (secret == WITH_NEW)


@pytest.mark.parametrize(
    ("vectors", "said"),
    [
        pytest.param([], "", id="the same"),
        pytest.param([[0.6, -0.8]] * 3, "found", id="others"),
        pytest.param([[1.0]] * 3, "found", id="of another length"),
    ],
)
def test_a_key_that_was_not_rotated_shows_what_vectors_were(vectors: list[list[float]], said: str) -> None:
    """Another key of the same name embeds the same text to the same vector; then nothing is left uncompared."""
    tenant = tenant_of(*ROTATED.credentials.values(), key("steady"))
    rules = [by("steady", answer(embedding_list(vectors)), at=[EMBEDDINGS])] if vectors else []
    result = judged("embeddings.after_rotation", *rules, REPLACED, tenant=tenant)
    assert (result.outcome is Outcome.VIOLATES) is bool(said), findings(result)
    assert result.remarks == ()


def test_vectors_without_anything_to_compare_with_are_remarked() -> None:
    """Nothing shows what was embedded before: that is said, and blocks nothing."""
    result = judged("embeddings.after_rotation", REPLACED, tenant=ROTATED)
    assert [remark.kind for remark in result.remarks] == [RemarkKind.UNCOMPARED]


@pytest.mark.parametrize("check", ["key.rotation", "embeddings.after_rotation"])
def test_a_good_rotation_conforms(check: str) -> None:
    """Where the old secret is dead and the new one works there is nothing to say."""
    result = judged(check, REPLACED, tenant=ROTATED, strict=True)
    assert (result.outcome, result.reason) == (Outcome.CONFORMS, "")


def test_names_of_a_key_without_an_allowlist_are_not_judged() -> None:
    """Where the tenant file declares no names, what the new secret lists is right."""
    tenant = tenant_of(replace(ROTATED.credentials["chat"], models=None))
    assert judged("key.rotation", REPLACED, lists("raw"), tenant=tenant).outcome is Outcome.CONFORMS


@pytest.mark.parametrize("check", ["key.rotation", "embeddings.after_rotation"])
def test_without_a_retired_secret_no_rotation_is_proved(check: str) -> None:
    """A key that was never rotated blocks what is said of rotations, and names the command that drives one."""
    result = judged(check)
    assert (result.outcome, result.exchanges) == (Outcome.BLOCKED, ())
    assert result.reason == "no retired secret of the key chat is known"
    assert "gt-conformance rotate chat" in result.remedy


# -- key.isolation

OTHERS = tuple(key(name, models=frozenset({f"{name}-model"})) for name in ("rag", "voice", "third"))
ROTATED_KEY = ROTATED.credentials["chat"]
ISOLATED = tenant_of(ROTATED_KEY, *OTHERS)
OWN_NAMES = tuple(lists(f"{other.name}-model", by=other.name) for other in OTHERS)
ISOLATIONS: dict[str, tuple[Rule, str]] = {
    "another name is there": (
        lists("rag-model", ALIAS, by="rag"),
        f"the key rag works and lists exactly its own names; found listed though not allowed: {ALIAS}",
    ),
    "its name is gone": (lists(by="rag"), "found not listed: rag-model"),
    "the names are all of them": (lists(*MANY, by="rag"), f"found listed though not allowed: {SOME}"),
    "the second key's": (
        lists(ALIAS, by="voice"),
        f"the key voice works and lists exactly its own names; found listed though not allowed: {ALIAS}",
    ),
}


def _refusing_others(other: Credential) -> Rule:
    """The key is let in with its own name, and refused each other one."""

    def rule(request: Request) -> Response | None:
        named = f'"model":"{other.name}-model"'.encode() in request.body.replace(b": ", b":")
        chats = request.url.endswith("/v1/chat/completions") and request.key == other.name
        if not chats:
            return None
        return answer({"id": "x"}) if named else refusal(404, "There is no such model.")

    return rule


def test_a_name_that_a_key_is_declared_and_never_had_is_the_operators() -> None:
    """Neither listed to the key nor taken from it: its entry in the tenant file is out of date."""
    unusable = by("rag", refusal(404, "There is no such model."), at=("/v1/chat/completions",))
    result = judged("key.isolation", lists(ALIAS, by="rag"), unusable, *OWN_NAMES, tenant=ISOLATED)
    assert (result.outcome, result.violations) == (Outcome.BLOCKED, ())
    assert "rag-model" in result.reason
    assert "declares for the key rag, is neither listed nor works" in result.reason


@pytest.mark.parametrize(("rule", "said"), ISOLATIONS.values(), ids=ISOLATIONS)
def test_a_rotation_that_reaches_other_keys_is_a_violation(rule: Rule, said: str) -> None:
    """Each other key lists exactly its own names; a few of what it lists are named."""
    result = judged("key.isolation", rule, *map(_refusing_others, OTHERS), *OWN_NAMES, tenant=ISOLATED)
    violates(result, said)
    assert findings(result).endswith(said)


def test_a_name_that_a_key_is_listed_and_may_use_is_the_operators_to_declare() -> None:
    """Where another key is kept to its names, the tenant enforces allowlists: the tenant file is behind."""
    result = judged("key.isolation", lists("rag-model", ALIAS, by="rag"), *OWN_NAMES, tenant=ISOLATED)
    assert result.outcome is Outcome.BLOCKED
    assert result.reason.startswith(f"the tenant lists {ALIAS} to the key rag and lets it use it")
    everyone = tuple(lists(f"{other.name}-model", ALIAS, by=other.name) for other in OTHERS)
    chat = lists(ALIAS, "rag-model", by="chat")
    assert judged("key.isolation", *everyone, chat, tenant=ISOLATED).outcome is Outcome.VIOLATES


def test_two_other_keys_are_asked() -> None:
    """Two strangers are enough, and a key of undeclared names is none: it tells nothing."""
    sender = FakeSender(*OWN_NAMES)
    tenant = tenant_of(ROTATED_KEY, key("open", models=None), *OTHERS)
    result = judged("key.isolation", tenant=tenant, sender=sender)
    assert result.outcome is Outcome.CONFORMS
    assert {request.key for request in sender.sent} == {"chat", "rag", "voice"}


UNPROVED: dict[str, tuple[Tenant, str]] = {
    "no other key": (ROTATED, "no other live key, unlinked to chat and with declared models, is there to compare with"),
    "no other key with names": (
        tenant_of(ROTATED_KEY, key("open", models=None)),
        "no other live key, unlinked to chat and with declared models, is there to compare with",
    ),
    "nothing happened to any key": (
        tenant_of(key("chat"), *OTHERS),
        "nothing was rotated or revoked, so there is nothing that the other keys could have suffered from",
    ),
}


@pytest.mark.parametrize(("tenant", "reason"), UNPROVED.values(), ids=UNPROVED)
def test_keys_apart_are_proved_by_something_that_happened_to_one(tenant: Tenant, reason: str) -> None:
    """Without another key, or without a rotation or revocation, the check is blocked and says what to add."""
    result = judged("key.isolation", *OWN_NAMES, tenant=tenant)
    assert (result.outcome, result.reason, result.exchanges) == (Outcome.BLOCKED, reason, ())
    assert result.remedy


def test_a_revocation_will_do() -> None:
    """Where a key was revoked, the others could have suffered from that."""
    tenant = tenant_of(key("chat"), *OTHERS, key("gone", revoked=True))
    assert judged("key.isolation", *OWN_NAMES, tenant=tenant).outcome is Outcome.CONFORMS
