"""The names checks: an unpublished name, and one that is not the key's, neither works nor shows."""

import json
from dataclasses import replace

import pytest

from gt_conformance.checks import CheckCall, CheckResult
from gt_conformance.exchange import Failure, Request, Response
from gt_conformance.tenant import Tenant
from gt_conformance.vocabulary import Outcome, Route, Scope
from tests.fake_tenant import (
    ALIAS,
    BASE_URL,
    COMPLETION,
    INFERENCE,
    TENANT,
    FakeSender,
    Reply,
    Rule,
    answer,
    chunk,
    event,
    given,
    judged,
    key,
    plan_of,
    refusal,
    run,
    sent_json,
    tenant_of,
)

UNPUBLISHED, FOREIGN, RAW = "names.unpublished_refused", "names.not_allowlisted_refused", "tenant.no_raw_model_ids"
RAW_NAME, OTHER_RAW = "agent-7f3a", "provider/large"
HIDDEN = tenant_of(key("chat"), unpublished_models=(RAW_NAME, OTHER_RAW))
WRITER = "report-writer"
TWO_LISTS = tenant_of(key("chat"), key("writer", models=frozenset({WRITER, "a-draft"})))
INFERENCE_ROUTES = [route for route in Route if route.modality is not None]
GONE = Reply(failure=Failure.CLOSED, detail="closed")


def asked_name(request: Request) -> str:
    """The model that a request names; empty where it names none."""
    parts = {part.name: part.content for part in request.parts}
    return parts["model"].decode() if parts else str(sent_json(request).get("model", ""))


def naming(name: str, route: Route, reply: Response | Reply, *, streamed: bool = False, path: str = "") -> Rule:
    """A rule for the requests of a route, in one piece or streamed, that name that model."""

    def meant(request: Request) -> bool:
        at = request.url == BASE_URL + (path or route.path)
        return at and asked_name(request) == name and bool(sent_json(request).get("stream")) is streamed

    return given(reply, meant)


STRANGERS = given(refusal(401, "Unknown key."), lambda request: request.key is None)
"""A rule by which nothing is open without a key of the tenant file."""


def unversioned(route: Route) -> str:
    """The path of a route without the version."""
    return route.path.removeprefix("/v1")


def tried(sender: FakeSender) -> set[tuple[str, str | None, str]]:
    """Which routes were tried with which keys and names."""
    return {
        (request.url.removeprefix(BASE_URL), request.key, asked_name(request))
        for request in sender.sent
        if request.method == "POST"
    }


@pytest.mark.parametrize(
    ("check", "tenant"), [(UNPUBLISHED, HIDDEN), (FOREIGN, TWO_LISTS), (RAW, HIDDEN)], ids=[UNPUBLISHED, FOREIGN, RAW]
)
def test_a_tenant_that_resolves_published_names_only_conforms(check: str, tenant: Tenant) -> None:
    """Nothing is said of it, with --strict neither."""
    result = judged(check, tenant=tenant, strict=True)
    assert (result.outcome, result.reason) == (Outcome.CONFORMS, "")


@pytest.mark.parametrize("check", [UNPUBLISHED, RAW])
def test_without_an_unpublished_name_nothing_can_be_tried(check: str) -> None:
    """Only the operator knows a name that must not work."""
    result = judged(check)
    assert (result.outcome, result.reason, result.remedy) == (
        Outcome.BLOCKED,
        "no unpublished model is known",
        "Add unpublished_models: [...] to the tenant file: internal ids that must neither work nor show.",
    )


REFUSED, REFUSED_4XX = "is refused", "is refused with a 4xx"
WORKS: dict[str, tuple[Response | Reply, str, str]] = {
    "it works": (answer(COMPLETION), REFUSED, "HTTP 200"),
    "a 5xx": (refusal(500, "No such model."), REFUSED_4XX, "HTTP 500: No such model."),
    "a redirect": (answer("", 399), REFUSED_4XX, "HTTP 399"),
    "no answer": (GONE, REFUSED_4XX, "no answer: closed"),
}


@pytest.mark.parametrize("route", INFERENCE_ROUTES, ids=[route.value for route in INFERENCE_ROUTES])
@pytest.mark.parametrize(
    ("check", "tenant", "name"),
    [(UNPUBLISHED, HIDDEN, RAW_NAME), (UNPUBLISHED, HIDDEN, OTHER_RAW), (FOREIGN, TWO_LISTS, "a-draft")],
    ids=["unpublished", "another unpublished", "of another key"],
)
@pytest.mark.parametrize(("reply", "wanted", "said"), WORKS.values(), ids=WORKS)
def test_a_name_that_is_not_refused_violates(
    reply: Response | Reply, wanted: str, said: str, check: str, tenant: Tenant, name: str, route: Route
) -> None:
    """Each name on each route: the finding says which."""
    [violation] = judged(check, naming(name, route, reply), STRANGERS, tenant=tenant).violations
    assert violation.expected == f"the name {name} on {route.title} {wanted}"
    assert violation.found == said


@pytest.mark.parametrize(
    ("check", "tenant", "name"),
    [(UNPUBLISHED, HIDDEN, RAW_NAME), (FOREIGN, TWO_LISTS, "a-draft")],
    ids=["unpublished", "of another key"],
)
@pytest.mark.parametrize("streamed", [False, True], ids=["in one piece", "streamed"])
@pytest.mark.parametrize("path", ["/v1/chat/completions", "/chat/completions"])
def test_a_name_that_works_by_one_way_into_a_chat_violates(
    path: str, check: str, tenant: Tenant, name: str, *, streamed: bool
) -> None:
    """A stream and the un-versioned address are ways of their own, even where the plain one is shut."""
    rule = naming(name, Route.CHAT, answer(COMPLETION), streamed=streamed, path=path)
    [violation] = judged(check, rule, STRANGERS, tenant=tenant).violations
    assert violation.expected == f"the name {name} on POST {path}{', streamed,' if streamed else ''} is refused"
    sent = violation.found.removeprefix("HTTP 200")
    assert sent.startswith(" (sent with tools, ") is not path.startswith("/v1")  # as clients call there


@pytest.mark.parametrize(
    ("check", "tenant", "name"),
    [(UNPUBLISHED, HIDDEN, RAW_NAME), (FOREIGN, TWO_LISTS, "a-draft")],
    ids=["unpublished", "of another key"],
)
def test_a_route_that_is_open_to_anybody_is_the_finding_of_the_key(check: str, tenant: Tenant, name: str) -> None:
    """What is answered without a key as well says nothing of names: it is blocked by that hole."""
    anybody = given(answer(COMPLETION), lambda request: request.url == BASE_URL + Route.SPEECH.path)
    result = judged(check, anybody, tenant=tenant)
    assert (result.outcome, result.violations) == (Outcome.BLOCKED, ())
    opened = f"the name {name} on {Route.SPEECH.title} is answered, as it is to anybody: that is a hole of its own"
    assert opened in [blocker.reason for blocker in result.blockers]
    assert all(blocker.because for blocker in result.blockers)


@pytest.mark.parametrize("status", [400, 401, 404, 499])
def test_any_4xx_refuses_a_name(status: int) -> None:
    """Which one, and what it says, is judged where a route is refused as such."""
    refused = naming(RAW_NAME, Route.CHAT, answer("", status))
    assert judged(UNPUBLISHED, refused, tenant=HIDDEN).outcome is Outcome.CONFORMS


def test_each_name_is_tried_on_each_route_by_the_narrowest_key_that_may() -> None:
    """A refusal for want of a right would say nothing of the name."""
    wide = key("wide")
    tenant = tenant_of(
        wide,
        key("chat", scopes=frozenset({Scope.CHAT})),
        key("embeds", scopes=frozenset({Scope.EMBED})),
        unpublished_models=(RAW_NAME, OTHER_RAW),
    )
    sender = FakeSender()
    judged(UNPUBLISHED, tenant=tenant, sender=sender)
    narrowest, longer = {Route.CHAT: "chat", Route.EMBEDDINGS: "embeds"}, f"{ALIAS}:gt-conformance"
    assert tried(sender) == {
        (path, narrowest.get(route, "wide"), name)
        for route in INFERENCE_ROUTES
        for path, name in (
            (route.path, RAW_NAME),
            (route.path, OTHER_RAW),
            *([(unversioned(route), RAW_NAME)] if route is not Route.EMBEDDINGS else []),  # that of another key is
            (unversioned(route), longer),
            *([(route.path, longer)] if route is Route.CHAT else []),
        )
    }


@pytest.mark.parametrize("route", [Route.TRANSCRIPTIONS, Route.SPEECH, Route.IMAGES], ids=lambda route: route.value)
def test_an_internal_name_that_works_where_clients_call_violates(route: Route) -> None:
    """The un-versioned address of each medium may be mounted apart, and look at no allowlist."""
    open_there = naming(RAW_NAME, route, answer(COMPLETION), path=unversioned(route))
    [violation] = judged(UNPUBLISHED, open_there, STRANGERS, tenant=HIDDEN).violations
    assert violation.expected == f"the name {RAW_NAME} on POST {unversioned(route)} is refused"


@pytest.mark.parametrize(
    "route", [one for one in INFERENCE_ROUTES if one is not Route.CHAT], ids=lambda route: route.value
)
def test_a_route_that_takes_an_unknown_name_for_its_default_violates(route: Route) -> None:
    """One finding, at both addresses, which says that any name is taken: internal ones are refused there."""

    def defaulting(request: Request) -> Response | None:
        is_there = request.path.endswith(unversioned(route)) and request.key is not None
        return answer(COMPLETION) if is_there and asked_name(request) not in {ALIAS, RAW_NAME, OTHER_RAW} else None

    result = judged(UNPUBLISHED, defaulting, STRANGERS, tenant=HIDDEN)
    assert [violation.expected for violation in result.violations] == [
        f"the name {ALIAS}:gt-conformance on POST {path} is refused" for path in (unversioned(route), route.path)
    ]
    assert all("it takes any name at all" in (violation.remedy or "") for violation in result.violations)


def test_a_name_of_another_key_is_tried_on_each_route_by_each_routes_own_key() -> None:
    """Every published name that the key may not use; by the un-versioned address the first is enough, and not of media.

    So is the first in chats where it is written otherwise. The further ones are tried there in streamed chats.
    """
    sender = FakeSender()
    judged(FOREIGN, tenant=TWO_LISTS, sender=sender)
    elsewhere = {(unversioned(route), "chat", "a-draft") for route in (Route.CHAT, Route.EMBEDDINGS)}
    respelled = {(Route.CHAT.path, "chat", name) for name in ("A-DRAFT", "a-draft ", "openai/a-draft")}
    assert tried(sender) == respelled | elsewhere | {
        (route.path, "chat", name) for route in INFERENCE_ROUTES for name in ("a-draft", WRITER)
    } | {(unversioned(Route.CHAT), "chat", WRITER)}


TOLD = {
    "all names": (f"There are: {ALIAS}, a-draft, {WRITER}.", ["a-draft in the refusal of"]),
    "the key's own": (f"The key may use {ALIAS} alone.", []),
    "one word": (f"Ask a {WRITER}.", []),
}


@pytest.mark.parametrize(("text", "said"), TOLD.values(), ids=TOLD)
def test_the_refusal_of_a_name_lists_no_names_of_others(text: str, said: list[str]) -> None:
    """Those of the key itself may be listed, and one of another key's may be a word of the sentence."""
    refused = given(refusal(404, text), lambda request: asked_name(request) not in {"", ALIAS})
    result = judged(FOREIGN, refused, tenant=TWO_LISTS)
    assert [violation.found[: len(one)] for violation, one in zip(result.violations, said, strict=True)] == said


def without(scope: Scope) -> frozenset[Scope]:
    """All scopes of inference but this one."""
    return INFERENCE - {scope}


@pytest.mark.parametrize("check", [UNPUBLISHED, FOREIGN])
def test_a_route_that_no_key_may_use_blocks_and_hides_nothing(check: str) -> None:
    """What is missing is named, and the other routes are tried all the same."""
    tenant = tenant_of(
        key("chat", scopes=without(Scope.EMBED)),
        key("writer", scopes=without(Scope.EMBED), models=frozenset({WRITER})),
        unpublished_models=(WRITER,),
    )
    result = judged(check, tenant=tenant)
    assert (result.outcome, result.reason, result.remedy) == (
        Outcome.BLOCKED,
        "no key declares inference:embed, so POST /v1/embeddings could not be tried",
        "Add a key with scope inference:embed to the tenant file.",
    )
    broken = judged(check, naming(WRITER, Route.IMAGES, answer(COMPLETION)), STRANGERS, tenant=tenant)
    assert [violation.found for violation in broken.violations] == ["HTTP 200"]


@pytest.mark.parametrize("check", [UNPUBLISHED, FOREIGN])
def test_a_key_in_trouble_of_its_own_blocks_its_routes_and_hides_nothing(check: str) -> None:
    """The finding of the other routes stands beside it."""
    tenant = tenant_of(
        key("chat", scopes=frozenset({Scope.CHAT})),
        key("rest", scopes=without(Scope.CHAT)),
        key("writer", scopes=frozenset(), models=frozenset({WRITER})),
        unpublished_models=(WRITER,),
    )

    def locked(request: Request) -> Response | None:
        return refusal(401, "Unknown key.") if request.key == "chat" else None

    result = judged(check, locked, naming(WRITER, Route.IMAGES, answer(COMPLETION)), STRANGERS, tenant=tenant)
    [blocker] = result.blockers
    assert blocker.reason.startswith("POST /v1/chat/completions by the key chat: preflight for key `chat` failed: ")
    assert blocker.remedy.startswith("Check the secret of the key chat")
    assert [violation.found for violation in result.violations] == ["HTTP 200"]


ALIKE: dict[str, Tenant] = {
    "one key": TENANT,
    "the same names": tenant_of(key("chat"), key("writer")),
    "names that are not declared": tenant_of(key("chat"), key("writer", models=None, scopes=frozenset())),
    "a revoked key's names": tenant_of(key("chat"), key("writer", models=frozenset({WRITER}), revoked=True)),
}


@pytest.mark.parametrize("tenant", ALIKE.values(), ids=ALIKE)
def test_without_a_name_that_another_key_may_use_nothing_can_be_tried(tenant: Tenant) -> None:
    """It is said of each route what is missing."""
    sender = FakeSender()
    result = judged(FOREIGN, tenant=tenant, sender=sender)
    assert result.outcome is Outcome.BLOCKED
    assert [blocker.reason for blocker in result.blockers] == [
        f"no published name outside the allowlist of the key chat is known for {route.title}"
        for route in INFERENCE_ROUTES
    ]
    assert result.remedy == "Declare models for the keys of the tenant file, and add a key with another allowlist."
    assert not tried(sender)


def test_a_key_of_unknown_names_has_none_outside_them() -> None:
    """What its allowlist holds is not known, so no refusal can be asked for."""
    tenant = tenant_of(key("chat", models=None), key("writer", models=frozenset({WRITER}), scopes=frozenset()))
    assert judged(FOREIGN, tenant=tenant).outcome is Outcome.BLOCKED


# -- what shows


def everywhere(reply: Response) -> Rule:
    """A rule for the route that cannot exist, which each run asks for."""
    return given(reply, lambda request: request.url.endswith("/v1/gt-conformance-no-such-route"))


def escaped(name: str) -> str:
    """The name in JSON's escapes."""
    return "".join(f"\\u{ord(character):04x}" for character in name)


def pieces(*texts: str) -> bytes:
    """A stream that says these, one after the other."""
    return "".join(event(chunk({"content": text})) for text in texts).encode()


SHOWN: dict[str, tuple[Response, list[str]]] = {
    "in the body": (answer({"error": f"{RAW_NAME} is busy"}, 404), [f"{RAW_NAME} is in the body"]),
    "in the body, escaped": (answer(f'{{"error": "{escaped(RAW_NAME)}"}}', 404), [f"{RAW_NAME} is in the body"]),
    "in the body, a slash escaped": (
        answer(json.dumps({"error": OTHER_RAW}).replace("/", "\\/"), 404),
        [f"{OTHER_RAW} is in the body"],
    ),
    "in pieces": (answer(pieces("agent", "-7f3a"), 404, "text/event-stream"), [f"{RAW_NAME} is in the body"]),
    "in a header's value": (answer("{}", 404, x_model=f"v1 {RAW_NAME}"), [f"{RAW_NAME} is in the header x-model"]),
    "in a header's name": (
        answer("{}", 404, **{f"x-{RAW_NAME}": "1"}),
        [f"{RAW_NAME} is in the header x-{RAW_NAME}"],
    ),
    "both names": (
        answer({"error": f"{OTHER_RAW} for {RAW_NAME}"}, 404),
        [f"{RAW_NAME} is in the body", f"{OTHER_RAW} is in the body"],
    ),
}


@pytest.mark.parametrize(("reply", "said"), SHOWN.values(), ids=SHOWN)
def test_an_unpublished_name_that_shows_violates(reply: Response, said: list[str]) -> None:
    """Wherever it stands and however it is written; each name by itself, proved by the answer that holds it."""
    sender = FakeSender(everywhere(reply))
    result = judged(RAW, tenant=HIDDEN, sender=sender)
    assert [violation.found for violation in result.violations] == said
    assert {violation.expected for violation in result.violations} == {"no answer names an unpublished model"}
    assert {violation.exchange for violation in result.violations} == set(result.exchanges)
    [proof] = result.exchanges
    assert sender.request(proof).url.endswith("no-such-route")


def both_judged(*rules: Rule) -> CheckResult:
    """What shows in a run that tries the unpublished names besides."""
    runner = run(plan_of(HIDDEN, CheckCall(UNPUBLISHED), CheckCall(RAW)), FakeSender(*rules))
    return runner.result(CheckCall(RAW))


@pytest.mark.parametrize("route", INFERENCE_ROUTES, ids=[route.value for route in INFERENCE_ROUTES])
def test_a_refusal_may_repeat_the_name_that_was_asked_for(route: Route) -> None:
    """It tells the caller nothing new; a name that was not asked for does."""
    assert both_judged(naming(RAW_NAME, route, refusal(404, f"No model {RAW_NAME}."))).outcome is Outcome.CONFORMS
    other = both_judged(naming(RAW_NAME, route, refusal(404, f"No model {RAW_NAME}, only {OTHER_RAW}.")))
    assert [violation.found for violation in other.violations] == [f"{OTHER_RAW} is in the body"]


def test_every_answer_of_the_run_is_read() -> None:
    """Each that shows a name is a finding, whatever came before it; a request without an answer shows nothing."""
    shown = refusal(404, f"Only {OTHER_RAW}.")
    result = both_judged(
        naming(RAW_NAME, Route.CHAT, shown), naming(RAW_NAME, Route.SPEECH, shown), naming(RAW_NAME, Route.IMAGES, GONE)
    )
    assert len(result.violations) == len(set(result.exchanges)) == 2


INTERNAL = "ds-internal-41c9"


def test_an_internal_identifier_of_a_dataset_that_shows_violates() -> None:
    """One that the tenant file names; other identifiers of datasets are no breach by themselves."""
    tenant = replace(HIDDEN, internal_datasets=(INTERNAL,))
    rule = everywhere(answer({"stored": f"vault/{INTERNAL}", "dataset_id": "ds_1"}, 404))
    [violation] = judged(RAW, rule, tenant=tenant).violations
    assert violation.expected == "no answer names a dataset by an internal identifier"
    assert violation.found == f"{INTERNAL} is in the body"
    assert "identifiers of datasets" in (violation.remedy or "")
    assert judged(RAW, rule, tenant=HIDDEN).outcome is Outcome.CONFORMS


def test_datasets_are_looked_for_where_no_unpublished_model_is_known() -> None:
    """What shows violates; for the rest the tenant file says nothing."""
    tenant = tenant_of(key("chat"), internal_datasets=(INTERNAL,))
    assert judged(RAW, everywhere(answer({"stored": INTERNAL}, 404)), tenant=tenant).outcome is Outcome.VIOLATES
    assert judged(RAW, tenant=tenant).outcome is Outcome.BLOCKED
