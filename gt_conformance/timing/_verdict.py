"""Whether an objective is met: over the run, and over earlier ones where the run alone cannot tell.

Earlier runs are added, the newest first, until the number of values beyond the limit tells for itself: were just as
many beyond it as the objective allows, so few, or so many, would be found once in a thousand times. That presumes
nothing of how the values are distributed. Where no value is beyond the limit and the estimate is twice as good, surely
so, no earlier runs are needed either: a slow tenant that was fixed yesterday is not held to the nights before. Where
there are no more runs, the estimate itself decides, unless it is so near the limit that its standard error could turn
it.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from gt_conformance.tenant import Objective
from gt_conformance.timing._estimate import SMALLEST, quantile, standard_error, tails
from gt_conformance.vocabulary import Outcome

LEAST_SAMPLES = 20
"""Fewer values judge nothing; a percentile further out takes more: one value beyond it has to be expected."""
_CHANCE = 0.001
_NEAR = 0.05
"""Nearer to the limit than that, an estimate has to be two standard errors away from it, else one."""
_FAR, _SURE = math.log(2), 3
"""Twice as good as the limit, and by so many standard errors better than it."""
_MOST_NEEDED = 10_000


@dataclass(frozen=True, slots=True)
class Verdict:
    """What an objective came to. ``found`` is the estimate of its percentile; None where there is no value at all.

    ``samples`` are all that it was judged by, ``of_this_run`` those of this run, ``runs`` how many earlier runs
    gave the others. ``needed`` is how many more would decide, where it is blocked.
    """

    outcome: Outcome
    found: float | None
    samples: int
    of_this_run: int
    runs: int
    needed: int = 0


def judge(objective: Objective, values: Sequence[float], earlier: Callable[[int], Sequence[float] | None]) -> Verdict:
    """The verdict by this run's values and earlier ones: ``earlier(0)`` gives the last run's, None where none is."""
    share, least = objective.percentile / 100, least_samples(objective.percentile)
    own, runs = len(values), 0
    values = sorted(values)
    while (settled := _settle(objective, values, least)) is None:
        more = earlier(runs)
        if more is None:
            break
        runs += 1
        values = sorted([*values, *more])

    def verdict(outcome: Outcome, needed: int = 0) -> Verdict:
        found = round(quantile(values, share), 1) if values else None
        return Verdict(outcome, found, len(values), own, runs, needed)

    if settled is not None:
        return verdict(settled)
    if len(values) < least:
        return verdict(Outcome.BLOCKED, least - len(values))
    excess, error = _excess(objective, values), standard_error(values, share)
    if error and abs(excess) <= max(error, min(2 * error, _NEAR)):
        return verdict(Outcome.BLOCKED, _count_needed(len(values), error, abs(excess)))
    return verdict(Outcome.VIOLATES if excess > 0 else Outcome.CONFORMS)


def least_samples(percentile: int) -> int:
    """How many values a percentile takes at least."""
    return max(LEAST_SAMPLES, math.ceil(100 / min(percentile, 100 - percentile)))


def _meets(objective: Objective, value: float) -> bool:
    return value <= objective.limit if objective.measure.is_time else value >= objective.limit


def _excess(objective: Objective, values: Sequence[float]) -> float:
    """By how much the estimate is worse than the limit, as a logarithm; not positive where it meets it."""
    estimate = max(quantile(values, objective.percentile / 100), SMALLEST)
    over = math.log(estimate / objective.limit)
    return over if objective.measure.is_time else -over


def _settle(objective: Objective, values: Sequence[float], least: int) -> Outcome | None:
    """The outcome that is certain without any further run; None where it is not."""
    if len(values) < least:
        return None
    share = objective.percentile / 100
    is_time, limit = objective.measure.is_time, objective.limit
    beyond = sum(value > limit if is_time else value < limit for value in values)
    at_most, at_least = tails(beyond, len(values), 1 - share if is_time else share)
    if at_least <= _CHANCE:
        return Outcome.VIOLATES
    excess = _excess(objective, values)
    is_far = not beyond and excess < -_FAR and excess < -_SURE * standard_error(values, share)
    return Outcome.CONFORMS if at_most <= _CHANCE or is_far else None


def _count_needed(have: int, error: float, distance: float) -> int:
    """How many more values make the error small enough, if the estimate stays where it is."""
    wanted = distance if distance > _NEAR else distance / 2
    if wanted <= 0 or have * (error / wanted) ** 2 > _MOST_NEEDED:
        return _MOST_NEEDED
    return max(1, math.ceil(have * (error / wanted) ** 2) - have)
