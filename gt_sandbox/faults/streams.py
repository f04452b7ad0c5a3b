"""Faults of chats that are streamed."""

import json
from collections.abc import Callable, Mapping
from typing import Any

from ..edges import Answer, pieces, successes
from ._connections import left_open, torn
from ._fault import Area, with_limits
from ._parts import CHAT, INTERNAL, JSON, PROVIDER, chunks, error, instead, replaced, streamed, together

fault = Area("streams")
Chunk = Mapping[str, Any]


def _finishes(chunk: Chunk) -> bool:
    return any(choice["finish_reason"] for choice in chunk["choices"])


def _with(chunk: Chunk, **fields: object) -> Chunk:
    """The chunk with other fields in its choice."""
    return {**chunk, "choices": [choice | fields for choice in chunk["choices"]]}


def _of_finish(change: Callable[[Chunk], list[object]]) -> Callable[[Chunk], list[object]]:
    """Other chunks for the one that finishes."""
    return lambda chunk: change(chunk) if _finishes(chunk) else [chunk]


def _joined(right: Answer) -> Answer:
    """The stream with all that it says in one event."""
    events = [json.loads(line[6:]) for line in right.body.decode().splitlines() if line.startswith("data: {")]
    text = "".join(choice["delta"].get("content") or "" for event in events for choice in event["choices"])
    delta = {"index": 0, "delta": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    usage = next((event["usage"] for event in events if event.get("usage")), None)
    only = json.dumps({**events[0], "choices": [delta], "usage": usage})
    return right.saying(f"data: {only}\n\ndata: [DONE]\n\n".encode())


def _unstreamed(right: Answer) -> Answer:
    """The answer of a tenant that does not know the field stream."""
    first = json.loads(right.body.partition(b"\n")[0][6:])
    message = {"role": "assistant", "content": "1 2 3 4 5"}
    body = {
        **first,
        "object": "chat.completion",
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
    }
    return right.saying(json.dumps(body).encode(), JSON)


def _usage_first(chunk: Chunk) -> list[object]:
    """Usage in the chunk with the role, and none at the end."""
    if not chunk["choices"]:
        return []
    first = any("role" in choice["delta"] for choice in chunk["choices"])
    usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
    return [{**chunk, "usage": usage} if first else chunk]


_LATE = {"content": " and more"}

FAULTS = (
    fault(
        "stream-500",
        "A chat that is to be streamed fails with 500.",
        instead(streamed, error(500, "no stream")),
        checks="chat.client_load chat.model_is_published chat.streams",
        places="chat items",
    ),
    fault(
        "stream-ignored",
        "The field stream is ignored: the answer comes whole.",
        successes(streamed, _unstreamed),
        checks="chat.streams",
        places="chat items",
    ),
    fault(
        "stream-of-wrong-type",
        "A stream is sent as application/json.",
        successes(streamed, lambda right: right.saying(right.body, JSON)),
        checks="chat.streams",
        places="chat items",
    ),
    fault(
        "stream-in-one-event",
        "A stream is buffered whole and sent as one event.",
        successes(streamed, _joined),
        checks="chat.streams",
        places="chat items",
    ),
    fault(
        "stream-without-done",
        "A stream ends without [DONE].",
        pieces(CHAT, lambda piece: b"" if b"[DONE]" in piece else piece),
        checks="chat.streams",
        places="chat items",
    ),
    fault(
        "stream-left-open",
        "The connection stays open after [DONE].",
        left_open(streamed),
        checks="chat.client_load chat.model_is_published chat.streams",
        places="chat items",
    ),
    fault(
        "stream-never-ends",
        "A stream neither sends [DONE] nor closes the connection.",
        together(left_open(streamed), pieces(CHAT, lambda piece: b"" if b"[DONE]" in piece else piece)),
        tenant_file=with_limits(timeout_s=1),
        checks="chat.client_load chat.model_is_published chat.streams",
        places="chat items",
    ),
    fault(
        "stream-torn-off",
        "The connection of a stream is cut in the middle.",
        torn(streamed, after=400),
        checks="chat.client_load chat.model_is_published chat.streams",
        places="chat items",
    ),
    fault(
        "stream-goes-on-after-done",
        "Another event follows [DONE].",
        pieces(CHAT, lambda piece: piece + b'data: {"choices":[]}\n\n' if b"[DONE]" in piece else piece),
        checks="chat.streams",
        places="chat items",
    ),
    fault(
        "stream-without-finish",
        "No chunk of a stream has a finish_reason.",
        chunks(_of_finish(lambda chunk: [_with(chunk, finish_reason=None)])),
        checks="chat.streams",
        places="chat items",
    ),
    fault(
        "stream-finishes-twice",
        "Two chunks of a stream have a finish_reason.",
        chunks(_of_finish(lambda chunk: [chunk, chunk])),
        checks="chat.streams",
        places="chat items",
    ),
    fault(
        "stream-goes-on-after-finish",
        "Text follows the chunk with the finish_reason.",
        chunks(_of_finish(lambda chunk: [chunk, _with(chunk, delta=_LATE, finish_reason=None)])),
        checks="chat.streams",
        places="chat items",
    ),
    fault(
        "stream-says-nothing",
        "The deltas of a stream hold no text.",
        chunks(lambda chunk: [_with(chunk, delta={})]),
        checks="chat.streams",
        places="chat items",
    ),
    fault(
        "stream-with-error-inside",
        "A stream breaks off with an error object inside a 200.",
        chunks(_of_finish(lambda chunk: [{"error": {"message": "upstream failed", "type": "server_error"}}, chunk])),
        checks="chat.client_load chat.streams",
        places="chat items",
    ),
    fault(
        "stream-without-usage",
        "include_usage is accepted, and no usage comes.",
        chunks(lambda chunk: [chunk] if chunk["choices"] else []),
        checks="chat.streams",
        places="chat items",
    ),
    fault(
        "stream-usage-too-early",
        "The usage of a stream comes with its first chunk, and not at its end.",
        chunks(_usage_first),
        checks="chat.streams",
        places="chat items",
    ),
    fault(
        "stream-usage-refused",
        "A stream with stream_options is refused.",
        instead(
            lambda asked: streamed(asked) and "stream_options" in asked.fields,
            error(400, "Unknown field: stream_options."),
        ),
        checks="chat.model_is_published chat.streams",
        places="chat items",
    ),
    fault(
        "stream-names-provider-model",
        "The chunks of a stream name the provider's model.",
        chunks(lambda chunk: [{**chunk, "model": PROVIDER}]),
        checks="chat.model_is_published",
        places="chat items",
    ),
    fault(
        "stream-names-internal-model",
        "The first chunk of a stream names the internal id of the agent.",
        chunks(lambda chunk: [{**chunk, "model": INTERNAL} if "role" in str(chunk["choices"]) else chunk]),
        checks="chat.model_is_published tenant.no_raw_model_ids",
        places="chat items tenant",
    ),
    fault(
        "stream-events-run-together",
        "The events of a stream are parted by one line end instead of two.",
        replaced(streamed, b"\n\n", b"\n"),
        checks="chat.streams",
        places="chat items",
    ),
    fault(
        "stream-of-half-json",
        "An event of a stream holds half a chunk.",
        chunks(lambda chunk: [json.dumps(chunk)[:40]] if _finishes(chunk) else [chunk]),
        checks="chat.streams",
        places="chat items",
    ),
    fault(
        "stream-not-utf8",
        "The text of a stream is Latin-1.",
        replaced(streamed, b'"content":"', b'"content":"\xe9'),
        checks="chat.streams",
        places="chat items",
    ),
    fault(
        "stream-of-crlf",
        "The lines of a stream end in CR LF, which Dify does not read.",
        replaced(streamed, b"\n", b"\r\n"),
        checks="chat.streams",
        places="chat",
    ),
    fault(
        "stream-of-named-events",
        "The events of a stream have names, which Dify does not read.",
        replaced(streamed, b"data: ", b"event: message\ndata: "),
        checks="chat.streams",
        places="chat",
    ),
)
