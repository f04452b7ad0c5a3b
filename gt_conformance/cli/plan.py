"""``gt-conformance plan``: what a run would send, found out by rehearsing it without a socket."""

import os
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import click

from gt_conformance import resources
from gt_conformance import session as sessions
from gt_conformance import tenant as tenants
from gt_conformance.checks import Registry, load_extensions
from gt_conformance.exchange import Exchange
from gt_conformance.planning import CaseKind, Plan, Selection
from gt_conformance.results import route_title
from gt_conformance.runbook import load_directory
from gt_conformance.runner import Cost
from gt_conformance.tenant import Tenant, TenantKind
from gt_sandbox import EmbeddedTenant


@click.command
@click.option("--tenant", metavar="FILE", type=click.Path(path_type=Path), help="Tenant file, as for run.")
@click.option("--runbook", "runbook_ids", metavar="ID", multiple=True, help="Only this runbook (may be repeated).")
@click.option("--runbooks", metavar="DIR", type=click.Path(path_type=Path), help="A folder of your own runbooks.")
@click.option("--checks", "modules", multiple=True, metavar="MODULE", help="A module of further checks, or its path.")
@click.option(
    "--latency",
    metavar="TIME",
    default="200ms",
    show_default=True,
    callback=lambda _context, _option, text: _seconds(text),
    help="How long the tenant takes for an answer (200ms, 1.5s), for the least time of the run.",
)
def plan(
    tenant: Path | None,
    runbook_ids: tuple[str, ...],
    runbooks: Path | None,
    modules: tuple[str, ...],
    latency: float,
) -> int:
    """Show which credential each runbook takes and how many requests a run would send, per route and credential.

    Shown as well: how many of them wait for one another, how many are to be refused, and the least time at a latency.
    The checks are rehearsed in memory: nothing is sent. Polls and retries of a real tenant add to the numbers.

    \b
    Examples:
      gt-conformance plan --tenant acme.yaml
      gt-conformance plan --tenant acme.yaml --runbook dify --latency 1s
    """
    registry = load_extensions(modules)
    for line in _rehearse(tenant, Selection(runbooks=tuple(runbook_ids)), runbooks, registry, latency):
        click.echo(line)
    return 0


def _seconds(text: str) -> float:
    """``200ms`` or ``1.5s`` in seconds."""
    found = re.fullmatch(r"(\d{1,6}(?:\.\d{1,6})?)(ms|s)", text.strip())
    if found is None:
        raise click.BadParameter(f"{text!r} is no time: write 200ms or 1.5s.")
    return float(found[1]) / (1000 if found[2] == "ms" else 1)


def _rehearse(
    tenant_file: Path | None, selection: Selection, runbooks: Path | None, registry: Registry, latency_s: float
) -> Iterator[str]:
    books = load_directory(runbooks or resources.runbooks_dir())
    selection.select_runbooks(books)  # an id that does not exist, before the tenant is looked for
    tenant = _read_tenant(tenant_file, os.environ)
    planned = sessions.plan(tenant, books, selection=selection, registry=registry)
    yield from _describe(planned, sessions.rehearse(planned), latency_s)


def _read_tenant(tenant_file: Path | None, environment: Mapping[str, str]) -> Tenant:
    if tenant_file is not None:
        return tenants.from_file(tenant_file, environment, rehearsed=True)
    named = tenants.from_environment(environment, rehearsed=True)
    if named is not None:
        return named
    # It has to listen for a moment to have an address; the rehearsal never calls it.
    with EmbeddedTenant() as embedded:
        return tenants.from_mapping(
            embedded.tenant_document(), embedded.secrets, kind=TenantKind.EMBEDDED, name="the embedded tenant"
        )


def _describe(plan: Plan, cost: Cost, latency_s: float) -> Iterator[str]:
    kind = " (EMBEDDED)" if plan.tenant.kind is TenantKind.EMBEDDED else ""
    yield f"Tenant {plan.tenant.base_url}{kind}: nothing is sent."
    rows, items, wide = (plan.of(kind) for kind in (CaseKind.ROW, CaseKind.ITEM, CaseKind.TENANT))
    wanted = f"{len(rows)} rows, {len(items)} checklist items and {len(wide)} tenant checks"
    yield f"{wanted} take {len(plan.distinct)} different checks."
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
    yield from _time(plan, cost, latency_s)
    blocked = [item for item in plan.distinct if item.blocker]
    if blocked:
        yield ""
        yield "Blocked already"
        for item in blocked:
            if item.blocker:
                yield f"  {item.check}: {item.blocker.reason}. {item.blocker.remedy}"


def _time(plan: Plan, cost: Cost, latency_s: float) -> Iterator[str]:
    limits = plan.tenant.limits
    yield f"Refused requests: {cost.refusals} of at most {limits.max_refusals} (limits.max_refusals)"
    yield f"Longest chain: {cost.longest_chain} requests wait for one another"
    yield (
        f"Least time: {cost.least_s(limits, latency_s):.1f} s where an answer takes {latency_s * 1000:g} ms, "
        f"with {limits.concurrency} requests under way at once (limits.concurrency)"
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
