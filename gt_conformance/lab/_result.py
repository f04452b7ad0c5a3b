"""What a check came to: a frozen value, redacted, safe to show anywhere."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gt_conformance.checks import Advisory, Breach, Check, Obstacle, Probe, Subject
from gt_conformance.exchange import Redactor, inert
from gt_conformance.vocabulary import Outcome

Evidence = Mapping[str, Mapping[str, Any]]
"""The recorded exchanges of a run by their references, redacted."""


@dataclass(frozen=True)
class CheckResult:
    """The outcome of one subject. ``reason`` is empty where it conforms; ``exchanges`` are references."""

    subject: Subject
    claim: str
    outcome: Outcome
    reason: str
    remedy: str
    breaches: tuple[Breach, ...] = ()
    obstacles: tuple[Obstacle, ...] = ()
    advisories: tuple[Advisory, ...] = ()
    exchanges: tuple[str, ...] = ()
    elapsed_ms: float = 0.0

    @classmethod
    def of(cls, probe: Probe, redactor: Redactor, *, strict: bool, elapsed_ms: float) -> "CheckResult":
        """From a probe that has ended. With ``strict`` an advisory is a breach."""
        breaches = list(probe.breaches)
        advisories = list(probe.advisories)
        if strict:
            breaches += [
                Breach("no deviation from OpenAI's published shape", item.text, item.exchange) for item in advisories
            ]
            advisories = []
        outcome = Outcome.CONFORMS
        if breaches:
            outcome = Outcome.VIOLATES
        elif probe.obstacles:
            outcome = Outcome.BLOCKED

        def clean(text: str) -> str:
            return str(inert(redactor.text(text)))

        breaches = [
            Breach(clean(item.expected), clean(item.found), item.exchange, clean(item.remedy) if item.remedy else None)
            for item in breaches
        ]
        obstacles = [Obstacle(clean(item.reason), clean(item.remedy)) for item in probe.obstacles]
        return cls(
            subject=probe.subject,
            claim=probe.check.claim,
            outcome=outcome,
            reason=_reason(breaches, obstacles),
            remedy=_remedy(probe.check, breaches, obstacles),
            breaches=tuple(breaches),
            obstacles=tuple(obstacles),
            advisories=tuple(Advisory(clean(item.text), item.exchange) for item in advisories),
            exchanges=tuple(probe.exchanges),
            elapsed_ms=elapsed_ms,
        )

    @classmethod
    def blocked(cls, subject: Subject, check: Check, obstacle: Obstacle) -> "CheckResult":
        """A check that was not carried out."""
        return cls(subject, check.claim, Outcome.BLOCKED, obstacle.reason, obstacle.remedy, obstacles=(obstacle,))


def _reason(breaches: list[Breach], obstacles: list[Obstacle]) -> str:
    if breaches:
        more = f" (and {len(breaches) - 1} more)" if len(breaches) > 1 else ""
        return f"expected {breaches[0].expected}; found {breaches[0].found}{more}"
    if obstacles:
        more = f" (and {len(obstacles) - 1} more)" if len(obstacles) > 1 else ""
        return obstacles[0].reason + more
    return ""


def _remedy(check: Check, breaches: list[Breach], obstacles: list[Obstacle]) -> str:
    if breaches:
        return next((item.remedy for item in breaches if item.remedy), check.remedy)
    return obstacles[0].remedy if obstacles else ""
