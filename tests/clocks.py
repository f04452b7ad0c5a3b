"""Clocks for tests: one that moves only when somebody waits by it, and one by which checks wait a tenth of the time."""

import asyncio
import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import anyio
import pytest

from gt_conformance.runner._pacing import Clock

FASTER = 10


@dataclass
class FakeClock:
    """A clock that stands still but for the pauses that are asked of it, which it keeps."""

    time: float = 1_000.0
    pauses: list[float] = field(default_factory=list)

    async def sleep(self, seconds: float) -> None:
        """Let the time pass at once."""
        await asyncio.sleep(0)
        self.pauses.append(seconds)
        self.time += seconds

    @property
    def clock(self) -> Clock:
        """What a sender is given."""
        return Clock(lambda: self.time, self.sleep, lambda: TODAY + timedelta(seconds=self.time - 1_000))


TODAY = datetime(2026, 11, 22, 2, 0, 0, tzinfo=UTC)


@contextlib.contextmanager
def hurried() -> Iterator[None]:
    """Within this, what a check waits for (a file that is being processed) takes it a tenth of the time."""
    sleep, now, since = anyio.sleep, anyio.current_time, time.monotonic()
    with pytest.MonkeyPatch.context() as here:
        here.setattr(anyio, "sleep", lambda seconds: sleep(seconds / FASTER))
        here.setattr(anyio, "current_time", lambda: since + (now() - since) * FASTER)
        yield
