"""Hostile streams: without an end, without events, and with far too many."""

import itertools
import json
from collections.abc import Iterator

from prove.hostile_tenants._answers import EVENTS, MEBIBYTE, for_ever, head, streams
from prove.hostile_tenants._front import Hostile

_OPENING = head(kind=EVENTS)
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


HOSTILE = (
    Hostile("endless-stream", "a stream of lawful chunks without an end", for_ever(_OPENING, _words), streams),
    Hostile("slow-endless-stream", "a lawful chunk a second, for ever", for_ever(_OPENING, _slow_words, 1.0), streams),
    Hostile(
        "stream-after-its-end", "goes on for ever after [DONE]", for_ever(_OPENING, _after_its_end, 0.001), streams
    ),
    Hostile(
        "stream-of-one-line",
        "an event whose line never ends",
        for_ever(_OPENING + b"data: ", lambda: itertools.repeat(b"x" * MEBIBYTE)),
        streams,
    ),
    Hostile(
        "stream-of-empty-events",
        "a million events with nothing in them",
        for_ever(_OPENING, lambda: itertools.repeat(b"data:\n\n" * 10_000)),
        streams,
    ),
    Hostile(
        "stream-of-lines",
        "one event of a million lines",
        for_ever(_OPENING, lambda: itertools.repeat(b"data\n" * 10_000)),
        streams,
    ),
)
