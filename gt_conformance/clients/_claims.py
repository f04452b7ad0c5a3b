"""What the checks of real clients claim, and what one of them came to."""

from collections.abc import Sequence
from dataclasses import dataclass

from gt_conformance.checks import Advisory, CheckCall, Violation
from gt_conformance.errors import Blocker
from gt_conformance.runner import CheckResult
from gt_conformance.vocabulary import CLIENT_CHECKS, Outcome

WORKS, NEVER_CALLS, STEPS = CLIENT_CHECKS


@dataclass(frozen=True, slots=True)
class Claim:
    """What a check of real clients claims, how that is verified, and what to do where it does not hold."""

    claim: str
    verifies: str
    remedy: str


CLAIMS = {
    WORKS: Claim(
        "The client's own call succeeds in its own eyes, on this route, in the shape that its wire profile says.",
        "The client is driven through the recording proxy with the documented base URL, and with /v1 behind it where "
        "that fails. It must return something and raise nothing; the proxy must have seen a 2xx on exactly this "
        "route; what was sent must be what the runbook's wire profile says; discovery must be answered at once.",
        "Read what the client said beside what the tenant answered, and mend the one that is at fault.",
    ),
    NEVER_CALLS: Claim(
        "Through the whole session the stock client never calls this route by itself.",
        "Nothing that passed the recording proxy while the client was driven is on this route. A session that did not "
        "end by itself proves nothing.",
        "Correct the runbook's verdict, or switch off in the client what calls this route.",
    ),
    STEPS: Claim(
        "The runbook's explicit HTTP steps work as they are written, and what it has people ask by hand.",
        "Each step is sent with method, path, headers and body as the runbook has them, through the recording proxy; "
        "a poll ends in ready.",
        "Mend the step in the runbook, or the tenant's route.",
    ),
}


def result(
    call: CheckCall,
    violations: Sequence[Violation],
    blockers: Sequence[Blocker],
    advisories: Sequence[Advisory] = (),
    exchanges: Sequence[str] = (),
    elapsed_ms: float = 0.0,
) -> CheckResult:
    """The result of a check from what was found; obstacles count where nothing was broken."""
    outcome = Outcome.VIOLATES if violations else Outcome.BLOCKED if blockers else Outcome.CONFORMS
    reason = remedy = ""
    if violations:
        more = f" (and {len(violations) - 1} more)" if len(violations) > 1 else ""
        reason = f"expected {violations[0].expected}; found {violations[0].found}{more}"
        remedy = next((item.remedy for item in violations if item.remedy), CLAIMS[call.check].remedy)
    elif blockers:
        reason, remedy = blockers[0].reason, blockers[0].remedy
    return CheckResult(
        call,
        CLAIMS[call.check].claim,
        outcome,
        reason,
        remedy,
        tuple(violations),
        tuple(blockers),
        tuple(advisories),
        tuple(dict.fromkeys(exchanges)),
        elapsed_ms,
    )
