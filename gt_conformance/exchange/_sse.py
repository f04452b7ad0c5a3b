"""Server-sent events, read as they arrive, with the framing kept: the framing itself is judged.

After the WHATWG HTML standard, section 9.2.6 (interpreting an event stream). A ready-made reader would hide what
some clients cannot take: CRLF line ends, ``event:`` or ``id:`` lines, an event that no empty line ends.
"""

import re
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class ServerSentEvent:
    """One event. ``data`` is the data lines joined by LF, ``fields`` the field names in order as sent.

    ``line_ends`` are those found inside it (``LF``, ``CRLF``, ``CR``); ``terminated`` is False for a last event that
    no empty line ends; ``utf8`` is False where its bytes are not UTF-8. ``at_ms`` is when it was complete.
    ``commented`` is True where a comment stands among its lines.
    """

    data: str
    fields: tuple[str, ...]
    line_ends: frozenset[str]
    terminated: bool
    utf8: bool
    at_ms: float
    commented: bool = False


MOST_LINES = 40_000
"""The most lines of a stream that are read: the probes ask for a few hundred events at most."""


class TooManyLines(ValueError):
    """The stream has more lines than are read."""


_LINE_END = re.compile(rb"\r\n|\n|\r")
_NAMES = {b"\r\n": "CRLF", b"\n": "LF", b"\r": "CR"}


@dataclass
class SseReader:
    """Feed it bytes as they arrive; it gives the events that they complete. Linear in the number of bytes."""

    _pending: bytearray = field(default_factory=bytearray)
    _searched: int = 0
    _lines: list[bytes] = field(default_factory=list)
    _ends: set[str] = field(default_factory=set)
    _started: bool = False
    _seen: int = 0

    def feed(self, data: bytes, at_ms: float) -> list[ServerSentEvent]:
        """The events completed by these bytes. A CR at the very end waits for what follows it.

        Raises TooManyLines beyond ``MOST_LINES``.
        """
        self._pending += data
        if not self._started:
            if len(self._pending) < len(_BOM) and _BOM.startswith(self._pending):
                return []
            if self._pending.startswith(_BOM):
                del self._pending[: len(_BOM)]
            self._started = True
        return self._drain(at_ms, final=False)

    def close(self, at_ms: float) -> list[ServerSentEvent]:
        """What was left: an event after a lone CR, and an event that no empty line ended."""
        self._started = True
        events = self._drain(at_ms, final=True)
        if self._pending:
            self._lines.append(bytes(self._pending))
            self._pending.clear()
        return events + self._dispatch(at_ms, terminated=False)

    def _drain(self, at_ms: float, *, final: bool) -> list[ServerSentEvent]:
        events, start = [], 0
        for match in _LINE_END.finditer(self._pending, self._searched):
            if match.group() == b"\r" and match.end() == len(self._pending) and not final:
                break
            self._seen += 1
            if self._seen > MOST_LINES:
                raise TooManyLines
            line = bytes(self._pending[start : match.start()])
            start = match.end()
            self._ends.add(_NAMES[match.group()])
            if line:
                self._lines.append(line)
            else:
                events += self._dispatch(at_ms, terminated=True)
        del self._pending[:start]
        # A CR at the end is looked at again with what follows; all else has been searched.
        self._searched = len(self._pending) - self._pending.endswith(b"\r")
        return events

    def _dispatch(self, at_ms: float, *, terminated: bool) -> list[ServerSentEvent]:
        lines, ends = self._lines, frozenset(self._ends)
        self._lines, self._ends = [], set()
        fields: list[str] = []
        data: list[str] = []
        utf8, commented = True, False
        for line in lines:
            try:
                text = line.decode("utf-8")
            except UnicodeDecodeError:
                utf8, text = False, line.decode("utf-8", errors="replace")
            name, colon, value = text.partition(":")
            if colon and not name:
                commented = True
                continue
            fields.append(name)
            if name == "data":
                data.append(value.removeprefix(" "))
        if not fields:
            return []
        return [ServerSentEvent("\n".join(data), tuple(fields), ends, terminated, utf8, at_ms, commented)]


def read_events(body: bytes, arrivals: Sequence[tuple[float, int]]) -> tuple[ServerSentEvent, ...]:
    """All events of a whole body; ``arrivals`` are the (milliseconds, bytes) pieces in which it came.

    Beyond ``MOST_LINES`` nothing is read: the runner has ended such a stream, and recorded that, when it came.
    """
    reader = SseReader()
    events: list[ServerSentEvent] = []
    last = 0.0
    with suppress(TooManyLines):
        for at_ms, piece in _pieces(body, arrivals):
            events += reader.feed(piece, at_ms)
            last = at_ms
        events += reader.close(last)
    return tuple(events)


def _pieces(body: bytes, arrivals: Sequence[tuple[float, int]]) -> Iterable[tuple[float, bytes]]:
    position = 0
    for at_ms, size in arrivals:
        yield at_ms, body[position : position + size]
        position += size
    if position < len(body):
        yield (arrivals[-1][0] if arrivals else 0.0), body[position:]
