"""Streams: what chunks may hold, and how events may be framed."""

import json
from typing import Any

from ..edges import EdgeMaker, pieces
from ._parts import Chunk, chunks, delta_of, events, framed_freely, streamed
from ._variant import Area

variant = Area("streams")
_CHUNKS = "OpenAI API reference, Streaming: the chat completion chunk object"
_FRAMES = "WHATWG HTML, 9.2: Server-sent events"
_LINES = "stream-crlf stream-cr stream-of-parted-data"


def _reasoned(chunk: Chunk) -> list[Chunk]:
    """After the role, some deltas of reasoning, whose content is null."""
    delta = delta_of(chunk)
    if "role" not in delta:
        return [chunk]
    choice = chunk["choices"][0]
    thoughts = [{"reasoning_content": word, "reasoning": word, "content": None} for word in ("I ", "count.")]
    return [chunk, *({**chunk, "choices": [{**choice, "delta": thought}]} for thought in thoughts)]


def _counted(chunk: Chunk) -> list[Chunk]:
    """Usage in every chunk of a stream that asks for it."""
    if "usage" in chunk and chunk["usage"] is None:
        chunk["usage"] = {"prompt_tokens": 9, "completion_tokens": 1, "total_tokens": 10}
    return [chunk]


def _without_null_usage(chunk: Chunk) -> list[Chunk]:
    if chunk.get("usage", 0) is None:
        del chunk["usage"]
    return [chunk]


def _with_last_words(chunk: Chunk) -> list[Chunk]:
    if chunk["choices"] and chunk["choices"][0].get("finish_reason") == "stop":
        delta_of(chunk)["content"] = "\n"
    return [chunk]


def _with_empty_deltas(chunk: Chunk) -> list[Chunk]:
    delta = delta_of(chunk)
    if not delta.get("content"):
        return [chunk]
    choice = chunk["choices"][0]
    return [{**chunk, "choices": [{**choice, "delta": {}, "finish_reason": None}]}, chunk]


def _with_role_throughout(chunk: Chunk) -> list[Chunk]:
    if delta_of(chunk):
        delta_of(chunk)["role"] = "assistant"
    return [chunk]


def _without_optional(chunk: Chunk) -> list[Chunk]:
    for choice in chunk["choices"]:
        choice.pop("logprobs", None)
        if choice.get("finish_reason", 0) is None:
            del choice["finish_reason"]
    return [chunk]


def _extra(chunk: Chunk) -> list[Chunk]:
    chunk.update(system_fingerprint="fp_1", service_tier="default", obfuscation="x7", provider={"name": "gt"})
    for choice in chunk["choices"]:
        choice.update(native_finish_reason=None, content_filter_results={})
    return [chunk]


def _ended_by(end: bytes) -> EdgeMaker:
    """Lines of streams that end so."""
    return pieces(framed_freely, lambda piece: piece.replace(b"\n", end))


def _commented(event: bytes) -> bytes:
    return b": still here\n\n" + event


def _named(event: bytes) -> bytes:
    return b"event: message\nid: 7\nretry: 3000\n" + event


def _parted(event: bytes) -> bytes:
    """The JSON of an event over several data lines, which a reader joins by line ends."""
    if not event.startswith(b"data: {"):
        return event
    value: Any = json.loads(event.removeprefix(b"data: "))
    lines = json.dumps(value, indent=1).splitlines()
    return "".join(f"data: {line}\n" for line in lines).encode() + b"\n"


VARIANTS = (
    variant(
        "stream-with-reasoning",
        "Streams tell the model's reasoning before the answer.",
        chunks(_reasoned),
        lawful="GT API reference: extra fields anywhere; checks: reasoning deltas",
    ),
    variant(
        "stream-with-extra-fields",
        "Chunks hold fields of the provider's own.",
        chunks(_extra),
        lawful="GT API reference: extra fields anywhere",
    ),
    variant(
        "stream-without-optional-fields",
        "Chunks leave out logprobs, and finish_reason until it is known.",
        chunks(_without_optional),
        lawful=_CHUNKS,
    ),
    variant(
        "stream-usage-throughout",
        "Every chunk of a stream tells the usage so far.",
        chunks(_counted),
        lawful="GT API reference: extra fields anywhere",
        conflicts="stream-without-null-usage",
    ),
    variant(
        "stream-without-null-usage",
        "Only the usage chunk has usage.",
        chunks(_without_null_usage),
        lawful=_CHUNKS,
        conflicts="stream-usage-throughout",
    ),
    variant(
        "stream-ends-with-words",
        "The chunk that finishes holds the last words as well.",
        chunks(_with_last_words),
        lawful=_CHUNKS,
    ),
    variant(
        "stream-with-empty-deltas",
        "Chunks with nothing in them keep the stream alive.",
        chunks(_with_empty_deltas),
        lawful=_CHUNKS,
    ),
    variant(
        "stream-role-throughout",
        "Every delta names the role.",
        chunks(_with_role_throughout),
        lawful="checks: the role in the first delta alone is a should",
    ),
    variant(
        "stream-without-space",
        "No space stands after data: in a stream.",
        events(streamed, lambda event: event.replace(b"data: ", b"data:", 1)),
        lawful=_FRAMES,
        conflicts="stream-of-parted-data",
    ),
    variant(
        "stream-of-parted-data",
        "The JSON of an event stands over several data lines, but for Dify.",
        events(framed_freely, _parted),
        lawful=_FRAMES,
        conflicts=_LINES + " stream-without-space",
    ),
    variant(
        "stream-with-names",
        "Events have names and numbers of their own, but for Dify.",
        events(framed_freely, _named),
        lawful=_FRAMES,
    ),
    variant("stream-with-comments", "Comments stand between the events.", events(streamed, _commented), lawful=_FRAMES),
    variant(
        "stream-crlf",
        "Lines of streams end in CR LF, but for Dify.",
        _ended_by(b"\r\n"),
        lawful=_FRAMES,
        conflicts=_LINES,
    ),
    variant(
        "stream-cr", "Lines of streams end in CR, but for Dify.", _ended_by(b"\r"), lawful=_FRAMES, conflicts=_LINES
    ),
)
