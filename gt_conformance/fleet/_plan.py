"""What a night would send and take, before anything is sent: tenants of one shape are rehearsed once."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from gt_conformance import session
from gt_conformance.fleet._fleet import Fleet, FleetTenant
from gt_conformance.planning import Selection
from gt_conformance.spending import measure_spending
from gt_conformance.tenant import Tenant


@dataclass(frozen=True, slots=True)
class Share:
    """What the tenants behind one gateway take together; ``gateway`` is None for those behind none.

    ``tokens`` and ``money`` (by currency, where tenant files name prices) are the worst case; ``least_s`` is the least
    time in which all of it can be sent.
    """

    gateway: str | None
    tenants: int
    requests: int
    tokens: int
    money: Mapping[str, float]
    least_s: float


@dataclass(frozen=True, slots=True)
class FleetPlan:
    """A night: what is due of how many tenants, by gateway, in how many shapes.

    ``unpriced`` is how many of them name prices, though not for everything that they would be sent.
    """

    due: int
    tenants: int
    shapes: int
    shares: tuple[Share, ...]
    least_s: float
    unpriced: int

    @property
    def requests(self) -> int:
        """All requests."""
        return sum(share.requests for share in self.shares)

    @property
    def tokens(self) -> int:
        """The most tokens that all of it may use."""
        return sum(share.tokens for share in self.shares)

    @property
    def money(self) -> Mapping[str, float]:
        """The most money, by currency."""
        return _add(share.money for share in self.shares)


@dataclass(frozen=True, slots=True)
class _Cost:
    """What one tenant takes."""

    requests: int
    tokens: int
    money: Mapping[str, float]
    is_unpriced: bool
    least_s: float


def plan_night(fleet: Fleet, night: date, *, latency_s: float, at_once: int) -> FleetPlan:
    """What that night would send where each answer takes so long. Raises InputError for a tenant that does not load."""
    costs: dict[str, _Cost] = {}
    found: dict[str | None, list[_Cost]] = {}
    for tenant in fleet.tenants:
        selection = fleet.selection(tenant, night)
        if selection is not None:
            found.setdefault(tenant.gateway, []).append(_cost(fleet, tenant, selection, latency_s, costs))
    shares = tuple(
        _share(fleet, gateway, found[gateway], latency_s) for gateway in [*fleet.gateways, None] if gateway in found
    )
    every = [cost for some in found.values() for cost in some]
    side_by_side = sum(cost.least_s for cost in every) / at_once
    least = max([side_by_side, *(cost.least_s for cost in every), *(share.least_s for share in shares)], default=0.0)
    unpriced = sum(cost.is_unpriced for cost in every)
    return FleetPlan(len(every), len(fleet.tenants), len(costs), shares, least, unpriced)


def _share(fleet: Fleet, name: str | None, costs: list[_Cost], latency_s: float) -> Share:
    requests = sum(cost.requests for cost in costs)
    least = max(cost.least_s for cost in costs)
    if name is not None:
        gateway = fleet.gateways[name]
        least = max(least, requests * latency_s / gateway.concurrency, requests * 60 / gateway.requests_per_minute)
    return Share(
        name, len(costs), requests, sum(cost.tokens for cost in costs), _add(cost.money for cost in costs), least
    )


def _cost(fleet: Fleet, tenant: FleetTenant, selection: Selection, latency_s: float, known: dict[str, _Cost]) -> _Cost:
    loaded = tenant.load({}, rehearsed=True)
    shape = _shape(loaded, selection)
    if shape not in known:
        plan = session.plan(loaded, fleet.runbooks, selection=selection, registry=fleet.registry)
        cost = session.rehearse(plan)
        worst = measure_spending(cost.exchanges, loaded.prices)
        money = {} if worst.cost is None else {worst.cost.currency: worst.cost.worst}
        is_unpriced = worst.cost is not None and bool(worst.cost.unpriced)
        least = cost.least_s(loaded.limits, latency_s)
        known[shape] = _Cost(cost.requests, worst.worst.tokens, money, is_unpriced, least)
    return known[shape]


_NAMES = frozenset({
    "models",
    "unpublished_models",
    "raw_models",
    "internal_datasets",
    "dataset",
    "other_datasets",
    "datasets",
})  # fmt: skip
"""Where a tenant file has names of its own: which of them are the same counts, and not what they are."""


def _shape(tenant: Tenant, selection: Selection) -> str:
    """What tells how many requests a run makes: what the tenant declares, but for its address and its names."""
    numbers: dict[str, int] = {}

    def anonymous(value: Any) -> Any:
        if isinstance(value, str):
            return numbers.setdefault(value, len(numbers))
        if isinstance(value, Mapping):
            return {name: anonymous(inner) for name, inner in value.items()}
        return [anonymous(inner) for inner in value] if isinstance(value, list | tuple) else value

    def shaped(value: Any) -> Any:
        if isinstance(value, Mapping):
            return {name: anonymous(inner) if name in _NAMES else shaped(inner) for name, inner in value.items()}
        return [shaped(inner) for inner in value] if isinstance(value, list | tuple) else value

    declared = {name: value for name, value in (tenant.declared or {}).items() if name not in {"base_url", "name"}}
    versioned = tenant.base_url.rpartition("/")[2]
    return json.dumps([shaped(declared), versioned, selection.runbooks, selection.boundary], sort_keys=True)


def _add(amounts: Iterable[Mapping[str, float]]) -> Mapping[str, float]:
    total: dict[str, float] = {}
    for amount in amounts:
        for currency, value in amount.items():
            total[currency] = total.get(currency, 0.0) + value
    return total
