"""The judge: results of checks, people's words and waivers, brought together."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime

from gt_conformance.attestation import Attestation, Attestations, State
from gt_conformance.checks import ATTESTATION, CheckCall
from gt_conformance.errors import Blocker, Problem
from gt_conformance.judgement._judgement import Judgement, of_item, of_row, of_tenant_check
from gt_conformance.plan import Plan, PlannedItem, PlannedRow
from gt_conformance.runbook import ChecklistItem, Row
from gt_conformance.runner import CheckResult
from gt_conformance.vocabulary import Outcome, Route
from gt_conformance.waiver import TENANT, Judged, Waiver, Waivers


def _today() -> date:
    return datetime.now(UTC).date()


@dataclass(frozen=True)
class HumanInput:
    """What people wrote by hand, and the day on which it is read."""

    attestations: Attestations = field(default_factory=Attestations)
    waivers: Waivers = field(default_factory=Waivers)
    today: date = field(default_factory=_today)
    sampled_on: date | None = None
    """Where the attestations are the sample: the day on which it was written, and as of which it is read."""


class Judge:
    """Judges what a plan holds. ``result`` gives, and waits for, the result of one check.

    ``clients`` gives, and waits for, the rows as real clients judged them, and ``further`` what they add to a checklist
    item that names them.
    """

    def __init__(
        self,
        plan: Plan,
        result: Callable[[CheckCall], CheckResult],
        human_input: HumanInput | None = None,
        further: Callable[[ChecklistItem], Sequence[CheckResult]] = lambda _: (),
        clients: Callable[[], Iterable[tuple[Row, Judgement]]] = tuple,
    ) -> None:
        self._plan = plan
        self._result = result
        self._further = further
        self._clients = clients
        self._human_input = human_input or HumanInput()
        self._books = {book.id: book for book in plan.runbooks}

    def row(self, planned: PlannedRow) -> Judgement:
        """The judgement of a row from its checks."""
        judged = of_row(planned, self._results(planned.checks))
        return self._waived(judged, planned.row.runbook, planned.row.route, None)

    def item(self, planned: PlannedItem) -> Judgement:
        """The judgement of an item from its checks, from clients that it names, and from a person's word if need be."""
        results = [*self._results(planned.checks), *self._further(planned.item)]
        attestation = None
        if planned.attested:
            result, attestation = self._word(planned)
            results.append(result)
        judged = of_item(planned, results, attestation)
        return self._waived(judged, planned.item.runbook, None, planned.item.number)

    def tenant_check(self, planned: CheckCall) -> Judgement:
        """The judgement of a tenant-wide check."""
        return self._waived(of_tenant_check(planned, self._of(planned)), TENANT, None, None)

    def client_row(self, row: Row, judged: Judgement) -> Judgement:
        """The judgement of a row by real clients, with what is waived of it."""
        return self._waived(judged, row.runbook, row.route, None)

    def waiver_problems(self) -> tuple[Problem, ...]:
        """Waivers that have expired, match nothing, or are no longer needed: each says which line to remove."""
        waivers, today = self._human_input.waivers, self._human_input.today
        return (*waivers.expired(today), *waivers.unneeded(self._judged(), today))

    def _results(self, checks: tuple[CheckCall, ...]) -> list[CheckResult]:
        return [self._of(check) for check in checks]

    def _of(self, check: CheckCall) -> CheckResult:
        """The result of a check; where it was blocked from the start, for its own reason, which no other row shares."""
        result = self._result(check)
        if check.blocker is None:
            return result
        own = check.blocker
        return replace(result, reason=own.reason, remedy=own.remedy, blockers=(own,))

    def _waived(self, judged: Judgement, runbook: str, route: Route | None, number: int | None) -> Judgement:
        """The same with the violations waived that someone owns, each still with what was found."""
        waivers: dict[CheckCall, Waiver] = {}
        for result in judged.checks:
            if result.outcome is not Outcome.VIOLATES:
                continue
            check = result.call.check
            waiver = self._human_input.waivers.match(runbook, route, number, check, self._human_input.today)
            if waiver is not None:
                waivers[result.call] = waiver
        checks = (
            replace(result, outcome=Outcome.WAIVED) if result.call in waivers else result for result in judged.checks
        )
        return replace(judged, checks=tuple(checks), waivers=waivers)

    def _word(self, planned: PlannedItem) -> tuple[CheckResult, Attestation | None]:
        book = self._books[planned.item.runbook]
        read_on = self._human_input.sampled_on or self._human_input.today
        status = self._human_input.attestations.status(book, planned.item.number, read_on)
        valid = status.state is State.VALID
        result = CheckResult(
            call=CheckCall(ATTESTATION),
            claim="A person has vouched for this item, of this very runbook, and the word still holds.",
            outcome=Outcome.CONFORMS if valid else Outcome.UNATTESTED,
            reason="" if valid else status.reason,
            remedy="" if valid else status.remedy,
            blockers=() if valid else (Blocker(status.reason, status.remedy),),
        )
        return result, status.attestation if valid else None

    def _judged(self) -> list[Judged]:
        found = [
            Judged(item.row.runbook, item.row.route, None, check.check, self._result(check).outcome)
            for item in self._plan.rows
            for check in item.checks
        ]
        found += [
            Judged(part.item.runbook, None, part.item.number, check.check, self._result(check).outcome)
            for part in self._plan.items
            for check in part.checks
        ]
        found += [
            Judged(TENANT, None, None, check.check, self._result(check).outcome) for check in self._plan.tenant_checks
        ]
        found += [
            Judged(row.runbook, row.route, None, check.call.check, check.outcome)
            for row, judged in self._clients()
            for check in judged.checks
        ]
        return found
