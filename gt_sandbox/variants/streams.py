"""Variants of streams: what chunks may hold, and how events may be framed."""

import json
import secrets
from collections.abc import Callable
from typing import Any

from gt_sandbox.middleware import (
    MiddlewareFactory,
    Request,
    Response,
    change_chunks,
    change_events,
    change_pieces,
    change_successes,
    is_stream,
)
from gt_sandbox.variants._variant import variant

_CHUNKS = "OpenAI API reference, Streaming: the chat completion chunk object"
_MEASURED = "checks: every client that was measured takes it"
_FRAMES = "WHATWG HTML, 9.2: Server-sent events"

Chunk = dict[str, Any]


def _takes_any_framing(request: Request) -> bool:
    """Whether it asks for a stream and reads any valid framing: Dify, which alone names a user, does not."""
    return is_stream(request) and "user" not in request.fields


def _delta(chunk: Chunk) -> dict[str, Any]:
    """The delta of a chunk's only choice; an empty one if it has no choice."""
    return chunk["choices"][0]["delta"] if chunk["choices"] else {}


def _add_reasoning(chunk: Chunk) -> list[Chunk]:
    """After the role, some deltas of reasoning, whose content is null."""
    if "role" not in _delta(chunk):
        return [chunk]
    choice = chunk["choices"][0]
    thoughts = [{"reasoning_content": word, "reasoning": word, "content": None} for word in ("I ", "count.")]
    return [chunk, *({**chunk, "choices": [{**choice, "delta": thought}]} for thought in thoughts)]


def _add_usage(chunk: Chunk) -> list[Chunk]:
    """Usage in every chunk of a stream that asks for it."""
    if "usage" in chunk and chunk["usage"] is None:
        chunk["usage"] = {"prompt_tokens": 9, "completion_tokens": 1, "total_tokens": 10}
    return [chunk]


def _drop_null_usage(chunk: Chunk) -> list[Chunk]:
    if chunk.get("usage", 0) is None:
        del chunk["usage"]
    return [chunk]


def _add_last_words(chunk: Chunk) -> list[Chunk]:
    if chunk["choices"] and chunk["choices"][0].get("finish_reason") == "stop":
        _delta(chunk)["content"] = "\n"
    return [chunk]


def _add_empty_delta(chunk: Chunk) -> list[Chunk]:
    if not _delta(chunk).get("content"):
        return [chunk]
    choice = chunk["choices"][0]
    return [{**chunk, "choices": [{**choice, "delta": {}, "finish_reason": None}]}, chunk]


def _repeat_role(chunk: Chunk) -> list[Chunk]:
    if _delta(chunk):
        _delta(chunk)["role"] = "assistant"
    return [chunk]


def _drop_optional(chunk: Chunk) -> list[Chunk]:
    for choice in chunk["choices"]:
        choice.pop("logprobs", None)
        if choice.get("finish_reason", 0) is None:
            del choice["finish_reason"]
    return [chunk]


def _add_fields(chunk: Chunk) -> list[Chunk]:
    chunk.update(system_fingerprint="fp_1", service_tier="default", obfuscation="x7", provider={"name": "gt"})
    for choice in chunk["choices"]:
        choice.update(native_finish_reason=None, content_filter_results={})
    return [chunk]


def _follow_finish(change: Callable[[Chunk], list[Chunk]]) -> MiddlewareFactory:
    """Other chunks in place of the one that finishes."""
    return change_chunks(
        lambda chunk: change(chunk) if any(choice.get("finish_reason") for choice in chunk["choices"]) else [chunk]
    )


def _set(chunk: Chunk, **fields: object) -> Chunk:
    """The chunk with other fields in its choices."""
    return {**chunk, "choices": [{**choice, **fields} for choice in chunk["choices"]]}


def _fill_usage_chunk(**fields: object) -> MiddlewareFactory:
    """A choice in the usage chunk."""
    return change_chunks(
        lambda chunk: [chunk if chunk["choices"] else {**chunk, "choices": [{"index": 0, "delta": {}, **fields}]}]
    )


def _add_filter_results(response: Response) -> Response:
    """A first chunk without choices that names nothing."""
    first = {"id": "", "object": "", "created": 0, "model": "", "choices": [], "prompt_filter_results": []}
    return response.with_body(f"data: {json.dumps(first)}\n\n".encode() + response.body)


def _join(response: Response) -> Response:
    """The stream with all its text in one event."""
    events = [json.loads(line[6:]) for line in response.body.decode().splitlines() if line.startswith("data: {")]
    text = "".join(_delta(event).get("content") or "" for event in events)
    usage = next((event["usage"] for event in events if event.get("usage")), None)
    calls: dict[int, dict[str, Any]] = {}
    for piece in (piece for event in events for piece in _delta(event).get("tool_calls") or ()):
        call = calls.setdefault(piece["index"], {**piece, "function": {**piece["function"], "arguments": ""}})
        call["function"]["arguments"] += piece["function"]["arguments"]
    called = {"tool_calls": list(calls.values())} if calls else {}
    finish = "tool_calls" if calls else "stop"
    choice = {"index": 0, "delta": {"role": "assistant", "content": text, **called}, "finish_reason": finish}
    only = json.dumps({**events[0], "choices": [choice], "usage": usage})
    return response.with_body(f"data: {only}\n\ndata: [DONE]\n\n".encode())


def _move_usage(chunk: Chunk) -> list[Chunk]:
    """Usage in the chunk with the role, and none at the end."""
    if not chunk["choices"]:
        return []
    usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
    return [{**chunk, "usage": usage} if "role" in _delta(chunk) else chunk]


def _end_lines(end: bytes) -> MiddlewareFactory:
    """Other line ends."""
    return change_pieces(_takes_any_framing, lambda piece: piece.replace(b"\n", end))


def _split_data(event: bytes) -> bytes:
    """The JSON of an event over several data lines, which a reader joins by line ends."""
    if not event.startswith(b"data: {"):
        return event
    value: Any = json.loads(event.removeprefix(b"data: "))
    lines = json.dumps(value, indent=1).splitlines()
    return "".join(f"data: {line}\n" for line in lines).encode() + b"\n"


def _by_vllm(chunk: Chunk) -> list[Chunk]:
    """Null for what a piece of a call does not have, and fields of its own."""
    for choice in chunk["choices"]:
        choice.update(stop_reason=None, token_ids=None)
        for piece in choice["delta"].get("tool_calls") or ():
            for name in ("id", "type"):
                piece.setdefault(name, None)
            piece["function"].setdefault("name", None)
    return [chunk]


def _by_perplexity(chunk: Chunk) -> list[Chunk]:
    """The message so far beside each delta."""
    for choice in chunk["choices"]:
        choice["message"] = {"role": "assistant", "content": "..."}
    return [{**chunk, "citations": ["https://acme.example"], "search_results": []}]


def _by_groq(chunk: Chunk) -> list[Chunk]:
    """Usage in a field of its own."""
    return [{**chunk, "x_groq": {"id": "req_1", "usage": {"queue_time": 0.1, "total_tokens": 12}}}]


def _count_nothing(chunk: Chunk) -> list[Chunk]:
    """Usage of zeros in every chunk."""
    zeros = dict.fromkeys(("prompt_tokens", "completion_tokens", "total_tokens"), 0)
    return [{**chunk, "usage": zeros} if chunk["choices"] else chunk]


def _name_anew(chunk: Chunk) -> list[Chunk]:
    return [{**chunk, "id": f"chatcmpl-{secrets.token_hex(4)}", "created": 0}]


def _drop_role(chunk: Any) -> list[object]:
    for choice in chunk["choices"]:
        choice["delta"].pop("role", None)
    return [chunk]


VARIANTS = (
    variant(
        "stream-by-vllm",
        "Pieces of calls have null for what only the first has.",
        change_chunks(_by_vllm),
        permitted_by=_MEASURED,
        alters="tool-pieces",
    ),
    variant(
        "stream-by-perplexity",
        "Each chunk has the message so far beside its delta.",
        change_chunks(_by_perplexity),
        permitted_by="GT API reference: extra fields anywhere",
    ),
    variant(
        "stream-by-groq",
        "The usage is in a field of the provider's own as well.",
        change_chunks(_by_groq),
        permitted_by="GT API reference: extra fields anywhere",
    ),
    variant(
        "stream-usage-of-zeros",
        "Every chunk of a stream counts nothing until the usage chunk does.",
        change_chunks(_count_nothing),
        permitted_by=_MEASURED,
        alters="usage",
    ),
    variant(
        "stream-named-anew",
        "Each chunk of a stream has an id of its own, and was created at 0.",
        change_chunks(_name_anew),
        permitted_by=_MEASURED,
    ),
    variant(
        "stream-ends-in-the-line",
        "Nothing follows [DONE], not even the end of its line.",
        change_pieces(is_stream, lambda piece: piece.replace(b"[DONE]\n\n", b"[DONE]")),
        permitted_by="checks: every client that was measured takes it",
        alters="ends line-ends",
    ),
    variant(
        "stream-comments-in-events",
        "Each event begins with a comment, but for Dify.",
        change_events(_takes_any_framing, lambda event: b": OPENROUTER PROCESSING\n" + event),
        permitted_by=_FRAMES,
        alters="comments",
    ),
    variant(
        "stream-in-one-event",
        "A stream is held back whole and sent as one event.",
        change_successes(is_stream, _join),
        permitted_by=_MEASURED,
        alters="events",
    ),
    variant(
        "stream-without-done",
        "A stream ends without [DONE].",
        change_pieces(is_stream, lambda piece: piece.replace(b"data: [DONE]\n\n", b"")),
        permitted_by=_MEASURED,
        alters="ends",
    ),
    variant(
        "stream-without-finish",
        "No chunk of a stream has a finish_reason; [DONE] ends it.",
        _follow_finish(lambda chunk: [_set(chunk, finish_reason=None)]),
        permitted_by=_MEASURED,
        alters="ends finish",
    ),
    variant(
        "stream-with-foreign-finish",
        "The finish_reason of a stream is the provider's own.",
        _follow_finish(lambda chunk: [_set(chunk, finish_reason="eos_token")]),
        permitted_by=_MEASURED,
        alters="finish",
    ),
    variant(
        "stream-finishes-twice",
        "Two chunks of a stream have a finish_reason.",
        _follow_finish(lambda chunk: [chunk, chunk]),
        permitted_by=_MEASURED,
        alters="finish",
    ),
    variant(
        "stream-goes-on-after-finish",
        "Text follows the chunk with the finish_reason.",
        _follow_finish(lambda chunk: [chunk, _set(chunk, delta={"content": " and more"}, finish_reason=None)]),
        permitted_by=_MEASURED,
        alters="finish",
    ),
    variant(
        "stream-with-empty-delta-after-finish",
        "An empty delta follows the chunk with the finish_reason.",
        _follow_finish(lambda chunk: [chunk, _set(chunk, delta={}, finish_reason=None)]),
        permitted_by=_MEASURED,
        alters="finish",
    ),
    variant(
        "stream-goes-on-after-done",
        "An event without choices follows [DONE].",
        change_pieces(is_stream, lambda piece: piece + b'data: {"choices":[]}\n\n' if b"[DONE]" in piece else piece),
        permitted_by=_MEASURED,
        alters="ends",
    ),
    variant(
        "stream-without-usage",
        "include_usage is accepted, and no usage comes.",
        change_chunks(lambda chunk: [chunk] if chunk["choices"] else []),
        permitted_by=_MEASURED,
        alters="usage",
    ),
    variant(
        "stream-usage-at-first",
        "The usage of a stream comes with its first chunk, and not at its end.",
        change_chunks(_move_usage),
        permitted_by=_MEASURED,
        alters="usage",
    ),
    variant(
        "stream-usage-with-an-empty-choice",
        "The usage chunk has a choice with an empty delta.",
        _fill_usage_chunk(),
        permitted_by=_MEASURED,
        alters="usage",
    ),
    variant(
        "stream-usage-with-the-finish-again",
        "The usage chunk repeats the finish_reason.",
        _fill_usage_chunk(finish_reason="stop"),
        permitted_by=_MEASURED,
        alters="usage",
    ),
    variant(
        "stream-begins-with-filter-results",
        "The first chunk of a stream names no model and has no choices.",
        change_successes(is_stream, _add_filter_results),
        permitted_by=_MEASURED,
        alters="events",
    ),
    variant(
        "stream-with-reasoning",
        "Streams contain the model's reasoning before the answer.",
        change_chunks(_add_reasoning),
        permitted_by="GT API reference: extra fields anywhere; checks: reasoning deltas",
    ),
    variant(
        "stream-with-extra-fields",
        "Chunks hold fields of the provider's own.",
        change_chunks(_add_fields),
        permitted_by="GT API reference: extra fields anywhere",
    ),
    variant(
        "stream-without-optional-fields",
        "Chunks leave out logprobs, and finish_reason until it is known.",
        change_chunks(_drop_optional),
        permitted_by=_CHUNKS,
    ),
    variant(
        "stream-usage-throughout",
        "Every chunk of a stream contains the usage so far.",
        change_chunks(_add_usage),
        permitted_by="GT API reference: extra fields anywhere",
        alters="usage",
    ),
    variant(
        "stream-without-null-usage",
        "Only the usage chunk has usage.",
        change_chunks(_drop_null_usage),
        permitted_by=_CHUNKS,
        alters="usage",
    ),
    variant(
        "stream-ends-with-words",
        "The chunk that finishes holds the last words as well.",
        change_chunks(_add_last_words),
        permitted_by=_CHUNKS,
        alters="events",
    ),
    variant(
        "stream-with-empty-deltas",
        "Chunks with nothing in them keep the stream alive.",
        change_chunks(_add_empty_delta),
        permitted_by=_CHUNKS,
    ),
    variant(
        "stream-role-throughout",
        "Every delta names the role.",
        change_chunks(_repeat_role),
        permitted_by="checks: the role in the first delta alone is a should",
    ),
    variant(
        "stream-with-spaces-at-the-end",
        "Each line of data ends in spaces.",
        change_events(is_stream, lambda event: event.rstrip(b"\n") + b"  \n\n"),
        permitted_by="RFC 8259, 2: white space after a value",
        alters="data-line",
    ),
    variant(
        "stream-with-empty-lines",
        "Two more empty lines follow each event.",
        change_events(is_stream, lambda event: event + b"\n\n"),
        permitted_by="WHATWG HTML, 9.2.6: an event without data is none",
        alters="ends",
    ),
    variant(
        "stream-without-role",
        "No delta of a stream names the role.",
        change_chunks(_drop_role),
        permitted_by=_MEASURED,
    ),
    variant(
        "stream-without-space",
        "There is no space after data: in a stream.",
        change_events(is_stream, lambda event: event.replace(b"data: ", b"data:", 1)),
        permitted_by=_FRAMES,
        alters="data-line",
    ),
    variant(
        "stream-of-parted-data",
        "The JSON of an event is spread over several data lines, but for Dify.",
        change_events(_takes_any_framing, _split_data),
        permitted_by=_FRAMES,
        alters="data-line line-ends",
    ),
    variant(
        "stream-with-names",
        "Events have names and numbers of their own, but for Dify.",
        change_events(_takes_any_framing, lambda event: b"event: message\nid: 7\nretry: 3000\n" + event),
        permitted_by=_FRAMES,
    ),
    variant(
        "stream-with-comments",
        "There are comments between the events.",
        change_events(is_stream, lambda event: b": still here\n\n" + event),
        permitted_by=_FRAMES,
        alters="comments",
    ),
    variant(
        "stream-crlf",
        "Lines of streams end in CR LF, but for Dify.",
        _end_lines(b"\r\n"),
        permitted_by=_FRAMES,
        alters="line-ends",
    ),
    variant(
        "stream-cr",
        "Lines of streams end in CR, but for Dify.",
        _end_lines(b"\r"),
        permitted_by=_FRAMES,
        alters="line-ends",
    ),
)
