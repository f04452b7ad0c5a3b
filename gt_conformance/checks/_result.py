"""What a check came to: a frozen value, redacted, safe to show anywhere."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from gt_conformance.checks import Advisory, Check, CheckCall, Probe, Remark, Violation
from gt_conformance.errors import Blocker, name_finding
from gt_conformance.exchange import ExchangeRecord, Redactor, inert
from gt_conformance.vocabulary import Actor, Outcome, Severity

Evidence = Mapping[str, ExchangeRecord]
"""The recorded exchanges of a run by their references, redacted."""


@dataclass(frozen=True)
class CheckResult:
    """The outcome of one call of a check. ``reason`` is empty where it conforms; ``exchanges`` are references."""

    call: CheckCall
    claim: str
    outcome: Outcome
    reason: str
    remedy: str
    violations: tuple[Violation, ...] = ()
    blockers: tuple[Blocker, ...] = ()
    advisories: tuple[Advisory, ...] = ()
    remarks: tuple[Remark, ...] = ()
    exchanges: tuple[str, ...] = ()
    elapsed_ms: float = 0.0
    clauses: tuple[str, ...] = ()
    acts: Actor = Actor.TENANT
    severity: Severity = Severity.MEDIUM
    usable: bool = True
    """Whether other checks may rest on it: what it asked for came, whether or not all of it was right."""

    @classmethod
    def of(cls, probe: Probe, redactor: Redactor, *, strict: bool, elapsed_ms: float) -> "CheckResult":
        """From a probe that has ended. With ``strict`` an advisory is a violation."""
        violations = list(probe.violations)
        advisories = list(probe.advisories)
        if strict:
            violations += [
                Violation(
                    "no deviation from OpenAI's published shape",
                    item.text,
                    item.exchange,
                    finding=name_finding(probe.check.id, item.at or item.text),
                )
                for item in advisories
            ]
            advisories = []
        outcome = Outcome.CONFORMS
        if violations:
            outcome = Outcome.VIOLATES
        elif probe.blockers:
            outcome = Outcome.BLOCKED

        def clean(text: str) -> str:
            return str(inert(redactor.text(text)))

        def advice(text: str) -> str:
            return clean(probe.tenant.in_its_terms(text))

        own = next((item.remedy for item in violations if item.remedy), probe.check.remedy)
        violations = [
            replace(
                item,
                expected=clean(item.expected),
                found=clean(item.found),
                # Its own, or the check's: never what another violation of the check asks for.
                remedy=advice(item.remedy or probe.check.remedy),
                at=clean(item.at),
            )
            for item in violations
        ]
        blockers = [
            replace(item, reason=clean(item.reason), remedy=advice(item.remedy))
            for item in map(probe.tenant.in_one, probe.blockers)
        ]
        return cls(
            call=probe.call,
            claim=probe.check.claim,
            outcome=outcome,
            reason=_reason(violations, blockers),
            remedy=advice(own) if violations else blockers[0].remedy if blockers else "",
            violations=tuple(violations),
            blockers=tuple(blockers),
            advisories=tuple(Advisory(clean(item.text), item.exchange) for item in advisories),
            remarks=tuple(replace(item, text=clean(item.text)) for item in probe.remarks),
            exchanges=tuple(probe.exchanges),
            elapsed_ms=elapsed_ms,
            clauses=probe.check.clauses,
            acts=probe.check.acts,
            severity=probe.check.severity,
            usable=probe.usable and outcome is not Outcome.BLOCKED,
        )

    @property
    def finding(self) -> str:
        """The id of the finding that it is, or belongs to, first; empty where it conforms."""
        if self.violations:
            return self.violations[0].finding
        return self.blockers[0].finding if self.blockers else ""

    @property
    def because(self) -> str:
        """The id of another check's finding that alone keeps this one from being tested; empty where none does."""
        reasons = {item.because for item in self.blockers}
        return reasons.pop() if self.outcome is Outcome.BLOCKED and len(reasons) == 1 else ""

    def amended(self, violations: tuple[Violation, ...], blockers: tuple[Blocker, ...]) -> "CheckResult":
        """The result with these, as the end of the run explains them, and the remedy of the first; itself if alike.

        Where no violation is left of some, it is blocked; where one comes to what was blocked, it violates.
        """
        if violations == self.violations and blockers == self.blockers:
            return self
        if violations:
            reason = self.reason if self.violations else _reason([*violations], [])
            remedy = next((item.remedy for item in violations if item.remedy), self.remedy)
            outcome = Outcome.VIOLATES
        elif blockers:
            reason, remedy, outcome = _reason([], [*blockers]), blockers[0].remedy, Outcome.BLOCKED
        else:
            reason, remedy, outcome = self.reason, self.remedy, self.outcome
        return replace(
            self,
            outcome=outcome,
            reason=reason,
            remedy=remedy,
            violations=violations,
            blockers=blockers,
            usable=self.usable and outcome is not Outcome.BLOCKED,
        )

    def keep_from(self, call: CheckCall, check: Check) -> "CheckResult":
        """The result of a call that rests on this one, where nothing can: blocked because of this one's finding."""
        if self.call.check == call.check and self.outcome is Outcome.VIOLATES:
            # What breaks the check in its plainest form breaks it in every client's form: the same finding.
            return replace(self, call=call)
        return CheckResult.blocked(call, check, self.explain_block())

    def explain_block(self) -> Blocker:
        """What to say of a check that rests on this one."""
        if self.outcome is Outcome.BLOCKED and self.blockers:
            first = self.blockers[0]
            return replace(first, because=first.finding)
        return Blocker(f"{self.call.check} does not hold: {self.reason}", "", self.acts, because=self.finding)

    @classmethod
    def blocked(cls, call: CheckCall, check: Check, blocker: Blocker) -> "CheckResult":
        """A check that was not carried out."""
        return cls(
            call,
            check.claim,
            Outcome.BLOCKED,
            blocker.reason,
            blocker.remedy,
            blockers=(blocker,),
            clauses=check.clauses,
            acts=check.acts,
            severity=check.severity,
            usable=False,
        )


def renamed_in(blockers: Iterable[Blocker], renamed: Mapping[str, str]) -> tuple[Blocker, ...]:
    """The blockers, each because of what the finding that it rests on became, where it became another one."""
    return tuple(replace(item, because=renamed.get(item.because, item.because)) for item in blockers)


def _reason(violations: list[Violation], blockers: list[Blocker]) -> str:
    if violations:
        more = f" (and {len(violations) - 1} more)" if len(violations) > 1 else ""
        return f"expected {violations[0].expected}; found {violations[0].found}{more}"
    if blockers:
        more = f" (and {len(blockers) - 1} more)" if len(blockers) > 1 else ""
        return blockers[0].reason + more
    return ""
