"""The record of a run, made once it has ended."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from gt_conformance import __version__, clients, profile
from gt_conformance.exchange import Exchange, ExchangeRecord, as_record, tokens_of
from gt_conformance.judgement import Judgement
from gt_conformance.planning import CaseKind, Plan
from gt_conformance.results._build import build
from gt_conformance.results._judged import (
    CheckRecords,
    client_exchanges,
    client_records,
    footing_records,
    runbook_facts,
    tenant_check_records,
)
from gt_conformance.results._provenance import provenance
from gt_conformance.results._spending import add_spending, spending_record
from gt_conformance.results._times import record_earlier
from gt_conformance.results._vectors import vector_records
from gt_conformance.results.record_types import (
    CredentialRecord,
    Draft,
    OptionsRecord,
    ProfileRecord,
    Record,
    RunRecord,
    ShareName,
    TrafficRecord,
)
from gt_conformance.runner import Runner
from gt_conformance.tenant import Prices
from gt_conformance.waiver import NO_NEWS, WaiverNews

_MOST_ALTERED = 50


@dataclass(frozen=True)
class RunFacts:
    """What the record says of the run itself."""

    id: str
    started: datetime
    finished: datetime
    options: OptionsRecord
    unproven_checks: tuple[str, ...] = ()
    """Checks that no fault of the embedded tenant makes fail."""
    interrupted: str | None = None
    """What ended the run before its end."""


def record(
    runner: Runner,
    facts: RunFacts,
    judgements: Sequence[Judgement],
    *,
    footing: Sequence[Judgement] = (),
    waivers: WaiverNews = NO_NEWS,
    driven: "Sequence[clients.Judged]" = (),
    suite_errors: Sequence[str] = (),
) -> Record:
    """The whole record of a run that has ended. Every planned case is recorded exactly once.

    ``judgements`` are those of the plan's cases, ``footing`` those of the checks that no case names, ``driven`` the
    runbooks whose clients were to be driven.
    """
    plan, checks = runner.plan, CheckRecords()
    by_id = {judged.id: judged for judged in judgements}
    driven = [item.only(by_id).each(lambda judged: by_id[judged.id]) for item in driven]
    exchanges: dict[str, ExchangeRecord] = {
        **runner.evidence(),
        **{exchange.ref: as_record(exchange, runner.redactor) for exchange in client_exchanges(driven)},
    }
    draft: Draft = {
        "run": _run(runner, facts),
        "runbooks": runbook_facts(plan, judgements, checks),
        "tenant_checks": tenant_check_records(judgements, checks),
        "clients": client_records(driven, plan.tenant, checks),
        "credentials": _credentials(plan, runner.seen),
        "waiver_problems": [str(problem) for problem in waivers.problems],
        "exchanges": exchanges,
        "traffic": {
            **_measure_run(runner),
            "slowest_ms": max((exchange["elapsed_ms"] for exchange in exchanges.values()), default=0.0),
        },
        "suite_errors": list(suite_errors),
        "footing": footing_records(footing, checks),
        "unproven_checks": list(facts.unproven_checks),
    }
    if plan.tenant.declared is not None:
        draft["setup"] = dict(plan.tenant.declared)
    if plan.past.used:
        draft["slo"] = {"objectives": [], "earlier": record_earlier(plan.past, plan.tenant.objectives)}
    if waivers.remarks:
        draft["waiver_remarks"] = [str(remark) for remark in waivers.remarks]
    made = build(draft, _known(plan), _count_left(plan))
    cleaned: Record = runner.redactor.value({**made, "exchanges": {}})
    return {**cleaned, "exchanges": made["exchanges"]}  # which were redacted one by one, as they came


def _run(runner: Runner, facts: RunFacts) -> RunRecord:
    tenant = runner.plan.tenant
    refusal = runner.refusal
    run: RunRecord = {
        "id": facts.id,
        "started": _utc(facts.started),
        "finished": _utc(facts.finished),
        "duration_s": round((facts.finished - facts.started).total_seconds(), 3),
        "version": __version__,
        "tenant": {"base_url": tenant.base_url, "kind": tenant.kind.value, "read_only": tenant.read_only},
        "runbooks_digest": runbooks_digest((book.id, book.digest) for book in runner.plan.runbooks),
        "options": facts.options,
        "refusal": None if refusal is None else {"reason": refusal.reason, "remedy": refusal.remedy},
        "provenance": provenance(),
        "profile": _profile(runner.plan),
    }
    if tenant.name is not None:
        run["tenant"]["name"] = tenant.name
    if facts.interrupted is not None:
        run["interrupted"] = facts.interrupted
    return run


def _profile(plan: Plan) -> ProfileRecord:
    checks = [check for check in plan.registry.checks if check.objective is None]  # which no profile can promise
    used, published = profile.current(checks, plan.runbooks), profile.published()
    return {"name": used.name, "digest": used.digest, "altered": list(used.differences(published))[:_MOST_ALTERED]}


def _count_left(plan: Plan) -> int:
    """How many tenant checks a run of some runbooks leaves to one of all, or measures no route of."""
    planned = {case.subject for case in plan.of(CaseKind.TENANT)}
    wide = [plan.registry[check] for check in plan.registry.tenant_wide]
    return sum(check.of_all if check.objective is None else check.id not in planned for check in wide)


def _known(plan: Plan) -> Mapping[ShareName, int]:
    """How much there is to select from, by an option or by pytest's own ``-k``."""
    return {
        "runbooks": len(plan.runbooks),
        "rows": sum(len(book.rows) for book in plan.runbooks),
        "items": sum(len(book.checklist) for book in plan.runbooks),
        "tenant_checks": len(plan.registry.tenant_wide),
    }


def _utc(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def runbooks_digest(runbooks: Iterable[tuple[str, str]]) -> str:
    """The digest of several runbooks, each by its id and its own digest."""
    whole = hashlib.sha256()
    for name, digest in sorted(runbooks):
        whole.update(f"{name} {digest}\n".encode())
    return whole.hexdigest()


def _credentials(plan: Plan, seen: Sequence[Exchange]) -> list[CredentialRecord]:
    records: list[CredentialRecord] = []
    for key in plan.tenant.credentials.values():
        record: CredentialRecord = {
            "name": key.name,
            "fingerprint": key.secret.fingerprint if key.secret is not None else None,
            "purpose": key.purpose.value if key.purpose else None,
            "scopes": None if key.scopes is None else sorted(scope.value for scope in key.scopes),
            "models": None if key.models is None else sorted(key.models),
            "datasets": None if key.datasets is None else sorted(key.datasets),
            "revoked": key.revoked,
        }
        if vectors := vector_records(seen, key.name):
            record["vectors"] = vectors
        records.append(record)
    return records


# -- traffic


def _measure_run(runner: Runner) -> TrafficRecord:
    """That of a run, with its budget."""
    tenant = runner.plan.tenant
    traffic = measure_traffic(runner.seen, tenant.base_url, tenant.prices)
    if tenant.limits.max_tokens is not None and "spending" in traffic:
        traffic["spending"]["max_tokens"] = tenant.limits.max_tokens
    return traffic


def measure_traffic(exchanges: Sequence[Exchange], base_url: str, prices: Prices | None = None) -> TrafficRecord:
    """Requests with their repetitions, bytes of bodies, tokens as the tenant counts them, and what all of it used."""
    by_route: Counter[str] = Counter()
    sent = received = tokens = requests = 0
    for exchange in exchanges:
        tries = 1 + len(exchange.attempts)
        requests += tries
        by_route[route_title(exchange.request.method, exchange.request.url, base_url)] += tries
        sent += exchange.request.size * tries
        if exchange.response is not None:
            received += len(exchange.response.body)
            tokens += tokens_of(exchange.response)
    return {
        "requests": requests,
        "by_route": most_first(by_route),
        "bytes_sent": sent,
        "bytes_received": received,
        "tokens": tokens,
        "slowest_ms": round(max((exchange.elapsed_ms for exchange in exchanges), default=0.0), 1),
        "spending": spending_record(exchanges, prices),
    }


def add_traffic(traffics: Sequence[TrafficRecord]) -> TrafficRecord:
    """What several parts of a run, or several runs, sent and received together."""
    by_route: Counter[str] = Counter()
    for traffic in traffics:
        by_route.update(traffic["by_route"])
    added: TrafficRecord = {
        "requests": sum(traffic["requests"] for traffic in traffics),
        "by_route": most_first(by_route),
        "bytes_sent": sum(traffic["bytes_sent"] for traffic in traffics),
        "bytes_received": sum(traffic["bytes_received"] for traffic in traffics),
        "tokens": sum(traffic["tokens"] for traffic in traffics),
        "slowest_ms": max((traffic["slowest_ms"] for traffic in traffics), default=0.0),
    }
    if (spending := add_spending([traffic.get("spending") for traffic in traffics])) is not None:
        added["spending"] = spending
    return added


def most_first(by_route: Mapping[str, int]) -> dict[str, int]:
    """The routes with their counts, the largest count first."""
    return dict(sorted(by_route.items(), key=lambda item: (-item[1], item[0])))


def route_title(method: str, url: str, base_url: str) -> str:
    """The route of a request, with ids left out, so that requests can be counted by it."""
    path = url.removeprefix(base_url).partition("?")[0]
    parts = path.split("/")
    place = 2 if parts[1:2] == ["v1"] else 1
    if len(parts) > place + 1 and parts[place] in {"datasets", "files", "uploads"}:
        parts[place + 1] = "{id}"
    return f"{method} {'/'.join(parts) or '/'}"
