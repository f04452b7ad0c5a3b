"""The record of a run, made once it has ended."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from gt_conformance import __version__
from gt_conformance.clients import Judged
from gt_conformance.errors import Problem
from gt_conformance.exchange import as_record
from gt_conformance.judgement import Judgement, evidence_level, known
from gt_conformance.planning import CaseKind, Plan
from gt_conformance.results._clients import client_exchanges, client_records
from gt_conformance.results._parts import check_record, row_record
from gt_conformance.results._traffic import traffic
from gt_conformance.runbook import Runbook
from gt_conformance.runner import Runner
from gt_conformance.vocabulary import CHECKLIST_LENGTH, Outcome, Route, RunbookOutcome

SCHEMA_VERSION = 1
_OF_RUNBOOKS = frozenset({CaseKind.ROW, CaseKind.ITEM})
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


def record(
    runner: Runner,
    facts: RunFacts,
    judgements: Sequence[Judgement],
    *,
    waiver_problems: Sequence[Problem] = (),
    driven: Sequence[Judged] = (),
    suite_errors: Sequence[str] = (),
) -> Record:
    """The whole record of a run that has ended. Every planned case is recorded exactly once.

    ``judgements`` are those of the plan's cases, ``driven`` the runbooks whose clients were to be driven.
    """
    plan = runner.plan
    by_id = {judged.id: judged for judged in judgements}
    driven = [item.only(by_id).each(lambda judged: by_id[judged.id]) for item in driven]
    by_runbook = {item.book.id: item for item in driven}
    planned = {judged.case.runbook for judged in judgements if judged.case.kind in _OF_RUNBOOKS}
    runbooks = [
        _runbook(plan, book, judgements, by_runbook.get(book.id)) for book in plan.runbooks if book.id in planned
    ]
    tenant_checks = [
        check_record(judged.checks[0], judged) for judged in judgements if judged.case.kind is CaseKind.TENANT
    ]
    evidence = {
        **runner.evidence(),
        **{exchange.ref: as_record(exchange, runner.redactor) for exchange in client_exchanges(driven)},
    }
    clients = client_records(driven, plan.tenant)
    value = {
        "schema_version": SCHEMA_VERSION,
        "run": _run(runner, facts),
        "totals": totals(judged({"runbooks": runbooks, "tenant_checks": tenant_checks})),
        "runbooks": runbooks,
        "tenant_checks": tenant_checks,
        "credentials": _credentials(plan),
        "waiver_problems": [str(problem) for problem in waiver_problems],
        "exchanges": dict(evidence),
        "traffic": traffic(runner, evidence),
        "suite_errors": list(suite_errors),
        **({"clients": clients, "client_totals": totals(client_rows({"clients": clients}))} if clients else {}),
        "unproven_checks": list(facts.unproven_checks),
    }
    cleaned: Record = runner.redactor.value(value)
    return cleaned


def _run(runner: Runner, facts: RunFacts) -> Record:
    tenant = runner.plan.tenant
    refusal = runner.refusal
    return {
        "id": facts.id,
        "started": _utc(facts.started),
        "finished": _utc(facts.finished),
        "duration_s": round((facts.finished - facts.started).total_seconds(), 3),
        "version": __version__,
        "tenant": {"base_url": tenant.base_url, "kind": tenant.kind.value, "read_only": tenant.read_only},
        "runbooks_digest": _digest(runner.plan.runbooks),
        "scope": _scope(runner.plan),
        "options": dict(facts.options),
        "refusal": None if refusal is None else {"reason": refusal.reason, "remedy": refusal.remedy},
    }


def _scope(plan: Plan) -> Record:
    """How much of what is known was selected, by whatever means: an option, or pytest's own ``-k``."""
    selected = {case.runbook for case in plan.cases if case.kind in _OF_RUNBOOKS}
    known_rows = sum(len(book.rows) for book in plan.runbooks)
    known_items = sum(len(book.checklist) for book in plan.runbooks)
    return {
        "runbooks": {"selected": len(selected), "known": len(plan.runbooks)},
        "rows": {"selected": len(plan.of(CaseKind.ROW)), "known": known_rows},
        "items": {"selected": len(plan.of(CaseKind.ITEM)), "known": known_items},
        "tenant_checks": {"selected": len(plan.of(CaseKind.TENANT)), "known": len(plan.registry.tenant_wide)},
    }


def _utc(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _digest(runbooks: Sequence[Runbook]) -> str:
    whole = hashlib.sha256()
    for book in sorted(runbooks, key=lambda book: book.id):
        whole.update(f"{book.id} {book.digest}\n".encode())
    return whole.hexdigest()


def _runbook(plan: Plan, book: Runbook, judgements: Sequence[Judgement], driven: Judged | None) -> Record:
    own = [judged for judged in judgements if judged.case.runbook == book.id]
    rows = [judged for judged in own if judged.case.kind is CaseKind.ROW]
    items = [judged for judged in own if judged.case.kind is CaseKind.ITEM]
    outcomes = [judged.outcome for judged in own]
    choice = plan.choices[book.id]
    by_check: dict[str, list[Outcome]] = {}
    for check in (check for judged in (*rows, *items) for check in judged.checks):
        by_check.setdefault(check.call.check, []).append(check.outcome)
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
        "evidence_level": evidence_level(
            [judged.outcome for judged in rows], len(book.rows), driven=driven is not None and driven.held
        ).value,
        "prerequisites": [
            {"text": item.text, "known": item.known.value, "how": list(item.how)}
            for item in known(plan.tenant, book, choice, by_check, plan.registry)
        ],
        "routes": [row_record(judged) for judged in rows],
        "checklist": [_item(judged) for judged in items],
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


def _item(judged: Judgement) -> Record:
    attestation, item = judged.attestation, judged.case.item
    if item is None:
        raise ValueError(f"{judged.id} is no checklist item.")
    return {
        "id": judged.id,
        "item": item.number,
        "text": item.text,
        "optional": item.optional,
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
        "checks": [check_record(check, judged) for check in judged.checks],
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


def client_rows(record: Mapping[str, Any]) -> list[Record]:
    """What ``client_totals`` counts: the nine rows of each runbook whose clients were to be driven."""
    return [row for entry in record.get("clients", ()) for row in entry["routes"]]


def overall(record: Mapping[str, Any]) -> Record:
    """The totals with those of the clients' rows: how the run as a whole came out."""
    further: Mapping[str, int] = record.get("client_totals", {})
    return {name: count + further.get(name, 0) for name, count in record["totals"].items()}


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
