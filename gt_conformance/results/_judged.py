"""Judgements as cases of a record: the one place that knows both."""

from collections.abc import Iterator, Sequence
from typing import assert_never
from urllib.parse import urlsplit

from gt_conformance import clients
from gt_conformance.checks import Advisory, CheckResult, Violation
from gt_conformance.errors import Blocker
from gt_conformance.exchange import Exchange
from gt_conformance.judgement import Judgement, known
from gt_conformance.planning import CaseKind, Plan, as_entered
from gt_conformance.results._decision import because_of
from gt_conformance.results.case_types import (
    AdvisoryRecord,
    AttemptRecord,
    BlockerRecord,
    CaseRecord,
    CheckRecord,
    ClientsRecord,
    DiscoveryRecord,
    DrivenRecord,
    ItemRecord,
    RowRecord,
    RunbookFacts,
    ViolationRecord,
    WaiverRecord,
)
from gt_conformance.runbook import Runbook
from gt_conformance.tenant import Tenant
from gt_conformance.vocabulary import Outcome, Route, Verdict
from gt_conformance.waiver import Flaw, Waiver

_MOST_LISTED = 50


class CheckRecords:
    """The records of checks. What many cases share, and none waives, is made once and is one value in all of them."""

    def __init__(self) -> None:
        self._made: dict[int, tuple[CheckResult, CheckRecord]] = {}  # with the result, so that its id stays its own

    def of(self, result: CheckResult, judged: Judgement) -> CheckRecord:
        """What the record of a case holds of one of its checks."""
        if judged.waivers:
            return _check(result, judged)
        if id(result) not in self._made:
            self._made[id(result)] = result, _check(result, judged)
        return self._made[id(result)][1]


def runbook_facts(plan: Plan, judgements: Sequence[Judgement], checks: CheckRecords) -> list[RunbookFacts]:
    """The runbooks of which a row or an item was planned, with their judged rows and items."""
    planned: dict[str | None, list[Judgement]] = {}
    for judged in judgements:
        if judged.case.kind in {CaseKind.ROW, CaseKind.ITEM}:
            planned.setdefault(judged.case.runbook, []).append(judged)
    return [_facts(plan, book, planned[book.id], checks) for book in plan.runbooks if book.id in planned]


def tenant_check_records(judgements: Sequence[Judgement], checks: CheckRecords) -> list[CheckRecord]:
    """The tenant checks that were planned."""
    return [checks.of(judged.checks[0], judged) for judged in judgements if judged.case.kind is CaseKind.TENANT]


def footing_records(judgements: Sequence[Judgement], checks: CheckRecords) -> list[CheckRecord]:
    """The checks that no case names, as far as something is wrong with them."""
    return [checks.of(judged.checks[0], judged) for judged in judgements if judged.outcome is not Outcome.CONFORMS]


def case_record(judged: Judgement, checks: CheckRecords) -> CaseRecord:
    """What the record holds of one judged case."""
    match judged.case.kind:
        case CaseKind.ROW | CaseKind.CLIENT:
            return _row(judged, checks)
        case CaseKind.ITEM:
            return _item(judged, checks)
        case CaseKind.TENANT:
            return checks.of(judged.checks[0], judged)
    assert_never(judged.case.kind)


def client_records(judged: "Sequence[clients.Judged]", tenant: Tenant, checks: CheckRecords) -> list[ClientsRecord]:
    """One for each runbook whose clients were to be driven, in their order."""
    return [_clients(item, tenant, checks) for item in judged]


def client_exchanges(judged: "Sequence[clients.Judged]") -> Iterator[Exchange]:
    """Every exchange that a client or a step had with the tenant."""
    for item in judged:
        if item.driven is not None:
            attempts = [attempt for session in item.driven.sessions for attempt in session.attempts]
            attempts += filter(None, (item.driven.asked, item.driven.steps))
            yield from (passage.exchange for attempt in attempts for passage in attempt.passages)


# -- rows and items


def _facts(plan: Plan, book: Runbook, own: Sequence[Judgement], checks: CheckRecords) -> RunbookFacts:
    rows = [judged for judged in own if judged.case.kind is CaseKind.ROW]
    items = [judged for judged in own if judged.case.kind is CaseKind.ITEM]
    choice = plan.choices[book.id]
    entered = as_entered(plan.tenant, book).base_url
    by_check: dict[str, list[Outcome]] = {}
    for check in (check for judged in (*rows, *items) for check in judged.checks):
        by_check.setdefault(check.call.check, []).append(check.outcome)
    facts: RunbookFacts = {
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
        "prerequisites": [
            {"text": item.text, "known": item.known.value, "how": list(item.how)}
            for item in known(plan.tenant, book, choice, by_check, plan.registry)
        ],
        "routes": [_row(judged, checks) for judged in rows],
        "checklist": [_item(judged, checks) for judged in items],
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
    if entered != book.base_url:
        facts["entered_base_url"] = entered
    return facts


def _row(judged: Judgement, checks: CheckRecords) -> RowRecord:
    row = judged.case.row
    if row is None:
        raise ValueError(f"{judged.id} is not a row.")
    found = [checks.of(check, judged) for check in judged.checks]
    record: RowRecord = {
        "id": judged.id,
        "route": row.route.value,
        "title": row.route.title,
        "verdict": row.verdict.value,
        "integration": row.integration,
        "instead": row.instead,
        "outcome": judged.outcome.value,
        "checks": found,
    }
    if reason := because_of(judged.outcome, found):
        record["because"] = reason
    if judged.case.uses:
        record["uses"] = True
    return record


def _item(judged: Judgement, checks: CheckRecords) -> ItemRecord:
    attestation, item = judged.attestation, judged.case.item
    if item is None:
        raise ValueError(f"{judged.id} is not a checklist item.")
    found = [checks.of(check, judged) for check in judged.checks]
    reason = because_of(judged.outcome, found)
    record: ItemRecord = {
        "id": judged.id,
        "item": item.number,
        "text": item.text,
        "source": item.source,
        "optional": item.optional,
        "asks": [part.value for part in item.asks],
        "rests_on": [route.value for route in item.rests_on],
        "evidence": [
            {"part": one.part.value, "evidence": one.kind.value, "source": one.source} for one in judged.evidence
        ],
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
        "checks": found,
    }
    if reason:
        record["because"] = reason
    return record


def _check(result: CheckResult, judged: Judgement) -> CheckRecord:
    waived = [waiver for (call, _), waiver in judged.waivers.items() if call == result.call]
    record: CheckRecord = {
        "id": result.call.check,
        "credential": result.call.credential,
        "parameters": result.call.parameters.described(),
        "claim": result.claim,
        "outcome": result.outcome.value,
        "reason": result.reason,
        "remedy": result.remedy,
        "breaches": [_violation_record(item, result, judged) for item in result.violations],
        "obstacles": [_blocker_record(item, result, judged) for item in result.blockers],
        "advisories": [_advisory(item) for item in result.advisories],
        "waiver": waiver_record(waived[0]) if waived and result.outcome is Outcome.WAIVED else None,
        "exchanges": list(result.exchanges),
        "elapsed_ms": round(result.elapsed_ms, 1),
        "clauses": list(result.clauses),
    }
    if result.remarks:
        record["remarks"] = [
            {"kind": item.kind.value, "text": item.text, "exchange": item.exchange} for item in result.remarks
        ]
    if result.because:
        record["because"] = result.because
    return record


def _advisory(item: Advisory) -> AdvisoryRecord:
    record: AdvisoryRecord = {"text": item.text, "exchange": item.exchange}
    if item.at:
        record["at"] = item.at
    return record


def _violation_record(item: Violation, result: CheckResult, judged: Judgement) -> ViolationRecord:
    record: ViolationRecord = {
        "expected": item.expected,
        "found": item.found,
        "exchange": item.exchange,
        "at": item.at,
        "remedy": item.remedy or result.remedy,
        "finding": item.finding,
        "acts": (item.acts or result.acts).value,
        "severity": (item.severity or result.severity).value,
    }
    waiver = judged.waivers.get((result.call, Flaw.of_violation(item.finding)))
    if waiver is not None:
        record["waiver"] = waiver_record(waiver)
    return record


def _blocker_record(item: Blocker, result: CheckResult, judged: Judgement) -> BlockerRecord:
    record: BlockerRecord = {
        "reason": item.reason,
        "remedy": item.remedy,
        "acts": item.acts.value,
        "finding": item.finding,
    }
    if item.because:
        record["because"] = item.because
    if item.remedy_of_all:
        record["remedy_of_all"] = item.remedy_of_all
    waiver = judged.waivers.get((result.call, Flaw.of_block(item)))
    if waiver is not None:
        record["waiver"] = waiver_record(waiver)
    return record


def waiver_record(waiver: Waiver) -> WaiverRecord:
    """Who owns what is waived, and until when."""
    return {
        "reason": waiver.reason,
        "owner": waiver.owner,
        "issue": waiver.issue,
        "expires": waiver.expires.isoformat(),
    }


# -- real clients


def _clients(item: "clients.Judged", tenant: Tenant, checks: CheckRecords) -> ClientsRecord:
    sessions = item.driven.sessions if item.driven is not None else ()
    undriven = item.driven.manifest.tried_by_hand if item.driven is not None else ()
    record: ClientsRecord = {
        "runbook": item.book.id,
        "title": item.book.title,
        "outcome": Outcome.worst(judged.outcome for judged in item.rows).value,
        "driven": [_session(item, session, tenant) for session in sessions],
        "routes": [_row(judged, checks) for judged in item.rows],
    }
    if undriven:
        record["undriven"] = [{"title": product.title, "why": product.why} for product in undriven]
    return record


def _session(item: "clients.Judged", session: "clients.Session", tenant: Tenant) -> DrivenRecord:
    base_path = urlsplit(tenant.base_url).path
    client = session.client
    profile = next((one for one in item.book.measured_clients if one.package == client.profile), None)
    passages = session.passages
    off = {row.route for row in item.book.rows if row.verdict is not Verdict.NATIVE}
    unsupported = [
        clients.title_of(passage.exchange, base_path)
        for passage in passages
        if clients.route_of(passage.exchange, base_path) in off or clients.is_foreign(passage.exchange, base_path)
    ]
    first = session.attempts[0] if session.attempts else None
    return {
        "id": client.id,
        "title": client.title,
        "version": session.version,
        "runtime": client.runtime.value,
        "on": session.on.isoformat(),
        "credential": session.credential,
        "trouble": session.trouble,
        "drives": [route.value for route in client.drives],
        "counted": [route.value for route in session.counted],
        "attempts": [_attempt(session, attempt, base_path) for attempt in session.attempts],
        "unsupported": list(dict.fromkeys(unsupported)),
        "discovery": [_discovered(exchange) for exchange in clients.discovery(first, base_path)][:_MOST_LISTED]
        if first
        else [],
        "differences": [str(one) for one in clients.differences(profile, first, base_path)]
        if profile and first
        else [],
        "hosts": list(session.hosts),
        "requests": session.requests,
        "tokens": session.tokens,
        "seconds": round(session.seconds, 1),
    }


def _attempt(session: "clients.Session", attempt: "clients.Attempt", base_path: str) -> AttemptRecord:
    on_route: dict[Route | None, list[str]] = {}
    for passage in attempt.passages:
        on_route.setdefault(clients.route_of(passage.exchange, base_path), []).append(passage.exchange.ref)
    return {
        "base_url": attempt.base_url,
        "works": all(map(attempt.succeeded, session.counted)),
        "ended": attempt.ended.trouble,
        "calls": [
            {
                "call": call.name,
                "route": call.route.value if call.route is not None else None,
                "succeeded": call.succeeded,
                "said": call.outcome,
                "exchanges": on_route.get(call.route, []) if call.route is not None else [],
            }
            for call in attempt.calls
        ],
        "chatter": attempt.ended.chatter,
    }


def _discovered(exchange: Exchange) -> DiscoveryRecord:
    return {
        "request": f"{exchange.request.method} {exchange.request.path}",
        "status": exchange.response.status if exchange.response is not None else None,
        "elapsed_ms": round(exchange.elapsed_ms, 1),
    }
