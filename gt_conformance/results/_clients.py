"""The record's ``clients``: each driven client, what it said, what it sent, and the rows that it judged."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from gt_conformance.clients import Attempt, Judged, Session, differences, discovery, is_foreign, route_of, title_of
from gt_conformance.exchange import Exchange
from gt_conformance.results._parts import row_record
from gt_conformance.tenant import Tenant
from gt_conformance.vocabulary import Outcome, Route, Verdict

_MOST_LISTED = 50


def client_records(judged: Sequence[Judged], tenant: Tenant) -> list[dict[str, Any]]:
    """One for each runbook whose clients were to be driven, in their order."""
    return [_runbook(item, tenant) for item in judged]


def client_exchanges(judged: Sequence[Judged]) -> Iterator[Exchange]:
    """Every exchange that a client or a step had with the tenant."""
    for item in judged:
        if item.driven is not None:
            attempts = [attempt for session in item.driven.sessions for attempt in session.attempts]
            attempts += [item.driven.steps] if item.driven.steps else []
            yield from (passage.exchange for attempt in attempts for passage in attempt.passages)


def _runbook(item: Judged, tenant: Tenant) -> dict[str, Any]:
    sessions = item.driven.sessions if item.driven is not None else ()
    return {
        "runbook": item.book.id,
        "title": item.book.title,
        "outcome": Outcome.worst(judged.outcome for judged in item.rows).value,
        "driven": [_session(item, session, tenant) for session in sessions],
        "routes": [row_record(judged) for judged in item.rows],
    }


def _session(item: Judged, session: Session, tenant: Tenant) -> dict[str, Any]:
    base_path = urlsplit(tenant.base_url).path
    client = session.client
    profile = next((one for one in item.book.measured_clients if one.package == client.profile), None)
    passages = session.passages
    off = {row.route for row in item.book.rows if row.verdict is not Verdict.NATIVE}
    unsupported = [
        title_of(passage.exchange, base_path)
        for passage in passages
        if route_of(passage.exchange, base_path) in off or is_foreign(passage.exchange, base_path)
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
        "attempts": [_attempt(session, attempt, base_path) for attempt in session.attempts],
        "unsupported": list(dict.fromkeys(unsupported)),
        "discovery": [_discovered(exchange) for exchange in discovery(first, base_path)][:_MOST_LISTED]
        if first
        else [],
        "differences": [str(one) for one in differences(profile, first, base_path)] if profile and first else [],
        "hosts": list(session.hosts),
        "requests": len(passages),
        "tokens": session.tokens,
        "seconds": round(session.seconds, 1),
    }


def _attempt(session: Session, attempt: Attempt, base_path: str) -> dict[str, Any]:
    on_route: dict[Route | None, list[str]] = {}
    for passage in attempt.passages:
        on_route.setdefault(route_of(passage.exchange, base_path), []).append(passage.exchange.ref)
    return {
        "base_url": attempt.base_url,
        "works": all(attempt.succeeded(route) for route in session.client.drives),
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


def _discovered(exchange: Exchange) -> Mapping[str, Any]:
    return {
        "request": f"{exchange.request.method} {exchange.request.path}",
        "status": exchange.response.status if exchange.response is not None else None,
        "elapsed_ms": round(exchange.elapsed_ms, 1),
    }
