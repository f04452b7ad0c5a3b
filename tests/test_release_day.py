"""What one release, one restored backup or one rule of a gateway does to a tenant is one finding, with its remedy."""

import json
from dataclasses import replace
from itertools import count
from typing import Any

import pytest
from starlette.types import Scope

from gt_conformance.causes._repeats import _joined
from gt_conformance.checks import CACHE_BY_KEY
from gt_sandbox.app import BASE
from gt_sandbox.middleware import (
    CHAT,
    CONVERSATION_HEADER,
    EMBEDDINGS,
    Call,
    MiddlewareFactory,
    Request,
    Secrets,
    change_requests,
    change_scopes,
    combine,
    error_response,
    has_field,
    is_dataset_upload,
    is_live,
    is_stream,
    is_upload,
    per_call,
    refuse,
    replay_body,
    use_key,
    with_bearer,
    with_request_header,
    with_secrets,
)
from tests.test_outages import found, judged

pytestmark = pytest.mark.runs

ROTATED = ("CHAT", "RAG", "CURSOR", "MANUS")
UNKNOWN = error_response(401, "The API key is malformed, unknown or no longer valid.")
OF_PROVIDER = error_response(401, "Incorrect API key provided: sk-prov-abcd.", code="invalid_api_key")


def is_unversioned(request: Request) -> bool:
    """Whether it goes to a path without /v1."""
    return not request.path.startswith(f"{BASE}/v1/")


def without_key(scope: Scope, request: Request) -> Scope:
    """A GET without its key."""
    return with_request_header(scope, "authorization", None) if request.method == "GET" else scope


def without_conversation(scope: Scope, request: Request) -> Scope:
    """What an older release knows nothing of, by its address."""
    return with_request_header(scope, CONVERSATION_HEADER, None) if is_unversioned(request) else scope


def without_stream(body: bytes) -> bytes:
    """A chat in one piece."""
    fields: dict[str, Any] = json.loads(body)
    return json.dumps({name: value for name, value in fields.items() if not name.startswith("stream")}).encode()


NO_STREAMS = change_requests(lambda request: is_stream(request) and is_unversioned(request), without_stream)
NO_TOOLS = refuse(
    lambda request: is_unversioned(request) and has_field("tools")(request), error_response(400, "Unknown field: tools")
)


def restored(secrets: Secrets) -> MiddlewareFactory:
    """The keys as they were before they were rotated."""
    before = {secrets[f"GT_EMBEDDED_{key}_OLD"]: key for key in ROTATED}
    return combine(
        refuse(lambda request: is_live(request, secrets, *ROTATED), UNKNOWN),
        use_key(lambda request, _: before.get(request.secret)),
    )


def by_turns(_: Secrets) -> MiddlewareFactory:
    """Every second POST is refused, whoever sends it."""
    number = count()
    return refuse(lambda request: request.method == "POST" and next(number) % 2 == 0, UNKNOWN)


CAUSES = {
    "the provider's key is wrong": (
        refuse(lambda request: CHAT(request) or EMBEDDINGS(request), OF_PROVIDER),
        "violates: Find out why these refuse keys that the tenant takes elsewhere",
    ),
    "a provider refuses the region": (
        refuse(lambda request: CHAT(request) or EMBEDDINGS(request), error_response(403, "Your region is not served.")),
        "violates: Find what refuses these with the same message",
    ),
    "embeddings are switched off": (
        refuse(EMBEDDINGS, error_response(403, "Embeddings are not enabled for this tenant.")),
        "violates: Enable in the tenant what its message says is disabled",
    ),
    "a scope of uploads is lost": (
        refuse(is_dataset_upload, error_response(403, "This key lacks the scope datasets:write.")),
        "blocked: Take datasets:write off the scopes of the key upload",
    ),
    "every second POST reaches another tenant": (with_secrets(by_turns), "violates: Find what fails intermittently"),
    "GETs lose their key": (
        change_scopes(without_key),
        "pass on the header Authorization. It is missing in these: GET",
    ),
    "a bucket is missing": (
        refuse(is_upload, error_response(500, "Internal server error")),
        "they fail with the same message: POST",
    ),
    "GETs are asked as another key": (
        use_key(lambda request, _: "FULL" if request.method == "GET" else None),
        "violates: Have the tenant, and every cache before it, look at the key of each GET",
    ),
    "an old release without streams and conversations": (
        combine(change_scopes(without_conversation), NO_STREAMS),
        "violates: Find out where the paths without /v1 lead",
    ),
    "an old release without streams and tools": (
        combine(NO_TOOLS, NO_STREAMS),
        "violates: Find out where the paths without /v1 lead",
    ),
    "keys of last night": (with_secrets(restored), "the tenant has undone a rotation, as a restored backup"),
}


@pytest.mark.parametrize(("middleware", "words"), CAUSES.values(), ids=CAUSES)
def test_what_one_change_breaks_is_one_finding(middleware: MiddlewareFactory, words: str) -> None:
    """However many routes and keys it reaches."""
    lines = found(judged(middleware, every=True))
    assert len(lines) == 1, lines
    assert words in lines[0]


def test_two_things_that_are_wrong_at_both_addresses_are_two_findings() -> None:
    """Which are met by the un-versioned address, where clients chat."""
    no_tools = refuse(has_field("tools"), error_response(400, "Unknown field: tools"))
    both = combine(no_tools, change_requests(is_stream, without_stream))
    lines = found(judged(both, every=True))
    assert len(lines) == 2, lines


def test_a_cache_of_two_kinds_has_one_remedy() -> None:
    """It asks once to look at the key, and once at the rest of a request."""
    whole = f"{CACHE_BY_KEY} It has to look at the whole request as well: answers are those to other messages or texts."
    assert _joined({CACHE_BY_KEY, whole}) == whole
    assert _joined({CACHE_BY_KEY}) == CACHE_BY_KEY
    assert _joined({CACHE_BY_KEY, "Have it answer each chat by itself."}) == whole


def test_what_a_gateway_decides_by_the_path_alone_is_one_finding() -> None:
    """It lets dead keys in where a live one asked first, and refuses live ones where none did."""

    def decide(_: Secrets) -> MiddlewareFactory:
        first: dict[str, tuple[bool, str]] = {}

        async def answer(call: Call) -> None:
            response = await call.response()
            is_let_in = response.status not in {401, 403}
            was_let_in, secret = first.setdefault(call.request.path, (is_let_in, call.request.secret))
            if was_let_in and not is_let_in and secret != call.request.secret:
                again = replace(call, receive=replay_body(call.request.body, call.receive))
                response = await again.response(with_bearer(call.scope, secret))
            await call.respond(response if was_let_in else UNKNOWN)

        return per_call(answer)

    lines = found(judged(with_secrets(decide), every=True))
    assert len(lines) == 1, lines
    assert "keep no decision by the path alone" in lines[0]
