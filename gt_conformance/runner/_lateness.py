"""How late this machine comes to what it has to do, so that its own load is not taken for the tenant's doing."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

_TICK_S = 0.002
_TIMER_MS = 1.0
"""Timers are rounded up to milliseconds: a tick that is as late as this is in time."""


class Lateness:
    """How late the running event loop was, at worst. It ticks only while somebody watches.

    What arrives while the loop is late is read when it is in time again, all at once: a stream looks held back then,
    and is not.
    """

    def __init__(self) -> None:
        self._watches: list[Watch] = []
        self._due: float | None = None

    @contextmanager
    def watched(self) -> Iterator["Watch"]:
        """Inside, what is late counts for the watch."""
        watch = Watch(self)
        self._watches.append(watch)
        if self._due is None:
            self._schedule()
        try:
            yield watch
        finally:
            self.count()
            self._watches.remove(watch)

    def count(self) -> None:
        """Count what the tick that is due next is late by now."""
        if self._due is not None:
            late_ms = (asyncio.get_running_loop().time() - self._due) * 1000 - _TIMER_MS
            for watch in self._watches:
                watch.worst_ms = max(watch.worst_ms, late_ms)

    def _schedule(self) -> None:
        loop = asyncio.get_running_loop()
        self._due = loop.time() + _TICK_S
        loop.call_at(self._due, self._tick)

    def _tick(self) -> None:
        self.count()
        self._due = None
        if self._watches:
            self._schedule()


class Watch:
    """The worst that was seen since it began."""

    def __init__(self, lateness: Lateness) -> None:
        self._lateness = lateness
        self.worst_ms = 0.0

    @property
    def late_ms(self) -> float:
        """Milliseconds by which the loop was late, at worst, until now."""
        self._lateness.count()
        return self.worst_ms
