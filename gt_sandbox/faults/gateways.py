"""Faults of what stands before all routes: a gateway that writes or answers in its own way, whatever is asked."""

import json
import re
from codecs import BOM_UTF8
from collections.abc import Callable
from typing import Any

from gt_sandbox.faults._fault import fault
from gt_sandbox.faults._parts import cut_off, redirect, web_page
from gt_sandbox.middleware import (
    CHAT,
    EMBEDDINGS,
    IMAGES,
    JSON,
    SPEECH,
    TRANSCRIPTIONS,
    MiddlewareFactory,
    Request,
    Response,
    change_chunks,
    change_requests,
    change_responses,
    change_successes,
    combine,
    is_any,
    is_live,
    is_stream,
    refuse,
    reroute,
    respond_with,
    use_key,
)

_BELOW = re.compile(r"/(audio|images|datasets|conversations)/")


def _rewrite(change: Callable[[Any], Any]) -> MiddlewareFactory:
    """Change all JSON, in bodies and in the events of streams."""

    def write(_: Request, response: Response) -> Response:
        return response if response.json is None else response.with_json(change(response.json))

    return combine(
        change_responses(lambda request: not is_stream(request), write),
        change_chunks(lambda chunk: [change(chunk)]),
    )


def _in_camel_case(value: Any) -> Any:
    if isinstance(value, dict):
        return {_camel(key): _in_camel_case(item) for key, item in value.items()}
    return [_in_camel_case(item) for item in value] if isinstance(value, list) else value


def _camel(key: str) -> str:
    return re.sub(r"_(\w)", lambda found: found[1].upper(), key)


def _numbers_as_text(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _numbers_as_text(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_numbers_as_text(item) for item in value]
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


def _keep_known(body: bytes) -> bytes:
    """A request without the fields that a gateway does not know."""
    try:
        fields = json.loads(body)
    except ValueError:
        return body
    return json.dumps({key: value for key, value in fields.items() if key in _KNOWN}).encode()


_KNOWN = frozenset(
    {"model", "messages", "stream", "max_tokens", "temperature", "input", "voice", "prompt", "n", "size", "title"}
)
_INFERENCE = (CHAT, EMBEDDINGS, TRANSCRIPTIONS, SPEECH, IMAGES)
_QUOTA_USED_UP = {"error": {"message": "The quota is used up.", "type": "insufficient_quota"}}
_BUFFER = 4_096

FAULTS = (
    fault(
        "keys-in-camel-case",
        "A gateway that maps objects writes every key of JSON in camel case: toolCalls, totalTokens.",
        _rewrite(_in_camel_case),
        caught_by="chat.tools",
        breaks=("R1",),
    ),
    fault(
        "numbers-as-text",
        "A gateway writes every number as text.",
        _rewrite(_numbers_as_text),
        caught_by="chat.completes",
        breaks=("C1",),
    ),
    fault(
        "lists-of-one",
        "A gateway wraps every answer into a list.",
        change_responses(
            lambda request: not is_stream(request),
            lambda _, response: response if response.json is None else response.with_json([response.json]),
        ),
        caught_by="chat.completes",
        breaks=("C1",),
    ),
    fault(
        "json-in-utf-16",
        "A gateway writes the JSON of every success in UTF-16, with the mark of its byte order.",
        change_successes(
            lambda request: not is_stream(request),
            lambda response: (
                response if response.json is None else response.with_body(json.dumps(response.json).encode("utf-16"))
            ),
        ),
        caught_by="chat.completes",
        breaks=("C1",),
    ),
    fault(
        "posts-get-a-web-page",
        "Whatever is posted is answered with the page of a web application, under 200.",
        respond_with(lambda request: request.method == "POST", web_page()),
        caught_by="chat.completes",
        breaks=("C1",),
    ),
    fault(
        "all-redirected-to-a-login",
        "Every request is redirected to the login of a single sign-on.",
        respond_with(is_any, redirect(302)),
        caught_by="chat.completes",
        breaks=("C1",),
    ),
    fault(
        "gateway-sends-its-own-key",
        "A gateway puts a key of its own in place of whatever key comes, or does not come.",
        use_key(lambda *_: "FULL"),
        caught_by="key.required",
        breaks=("A1", "A5"),
    ),
    fault(
        "live-keys-become-one",
        "A gateway takes the keys that it knows, and sends one of them on in place of each.",
        use_key(lambda request, secrets: "FULL" if is_live(request, secrets) else None),
        caught_by="key.scope_enforced",
        breaks=("A5",),
    ),
    fault(
        "inference-keys-become-one",
        "Keys for inference are all taken for one of them.",
        use_key(lambda request, secrets: "FULL" if is_live(request, secrets, "CHAT", "RAG", "CURSOR") else None),
        caught_by="route.refused",
        breaks=("A5",),
    ),
    fault(
        "bodies-cut-at-4-kb",
        "A proxy passes on the first 4 kB of each request alone: JSON breaks off, and forms have no end.",
        change_requests(lambda request: len(request.body) > _BUFFER, lambda body: body[:_BUFFER]),
        caught_by="chat.client_load",
        breaks=("C1", "R1"),
    ),
    fault(
        "chats-routed-to-embeddings",
        "A rule of the ingress sends chats to the service that embeds: each key is refused in other words.",
        reroute(lambda request: request.path.replace("/chat/completions", "/embeddings") if CHAT(request) else None),
        caught_by="chat.completes",
        breaks=("C1",),
    ),
    fault(
        "inference-fails-in-200",
        "A quota service answers in place of each model: an error, under the status 200.",
        change_responses(
            lambda request: any(asks(request) for asks in _INFERENCE) and not is_stream(request),
            lambda _, response: response.with_json(_QUOTA_USED_UP) if response.succeeded else response,
        ),
        caught_by="chat.completes",
        breaks=("C1", "E1"),
    ),
    fault(
        "byte-order-marks",
        "A gateway puts the mark of UTF-8's byte order before whatever is answered, sounds as well.",
        change_successes(is_any, lambda response: response.with_body(BOM_UTF8 + response.body)),
        caught_by="audio.speaks",
        breaks=("C8", "S2"),
    ),
    fault(
        "unknown-fields-dropped",
        "A gateway passes on the fields that it knows alone: tools, response_format and encoding_format are none.",
        change_requests(lambda request: request.header("content-type").startswith(JSON), _keep_known),
        caught_by="embeddings.base64",
        breaks=("E4",),
    ),
    fault(
        "connections-end-at-4-kib",
        "A proxy ends the connection after 4 KiB of a body: sounds, embeddings and long streams never end.",
        cut_off(is_any, after=4096),
        caught_by="embeddings.batch",
        breaks=("E1", "S2", "C8"),
    ),
    fault(
        "routes-below-others-not-found",
        "A rule of the ingress matches no path below audio, images, datasets and conversations: it says not found.",
        refuse(
            lambda request: _BELOW.search(request.path) is not None,
            Response(404, (("content-type", "text/plain"),), b"404 page not found"),
        ),
        caught_by="upload.conversation_ready",
        breaks=("K3",),
    ),
)
