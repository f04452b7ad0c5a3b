"""What a run will judge: frozen before anything is sent, and made without sending anything."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from gt_conformance.checks import (
    OF_MANY_KEYS,
    TENANT_CHECKS,
    Obstacle,
    Subject,
    missing_for,
    row_subjects,
    tenant_subject,
)
from gt_conformance.errors import InputError, Problem
from gt_conformance.runbook import Row, Runbook
from gt_conformance.tenant import Choice, Tenant, choose
from gt_conformance.vocabulary import Verdict


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
class Plan:
    """The rows and tenant checks of a run. Each stands in results.json exactly once, whatever happens."""

    tenant: Tenant
    runbooks: tuple[Runbook, ...]
    rows: tuple[PlannedRow, ...]
    tenant_checks: tuple[PlannedCheck, ...]
    choices: Mapping[str, Choice]

    @cached_property
    def distinct(self) -> tuple[PlannedCheck, ...]:
        """Every different check once, however many rows want it."""
        wanted = [check for row in self.rows for check in row.checks]
        return tuple(sorted(dict.fromkeys([*wanted, *self.tenant_checks]), key=lambda item: item.subject.sort_key))

    def planned_row(self, row_id: str) -> PlannedRow:
        """The planned row of that id. Raises KeyError."""
        return self._rows[row_id]

    @cached_property
    def _rows(self) -> dict[str, PlannedRow]:
        return {item.row.id: item for item in self.rows}


def make_plan(
    tenant: Tenant,
    runbooks: Sequence[Runbook],
    *,
    rows: Collection[str] | None = None,
    tenant_checks: Collection[str] = TENANT_CHECKS,
) -> Plan:
    """The plan for these runbooks; ``rows`` (ids) and ``tenant_checks`` narrow it. The order given does not matter."""
    choices = {book.id: choose(tenant, book.id, book.native_routes()) for book in runbooks}
    planned = tuple(
        PlannedRow(row, _row_checks(tenant, book, row, choices[book.id]))
        for book in runbooks
        for row in book.rows
        if rows is None or row.id in rows
    )
    wide = tuple(_tenant_check(tenant, check) for check in TENANT_CHECKS if check in tenant_checks)
    return Plan(tenant, tuple(runbooks), planned, wide, choices)


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
