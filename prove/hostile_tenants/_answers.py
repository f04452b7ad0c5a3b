"""What behaviours are written with: which requests they are about, and answers as bytes."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any

from prove.hostile_tenants._front import Act, Asked, Line

MEBIBYTE = 1024 * 1024
JSON, EVENTS = "application/json", "text/event-stream"


def everything(_: Asked) -> bool:
    """Every request, the controls' as well."""
    return True


def beyond_controls(asked: Asked) -> bool:
    """Every request but those by which a key is controlled: they pass, so that all the rest is tried."""
    return not asked.path.endswith(("/v1/models", "/v1/gt-conformance-no-such-route"))


def at(*ends: str) -> Callable[[Asked], bool]:
    """Requests to a path with one of these ends."""
    return lambda asked: asked.path.endswith(ends)


def streams(asked: Asked) -> bool:
    """Chats that ask for a stream."""
    return asked.path.endswith("/chat/completions") and b'"stream":true' in asked.body


def head(status: str = "200 OK", *headers: str, kind: str = JSON) -> bytes:
    """A status line and headers, to the empty line."""
    return "\r\n".join([f"HTTP/1.1 {status}", f"Content-Type: {kind}", *headers, "", ""]).encode("latin-1")


def whole(body: bytes, status: str = "200 OK", *headers: str, kind: str = JSON) -> bytes:
    """A whole answer with its length."""
    return head(status, f"Content-Length: {len(body)}", *headers, kind=kind) + body


def chunk(data: bytes) -> bytes:
    """One piece of a chunked body."""
    return b"%x\r\n%s\r\n" % (len(data), data)


def saying(data: bytes) -> Act:
    """Send these bytes and close."""

    async def act(_: Asked, line: Line) -> None:
        await line.say(data)

    return act


def for_ever(opening: bytes, pieces: Callable[[], Iterable[bytes]], pause_s: float = 0.0) -> Act:
    """Send an opening, and then pieces until the run hangs up, with a pause after each."""

    async def act(_: Asked, line: Line) -> None:
        await line.say(opening)
        async for piece in _paced(pieces(), pause_s):
            await line.say(piece)
        await stalled()

    return act


def changing(change: Callable[[Any], Any]) -> Act:
    """Put another JSON value in place of the one that the tenant answers; its status stays, what is no JSON passes."""

    async def act(asked: Asked, line: Line) -> None:
        answer = await line.tenant(asked)
        try:
            value = json.loads(answer.body)
        except ValueError:
            await line.say(answer.head + answer.body)
            return
        changed = change(value)
        body = changed if isinstance(changed, bytes) else json.dumps(changed).encode()
        await line.say(whole(body, answer.head.split(b"\r\n")[0].decode("latin-1").partition(" ")[2]))

    return act


async def stalled() -> None:
    """Wait until the front is closed."""
    await asyncio.Event().wait()


async def _paced(pieces: Iterable[bytes], pause_s: float) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece
        await asyncio.sleep(pause_s)
