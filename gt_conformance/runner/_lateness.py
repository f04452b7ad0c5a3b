"""How late this machine comes to what it has to do, so that its own load is not taken for the tenant's doing."""

import asyncio
from bisect import bisect_left
from collections.abc import Iterator
from contextlib import contextmanager

_TICK_S = 0.002
_TIMER_MS = 1.0
"""Timers are rounded up to milliseconds: a tick that is as late as this is in time."""


class Lateness:
    """How late an event loop was, at worst. It ticks only while somebody watches; all that share a loop may share it.

    What arrives while the loop is late is read when it is in time again, all at once: a stream looks held back then,
    and is not.
    """

    def __init__(self) -> None:
        self._watching = 0
        self._due: float | None = None
        self._moment = 0
        # Of the moments that were late, those that nothing later exceeds: the first of them since a watch began is the
        # worst since then. So many may watch at no cost to a tick.
        self._moments: list[int] = []
        self._late_ms: list[float] = []

    @contextmanager
    def watched(self) -> Iterator["Watch"]:
        """Inside, what is late counts for the watch."""
        watch = Watch(self, self._moment)
        self._watching += 1
        if self._due is None:
            self._schedule()
        try:
            yield watch
        finally:
            watch.end()
            self._watching -= 1

    def count(self) -> None:
        """Count what the tick that is due next is late by now."""
        if self._due is None:
            return
        late_ms = (asyncio.get_running_loop().time() - self._due) * 1000 - _TIMER_MS
        if late_ms <= 0:
            return
        self._moment += 1
        while self._late_ms and self._late_ms[-1] <= late_ms:
            self._late_ms.pop()
            self._moments.pop()
        self._moments.append(self._moment)
        self._late_ms.append(late_ms)

    def worst_since(self, moment: int) -> float:
        """The worst after that moment, in milliseconds."""
        at = bisect_left(self._moments, moment + 1)
        return self._late_ms[at] if at < len(self._late_ms) else 0.0

    def _schedule(self) -> None:
        loop = asyncio.get_running_loop()
        self._due = loop.time() + _TICK_S
        loop.call_at(self._due, self._tick)

    def _tick(self) -> None:
        self.count()
        self._due = None
        if self._watching:
            self._schedule()
        else:
            self._moments.clear()
            self._late_ms.clear()


class Watch:
    """The worst that was seen since it began, until it ended."""

    def __init__(self, lateness: Lateness, begun: int) -> None:
        self._lateness = lateness
        self._begun = begun
        self._final: float | None = None

    @property
    def worst_ms(self) -> float:
        """Milliseconds by which the loop was late, at worst, as far as it was counted."""
        return self._lateness.worst_since(self._begun) if self._final is None else self._final

    @property
    def late_ms(self) -> float:
        """The same until now."""
        if self._final is None:
            self._lateness.count()
        return self.worst_ms

    def end(self) -> None:
        """Nothing counts any more."""
        self._final = self.late_ms
