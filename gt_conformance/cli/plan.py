"""``gt-conformance plan``: what a run would send, found out by rehearsing it without a socket."""

import os
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
from gt_conformance.runner import Rehearsal
from gt_conformance.session import Session
from gt_conformance.tenant import Tenant, TenantKind
from gt_sandbox import EmbeddedTenant


@click.command
@click.option("--tenant", metavar="FILE", type=click.Path(path_type=Path), help="Tenant file, as for run.")
@click.option("--runbook", "runbook_ids", metavar="ID", multiple=True, help="Only this runbook (may be repeated).")
@click.option("--runbooks", metavar="DIR", type=click.Path(path_type=Path), help="A folder of your own runbooks.")
@click.option("--checks", "modules", multiple=True, metavar="MODULE", help="A module of further checks, or its path.")
def plan(tenant: Path | None, runbook_ids: tuple[str, ...], runbooks: Path | None, modules: tuple[str, ...]) -> int:
    """Show which credential each runbook takes and how many requests a run would send, per route and credential.

    The checks are rehearsed in memory: nothing is sent. Polls and retries of a real tenant add to the number.

    \b
    Examples:
      gt-conformance plan --tenant acme.yaml
      gt-conformance plan --tenant acme.yaml --runbook dify
    """
    registry = load_extensions(modules)
    for line in _rehearse(tenant, Selection(runbooks=tuple(runbook_ids)), runbooks, registry):
        click.echo(line)
    return 0


def _rehearse(
    tenant_file: Path | None, selection: Selection, runbooks: Path | None, registry: Registry
) -> Iterator[str]:
    books = load_directory(runbooks or resources.runbooks_dir())
    selection.select_runbooks(books)  # an id that does not exist, before the tenant is looked for
    tenant = _read_tenant(tenant_file, os.environ)
    planned = sessions.plan(tenant, books, selection=selection, registry=registry)
    with Session(planned, sender=lambda: Rehearsal(tenant), run_id="rehearsal") as session:
        for call in planned.distinct:
            session.result(call)
    yield from _describe(planned, session.exchanges)


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


def _describe(plan: Plan, exchanges: Sequence[Exchange]) -> Iterator[str]:
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
    yield from _count_requests(plan, exchanges)
    blocked = [item for item in plan.distinct if item.blocker]
    if blocked:
        yield ""
        yield "Blocked already"
        for item in blocked:
            if item.blocker:
                yield f"  {item.check}: {item.blocker.reason}. {item.blocker.remedy}"


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
