"""Hostile transport: connections, headers, bodies and streams that are silent, endless, false or lead elsewhere."""

import asyncio
import itertools
import json
import random
import zlib
from collections.abc import Iterator
from functools import cache

from prove.hostile_tenants._front import (
    EVENTS,
    MEBIBYTE,
    Connection,
    Hostile,
    Request,
    chunk_bytes,
    head_bytes,
    is_after_preflight,
    is_any,
    is_at,
    is_stream,
    response_bytes,
    send_bytes,
    send_forever,
    wait_until_closed,
)
from prove.hostile_tenants.contents import MARKUP

_GARBAGE = random.Random(7).randbytes(4096)  # noqa: S311 - noise, always the same


async def _silence(_: Request, __: Connection) -> None:
    await wait_until_closed()


async def _reset(_: Request, connection: Connection) -> None:
    connection.reset()


async def _reset_within(_: Request, connection: Connection) -> None:
    await connection.send(head_bytes("200 OK", "Content-Length: 1000") + b'{"object": "li')
    await asyncio.sleep(0.05)
    connection.reset()


async def _half_closed(_: Request, connection: Connection) -> None:
    await connection.send(head_bytes("200 OK", "Content-Length: 1000") + b'{"object": "li')
    await connection.end()
    await wait_until_closed()


async def _too_short(_: Request, connection: Connection) -> None:
    await connection.send(response_bytes(b'{"id": "conv_1"}').replace(b"Content-Length: 16", b"Content-Length: 64"))
    await wait_until_closed()


def _spilling(request: Request) -> bytes:
    del request
    return response_bytes(b'{"id": "conv_1"}') + response_bytes(b'{"id": "poisoned", "status": "ready"}') * 20


async def _spill(request: Request, connection: Connection) -> None:
    await connection.send(_spilling(request))
    await wait_until_closed()


_ODD = [
    "X-Odd: \x1b[2J\x1b]0;gone\x07\x9b31m",
    f"X-Markup: {MARKUP}",
    "X-Latin: \xe9\xff",
    "Set-Cookie: session=taken; Domain=localhost",
]


_GIBIBYTE = 1024 * MEBIBYTE
_JUST_ALLOWED = 8 * MEBIBYTE - 1024


@cache
def _bomb() -> bytes:
    """A gibibyte of spaces, compressed to one mebibyte."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 16 + zlib.MAX_WBITS)
    return b"".join(packer.compress(b" " * MEBIBYTE) for _ in range(1024)) + packer.flush()


async def _explode(_: Request, connection: Connection) -> None:
    await connection.send(response_bytes(_bomb(), "200 OK", "Content-Encoding: gzip"))


def _drip() -> Iterator[bytes]:
    """The beginning of a valid body, byte by byte, and then spaces."""
    return itertools.chain((bytes([byte]) for byte in b'{"object": "list", "data": ['), itertools.repeat(b" "))


_OPENING = head_bytes(kind=EVENTS)
_DONE = b"data: [DONE]\n\n"


def _event(content: str, finish_reason: str | None = None) -> bytes:
    choice = {"index": 0, "delta": {"content": content}, "finish_reason": finish_reason}
    value = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "field-analyst", "choices": [choice]}
    return b"data: " + json.dumps(value).encode() + b"\n\n"


def _words() -> Iterator[bytes]:
    return itertools.repeat(_event("and ") * 100)


def _slow_words() -> Iterator[bytes]:
    return itertools.repeat(_event("and "))


def _after_its_end() -> Iterator[bytes]:
    return itertools.chain([_event("ok"), _event("", "stop"), _DONE], itertools.repeat(_DONE + _event("more")))


async def _loop(request: Request, connection: Connection) -> None:
    await connection.send(response_bytes(b"{}", "308 Permanent Redirect", f"Location: {request.path}"))


async def _away(_: Request, connection: Connection) -> None:
    await connection.send(
        response_bytes(b"{}", "307 Temporary Redirect", f"Location: {connection.elsewhere}/api/tenant/v1/models")
    )


async def _made_away(_: Request, connection: Connection) -> None:
    """What is made lies elsewhere, by every word that a client could follow."""
    there = connection.elsewhere
    body = json.dumps({"id": f"{there}/files/1", "status_url": there, "data": [{"url": f"{there}/1.png"}]})
    headers = [
        f"Location: {there}",
        f"Refresh: 0; url={there}",
        f"Link: <{there}>; rel=preload",
        f'Alt-Svc: h2="{there}"',
    ]
    await connection.send(response_bytes(body.encode(), "201 Created", *headers))


HOSTILE = (
    Hostile("silent", "takes every request and never answers", _silence, is_any),
    Hostile("silent-beyond-controls", "lists models, and answers nothing else", _silence, is_after_preflight),
    Hostile("resets-beyond-controls", "lists models, and resets all else", _reset, is_after_preflight),
    Hostile("resets-within-bodies", "resets the connection within the body", _reset_within, is_after_preflight),
    Hostile("half-closed", "closes its half of the connection within the body", _half_closed, is_after_preflight),
    Hostile(
        "garbage-beyond-controls",
        "lists models, and answers all else with noise",
        send_bytes(_GARBAGE),
        is_after_preflight,
    ),
    Hostile(
        "length-too-long",
        "announces a longer body than it sends, and keeps the line open",
        _too_short,
        is_after_preflight,
    ),
    Hostile(
        "length-too-short", "sends further answers that nobody asked for on the same line", _spill, is_after_preflight
    ),
    Hostile(
        "length-twice",
        "announces two lengths, and chunks as well",
        send_bytes(
            head_bytes("200 OK", "Content-Length: 2", "Content-Length: 20", "Transfer-Encoding: chunked")
            + chunk_bytes(b"{}")
        ),
        is_after_preflight,
    ),
    Hostile(
        "chunk-of-exabytes",
        "announces a chunk larger than any memory",
        send_forever(
            head_bytes("200 OK", "Transfer-Encoding: chunked") + b"fffffffffffffff\r\n",
            lambda: itertools.repeat(b"x" * MEBIBYTE),
        ),
        is_after_preflight,
    ),
    Hostile(
        "endless-continue",
        "says 100 Continue for ever",
        send_forever(b"", lambda: itertools.repeat(b"HTTP/1.1 100 Continue\r\n\r\n" * 100)),
        is_after_preflight,
    ),
    Hostile(
        "endless-header",
        "one header that never ends",
        send_forever(b"HTTP/1.1 200 OK\r\nX-Endless: ", lambda: itertools.repeat(b"x" * 65536)),
        is_any,
    ),
    Hostile(
        "endless-headers",
        "headers without end",
        send_forever(b"HTTP/1.1 200 OK\r\n", lambda: (b"X-Header-%d: x\r\n" % number for number in itertools.count())),
        is_after_preflight,
    ),
    Hostile(
        "slow-headers",
        "headers at ten bytes a second",
        send_forever(b"HTTP/1.1 200 OK\r\n", lambda: itertools.repeat(b"X: 12345\r\n"), pause_s=1.0),
        is_after_preflight,
    ),
    Hostile(
        "odd-headers",
        "a status line and headers that hold escapes, markup and cookies",
        send_bytes(response_bytes(b"{}", f"403 \x1b[2J{MARKUP}", *_ODD)),
        is_after_preflight,
    ),
    Hostile(
        "one-byte-a-second",
        "bodies at one byte a second, for ever",
        send_forever(head_bytes(), _drip, 1.0),
        is_after_preflight,
    ),
    Hostile(
        "refuses-at-one-byte-a-second",
        "refuses everything, and takes for ever to say why",
        send_forever(head_bytes("401 Unauthorized"), _drip, 1.0),
        is_after_preflight,
    ),
    Hostile(
        "gigabyte",
        "a gibibyte with its length",
        send_forever(
            head_bytes("200 OK", f"Content-Length: {_GIBIBYTE}"), lambda: itertools.repeat(b"x" * MEBIBYTE, 1024)
        ),
        is_any,
    ),
    Hostile(
        "gigabyte-in-chunks",
        "a gibibyte in chunks",
        send_forever(
            head_bytes("200 OK", "Transfer-Encoding: chunked"),
            lambda: itertools.repeat(chunk_bytes(b"x" * MEBIBYTE), 1024),
        ),
        is_after_preflight,
    ),
    Hostile("gzip-bomb", "a mebibyte that unpacks to a gibibyte", _explode, is_after_preflight),
    Hostile(
        "always-as-large-as-allowed",
        "every answer just within the limit of one answer",
        send_bytes(response_bytes(b'"' + b"x" * (_JUST_ALLOWED - 2) + b'"')),
        is_after_preflight,
    ),
    Hostile(
        "refuses-at-length",
        "every refusal just within the limit of one answer, one letter of it beyond ASCII",
        send_bytes(
            response_bytes(
                '{"error": {"message": "\N{GRINNING FACE}'.encode() + b"x" * (_JUST_ALLOWED - 64) + b'"}}',
                "403 Forbidden",
            )
        ),
        is_after_preflight,
    ),
    Hostile(
        "a-million-entries",
        "a list of more than a million empty objects",
        send_bytes(response_bytes(b'{"data": [' + b"{}," * (_JUST_ALLOWED // 3 - 10) + b"{}]}")),
        is_after_preflight,
    ),
    Hostile("endless-stream", "a stream of valid chunks without an end", send_forever(_OPENING, _words), is_stream),
    Hostile(
        "slow-endless-stream",
        "a valid chunk a second, without an end",
        send_forever(_OPENING, _slow_words, 1.0),
        is_stream,
    ),
    Hostile(
        "stream-after-its-end",
        "goes on for ever after [DONE]",
        send_forever(_OPENING, _after_its_end, 0.001),
        is_stream,
    ),
    Hostile(
        "stream-of-one-line",
        "an event whose line never ends",
        send_forever(_OPENING + b"data: ", lambda: itertools.repeat(b"x" * MEBIBYTE)),
        is_stream,
    ),
    Hostile(
        "stream-of-empty-events",
        "a million events with nothing in them",
        send_forever(_OPENING, lambda: itertools.repeat(b"data:\n\n" * 10_000)),
        is_stream,
    ),
    Hostile(
        "stream-of-lines",
        "one event of a million lines",
        send_forever(_OPENING, lambda: itertools.repeat(b"data\n" * 10_000)),
        is_stream,
    ),
    Hostile("redirect-loop", "redirects every request to itself", _loop, is_after_preflight),
    Hostile("redirect-elsewhere", "redirects every request to another host", _away, is_after_preflight),
    Hostile("redirect-elsewhere-at-once", "redirects the very first request to another host", _away, is_any),
    Hostile("made-elsewhere", "says that whatever it made lies on another host", _made_away, is_after_preflight),
    Hostile(
        "come-back-later",
        "answers 429, and asks for a second's patience each time",
        send_bytes(response_bytes(b'{"error": "busy"}', "429 Too Many Requests", "Retry-After: 1")),
        is_after_preflight,
    ),
    Hostile(
        "come-back-yesterday",
        "answers 503, and names a time that is no time",
        send_bytes(response_bytes(b'{"error": "busy"}', "503 Service Unavailable", "Retry-After: -1e309")),
        is_after_preflight,
    ),
    Hostile(
        "never-ready",
        "processes every upload for ever",
        send_bytes(response_bytes(b'{"id": "file_1", "status": "processing"}')),
        is_at("/files", "/files/file_1"),
    ),
)
