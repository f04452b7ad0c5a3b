"""What a check came to: a frozen value, redacted, safe to show anywhere."""

from collections.abc import Mapping
from dataclasses import dataclass

from gt_conformance.checks import Advisory, Check, CheckCall, Probe, Violation
from gt_conformance.errors import Blocker
from gt_conformance.exchange import ExchangeRecord, Redactor, inert
from gt_conformance.vocabulary import Outcome

Evidence = Mapping[str, ExchangeRecord]
"""The recorded exchanges of a run by their references, redacted."""


@dataclass(frozen=True)
class CheckResult:
    """The outcome of one subject. ``reason`` is empty where it conforms; ``exchanges`` are references."""

    call: CheckCall
    claim: str
    outcome: Outcome
    reason: str
    remedy: str
    violations: tuple[Violation, ...] = ()
    blockers: tuple[Blocker, ...] = ()
    advisories: tuple[Advisory, ...] = ()
    exchanges: tuple[str, ...] = ()
    elapsed_ms: float = 0.0

    @classmethod
    def of(cls, probe: Probe, redactor: Redactor, *, strict: bool, elapsed_ms: float) -> "CheckResult":
        """From a probe that has ended. With ``strict`` an advisory is a violation."""
        violations = list(probe.violations)
        advisories = list(probe.advisories)
        if strict:
            violations += [
                Violation("no deviation from OpenAI's published shape", item.text, item.exchange) for item in advisories
            ]
            advisories = []
        outcome = Outcome.CONFORMS
        if violations:
            outcome = Outcome.VIOLATES
        elif probe.blockers:
            outcome = Outcome.BLOCKED

        def clean(text: str) -> str:
            return str(inert(redactor.text(text)))

        violations = [
            Violation(
                clean(item.expected), clean(item.found), item.exchange, clean(item.remedy) if item.remedy else None
            )
            for item in violations
        ]
        blockers = [Blocker(clean(item.reason), clean(item.remedy)) for item in probe.blockers]
        return cls(
            call=probe.call,
            claim=probe.check.claim,
            outcome=outcome,
            reason=_reason(violations, blockers),
            remedy=_remedy(probe.check, violations, blockers),
            violations=tuple(violations),
            blockers=tuple(blockers),
            advisories=tuple(Advisory(clean(item.text), item.exchange) for item in advisories),
            exchanges=tuple(probe.exchanges),
            elapsed_ms=elapsed_ms,
        )

    @classmethod
    def blocked(cls, call: CheckCall, check: Check, blocker: Blocker) -> "CheckResult":
        """A check that was not carried out."""
        return cls(call, check.claim, Outcome.BLOCKED, blocker.reason, blocker.remedy, blockers=(blocker,))


def _reason(violations: list[Violation], blockers: list[Blocker]) -> str:
    if violations:
        more = f" (and {len(violations) - 1} more)" if len(violations) > 1 else ""
        return f"expected {violations[0].expected}; found {violations[0].found}{more}"
    if blockers:
        more = f" (and {len(blockers) - 1} more)" if len(blockers) > 1 else ""
        return blockers[0].reason + more
    return ""


def _remedy(check: Check, violations: list[Violation], blockers: list[Blocker]) -> str:
    if violations:
        return next((item.remedy for item in violations if item.remedy), check.remedy)
    return blockers[0].remedy if blockers else ""
