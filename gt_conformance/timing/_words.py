"""What a verdict says: of a violation what was expected and found, of a block its reason. One remedy for each."""

from gt_conformance.schema import count_noun
from gt_conformance.tenant import Objective
from gt_conformance.timing._verdict import Verdict, least_samples

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
