"""Sends requests: bounded in time, size, rate and number; never redirected, never to another host.

What is tried again, and after which pause, is decided here; when a request may start, in :mod:`._pacing`.
"""

import asyncio
import base64
import os
import secrets
import time
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Protocol
from urllib.parse import quote, urlsplit

import anyio

from gt_conformance import __version__
from gt_conformance.checks import says_budget
from gt_conformance.errors import Blocked, Blocker
from gt_conformance.exchange import (
    ENDED_EARLY,
    PARAMETER_NAMES,
    Attempt,
    Exchange,
    Failure,
    Presentation,
    Request,
    Response,
    in_other_headers,
    with_key_in_body,
)
from gt_conformance.network import CONNECT_TIMEOUT_S, HttpClient, NetworkFailure, Received
from gt_conformance.runner._lateness import Lateness
from gt_conformance.runner._pacing import Clock, Lull, Pace, Patience, SharedBudget, Slots, wait_for_turn
from gt_conformance.runner._reading import AFTER_DONE_S, ByteBudget, Reading, TooLarge
from gt_conformance.runner._tokens import Reservation, TokenBudget
from gt_conformance.schema import count_noun
from gt_conformance.tenant import Limits, Secret, Tenant
from gt_conformance.vocabulary import CONVERSATION_HEADER, Actor

_ATTEMPTS = 3
_FIRST_WAIT_S = 0.25
_LONGEST_WAIT_S = 10.0
_LONGEST_RETRY_AFTER = 64
_TOO_MANY, _UNAVAILABLE = 429, 503
_LOCKED = frozenset({409, 423})
"""What a conversation that another request has under way may be answered with."""
_RANDOM = secrets.SystemRandom()
_RAISE_REQUESTS = "Raise limits.max_requests in the tenant file, or select fewer runbooks."
OUT_OF_REQUESTS = Blocker("", _RAISE_REQUESTS).finding
"""The finding of what is blocked because the run may send no more."""


class Sender(Protocol):
    """Sends requests for the runner."""

    async def send(self, request: Request, ref: str) -> Exchange:
        """The exchange, whatever came of it.

        Raises Blocked where a limit of the run forbids sending, and where this machine is at fault.
        """

    async def close(self) -> None:
        """Close every connection."""

    def new_loop(self) -> asyncio.AbstractEventLoop:
        """The event loop in which it sends."""
        return asyncio.new_event_loop()


class _Refusals:
    """What is sent to be refused starts evenly, and only while the refusals of the run are fewer than its limit."""

    def __init__(self, limits: Limits) -> None:
        self.made = 0
        self._under_way = 0
        self._most = limits.max_refusals
        self._pace = Pace(limits.refusals_per_minute)
        self._turn = anyio.Lock()

    async def wait_for_turn(self, clock: Clock) -> None:
        """Return when one more may start."""
        await wait_for_turn(self._pace, self._turn, clock)

    @contextmanager
    def counting(self, request: Request) -> Iterator[None]:
        """One request is under way inside. Raises Blocked where it would be refused, and one too many."""
        if not request.refused:
            yield
            return
        if self.made + self._under_way >= self._most:
            raise Blocked(
                f"the run's limit of {count_noun(self._most, 'refused request')} was reached (limits.max_refusals)",
                "Raise limits.max_refusals in the tenant file (gt-conformance plan says how many a run makes), "
                "or select fewer runbooks.",
                cause="max_refusals",
            )
        self._under_way += 1
        try:
            yield
        finally:
            self._under_way -= 1


class _Turns:
    """The requests of each conversation that are under way; one at a time, once the tenant was seen to want that."""

    def __init__(self) -> None:
        self._one_by_one = False
        self._under_way: Counter[str] = Counter()
        self._begun: Counter[str] = Counter()
        self._ended: dict[str, anyio.Event] = {}
        self._locks: defaultdict[str, anyio.Lock] = defaultdict(anyio.Lock)

    async def take(self, conversation: str, attempt: Callable[[], Awaitable["_Outcome"]]) -> "tuple[_Outcome, bool]":
        """What came of a request, and whether it is to be sent again by itself: it met others of its conversation."""
        outcome, alone = await self._take(conversation, attempt)
        response = outcome.response
        again = not alone and response is not None and response.status in _LOCKED
        self._one_by_one = self._one_by_one or again
        return outcome, again

    async def _take(self, conversation: str, attempt: Callable[[], Awaitable["_Outcome"]]) -> "tuple[_Outcome, bool]":
        async with self._locks[conversation] if self._one_by_one else nullcontext():
            while self._one_by_one and self._under_way[conversation]:  # begun before that was known
                await self._ended.setdefault(conversation, anyio.Event()).wait()
            first = not self._under_way[conversation]
            self._under_way[conversation] += 1
            self._begun[conversation] += 1
            begun = self._begun[conversation]
            try:
                outcome = await attempt()
            finally:
                self._under_way[conversation] -= 1
                self._ended.pop(conversation, anyio.Event()).set()
            return outcome, first and self._begun[conversation] == begun


class HttpSender(Sender):
    """Sends over one HTTP client. One sender serves one run; its limits are the tenant file's.

    ``shared`` bounds it besides, together with other senders; ``lateness`` is that of the event loop that they share.
    The environment (proxies, certificate bundles) is read when it is made, from a copy, and never again.
    """

    def __init__(
        self,
        tenant: Tenant,
        *,
        environment: Mapping[str, str] | None = None,
        clock: Clock | None = None,
        shared: SharedBudget | None = None,
        lateness: Lateness | None = None,
    ) -> None:
        self._tenant = tenant
        self._secrets: Mapping[str, Secret] = tenant.secrets()
        self._made_up = "gtak_" + secrets.token_urlsafe(30)
        limits = tenant.limits
        self._clock = clock or Clock()
        self._shared = shared
        self._slots = Slots(limits.concurrency)
        self._pace = Pace(limits.requests_per_minute)
        self._refusals = _Refusals(limits)
        self._turn = anyio.Lock()
        self._sent = 0
        self._budget = ByteBudget(limits.max_run_bytes)
        self._tokens = TokenBudget(limits.max_tokens)
        self._lateness = lateness or Lateness()
        self._began = time.perf_counter()
        self._patience = Patience()
        self._lull = Lull()
        self._turns = _Turns()
        self._origin = _origin(tenant.base_url)
        # A setting of this machine that cannot be used blocks each request, and says so; it breaks nothing off.
        self._client: HttpClient | Blocked
        try:
            self._client = HttpClient(
                tenant,
                dict(os.environ if environment is None else environment),
                connections=limits.concurrency,
                connect_timeout_s=min(CONNECT_TIMEOUT_S, limits.timeout_s),
            )
        except Blocked as blocked:
            self._client = blocked

    @property
    def sent(self) -> int:
        """How many requests it has sent, repetitions included, also those of which no exchange came."""
        return self._sent

    @property
    def tokens_used(self) -> int:
        """The tokens that they count for, where limits.max_tokens bounds them; else it does not count."""
        return self._tokens.used

    async def send(self, request: Request, ref: str) -> Exchange:
        """One exchange, with up to two further attempts after a 429, a 503 that says when, or a failed connection.

        So it is after a 409 or 423 in a conversation that another request had under way: a tenant may take one at a
        time, and then they are sent so.
        """
        if _origin(request.url) != self._origin:
            raise ValueError("A request leaves the tenant's host; a key must not travel there.")
        attempts: list[Attempt] = []
        outcome = await self._attempt_in_turn(request)
        while outcome.pause_s is not None and len(attempts) + 1 < _ATTEMPTS:
            ended = self._clock.now()
            if self._patience.is_lost(request, ended):
                break
            usual = _FIRST_WAIT_S * 2 ** len(attempts) + _RANDOM.uniform(0, 1)
            await self._clock.sleep(usual if outcome.pause_s == _USUAL else min(outcome.pause_s, _LONGEST_WAIT_S))
            attempts.append(Attempt(outcome.summary, self._clock.now() - ended))
            outcome = await self._attempt_in_turn(request)
        self._patience.end(helped=outcome.pause_s is None)
        if outcome.failure is Failure.HERE:
            raise Blocked(outcome.detail, outcome.remedy, acts=Actor.HERE)
        return Exchange(
            ref=ref,
            request=request,
            response=outcome.response,
            elapsed_ms=outcome.elapsed_ms,
            failure=outcome.failure,
            detail=outcome.detail,
            attempts=tuple(attempts),
            remedy=outcome.remedy,
            started_ms=outcome.started_ms,
        )

    async def close(self) -> None:
        """Close every connection."""
        if isinstance(self._client, HttpClient):
            await self._client.close()

    async def _attempt_in_turn(self, request: Request) -> "_Outcome":
        conversation = dict(request.headers).get(CONVERSATION_HEADER)
        if not conversation:
            return await self._attempt(request)
        outcome, again = await self._turns.take(conversation, lambda: self._attempt(request))
        if again:
            outcome.pause_s = 0.0
        return outcome

    async def _attempt(self, request: Request) -> "_Outcome":
        if isinstance(self._client, Blocked):
            raise Blocked.by(self._client.blocker)
        if request.refused:
            await self._refusals.wait_for_turn(self._clock)
        async with self._slots.of(request), self._tokens.reserving(request) as reservation:
            if self._sent >= self._tenant.limits.max_requests:
                raise Blocked(
                    f"the run's limit of {count_noun(self._tenant.limits.max_requests, 'request')} was reached",
                    _RAISE_REQUESTS,
                )
            self._budget.check()
            self._sent += 1
            await self._lull.wait(self._clock)
            await wait_for_turn(self._pace, self._turn, self._clock)
            async with nullcontext() if self._shared is None else self._shared.slot(request, self._clock):
                outcome = await self._time(self._client, request, reservation)
        self._note(request, outcome)
        return outcome

    def _note(self, request: Request, outcome: "_Outcome") -> None:
        now = self._clock.now()
        if self._patience.note(request, outcome.pause_s, now):
            self._pace.speed_up()
        if outcome.response is None or self._patience.is_stuck(request) or self._patience.is_lost(request, now):
            return
        if self._lull.note(outcome.pause_s, now):
            self._pace.slow_down()

    async def _time(self, client: HttpClient, request: Request, reservation: Reservation) -> "_Outcome":
        # Timed from here: waiting for a slot or for the rate is ours, not the tenant's.
        started = time.perf_counter()
        with self._refusals.counting(request), self._lateness.watched() as watch:
            reservation.begin()
            outcome = await self._exchange(client, request, started)
            reservation.settle(outcome.response, outcome.failure)
            if outcome.response is not None and watch.late_ms:
                outcome.response = replace(outcome.response, late_ms=watch.late_ms)
        self._refusals.made += outcome.response is not None and outcome.response.refused
        outcome.elapsed_ms, outcome.started_ms = (time.perf_counter() - started) * 1000, (started - self._began) * 1000
        return outcome

    async def _exchange(self, client: HttpClient, request: Request, started: float) -> "_Outcome":
        timeout_s = self._tenant.limits.timeout_s
        reading: Reading | None = None
        with anyio.move_on_after(timeout_s) as scope:
            try:
                async with client.send(
                    request.method, self._url(request), self._headers(request), self._body(request), request.parts
                ) as received:
                    reading = self._begin(received, started)
                    async for piece in received:
                        reading.take(piece)
                        if reading.done:
                            # The end should follow [DONE] at once, and is not waited for much longer.
                            scope.deadline = min(scope.deadline, anyio.current_time() + AFTER_DONE_S)
                    return self._complete(reading.response())
            except TooLarge as error:
                assert reading is not None, "only a body is too large"  # noqa: S101 - for the type checker
                return _Outcome(reading.response(str(error)))
            except NetworkFailure as failure:
                return _failed(failure, reading, creates=request.creates and not request.refused)
        return _timed_out(reading, timeout_s)

    def _begin(self, received: Received, started: float) -> Reading:
        longest = self._tenant.limits.max_response_bytes
        return Reading(received.status, received.headers, started, longest, self._budget, received.sent_at)

    def _complete(self, response: Response) -> "_Outcome":
        return _Outcome(response, pause_s=_pause_asked_for(response, self._clock.today()))

    def _url(self, request: Request) -> str:
        if request.presentation in {Presentation.QUERY, Presentation.ELSEWHERE} and request.key is not None:
            secret = quote(self._secrets[request.key].reveal(), safe="")
            return f"{request.url}?{'&'.join(f'{name}={secret}' for name in PARAMETER_NAMES)}"
        return request.url

    def _body(self, request: Request) -> bytes:
        if request.presentation in {Presentation.IN_BODY, Presentation.ELSEWHERE} and request.key is not None:
            return with_key_in_body(request.body, self._secrets[request.key].reveal())
        return request.body

    def _headers(self, request: Request) -> list[tuple[str, str]]:
        headers = [*request.headers, *self._authorization(request)]
        given = {name.lower() for name, _ in headers}
        return [item for item in _ALWAYS if item[0].lower() not in given] + headers

    def _authorization(self, request: Request) -> list[tuple[str, str]]:
        if request.presentation is Presentation.MADE_UP:
            return [("Authorization", f"Bearer {self._made_up}")]
        if request.key is None or request.presentation in {
            Presentation.NONE,
            Presentation.QUERY,
            Presentation.IN_BODY,
        }:
            return []
        secret = self._secrets[request.key].reveal()
        if request.presentation in {Presentation.OTHER_HEADER, Presentation.ELSEWHERE}:
            return in_other_headers(secret)
        return [("Authorization", _value_of(secret, request.presentation))]


def _value_of(secret: str, presentation: Presentation) -> str:
    """The value of Authorization."""
    match presentation:
        case Presentation.WITHOUT_SCHEME:
            return secret
        case Presentation.BASIC:
            return "Basic " + base64.b64encode(f"{secret}:".encode()).decode()
        case Presentation.OTHER_SCHEME:
            return f"Token {secret}"
        case _:
            return f"Bearer {_changed(secret, presentation)}"


def _changed(secret: str, presentation: Presentation) -> str:
    """The secret as it is presented."""
    match presentation:
        case Presentation.MISSPELLED:
            return _misspell(secret)
        case Presentation.ALTERED:
            half = len(secret) // 2
            digit = "1" if secret[half : half + 1] == "0" else "0"
            return secret[:half] + digit * _ALTERED + secret[half + _ALTERED :]
        case Presentation.SHORTENED:
            return secret[:-1]
        case Presentation.LENGTHENED | Presentation.BEFORE_COLON:
            return secret + _BEHIND[presentation]
        case Presentation.OTHER_END:
            return _with_other_end(secret)
        case _:
            return secret


_BEHIND = {Presentation.LENGTHENED: "-0", Presentation.BEFORE_COLON: ":0"}
"""Some gateways read no further than to the dash, or to the colon."""
_ALTERED = 4
"""How many characters in the middle: what stands before them, and behind, stays right."""


def _misspell(secret: str) -> str:
    """The secret with its second half in other case; without letters there, with another character at its end."""
    half = len(secret) // 2
    changed = secret[:half] + secret[half:].swapcase()
    return changed if changed != secret else _with_other_end(secret)


def _with_other_end(secret: str) -> str:
    return f"{secret[:-1]}{'1' if secret.endswith('0') else '0'}"


_ALWAYS = (
    ("User-Agent", f"gt-conformance/{__version__}"),
    ("Accept", "*/*"),
    ("Accept-Encoding", "identity"),
    ("Connection", "keep-alive"),
)
_USUAL = -1.0
"""The pause where the tenant asked for none: a little longer after each attempt."""


@dataclass(slots=True)
class _Outcome:
    """What one attempt gave. ``pause_s`` is the pause before the next one, or _USUAL; None where it is the last."""

    response: Response | None = None
    failure: Failure | None = None
    detail: str = ""
    remedy: str = ""
    pause_s: float | None = None
    elapsed_ms: float = 0.0
    started_ms: float = 0.0

    @property
    def summary(self) -> str:
        return f"HTTP {self.response.status}" if self.response else f"{self.failure}: {self.detail}"


def _failed(failure: NetworkFailure, reading: Reading | None, *, creates: bool) -> _Outcome:
    if reading is not None and failure.failure is not Failure.HERE:
        how = "" if failure.failure is Failure.CLOSED else f" ({failure.detail})"
        return _Outcome(reading.response(f"{ENDED_EARLY}{how}"))
    # What may have arrived and created something is not sent twice. A refusal creates nothing, and whoever refuses a
    # body unread may reset the connection under its own answer.
    retry = failure.retry and not (failure.sent and creates)
    return _Outcome(
        failure=failure.failure,
        detail=failure.detail,
        remedy=failure.remedy,
        pause_s=_USUAL if retry else None,
    )


def _timed_out(reading: Reading | None, timeout_s: float) -> _Outcome:
    if reading is None:
        return _Outcome(
            failure=Failure.TIMEOUT,
            detail=f"nothing came within {timeout_s:g} s (limits.timeout_s)",
            remedy="Check whether the tenant is up; raise limits.timeout_s in the tenant file if it is slow, or lower "
            "limits.concurrency if something before it serves fewer connections.",
        )
    if reading.done:
        return _Outcome(reading.response(f"the connection was still open {AFTER_DONE_S:g} s after [DONE]"))
    return _Outcome(reading.response(f"the answer was not complete after {timeout_s:g} s (limits.timeout_s)"))


def _pause_asked_for(response: Response, today: datetime) -> float | None:
    """The pause that a 429 or 503 asks for. A 503 that does not say when is an answer, and judged."""
    asked = {name: response.header(name) for name in ("retry-after-ms", "retry-after")}
    if response.status not in {_TOO_MANY, _UNAVAILABLE} or says_budget(response):
        return None
    if response.status == _UNAVAILABLE and not any(value is not None for value in asked.values()):
        return None
    for name, value in asked.items():
        seconds = None if value is None else _seconds(value[:_LONGEST_RETRY_AFTER], response, today)
        if seconds is not None:
            return max(seconds / 1000 if name.endswith("-ms") else seconds, 0.0)
    return _USUAL


def _seconds(value: str, response: Response, today: datetime) -> float | None:
    """Seconds, or until an HTTP date by the tenant's own clock (RFC 9110, section 10.2.3); None for neither."""
    try:
        number = float(value)
    except ValueError:
        until = _date(value)
        return None if until is None else (until - (_date(response.header("date") or "") or today)).total_seconds()
    return None if number != number else number  # noqa: PLR0124 - NaN is a number to float()


def _date(value: str) -> datetime | None:
    """An HTTP date in any of its three forms; None where it is none."""
    try:
        date = parsedate_to_datetime(value)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return date if date.tzinfo else date.replace(tzinfo=UTC)


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port
