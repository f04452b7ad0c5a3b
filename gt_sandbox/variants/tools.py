"""Variants of tool calls that are streamed: what every client joins."""

import json
from collections.abc import Callable
from typing import Any

from gt_sandbox.middleware import MiddlewareFactory, Request, Response, change_chunks, change_successes, is_stream
from gt_sandbox.variants._variant import variant

_PIECES = "OpenAI API reference, Streaming: delta.tool_calls"
_MEASURED = "checks: every client that was measured takes it"

Chunk = dict[str, Any]
Piece = dict[str, Any]


def _pieces(chunk: Chunk) -> list[Piece]:
    return [piece for choice in chunk["choices"] for piece in choice["delta"].get("tool_calls") or ()]


def _with(chunk: Chunk, **delta: object) -> Chunk:
    return {**chunk, "choices": [{**choice, "delta": delta} for choice in chunk["choices"]]}


def _change(change: Callable[[Piece], Piece]) -> MiddlewareFactory:
    """Change each piece of a call."""

    def change_chunk(chunk: Chunk) -> list[Chunk]:
        pieces = [change(piece) for piece in _pieces(chunk)]
        return [_with(chunk, tool_calls=pieces) if pieces else chunk]

    return change_chunks(change_chunk)


def _whole(chunks: list[Chunk]) -> list[Chunk]:
    """Each call whole in one piece, when it is complete."""
    calls: dict[int, Piece] = {}
    for piece in (piece for chunk in chunks for piece in _pieces(chunk)):
        call = calls.setdefault(piece["index"], {**piece, "function": {**piece["function"], "arguments": ""}})
        call["function"]["arguments"] += piece["function"]["arguments"]
    others = [chunk for chunk in chunks if not _pieces(chunk)]
    joined = [_with(others[0], tool_calls=list(calls.values()))] if calls else []
    return [*others[:1], *joined, *others[1:]]


def _repeat_ids(chunks: list[Chunk]) -> list[Chunk]:
    """The id of each call in each of its pieces."""
    ids: dict[int, str] = {}
    for piece in (piece for chunk in chunks for piece in _pieces(chunk)):
        piece["id"] = ids.setdefault(piece["index"], piece.get("id", ""))
    return chunks


def _change_streams(change: Callable[[list[Chunk]], list[Chunk]]) -> MiddlewareFactory:
    """Put other chunks in place of those of a whole stream with calls."""

    def change_stream(response: Response) -> Response:
        if b'"tool_calls"' not in response.body:
            return response
        events = [event.removeprefix(b"data: ") for event in response.body.split(b"\n\n")]
        chunks = change([json.loads(event) for event in events if event.startswith(b"{")])
        made = [*(json.dumps(chunk).encode() for chunk in chunks), b"[DONE]"]
        return response.with_body(b"".join(b"data: %b\n\n" % event for event in made))

    return change_successes(_offers_tools, change_stream)


def _offers_tools(request: Request) -> bool:
    return is_stream(request) and bool(request.fields.get("tools"))


def _null_first(piece: Piece) -> Piece:
    return {**piece, "function": {**piece["function"], "arguments": None}} if "id" in piece else piece


def _talk(chunk: Chunk) -> list[Chunk]:
    """Content between the pieces."""
    return [_with(chunk, content="Let me look. "), chunk] if _pieces(chunk) else [chunk]


def _set_finish(reason: str | None) -> MiddlewareFactory:
    def change(chunk: Chunk) -> list[Chunk]:
        for choice in chunk["choices"]:
            if choice.get("finish_reason") == "tool_calls":
                choice["finish_reason"] = reason
        return [chunk]

    return change_chunks(change)


def _finish_first() -> MiddlewareFactory:
    """The finish_reason with the first piece of the first call."""

    def change(chunk: Chunk) -> list[Chunk]:
        for choice in chunk["choices"]:
            if any("id" in piece for piece in choice["delta"].get("tool_calls") or ()):
                choice["finish_reason"] = "tool_calls"
        return [chunk]

    return change_chunks(change)


def _leave_empty(piece: Piece) -> Piece:
    return piece if "id" in piece else {**piece, "id": "", "function": {**piece["function"], "name": ""}}


VARIANTS = (
    variant(
        "streamed-call-in-one-piece",
        "A streamed tool call comes whole, in one piece.",
        _change_streams(_whole),
        permitted_by=_PIECES,
        alters="tool-calls tool-pieces",
    ),
    variant(
        "streamed-call-begins-with-null",
        "The first piece of a streamed call has null for arguments.",
        _change(_null_first),
        permitted_by=_MEASURED,
        alters="tool-calls tool-pieces",
    ),
    variant(
        "streamed-call-without-type",
        "The pieces of a streamed call do not say that it is of a function.",
        _change(lambda piece: {name: value for name, value in piece.items() if name != "type"}),
        permitted_by=_MEASURED,
        alters="tool-calls tool-pieces",
    ),
    variant(
        "streamed-call-with-empty-names",
        "Later pieces of a streamed call have an empty name and id.",
        _change(_leave_empty),
        permitted_by=_MEASURED,
        alters="tool-calls tool-pieces",
    ),
    variant(
        "streamed-call-repeats-its-id",
        "Each piece of a streamed call repeats its id.",
        _change_streams(_repeat_ids),
        permitted_by=_MEASURED,
        alters="tool-calls tool-pieces",
    ),
    variant(
        "streamed-call-amid-content",
        "A stream has content between the pieces of a call.",
        change_chunks(_talk),
        permitted_by="OpenAI API reference: content and tool calls in one message",
        alters="tool-calls tool-pieces",
    ),
    variant(
        "streamed-call-finishes-with-stop",
        "The finish_reason of a streamed call is stop.",
        _set_finish("stop"),
        permitted_by=_MEASURED,
        alters="tool-calls tool-pieces finish",
    ),
    variant(
        "streamed-call-finishes-with-nothing",
        "A streamed call has no finish_reason; [DONE] ends it.",
        _set_finish(None),
        permitted_by=_MEASURED,
        alters="tool-calls tool-pieces finish ends",
    ),
    variant(
        "streamed-call-follows-its-finish",
        "Pieces of a streamed call follow its finish_reason.",
        _finish_first(),
        permitted_by=_MEASURED,
        alters="tool-calls tool-pieces finish",
    ),
)
