"""results.json: the record of a run, from which everything else is rendered."""

import hashlib
import json
import os
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from gt_conformance import __version__, judgement, schema
from gt_conformance.errors import InputError, Location, Problem
from gt_conformance.judgement import Judgement
from gt_conformance.lab import CheckResult, Evidence, Lab
from gt_conformance.plan import Plan, PlannedCheck, PlannedRow
from gt_conformance.runbook import Runbook
from gt_conformance.vocabulary import Outcome, RunbookOutcome

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


def record(lab: Lab, facts: RunFacts) -> Record:
    """The whole record of a run that has ended. Every planned row and check stands in it exactly once."""
    plan = lab.plan
    results = {item.subject: lab.result(item.subject) for item in plan.distinct}

    def judged(planned: PlannedRow) -> Judgement:
        return judgement.of_row(planned, [results[item.subject] for item in planned.checks])

    runbooks = [
        _runbook(plan, book, judged) for book in plan.runbooks if any(r.row.runbook == book.id for r in plan.rows)
    ]
    tenant_checks = [_check(results[item.subject]) for item in plan.tenant_checks]
    evidence = lab.evidence()
    value = {
        "schema_version": SCHEMA_VERSION,
        "run": _run(lab, facts),
        "totals": _totals([row["outcome"] for book in runbooks for row in book["routes"]], tenant_checks),
        "runbooks": runbooks,
        "tenant_checks": tenant_checks,
        "credentials": _credentials(plan),
        "exchanges": dict(evidence),
        "traffic": _traffic(lab, evidence),
        "suite_errors": list(lab.suite_errors),
    }
    cleaned: Record = lab.redactor.value(value)
    return cleaned


def judge(lab: Lab, planned: PlannedRow | PlannedCheck) -> Judgement:
    """The judgement of a planned row or tenant check; waits for its checks."""
    if isinstance(planned, PlannedRow):
        return judgement.of_row(planned, [lab.result(item.subject) for item in planned.checks])
    return judgement.of_tenant_check(planned, lab.result(planned.subject))


def write(value: Record, path: Path) -> None:
    """Write it whole or not at all: to a temporary file first, then moved."""
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_text(path, json.dumps(value, indent=1, ensure_ascii=False) + "\n")


def replace_text(path: Path, text: str) -> None:
    """Put the text in the place of the file, so that a crash leaves the old one or the new one."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8", errors="backslashreplace") as target:
            target.write(text)
        Path(name).chmod(0o644)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def read(path: Path) -> Record:
    """A record from its file. Raises InputError where it is missing, damaged, or of another version."""
    where = Location(str(path))
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError.of(f"the results cannot be read: {error.strerror}.", where=where) from None
    except (ValueError, RecursionError):
        raise InputError.of("this is not JSON: the file may be cut short.", where=where, hint="Run again.") from None
    version = value.get("schema_version") if isinstance(value, dict) else None
    if version != SCHEMA_VERSION:
        raise InputError.of(
            f"schema_version is {version!r}, and this version reads {SCHEMA_VERSION}.",
            where=where,
            hint="Use the version of gt-conformance that wrote it, or run again.",
        )
    errors = schema.load("results").errors(value)
    if errors:
        raise InputError(
            Problem(error.message, where=where, path=".".join(map(str, error.path))) for error in errors[:10]
        )
    found: Record = value
    return found


def exit_code(value: Record) -> int:
    """0 all conforms, 1 something violates, 7 something untested, 8 the tenant unreachable or refusing every key."""
    if value["run"]["refusal"] is not None:
        return 8
    totals = value["totals"]
    if totals["violates"]:
        return 1
    return 7 if totals["blocked"] or totals["unattested"] else 0


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
        "options": dict(facts.options),
        "refusal": None if refusal is None else {"reason": refusal.reason, "remedy": refusal.remedy},
    }


def _utc(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _digest(runbooks: Sequence[Runbook]) -> str:
    whole = hashlib.sha256()
    for book in sorted(runbooks, key=lambda book: book.id):
        whole.update(f"{book.id} {book.digest}\n".encode())
    return whole.hexdigest()


def _runbook(plan: Plan, book: Runbook, judged: Any) -> Record:
    rows = [judged(planned) for planned in plan.rows if planned.row.runbook == book.id]
    planned = [item for item in plan.rows if item.row.runbook == book.id]
    outcomes = [row.outcome for row in rows]
    choice = plan.choices[book.id]
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
        "evidence_level": judgement.evidence_level(outcomes, len(book.rows)).value,
        "routes": [_row(item, row) for item, row in zip(planned, rows, strict=True)],
        "checklist": [],
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


def _row(planned: PlannedRow, row: Judgement) -> Record:
    return {
        "id": row.id,
        "route": planned.row.route.value,
        "title": planned.row.route.title,
        "verdict": planned.row.verdict.value,
        "integration": planned.row.integration,
        "instead": planned.row.instead,
        "outcome": row.outcome.value,
        "checks": [_check(check) for check in row.checks],
    }


def _check(result: CheckResult) -> Record:
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
        "exchanges": list(result.exchanges),
        "elapsed_ms": round(result.elapsed_ms, 1),
    }


def _totals(row_outcomes: list[str], tenant_checks: list[Record]) -> Record:
    counted = Counter([*row_outcomes, *(check["outcome"] for check in tenant_checks)])
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


def _traffic(lab: Lab, evidence: Evidence) -> Record:
    by_route: Counter[str] = Counter()
    sent = received = tokens = requests = 0
    for exchange in lab.seen:
        tries = 1 + len(exchange.attempts)
        requests += tries
        by_route[route_title(exchange.request.method, exchange.request.url, lab.plan.tenant.base_url)] += tries
        sent += exchange.request.size * tries
        if exchange.response is not None:
            received += len(exchange.response.body)
            tokens += _tokens(exchange.response)
    return {
        "requests": requests,
        "by_route": dict(sorted(by_route.items(), key=lambda item: (-item[1], item[0]))),
        "bytes_sent": sent,
        "bytes_received": received,
        "tokens": tokens,
        "slowest_ms": max((item["elapsed_ms"] for item in evidence.values()), default=0.0),
    }


def route_title(method: str, url: str, base_url: str) -> str:
    """The route of a request, with ids left out, so that requests can be counted by it."""
    path = url.removeprefix(base_url).partition("?")[0]
    parts = path.split("/")
    for place, name in ((2, "datasets"), (2, "files"), (2, "uploads")):
        if len(parts) > place + 1 and parts[place] == name:
            parts[place + 1] = "{id}"
    return f"{method} {'/'.join(parts) or '/'}"


def _tokens(response: Any) -> int:
    bodies: list[Any]
    if response.media_type == "text/event-stream":
        bodies = [_parsed(event.data) for event in response.events if '"usage"' in event.data]
    elif b'"usage"' in response.body:
        bodies = [_parsed(response.text)]
    else:
        return 0
    totals = [
        body["usage"].get("total_tokens")
        for body in bodies
        if isinstance(body, dict) and isinstance(body.get("usage"), dict)
    ]
    return max((total for total in totals if isinstance(total, int)), default=0)


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None
