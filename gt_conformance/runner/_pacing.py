"""When a request may start, and whether another attempt may help, decided by what came so far and by nothing else."""

import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Hashable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

import anyio

from gt_conformance.checks import versioned, without_ids
from gt_conformance.exchange import Request

_MOST_IN_VAIN = 8
_MOST_ATTEMPTS, _LONGEST_WINDOW_S, _ANSWERED_MEANWHILE = 12, 10.0, 8
"""In vain, of what is stuck; for no longer than a limit of the rate would be waited for; while so much is answered."""
_SHORTEST_LULL_S, _LONGEST_LULL_S, _LULLS_S = 3.0, 61.0, 180.0
_PUT_OFF_IN_A_ROW = 4
_SLOWED_S, _SLOWEST_S = 0.05, 1.0
"""Between the starts of two requests, once the tenant puts them off one after the other, and at most."""
_ONE_IN = 2
"""One slot in so many is for what is sent to be refused, also where others wait."""


@dataclass(frozen=True)
class Clock:
    """Time as the sender sees it; a test gives it one of its own."""

    now: Callable[[], float] = time.monotonic
    sleep: Callable[[float], Awaitable[None]] = anyio.sleep
    today: Callable[[], datetime] = lambda: datetime.now(UTC)


class Pace:
    """At most N requests start in any 60 seconds, so evenly that a gateway which counts seconds is content as well.

    One request starts every 61 s / N, which puts at most N starts into a minute; the 61st second allows for the
    differing times that requests take to arrive. Nothing starts in a burst: that would save a run a second at most, and
    a gateway that allows N/60 a second would refuse it. At 300 a minute 40 requests take at least 8 s, and 250 take 51.
    """

    WINDOW_S = 60.0
    _MARGIN_S = 1.0

    def __init__(self, per_minute: float) -> None:
        self.interval_s = self._asked_for_s = (self.WINDOW_S + self._MARGIN_S) / per_minute
        self._next = float("-inf")

    def wait(self, now: float) -> float:
        """Seconds until a request may start; not positive where it may start now."""
        return self._next - now

    def start(self, now: float) -> None:
        """A request starts now."""
        self._next = now + self.interval_s

    def slow_down(self) -> None:
        """Half as fast from now on: the tenant allows less than the operator does."""
        self.interval_s = max(self.interval_s, min(max(2 * self.interval_s, _SLOWED_S), _SLOWEST_S))

    def speed_up(self) -> None:
        """As fast again as the operator allows."""
        self.interval_s = self._asked_for_s


class Slots:
    """So many requests are under way at once. Who waits is let in by turns, but those sent to be refused come last.

    Others may wait for an answer of the rest; for a refusal few do. Those are not kept until the end either: what is
    asked after them would come when all else is over, one by one. So a part of the slots is theirs before others.
    """

    def __init__(self, count: int) -> None:
        self._free = count
        self._for_refusals = count // _ONE_IN
        self._refused = 0
        self._waiting: tuple[deque[anyio.Event], deque[anyio.Event]] = (deque(), deque())

    @asynccontextmanager
    async def of(self, request: Request) -> AsyncIterator[None]:
        """Inside, a slot is taken for that request."""
        if self._free:
            self._free -= 1
            self._refused += request.refused
        else:
            await self._wait(refused=request.refused)
        try:
            yield
        finally:
            self._pass_on(refused=request.refused)

    async def _wait(self, *, refused: bool) -> None:
        turn, queue = anyio.Event(), self._waiting[refused]
        queue.append(turn)
        try:
            await turn.wait()
        except BaseException:
            # Cancelled: a slot that was given meanwhile is the next one's.
            if turn.is_set():
                self._pass_on(refused=refused)
            else:
                queue.remove(turn)
            raise

    def _pass_on(self, *, refused: bool) -> None:
        self._refused -= refused
        others, refusals = self._waiting
        if refusals and (not others or self._refused < self._for_refusals):
            self._refused += 1
            refusals.popleft().set()
        elif others:
            others.popleft().set()
        else:
            self._free += 1


class SharedBudget:
    """What the senders of several tenants may send together: those behind one gateway. All are of one event loop."""

    def __init__(self, requests_per_minute: float, concurrency: int) -> None:
        self._slots = Slots(concurrency)
        self._pace = Pace(requests_per_minute)
        self._turn = anyio.Lock()

    @asynccontextmanager
    async def slot(self, request: Request, clock: Clock) -> AsyncIterator[None]:
        """Inside, one request of these may be under way: it has a slot, and its turn has come."""
        async with self._slots.of(request):
            await wait_for_turn(self._pace, self._turn, clock)
            yield


async def wait_for_turn(pace: Pace, lock: anyio.Lock, clock: Clock) -> None:
    if not lock.locked() and pace.wait(clock.now()) <= 0:
        pace.start(clock.now())
        return
    # Asked again after each sleep: the time that counts is when a request starts, and a busy machine wakes late.
    async with lock:
        while (wait := pace.wait(clock.now())) > 0:
            await clock.sleep(wait)
        pace.start(clock.now())


class Lull:
    """Nothing is sent for as long as the tenant asks, where it puts off whatever is sent: its limit is used up.

    What is put off now and then waits alone, and nobody waits for the next day. All lulls of a run together are
    bounded: a tenant that takes nothing any more is told as one. After each, requests come more slowly.
    """

    def __init__(self) -> None:
        self._in_a_row = 0
        self._until = 0.0
        self._left_s = _LULLS_S

    def note(self, pause_s: float | None, now: float) -> bool:
        """Whether a lull begins with this answer, which asks for that pause; with None it puts nothing off."""
        self._in_a_row = 0 if pause_s is None else self._in_a_row + 1
        if pause_s is None or self._in_a_row < _PUT_OFF_IN_A_ROW or pause_s > _LONGEST_LULL_S:
            return False
        is_new, begins = self._until <= now, max(now, self._until)
        longer = min(max(now + max(pause_s, _SHORTEST_LULL_S) - begins, 0.0), self._left_s)
        self._left_s -= longer
        self._until = begins + longer
        return is_new

    async def wait(self, clock: Clock) -> None:
        while (left := self._until - clock.now()) > 0:
            await clock.sleep(left)


class Patience:
    """Where another attempt may help, and what says nothing of everything else.

    A route that answers nobody, or a key whose share of it is used up, is *stuck* while everything else is answered and
    the pause that the tenant asks for is over: that is no limit of the rate for which to send less. After so many
    attempts in that time none is made again until one succeeds; nor of anything, after some exchanges in a row whose
    further attempts did not help.
    """

    def __init__(self) -> None:
        self._in_vain = 0
        self._answered = 0
        self._waits: dict[Hashable, _Wait] = {}
        self._stuck: set[Hashable] = set()

    def note(self, request: Request, pause_s: float | None, now: float) -> bool:
        """What pause an attempt was answered with, if any. Whether something is stuck that was not before."""
        if pause_s is None:
            self._answered += 1
            for place in _places(request) if self._waits else ():
                self._waits.pop(place, None)
                self._stuck.discard(place)
            return False
        places, known = _places(request), len(self._stuck)
        for place in places:
            wait = self._waits.setdefault(place, _Wait(now, now + max(pause_s, _SHORTEST_LULL_S), self._answered))
            wait.attempts += 1
            answered = self._answered - wait.answered_before
            if wait.attempts >= _PUT_OFF_IN_A_ROW and answered >= _ANSWERED_MEANWHILE and now >= wait.until:
                self._stuck.add(place)
        return len(self._stuck) > known

    def end(self, *, helped: bool) -> None:
        """How the last attempt for a request ended."""
        self._in_vain = 0 if helped else self._in_vain + 1

    def is_stuck(self, request: Request) -> bool:
        """Whether that is put off while other things are answered."""
        return bool(self._stuck) and not self._stuck.isdisjoint(_places(request))

    def is_lost(self, request: Request, now: float) -> bool:
        """Whether no further attempt is worth its time."""
        places = _places(request) if self._stuck else ()
        return self._in_vain >= _MOST_IN_VAIN or any(
            self._waits[place].is_long(now) for place in places if place in self._stuck
        )


@dataclass
class _Wait:
    """Since when something is put off, and until when it should be; what was answered before, and asked for since."""

    since: float
    until: float
    answered_before: int
    attempts: int = 0

    def is_long(self, now: float) -> bool:
        """Whether that is more than a limit of the rate is waited for."""
        return self.attempts >= _MOST_ATTEMPTS and now - self.since >= _LONGEST_WINDOW_S


def _places(request: Request) -> tuple[Hashable, Hashable]:
    """What is asked for by either address: with any key, and with this one."""
    asked = (request.method, without_ids(versioned(request).path))
    return asked, (*asked, request.key)
