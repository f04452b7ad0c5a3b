"""The record's parts that rows of every kind share: a row, and a check of it."""

from typing import Any

from gt_conformance.judgement import Judgement
from gt_conformance.runner import CheckResult


def row_record(judged: Judgement) -> dict[str, Any]:
    """A row of a runbook with its checks."""
    row = judged.case.row
    if row is None:
        raise ValueError(f"{judged.id} is no row.")
    return {
        "id": judged.id,
        "route": row.route.value,
        "title": row.route.title,
        "verdict": row.verdict.value,
        "integration": row.integration,
        "instead": row.instead,
        "outcome": judged.outcome.value,
        "checks": [check_record(check, judged) for check in judged.checks],
    }


def check_record(result: CheckResult, judged: Judgement) -> dict[str, Any]:
    """A check of a row, an item or the tenant, as ``judged`` has it."""
    waiver = judged.waivers.get(result.call)
    return {
        "id": result.call.check,
        "credential": result.call.credential,
        "parameters": result.call.parameters.described(),
        "claim": result.claim,
        "outcome": result.outcome.value,
        "reason": result.reason,
        "remedy": result.remedy,
        "breaches": [
            {"expected": item.expected, "found": item.found, "exchange": item.exchange} for item in result.violations
        ],
        "obstacles": [{"reason": item.reason, "remedy": item.remedy} for item in result.blockers],
        "advisories": [{"text": item.text, "exchange": item.exchange} for item in result.advisories],
        "waiver": None
        if waiver is None
        else {
            "reason": waiver.reason,
            "owner": waiver.owner,
            "issue": waiver.issue,
            "expires": waiver.expires.isoformat(),
        },
        "exchanges": list(result.exchanges),
        "elapsed_ms": round(result.elapsed_ms, 1),
    }
