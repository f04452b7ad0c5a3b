"""A plan rehearsed and told: credentials, requests per route and credential, what is blocked already."""

import difflib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from gt_conformance import plan as planning
from gt_conformance import resources
from gt_conformance import tenant as tenants
from gt_conformance.errors import InputError
from gt_conformance.plan import Plan
from gt_conformance.results import route_title
from gt_conformance.runbook import load_directory
from gt_conformance.runner import Rehearsal, Runner
from gt_conformance.tenant import Tenant, TenantKind
from gt_sandbox import EmbeddedTenant


def rehearsed(
    tenant_file: Path | None, runbook_ids: Sequence[str], runbooks: Path | None, environment: Mapping[str, str]
) -> Iterator[str]:
    """The plan in lines. Raises InputError as a run would."""
    books = load_directory(runbooks or resources.runbooks_dir())
    unknown = [name for name in runbook_ids if name not in {book.id for book in books}]
    if unknown:
        known = [book.id for book in books]
        near = difflib.get_close_matches(unknown[0], known, n=1)
        hint = f"Did you mean {near[0]}? " if near else ""
        raise InputError.of(f"there is no runbook {unknown[0]!r}.", hint=f"{hint}Known: {', '.join(known)}.")
    tenant = _tenant(tenant_file, environment)
    planning.check_mapping(tenant, books)
    rows = {row.id for book in books if not runbook_ids or book.id in runbook_ids for row in book.rows}
    items = {item.id for book in books if not runbook_ids or book.id in runbook_ids for item in book.checklist}
    plan = planning.make_plan(tenant, books, rows=rows, items=items)
    runner = Runner(plan, lambda: Rehearsal(tenant), run_id="rehearsal")
    runner.start()
    for item in plan.distinct:
        runner.result(item)
    runner.stop()
    yield from _told(plan, runner)


def _tenant(tenant_file: Path | None, environment: Mapping[str, str]) -> Tenant:
    if tenant_file is not None:
        return tenants.from_file(tenant_file, environment)
    named = tenants.from_environment(environment)
    if named is not None:
        return named
    # It has to listen for a moment to have an address; the rehearsal never calls it.
    with EmbeddedTenant() as embedded:
        return tenants.from_mapping(
            embedded.tenant_document(), embedded.secrets, kind=TenantKind.EMBEDDED, name="the embedded tenant"
        )


def _told(plan: Plan, runner: Runner) -> Iterator[str]:
    kind = " (EMBEDDED)" if plan.tenant.kind is TenantKind.EMBEDDED else ""
    yield f"Tenant {plan.tenant.base_url}{kind}: nothing is sent."
    wanted = f"{len(plan.rows)} rows, {len(plan.items)} checklist items and {len(plan.tenant_checks)} tenant checks"
    yield f"{wanted} take {len(plan.distinct)} different checks."
    yield ""
    yield "Credentials"
    for runbook in dict.fromkeys(item.row.runbook for item in plan.rows):
        choice = plan.choices[runbook]
        extension = ", ".join(dict.fromkeys(key.name for key in choice.extension.values()))
        yield f"  {runbook:<20} {choice.own.name if choice.own else 'none':<14} extensions: {extension or 'none'}"
        if choice.note:
            yield f"  {'':<20} {choice.note}"
    yield ""
    yield from _requests(plan, runner)
    blocked = [item for item in plan.distinct if item.blocker]
    if blocked:
        yield ""
        yield "Blocked already"
        for item in blocked:
            if item.blocker:
                yield f"  {item.check}: {item.blocker.reason}. {item.blocker.remedy}"


def _requests(plan: Plan, runner: Runner) -> Iterator[str]:
    cells: Counter[tuple[str, str]] = Counter()
    for exchange in runner.seen:
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
