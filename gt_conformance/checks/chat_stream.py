"""Chat completions that stream: the framing, the chunks, the end."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import pairwise
from typing import Any

from gt_conformance import schema
from gt_conformance.checks._capability import TRIES, ask_again, loses_words, said_in
from gt_conformance.checks._check import Context, Parameters, check, native
from gt_conformance.checks._completion import (
    AFTER_DONE,
    CHUNK_NEEDS,
    EMPTY_STREAM,
    PASS_ON_WHOLE,
    Stream,
    block_unfinished,
    brings_output,
    choices_in,
    delta_in,
    error_inside,
    expect_needs,
    expect_unspoilt,
    fail_type,
    plain_chat,
    read_stream,
    shape_of,
    stream_request,
    whole_stream,
)
from gt_conformance.checks._notes import StopCheck
from gt_conformance.checks._probe import Probe
from gt_conformance.checks._wording import describe_error, place_of
from gt_conformance.checks._words import say_words
from gt_conformance.exchange import Exchange, Response, shortened
from gt_conformance.vocabulary import Actor, Route, Severity

_EXPECTED = "a whole stream of server-sent events that hold chat completion chunks"
_BURST_MS = 1.0
_FEW = 3
_BURST_PART = 0.01
"""A stream that is held back comes at once, after a wait that is far longer than it takes then."""
_STREAM_NEEDS = CHUNK_NEEDS | {"data", "done", "end"}
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


def _stream_shapes(context: Context) -> Iterator[Parameters]:
    """Each client that streams, with usage as it asks for it; one that may ask either way is probed both ways."""
    for profile in (client.chat for client in context.clients if client.chat.stream != "never"):
        for usage in {"always": (True,), "never": (False,), "optional": (False, True)}[profile.stream_usage]:
            yield replace(
                shape_of(profile),
                stream_usage=usage,
                lf_data_only=profile.sse == "lf_data_only",
                needs=tuple(need for need in profile.needs if need in _STREAM_NEEDS),
            )


@check(
    "chat.streams",
    claim="A streamed chat arrives as server-sent events that this client can read, to the end.",
    remedy=PASS_ON_WHOLE,
    source="GT client runbooks, GT route mapping; "
    "OpenAI API reference, Streaming; "
    "WHATWG HTML, 9.2 Server-sent events; "
    "measured clients",
    clauses=("C8",),
    acts=Actor.TENANT,
    severity=Severity.HIGH,
    rests_on=("chat.completes",),
    rows=native(Route.CHAT, parameters=_stream_shapes, any_key=True),
)
async def streams(probe: Probe) -> None:
    """Server-sent events by the standard, JSON chunks with text, no error, a visible end; what this client needs.

    What only OpenAI's description adds (one finish, [DONE], several events, usage where it was asked for) is advised.
    """
    exchange = await ask_again(probe, stream_request(probe))
    response = _whole(probe, exchange)
    _content_type(probe, exchange, response)
    stream = read_stream(response)
    _framing(probe, exchange, response, stream)
    for text in stream.malformed[:3]:
        probe.fail("each event holds JSON of a chat.completion.chunk, or [DONE]", text, exchange)
    of_shape = _chunks(probe, exchange, stream)
    if not any(map(error_inside, stream.chunks)):
        # An error explains why no more came.
        _content(probe, exchange, stream, of_shape=of_shape)
        _end(probe, exchange, stream)
    _finish(probe, exchange, stream)
    if probe.parameters.stream_usage:
        _usage(probe, exchange, stream)
    _form(probe, exchange, stream)
    if not probe.violations and not probe.blockers and "length" not in stream.finish_reasons:
        await _expect_words(probe, exchange)


async def _expect_words(probe: Probe, exchange: Exchange) -> None:
    """Every word that was asked for, once and in order.

    Where they are wrong in each of five streams, and right whenever the same is asked for in one piece, pieces get
    lost, doubled or exchanged on their way; else the model says something else. A stream with few of them is such.
    """
    said = said_in(exchange.response)
    expect_unspoilt(probe, exchange, said)
    in_one_piece = plain_chat(probe, say_words(probe.run_id, probe.credential.name))
    if probe.violations or not await loses_words(probe, exchange, in_one_piece):
        return
    probe.fail(
        "the deltas joined give the words that were asked for, as a chat in one piece does",
        f"in {TRIES} streams never: {shortened(said, 120)!r}",
        exchange,
        remedy="Have the tenant, and every proxy before it, pass each event on once, in its order, to the last one: "
        "the joined text lacks words, or has them twice or in another order.",
    )


def _whole(probe: Probe, exchange: Exchange) -> Response:
    """The 2xx response; one whose connection did not end after [DONE] is whole, but some clients wait for the end."""
    response = whole_stream(probe, exchange, _EXPECTED)
    if response.complete:
        return response
    if "end" in probe.parameters.needs:
        probe.fail("the connection ends after [DONE], which this client waits for", response.end, exchange)
    else:
        probe.advise("the connection should end after [DONE]; some clients wait for it", exchange)
    return response


def _content_type(probe: Probe, exchange: Exchange, response: Response) -> None:
    kind = response.media_type
    if kind == "text/event-stream":
        return
    expected, found = "content type text/event-stream", kind or "no content type"
    if kind == "application/json":
        probe.fail(expected, found, exchange)
    else:
        fail_type(probe, exchange, expected, found)
    raise StopCheck


def _framing(probe: Probe, exchange: Exchange, response: Response, stream: Stream) -> None:
    events = response.events
    probe.must(all(event.utf8 for event in events), "events are UTF-8", "an event is not UTF-8", exchange)
    probe.should(all(event.terminated for event in events), "the last event is not ended by an empty line", exchange)
    if probe.parameters.lf_data_only:
        ends = sorted(frozenset().union(*(event.line_ends for event in events)) - {"LF"})
        probe.must(
            not ends, "LF line ends, the only ones this client reads", f"{' and '.join(ends)} line ends", exchange
        )
        names = sorted({name for event in events for name in event.fields} - {"data"})
        probe.must(
            not names, "data: lines only: this client shows no text otherwise", f"{', '.join(names)}: lines", exchange
        )
        commented = any(event.commented for event in events)
        expected = "an empty line after each comment: this client skips an event that begins with one"
        probe.must(not commented, expected, "a comment and an event without one between them", exchange)
        marked = response.body.startswith(_BYTE_ORDER_MARK)
        probe.must(not marked, "data: from the first byte: this client shows no text otherwise", "a BOM", exchange)
    elif stream.without_data:
        found = f"an event has {stream.without_data[0]}: and no data"
        if "data" in probe.parameters.needs:
            probe.fail("data in every event: this client stops otherwise", found, exchange)
        else:
            probe.advise(f"{found}; OpenAI's SDKs stop there", exchange)


def _chunks(probe: Probe, exchange: Exchange, stream: Stream) -> bool:
    """Whether all chunks hold what clients read: else that is why they give no text."""
    rules = schema.load("wire/chat-completion-chunk")
    noted: set[str] = set()
    for chunk in stream.chunks:
        if inside := error_inside(chunk):
            probe.usable = False
            probe.fail("no error inside the stream", f"error: {str(inside)[:160]}", exchange)
            continue
        for error in rules.errors(chunk):
            if (text := describe_error(error)) not in noted and len(noted) < 5:
                noted.add(text)
                remedy = f"Have the tenant, and every proxy before it, give chunks in OpenAI's shape: {text}"
                probe.fail("each chunk holds text that clients can read", text, exchange, remedy=remedy)
        expect_needs(probe, exchange, chunk, "chat-completion-chunk", CHUNK_NEEDS)
        if any(choices_in(chunk)) or chunk.get("usage"):
            # A chunk with neither, as some gateways send first, tells clients nothing.
            for error in rules.errors(chunk, at="#/$defs/published"):
                text = f"OpenAI's published shape of a chunk: {describe_error(error)}"
                probe.advise(text, exchange, at=place_of(error))
    return not noted


def _content(probe: Probe, exchange: Exchange, stream: Stream, *, of_shape: bool) -> None:
    carrying = any(brings_output(delta_in(choice)) for chunk in stream.chunks for choice in choices_in(chunk))
    # Else what it holds is unknown, and that is the finding: so it is where nothing of it is data.
    is_read = not stream.malformed and (stream.chunks or stream.done_at is not None)
    if not carrying and of_shape and is_read and not block_unfinished(probe, exchange, stream.finish_reasons):
        found = "no delta has content or a tool call"
        probe.fail("the deltas joined give content", found, exchange, cause=EMPTY_STREAM)
    _expect_pieces(probe, exchange, stream)
    probe.should(len(stream.chunks) > 1 or not carrying, "one event holds the whole answer: nothing streams", exchange)


def _expect_pieces(probe: Probe, exchange: Exchange, stream: Stream) -> None:
    """Deltas are added to each other: where each begins with all that came before it, a user reads it many times."""
    deltas = (delta_in(choice).get("content") for chunk in stream.chunks for choice in choices_in(chunk))
    texts = [text for text in deltas if isinstance(text, str) and text]
    grown = [later for earlier, later in pairwise(texts) if later.startswith(earlier) and len(later) > len(earlier)]
    if len(texts) > _FEW and len(grown) == len(texts) - 1:
        probe.fail(
            "each delta holds what is new",
            f"each repeats what came before it: {shortened(texts[-1], 80)!r}",
            exchange,
            remedy="Have the tenant send what is new in each delta: the model's server sends the whole text so far.",
        )


def _finish(probe: Probe, exchange: Exchange, stream: Stream) -> None:
    finished: Counter[Any] = Counter()
    for chunk in stream.chunks:
        for choice in choices_in(chunk):
            index = _hashable(choice.get("index", 0))
            if finished[index]:
                probe.advise(_what_follows_finish(chunk, choice), exchange)
            finished[index] += bool(choice.get("finish_reason"))
    probe.should(all(finished.values()), "each choice ends with a finish_reason", exchange)


def _what_follows_finish(chunk: Mapping[str, Any], choice: Mapping[str, Any]) -> str:
    if brings_output(delta_in(choice)):
        return "text follows the finish_reason of its choice"
    if chunk.get("usage"):
        return "the usage chunk should have choices: []"
    if choice.get("finish_reason"):
        return "a choice has its finish_reason twice"
    return "an empty delta follows the finish_reason of its choice"


def _hashable(index: Any) -> Any:
    return index if isinstance(index, int | str) else str(index)


def _end(probe: Probe, exchange: Exchange, stream: Stream) -> None:
    if stream.done_at is None:
        # A proxy that gives up ends the connection as properly as a tenant that is done.
        if probe.must(
            stream.finish_reasons,
            "the stream shows that it is whole: a finish_reason, or [DONE]",
            "it ends with neither",
            exchange,
        ):
            probe.advise("the stream should end with data: [DONE]", exchange)
        return
    if stream.goes_on and "done" in probe.parameters.needs:
        expected = "no text after [DONE], where this client stops reading"
        probe.fail(expected, "a chunk with text follows it", exchange, cause=AFTER_DONE)
    else:
        probe.should(not stream.events_after_done, "nothing should follow [DONE]", exchange)


def _usage(probe: Probe, exchange: Exchange, stream: Stream) -> None:
    before = stream.chunks[: stream.done_at]
    with_usage = [number for number, chunk in enumerate(before) if isinstance(chunk.get("usage"), dict)]
    if not with_usage:
        probe.advise("stream_options.include_usage is accepted, and no chunk before [DONE] carries usage", exchange)
        return
    finishes = [
        number
        for number, chunk in enumerate(before)
        if any(choice.get("finish_reason") for choice in choices_in(chunk))
    ]
    probe.should(
        not finishes or with_usage[-1] >= finishes[0], "the usage that was asked for should follow the finish", exchange
    )


def _form(probe: Probe, exchange: Exchange, stream: Stream) -> None:
    chunks = [chunk for chunk in stream.chunks if any(choices_in(chunk)) or chunk.get("usage")]
    for name in ("id", "created"):
        values = {repr(chunk[name]) for chunk in chunks if name in chunk}
        probe.should(len(values) <= 1, f"one {name} throughout the stream", exchange)
    with_choices = [list(choices_in(chunk)) for chunk in chunks if any(choices_in(chunk))]
    roles = {
        number for number, choices in enumerate(with_choices) for choice in choices if delta_in(choice).get("role")
    }
    probe.should(roles == {0}, "the role is in the first delta and in no other", exchange)
    times = [event.at_ms for event in stream.chunk_events]
    # What came while this machine was late was read all at once, and says nothing of the tenant.
    late_ms = exchange.response.late_ms if exchange.response is not None else 0.0
    probe.should(
        len(times) < 3 or max(times) - min(times) + late_ms >= _BURST_MS + _BURST_PART * min(times),
        "buffered stream: chunks arrive over time, and all came in one burst; switch buffering off in the proxies "
        "before the tenant (nginx: proxy_buffering off, or X-Accel-Buffering: no)",
        exchange,
    )
