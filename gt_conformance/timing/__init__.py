"""How fast the tenant answers: which exchanges count, what their percentiles are, whether an objective is met.

Which exchanges count is decided here and nowhere else, and ``docs/times.md`` says it. Nothing here sends anything.
"""

from gt_conformance.timing._samples import NO_PAST, Past, PastRun, Sample, Samples, recorded_sample, sample_of
from gt_conformance.timing._verdict import (
    CAUSE_OF_WANT,
    LEAST_SAMPLES,
    MORE_ANSWERS,
    NOT_MET,
    Verdict,
    cause_of,
    describe_expected,
    describe_found,
    describe_need,
    describe_samples,
    judge,
    quantile,
)

__all__ = [
    "CAUSE_OF_WANT",
    "LEAST_SAMPLES",
    "MORE_ANSWERS",
    "NOT_MET",
    "NO_PAST",
    "Past",
    "PastRun",
    "Sample",
    "Samples",
    "Verdict",
    "cause_of",
    "describe_expected",
    "describe_found",
    "describe_need",
    "describe_samples",
    "judge",
    "quantile",
    "recorded_sample",
    "sample_of",
]
