"""What a run will judge: frozen before anything is sent, and made without sending anything."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from gt_conformance.checks import (
    ATTESTATION,
    OF_MANY_KEYS,
    TENANT_CHECKS,
    Obstacle,
    Subject,
    item_subjects,
    missing_for,
    row_subjects,
    tenant_subject,
)
from gt_conformance.errors import InputError, Problem
from gt_conformance.runbook import ChecklistItem, Row, Runbook
from gt_conformance.tenant import Choice, Tenant, choose
from gt_conformance.vocabulary import Route, Verdict


@dataclass(frozen=True, slots=True)
class PlannedCheck:
    """A check to be judged; ``obstacle`` says why it is blocked already, without a request."""

    subject: Subject
    obstacle: Obstacle | None = None


@dataclass(frozen=True)
class PlannedRow:
    """A row with its checks, in the order in which reports show them."""

    row: Row
    checks: tuple[PlannedCheck, ...]


@dataclass(frozen=True)
class PlannedItem:
    """A checklist item with its checks; ``attested`` where it needs a person's word besides."""

    item: ChecklistItem
    checks: tuple[PlannedCheck, ...]
    attested: bool


@dataclass(frozen=True)
class Plan:
    """The rows, items and tenant checks of a run. Each stands in results.json exactly once, whatever happens."""

    tenant: Tenant
    runbooks: tuple[Runbook, ...]
    rows: tuple[PlannedRow, ...]
    items: tuple[PlannedItem, ...]
    tenant_checks: tuple[PlannedCheck, ...]
    choices: Mapping[str, Choice]

    @cached_property
    def distinct(self) -> tuple[PlannedCheck, ...]:
        """Every different check once, however many rows want it, also where each is blocked for a reason of its own."""
        wanted = [check for row in self.rows for check in row.checks]
        wanted += [check for item in self.items for check in item.checks]
        first: dict[Subject, PlannedCheck] = {}
        for check in [*wanted, *self.tenant_checks]:
            first.setdefault(check.subject, check)
        return tuple(sorted(first.values(), key=lambda item: item.subject.sort_key))

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
        PlannedRow(row, _row_checks(tenant, book, row, choices[book.id]))
        for book in runbooks
        for row in book.rows
        if rows is None or row.id in rows
    )
    listed = tuple(
        PlannedItem(item, _item_checks(tenant, book, item, choices[book.id]), ATTESTATION in item.checks)
        for book in runbooks
        for item in book.checklist
        if items is None or item.id in items
    )
    wide = tuple(_tenant_check(tenant, check) for check in TENANT_CHECKS if check in tenant_checks)
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


def _row_checks(tenant: Tenant, book: Runbook, row: Row, choice: Choice) -> tuple[PlannedCheck, ...]:
    return tuple(
        PlannedCheck(subject, None if subject.credential else _no_credential(row, choice))
        for subject in row_subjects(tenant, book, row, choice)
    )


def _item_checks(tenant: Tenant, book: Runbook, item: ChecklistItem, choice: Choice) -> tuple[PlannedCheck, ...]:
    by_row = {check.subject: check for row in book.rows for check in _row_checks(tenant, book, row, choice)}
    planned = []
    for subject in item_subjects(tenant, book, item, choice):
        if subject in by_row:
            planned.append(by_row[subject])
        elif subject.check in TENANT_CHECKS:
            planned.append(_tenant_check(tenant, subject.check))
        elif subject.credential is None and subject.check not in OF_MANY_KEYS:
            missing = choice.missing.get(_NEEDS.get(subject.check, Route.CHAT)) or missing_for(subject.check)
            planned.append(PlannedCheck(subject, Obstacle("no credential of the tenant file can serve it", missing)))
        else:
            planned.append(PlannedCheck(subject))
    return tuple(planned)


_NEEDS = {
    "embeddings.after_rotation": Route.EMBEDDINGS,
    "conversation.continuity": Route.CONVERSATION_FILES,
    "conversation.same_key": Route.CONVERSATION_FILES,
}


def _no_credential(row: Row, choice: Choice) -> Obstacle:
    if row.verdict is Verdict.NOT_SUPPORTED:
        return Obstacle(
            "this runbook has no credential of its own that could be refused",
            "Add a live key for this client to the tenant file.",
        )
    return Obstacle(f"no credential reaches {row.route.title}", choice.missing[row.route])


def _tenant_check(tenant: Tenant, check: str) -> PlannedCheck:
    subject = tenant_subject(tenant, check)
    if subject.credential is None and check not in OF_MANY_KEYS:
        return PlannedCheck(
            subject, Obstacle("no credential of the tenant file can serve this check", missing_for(check))
        )
    return PlannedCheck(subject)
