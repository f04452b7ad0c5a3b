"""A response while it arrives, within bounds: no tenant fills this machine's memory, alone or with many answers."""

import time
import zlib
from collections.abc import Sequence

from gt_conformance.errors import Blocked
from gt_conformance.exchange import IN_MEMBERS, MISLABELLED, MOST_LINES, Arrival, Response, SseReader, TooManyLines

AFTER_DONE_S = 2.0
_ONE_MOMENT_MS = 1.0
_MOST_HEADER_BYTES = 64 * 1024
_ZLIB_HEADER = 2
_ANY_HEADER = 32 + zlib.MAX_WBITS
"""Reads the header of gzip or zlib, whichever it is."""
_GZIP_MAGIC = b"\x1f\x8b"
_MOST_MEMBERS = 20_000
"""Of gzip, in one body: a stream has one an event, and each costs time."""


class TooLarge(Exception):
    """The body exceeds a limit; the text says which."""


class ByteBudget:
    """The bytes that all answers of one run may take together."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._left = most

    def check(self) -> None:
        """Raises Blocked where nothing is left."""
        if self._left <= 0:
            raise Blocked(
                f"the answers of this run exceed {self._most} bytes in all (limits.max_run_bytes)",
                "Look at the largest answers in results.json; raise limits.max_run_bytes if they are all right.",
            )

    def spend(self, size: int) -> None:
        """Take so many bytes off. Raises Blocked once nothing is left."""
        self._left -= size
        self.check()


class Decoder:
    """Decodes gzip and deflate as bytes arrive, and counts what comes out. Other encodings pass as they are.

    A body of gzip may have several members (RFC 1952, 2.2), as a gateway that compresses piece by piece writes them.
    What follows the last one is ignored, as HTTP libraries do.
    """

    def __init__(self, encoding: str, longest: int) -> None:
        self._head = b"" if encoding.strip().lower() == "deflate" else None
        known = encoding.strip().lower() in {"gzip", "x-gzip", "deflate"}
        self._zlib = zlib.decompressobj(_ANY_HEADER) if known else None
        self._members = _MOST_MEMBERS if known and self._head is None else 0
        self._between = b""
        self._further = False
        self._left = longest
        self._left_raw = longest
        self._longest = longest

    @property
    def cut_short(self) -> bool:
        """Whether a compressed body began and has not come to its end."""
        return self._zlib is not None and self._left_raw < self._longest and not self._zlib.eof

    @property
    def in_members(self) -> bool:
        """Whether the body is gzip, and in more than one member."""
        return self._further

    def decode(self, raw: bytes) -> bytes:
        """The decoded bytes. Raises TooLarge where the body grows beyond the limit, or is not what it says."""
        data = raw if self._zlib is None else self._decompress(self._zlib, raw)
        self._left -= len(data)
        # What came counts as well: it may decode to nothing for ever.
        self._left_raw -= len(raw)
        if self._left < 0 or self._left_raw < 0:
            raise TooLarge(f"the body exceeds {self._longest} bytes (limits.max_response_bytes)")
        return data

    def _decompress(self, decoder: "zlib._Decompress", raw: bytes) -> bytes:
        if self._head is not None:
            self._head += raw
            if len(self._head) < _ZLIB_HEADER:
                return b""
            raw, self._head = self._head, None
            if raw[0] & 0xF != zlib.DEFLATED or int.from_bytes(raw[:_ZLIB_HEADER], "big") % 31:
                # Some servers leave the header of zlib out, and HTTP libraries take that.
                self._zlib = decoder = zlib.decompressobj(-zlib.MAX_WBITS)
        try:
            return self._decode_members(decoder, raw)
        except zlib.error:
            raise TooLarge(MISLABELLED) from None

    def _decode_members(self, decoder: "zlib._Decompress", raw: bytes) -> bytes:
        """What a member of gzip holds, and those that follow it in these bytes."""
        if not decoder.eof:
            data = decoder.decompress(raw, self._left + 1)
            ahead = decoder.unused_data
        else:
            data, ahead = b"", self._between + raw
        while self._members and decoder.eof and len(ahead) >= len(_GZIP_MAGIC):
            self._members -= 1
            if not ahead.startswith(_GZIP_MAGIC):
                self._members = 0
                break
            self._further = True
            self._zlib = decoder = zlib.decompressobj(_ANY_HEADER)
            data += decoder.decompress(ahead, self._left + 1 - len(data))
            ahead = decoder.unused_data
        self._between = ahead if self._members and decoder.eof else b""
        return data


class Reading:
    """What has arrived of one response: its head, its decoded body, and when each piece came.

    ``started`` is the time.perf_counter() of the request; ``done`` is True once the event [DONE] was read. ``sent_at``
    is when the request was sent, where a connection had to be opened first.
    """

    def __init__(
        self,
        status: int,
        raw_headers: Sequence[tuple[bytes, bytes]],
        started: float,
        longest: int,
        budget: ByteBudget,
        sent_at: float | None = None,
    ) -> None:
        self.status = status
        self.done = False
        self._head_ms = (time.perf_counter() - started) * 1000
        self._connect_ms = 0.0 if sent_at is None else (sent_at - started) * 1000
        self._headers = tuple(_bounded(raw_headers))
        self._started = started
        self._budget = budget
        self._decoder = Decoder(self._header("content-encoding"), longest)
        streamed = self._header("content-type").lower().startswith("text/event-stream")
        self._events = SseReader() if streamed else None
        self._body = bytearray()
        self._arrivals: list[Arrival] = []

    def take(self, raw: bytes) -> None:
        """Add bytes as they arrive. Raises TooLarge or Blocked at a limit."""
        data = self._decoder.decode(raw)
        self._budget.spend(len(data))
        at_ms = (time.perf_counter() - self._started) * 1000
        self._body += data
        self._arrived(at_ms, len(data))
        if self._events is not None and not self.done:
            try:
                self.done = any(event.data.strip() == "[DONE]" for event in self._events.feed(data, at_ms))
            except TooManyLines:
                raise TooLarge(f"the stream has more than {MOST_LINES} lines") from None

    def response(self, end: str | None = None) -> Response:
        """The response; ``end`` says why it is not complete, None that it is."""
        if end is None and self._decoder.cut_short:
            end = MISLABELLED
        whole = IN_MEMBERS if self._decoder.in_members else "complete"
        return Response(
            self.status,
            self._headers,
            bytes(self._body),
            tuple(self._arrivals),
            complete=end is None,
            end=whole if end is None else end,
            head_ms=self._head_ms,
            connect_ms=self._connect_ms,
        )

    def _header(self, wanted: str) -> str:
        return next((value for name, value in self._headers if name == wanted), "")

    def _arrived(self, at_ms: float, size: int) -> None:
        last = self._arrivals[-1] if self._arrivals else None
        if last is not None and at_ms - last.at_ms < _ONE_MOMENT_MS:
            # However small its packets, a body has not more arrivals than it takes milliseconds.
            self._arrivals[-1] = Arrival(last.at_ms, last.size + size)
        else:
            self._arrivals.append(Arrival(at_ms, size))


def _bounded(raw: Sequence[tuple[bytes, bytes]]) -> list[tuple[str, str]]:
    headers, size = [], 0
    for name, value in raw:
        size += len(name) + len(value)
        if size > _MOST_HEADER_BYTES:
            break
        headers.append((name.decode("latin-1").lower(), _text(value)))
    return headers


def _text(value: bytes) -> str:
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        return value.decode("latin-1")
