"""Faults of chats that are streamed."""

import json
from collections.abc import Callable, Mapping
from itertools import count
from typing import Any

from starlette.types import Message

from gt_sandbox.faults._fault import fault
from gt_sandbox.faults._parts import ALIAS, INTERNAL, PROVIDER, cut_off, replace_bytes, with_limits
from gt_sandbox.middleware import (
    CHAT,
    JSON,
    Call,
    MiddlewareFactory,
    Predicate,
    Response,
    Secrets,
    change_chunks,
    change_pieces,
    change_successes,
    combine,
    delay,
    error_response,
    is_stream,
    per_call,
    respond_with,
    with_secrets,
)

Chunk = Mapping[str, Any]


def _keep_open(wanted: Predicate) -> MiddlewareFactory:
    """Leave the connection of a stream open when all has been sent, until the client disconnects."""

    @per_call
    async def keep(call: Call) -> None:
        succeeded = False

        async def send(message: Message) -> None:
            nonlocal succeeded
            if message["type"] == "http.response.start":
                succeeded = 200 <= message["status"] < 300
            elif succeeded:
                message = {**message, "more_body": True}
            await call.send(message)

        if not wanted(call.request):
            await call.forward()
            return
        await call.forward(send=send)
        while succeeded and (await call.receive())["type"] != "http.disconnect":
            pass

    return keep


def _change_finish(change: Callable[[Chunk], list[object]]) -> MiddlewareFactory:
    """Put other chunks in place of the one that finishes."""
    return change_chunks(
        lambda chunk: change(chunk) if any(choice["finish_reason"] for choice in chunk["choices"]) else [chunk]
    )


def _with(chunk: Chunk, **fields: object) -> Chunk:
    """The chunk with other fields in its choice."""
    return {**chunk, "choices": [choice | fields for choice in chunk["choices"]]}


def _ignore_stream(response: Response) -> Response:
    """The response of a tenant that does not know the field stream."""
    first = json.loads(response.body.partition(b"\n")[0][6:])
    message = {"role": "assistant", "content": "1 2 3 4 5"}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    body = {**first, "object": "chat.completion", "choices": [choice]}
    return response.with_body(json.dumps(body).encode(), JSON)


def _begin_without_choices(response: Response) -> Response:
    """A chunk that names the model, before those with text."""
    first = {"id": "chatcmpl-0", "object": "chat.completion.chunk", "created": 1, "model": ALIAS}
    return response.with_body(f"data: {json.dumps(first)}\n\n".encode() + response.body)


def _drop_choices(chunk: Chunk) -> list[object]:
    return [chunk if chunk["choices"] else {name: value for name, value in chunk.items() if name != "choices"}]


def _put_into_parts(chunk: Chunk) -> list[object]:
    for choice in chunk["choices"]:
        text = choice["delta"].get("content")
        if text:
            choice["delta"]["content"] = [{"type": "text", "text": text}]
    return [chunk]


def _drop_index(chunk: Chunk) -> list[object]:
    choices = [{name: value for name, value in choice.items() if name != "index"} for choice in chunk["choices"]]
    return [{**chunk, "choices": choices}]


def _end_early(response: Response) -> Response:
    """[DONE] before the last chunk with text or a tool call, and not at the end."""
    *events, _ = response.body.split(b"\n\n")
    holds = [number for number, event in enumerate(events) if b'"content":"' in event or b'"tool_calls":[' in event]
    last = holds[-1]
    parts = [event for event in events if event != b"data: [DONE]"]
    return response.with_body(b"".join(event + b"\n\n" for event in (*parts[:last], b"data: [DONE]", *parts[last:])))


def _add_up(_: Secrets) -> MiddlewareFactory:
    """Each delta with all the text before it."""
    said: dict[object, str] = {}

    def change(chunk: Chunk) -> list[object]:
        for choice in chunk["choices"]:
            if choice["delta"].get("content"):
                said[chunk["id"]] = said.get(chunk["id"], "") + choice["delta"]["content"]
                choice["delta"]["content"] = said[chunk["id"]]
        return [chunk]

    return change_chunks(change)


def _drop_done(piece: bytes) -> bytes:
    return b"" if b"[DONE]" in piece else piece


def _change_texts(change: Callable[[list[bytes]], list[bytes]]) -> MiddlewareFactory:
    """Put other events in place of those with text; the others stay where they are."""

    def change_body(response: Response) -> Response:
        events = response.body.split(b"\n\n")[:-1]
        places = [place for place, event in enumerate(events) if _says(event)]
        if len(places) < _SEVERAL:
            return response
        changed = change([events[place] for place in places])
        parts = [*events[: places[0]], *changed, *events[places[-1] + 1 :]]
        return response.with_body(b"".join(event + b"\n\n" for event in parts))

    return change_successes(is_stream, change_body)


_SEVERAL = 3


def _says(event: bytes) -> bool:
    if not event.startswith(b"data: {"):
        return False
    choices = json.loads(event.removeprefix(b"data: "))["choices"]
    return any(choice["delta"].get("content") for choice in choices)


def _break_off_some(each: int) -> MiddlewareFactory:
    """Leave the second half out of one stream of so many."""

    def make(_: Secrets) -> MiddlewareFactory:
        begun = count(1)

        def change(response: Response) -> Response:
            if next(begun) % each:
                return response
            events = response.body.split(b"\n\n")[:-1]
            return response.with_body(b"".join(event + b"\n\n" for event in events[: len(events) // 2]))

        return change_successes(is_stream, change)

    return with_secrets(make)


FAULTS = (
    fault(
        "stream-500",
        "A chat that is to be streamed fails with 500.",
        respond_with(is_stream, error_response(500, "no stream")),
        caught_by="chat.streams",
        breaks=("C8",),
    ),
    fault(
        "stream-ignored",
        "The field stream is ignored: the answer comes whole.",
        change_successes(is_stream, _ignore_stream),
        caught_by="chat.streams",
        breaks=("C8",),
    ),
    fault(
        "stream-of-wrong-type",
        "A stream is sent as application/json.",
        change_successes(is_stream, lambda response: response.with_body(response.body, JSON)),
        caught_by="chat.streams",
        breaks=("C8",),
    ),
    fault(
        "stream-left-open",
        "The connection stays open after [DONE].",
        _keep_open(is_stream),
        caught_by="chat.streams",
        breaks=("C8",),
    ),
    fault(
        "stream-never-ends",
        "A stream neither sends [DONE] nor closes the connection.",
        combine(_keep_open(is_stream), change_pieces(CHAT, _drop_done)),
        tenant_file=with_limits(timeout_s=2),
        caught_by="chat.streams",
        breaks=("C8",),
    ),
    fault(
        "stream-cut-and-closed",
        "A stream ends in the middle, and the connection is closed as if it were whole.",
        combine(change_pieces(CHAT, _drop_done), _change_finish(lambda _: [])),
        caught_by="chat.streams",
        breaks=("C8",),
    ),
    fault(
        "stream-torn-off",
        "The connection of a stream is cut in the middle.",
        cut_off(is_stream, after=400),
        caught_by="chat.streams",
        breaks=("C8",),
    ),
    fault(
        "stream-goes-on-after-done",
        "The last words of a stream follow [DONE], where OpenAI's SDKs stop reading.",
        change_successes(is_stream, _end_early),
        caught_by="chat.streams",
        breaks=("C8",),
    ),
    fault(
        "stream-of-events-without-data",
        "A stream begins with an event that has a name and no data, at which OpenAI's SDKs break off.",
        change_successes(is_stream, lambda response: response.with_body(b"event: ping\n\n" + response.body)),
        caught_by="chat.streams",
        breaks=("C8",),
    ),
    fault(
        "stream-usage-without-choices",
        "The usage chunk has no choices, without which Dify and the Vercel AI SDK break off.",
        change_chunks(_drop_choices),
        caught_by="chat.streams",
        breaks=("C8",),
    ),
    fault(
        "stream-begins-without-choices",
        "The first chunk of a stream has no choices, at which Dify and the Vercel AI SDK break off.",
        change_successes(is_stream, _begin_without_choices),
        caught_by="chat.streams",
        breaks=("C8",),
    ),
    fault(
        "stream-of-null-deltas",
        "The delta of the chunk that finishes is null, which Dify does not read.",
        _change_finish(lambda chunk: [_with(chunk, delta=None)]),
        caught_by="chat.streams",
        breaks=("C8",),
    ),
    fault(
        "stream-of-content-in-parts",
        "The content of a delta is a list of parts, as other APIs have it.",
        change_chunks(_put_into_parts),
        caught_by="chat.streams",
        breaks=("C8",),
    ),
    fault(
        "stream-without-index",
        "Choices in a stream have no index, without which the Vercel AI SDK shows nothing.",
        change_chunks(_drop_index),
        caught_by="chat.streams",
        breaks=("C8",),
    ),
    fault(
        "stream-with-byte-order-mark",
        "A stream begins with a byte order mark, after which Dify shows nothing.",
        change_successes(is_stream, lambda response: response.with_body(b"\xef\xbb\xbf" + response.body)),
        caught_by="chat.streams",
        breaks=("C8",),
    ),
    fault(
        "stream-says-nothing",
        "The deltas of a stream hold no text.",
        change_chunks(lambda chunk: [_with(chunk, delta={})]),
        caught_by="chat.streams",
        breaks=("C8",),
    ),
    fault(
        "stream-of-all-so-far",
        "Each delta of a stream holds the whole text so far.",
        with_secrets(_add_up),
        caught_by="chat.streams",
        breaks=("C8",),
    ),
    fault(
        "stream-events-doubled",
        "Each event with text comes twice, as after a gateway's second try.",
        _change_texts(lambda events: [event for event in events for _ in range(2)]),
        caught_by="chat.streams",
        breaks=("C8",),
    ),
    fault(
        "stream-events-exchanged",
        "The first two events with text come in another order, as from a gateway that passes them on in parallel.",
        _change_texts(lambda events: [events[1], events[0], *events[2:]]),
        caught_by="chat.streams",
        breaks=("C8",),
    ),
    fault(
        "stream-begins-late",
        "The first event with text is lost.",
        _change_texts(lambda events: events[1:]),
        caught_by="chat.streams",
        breaks=("C8",),
    ),
    fault(
        "stream-loses-its-last-words",
        "The last event with text is lost; the stream ends as if it were whole.",
        _change_texts(lambda events: events[:-1]),
        caught_by="chat.streams",
        breaks=("C8",),
    ),
    fault(
        "stream-loses-all-but-its-first-words",
        "After the first three events with text no more come; the stream ends as if it were whole.",
        _change_texts(lambda events: events[:3]),
        caught_by="chat.streams",
        breaks=("C8",),
    ),
    fault(
        "some-streams-break-off",
        "Every third stream ends in its middle, without an end and without an error.",
        _break_off_some(3),
        caught_by="chat.streams",
        breaks=("C8",),
        by_chance=True,
    ),
    fault(
        "stream-decoded-in-parts",
        "A gateway decodes the bytes of a stream piece by piece, and letters beyond ASCII are lost.",
        replace_bytes(is_stream, b"\\u00e9", b"\\ufffd\\ufffd"),
        caught_by="chat.streams",
        breaks=("C8",),
    ),
    fault(
        "stream-with-error-inside",
        "A stream breaks off with an error object inside a 200.",
        _change_finish(lambda chunk: [{"error": {"message": "upstream failed", "type": "server_error"}}, chunk]),
        caught_by="chat.streams",
        breaks=("C8",),
    ),
    fault(
        "stream-usage-refused",
        "A stream with stream_options is refused.",
        respond_with(
            lambda request: is_stream(request) and "stream_options" in request.fields,
            error_response(400, "Unknown field: stream_options."),
        ),
        caught_by="chat.streams",
        breaks=("C8",),
    ),
    fault(
        "stream-names-provider-model",
        "The chunks of a stream name the provider's model.",
        change_chunks(lambda chunk: [{**chunk, "model": PROVIDER}]),
        caught_by="chat.model_is_published",
        breaks=("C2",),
    ),
    fault(
        "stream-names-internal-model",
        "The first chunk of a stream names the internal id of the agent.",
        change_chunks(lambda chunk: [{**chunk, "model": INTERNAL} if "role" in str(chunk["choices"]) else chunk]),
        caught_by="chat.model_is_published",
        breaks=("C2",),
    ),
    fault(
        "stream-events-run-together",
        "The events of a stream are parted by one line end instead of two.",
        replace_bytes(is_stream, b"\n\n", b"\n"),
        caught_by="chat.streams",
        breaks=("C8",),
    ),
    fault(
        "stream-of-half-json",
        "An event of a stream holds half a chunk.",
        _change_finish(lambda chunk: [json.dumps(chunk)[:40]]),
        caught_by="chat.streams",
        breaks=("C8",),
    ),
    fault(
        "stream-not-utf8",
        "The text of a stream is Latin-1.",
        replace_bytes(is_stream, b'"content":"', b'"content":"\xe9'),
        caught_by="chat.streams",
        breaks=("C8",),
    ),
    fault(
        "stream-of-crlf",
        "The lines of a stream end in CR LF, which Dify does not read.",
        replace_bytes(is_stream, b"\n", b"\r\n"),
        caught_by="chat.streams",
        breaks=("C8",),
    ),
    fault(
        "stream-of-commented-events",
        "Each event of a stream begins with a comment, and Dify skips it.",
        replace_bytes(is_stream, b"data: ", b": still here\ndata: "),
        caught_by="chat.streams",
        breaks=("C8",),
    ),
    fault(
        "stream-of-named-events",
        "The events of a stream have names, which Dify does not read.",
        replace_bytes(is_stream, b"data: ", b"event: message\ndata: "),
        caught_by="chat.streams",
        breaks=("C8",),
    ),
    fault(
        "streams-hang",
        "A streamed chat is never answered; a plain one is.",
        delay(60, is_stream),
        tenant_file=with_limits(timeout_s=2),
        caught_by="chat.streams",
        breaks=("C8",),
    ),
)
