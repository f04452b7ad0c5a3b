"""Whether each tenant of a fleet can be judged, as far as that shows before anything is sent: no secret is read."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date

from gt_conformance import session
from gt_conformance.dated_entries import address_of
from gt_conformance.errors import InputError, Problem
from gt_conformance.fleet._fleet import Fleet, FleetTenant
from gt_conformance.planning import require_known_mapping
from gt_conformance.tenant import Tenant


@dataclass(frozen=True, slots=True)
class Findings:
    """What is wrong with the tenants of a fleet, each problem once, and what may be meant."""

    problems: tuple[Problem, ...]
    remarks: tuple[str, ...]


def lint(fleet: Fleet) -> Findings:
    """Load each tenant, with stand-ins for its secrets, and what people wrote about it."""
    problems: dict[Problem, list[FleetTenant]] = {}
    addresses: dict[str, list[FleetTenant]] = {}
    shared_was_read = False
    for tenant in fleet.tenants:
        try:
            loaded = tenant.load({}, rehearsed=True)
            addresses.setdefault(address_of(loaded), []).append(tenant)
            require_known_mapping(loaded, fleet.runbooks)
            own = loaded.companions.or_else(fleet.companions)
            is_shared = replace(own, history=None) == fleet.companions
            if not (is_shared and shared_was_read):
                shared_was_read |= is_shared
                _read_human_input(fleet, loaded)
        except InputError as error:
            for problem in error.problems:
                problems.setdefault(problem, []).append(tenant)
    return Findings(
        tuple(_of(problem, tenants) for problem, tenants in problems.items()),
        (*_same_address(addresses), *_never_due(fleet)),
    )


def _read_human_input(fleet: Fleet, loaded: Tenant) -> None:
    files = loaded.companions.or_else(fleet.companions)
    session.load_human_input(
        fleet.runbooks,
        files.attestations,
        files.waivers,
        accepted=files.accepted,
        registry=fleet.registry,
        tenant=replace(loaded, companions=files),
    )


def _of(problem: Problem, tenants: list[FleetTenant]) -> Problem:
    """The problem, with whose it is where its file does not say."""
    return replace(problem, message=f"{problem.message} ({_named(tenants)})")


def _same_address(addresses: Mapping[str, list[FleetTenant]]) -> Iterable[str]:
    for address, tenants in addresses.items():
        if len(tenants) > 1:
            yield f"{_named(tenants)} have the same base URL, {address}: is one of them meant to be another?"


def _never_due(fleet: Fleet) -> Iterable[str]:
    nights = max(rule.every_days for rule in fleet.schedule)
    first = date(2026, 1, 1).toordinal()
    never = [
        tenant
        for tenant in fleet.tenants
        if all(fleet.selection(tenant, date.fromordinal(first + night)) is None for night in range(nights))
    ]
    if never:
        verb = "is" if len(never) == 1 else "are"
        yield f"{_named(never)} {verb} never due: no rule of the schedule suits the labels."


_MOST_NAMED = 3


def _named(tenants: list[FleetTenant]) -> str:
    names = [tenant.id for tenant in tenants[:_MOST_NAMED]]
    more = len(tenants) - len(names)
    if more:
        return f"{', '.join(names)} and {more:,} more"
    return " and ".join([", ".join(names[:-1]), names[-1]]) if len(names) > 1 else names[0]
