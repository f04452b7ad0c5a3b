"""The checks of keys, in time as well: each key that is let in where it must not be is found, and nothing else is."""

from collections.abc import Iterable
from dataclasses import replace
from itertools import product
from typing import Any

import pytest

from gt_conformance.checks import CheckCall, Earlier, Parameters, Sketch, requests
from gt_conformance.errors import Problem
from gt_conformance.exchange import Failure, Presentation, Request, Response
from gt_conformance.runner import CheckResult
from gt_conformance.tenant import OTHER_TENANT, Credential, KeyMapping, KnownConversation, Secret, Tenant
from gt_conformance.vocabulary import CONVERSATION_HEADER, Actor, Outcome, Preset, Purpose, RemarkKind, Route, Scope
from tests.fake_tenant import (
    ALIAS,
    BASE_URL,
    HTML_PAGE,
    TENANT,
    FakeSender,
    Reply,
    Rule,
    answer,
    by,
    embedding_list,
    extensions,
    findings,
    is_control,
    judged,
    key,
    place,
    plan_of,
    refusal,
    run,
    sent_json,
    stream,
    tenant_of,
    to,
    vector_of,
)

MODELS, CHAT, EMBEDDINGS = "/v1/models", "/v1/chat/completions", "/v1/embeddings"
CONVERSATIONS = "/v1/conversations"
CONVERSATION_FILES, DATASET_FILES = "/v1/conversations/files", "/v1/datasets/scratch/files"
SPEECH, IMAGES, TRANSCRIPTIONS = "/v1/audio/speech", "/v1/images/generations", "/v1/audio/transcriptions"
MADE_UP = "gt-conformance-no-such-id"
INFERENCE_ROUTES = frozenset({CHAT, EMBEDDINGS, TRANSCRIPTIONS, SPEECH, IMAGES})
THE_LIST = answer({"object": "list", "data": [{"id": ALIAS, "object": "model"}]})
GONE = Reply(failure=Failure.CLOSED, detail="closed")
DATASETS = {"purpose": Purpose.UPLOAD, "scopes": frozenset({Scope.DATASETS_WRITE}), "models": frozenset()}
APP: dict[str, Any] = {"purpose": Purpose.CONVERSATION, "scopes": frozenset(Scope)}


def asked(sender: FakeSender, *, by: str) -> set[str]:
    """The routes that a key was sent to, but for those of the controls."""
    return {place(request) for request in sender.sent if request.key == by and not is_control(request)}


def violates(result: CheckResult, said: str) -> None:
    """Assert a violation that says this, with its proof among the check's exchanges."""
    assert result.outcome is Outcome.VIOLATES
    assert said in findings(result)
    assert {violation.exchange for violation in result.violations} <= set(result.exchanges)


# -- key.required

WRONGLY = (Presentation.WITHOUT_SCHEME, Presentation.BASIC, Presentation.ELSEWHERE)
"""The wrong ways in which a real key is shown, the last of them where things are read as well."""
CHANGED = (
    Presentation.MISSPELLED,
    Presentation.ALTERED,
    Presentation.SHORTENED,
    Presentation.LENGTHENED,
    Presentation.BEFORE_COLON,
)
"""A real key that is not wholly right, shown in chats."""


def only_bearer(request: Request) -> Response | None:
    """Refuses a key that is not shown as it must be."""
    return refusal(401) if request.presentation is not Presentation.BEARER else None


def where_dead() -> set[str]:
    """Where keys are tried that worked once: by the un-versioned address at every surface, of media at one."""
    plain = ASKED_FOR - {f"/v1/uploads/{MADE_UP}"}
    return ASKED_FOR | with_twins(plain - {"/v1/audio/transcriptions", "/v1/images/generations"})


def where_unknown() -> set[str]:
    """Where keys are tried that never worked: by the un-versioned address at one surface of each kind."""
    plain = ASKED_FOR - {f"/v1/uploads/{MADE_UP}"}
    return plain | with_twins((CHAT, CONVERSATIONS, f"/v1/datasets/{MADE_UP}/files"))


def with_twins(paths: Iterable[str]) -> set[str]:
    """These paths and their un-versioned twins."""
    return {twin for path in paths for twin in (path, path.removeprefix("/v1"))}


SPELLINGS = (
    "//v1/models",
    "/v1/models/",
    "/V1/models",
    "/v1/models;v=1",
    "/v1/models.json",
    "/v1/%6dodels",
    "/v1/models.",
    "/health/%2e%2e/v1/models",
    "//chat/completions",
    "/chat/completions;v=1",
)
"""Paths that a gateway may let through, and that what is behind it takes for the model list, or for chats."""

ASKED_FOR = {
    MODELS,
    *INFERENCE_ROUTES,
    CONVERSATIONS,
    CONVERSATION_FILES,
    f"/v1/datasets/{MADE_UP}/files",
    f"/v1/files/{MADE_UP}",
    f"/v1/uploads/{MADE_UP}",
}
"""All that a key opens, where nothing real can be made to be asked for."""


def test_every_route_is_tried_in_each_wrong_way() -> None:
    """All that a key opens is asked for without one, by both addresses, and with an unknown one.

    By the un-versioned address it is one surface of each kind. A real key is shown wrongly in a chat: the way in is one
    for all, but for what is read from a query.
    """
    sender = FakeSender(only_bearer)
    result = judged("key.required", sender=sender)
    assert (result.outcome, result.advisories) == (Outcome.CONFORMS, ())
    tried = [(place(request), request.presentation) for request in sender.sent]
    assert {pair for pair in tried if pair[1] is not Presentation.BEARER} == {
        *product(with_twins(ASKED_FOR), (Presentation.NONE,)),
        *product(where_unknown(), (Presentation.MADE_UP,)),
        *product((CHAT,), (*WRONGLY, *CHANGED)),
        (MODELS, Presentation.ELSEWHERE),
        *product(SPELLINGS, (Presentation.NONE,)),
    }


SEVERAL = tenant_of(
    key("all"),
    key("talks", scopes=frozenset({Scope.CHAT})),
    key("embeds", scopes=frozenset({Scope.EMBED}), models=None),
    key("speaks elsewhere", scopes=frozenset({Scope.SPEECH}), models=frozenset({"another"})),
    key("writes", **DATASETS),
    key("app", **APP),
    dataset="scratch",
)
SHOWN: dict[str, tuple[Tenant, dict[str, str]]] = {
    "the narrowest key that would be let in": (
        SEVERAL,
        {MODELS: "writes", CHAT: "talks"},
    ),
    "the check's own where none is declared to be let in": (
        tenant_of(key("own", purpose=None, scopes=None), key("other", purpose=None, scopes=None)),
        {MODELS: "own", CHAT: "own"},
    ),
}


@pytest.mark.parametrize(("tenant", "keys"), SHOWN.values(), ids=SHOWN)
def test_the_key_that_is_shown_wrongly_would_be_let_in(tenant: Tenant, keys: dict[str, str]) -> None:
    """A real key is shown in a wrong way where its refusal proves something; no key is, where none is to be shown."""
    sender = FakeSender(only_bearer)
    judged("key.required", tenant=tenant, sender=sender)
    shown = {(place(request), request.key) for request in sender.sent if request.presentation in (*WRONGLY, *CHANGED)}
    assert shown == set(keys.items())
    unreal = {Presentation.NONE, Presentation.MADE_UP}
    assert {request.key for request in sender.sent if request.presentation in unreal} == {None}


def shown(presentation: Presentation, given: Response | Reply, *, at: str = CHAT) -> Rule:
    """A rule for a key that is shown so, on one route."""
    return lambda request: given if request.presentation is presentation and place(request) == at else None


def elsewhere(*alone: Presentation) -> Rule:
    """A rule that lets a key in at chats which is in the query string and in other headers at once, or in one alone."""
    taken = (Presentation.ELSEWHERE, *alone)
    return lambda request: answer({}) if request.presentation in taken and place(request) == CHAT else None


LET_IN: dict[str, tuple[Rule, str]] = {
    "no key": (
        shown(Presentation.NONE, answer({})),
        "POST /v1/chat/completions without a key is refused with 401 or 403; found HTTP 200",
    ),
    "an unknown key": (
        shown(Presentation.MADE_UP, answer({})),
        "POST /v1/chat/completions, streamed, to any key is refused with 401 or 403; found HTTP 200",
    ),
    "no scheme": (shown(Presentation.WITHOUT_SCHEME, answer({})), "with the key but no Bearer before it is refused"),
    "Basic": (shown(Presentation.BASIC, answer({})), "with the key as Basic authentication is refused"),
    "a query": (
        elsewhere(Presentation.QUERY),
        "POST /v1/chat/completions with the key in the query string is refused with 401 or 403; found HTTP 200",
    ),
    "another header": (
        elsewhere(Presentation.OTHER_HEADER),
        "with the key in x-api-key or a header like it is refused with 401 or 403; found HTTP 200",
    ),
    "a query with another header alone": (
        elsewhere(),
        "with the key in the query string and in x-api-key is refused",
    ),
    "no answer": (shown(Presentation.NONE, GONE), "found no answer: closed"),
    "conversations": (
        shown(Presentation.NONE, answer({}), at=CONVERSATIONS),
        "POST /v1/conversations without a key is refused with 401 or 403; found HTTP 200",
    ),
}


def sent_with(name: str, *, at: str = MODELS) -> Rule:
    """A rule that lets in whoever sends a header of this name."""
    given = THE_LIST if at == MODELS else answer({})
    return lambda request: given if place(request) == at and name in dict(request.headers) else None


PASSED_BY: dict[str, tuple[Rule, str]] = {
    "an internal address": (sent_with("X-Forwarded-For"), "with an internal client address in X-Forwarded-For"),
    "an origin": (sent_with("Origin", at=CHAT), "with an Origin, is refused"),
    "a made-up x-api-key": (sent_with("x-api-key"), "with a made-up key in x-api-key, is refused"),
    "no token": (
        lambda request: THE_LIST if ("Authorization", "Bearer") in request.headers else None,
        "with Bearer and no key after it, is refused",
    ),
    "a double slash": (
        lambda request: THE_LIST if place(request) == "//v1/models" else None,
        "with a double slash, is refused",
    ),
    "the end of a key": (
        shown(Presentation.ALTERED, answer({})),
        "with a key of which only the first half and the end are right is refused",
    ),
    "a key before a colon": (
        shown(Presentation.BEFORE_COLON, answer({})),
        "POST /v1/chat/completions with a key that has a colon and more at its end is refused",
    ),
    "what a key begins with": (shown(Presentation.SHORTENED, answer({})), "that lacks its last character is refused"),
    "more behind a key": (
        shown(Presentation.LENGTHENED, answer({})),
        "that has a character more at its end is refused",
    ),
    "a body in chunks": (sent_with("Transfer-Encoding"), "with a body in chunks (Transfer-Encoding), is refused"),
    "the method OPTIONS": (
        lambda request: THE_LIST if request.method == "OPTIONS" else None,
        "by the method OPTIONS, is refused",
    ),
    "letters in other case": (
        shown(Presentation.MISSPELLED, answer({})),
        "with a key of which only the first half is right is refused",
    ),
}


@pytest.mark.parametrize(("rule", "said"), PASSED_BY.values(), ids=PASSED_BY)
def test_what_passes_by_the_check_of_keys_is_one_violation_that_names_it(rule: Rule, said: str) -> None:
    """Headers are sent together; what lets somebody in is then found alone."""
    result = judged("key.required", rule, only_bearer)
    violates(result, said)
    assert len({violation.finding for violation in result.violations}) == 1


def test_a_cookie_that_an_answer_set_lets_nobody_in() -> None:
    """What an answer to a key sets is sent back without a key."""

    def sessions(request: Request) -> Response | None:
        if place(request) != MODELS:
            return None
        if request.key is not None:
            return replace(THE_LIST, headers=(*THE_LIST.headers, ("set-cookie", "sid=1; Path=/")))
        return THE_LIST if dict(request.headers).get("Cookie") == "sid=1" else None

    violates(judged("key.required", sessions, only_bearer), "with the cookie of an earlier answer, is refused")


def test_a_web_page_at_another_spelling_of_a_path_is_nothing_of_the_api() -> None:
    """A tenant may have a web application beside the API."""
    page = replace(HTML_PAGE, status=200)
    result = judged("key.required", lambda request: page if place(request) in SPELLINGS else None, only_bearer)
    assert result.outcome is Outcome.CONFORMS


NOT_SAID: dict[str, tuple[Response, str]] = {
    "another refusal": (refusal(400, "No."), "got HTTP 400: No., which does not say that it is the key"),
    "an absence": (refusal(404, "Gone."), "got HTTP 404: Gone., which does not say that it is the key"),
    "a web page": (replace(HTML_PAGE, status=403), "HTTP 403 with an HTML page comes from before the tenant"),
    "a gateway": (refusal(503, "Busy."), "HTTP 503: Busy. comes from before the tenant"),
}


@pytest.mark.parametrize(("given", "said"), NOT_SAID.values(), ids=NOT_SAID)
def test_what_does_not_say_that_the_key_is_refused_blocks(given: Response, said: str) -> None:
    """An absence, an objection to the request and what stands before the tenant prove nothing either way."""
    result = judged("key.required", shown(Presentation.NONE, given), only_bearer)
    assert (result.outcome, result.violations) == (Outcome.BLOCKED, ())
    assert any(said in blocker.reason for blocker in result.blockers)


def test_a_refusal_that_breaks_off_is_a_refusal() -> None:
    """Its status says so: a gateway may close the connection before its own words are out. That is advised."""
    cut = replace(refusal(401), complete=False, end="the connection ended before the body did")
    result = judged("key.required", shown(Presentation.NONE, cut), only_bearer)
    assert result.outcome is Outcome.CONFORMS
    assert any("does not come whole" in advisory.text for advisory in result.advisories)


def test_web_pages_that_refuse_are_one_finding() -> None:
    """Whatever status each has: something before the tenant refuses in its place."""
    found = set()
    for status in (401, 403, 404):
        result = judged("key.required", shown(Presentation.NONE, replace(HTML_PAGE, status=status)), only_bearer)
        found |= {(blocker.finding, blocker.remedy) for blocker in result.blockers}
    assert len(found) == 1


@pytest.mark.parametrize(("rule", "said"), LET_IN.values(), ids=LET_IN)
def test_a_route_that_answers_without_a_valid_key_is_a_violation(rule: Rule, said: str) -> None:
    """Anything but a 401 or 403 to a key that is missing, unknown or shown wrongly violates."""
    violates(judged("key.required", rule, only_bearer), said)


def test_a_403_keeps_out_as_well_as_a_401() -> None:
    """Either says that the key is not taken."""
    assert judged("key.required", shown(Presentation.NONE, refusal(403)), only_bearer).outcome is Outcome.CONFORMS


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


def test_a_key_that_is_not_allowed_the_model_opens_no_conversation() -> None:
    """One key of each purpose is tried; a key that is allowed the model may open one, whatever its purpose."""
    other = frozenset({"other"})
    keys = (key("all"), TALKS, key("writes", **DATASETS), key("app", **APP), key("draws", models=other))
    sender = FakeSender(extensions)
    result = judged("key.scope_enforced", tenant=tenant_of(*keys, key("wide", models=other)), sender=sender)
    opening = {request.key for request in sender.sent if place(request) == CONVERSATIONS}
    assert opening - {"app"} == {"writes", "draws"}
    violates(result, "POST /v1/conversations with a name that the key draws may not use is refused with a 4xx")


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


# -- key.revocation

REVOKED = tenant_of(key("chat"), key("gone", revoked=True))
DEAD = refusal(401, "This key is revoked.")


def dead(name: str) -> Rule:
    """Whatever the key asks for is refused with 401."""
    return lambda request: DEAD if request.key == name else None


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


# -- a key of another tenant

FOREIGN = tenant_of(key("chat"), other_tenant_key=Secret("gtak_" + "2" * 40))


def test_a_key_of_another_tenant_is_refused_wherever_an_unknown_one_is() -> None:
    """By both addresses, at every surface; where it is let in, that is one finding for each surface."""
    sender = FakeSender(only_bearer, dead(OTHER_TENANT))
    result = judged("key.required", tenant=FOREIGN, sender=sender)
    assert result.outcome is Outcome.CONFORMS, findings(result)
    assert asked(sender, by=OTHER_TENANT) | {MODELS} == where_unknown()
    taken = judged(
        "key.required",
        by(OTHER_TENANT, answer({}), at=[EMBEDDINGS]),
        dead(OTHER_TENANT),
        only_bearer,
        tenant=FOREIGN,
    )
    violates(taken, "POST /v1/embeddings with a key of another tenant is refused with 401 or 403; found HTTP 200")
    assert len(taken.violations) == 1


def test_a_key_of_another_tenant_that_cannot_be_read_blocks_its_part() -> None:
    """The rest is judged, and the line to correct is named."""
    tenant = tenant_of(key("chat"), other_tenant_unset=Problem("it takes its secret from X, which is not set."))
    result = judged("key.required", only_bearer, tenant=tenant)
    assert (result.outcome, result.violations) == (Outcome.BLOCKED, ())
    assert result.reason == "a key of another tenant: it takes its secret from X, which is not set"


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


# -- key.never_echoed

SECRET = TENANT.secrets()["chat"].reveal()
LISTED = {"object": "list", "data": [{"id": ALIAS, "object": "model", "created": 1, "owned_by": "gt"}]}
NAMED = Response(200, (("content-type", "application/json"), (f"x-{SECRET}", "1")), b"{}")
ECHOES: dict[str, tuple[Response, str]] = {
    "a header": (answer(LISTED, x_debug=f"Bearer {SECRET}"), "the header x-debug holds the secret of chat"),
    "the name of a header": (NAMED, f"the header x-{SECRET} holds the secret of chat"),
    "a body": (answer(LISTED | {"key": SECRET}), "the body holds the secret of chat"),
    "its random part": (answer(LISTED | {"key": SECRET.removeprefix("gtak_")}), "the body holds the secret of chat"),
    "an error": (refusal(404, f"No agent for {SECRET}."), "the body holds the secret of chat"),
    "pieces of a stream": (
        stream(*({"choices": [{"delta": {"content": SECRET[at : at + 5]}}]} for at in range(0, len(SECRET), 5))),
        "the body holds the secret of chat",
    ),
}


def seen(given: Response | Reply) -> CheckResult:
    """What key.never_echoed comes to where another check got that answer from the chat."""
    sender = FakeSender(lambda request: given if place(request) == CHAT else None)
    echoed = CheckCall("key.never_echoed", "chat")
    runner = run(plan_of(TENANT, CheckCall("chat.completes", "chat"), echoed), sender)
    assert not runner.suite_errors
    return runner.result(echoed)


@pytest.mark.parametrize(("given", "said"), ECHOES.values(), ids=ECHOES)
def test_an_answer_that_holds_a_secret_is_a_violation(given: Response, said: str) -> None:
    """A secret in any part of any answer violates; what is said of it does not say the secret."""
    result = seen(given)
    violates(result, "no answer holds a secret; found " + said.replace(SECRET, "[secret chat]"))
    assert len({violation.finding for violation in result.violations}) == 1  # a failure is asked for once more
    assert SECRET not in findings(result)


@pytest.mark.parametrize("given", [answer({}), GONE], ids=["an answer", "none"])
def test_answers_without_a_secret_hold_none(given: Response | Reply) -> None:
    """What echoes nothing conforms; where no answer came, nothing was echoed."""
    assert seen(given).outcome is Outcome.CONFORMS


def test_a_run_that_sent_nothing_shows_nothing() -> None:
    """Where no answer was seen, nobody knows whether one would hold a secret."""
    result = judged("key.never_echoed", tenant=tenant_of(key("gone", revoked=True)))
    assert (result.outcome, result.reason) == (Outcome.BLOCKED, "no answer was seen in this run")


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
    result = judged("key.least_privilege", state, extensions, tenant=SCOPED, parameters=NEEDLESS)
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
