"""Faults of what stands before all routes: a gateway that writes or answers in its own way, whatever is asked."""

import json
import re
from collections.abc import Callable
from typing import Any

from gt_sandbox.faults._fault import fault
from gt_sandbox.faults._parts import redirect, web_page
from gt_sandbox.middleware import (
    MiddlewareFactory,
    Request,
    Response,
    change_chunks,
    change_responses,
    change_successes,
    combine,
    is_any,
    is_live,
    is_stream,
    respond_with,
    use_key,
)


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
)
