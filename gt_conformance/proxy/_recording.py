"""What passes through the proxy, kept within bounds while it is streamed whole."""

import time
import zlib
from dataclasses import dataclass, field
from email import message_from_bytes

from gt_conformance.exchange import Arrival, Exchange, Failure, FilePart, Presentation, Request, Response

MOST_KEPT = 256 * 1024
"""Bytes of a body. What a client sends on a trivial prompt is a fifth of it at most."""

COMPLETE = "complete"
_COMPRESSED = frozenset({"gzip", "x-gzip", "deflate"})


@dataclass(frozen=True)
class ProxiedExchange:
    """One request of the client and what it got. ``answered_here`` is True where the proxy itself refused it."""

    exchange: Exchange
    answered_here: bool = False


@dataclass
class Kept:
    """The beginning of a body, and how long the whole was."""

    body: bytearray = field(default_factory=bytearray)
    size: int = 0

    def take(self, data: bytes) -> None:
        """Count what passes, and keep it while there is room."""
        self.size += len(data)
        room = MOST_KEPT - len(self.body)
        if room > 0:
            self.body += data[:room]

    @property
    def left_out(self) -> int:
        """Bytes that passed and were not kept."""
        return self.size - len(self.body)


@dataclass
class Recording:
    """One exchange while it passes. ``key`` names the run's key that was put in; None where none was shown.

    ``whole`` is set once the tenant's answer has ended as it should.
    """

    ref: str
    method: str
    url: str
    headers: tuple[tuple[str, str], ...]
    key: str | None
    presentation: Presentation
    sent: Kept = field(default_factory=Kept)
    received: Kept = field(default_factory=Kept)
    answered_here: bool = False
    whole: bool = False
    _started: float = field(default_factory=time.perf_counter)
    _status: int | None = None
    _answer_headers: tuple[tuple[str, str], ...] = ()
    _arrivals: list[Arrival] = field(default_factory=list)

    @property
    def begun(self) -> bool:
        """Whether an answer has begun."""
        return self._status is not None

    def began(self, status: int, headers: tuple[tuple[str, str], ...]) -> None:
        """The answer has begun."""
        self._status = status
        self._answer_headers = headers

    def take(self, data: bytes) -> None:
        """A piece of the answer has come."""
        if len(self.received.body) < MOST_KEPT:
            self._arrivals.append(Arrival(self._elapsed_ms(), len(data)))
        self.received.take(data)

    def ended(self, end: str = COMPLETE, failure: Failure = Failure.CLOSED, remedy: str = "") -> ProxiedExchange:
        """It is over: ``end`` says how, and ``failure`` of what kind it is where no answer had begun."""
        response = None
        if self._status is not None:
            complete = end == COMPLETE
            if complete and self.received.left_out:
                complete, end = False, f"whole; the first {MOST_KEPT} of its {self.received.size} bytes are kept"
            if self.answered_here:
                end = "answered by the recording proxy, not by the tenant"
            body = self._decoded(bytes(self.received.body))
            arrivals = tuple(self._arrivals) if len(body) == len(self.received.body) else ()
            response = Response(self._status, self._answer_headers, body, arrivals, complete=complete, end=end)
        exchange = Exchange(
            ref=self.ref,
            request=self._request(),
            response=response,
            elapsed_ms=self._elapsed_ms(),
            failure=None if response else failure,
            detail="" if response else end,
            remedy="" if response else remedy,
        )
        return ProxiedExchange(exchange, self.answered_here)

    def _elapsed_ms(self) -> float:
        return (time.perf_counter() - self._started) * 1000

    def _request(self) -> Request:
        body, left_out = bytes(self.sent.body), self.sent.left_out
        kind = next((value for name, value in self.headers if name == "content-type"), "")
        parts = _parts(kind, body) if kind.startswith("multipart/form-data") else ()
        return Request(
            self.method,
            self.url,
            self.key,
            self.presentation,
            self.headers,
            b"" if parts else body,
            parts,
            left_out=self.sent.size - sum(len(part.content) for part in parts) if parts and left_out else left_out,
        )

    def _decoded(self, body: bytes) -> bytes:
        # What cannot be unpacked here (br, zstd) stays as it came: it is evidence, if no readable one.
        encoding = next((value for name, value in self._answer_headers if name == "content-encoding"), "")
        if encoding.strip().lower() not in _COMPRESSED:
            return body
        try:
            return zlib.decompressobj(32 + zlib.MAX_WBITS).decompress(body, MOST_KEPT)
        except zlib.error:
            return body


def _parts(content_type: str, body: bytes) -> tuple[FilePart, ...]:
    """The parts of a multipart form; none where it cannot be read as one."""
    form = message_from_bytes(b"Content-Type: " + content_type.encode("latin-1") + b"\r\n\r\n" + body)
    if not form.is_multipart():
        return ()
    found = []
    for part in form.walk():
        name = part.get_param("name", header="content-disposition")
        content = part.get_payload(decode=True)
        if isinstance(name, str) and isinstance(content, bytes):
            found.append(FilePart(name, content, part.get_filename(), part.get_content_type()))
    return tuple(found)
