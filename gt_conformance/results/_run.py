"""The record of a run, made once it has ended: what it saw and used, and where the record comes from."""

import getpass
import hashlib
import os
import platform
import socket
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import cast

from gt_conformance import __version__, clients, profile, resources
from gt_conformance.checks import Earlier, Sketch, sketches
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
from gt_conformance.results._times import record_earlier
from gt_conformance.results.record_types import Draft, Record
from gt_conformance.results.run_types import (
    CostRecord,
    CredentialRecord,
    OptionsRecord,
    ProfileRecord,
    ProvenanceRecord,
    RunRecord,
    ShareName,
    SpendingRecord,
    TrafficRecord,
    UsageRecord,
    VectorRecord,
)
from gt_conformance.runner import Runner
from gt_conformance.spending import Cost, Spending, Usage, measure_spending
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


# -- vectors


def vector_records(seen: Sequence[Exchange], key: str) -> list[VectorRecord]:
    """A sketch for each published name that embedded for this key."""
    return [{"model": one.model, "length": one.length, "signs": one.signs} for one in sketches(seen, key)]


def earlier_by_secret(record: Record | None) -> Mapping[str, Earlier]:
    """What a run saw, by the fingerprint of the secret with which it did."""
    if record is None:
        return {}
    return {
        key["fingerprint"]: Earlier(record["run"]["started"][:10], _sketches(key["vectors"]))
        for key in record["credentials"]
        if key["fingerprint"] is not None and "vectors" in key
    }


def _sketches(vectors: Sequence[VectorRecord]) -> Mapping[str, Sketch]:
    return {one["model"]: Sketch(one["model"], one["length"], one["signs"]) for one in vectors}


# -- what a run used and cost


_DIGITS = 9


def spending_record(exchanges: Sequence[Exchange], prices: Prices | None) -> SpendingRecord:
    """What these exchanges used, and might have used."""
    return _as_record(measure_spending(exchanges, prices))


def add_spending(records: Sequence[SpendingRecord | None]) -> SpendingRecord | None:
    """What several parts of a run, or several runs, used together; None where it is not known of one of them.

    The budget of one run is none of several; prices in two currencies have no sum.
    """
    known = [record for record in records if record is not None]
    if not known or len(known) < len(records):
        return None
    currencies = {record["cost"]["currency"] for record in known if "cost" in record}
    parts = [_from_record(record, is_priced=len(currencies) == 1) for record in known]
    added = _as_record(sum(parts, Spending()))
    budgets = [record["max_tokens"] for record in known if "max_tokens" in record]
    if len(budgets) == 1:
        added["max_tokens"] = budgets[0]
    return added


def _as_record(spending: Spending) -> SpendingRecord:
    record: SpendingRecord = {
        "used": _usage(spending.used),
        "counted": _usage(spending.counted),
        "worst": _usage(spending.worst),
        "unstated": spending.unstated,
    }
    if spending.cost is not None:
        record["cost"] = {
            "currency": spending.cost.currency,
            "used": round(spending.cost.used, _DIGITS),
            "counted": round(spending.cost.counted, _DIGITS),
            "worst": round(spending.cost.worst, _DIGITS),
            "unpriced": list(spending.cost.unpriced),
        }
    return record


def _from_record(record: SpendingRecord, *, is_priced: bool) -> Spending:
    cost = _cost(record["cost"]) if is_priced and "cost" in record else None
    used, counted, worst = (Usage(**record[name]) for name in ("used", "counted", "worst"))
    return Spending(used, counted, worst, record["unstated"], cost)


def _cost(record: CostRecord) -> Cost:
    return Cost(record["currency"], record["used"], record["counted"], record["worst"], tuple(record["unpriced"]))


def _usage(usage: Usage) -> UsageRecord:
    found = {name: getattr(usage, name) for name in UsageRecord.__annotations__}
    return cast("UsageRecord", {**found, "audio_s": round(usage.audio_s, 3)})


# -- where a record comes from


_PACKAGE = Path(__file__).resolve().parents[1]
_DIGESTED = frozenset({".py", ".json", ".yaml", ".html", ".css", ".js", ".j2"})


def provenance(environment: Mapping[str, str] | None = None) -> ProvenanceRecord:
    """What is known of this process."""
    known = os.environ if environment is None else environment
    by, job = _job(known)
    return {
        "suite": suite_digest(),
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "platform": f"{platform.system()} {platform.machine()}",
        "vantage": socket.gethostname(),
        "by": by,
        "job": job,
    }


@cache
def suite_digest() -> str:
    """The digest of this suite's own files: its code and its schemas, the same for a wheel and the checkout of it."""
    whole = hashlib.sha256()
    for name, path in sorted(_own_files()):
        with open(path, "rb") as file:  # noqa: PTH123 - some hundred files, as fast as can be
            whole.update(f"{name} {hashlib.sha256(file.read()).hexdigest()}\n".encode())
    return whole.hexdigest()


def _own_files() -> Iterator[tuple[str, str]]:
    for top, name in ((_PACKAGE, "gt_conformance"), (resources.schemas_dir(), "schemas")):
        for folder, folders, files in os.walk(top):
            if folder == str(top) and "_data" in folders:
                folders.remove("_data")
            inner = folder[len(str(top)) :].replace(os.sep, "/")
            for file in files:
                if os.path.splitext(file)[1] in _DIGESTED:  # noqa: PTH122 - as above
                    yield f"{name}{inner}/{file}", os.path.join(folder, file)  # noqa: PTH118 - as above


def _job(known: Mapping[str, str]) -> tuple[str, str | None]:
    """Who, or what, ran it, and the address of the job where there is one."""
    if known.get("GITHUB_ACTIONS") == "true":
        run = f"{known.get('GITHUB_REPOSITORY', '?')} run {known.get('GITHUB_RUN_ID', '?')}"
        server = known.get("GITHUB_SERVER_URL", "https://github.com")
        address = f"{server}/{known.get('GITHUB_REPOSITORY', '')}/actions/runs/{known.get('GITHUB_RUN_ID', '')}"
        attempt = known.get("GITHUB_RUN_ATTEMPT", "1")
        return f"GitHub Actions: {run}, attempt {attempt}, job {known.get('GITHUB_JOB', '?')}", address
    if known.get("GITLAB_CI") == "true":
        job = f"{known.get('CI_PROJECT_PATH', '?')} job {known.get('CI_JOB_ID', '?')} ({known.get('CI_JOB_NAME', '?')})"
        return f"GitLab CI: {job}", known.get("CI_JOB_URL")
    if "BUILD_URL" in known and "JENKINS_URL" in known:
        return f"Jenkins: {known.get('BUILD_TAG', '?')}", known["BUILD_URL"]
    if known.get("CI"):
        return "a CI service", None
    try:
        return getpass.getuser(), None
    except (OSError, KeyError):  # a container's user may have no name
        return "somebody without a name", None
