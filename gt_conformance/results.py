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

from gt_conformance import __version__, schema
from gt_conformance.errors import InputError, Location, Problem
from gt_conformance.judgement import Hands, Judge, Judgement, evidence_level, known
from gt_conformance.lab import CheckResult, Evidence, Lab
from gt_conformance.plan import Plan, PlannedItem, PlannedRow
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
    judged = [part for book in runbooks for part in (*book["routes"], *book["checklist"])]
    evidence = lab.evidence()
    value = {
        "schema_version": SCHEMA_VERSION,
        "run": _run(lab, facts),
        "totals": _totals([*judged, *tenant_checks]),
        "runbooks": runbooks,
        "tenant_checks": tenant_checks,
        "credentials": _credentials(plan),
        "waiver_problems": [str(problem) for problem in judge.waiver_problems()],
        "exchanges": dict(evidence),
        "traffic": _traffic(lab, evidence),
        "suite_errors": list(lab.suite_errors),
        "unproven_checks": list(facts.unproven_checks),
    }
    cleaned: Record = lab.redactor.value(value)
    return cleaned


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
    """0: all conforms. 1: something violates, or a waiver has to go. 7: something untested. 8: no tenant, or no key."""
    if value["run"]["refusal"] is not None:
        return 8
    totals = value["totals"]
    if totals["violates"] or value["waiver_problems"]:
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


def _totals(judged: list[Record]) -> Record:
    counted = Counter(item["outcome"] for item in judged)
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
