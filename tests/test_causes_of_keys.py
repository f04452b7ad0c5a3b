"""Keys, rights and routes that fail together: one finding, whichever checks meet them."""

import json
from dataclasses import replace
from itertools import count
from typing import Any

import pytest
from starlette.types import Scope

from gt_sandbox.faults._parts import act_as_owner
from gt_sandbox.middleware import (
    CHAT,
    CONVERSATION_HEADER,
    CONVERSATIONS,
    MODELS,
    Call,
    MiddlewareFactory,
    Predicate,
    Request,
    Response,
    Secrets,
    change_events,
    change_refusals,
    change_responses,
    change_scopes,
    combine,
    error_response,
    is_file_state,
    is_live,
    is_route,
    is_stream,
    is_upload,
    per_call,
    refuse,
    replace_json,
    replay_body,
    use_key,
    with_bearer,
    with_request_header,
    with_secrets,
)
from tests.test_one_cause import is_whole
from tests.test_outages import found, judged

pytestmark = pytest.mark.runs


def is_of_gt(request: Request) -> bool:
    """Whether it goes to a route that GT adds to OpenAI's."""
    return CONVERSATIONS(request) or is_upload(request) or is_file_state(request)


def test_routes_that_are_switched_off_are_one_finding() -> None:
    """The refusal says so itself, whichever key asks: conversations and datasets are one."""
    [line] = found(judged(refuse(is_of_gt, error_response(403, "Feature disabled"))))
    assert "Enable in the tenant what its message says is disabled" in line


@pytest.mark.parametrize(
    ("refusal", "words"),
    [
        (error_response(403, "Forbidden"), "open GT's own routes to the keys that may use them"),
        (error_response(404, "Not Found"), "serve POST /api/tenant/v1/conversations"),
    ],
    ids=["forbidden", "not found"],
)
def test_routes_of_gt_that_are_all_refused_are_one_finding(refusal: Response, words: str) -> None:
    """However general the words are: nothing of GT's own answers, and the dataset of the tenant file is not blamed."""
    [line] = found(judged(refuse(is_of_gt, refusal)))
    assert line.startswith("violates")
    assert words in line


def test_a_header_of_keys_that_is_lost_on_some_routes_is_named() -> None:
    """The tenant says that no key came where something is posted."""

    def drop(scope: Scope, request: Request) -> Scope:
        return with_request_header(scope, "authorization", None) if request.method == "POST" else scope

    [line] = found(judged(change_scopes(drop)))
    assert "pass on the header Authorization" in line


KEYS = {
    "a shard is down": (error_response(500, "shard 2 is down"), "what the keys app, partner have in common"),
    "no words": (error_response(500, "Internal server error"), "what the keys app, partner have in common"),
    "a clock is behind": (error_response(401, "Token used before issued"), "refuses the keys app, partner in the same"),
    "no claims": (error_response(403, "identity: claims missing"), "and each secret right"),
}


@pytest.mark.parametrize(("refusal", "words"), KEYS.values(), ids=KEYS)
def test_keys_that_fail_in_the_same_words_are_one_finding(refusal: Response, words: str) -> None:
    """Nobody is sent to look at two secrets, which are right."""

    def refuse_some(secrets: Secrets) -> MiddlewareFactory:
        return refuse(lambda request: is_live(request, secrets, "APP", "PARTNER"), refusal)

    [line] = found(judged(with_secrets(refuse_some), "dify"))
    assert line.startswith("blocked")
    assert words in line


UNKNOWN = ("Invalid API key", "Unauthorized", "A valid API key is required.", "An API key is required.")


@pytest.mark.parametrize("words", UNKNOWN)
def test_keys_that_are_not_known_are_one_finding(words: str) -> None:
    """Several that are dead at once have one cause; where any dead key is refused so, nobody reads that none came."""
    refusal = error_response(401, words)

    def refuse_some(secrets: Secrets) -> MiddlewareFactory:
        return combine(
            change_refusals(lambda _, one: refusal if one.status == 401 else one),
            refuse(lambda request: is_live(request, secrets, "APP", "PARTNER"), refusal),
        )

    [line] = found(judged(with_secrets(refuse_some), every=True))
    assert line.startswith("blocked")
    assert "Check the secrets of the keys app, partner" in line


def test_an_instance_that_does_not_know_a_file_says_nothing_of_dead_keys() -> None:
    """A dead key that gets its 404 is asked for once more: the other instances refuse it."""
    numbers = count(1)
    unknown = error_response(404, "The file does not exist.")
    lines = found(
        judged(refuse(lambda request: is_file_state(request) and next(numbers) % 3 == 0, unknown), every=True)
    )
    assert not [line for line in lines if "where the key is refused" in line]


def test_a_key_that_a_route_stops_serving_is_one_finding() -> None:
    """The key lists its names all the time: it is no ban of the whole key, and no firewall before chats."""

    def suspend(_: Secrets) -> MiddlewareFactory:
        suspended: set[str] = set()

        def answer(request: Request, response: Response) -> Response:
            if CHAT(request) and request.secret in suspended:
                return error_response(401, "Key is suspended")
            if response.status == 403:
                suspended.add(request.secret)
            return response

        return change_responses(is_whole, answer)

    lines = found(judged(with_secrets(suspend), every=True))
    assert len(lines) == 1, lines
    assert "Find why the tenant stops serving a key while the run is under way" in lines[0]


def test_an_instance_without_the_routes_of_gt_is_one_finding() -> None:
    """What creates something is sent again until it is answered, too."""
    numbers = count()
    missing = refuse(lambda one: is_of_gt(one) and next(numbers) % 2 == 0, error_response(404, "Not Found"))
    lines = [line for line in found(judged(missing, every=True)) if line.startswith("violates")]
    assert len(lines) == 1, lines
    assert "Find what fails intermittently" in lines[0]


def test_a_dead_key_that_fails_as_live_keys_do_is_no_finding_of_its_own() -> None:
    """A node that is gone serves some keys, and a revoked one is among these."""

    def fail(secrets: Secrets) -> MiddlewareFactory:
        keys = [secrets[f"GT_EMBEDDED_{name}"] for name in ("UPLOAD", "PARTNER", "GONE")]
        page = Response(503, (("content-type", "text/html"),), b"<html><body>Sorry</body></html>")
        return refuse(lambda request: request.secret in keys, page)

    [line] = found(judged(with_secrets(fail), every=True))
    assert "what the keys partner, upload have in common" in line


def test_a_route_that_fails_for_one_key_and_refuses_the_others_leads_elsewhere() -> None:
    """Another service answers there, and knows no key of the tenant."""

    def lead_elsewhere(secrets: Secrets) -> MiddlewareFactory:
        return combine(
            refuse(
                lambda one: is_file_state(one) and is_live(one, secrets, "APP"), error_response(500, "No deployments")
            ),
            refuse(is_file_state, error_response(401, "No api key passed in.")),
        )

    lines = found(judged(with_secrets(lead_elsewhere), every=True))
    assert len(lines) == 1, lines
    assert "Find out where GET /api/tenant/files/{id} leads" in lines[0]


def take_for_widest(wanted: Predicate) -> MiddlewareFactory:
    """What these requests infer is inferred for the key with every scope and the most names."""

    def choose(request: Request, secrets: Secrets) -> str | None:
        is_stored = is_of_gt(request) or bool(request.header(CONVERSATION_HEADER))
        return "FULL" if wanted(request) and is_live(request, secrets) and not is_stored else None

    return use_key(choose)


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        (lambda one: "/v1/" not in one.path and not MODELS(one), "by the un-versioned address as by the versioned"),
        (lambda one: MODELS(one) or one.fields.get("model") == "gt-large-raw", "apply each key's allowlists"),
    ],
    ids=["rights at one address", "names"],
)
def test_rights_that_nobody_looks_at_are_one_finding(wanted: Predicate, words: str) -> None:
    """Scopes and names at the un-versioned address; the names that are listed, and those that work."""
    lines = found(judged(take_for_widest(wanted), every=True))
    assert len(lines) == 1, lines
    assert words in lines[0]


def decide_by_path(status: int) -> MiddlewareFactory:
    """Whoever is refused with that is let in where another key was let in before."""

    def make(_: Secrets) -> MiddlewareFactory:
        known: dict[str, str] = {}

        async def decide(call: Call) -> None:
            request, response = call.request, await call.response()
            if response.status == status and request.path in known:
                again = replace(call, receive=replay_body(request.body, call.receive))
                response = await again.response(with_bearer(call.scope, known[request.path]))
            elif response.succeeded:
                known[request.path] = request.secret
            await call.respond(response)

        return per_call(decide)

    return with_secrets(make)


def name_data_otherwise(event: bytes) -> bytes:
    """An event of a stream whose data has another name."""
    return event.replace(b"data: ", b"text: ")


def unpublish(name: str) -> MiddlewareFactory:
    """A name that is neither listed nor known, to whoever may use it."""

    def leave_out(body: Any) -> object:
        return {**body, "data": [one for one in body["data"] if one["id"] != name]}

    unknown = error_response(404, "The model does not exist, or this key may not use it.")
    asked = json.dumps(name).encode()
    return combine(
        replace_json(MODELS, leave_out),
        refuse(lambda one: asked in one.body or b"\r\n" + name.encode() + b"\r\n" in one.body, unknown),
    )


ALIKE = {
    "a name that is gone": (unpublish("field-analyst"), "Find what refuses these with the same message"),
    "rights are decided by the path": (decide_by_path(403), "check the key's scopes on every route"),
    "whose a conversation is": (
        act_as_owner(lambda one: one.header(CONVERSATION_HEADER)),
        "take X-GT-Conversation-Id from the key that opened the conversation alone",
    ),
    "streams without data": (change_events(is_stream, name_data_otherwise), "pass the stream on as it is made"),
    "nobody's key is the widest": (
        use_key(lambda one, secrets: None if is_live(one, secrets) else "FULL"),
        "Put authentication before every route",
    ),
}


@pytest.mark.parametrize(("middleware", "words"), ALIKE.values(), ids=ALIKE)
def test_what_one_decision_opens_is_one_finding(middleware: MiddlewareFactory, words: str) -> None:
    """Whichever state of a key, and whichever route, it shows at."""
    lines = found(judged(middleware, every=True))
    assert len(lines) == 1, lines
    assert words in lines[0]


OF_KEYS = {
    "refused": error_response(401, "Unauthorized"),
    "fails": error_response(500, "Internal server error"),
}


@pytest.mark.parametrize("answer", OF_KEYS.values(), ids=OF_KEYS)
def test_what_is_closed_to_some_keys_alone_is_one_finding(answer: Response) -> None:
    """Two routes are enough where these answer other keys: what differs is the key."""
    infers = is_route("/chat/completions", "/embeddings")
    middleware = with_secrets(
        lambda secrets: refuse(lambda request: infers(request) and is_live(request, secrets, "APP", "PARTNER"), answer)
    )
    [line] = found(judged(middleware, every=True))
    assert "the key app" in line
    assert "/chat/completions" in line
    assert "/embeddings" in line
