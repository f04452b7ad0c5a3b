"""``gt-conformance plan``: what a run would send and what is missing for it, rehearsed without a socket."""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import click

from gt_conformance.checks import load_extensions
from gt_conformance.cli._options import (
    choosing_runbooks,
    further_checks,
    naming_runbooks,
    own_runbooks,
    split_names,
    taking_latency,
    text_or_json,
)
from gt_conformance.cli._setup import Foretold, Setup
from gt_conformance.exchange import Exchange
from gt_conformance.planning import CaseKind, Plan, Selection
from gt_conformance.report import format_money
from gt_conformance.results import route_title, spending_record
from gt_conformance.runner import Cost
from gt_conformance.schema import count_noun
from gt_conformance.spending import measure_spending, worst_case
from gt_conformance.tenant import TenantKind


@click.command
@naming_runbooks
@click.option("--tenant", metavar="FILE", type=click.Path(path_type=Path), help="Tenant file, as for run.")
@choosing_runbooks()
@own_runbooks
@further_checks
@taking_latency("the tenant")
@text_or_json
def plan(
    words: tuple[str, ...],
    tenant: Path | None,
    chosen: tuple[str, ...],
    runbooks: Path | None,
    modules: tuple[str, ...],
    latency: float,
    output: str,
) -> int:
    """Show which key each runbook uses, what a run would send, and what is missing for a decision.

    It also shows the longest chain of requests, how many must be refused, and the least time at a given latency.
    What is missing is listed once, in two parts: needed for the runbooks, and needed for the tenant's boundary. The
    checks are rehearsed in memory: nothing is sent. Polls and retries of a real tenant add to the numbers.

    \b
    Examples:
      gt-conformance plan --tenant acme.yaml
      gt-conformance plan dify --tenant acme.yaml --latency 1s
    """
    registry = load_extensions(modules)
    wanted = tuple(dict.fromkeys(split_names((*words, *chosen))))
    foretold = Setup(tenant, Selection(runbooks=wanted), runbooks, registry).foretell()
    if output == "json":
        click.echo(json.dumps(_as_json(foretold, latency), indent=2))
        return 0
    for line in (*_describe(foretold.plan, foretold.cost, latency), *foretold.list_needs()):
        click.echo(line)
    return 0


def _as_json(foretold: Foretold, latency_s: float) -> dict[str, Any]:
    """What is described, for programs."""
    plan, cost = foretold.plan, foretold.cost
    return {
        "tenant": {"base_url": plan.tenant.base_url, "kind": plan.tenant.kind.value},
        "runbooks": list(dict.fromkeys(case.runbook for case in plan.of(CaseKind.ROW))),
        "checks": len(plan.distinct),
        "requests": cost.requests,
        "refusals": cost.refusals,
        "longest_chain": cost.longest_chain,
        "least_s": round(cost.least_s(plan.tenant.limits, latency_s), 3),
        "worst_case": _worst_case(plan, cost),
        **foretold.described_needs(),
    }


def _describe(plan: Plan, cost: Cost, latency_s: float) -> Iterator[str]:
    kind = " (EMBEDDED)" if plan.tenant.kind is TenantKind.EMBEDDED else ""
    yield f"Tenant {plan.tenant.base_url}{kind}: nothing is sent."
    rows, items, wide = (plan.of(kind) for kind in (CaseKind.ROW, CaseKind.ITEM, CaseKind.TENANT))
    wanted = [(rows, "row"), (items, "checklist item"), (wide, "tenant check")]
    counted = ", ".join(count_noun(len(cases), noun) for cases, noun in wanted)
    yield f"{counted}: {count_noun(len(plan.distinct), 'different check')}."
    yield ""
    yield "Credentials"
    for runbook in dict.fromkeys(case.runbook for case in rows if case.runbook is not None):
        choice = plan.choices[runbook]
        extension = ", ".join(dict.fromkeys(key.name for key in choice.extension.values()))
        yield f"  {runbook:<20} {choice.own.name if choice.own else 'none':<14} extensions: {extension or 'none'}"
        if choice.note:
            yield f"  {'':<20} {choice.note}"
    yield ""
    yield from _count_requests(plan, cost.exchanges)
    yield from _spend(plan, cost)
    yield from _time(plan, cost, latency_s)


def _worst_case(plan: Plan, cost: Cost) -> dict[str, Any]:
    """What the requests may use at most, for programs."""
    record = spending_record(cost.exchanges, plan.tenant.prices)
    described: dict[str, Any] = {**record["worst"], "largest_request_tokens": _largest(cost)}
    if plan.tenant.limits.max_tokens is not None:
        described["max_tokens"] = plan.tenant.limits.max_tokens
    if "cost" in record:
        described["cost"] = {name: record["cost"][name] for name in ("currency", "worst", "unpriced")}
    return described


def _largest(cost: Cost) -> int:
    """The most tokens of a single request: with less than that left of a budget, it is not sent."""
    return max((worst_case(one.request).tokens for one in cost.exchanges), default=0)


def _spend(plan: Plan, cost: Cost) -> Iterator[str]:
    """What the requests may use at most, in tokens and in money."""
    spending, most = measure_spending(cost.exchanges, plan.tenant.prices), plan.tenant.limits.max_tokens
    worst = spending.worst
    budget = "" if most is None else f" of at most {most:,} (limits.max_tokens)"
    yield (
        f"Tokens: {worst.tokens:,} in the worst case{budget}: {worst.input_tokens:,} sent, and "
        f"{worst.output_tokens:,} allowed for answers; {_largest(cost):,} in the largest request"
    )
    if most is not None and worst.tokens > most:
        yield "  Answers count for the usage that they state. Requests that could exceed the budget are not sent."
    if spending.cost is not None:
        money, without = spending.cost, spending.cost.unpriced
        unpriced = f"; without a price: {', '.join(without)}" if without else ""
        is_known = money.worst or not without
        amount = f"{format_money(money.currency, money.worst)} in the worst case" if is_known else "unknown"
        yield f"Cost: {amount}{unpriced}"


def _time(plan: Plan, cost: Cost, latency_s: float) -> Iterator[str]:
    limits = plan.tenant.limits
    yield f"Refused requests: {cost.refusals} of at most {limits.max_refusals} (limits.max_refusals)"
    yield f"Longest chain: {count_noun(cost.longest_chain, 'request')}, each waiting for the previous one"
    yield (
        f"Least time: {cost.least_s(limits, latency_s):.1f} s if an answer takes {latency_s * 1000:g} ms, "
        f"with at most {count_noun(limits.concurrency, 'request')} in flight at once (limits.concurrency)"
    )


def _count_requests(plan: Plan, exchanges: Sequence[Exchange]) -> Iterator[str]:
    cells: Counter[tuple[str, str]] = Counter()
    for exchange in exchanges:
        route = route_title(exchange.request.method, exchange.request.url, plan.tenant.base_url)
        cells[route, exchange.request.key or "(no key)"] += 1
    routes, keys = Counter[str](), Counter[str]()
    for (route, key), count in cells.items():
        routes[route] += count
        keys[key] += count
    columns = [key for key, _ in keys.most_common()]
    width = max((len(route) for route in routes), default=8)
    yield f"Requests: at least {sum(cells.values())} of at most {plan.tenant.limits.max_requests} (limits.max_requests)"
    yield f"  {'':<{width}}  {'all':>5}  " + "  ".join(f"{key:>{max(4, len(key))}}" for key in columns)
    for route, count in routes.most_common():
        numbers = "  ".join(f"{cells[route, key] or '·':>{max(4, len(key))}}" for key in columns)
        yield f"  {route:<{width}}  {count:>5}  {numbers}"
