"""Judging a case: the results of its checks, attestations and waivers, brought together; as bad as the worst."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from functools import cached_property
from pathlib import Path
from typing import assert_never

from gt_conformance.attestation import Attestation, Attestations, State, Status, list_command
from gt_conformance.checks import CheckCall, CheckResult
from gt_conformance.dated_entries import EMBEDDED, address_of
from gt_conformance.errors import Blocked, Blocker
from gt_conformance.planning import Case, CaseKind, Plan
from gt_conformance.runbook import Runbook
from gt_conformance.vocabulary import (
    ATTESTATION,
    CLIENT_CHECKS,
    Actor,
    EvidenceKind,
    EvidenceLevel,
    Outcome,
    Part,
)
from gt_conformance.waiver import TENANT, Flaw, Judged, Waiver, WaiverNews, Waivers


class Unattested(Blocked):
    """An attestation is missing. No verdict about the tenant either."""


class NotConforming(AssertionError):
    """A promise that does not hold. An assertion, so that every tool counts it as a failure, not an error."""


@dataclass(frozen=True, slots=True)
class PartEvidence:
    """What shows a part of a checklist item, and where that comes from: clients, a person, the tenant file."""

    part: Part
    kind: EvidenceKind
    source: str | None = None


@dataclass(frozen=True)
class Judgement:
    """The outcome of a case: as bad as its worst check.

    ``waivers`` are those of its violations and blocks, check by check, as far as they are waived; a check of which all
    is waived is ``waived`` itself. ``attestation`` is the one that counts for an item, ``evidence`` what shows each
    part that an item asks.
    """

    case: Case
    checks: tuple[CheckResult, ...]
    waivers: Mapping[tuple[CheckCall, Flaw], Waiver] = field(default_factory=dict)
    attestation: Attestation | None = None
    evidence: tuple[PartEvidence, ...] = ()

    @property
    def id(self) -> str:
        """The id of its case."""
        return self.case.id

    @property
    def promise(self) -> str:
        """What its case promises."""
        return self.case.promise

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
        """Raises Blocked where it could not be tested, Unattested where an attestation is missing: no verdict."""
        kind = {Outcome.BLOCKED: Blocked, Outcome.UNATTESTED: Unattested}.get(self.outcome)
        if kind is not None:
            raise kind(self.explain(), self.failing[0].remedy if self.failing else "")

    def demand_conformance(self) -> None:
        """Raises NotConforming, an assertion, where a promise does not hold."""
        __tracebackhide__ = True
        if self.outcome is Outcome.VIOLATES:
            raise NotConforming(self.explain())

    def explain(self) -> str:
        """What was promised, what was expected, what was found, which exchange proves it, and what to do.

        What is blocked by another check's finding names that finding, and has no remedy of its own.
        """
        lines = [f"{self.id}: {self.outcome.value}", f"  promise: {self.promise}"]
        for check in self.failing:
            key = f" by the key {check.call.credential}" if check.call.credential else ""
            lines.append(f"  {check.call.check}{key}: {check.claim}")
            lines += _explain_violations(check) if check.violations else _explain_blockers(check)
        return "\n".join(lines)


def _explain_violations(check: CheckResult) -> Iterator[str]:
    for violation in check.violations:
        proof = f" [{violation.exchange}]" if violation.exchange else ""
        yield f"    expected: {violation.expected}{f' at {violation.at}' if violation.at else ''}"
        yield f"    found:    {violation.found}{proof}"
    for name in dict.fromkeys(violation.finding for violation in check.violations if violation.finding):
        first = next(violation for violation in check.violations if violation.finding == name)
        acts, severity = first.acts or check.acts, first.severity or check.severity
        yield f"    finding:  {name} ({severity.value}, {acts.value} has to act)"
    for remedy in dict.fromkeys(violation.remedy or check.remedy for violation in check.violations):
        yield f"    remedy:   {remedy}"


def _explain_blockers(check: CheckResult) -> Iterator[str]:
    for blocker in check.blockers:
        yield f"    blocked:  {blocker.reason}"
        yield f"    because:  {blocker.because}" if blocker.because else f"    remedy:   {blocker.remedy}"


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
    """Judges the cases of a plan. ``result`` gives the result of one check, and waits for it.

    ``client_results`` gives what real clients found for a case, and waits for it: all of a row that they are driven
    for, and what they add to a checklist item that names them. ``is_embedded`` says whether an answer so far showed
    that the tenant is the embedded one, whatever address it has: entries that are bound to that one are its own.
    """

    def __init__(
        self,
        plan: Plan,
        result: Callable[[CheckCall], CheckResult],
        human_input: HumanInput | None = None,
        client_results: Callable[[Case], Sequence[CheckResult]] = lambda _: (),
        is_embedded: Callable[[], bool] = lambda: False,
    ) -> None:
        self._plan = plan
        self._result = result
        self._client_results = client_results
        self._is_embedded = is_embedded
        self._human_input = human_input or HumanInput()
        self._causes: dict[Waiver, frozenset[str]] = {}
        self._valid_waivers: dict[str, Waivers] = {}

    def judge(self, case: Case) -> Judgement:
        """The judgement of a case from its checks, from real clients, and from an attestation where it needs one."""
        results = self._measured(case)
        attestation = None
        if case.attested:
            result, attestation = self._attested(case)
            results.append(result)
        waivers = {
            (result.call, flaw): waiver
            for result in results
            for flaw in flaws(result)
            if (waiver := self._waiver(case, result, flaw)) is not None
        }
        checks = (_without(result, waivers) for result in results)
        evidence = tuple(self._show(part, results, attestation) for part in case.item.asks) if case.item else ()
        return Judgement(case, tuple(checks), waivers, attestation, evidence)

    def judge_footing(self, results: Iterable[CheckResult]) -> list[Judgement]:
        """The judgements of checks that no case names: they are waived with the finding that they are."""
        judged = []
        for result in results:
            place = Judged(TENANT, None, None, result.call.check, result.outcome, flaws=tuple(flaws(result)))
            found = {(result.call, flaw): self._waivers.match(place, flaw) for flaw in place.flaws}
            waivers = {key: waiver for key, waiver in found.items() if waiver is not None}
            case = Case(CaseKind.TENANT, result.call.check, result.claim)
            judged.append(Judgement(case, (_without(result, waivers),), waivers))
        return judged

    def waiver_news(self) -> WaiverNews:
        """Waivers that have expired, match nothing, or are no longer needed: each says which line to remove."""
        waivers, today = self._human_input.waivers, self._human_input.today
        judged = self._all_judged() if waivers.entries else []
        return WaiverNews(
            problems=(*waivers.expired(today), *waivers.unneeded(judged, today)),
            remarks=waivers.remarks(judged, today, self._address),
        )

    def _all_judged(self) -> list[Judged]:
        return [_judged(case, result) for case in self._plan.cases for result in self._measured(case)]

    def _measured(self, case: Case) -> list[CheckResult]:
        return [*map(self._result_of, case.checks), *self._client_results(case)]

    def _result_of(self, call: CheckCall) -> CheckResult:
        """The result of a check; where the plan blocks it, for the case's own reason, which no other case shares."""
        result = self._result(call)
        if call.blocker is None or result.because:
            return result
        own = call.blocker
        return replace(result, reason=own.reason, remedy=own.remedy, blockers=(own,))

    @property
    def _address(self) -> str:
        return EMBEDDED if self._is_embedded() else address_of(self._plan.tenant)

    @property
    def _waivers(self) -> Waivers:
        address = self._address
        if address not in self._valid_waivers:
            self._valid_waivers[address] = self._human_input.waivers.holding(self._human_input.today, address)
        return self._valid_waivers[address]

    def _waiver(self, case: Case, result: CheckResult, flaw: Flaw) -> Waiver | None:
        """The waiver of a violation or block: of its own case, of a row that an item rests on, or of what causes it."""
        if not self._human_input.waivers.entries or not self._waivers.entries:
            return None
        own = _judged(case, result)
        rests_on = case.item.rests_on if case.item else ()
        rows = [row for row in self._plan.of(CaseKind.ROW, own.runbook) if row.route in rests_on]
        places = [own, *(_judged(row, result) for row in rows if result.call in row.checks)]
        found = (self._waivers.match(place, flaw) for place in places)
        return next((waiver for waiver in found if waiver is not None), None) or self._waiver_of_cause(own, flaw)

    def _waiver_of_cause(self, judged: Judged, flaw: Flaw) -> Waiver | None:
        """The waiver of a place whose finding alone keeps this from being tested."""
        if not flaw.because:
            return None
        able = (one for one in self._waivers.entries if one.reaches(judged))
        return next((one for one in able if flaw.finding in self._violations_waived_by(one)), None)

    def _violations_waived_by(self, waiver: Waiver) -> frozenset[str]:
        """The findings that a waiver of a place waives there; what only blocks there may be any other place's."""
        if waiver not in self._causes:
            self._causes[waiver] = frozenset(
                flaw.finding
                for case in self._plan.cases
                for result in self._measured(case)
                for flaw in flaws(result)
                if flaw.outcome is Outcome.VIOLATES and waiver.waives(_judged(case, result), flaw)
            )
        return self._causes[waiver]

    def _show(self, part: Part, results: Sequence[CheckResult], attestation: Attestation | None) -> PartEvidence:
        """What shows a part of an item in this run. What was not judged shows nothing."""
        registry = self._plan.registry
        judged = [result for result in results if result.outcome is not Outcome.BLOCKED]
        driven = [result for result in results if result.call.check in CLIENT_CHECKS]
        probed = [result for result in results if result.call.check in registry]
        of_setup = [result for result in probed if registry[result.call.check].acts is Actor.SETUP]
        nothing = PartEvidence(part, EvidenceKind.DOCUMENTED)
        whole = probed and all(result in judged for result in probed)
        by_probes = PartEvidence(part, EvidenceKind.PROBED) if whole else nothing
        match part:
            case Part.TENANT:
                return by_probes
            case Part.CLIENT:
                named = dict.fromkeys(name for one in driven if (name := one.call.parameters.client) is not None)
                works = named and all(result in judged for result in driven)
                return PartEvidence(part, EvidenceKind.CLIENT_DRIVEN, ", ".join(named)) if works else by_probes
            case Part.PERSON:
                return PartEvidence(part, EvidenceKind.ATTESTED, attestation.by) if attestation else nothing
            case Part.SETUP:
                file = Path(self._plan.tenant.source).name
                read = of_setup and all(result in judged for result in of_setup)
                return PartEvidence(part, EvidenceKind.TENANT_FILE, file) if read else nothing
            case _:
                assert_never(part)

    def _attested(self, case: Case) -> tuple[CheckResult, Attestation | None]:
        if case.item is None:
            raise ValueError(f"{case.id} is not a checklist item: only items are attested.")
        human_input = self._human_input
        read_on = human_input.sampled_on or human_input.today
        book, tenant = self._plan.book(case.item.runbook), address_of(self._plan.tenant)
        status = human_input.attestations.status(book, case.item.number, read_on, tenant)
        valid = status.state is State.VALID
        result = CheckResult(
            call=CheckCall(ATTESTATION),
            claim="This item is attested for this tenant and this version of the runbook, and that is still valid.",
            outcome=Outcome.CONFORMS if valid else Outcome.UNATTESTED,
            reason="" if valid else status.reason,
            remedy="" if valid else status.remedy,
            blockers=() if valid else (_unattested(status, book, tenant, human_input.attestations.path),),
        )
        return result, status.attestation if valid else None


def _unattested(status: Status, book: Runbook, tenant: str, path: Path) -> Blocker:
    """Why an item is not attested. Attestations are one thing that is missing, however many items need one."""
    every = f"Look at each item, then attest it; this lists the commands: {list_command(book, tenant, path)}"
    return Blocker(status.reason, status.remedy, cause="attestations", remedy_of_all=every)


def flaws(result: CheckResult) -> list[Flaw]:
    """What is wrong with a check: its violations and its blocks, or that it is bad at all, where it names none."""
    if result.outcome not in {Outcome.VIOLATES, Outcome.BLOCKED}:
        return []
    found = [Flaw.of_violation(one.finding) for one in result.violations]
    found += [Flaw.of_block(one) for one in result.blockers]
    return found or [Flaw(result.outcome)]


def _judged(case: Case, result: CheckResult) -> Judged:
    place = (case.runbook or TENANT, case.route, case.number)
    return Judged(*place, result.call.check, result.outcome, case.id, tuple(flaws(result)))


def _without(result: CheckResult, waivers: Collection[tuple[CheckCall, Flaw]]) -> CheckResult:
    """The result with the outcome of what is not waived of it."""
    found = flaws(result)
    left = [flaw.outcome for flaw in found if (result.call, flaw) not in waivers]
    if not found or len(left) == len(found):
        return result
    return replace(result, outcome=Outcome.worst(left) if left else Outcome.WAIVED)


def evidence_level(row_outcomes: Sequence[Outcome], rows_in_runbook: int, *, driven: bool = False) -> EvidenceLevel:
    """``probed`` once every row of the runbook was verified over HTTP; until then it is documented only.

    ``client_driven`` where all native rows were driven by the real client besides, and held.
    """
    tested = [outcome for outcome in row_outcomes if outcome not in {Outcome.BLOCKED, Outcome.UNATTESTED}]
    if len(tested) != rows_in_runbook:
        return EvidenceLevel.DOCUMENTED
    return EvidenceLevel.CLIENT_DRIVEN if driven else EvidenceLevel.PROBED
