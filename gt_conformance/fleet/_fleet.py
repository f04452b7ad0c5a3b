"""The frozen values of a fleet file: tenants, the gateways they are behind, and which of them are due on a night.

No secret is in any of them: a tenant's own file is read where the tenant is judged.
"""

import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from functools import cached_property
from pathlib import Path

from gt_conformance import tenant as tenants
from gt_conformance.checks import BUILT_IN, Registry
from gt_conformance.companions import Companions
from gt_conformance.errors import InputError, Location, Problem, unknown
from gt_conformance.fleet._template import Template
from gt_conformance.planning import EVERYTHING, Selection
from gt_conformance.runbook import Runbook
from gt_conformance.tenant import Tenant


@dataclass(frozen=True, slots=True)
class Gateway:
    """What all tenants behind one gateway may be sent together."""

    name: str
    requests_per_minute: int
    concurrency: int


@dataclass(frozen=True, slots=True)
class Rule:
    """Tenants with all of these labels are due every so many days, with that selection."""

    labels: Mapping[str, str] = field(default_factory=dict)
    every_days: int = 1
    selection: Selection = EVERYTHING

    def is_due(self, tenant: "FleetTenant", night: date) -> bool:
        """Whether that tenant is due on that night: by the day and the id alone, the same wherever it is asked."""
        matches = all(tenant.labels.get(name) == value for name, value in self.labels.items())
        return matches and (night.toordinal() + _number("night", tenant.id)) % self.every_days == 0


@dataclass(frozen=True)
class FleetTenant:
    """A tenant of a fleet: a stable id, fit for a file name and a host name, and how its tenant file is come by.

    ``words`` are what stands in the places of the placeholders of the ``template``; without one, ``file`` is its own.
    """

    id: str
    name: str
    labels: Mapping[str, str]
    gateway: str | None
    where: Location
    file: Path
    template: Template | None = None
    words: Mapping[str, str] = field(default_factory=dict)

    def load(self, environment: Mapping[str, str], *, rehearsed: bool = False, commands: bool = True) -> Tenant:
        """The tenant of its file, as ``gt_conformance.tenant.from_file`` gives it. Raises InputError."""
        if self.template is None:
            return tenants.from_file(self.file, environment, rehearsed=rehearsed, commands=commands)
        filled = self.template.fill(self.words)
        return tenants.from_document(filled, environment, rehearsed=rehearsed, commands=commands)

    def shard(self, count: int) -> int:
        """In which of so many shards it is: by its id alone, so that a new tenant moves no other."""
        return _number("shard", self.id) % count


def _number(purpose: str, text: str) -> int:
    """A number that a text always has; for another purpose another, so that the two have nothing to do with each."""
    return int.from_bytes(hashlib.sha256(f"{purpose} {text}".encode()).digest()[:8], "big")


def unknown_value(label: str, value: str, known: Collection[str]) -> Problem:
    """A value that the fleet file does not declare for a label."""
    return replace(unknown("value", value, known), message=f"{value!r} is not a value of the label {label!r}.")


@dataclass(frozen=True)
class Fleet:
    """A fleet file. ``companions`` are for the tenants whose own file names none; ``runbooks`` are all there are."""

    path: Path
    tenants: tuple[FleetTenant, ...]
    gateways: Mapping[str, Gateway] = field(default_factory=dict)
    schedule: tuple[Rule, ...] = (Rule(),)
    labels: Mapping[str, tuple[str, ...] | None] = field(default_factory=dict)
    """The labels that tenants may have, and their values; None stands for any."""
    companions: Companions = field(default_factory=Companions)
    runbooks: tuple[Runbook, ...] = ()
    runbooks_dir: Path | None = None
    registry: Registry = BUILT_IN
    checks: tuple[str, ...] = ()
    """The modules of further checks, as the file names them."""
    strict: bool = False
    secrets_at_once: int = 4
    unselected: tuple[FleetTenant, ...] = ()
    """The tenants that ``labelled`` leaves out."""

    @cached_property
    def _by_id(self) -> Mapping[str, FleetTenant]:
        return {tenant.id: tenant for tenant in self.tenants}

    def tenant(self, tenant_id: str) -> FleetTenant:
        """The tenant of that id. Raises InputError."""
        found = self._by_id.get(tenant_id)
        if found is None:
            raise InputError([unknown("tenant", tenant_id, list(self._by_id)[:_MOST_LISTED])])
        return found

    def selection(self, tenant: FleetTenant, night: date) -> Selection | None:
        """What of the tenant is judged on that night; None where it is not due."""
        return next((rule.selection for rule in self.schedule if rule.is_due(tenant, night)), None)

    def shard(self, index: int, count: int) -> tuple[FleetTenant, ...]:
        """The tenants of one of so many shards, counted from 0."""
        return _shard(self.tenants, index, count)

    def unselected_shard(self, index: int, count: int) -> tuple[FleetTenant, ...]:
        """The tenants of that shard that labels leave out."""
        return _shard(self.unselected, index, count)

    def labelled(self, wanted: Sequence[tuple[str, str]]) -> "Fleet":
        """The fleet of the tenants that have all of these labels. Raises InputError where there is none."""
        problems = [unknown("label", name, list(self.labels)) for name, _ in wanted if name not in self.labels]
        for name, value in wanted:
            known = self.labels.get(name)
            if known is not None and value not in known:
                problems.append(unknown_value(name, value, known))
        if problems:
            raise InputError(problems)
        found = tuple(one for one in self.tenants if all(one.labels.get(name) == value for name, value in wanted))
        if not found:
            named = " and ".join(f"{name}={value}" for name, value in wanted)
            raise InputError.of(f"No tenant of {self.path} has {named}: nothing would be judged.")
        chosen = {one.id for one in found}
        return replace(self, tenants=found, unselected=tuple(one for one in self.tenants if one.id not in chosen))


def _shard(tenants: Iterable[FleetTenant], index: int, count: int) -> tuple[FleetTenant, ...]:
    return tuple(tenant for tenant in tenants if tenant.shard(count) == index)


_MOST_LISTED = 20
