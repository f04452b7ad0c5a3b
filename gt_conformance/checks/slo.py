"""The operator's own promises: how fast the tenant is to be, by ``slo`` in the tenant file. Nothing is sent for them.

No clause of GT's documentation says how fast a tenant is. What violates here is the promise of whoever wrote the tenant
file, one check for each number of it, and none where there is none.
"""

from collections.abc import Iterator

from gt_conformance.checks._check import SEVERAL_KEYS, Check
from gt_conformance.checks._probe import Probe
from gt_conformance.tenant import Objective, Tenant, objective_of_id
from gt_conformance.timing import (
    CAUSE_OF_WANT,
    MORE_ANSWERS,
    NOT_MET,
    cause_of,
    describe_expected,
    describe_found,
    describe_need,
)
from gt_conformance.vocabulary import Actor, Outcome, Severity


async def keeps(probe: Probe) -> None:
    """Nothing is sent: the percentile of what the run has measured on that route is compared with the limit.

    At least 20 answers judge it, more for a p99. Where those of this run cannot tell, earlier runs of the history are
    added; where all of them cannot, it is blocked, and says how many more are needed.
    """
    objective = probe.check.objective
    if objective is None:
        raise ValueError(f"{probe.check.id} judges no objective.")
    verdict, slowest = probe.judge_objective(objective)
    match verdict.outcome:
        case Outcome.VIOLATES:
            expected, found = describe_expected(objective), describe_found(objective, verdict)
            probe.fail(expected, found, probe.note(slowest) if slowest else None, cause=cause_of(objective))
        case Outcome.BLOCKED:
            probe.block(describe_need(objective, verdict), MORE_ANSWERS, cause=CAUSE_OF_WANT)
        case _:
            pass


def check_of(objective: Objective) -> Check:
    """The check that judges an objective."""
    return Check(
        id=objective.id,
        claim=objective.words,
        remedy=NOT_MET,
        source="the operator's own promise: slo in the tenant file",
        run=keeps,
        acts=Actor.TENANT,
        severity=Severity.MEDIUM,
        tenant_wide=SEVERAL_KEYS,
        whole_run=True,
        objective=objective,
    )


def checks_of(tenant: Tenant) -> Iterator[Check]:
    """One check for each number that the tenant file promises."""
    return map(check_of, tenant.objectives)


def check_of_id(name: str) -> Check | None:
    """The check of that id, whatever its number is; None for an id that no objective can have."""
    objective = objective_of_id(name)
    return None if objective is None else check_of(objective)
