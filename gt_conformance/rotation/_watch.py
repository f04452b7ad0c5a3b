"""Waiting for the tenant to do what a rotation asks of it, with short pauses that grow, for as long as is granted."""

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import anyio

from gt_conformance.rotation._look import Look

_FIRST_PAUSE_S = 0.05
_LONGEST_PAUSE_S = 2.0
_GROWTH = 1.5


@dataclass(frozen=True, slots=True)
class Watched:
    """The last look. ``reached_s`` and ``taken_s`` are in seconds after the command's end.

    The first is when what was waited for was seen, None where it was not; the second when the secret was last let in
    before that.
    """

    last: Look
    reached_s: float | None
    taken_s: float | None


async def watched(
    ask: Callable[[], Awaitable[Look]],
    reached: Callable[[Look], bool],
    hopeless: Callable[[Look], bool],
    *,
    ended_at: float,
    grace_s: float,
) -> Watched:
    """Look until it is reached, cannot be reached any more, or the grace is over; the last look is at its very end."""
    taken_s: float | None = None
    pause = _FIRST_PAUSE_S
    while True:
        look = await ask()
        if reached(look):
            return Watched(look, look.answered - ended_at, taken_s)
        if look.taken:
            taken_s = look.sent - ended_at
        left = ended_at + grace_s - time.monotonic()
        if left <= 0 or hopeless(look):
            return Watched(look, None, taken_s)
        await anyio.sleep(min(pause, left))
        pause = min(pause * _GROWTH, _LONGEST_PAUSE_S)
