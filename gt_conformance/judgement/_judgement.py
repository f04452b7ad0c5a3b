"""Judgements: what the checks of a row, or of a runbook, come to together."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from gt_conformance.attestation import Attestation
from gt_conformance.checks import CheckCall
from gt_conformance.errors import Blocked
from gt_conformance.plan import PlannedItem, PlannedRow
from gt_conformance.runner import CheckResult
from gt_conformance.vocabulary import EvidenceLevel, Outcome
from gt_conformance.waiver import Waiver


class Unattested(Blocked):
    """Only a person can vouch, and nobody has. No verdict about the tenant either."""


class NotConforming(AssertionError):
    """A promise that does not hold. An assertion, so that every tool counts it as a failure, not an error."""


@dataclass(frozen=True)
class Judgement:
    """The outcome of a row, an item or a tenant check: as bad as its worst check.

    ``waivers`` are those of its waived checks, ``attestation`` the word that stands for an item.
    """

    id: str
    promise: str
    checks: tuple[CheckResult, ...]
    waivers: Mapping[CheckCall, Waiver] = field(default_factory=dict)
    attestation: Attestation | None = None

    @cached_property
    def outcome(self) -> Outcome:
        """The worst outcome of its checks."""
        return Outcome.worst(check.outcome for check in self.checks)

    @property
    def failing(self) -> tuple[CheckResult, ...]:
        """The checks that share that outcome, where it is not good."""
        if self.outcome is Outcome.CONFORMS:
            return ()
        return tuple(check for check in self.checks if check.outcome is self.outcome)

    def demand_tested(self) -> None:
        """Raises Blocked where it could not be tested, Unattested where a person's word is missing: no verdict."""
        kind = {Outcome.BLOCKED: Blocked, Outcome.UNATTESTED: Unattested}.get(self.outcome)
        if kind is not None:
            raise kind(self.explain(), self.failing[0].remedy if self.failing else "")

    def demand_conformance(self) -> None:
        """Raises Violation, an assertion, where a promise does not hold."""
        __tracebackhide__ = True
        if self.outcome is Outcome.VIOLATES:
            raise NotConforming(self.explain())

    def explain(self) -> str:
        """What was promised, what was expected, what came, which exchange proves it, and what to do."""
        lines = [f"{self.id}: {self.outcome.value}", f"  promise: {self.promise}"]
        for check in self.failing:
            key = f" by the key {check.call.credential}" if check.call.credential else ""
            lines.append(f"  {check.call.check}{key}: {check.claim}")
            for violation in check.violations:
                proof = f" [{violation.exchange}]" if violation.exchange else ""
                lines += [f"    expected: {violation.expected}", f"    found:    {violation.found}{proof}"]
            lines += [f"    blocked:  {blocker.reason}" for blocker in check.blockers if not check.violations]
            lines.append(f"    remedy:   {check.remedy}")
        return "\n".join(lines)


def of_row(planned: PlannedRow, results: Sequence[CheckResult]) -> Judgement:
    """The judgement of a row from the results of its planned checks, in their order."""
    row = planned.row
    return Judgement(row.id, f"{row.route.title} is {row.verdict.value}. {row.integration}", tuple(results))


def of_item(planned: PlannedItem, results: Sequence[CheckResult], attestation: Attestation | None = None) -> Judgement:
    """The judgement of a checklist item; the last result is the attestation's where the item needs one."""
    return Judgement(planned.item.id, planned.item.text, tuple(results), attestation=attestation)


def of_tenant_check(planned: CheckCall, result: CheckResult) -> Judgement:
    """The judgement of a tenant-wide check."""
    return Judgement(f"tenant-{planned.check}", result.claim, (result,))


def evidence_level(row_outcomes: Sequence[Outcome], rows_in_runbook: int, *, driven: bool = False) -> EvidenceLevel:
    """``probed`` once every row of the runbook was verified over HTTP; until then it is documented only.

    ``client_driven`` where all native rows were driven by the real client besides, and held.
    """
    tested = [outcome for outcome in row_outcomes if outcome not in {Outcome.BLOCKED, Outcome.UNATTESTED}]
    if len(tested) != rows_in_runbook:
        return EvidenceLevel.DOCUMENTED
    return EvidenceLevel.CLIENT_DRIVEN if driven else EvidenceLevel.PROBED
