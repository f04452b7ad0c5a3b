"""Chat completions that stream: the framing, the chunks, the end."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from gt_conformance import schema
from gt_conformance.checks._check import Context, Parameters, check, native
from gt_conformance.checks._completion import Stream, choices_in, delta_in, read_stream, shape_of, stream_request
from gt_conformance.checks._probe import Probe, StopCheck, describe_error
from gt_conformance.exchange import Exchange, Response
from gt_conformance.vocabulary import Actor, Route, Severity

_EXPECTED = "a stream of chat.completion.chunk events that ends with [DONE]"
_BURST_MS = 1.0


def _stream_shapes(context: Context) -> Iterator[Parameters]:
    """Each client that streams, with usage as it asks for it; one that may ask either way is probed both ways."""
    for profile in (client.chat for client in context.clients if client.chat.stream != "never"):
        for usage in {"always": (True,), "never": (False,), "optional": (False, True)}[profile.stream_usage]:
            yield replace(shape_of(profile), stream_usage=usage, lf_data_only=profile.sse == "lf_data_only")


@check(
    "chat.streams",
    claim="A streamed chat arrives as server-sent events that this client can read, to the end.",
    remedy="Have the tenant, and every proxy before it, pass the stream on as it is made, to one finish and [DONE].",
    source="OpenAI API reference, Streaming; WHATWG HTML, 9.2 Server-sent events; measured clients",
    clauses=("C8",),
    acts=Actor.TENANT,
    severity=Severity.HIGH,
    rests_on=("chat.completes",),
    rows=native(Route.CHAT, parameters=_stream_shapes),
)
async def streams(probe: Probe) -> None:
    """Content type, framing, chunks, content, one finish, [DONE], the end; a usage chunk where one was asked for."""
    exchange = await probe.send(stream_request(probe))
    response = probe.success(exchange, _EXPECTED)
    _content_type(probe, exchange, response)
    _framing(probe, exchange, response)
    stream = read_stream(response)
    for text in stream.malformed[:3]:
        probe.fail("each event holds JSON of a chat.completion.chunk, or [DONE]", text, exchange)
    _chunks(probe, exchange, stream)
    _content(probe, exchange, stream)
    _finish(probe, exchange, stream)
    _end(probe, exchange, stream)
    if probe.parameters.stream_usage:
        _usage(probe, exchange, stream)
    _form(probe, exchange, stream)


def _content_type(probe: Probe, exchange: Exchange, response: Response) -> None:
    kind = response.media_type
    if not probe.must(
        kind == "text/event-stream", "content type text/event-stream", kind or "no content type", exchange
    ):
        raise StopCheck


def _framing(probe: Probe, exchange: Exchange, response: Response) -> None:
    events = response.events
    probe.must(all(event.utf8 for event in events), "events are UTF-8", "an event is not UTF-8", exchange)
    unended = [event for event in events if not event.terminated]
    probe.must(not unended, "an empty line ends each event", "the last event is not ended by an empty line", exchange)
    if probe.parameters.lf_data_only:
        ends = sorted(frozenset().union(*(event.line_ends for event in events)) - {"LF"})
        probe.must(
            not ends, "LF line ends, the only ones this client reads", f"{' and '.join(ends)} line ends", exchange
        )
        names = sorted({name for event in events for name in event.fields} - {"data"})
        probe.must(
            not names, "data: lines only: this client shows no text otherwise", f"{', '.join(names)}: lines", exchange
        )


def _chunks(probe: Probe, exchange: Exchange, stream: Stream) -> None:
    rules = schema.load("wire/chat-completion-chunk")
    noted: set[str] = set()
    for chunk in stream.chunks:
        if chunk.get("error"):
            probe.usable = False
            probe.fail("no error inside the stream", f"error: {str(chunk['error'])[:160]}", exchange)
            continue
        for error in rules.errors(chunk):
            if (text := describe_error(error)) not in noted and len(noted) < 5:
                noted.add(text)
                probe.fail("each chunk holds to OpenAI's shape", text, exchange)
        for error in rules.errors(chunk, at="#/$defs/published"):
            probe.advise(f"OpenAI's published shape of a chunk: {describe_error(error)}", exchange)


def _content(probe: Probe, exchange: Exchange, stream: Stream) -> None:
    carrying = 0
    reasoning = False
    for chunk in stream.chunks:
        deltas = [delta_in(choice) for choice in choices_in(chunk)]
        carrying += any(_has_output(delta) for delta in deltas)
        reasoning |= any(delta.get("reasoning_content") or delta.get("reasoning") for delta in deltas)
    choices = (choice for chunk in stream.chunks for choice in choices_in(chunk))
    if not carrying and reasoning and any(choice.get("finish_reason") == "length" for choice in choices):
        probe.block(
            "the stream used up its token limit on reasoning before any text came",
            "Raise limits.completion_tokens in the tenant file.",
        )
        return
    probe.must(carrying, "the deltas joined give content", "no delta has content or a tool call", exchange)
    probe.must(
        len(stream.chunks) > 1,
        "the answer comes in several events",
        "one event holds the whole answer",
        exchange,
    )


def _has_output(delta: Mapping[str, Any]) -> bool:
    content = delta.get("content")
    return bool((isinstance(content, str) and content) or delta.get("tool_calls") or delta.get("refusal"))


def _finish(probe: Probe, exchange: Exchange, stream: Stream) -> None:
    finished: Counter[Any] = Counter()
    for chunk in stream.chunks:
        for choice in choices_in(chunk):
            index = _hashable(choice.get("index", 0))
            if finished[index] and not choice.get("finish_reason"):
                late = "with content" if _has_output(delta_in(choice)) else "without content"
                probe.fail("no choice after its finish_reason", f"a delta {late} follows the finish", exchange)
            finished[index] += choice.get("finish_reason") is not None
    for index, count in finished.items():
        probe.must(
            count == 1, "exactly one finish_reason per choice", f"choice {index} has {count or 'none'}", exchange
        )


def _hashable(index: Any) -> Any:
    return index if isinstance(index, int | str) else str(index)


def _end(probe: Probe, exchange: Exchange, stream: Stream) -> None:
    probe.must(stream.done_at is not None, "the stream ends with data: [DONE]", "there is no [DONE]", exchange)
    probe.must(
        not stream.chunks_after_done, "nothing follows [DONE]", f"{stream.chunks_after_done} events follow it", exchange
    )


def _usage(probe: Probe, exchange: Exchange, stream: Stream) -> None:
    expected = "stream_options.include_usage gives a usage chunk between the finish and [DONE]"
    before = stream.chunks[: stream.done_at]
    with_usage = [number for number, chunk in enumerate(before) if isinstance(chunk.get("usage"), dict)]
    if not probe.must(with_usage, expected, "no chunk carries usage", exchange):
        return
    finishes = [
        number
        for number, chunk in enumerate(before)
        if any(choice.get("finish_reason") for choice in choices_in(chunk))
    ]
    probe.must(not finishes or with_usage[-1] >= finishes[-1], expected, "usage comes before the finish only", exchange)


def _form(probe: Probe, exchange: Exchange, stream: Stream) -> None:
    for name in ("id", "created"):
        values = {repr(chunk[name]) for chunk in stream.chunks if name in chunk}
        probe.should(len(values) <= 1, f"one {name} throughout the stream", exchange)
    roles = {
        number
        for number, chunk in enumerate(stream.chunks)
        for choice in choices_in(chunk)
        if delta_in(choice).get("role")
    }
    probe.should(roles == {0}, "the role is in the first delta and in no other", exchange)
    times = [event.at_ms for event in stream.chunk_events]
    probe.should(
        len(times) < 3 or max(times) - min(times) >= _BURST_MS,
        "chunks arrive over time; all came in one burst, as through a proxy that buffers",
        exchange,
    )
