"""Whether an objective of the tenant's speed is met: the verdict, the percentiles that it rests on, and its words.

Earlier runs are added, the newest first, until the number of values beyond the limit tells for itself: were just as
many beyond it as the objective allows, so few, or so many, would be found once in a thousand times. That presumes
nothing of how the values are distributed. Where no value is beyond the limit and the estimate is twice as good, surely
so, no earlier runs are needed either: a slow tenant that was fixed yesterday is not held to the nights before. Where
there are no more runs, the estimate itself decides, unless it is so near the limit that its standard error could turn
it.

The estimate is Hyndman and Fan's eighth (median-unbiased), by linear interpolation between two values: R's and NumPy's
``median_unbiased``. How sure it is follows from its relative spread: the values are times, whose logarithms spread much
alike, so the standard error is taken of the logarithm, from the way between the median and the percentile itself.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import NormalDist

from gt_conformance.schema import count_noun
from gt_conformance.tenant import Objective
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


# -- percentiles


_NORMAL = NormalDist()
_QUARTILES = 2 * _NORMAL.inv_cdf(0.75)
SMALLEST = 0.05
"""Half of what a recorded time is rounded to: a logarithm needs a number above 0."""


def quantile(ordered: Sequence[float], share: float) -> float:
    """The value below which that share of all lies, of at least one value in ascending order."""
    place = min(max((len(ordered) + 1 / 3) * share + 1 / 3, 1.0), float(len(ordered)))
    below = math.floor(place)
    value, following = ordered[below - 1], ordered[min(below, len(ordered) - 1)]
    return value + (place - below) * (following - value)


def standard_error(ordered: Sequence[float], share: float) -> float:
    """The standard error of that quantile's logarithm."""

    def log(of: float) -> float:
        return math.log(max(quantile(ordered, of), SMALLEST))

    z = _NORMAL.inv_cdf(share)
    is_middle = abs(z) < 0.1
    spread = (log(0.75) - log(0.25)) / _QUARTILES if is_middle else abs(log(share) - log(0.5)) / abs(z)
    return spread * math.sqrt(share * (1 - share) / len(ordered)) / _NORMAL.pdf(z)


def tails(count: int, of: int, share: float) -> tuple[float, float]:
    """How probable it is that at most, and at least, ``count`` of so many are beyond a limit which that share is."""
    terms = [_binomial(k, of, share) for k in range(count + 1)]
    at_most = min(1.0, math.fsum(terms))
    return at_most, max(0.0, 1.0 - at_most + terms[-1])


def _binomial(k: int, n: int, share: float) -> float:
    ways = math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)
    return math.exp(ways + k * math.log(share) + (n - k) * math.log1p(-share))


# -- in words


NOT_MET = (
    "Make the tenant faster on this route: look at the slowest answers, at what its gateway holds back, and at the "
    "model's server; or promise less under slo in the tenant file."
)
MORE_ANSWERS = "Keep the results of each run (--history), so that earlier answers count; or judge all runbooks at once."
CAUSE_OF_WANT = "slo answers"
"""What tells the want of answers from other blocks: it is one thing that is missing, whatever number waits for it."""


def cause_of(objective: Objective) -> str:
    """What tells a slow route from other causes: one finding, whichever of its numbers are not met."""
    return f"slo:{objective.route.value}"


def describe_expected(objective: Objective) -> str:
    """``first_event_p95 of POST /v1/chat/completions of at most 2,000 ms (slo.chat in the tenant file)``."""
    bound = "at most" if objective.measure.is_time else "at least"
    name = f"{objective.measure.value}_p{objective.percentile}"
    limit = objective.measure.describe(objective.limit)
    return f"{name} of {objective.route.title} of {bound} {limit} ({objective.key} in the tenant file)"


def describe_found(objective: Objective, verdict: Verdict) -> str:
    """``2,410 ms over 57 answers``, and how many of them earlier runs gave."""
    found = "no answer" if verdict.found is None else objective.measure.describe(verdict.found)
    return f"{found} over {describe_samples(verdict)}"


def describe_samples(verdict: Verdict) -> str:
    """``57 answers of this run``, ``137 answers of this run and 2 earlier ones``."""
    earlier = f" and {count_noun(verdict.runs, 'earlier run')}" if verdict.runs else ""
    return f"{count_noun(verdict.samples, 'answer')} of this run{earlier}"


def describe_need(objective: Objective, verdict: Verdict) -> str:
    """Why an objective is not judged, and how many more answers decide it."""
    more = count_noun(verdict.needed, "more answer")
    least = least_samples(objective.percentile)
    if verdict.samples < least:
        have = describe_samples(verdict)
        return f"{objective.key} takes {least} answers, and there are {have}: {more} are needed"
    near = f"{objective.key}: {describe_found(objective, verdict)} is too near its limit"
    return f"{near}, {objective.measure.describe(objective.limit)}: some {more} decide it"
