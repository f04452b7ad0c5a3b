"""Server-sent events: read as the standard says, framing kept, however the bytes arrive."""

import time
from dataclasses import replace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gt_conformance.exchange import ServerSentEvent, SseReader, read_events

LF, CR, CRLF = frozenset({"LF"}), frozenset({"CR"}), frozenset({"CRLF"})


def an_event(
    data: str,
    *fields: str,
    ends: frozenset[str] = LF,
    terminated: bool = True,
    utf8: bool = True,
    at_ms: float = 0.0,
) -> ServerSentEvent:
    """An event of data lines alone, unless its fields are named."""
    return ServerSentEvent(data, fields or ("data",), ends, terminated, utf8, at_ms)


READ: dict[str, tuple[bytes, list[ServerSentEvent]]] = {
    "nothing": (b"", []),
    "one event": (b"data: x\n\n", [an_event("x")]),
    "two events": (b"data: x\n\ndata: y\n\n", [an_event("x"), an_event("y")]),
    "no space after the colon": (b"data:x\n\n", [an_event("x")]),
    "only the first space is taken": (b"data:  x \n\n", [an_event(" x ")]),
    "data lines are joined": (b"data: x\ndata: y\n\n", [an_event("x\ny", "data", "data")]),
    "a field without a colon is empty": (b"data\n\n", [an_event("")]),
    "a value may hold colons": (b"data: a: b\n\n", [an_event("a: b")]),
    "field names are kept in order": (
        b"event: e\nid: 1\ndata: x\nretry: 5\n\n",
        [an_event("x", "event", "id", "data", "retry")],
    ),
    "an event without data": (b"event: ping\n\n", [an_event("", "event")]),
    "comments are passed over": (
        b": hi\n\n:\ndata: x\n:there\n\ndata: y\n\n",
        [replace(an_event("x"), commented=True), an_event("y")],
    ),
    "empty lines alone are no event": (b"\n\n\n", []),
    "CRLF": (b"data: x\r\n\r\n", [an_event("x", ends=CRLF)]),
    "CR": (b"data: x\r\rdata: y\r\r", [an_event("x", ends=CR), an_event("y", ends=CR)]),
    "a CR at the very end": (b"data: x\n\r", [an_event("x", ends=LF | CR)]),
    "mixed line ends": (b"data: x\r\ndata: y\n\r", [an_event("x\ny", "data", "data", ends=LF | CR | CRLF)]),
    "line ends belong to their event": (b"data: x\r\n\r\ndata: y\n\n", [an_event("x", ends=CRLF), an_event("y")]),
    "a single LF parts nothing": (b"data: x\ndata: y\n", [an_event("x\ny", "data", "data", terminated=False)]),
    "cut before the empty line": (b"data: x\n", [an_event("x", terminated=False)]),
    "cut inside a line": (b"data: x\n\ndata: y", [an_event("x"), an_event("y", ends=frozenset(), terminated=False)]),
    "a byte order mark": (b"\xef\xbb\xbfdata: x\n\n", [an_event("x")]),
    "a mark that stands later is text": (
        b"data: x\n\n\xef\xbb\xbfdata: y\n\n",
        [an_event("x"), an_event("", "\ufeffdata")],
    ),
    "a mark alone": (b"\xef\xbb\xbf", []),
    "half a mark": (b"\xef\xbb", [an_event("", "\ufffd", ends=frozenset(), terminated=False, utf8=False)]),
    "what is not UTF-8": (b"data: \xff\n\ndata: y\n\n", [an_event("\ufffd", utf8=False), an_event("y")]),
    "what is UTF-8": ("data: Grüße 🙂\n\n".encode(), [an_event("Grüße 🙂")]),
    "other line separators are text": ("data: a\u2028b\x0bc\x85d\n\n".encode(), [an_event("a\u2028b\x0bc\x85d")]),
}


@pytest.mark.parametrize(("body", "events"), READ.values(), ids=READ)
def test_a_stream_is_read_as_the_standard_says(body: bytes, events: list[ServerSentEvent]) -> None:
    """A body gives these events, with the framing that they came in."""
    assert list(read_events(body, [])) == events


@pytest.mark.parametrize("body", [body for body, _ in READ.values()], ids=READ)
def test_one_byte_a_packet_changes_nothing(body: bytes) -> None:
    """The same events come of a body that arrives byte by byte."""
    assert read_events(body, [(0.0, 1)] * len(body)) == read_events(body, [])


PIECES = st.sampled_from(
    [
        b"data: x",
        b"data:y",
        b"event: e",
        b"id",
        b": note",
        b"\n",
        b"\r",
        b"\r\n",
        b"\n\n",
        b"\xef\xbb\xbf",
        b"\xff",
        "é".encode(),
    ]
)


@given(st.lists(PIECES | st.binary(max_size=6)).map(b"".join), st.lists(st.integers(0, 12)))
@example(b"\xef\xbb\xbfdata: x\r\n\r\n", [1, 1, 8, 1, 1, 1])
@example(b"data: x\r\r\n", [8, 1])
def test_events_do_not_depend_on_how_the_bytes_arrive(body: bytes, sizes: list[int]) -> None:
    """However a body is cut into packets, its events are the same."""
    whole = [replace(event, at_ms=0.0) for event in read_events(body, [])]
    cut = read_events(body, [(float(number), size) for number, size in enumerate(sizes)])
    assert [replace(event, at_ms=0.0) for event in cut] == whole


TIMED: dict[str, tuple[bytes, list[tuple[float, int]], list[float]]] = {
    "as each is complete": (b"data: x\n\ndata: y\n\n", [(1.0, 9), (2.0, 9)], [1.0, 2.0]),
    "by the packet that ends it": (b"data: x\n\ndata: y\n\n", [(1.0, 4), (2.0, 13), (3.0, 1)], [2.0, 3.0]),
    "several in one packet": (b"data: x\n\ndata: y\n\n", [(7.0, 18)], [7.0, 7.0]),
    "the cut one with the last packet": (b"data: x\n\ndata: y", [(1.0, 9), (4.0, 7)], [1.0, 4.0]),
    "after a lone CR, with what follows": (b"data: x\r\rdata: y\n\n", [(1.0, 9), (2.0, 9)], [2.0, 2.0]),
    "what came unaccounted for, with the last": (b"data: x\n\ndata: y\n\n", [(3.0, 9)], [3.0, 3.0]),
}


@pytest.mark.parametrize(("body", "arrivals", "times"), TIMED.values(), ids=TIMED)
def test_an_event_is_timed_when_it_is_complete(
    body: bytes, arrivals: list[tuple[float, int]], times: list[float]
) -> None:
    """An event's time is that of the packet which completed it."""
    assert [event.at_ms for event in read_events(body, arrivals)] == times


def test_events_are_given_as_soon_as_they_are_complete() -> None:
    """The reader holds back nothing but what may still go on."""
    reader = SseReader()
    assert [event.data for event in reader.feed(b"data: x\n\nda", 1.0)] == ["x"]
    assert reader.feed(b"ta: y\n", 2.0) == []
    assert [event.data for event in reader.feed(b"\n", 3.0)] == ["y"]
    assert reader.close(4.0) == []


def test_a_line_without_end_costs_no_more_than_its_length() -> None:
    """A line of two million characters in small packets is searched once, not once a packet."""
    body, size = b"data: " + b"x" * 2_000_000, 50
    started = time.thread_time()  # of this thread alone: a busy machine does not count
    [event] = read_events(body, [(0.0, size)] * (len(body) // size))
    assert len(event.data) == 2_000_000
    assert time.thread_time() - started < 5
