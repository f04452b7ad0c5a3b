"""The frozen values of a fleet file: tenants, the gateways they are behind, and which of them are due on a night.

No secret is in any of them: a tenant is loaded where it is judged.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from gt_conformance.errors import Location
from gt_conformance.planning import EVERYTHING, Selection


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


@dataclass(frozen=True)
class FleetTenant:
    """A tenant of a fleet: a stable id, fit for a file name and a host name, and how its tenant file is come by."""

    id: str
    name: str
    labels: Mapping[str, str]
    gateway: str | None
    where: Location


@dataclass(frozen=True)
class Fleet:
    """A fleet file."""

    path: Path
    tenants: tuple[FleetTenant, ...]
    gateways: Mapping[str, Gateway]
    schedule: tuple[Rule, ...]
