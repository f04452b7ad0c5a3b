"""Percentiles of a sample, and how sure they are.

The estimate is Hyndman and Fan's eighth (median-unbiased), by linear interpolation between two values: R's and NumPy's
``median_unbiased``. How sure it is follows from its relative spread: the values are times, whose logarithms spread much
alike, so the standard error is taken of the logarithm, from the way between the median and the percentile itself.
"""

import math
from collections.abc import Sequence
from statistics import NormalDist

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
