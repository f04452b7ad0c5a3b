"""Requests over HTTP: bounded in time, size, rate and number; never redirected, never sent elsewhere."""

import base64
import math
import os
import secrets
import socket
import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from http.cookiejar import CookieJar, DefaultCookiePolicy
from urllib.parse import quote, urlsplit

import anyio
import httpx
import stamina
import stamina.instrumentation
from aiolimiter import AsyncLimiter

from gt_conformance import __version__
from gt_conformance.errors import Blocked
from gt_conformance.exchange import (
    MOST_LINES,
    Arrival,
    Attempt,
    Exchange,
    Failure,
    Presentation,
    Request,
    Response,
    SseReader,
    TooManyLines,
)
from gt_conformance.runner._allowance import Allowance
from gt_conformance.runner._decoding import Decoder, TooLarge
from gt_conformance.tenant import Secret, Tenant

_ATTEMPTS = 3
_MOST_HOPELESS = 8
"""After so many exchanges in a row that no further try helped, none is tried again until one succeeds at once."""
_FIRST_WAIT_S = 0.25
_LONGEST_WAIT_S = 10.0
_AFTER_DONE_S = 2.0
_ONE_MOMENT_MS = 1.0
_CONNECT_TIMEOUT_S = 10.0
_MOST_HEADER_BYTES = 64 * 1024
_TOO_MANY, _UNAVAILABLE = 429, 503

# Retries are recorded in the exchange; stamina's own log lines would be a second account of them.
stamina.instrumentation.set_on_retry_hooks([])


class HttpSender:
    """Sends over one HTTP client. One sender serves one run; its limits are the tenant file's."""

    def __init__(self, tenant: Tenant) -> None:
        self._tenant = tenant
        self._secrets: Mapping[str, Secret] = tenant.secrets()
        self._made_up = "gtak_" + secrets.token_urlsafe(30)
        limits = tenant.limits
        self._slots = anyio.Semaphore(limits.concurrency)
        self._rate = AsyncLimiter(limits.requests_per_minute, 60)
        self._sent = 0
        self._allowance = Allowance(limits.max_run_bytes)
        self._hopeless = 0
        self._origin = _origin(tenant.base_url)
        loopback = tenant.base_url.startswith("http://")
        self._client = httpx.AsyncClient(
            verify=ssl.create_default_context(cafile=tenant.ca_file) if tenant.ca_file else not loopback,
            follow_redirects=False,
            # A proxy of the environment may stand before a tenant, never before this machine.
            trust_env=not loopback,
            timeout=httpx.Timeout(None, connect=min(_CONNECT_TIMEOUT_S, limits.timeout_s)),
            limits=httpx.Limits(max_connections=limits.concurrency, max_keepalive_connections=limits.concurrency),
            headers={"User-Agent": f"gt-conformance/{__version__}", "Accept": "*/*", "Accept-Encoding": "identity"},
            # A session cookie that one key was given would go with the next, and with requests that show no key.
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=())),
        )

    async def send(self, request: Request, ref: str) -> Exchange:
        """One exchange, with up to two further tries after a 429, a 503 that says when, or a failed connection."""
        if _origin(request.url) != self._origin:
            raise ValueError("A request leaves the tenant's host; a key must not travel there.")
        attempts: list[Attempt] = []
        outcome, ended = _Outcome(), 0.0
        try:
            async for attempt in stamina.retry_context(
                on=_pause, attempts=_ATTEMPTS, timeout=None, wait_initial=_FIRST_WAIT_S, wait_max=_LONGEST_WAIT_S
            ):
                with attempt:
                    if outcome.again is not None:
                        attempts.append(Attempt(outcome.summary, time.perf_counter() - ended))
                    outcome = await self._attempt(request)
                    ended = time.perf_counter()
                    if outcome.again is not None and self._hopeless < _MOST_HOPELESS:
                        raise _Again(outcome)  # noqa: TRY301 - how stamina is told to try again
        except _Again as last:
            outcome = last.outcome
        self._hopeless = 0 if outcome.again is None else self._hopeless + 1
        return Exchange(
            ref=ref,
            request=request,
            response=outcome.response,
            elapsed_ms=outcome.elapsed_ms,
            failure=outcome.failure,
            detail=outcome.detail,
            attempts=tuple(attempts),
        )

    async def close(self) -> None:
        """Close every connection."""
        await self._client.aclose()

    async def _attempt(self, request: Request) -> "_Outcome":
        async with self._slots, self._rate:
            if self._sent >= self._tenant.limits.max_requests:
                raise Blocked(
                    f"the run's limit of {self._tenant.limits.max_requests} requests was reached",
                    "Raise limits.max_requests in the tenant file, or select fewer runbooks.",
                )
            self._allowance.check()
            self._sent += 1
            started = time.perf_counter()
            reading = _Reading(started, self._tenant.limits.max_response_bytes, self._allowance)
            timeout = self._tenant.limits.timeout_s
            outcome = None
            with anyio.move_on_after(timeout) as scope:
                try:
                    outcome = await self._receive(request, reading, scope)
                except httpx.HTTPError as error:
                    outcome = reading.broken(error, retry=not request.creates)
                except TooLarge as error:
                    outcome = reading.ended(str(error))
            # Timed from here: waiting for a slot or for the rate is ours, not the tenant's.
            return replace(outcome or reading.timed_out(timeout), elapsed_ms=(time.perf_counter() - started) * 1000)

    async def _receive(self, request: Request, reading: "_Reading", scope: anyio.CancelScope) -> "_Outcome":
        async with self._client.stream(
            request.method,
            self._url(request),
            headers=[*request.headers, *self._authorization(request)],
            content=request.body or None,
            files=[
                (part.name, (part.filename, part.content, part.content_type))
                if part.content_type
                else (part.name, (part.filename, part.content))
                for part in request.parts
            ]
            or None,
        ) as received:
            reading.begin(received)
            async for raw in received.aiter_raw():
                if reading.take(raw):
                    # [DONE] was read: the end should follow at once, and is not waited for much longer.
                    scope.deadline = min(scope.deadline, anyio.current_time() + _AFTER_DONE_S)
            return reading.complete()

    def _url(self, request: Request) -> str:
        if request.presentation is Presentation.QUERY and request.key is not None:
            return f"{request.url}?api_key={quote(self._secrets[request.key].reveal(), safe='')}"
        return request.url

    def _authorization(self, request: Request) -> list[tuple[str, str]]:
        if request.presentation is Presentation.MADE_UP:
            return [("Authorization", f"Bearer {self._made_up}")]
        if request.key is None or request.presentation in {Presentation.NONE, Presentation.QUERY}:
            return []
        secret = self._secrets[request.key].reveal()
        if request.presentation is Presentation.WITHOUT_SCHEME:
            return [("Authorization", secret)]
        if request.presentation is Presentation.BASIC:
            return [("Authorization", "Basic " + base64.b64encode(f"{secret}:".encode()).decode())]
        return [("Authorization", f"Bearer {secret}")]


@dataclass(frozen=True)
class _Outcome:
    """What one try gave; ``again`` is the pause in seconds before another, NaN for the usual one, None for none."""

    response: Response | None = None
    failure: Failure | None = None
    detail: str = ""
    again: float | None = None
    elapsed_ms: float = 0.0

    @property
    def summary(self) -> str:
        return f"HTTP {self.response.status}" if self.response else f"{self.failure}: {self.detail}"


class _Again(Exception):
    """A try that may be repeated. Never leaves this module."""

    def __init__(self, outcome: _Outcome) -> None:
        self.outcome = outcome
        super().__init__(outcome.summary)


def _pause(error: Exception) -> bool | float:
    if not isinstance(error, _Again) or error.outcome.again is None:
        return False
    return True if math.isnan(error.outcome.again) else error.outcome.again


@dataclass
class _Reading:
    """A response while it arrives."""

    started: float
    longest: int
    allowance: Allowance
    received: httpx.Response | None = None
    decoder: Decoder | None = None
    body: bytearray = field(default_factory=bytearray)
    arrivals: list[Arrival] = field(default_factory=list)
    events: SseReader | None = None
    done: bool = False

    def begin(self, received: httpx.Response) -> None:
        self.received = received
        self.decoder = Decoder(received.headers.get("content-encoding", ""), self.longest)
        if received.headers.get("content-type", "").lower().startswith("text/event-stream"):
            self.events = SseReader()

    def take(self, raw: bytes) -> bool:
        """Add what came; True where it completed the event [DONE]."""
        data = self.decoder.decode(raw) if self.decoder else raw
        self.allowance.spend(len(data))
        at_ms = (time.perf_counter() - self.started) * 1000
        self.body += data
        self._arrived(at_ms, len(data))
        if self.events is not None and not self.done:
            try:
                self.done = any(event.data.strip() == "[DONE]" for event in self.events.feed(data, at_ms))
            except TooManyLines:
                raise TooLarge(f"the stream has more than {MOST_LINES} lines") from None
            return self.done
        return False

    def _arrived(self, at_ms: float, size: int) -> None:
        last = self.arrivals[-1] if self.arrivals else None
        if last is not None and at_ms - last.at_ms < _ONE_MOMENT_MS:
            # However small its packets, a body has not more arrivals than it takes milliseconds.
            self.arrivals[-1] = replace(last, size=last.size + size)
        else:
            self.arrivals.append(Arrival(at_ms, size))

    def complete(self) -> _Outcome:
        response = self._response(complete=True, end="complete")
        return _Outcome(response, again=_retry_after(response))

    def ended(self, end: str) -> _Outcome:
        return _Outcome(self._response(complete=False, end=end))

    def timed_out(self, timeout_s: float) -> _Outcome:
        if self.received is None:
            return _Outcome(failure=Failure.TIMEOUT, detail=f"nothing came within {timeout_s:g} s (limits.timeout_s)")
        if self.done:
            return self.ended(f"the connection was still open {_AFTER_DONE_S:g} s after [DONE]")
        return self.ended(f"the answer was not complete after {timeout_s:g} s (limits.timeout_s)")

    def broken(self, error: httpx.HTTPError, *, retry: bool) -> _Outcome:
        if self.received is not None:
            return self.ended(f"the connection ended before the body did ({type(error).__name__})")
        failure, detail = _cause(error)
        connecting = failure in {Failure.CONNECT, Failure.DNS, Failure.TLS}
        again = (
            math.nan if failure is Failure.CONNECT or (retry and not connecting and failure is Failure.CLOSED) else None
        )
        return _Outcome(failure=failure, detail=detail, again=again)

    def _response(self, *, complete: bool, end: str) -> Response:
        assert self.received is not None, "a response has begun"  # noqa: S101 - for the type checker
        headers, size = [], 0
        for name, value in self.received.headers.multi_items():
            size += len(name) + len(value)
            if size > _MOST_HEADER_BYTES:
                break
            headers.append((name.lower(), value))
        return Response(
            self.received.status_code, tuple(headers), bytes(self.body), tuple(self.arrivals), complete, end
        )


def _retry_after(response: Response) -> float | None:
    """The pause that a 429 or 503 asks for. A 503 that does not say when is an answer, and judged."""
    asked = response.header("retry-after")
    if response.status not in {_TOO_MANY, _UNAVAILABLE} or (response.status == _UNAVAILABLE and asked is None):
        return None
    try:
        seconds = float(asked or "nan")
    except ValueError:
        return math.nan
    return math.nan if math.isnan(seconds) else min(max(seconds, 0.0), _LONGEST_WAIT_S)


_SENTENCES: Mapping[Failure, Callable[[str], str]] = {
    Failure.DNS: lambda _: "the host's name has no address",
    Failure.TLS: lambda text: f"the TLS connection failed ({text})",
    Failure.CONNECT: lambda text: f"no connection ({text})",
    Failure.CLOSED: lambda _: "the connection was closed without an answer",
    Failure.PROTOCOL: lambda _: "what came back is not HTTP",
}


def _cause(error: BaseException) -> tuple[Failure, str]:
    chain: list[BaseException] = []
    current: BaseException | None = error
    while current is not None and current not in chain:
        chain.append(current)
        current = current.__cause__ or current.__context__
    # Not strerror: asyncio puts its own words there, which name a call and not the trouble.
    text = next((os.strerror(item.errno) for item in chain if isinstance(item, OSError) and item.errno), "")
    if any(isinstance(item, socket.gaierror) for item in chain):
        failure = Failure.DNS
    elif any(isinstance(item, ssl.SSLError) for item in chain):
        failure = Failure.TLS
        text = next(
            getattr(item, "verify_message", "") or item.reason for item in chain if isinstance(item, ssl.SSLError)
        )
    elif isinstance(error, httpx.ConnectTimeout):
        failure, text = Failure.CONNECT, f"none within {_CONNECT_TIMEOUT_S:g} s"
    elif isinstance(error, httpx.ConnectError):
        failure = Failure.CONNECT
    elif isinstance(error, httpx.NetworkError) or "disconnected" in str(error).lower():
        failure = Failure.CLOSED
    else:
        failure = Failure.PROTOCOL
    return failure, _SENTENCES[failure](text or "refused")


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port
