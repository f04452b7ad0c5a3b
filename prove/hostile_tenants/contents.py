"""Hostile contents: JSON that is none, or whose strings are made to break whoever shows them."""

import base64
import json
from collections.abc import Callable, Iterator
from typing import Any

from prove.hostile_tenants._front import (
    EVENTS,
    Behaviour,
    Connection,
    Hostile,
    Request,
    change_json,
    head_bytes,
    is_after_preflight,
    is_any,
    is_stream,
    response_bytes,
    send_bytes,
)

MARKUP = "\"'><script>gtHostile()</script><img src=x onerror=gtHostile()>]]></script><!--${gtHostile()}{{7*7}}"
"""What no report may hold as markup; every way out of an attribute, an element, a script and a template."""
ODD = f"{MARKUP}\x1b[2J\x1b]0;gone\x07\x00\u202egnp.\u2066\x9b31m\ud83d"
"""With it, what no terminal and no report may show as it is, and what cannot be encoded."""


def replaced(text: str) -> Callable[[Any], Any]:
    """Put a text in the place of every string of a value, and in its keys."""

    def change(value: Any) -> Any:
        if isinstance(value, str):
            return text
        if isinstance(value, list):
            return [change(item) for item in value]
        if isinstance(value, dict):
            return {**{key: change(item) for key, item in value.items()}, text: text}
        return value

    return change


def _twice(value: Any) -> bytes:
    """Each key of the object twice, the second time with nothing."""
    entries = ", ".join(f"{json.dumps(key)}: {json.dumps(item)}" for key, item in value.items())
    nothing = ", ".join(f"{json.dumps(key)}: null" for key in value)
    return f"{{{entries}, {nothing}}}".encode()


def _echo(request: Request) -> Iterator[str]:
    """The secret that was presented, in forms in which a careless tenant lets it out."""
    secret = request.key.partition(" ")[2]
    yield request.key
    yield secret.removeprefix("gtak_")
    yield base64.b64encode(secret.encode()).decode()
    yield secret.encode().hex()
    yield secret[5:30]
    yield "".join(f"&#{ord(character)};" for character in secret)
    yield "".join(f"%{ord(character):02x}" for character in secret)


async def _echoing(request: Request, connection: Connection) -> None:
    forms = list(_echo(request))
    escaped = "".join(f"\\u{ord(character):04x}" for character in request.key)
    body = json.dumps({"error": {"message": " ".join(forms), "code": forms}}).encode()
    body = body.replace(b'"code"', f'"param": "{escaped}", "code"'.encode())
    await connection.send(
        response_bytes(body, "403 Forbidden", *(f"X-Debug-{place}: {form}" for place, form in enumerate(forms)))
    )


async def _echoing_in_stream(request: Request, connection: Connection) -> None:
    def event(content: str, finish_reason: str | None) -> bytes:
        choice = {"index": 0, "delta": {"content": content}, "finish_reason": finish_reason}
        return f"data: {json.dumps({'choices': [choice]})}\n\n".encode()

    words = [event(character, None) for character in request.key]
    await connection.send(head_bytes(kind=EVENTS) + b"".join([*words, event("", "stop"), b"data: [DONE]\n\n"]))


def _with_ids(made: str) -> Behaviour:
    """Everything that is made gets that id; headers carry none."""

    def change(value: Any) -> Any:
        return {**value, "id": made} if isinstance(value, dict) and "id" in value else value

    return change_json(change)


_LONG_NUMBER = b'{"data": [{"index": 0, "embedding": [' + b"9" * 1_000_000 + b']}], "usage": {"total_tokens": 1e999}}'
_DEEP = b'{"error":' * 100_000
_DEEP_LISTS = b"[" * 2_000_000 + b"]" * 2_000_000

HOSTILE = (
    Hostile(
        "not-a-number",
        "numbers that JSON has not",
        send_bytes(response_bytes(b'{"data": [NaN, Infinity, -Infinity]}')),
        is_any,
    ),
    Hostile(
        "long-number", "a number of a million digits", send_bytes(response_bytes(_LONG_NUMBER)), is_after_preflight
    ),
    Hostile(
        "deep-nesting",
        "objects in objects, a hundred thousand deep",
        send_bytes(response_bytes(_DEEP, "403 Forbidden")),
        is_after_preflight,
    ),
    Hostile("deep-lists", "lists in lists, two million deep", send_bytes(response_bytes(_DEEP_LISTS)), is_any),
    Hostile(
        "duplicate-keys",
        "every key twice, the second time with nothing",
        change_json(lambda value: _twice(value) if isinstance(value, dict) else value),
        is_after_preflight,
    ),
    Hostile(
        "odd-texts",
        "markup, escapes and half a character for every string",
        change_json(replaced(ODD)),
        is_after_preflight,
    ),
    Hostile("odd-names", "the same in the model list", change_json(replaced(ODD)), is_any),
    Hostile(
        "ids-that-climb",
        "ids that lead out of their path",
        _with_ids("../../../../sandbox/keys/full/rotate?x=#"),
        is_after_preflight,
    ),
    Hostile(
        "ids-that-inject",
        "ids that would end a header",
        _with_ids("conv_1\r\nAuthorization: Bearer taken\r\n\r\n"),
        is_after_preflight,
    ),
    Hostile("ids-without-end", "ids of a mebibyte", _with_ids("a" * 1_048_576), is_after_preflight),
    Hostile("echoes-keys", "shows the key that was presented, in every form", _echoing, is_after_preflight),
    Hostile("echoes-keys-in-streams", "streams the key, a character an event", _echoing_in_stream, is_stream),
)
