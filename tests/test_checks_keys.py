"""The checks of keys: each key that is let in where it must not be is found, and nothing else is."""

from dataclasses import replace
from itertools import product

import pytest

from gt_conformance.checks import CheckCall, CheckResult
from gt_conformance.errors import Problem
from gt_conformance.exchange import Presentation, Request, Response
from gt_conformance.tenant import OTHER_TENANT, Secret, Tenant
from gt_conformance.vocabulary import Outcome, Scope
from tests.fake_tenant import (
    ALIAS,
    HTML_PAGE,
    TENANT,
    FakeSender,
    Reply,
    Rule,
    answer,
    by,
    findings,
    judged,
    key,
    place,
    plan_of,
    refusal,
    run,
    stream,
    tenant_of,
)
from tests.keys_asked import (
    APP,
    ASKED_FOR,
    CHAT,
    CONVERSATIONS,
    DATASETS,
    EMBEDDINGS,
    GONE,
    MADE_UP,
    MODELS,
    SPEECH,
    THE_LIST,
    asked,
    dead,
    only_bearer,
    violates,
    where_unknown,
    with_twins,
)

# -- key.required

WRONGLY = (Presentation.WITHOUT_SCHEME, Presentation.BASIC, Presentation.OTHER_SCHEME, Presentation.ELSEWHERE)
"""The wrong ways in which a real key is shown, the last of them where things are read as well."""
CHANGED = (
    Presentation.MISSPELLED,
    Presentation.ALTERED,
    Presentation.SHORTENED,
    Presentation.LENGTHENED,
    Presentation.BEFORE_COLON,
)
"""A real key that is not wholly right, shown in chats."""


SPELLINGS = (
    "//v1/models",
    "/v1/models/",
    "/V1/models",
    "/v1/models;v=1",
    "/v1/models.json",
    "/v1/%6dodels",
    "/v1/models.",
    f"/v1/models/{ALIAS}",
    "/health/%2e%2e/v1/models",
    "//chat/completions",
    "/chat/completions;v=1",
)
"""Paths that a gateway may let through, and that what is behind it takes for the model list, or for chats."""


def test_every_route_is_tried_in_each_wrong_way() -> None:
    """All that a key opens is asked for without one, by both addresses, and with an unknown one.

    By the un-versioned address it is one surface of each kind. A real key is shown wrongly in a chat: the way in is one
    for all, but for what is read from a query. One that ends otherwise takes an unknown one's place for embeddings.
    """
    sender = FakeSender(only_bearer)
    result = judged("key.required", sender=sender)
    assert (result.outcome, result.advisories) == (Outcome.CONFORMS, ())
    tried = [(place(request), request.presentation) for request in sender.sent]
    assert {pair for pair in tried if pair[1] is not Presentation.BEARER} == {
        *product(with_twins(ASKED_FOR), (Presentation.NONE,)),
        *product({*where_unknown()} - {EMBEDDINGS}, (Presentation.MADE_UP,)),
        (EMBEDDINGS, Presentation.OTHER_END),
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
    "another scheme": (
        shown(Presentation.OTHER_SCHEME, answer({})),
        "with the key after Token instead of Bearer is refused",
    ),
    "a query": (
        elsewhere(Presentation.QUERY),
        "POST /v1/chat/completions with the key in the query string is refused with 401 or 403; found HTTP 200",
    ),
    "another header": (
        elsewhere(Presentation.OTHER_HEADER),
        "with the key in x-api-key or a header like it is refused with 401 or 403; found HTTP 200",
    ),
    "a body": (
        elsewhere(Presentation.IN_BODY),
        "with the key in a field of the body is refused with 401 or 403; found HTTP 200",
    ),
    "a query with another header and a body alone": (
        elsewhere(),
        "with the key in the query string, in x-api-key and in the body is refused",
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
    "all of a key but its end": (
        shown(Presentation.OTHER_END, answer({}), at=EMBEDDINGS),
        "POST /v1/embeddings with a key of which all but the last character is right is refused",
    ),
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
    "a web page": (replace(HTML_PAGE, status=403), 'HTTP 403 with an HTML page ("Acme") comes from before the tenant'),
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


# -- a key of another tenant

FOREIGN = tenant_of(key("chat"), other_tenant_key=Secret("gtak_" + "2" * 40))


def test_a_key_of_another_tenant_is_refused_at_each_versioned_surface_instead_of_an_unknown_one() -> None:
    """An unknown one is tried un-versioned: what takes any key takes that as well. Let in, it is a finding."""
    sender = FakeSender(only_bearer, dead(OTHER_TENANT))
    result = judged("key.required", tenant=FOREIGN, sender=sender)
    assert result.outcome is Outcome.CONFORMS, findings(result)
    unknown = {place(request) for request in sender.sent if request.presentation is Presentation.MADE_UP}
    assert {CHAT, SPEECH, CONVERSATIONS, f"/v1/files/{MADE_UP}"} < asked(sender, by=OTHER_TENANT)
    tried = unknown | asked(sender, by=OTHER_TENANT)
    assert set(where_unknown()) - {EMBEDDINGS} == tried | {"/v1/models"}  # as that of a control
    taken = judged(
        "key.required",
        by(OTHER_TENANT, answer({}), at=[SPEECH]),
        dead(OTHER_TENANT),
        only_bearer,
        tenant=FOREIGN,
    )
    violates(taken, "POST /v1/audio/speech with a key of another tenant is refused with 401 or 403; found HTTP 200")
    assert len(taken.violations) == 1


def test_a_secret_that_is_refused_for_what_it_asks_may_be_another_keys() -> None:
    """A live key in its place gets such an answer: the remedy begins with the secret, where there is one."""
    absent = refusal(404, "The model does not exist, or this key may not use it.")
    found: dict[str, str] = {}
    for rule in (by(OTHER_TENANT, absent, at=[CHAT]), shown(Presentation.NONE, absent)):
        result = judged("key.required", rule, dead(OTHER_TENANT), only_bearer, tenant=FOREIGN)
        found |= {blocker.remedy.partition(":")[0]: blocker.finding for blocker in result.blockers}
    assert set(found) == {
        "Correct the secret if it is another key's",
        "Have the tenant answer 401 or 403 where the key is refused, before it looks at the request.",
    }
    assert len(set(found.values())) == 1


def test_a_key_of_another_tenant_that_cannot_be_read_blocks_its_part() -> None:
    """The rest is judged, and the line to correct is named."""
    tenant = tenant_of(key("chat"), other_tenant_unset=Problem("it takes its secret from X, which is not set."))
    result = judged("key.required", only_bearer, tenant=tenant)
    assert (result.outcome, result.violations) == (Outcome.BLOCKED, ())
    assert result.reason == "a key of another tenant: it takes its secret from X, which is not set"


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
