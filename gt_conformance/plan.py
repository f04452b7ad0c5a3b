"""What a run will judge: frozen before anything is sent, and made without sending anything."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from gt_conformance.checks import (
    ATTESTATION,
    TENANT_CHECKS,
    CheckCall,
    item_calls,
    row_calls,
    tenant_call,
)
from gt_conformance.errors import InputError, Problem
from gt_conformance.runbook import ChecklistItem, Row, Runbook
from gt_conformance.tenant import Choice, Tenant, choose


@dataclass(frozen=True)
class PlannedRow:
    """A row with its checks, in the order in which reports show them."""

    row: Row
    checks: tuple[CheckCall, ...]


@dataclass(frozen=True)
class PlannedItem:
    """A checklist item with its checks; ``attested`` where it needs a person's word besides."""

    item: ChecklistItem
    checks: tuple[CheckCall, ...]
    attested: bool


@dataclass(frozen=True)
class Plan:
    """The rows, items and tenant checks of a run. Each stands in results.json exactly once, whatever happens."""

    tenant: Tenant
    runbooks: tuple[Runbook, ...]
    rows: tuple[PlannedRow, ...]
    items: tuple[PlannedItem, ...]
    tenant_checks: tuple[CheckCall, ...]
    choices: Mapping[str, Choice]

    @cached_property
    def distinct(self) -> tuple[CheckCall, ...]:
        """Every different check once, however many rows want it, also where each is blocked for a reason of its own."""
        wanted = [check for row in self.rows for check in row.checks]
        wanted += [check for item in self.items for check in item.checks]
        # dict.fromkeys keeps the first of equal calls, and with it what blocks that one.
        return tuple(sorted(dict.fromkeys([*wanted, *self.tenant_checks]), key=lambda call: call.sort_key))

    def planned_row(self, row_id: str) -> PlannedRow:
        """The planned row of that id. Raises KeyError."""
        return self._rows[row_id]

    def planned_item(self, item_id: str) -> PlannedItem:
        """The planned item of that id. Raises KeyError."""
        return self._items[item_id]

    @cached_property
    def _items(self) -> dict[str, PlannedItem]:
        return {planned.item.id: planned for planned in self.items}

    @cached_property
    def _rows(self) -> dict[str, PlannedRow]:
        return {item.row.id: item for item in self.rows}


def make_plan(
    tenant: Tenant,
    runbooks: Sequence[Runbook],
    *,
    rows: Collection[str] | None = None,
    items: Collection[str] | None = None,
    tenant_checks: Collection[str] = TENANT_CHECKS,
) -> Plan:
    """The plan for these runbooks; ``rows``, ``items`` (ids) and ``tenant_checks`` narrow it, in any order."""
    choices = {book.id: choose(tenant, book.id, book.native_routes()) for book in runbooks}
    planned = tuple(
        PlannedRow(row, row_calls(tenant, book, row, choices[book.id]))
        for book in runbooks
        for row in book.rows
        if rows is None or row.id in rows
    )
    listed = tuple(
        PlannedItem(item, item_calls(tenant, book, item, choices[book.id]), ATTESTATION in item.checks)
        for book in runbooks
        for item in book.checklist
        if items is None or item.id in items
    )
    wide = tuple(tenant_call(tenant, check) for check in TENANT_CHECKS if check in tenant_checks)
    return Plan(tenant, tuple(runbooks), planned, listed, wide, choices)


def check_mapping(tenant: Tenant, runbooks: Sequence[Runbook]) -> None:
    """Raises InputError where the tenant file maps keys to a runbook that does not exist: it would go unused."""
    known = {book.id for book in runbooks}
    unknown = [name for name in tenant.runbooks if name not in known]
    if unknown:
        raise InputError(
            Problem(
                f"{tenant.source} maps keys to the runbook {name!r}, which does not exist.",
                hint=f"Known: {', '.join(sorted(known))}.",
            )
            for name in unknown
        )
