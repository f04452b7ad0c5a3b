"""How long a secret lives: the same places asked in rounds, until each shows what is waited for."""

import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import anyio

from gt_conformance.rotation._prober import Observation, Spot
from gt_conformance.together import together

_FIRST_PAUSE_S = 0.05
_LONGEST_PAUSE_S = 2.0
_GROWTH = 1.5
_MOST_PAUSES = 16
"""About how many of the longest pauses a grace period holds: a long one is looked at more seldom, not more often."""


@dataclass(frozen=True)
class Watched:
    """What became of a secret at one place: the last observation, and two times in seconds after the command's end.

    ``reached_s`` is when what was waited for was seen, None where it was not; ``taken_s`` when the secret was last let
    in before that.
    """

    last: Observation[Any]
    reached_s: float | None = None
    taken_s: float | None = None


@dataclass(frozen=True)
class Deadline:
    """The grace period of a rotation: when the command ended, and for how long the old secret may live after it."""

    ended_at: float
    grace_s: float

    def after(self, moment: float) -> float:
        """Seconds from the command's end to that moment."""
        return moment - self.ended_at

    @property
    def left_s(self) -> float:
        """Seconds until it is over; not positive once it is."""
        return self.ended_at + self.grace_s - time.monotonic()


@dataclass(frozen=True)
class Goal:
    """What is waited for at each place, and when it cannot come any more."""

    reached: Callable[[Observation[Any]], bool]
    hopeless: Callable[[Observation[Any]], bool] = lambda _: False


DEAD = Goal(lambda seen: seen.dead, lambda seen: seen.refused)
"""The secret itself is refused. Another 4xx, which says nothing of the secret, will hardly turn into that."""
TAKEN = Goal(lambda seen: seen.taken)
"""The secret is let in: a new one may have a way to go until it is known everywhere."""
USABLE = Goal(lambda seen: seen.seen is not None)
"""The answer holds what was asked for."""


async def watch(
    places: Iterable[Spot],
    ask: Callable[[Spot], Awaitable[Observation[Any]]],
    goal: Goal,
    deadline: Deadline,
) -> Mapping[Spot, Watched]:
    """Ask at all places together, one round after the other; a place that has shown the goal is asked no more.

    It ends with the grace period, after one more round at its very end.
    """
    pending = list(places)
    found: dict[Spot, Watched] = {}
    taken: dict[Spot, float] = {}
    pause = _FIRST_PAUSE_S
    longest = max(_LONGEST_PAUSE_S, deadline.grace_s / _MOST_PAUSES)
    while pending:
        for spot, seen in zip(pending, await together(map(ask, pending)), strict=True):
            reached = goal.reached(seen)
            if seen.taken and not reached:
                taken[spot] = deadline.after(seen.sent)
            found[spot] = Watched(seen, deadline.after(seen.answered) if reached else None, taken.get(spot))
        pending = [spot for spot in pending if found[spot].reached_s is None and not goal.hopeless(found[spot].last)]
        left = deadline.left_s
        if left <= 0:
            break
        if pending:
            await anyio.sleep(min(pause, left))
            pause = min(pause * _GROWTH, longest)
    return found
