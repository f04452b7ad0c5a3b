"""What faults of several areas are put together from: wrong responses, connections cut off, owners taken for others."""

import json
import re
from collections.abc import Callable
from typing import Any

from starlette.types import Message

from gt_sandbox.alterations import TenantFileChange
from gt_sandbox.middleware import (
    CONVERSATION_HEADER,
    Call,
    MiddlewareFactory,
    Predicate,
    Request,
    Response,
    Secrets,
    change_pieces,
    change_successes,
    is_live,
    per_call,
    with_request_header,
    with_secrets,
)

ALIAS = "field-analyst"
INTERNAL = "agent-7f3a"
PROVIDER = "provider-model-9"


def break_off(choice: Any) -> None:
    """Leave half of the text out of the choice of a chat."""
    text = choice["message"].get("content") or ""
    choice["message"]["content"] = text[: (len(text) + 1) // 2] or choice["message"].get("content")


def lose_four_bytes(body: bytes) -> bytes:
    """A text with a question mark in place of each character that takes four bytes in UTF-8."""
    return re.sub("[\U00010000-\U0010ffff]", "?", unescape(body)).encode()


def lose_letters(body: bytes) -> bytes:
    """A text with a question mark in place of each character beyond ASCII."""
    return unescape(body).encode("ascii", "replace")


def unescape(body: bytes) -> str:
    """JSON without escapes, which another fault may have put in place of letters."""
    text = body.decode(errors="replace")
    return json.dumps(json.loads(text), ensure_ascii=False) if "\\u" in text else text


def web_page(status: int = 200) -> Response:
    """A web page."""
    return Response(
        status, (("content-type", "text/html"),), b"<!doctype html><html><body><h1>Welcome</h1></body></html>"
    )


def redirect(status: int = 307) -> Response:
    """A redirect to another address of this machine, where nothing listens."""
    return Response(status, (("location", "http://127.0.0.1:9/login"),), b"")


def model_entry(name: str) -> dict[str, object]:
    """An entry of the model list."""
    return {"id": name, "object": "model", "created": 1_764_000_000, "owned_by": "gt-agents"}


def respond_json(wanted: Predicate, body: object) -> MiddlewareFactory:
    """Put this JSON body into every 2xx of a route."""
    return change_successes(wanted, lambda response: response.with_json(body))


def replace_bytes(wanted: Predicate, old: bytes, new: bytes) -> MiddlewareFactory:
    """Put one text in place of another in every 2xx of a route, streams included."""
    return change_pieces(wanted, lambda piece: piece.replace(old, new))


def cut_off(wanted: Predicate, *, after: int) -> MiddlewareFactory:
    """End the connection of a 2xx in the middle of the body, after so many bytes."""

    @per_call
    async def cut(call: Call) -> None:
        left, succeeded = after, False

        async def send(message: Message) -> None:
            nonlocal left, succeeded
            if message["type"] == "http.response.start":
                succeeded = 200 <= message["status"] < 300
            elif succeeded:
                kept = message["body"][:left]
                left -= len(kept)
                message = {**message, "body": kept, "more_body": True}
            await call.send(message)

        await call.forward(send=send if wanted(call.request) else None)

    return cut


def act_as_owner(named: Callable[[Request], str], *keys: str, anybody: bool = False) -> MiddlewareFactory:
    """Take a request that names a file or a conversation as if its owner had sent it.

    So it is for these live keys (``APP``, ``PARTNER``); for every live key if none is named, and for ``anybody`` with
    another key, or without one.
    """

    def make(secrets: Secrets) -> MiddlewareFactory:
        owners: dict[str, str] = {}

        async def act(call: Call) -> None:
            key = call.request.header("authorization")

            async def send(message: Message) -> None:
                body = message.get("body", b"")
                if b'"object":"file"' in body or b'"object":"conversation"' in body:
                    owners.setdefault(json.loads(body)["id"], key)
                await call.send(message)

            owner = owners.get(named(call.request))
            as_owner = owner is not None and (anybody or is_live(call.request, secrets, *keys))
            await call.forward(with_request_header(call.scope, "authorization", owner) if as_owner else None, send=send)

        return per_call(act)

    return with_secrets(make)


def use_last_conversation(wanted: Predicate, *, if_named: Callable[[str], bool]) -> MiddlewareFactory:
    """Send requests to the conversation that their key opened last, if ``if_named`` holds of the id that they name."""

    def make(_: Secrets) -> MiddlewareFactory:
        opened: dict[str, str] = {}

        async def redirect(call: Call) -> None:
            request = call.request

            async def send(message: Message) -> None:
                if message["type"] == "http.response.start" and request.path.endswith("/conversations"):
                    headers = dict(message["headers"])
                    if CONVERSATION_HEADER.encode() in headers:
                        opened[request.secret] = headers[CONVERSATION_HEADER.encode()].decode()
                await call.send(message)

            last = opened.get(request.secret)
            changes = last is not None and wanted(request) and if_named(request.header(CONVERSATION_HEADER))
            await call.forward(
                with_request_header(call.scope, CONVERSATION_HEADER, last) if changes else None, send=send
            )

        return per_call(redirect)

    return with_secrets(make)


def with_limits(**limits: float) -> TenantFileChange:
    """A tenant file with other limits: what never comes is not waited for long."""
    return lambda document: {**document, "limits": {**document["limits"], **limits}}
