"""Folders of fleets: tables of nights in which tenants conform, violate, cannot be judged, or are missing."""

from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

from gt_conformance import table
from gt_conformance.results import Record
from gt_conformance.table import JudgedTenant
from tests import made_records

TONIGHT = date(2026, 11, 27)
LABELS = {"region": "eu", "owner": "team-1"}


def conforming(**run: Any) -> Record:
    """A record of one runbook, which conforms."""
    return made_records.record(made_records.book(), run=run)


def violating(*names: str, severity: str = "high", **more: Any) -> Record:
    """A record in which each of these checks of the chat row violates."""
    broken = [
        made_records.check(
            "violates",
            name,
            breaches=[
                {"expected": "HTTP 200", "found": "HTTP 500", "exchange": "x0001", "severity": severity, **more},
            ],
        )
        for name in names
    ]
    return made_records.record(made_records.book(parts={"chat": broken}))


def blocked(reason: str = "The key is not set.", remedy: str = "Set it.") -> Record:
    """A record in which the chat row could not be tested."""
    check = made_records.check("blocked", obstacles=[{"reason": reason, "remedy": remedy}])
    return made_records.record(made_records.book(parts={"chat": [check]}))


def unreachable() -> Record:
    """A record of a run that no tenant answered."""
    return made_records.refused(conforming())


def judged(name: str, record: Record | str, labels: Mapping[str, str] = LABELS) -> JudgedTenant:
    """A tenant with its record, or with the problem that kept it from having one."""
    found = None if isinstance(record, str) else record
    return JudgedTenant(name, f"Tenant {name}", labels, found, record if isinstance(record, str) else None)


def write_night(
    folder: Path, night: date, tenants: Sequence[JudgedTenant] | Mapping[str, Record | str], part: str = "1"
) -> Path:
    """Write a part of a night; gives its file."""
    some = [judged(*one) for one in tenants.items()] if isinstance(tenants, Mapping) else tenants
    path = folder / table.OUTCOMES / night.isoformat() / f"{part}.parquet"
    table.write(path, night, some)
    return path
