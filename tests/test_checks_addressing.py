"""The address that a client builds: it reaches the route, or the finding says what to enter instead."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from gt_conformance.checks import CheckCall, Parameters
from gt_conformance.checks import _requests as requests
from gt_conformance.exchange import Failure, Request, Response
from gt_conformance.vocabulary import Outcome, Route
from tests.fake_tenant import (
    ALIAS,
    BASE_URL,
    HTML_PAGE,
    TENANT,
    FakeSender,
    Reply,
    Rule,
    answer,
    conforming,
    embedding_list,
    given,
    judged,
    plan_of,
    refusal,
    run,
    sent_json,
    to,
)

JOINS = "base_url.joins"
ORIGIN, BASE = "https://acme.example", "/api/tenant"
NATIVE = (Route.MODELS, Route.CHAT, Route.EMBEDDINGS, Route.TRANSCRIPTIONS, Route.SPEECH, Route.IMAGES)
SERVER_ERROR = refusal(500, "Something broke.")
NO_ROUTE = refusal(404, "There is no such route.")
GONE = Reply(failure=Failure.CLOSED, detail="closed")


def joining(route: Route, base_path: str = BASE) -> Parameters:
    """A client that joins the route to that path."""
    return Parameters(route=route, base_path=base_path)


def at(path: str, reply: Response | Reply) -> Rule:
    """A rule for an address by its path."""
    return given(reply, lambda request: request.path == path)


def first(*rules: Rule) -> Rule:
    """What the first of these rules has an answer for."""
    return lambda request: next((found for rule in rules if (found := rule(request)) is not None), None)


def unversioned(request: Request) -> Response | None:
    """A tenant that routes the paths without /v1 as well."""
    if request.url.startswith(f"{BASE_URL}/v1/"):
        return None
    return conforming(replace(request, url=request.url.replace(BASE_URL, f"{BASE_URL}/v1", 1)))


def asked(sender: FakeSender, method: str) -> list[str]:
    """The addresses that were asked by that method, less those of the controls."""
    return [request.url for request in sender.sent if request.method == method and "no-such" not in request.url]


@pytest.mark.parametrize("route", NATIVE, ids=[route.value for route in NATIVE])
def test_a_tenant_that_routes_both_addresses_conforms(route: Route) -> None:
    """Where the un-versioned path answers as the versioned one does, nothing is said."""
    sender = FakeSender(unversioned)
    result = judged(JOINS, parameters=joining(route), sender=sender, strict=True)
    assert (result.outcome, result.reason) == (Outcome.CONFORMS, "")
    compared = [BASE_URL + route.path, BASE_URL + route.path.removeprefix("/v1")]
    # An image is not drawn: what its path objects to a request without a prompt is compared with a made-up path.
    assert asked(sender, route.method)[-2:] == (compared[1:] if route is Route.IMAGES else compared)


@pytest.mark.parametrize("route", NATIVE, ids=[route.value for route in NATIVE])
def test_a_tenant_that_routes_the_versioned_address_alone_violates(route: Route) -> None:
    """The finding names both addresses, quotes the refusal, is proved by it, and says what to enter."""
    sender = FakeSender()
    result = judged(JOINS, parameters=joining(route), sender=sender)
    path = BASE + route.path.removeprefix("/v1")
    assert result.reason == (
        f"expected {route.method} {path} reaches {route.title} as {BASE}{route.path} does; "
        "found HTTP 404: There is no such route."
    )
    assert (result.remedy or "").startswith(f"Set this client's base URL to {BASE_URL}/v1. Name it in the tenant file")
    [violation] = result.violations
    assert sender.request(violation.exchange).url == ORIGIN + path


@pytest.mark.parametrize("route", NATIVE, ids=[route.value for route in NATIVE])
def test_a_client_whose_base_url_holds_the_version_needs_no_other_path(route: Route) -> None:
    """With /v1 in the base URL both addresses are one, which is asked once."""
    sender = FakeSender()
    assert judged(JOINS, parameters=joining(route, f"{BASE}/v1"), sender=sender).outcome is Outcome.CONFORMS
    assert asked(sender, route.method) == [BASE_URL + route.path]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda vectors: vectors[:1], "1 for 100 texts"),
        (lambda vectors: [requests.floats(vector) for vector in vectors], "another form"),
        (lambda vectors: [vectors[1], vectors[0], *vectors[2:-1], vectors[1]], "other vectors for the same texts"),
    ],
    ids=["the first alone", "numbers", "exchanged"],
)
def test_the_vectors_of_both_addresses_are_compared(change: Callable[[list[Any]], list[Any]], said: str) -> None:
    """As many, in the same form, of the same texts: what clients get is what the versioned address gives."""
    path = f"{BASE}/embeddings"

    def rule(request: Request) -> Response | None:
        if request.path != path:
            return None
        whole = unversioned(request)
        vectors = [item["embedding"] for item in whole.json()["data"]] if whole else []
        return answer(embedding_list(change(vectors)))

    in_base64 = replace(joining(Route.EMBEDDINGS), encoding_format="base64")
    result = judged(JOINS, rule, unversioned, parameters=in_base64)
    assert said in result.reason


@pytest.mark.parametrize(
    ("batch", "most", "sent"),
    [(True, 100, 100), (True, 3, 3), (True, 1, 1), (False, 100, "The harbour")],
    ids=["many", "several where many are refused", "one where several are refused", "one in the client's own form"],
)
def test_texts_to_embed_are_as_many_as_the_client_sends(*, batch: bool, most: int, sent: object) -> None:
    """At its own address a client's texts are tried as it sends them, where the versioned address takes as many."""
    asked_so = replace(joining(Route.EMBEDDINGS), encoding_format="float", batch=batch)
    if not batch:
        asked_so = replace(asked_so, string=True, fields=(("user", "gt-conformance"),))

    def rule(request: Request) -> Response | None:
        given = request.fields.get("input")
        return refusal(400, "too many") if isinstance(given, list) and len(given) > most else None

    sender = FakeSender(rule, unversioned)
    assert judged(JOINS, parameters=asked_so, sender=sender).outcome is Outcome.CONFORMS
    [there] = [one for one in sender.sent if one.path == f"{BASE}/embeddings"]
    given = there.fields["input"]
    assert len(given) == sent if isinstance(given, list) else given.startswith(str(sent))
    assert there.fields.get("user") == (None if batch else "gt-conformance")


@pytest.mark.parametrize(
    ("route", "given", "said"),
    [
        (Route.CHAT, answer({"error": {"message": "upstream failed"}}), "HTTP 200 without a completion"),
        (Route.CHAT, answer({"choices": []}), "HTTP 200 without a completion"),
        (Route.TRANSCRIPTIONS, answer({}), "HTTP 200 without a text"),
        (Route.SPEECH, answer(b"", kind="audio/wav"), "HTTP 200 without a sound"),
    ],
    ids=["an error", "no choices", "transcriptions", "speech"],
)
def test_answers_of_both_addresses_hold_the_same(route: Route, given: Response, said: str) -> None:
    """An answer of the same type with nothing in it is none."""
    empty = at(f"{BASE}{route.path.removeprefix('/v1')}", given)
    assert said in judged(JOINS, empty, unversioned, parameters=joining(route)).reason


HERE, THERE = f"{BASE}/chat/completions", f"{BASE}/v1/chat/completions"
JOINED = f"POST {HERE} reaches POST /v1/chat/completions as {THERE} does"
VIOLATIONS: dict[str, tuple[Rule, str, str]] = {
    "a web page at the client's address": (at(HERE, HTML_PAGE), JOINED, 'HTTP 200 with an HTML page ("Acme")'),
    "another content type there": (at(HERE, answer("ok", kind="text/plain")), JOINED, "HTTP 200"),
    "a refusal there": (at(HERE, refusal(403, "No.")), JOINED, "HTTP 403: No."),
    "no answer there": (at(HERE, GONE), JOINED, "no answer: closed"),
}


@pytest.mark.parametrize(("rule", "expected", "found"), VIOLATIONS.values(), ids=VIOLATIONS)
def test_an_address_that_does_not_answer_as_the_other_violates(rule: Rule, expected: str, found: str) -> None:
    """Only an answer of the same kind shows that the client's address is routed."""
    [violation] = judged(JOINS, rule, unversioned, parameters=joining(Route.CHAT)).violations
    assert (violation.expected, violation.found) == (expected, found)


@pytest.mark.parametrize("reply", [SERVER_ERROR, GONE], ids=["a 5xx", "no answer"])
def test_where_the_versioned_address_fails_nothing_is_said_of_joining(reply: Response | Reply) -> None:
    """That the route does not answer is the finding, and the client's address is not asked."""
    sender = FakeSender(at(THERE, reply), unversioned)
    call = CheckCall(JOINS, "chat", joining(Route.CHAT))
    session = run(plan_of(TENANT, call), sender)
    result = session.result(call)
    assert (result.outcome, result.violations) == (Outcome.BLOCKED, ())
    [route] = session.record()["footing"]
    assert (route["id"], route["credential"], route["outcome"]) == ("chat.completes", "chat", "violates")
    assert result.because == route["breaches"][0]["finding"]
    assert set(asked(sender, "POST")) == {ORIGIN + THERE}


# -- images: by the refusal of a request without a prompt

DRAWN = "images/generations"
NO_SUCH = f"{BASE}/gt-conformance-no-such-route"
REFUSED_ALIKE = first(at(f"{BASE}/{DRAWN}", refusal(404)), to(DRAWN, refusal(404)))


def test_no_image_is_drawn_to_test_an_address() -> None:
    """One request names the image model and no prompt; where its refusal may be a path's, two more at other paths."""
    others = {f"{BASE_URL}/v1/{DRAWN}", ORIGIN + NO_SUCH}
    for rule, beside in ((None, set()), (REFUSED_ALIKE, others)):
        sender = FakeSender(*([rule] if rule else []), unversioned)
        judged(JOINS, parameters=joining(Route.IMAGES), sender=sender)
        posted = [request for request in sender.sent if request.method == "POST"]
        assert {request.url for request in posted} == {f"{BASE_URL}/{DRAWN}", *beside}
        assert [sent_json(request) for request in posted] == [{"model": ALIAS}] * len(posted)


IMAGES: dict[str, tuple[Rule, Outcome, str]] = {
    "the client's address answers in another way": (
        at(f"{BASE}/{DRAWN}", SERVER_ERROR),
        Outcome.VIOLATES,
        "HTTP 500: Something broke.",
    ),
    "no answer at the client's address": (at(f"{BASE}/{DRAWN}", GONE), Outcome.VIOLATES, "no answer: closed"),
    "no answer at the versioned address": (
        first(at(f"{BASE}/{DRAWN}", refusal(404)), at(f"{BASE}/v1/{DRAWN}", GONE)),
        Outcome.VIOLATES,
        "no answer: closed",
    ),
    "no answer beside it": (
        first(at(f"{BASE}/{DRAWN}", refusal(404)), at(NO_SUCH, GONE)),
        Outcome.VIOLATES,
        "no answer: closed",
    ),
    "an unknown path is refused by the same status in other words": (at(NO_SUCH, refusal(400)), Outcome.CONFORMS, ""),
    "both addresses are refused alike, in other words than an unknown one": (REFUSED_ALIKE, Outcome.CONFORMS, ""),
    "the versioned address is refused as an unknown one": (
        first(at(f"{BASE}/{DRAWN}", NO_ROUTE), to(DRAWN, NO_ROUTE)),
        Outcome.BLOCKED,
        "HTTP 404",
    ),
}


@pytest.mark.parametrize(("rule", "outcome", "said"), IMAGES.values(), ids=IMAGES)
def test_an_image_address_is_told_by_its_refusal(rule: Rule, outcome: Outcome, said: str) -> None:
    """Refused as the versioned address is, and not as an unknown one: else it violates, or cannot be told."""
    result = judged(JOINS, rule, unversioned, parameters=joining(Route.IMAGES))
    assert result.outcome is outcome
    assert said in result.reason
    if outcome is Outcome.BLOCKED:
        assert result.remedy == ""  # it is the route's own finding that has one


@pytest.mark.parametrize(
    "parameters", [Parameters(route=Route.CHAT), Parameters(base_path=BASE)], ids=["no base path", "no route"]
)
def test_without_a_route_or_a_base_path_nothing_can_be_joined(parameters: Parameters) -> None:
    """A plan that leaves one of them out is a fault of the suite, and is reported as one."""
    call = CheckCall(JOINS, "chat", parameters)
    runner = run(plan_of(TENANT, call), FakeSender())
    assert runner.result(call).outcome is Outcome.BLOCKED
    assert "base_url.joins takes a route and a base path" in runner.suite_errors[0]
