"""The record of a run, made once it has ended."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from gt_conformance import __version__
from gt_conformance.checks import TENANT_CHECKS
from gt_conformance.judgement import Hands, Judge, Judgement, evidence_level, known
from gt_conformance.lab import CheckResult, Lab
from gt_conformance.plan import Plan, PlannedItem, PlannedRow
from gt_conformance.results._traffic import traffic
from gt_conformance.runbook import Runbook
from gt_conformance.vocabulary import CHECKLIST_LENGTH, Outcome, Route, RunbookOutcome

SCHEMA_VERSION = 1
Record = dict[str, Any]
"""A value that holds to schemas/results.schema.json."""


@dataclass(frozen=True)
class RunFacts:
    """What the record says of the run itself."""

    id: str
    started: datetime
    finished: datetime
    options: Mapping[str, Any]
    unproven_checks: tuple[str, ...] = ()
    """Checks that no planted fault has ever made fail."""


def record(lab: Lab, facts: RunFacts, hands: Hands | None = None) -> Record:
    """The whole record of a run that has ended. Every planned row, item and check stands in it exactly once."""
    plan = lab.plan
    judge = Judge(plan, lab.result, hands)
    planned = {item.row.runbook for item in plan.rows} | {item.item.runbook for item in plan.items}
    runbooks = [_runbook(plan, book, judge) for book in plan.runbooks if book.id in planned]
    tenant_checks = [
        _check(judged.checks[0], judged) for judged in (judge.tenant_check(item) for item in plan.tenant_checks)
    ]
    evidence = lab.evidence()
    value = {
        "schema_version": SCHEMA_VERSION,
        "run": _run(lab, facts),
        "totals": totals(judged({"runbooks": runbooks, "tenant_checks": tenant_checks})),
        "runbooks": runbooks,
        "tenant_checks": tenant_checks,
        "credentials": _credentials(plan),
        "waiver_problems": [str(problem) for problem in judge.waiver_problems()],
        "exchanges": dict(evidence),
        "traffic": traffic(lab, evidence),
        "suite_errors": list(lab.suite_errors),
        "unproven_checks": list(facts.unproven_checks),
    }
    cleaned: Record = lab.redactor.value(value)
    return cleaned


def _run(lab: Lab, facts: RunFacts) -> Record:
    tenant = lab.plan.tenant
    refusal = lab.refusal
    return {
        "id": facts.id,
        "started": _utc(facts.started),
        "finished": _utc(facts.finished),
        "duration_s": round((facts.finished - facts.started).total_seconds(), 3),
        "version": __version__,
        "tenant": {"base_url": tenant.base_url, "kind": tenant.kind.value, "read_only": tenant.read_only},
        "runbooks_digest": _digest(lab.plan.runbooks),
        "scope": _scope(lab.plan),
        "options": dict(facts.options),
        "refusal": None if refusal is None else {"reason": refusal.reason, "remedy": refusal.remedy},
    }


def _scope(plan: Plan) -> Record:
    """How much of what is known was selected, by whatever means: an option, or pytest's own ``-k``."""
    selected = {item.row.runbook for item in plan.rows} | {item.item.runbook for item in plan.items}
    return {
        "runbooks": {"selected": len(selected), "known": len(plan.runbooks)},
        "rows": {"selected": len(plan.rows), "known": sum(len(book.rows) for book in plan.runbooks)},
        "items": {"selected": len(plan.items), "known": sum(len(book.checklist) for book in plan.runbooks)},
        "tenant_checks": {"selected": len(plan.tenant_checks), "known": len(TENANT_CHECKS)},
    }


def _utc(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _digest(runbooks: Sequence[Runbook]) -> str:
    whole = hashlib.sha256()
    for book in sorted(runbooks, key=lambda book: book.id):
        whole.update(f"{book.id} {book.digest}\n".encode())
    return whole.hexdigest()


def _runbook(plan: Plan, book: Runbook, judge: Judge) -> Record:
    planned_rows = [item for item in plan.rows if item.row.runbook == book.id]
    planned_items = [item for item in plan.items if item.item.runbook == book.id]
    rows = [judge.row(item) for item in planned_rows]
    items = [judge.item(item) for item in planned_items]
    outcomes = [judged.outcome for judged in (*rows, *items)]
    choice = plan.choices[book.id]
    by_check: dict[str, list[Outcome]] = {}
    for check in (check for judged in (*rows, *items) for check in judged.checks):
        by_check.setdefault(check.subject.check, []).append(check.outcome)
    return {
        "id": book.id,
        "title": book.title,
        "category": book.category,
        "compatibility": book.compatibility,
        "key_preset": book.key_preset,
        "documented_evidence": book.evidence,
        "digest": book.digest,
        "docs": list(book.docs),
        "base_url": book.base_url,
        "credential_note": choice.note,
        "outcome": RunbookOutcome.of(outcomes).value,
        "evidence_level": evidence_level([judged.outcome for judged in rows], len(book.rows)).value,
        "prerequisites": [
            {"text": item.text, "known": item.known.value, "how": list(item.how)}
            for item in known(plan.tenant, book, choice, by_check)
        ],
        "routes": [_row(item, judged) for item, judged in zip(planned_rows, rows, strict=True)],
        "checklist": [_item(item, judged) for item, judged in zip(planned_items, items, strict=True)],
        "known_issues": [
            {
                "id": issue.id,
                "documented": issue.documented,
                "measured": issue.measured,
                "remedy": issue.remedy,
                "routes": [route.value for route in issue.routes],
            }
            for issue in book.known_issues
        ],
    }


def _row(planned: PlannedRow, judged: Judgement) -> Record:
    return {
        "id": judged.id,
        "route": planned.row.route.value,
        "title": planned.row.route.title,
        "verdict": planned.row.verdict.value,
        "integration": planned.row.integration,
        "instead": planned.row.instead,
        "outcome": judged.outcome.value,
        "checks": [_check(check, judged) for check in judged.checks],
    }


def _item(planned: PlannedItem, judged: Judgement) -> Record:
    attestation = judged.attestation
    return {
        "id": judged.id,
        "item": planned.item.number,
        "text": planned.item.text,
        "optional": planned.item.optional,
        "outcome": judged.outcome.value,
        "attestation": None
        if attestation is None
        else {
            "statement": attestation.statement,
            "name": attestation.name,
            "role": attestation.role,
            "on": attestation.on.isoformat(),
            "expires": attestation.expires.isoformat(),
            "evidence": attestation.evidence,
        },
        "checks": [_check(check, judged) for check in judged.checks],
    }


def _check(result: CheckResult, judged: Judgement) -> Record:
    waiver = judged.waivers.get(result.subject)
    return {
        "id": result.subject.check,
        "credential": result.subject.credential,
        "parameters": result.subject.parameters.described(),
        "claim": result.claim,
        "outcome": result.outcome.value,
        "reason": result.reason,
        "remedy": result.remedy,
        "breaches": [
            {"expected": item.expected, "found": item.found, "exchange": item.exchange} for item in result.breaches
        ],
        "obstacles": [{"reason": item.reason, "remedy": item.remedy} for item in result.obstacles],
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


def is_whole(book: Mapping[str, Any]) -> bool:
    """Whether a runbook of a record was judged in all of its rows and items, and not in what was selected only."""
    return len(book["routes"]) == len(Route) and len(book["checklist"]) == CHECKLIST_LENGTH


def is_partial(record: Record) -> bool:
    """Whether the run judged less than there is to judge, by whatever means that was selected."""
    scope = record["run"].get("scope")
    if scope is None:  # of an earlier version, which said no more than this
        options = record["run"]["options"]
        return bool(options["runbooks"] or options["routes"] or options["verdicts"])
    return any(share["selected"] < share["known"] for share in scope.values())


def judged(record: Mapping[str, Any]) -> list[Record]:
    """What ``totals`` counts: every row and item, runbook by runbook, then every tenant check."""
    parts = [part for book in record["runbooks"] for part in (*book["routes"], *book["checklist"])]
    return [*parts, *record["tenant_checks"]]


def totals(parts: Iterable[Mapping[str, Any]]) -> Record:
    """How many rows, items and tenant checks came to each outcome; every outcome is named."""
    counted = Counter(part["outcome"] for part in parts)
    names = (Outcome.CONFORMS, Outcome.VIOLATES, Outcome.BLOCKED, Outcome.UNATTESTED, Outcome.WAIVED)
    return {name.value: counted[name.value] for name in names}


def _credentials(plan: Plan) -> list[Record]:
    return [
        {
            "name": key.name,
            "fingerprint": key.secret.fingerprint,
            "purpose": key.purpose.value if key.purpose else None,
            "scopes": None if key.scopes is None else sorted(scope.value for scope in key.scopes),
            "models": None if key.models is None else sorted(key.models),
            "datasets": None if key.datasets is None else sorted(key.datasets),
            "revoked": key.revoked,
        }
        for key in plan.tenant.credentials.values()
    ]
