"""Hostile connections: silence, resets, garbage, and lengths that lie."""

import asyncio
import itertools
import random

from prove.hostile_tenants._answers import (
    MEBIBYTE,
    beyond_controls,
    chunk,
    everything,
    for_ever,
    head,
    saying,
    stalled,
    whole,
)
from prove.hostile_tenants._front import Asked, Hostile, Line

_GARBAGE = random.Random(7).randbytes(4096)  # noqa: S311 - noise, always the same


async def _silence(_: Asked, __: Line) -> None:
    await stalled()


async def _reset(_: Asked, line: Line) -> None:
    line.reset()


async def _reset_within(_: Asked, line: Line) -> None:
    await line.say(head("200 OK", "Content-Length: 1000") + b'{"object": "li')
    await asyncio.sleep(0.05)
    line.reset()


async def _half_closed(_: Asked, line: Line) -> None:
    await line.say(head("200 OK", "Content-Length: 1000") + b'{"object": "li')
    await line.end()
    await stalled()


async def _too_short(_: Asked, line: Line) -> None:
    await line.say(whole(b'{"id": "conv_1"}').replace(b"Content-Length: 16", b"Content-Length: 64"))
    await stalled()


def _spilling(asked: Asked) -> bytes:
    del asked
    return whole(b'{"id": "conv_1"}') + whole(b'{"id": "poisoned", "status": "ready"}') * 20


async def _spill(asked: Asked, line: Line) -> None:
    await line.say(_spilling(asked))
    await stalled()


HOSTILE = (
    Hostile("silent", "takes every request and never answers", _silence, everything),
    Hostile("silent-beyond-controls", "lists models, and answers nothing else", _silence, beyond_controls),
    Hostile("resets-beyond-controls", "lists models, and resets all else", _reset, beyond_controls),
    Hostile("resets-within-bodies", "resets the connection within the body", _reset_within, beyond_controls),
    Hostile("half-closed", "closes its half of the connection within the body", _half_closed, beyond_controls),
    Hostile(
        "garbage-beyond-controls", "lists models, and answers all else with noise", saying(_GARBAGE), beyond_controls
    ),
    Hostile(
        "length-too-long", "announces a longer body than it sends, and keeps the line open", _too_short, beyond_controls
    ),
    Hostile(
        "length-too-short", "sends further answers that nobody asked for on the same line", _spill, beyond_controls
    ),
    Hostile(
        "length-twice",
        "announces two lengths, and chunks as well",
        saying(head("200 OK", "Content-Length: 2", "Content-Length: 20", "Transfer-Encoding: chunked") + chunk(b"{}")),
        beyond_controls,
    ),
    Hostile(
        "chunk-of-exabytes",
        "announces a chunk larger than any memory",
        for_ever(
            head("200 OK", "Transfer-Encoding: chunked") + b"fffffffffffffff\r\n",
            lambda: itertools.repeat(b"x" * MEBIBYTE),
        ),
        beyond_controls,
    ),
    Hostile(
        "endless-continue",
        "says 100 Continue for ever",
        for_ever(b"", lambda: itertools.repeat(b"HTTP/1.1 100 Continue\r\n\r\n" * 100)),
        beyond_controls,
    ),
)
