"""What a run will judge: frozen before anything is sent, and made without sending anything."""

import difflib
from collections.abc import Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import cache, cached_property
from typing import assert_never

from gt_conformance import resources
from gt_conformance.checks import (
    ATTESTATION,
    BUILT_IN,
    WHOLE_BOUNDARY,
    Boundary,
    Check,
    CheckCall,
    Earlier,
    Parameters,
    Registry,
    boundary_of,
    item_calls,
    row_calls,
    tenant_call,
)
from gt_conformance.errors import InputError, Location, Problem, unknown
from gt_conformance.runbook import ChecklistItem, Row, Runbook
from gt_conformance.tenant import Choice, KeyMapping, Objective, Tenant, choose
from gt_conformance.timing import Past
from gt_conformance.vocabulary import Route, Verdict


class CaseKind(StrEnum):
    """What a case is about."""

    ROW = "row"
    ITEM = "item"
    TENANT = "tenant"
    CLIENT = "client"
    """A row as a real client sees it, which is driven."""


@dataclass(frozen=True)
class Case:
    """One promise that a run judges: a row, a checklist item, a tenant-wide check, or a row for real clients.

    ``subject`` is the row, the item, or the id of the tenant-wide check. ``checks`` are in the order in which reports
    list them; a case for real clients has none before the clients were driven. ``attested`` cases need an attestation
    besides. ``uses`` marks a row whose route the client uses in this deployment, against its verdict.
    """

    kind: CaseKind
    subject: Row | ChecklistItem | str
    promise: str
    checks: tuple[CheckCall, ...] = ()
    attested: bool = False
    uses: bool = False

    @cached_property
    def id(self) -> str:
        """``dify-chat-native``, ``dify-item-2``, ``tenant-key.required``: the pytest id and the id in every report."""
        if self.kind is CaseKind.CLIENT and self.row is not None:
            return f"{self.row.runbook}-client-{self.row.route.value}"
        return self.subject.id if isinstance(self.subject, Row | ChecklistItem) else f"tenant-{self.subject}"

    @property
    def row(self) -> Row | None:
        """The row that it is about."""
        return self.subject if isinstance(self.subject, Row) else None

    @property
    def item(self) -> ChecklistItem | None:
        """The checklist item that it is about."""
        return self.subject if isinstance(self.subject, ChecklistItem) else None

    @property
    def runbook(self) -> str | None:
        """The id of its runbook; a tenant-wide check has none."""
        return self.subject.runbook if isinstance(self.subject, Row | ChecklistItem) else None

    @property
    def route(self) -> Route | None:
        """The route of its row."""
        return self.row.route if self.row is not None else None

    @property
    def verdict(self) -> Verdict | None:
        """The verdict of its row."""
        return self.row.verdict if self.row is not None else None

    @property
    def number(self) -> int | None:
        """The number of its checklist item."""
        return self.item.number if self.item is not None else None


def row_case(row: Row) -> Case:
    """The case of a row, without its checks."""
    return Case(CaseKind.ROW, row, f"{row.route.title} is {row.verdict.value}. {row.integration}")


def item_case(item: ChecklistItem) -> Case:
    """The case of a checklist item, without its checks."""
    return Case(CaseKind.ITEM, item, item.text, attested=ATTESTATION in item.checks)


def tenant_case(check: str, registry: Registry = BUILT_IN) -> Case:
    """The case of a tenant-wide check, without the key that it presents."""
    return Case(CaseKind.TENANT, check, registry[check].claim)


def client_case(row: Row) -> Case:
    """The case of a row that real clients are driven for."""
    return Case(
        CaseKind.CLIENT, row, f"{row.route.title} is {row.verdict.value} for the real client. {row.integration}"
    )


@dataclass(frozen=True)
class Selection:
    """Which part of the runbooks to judge, by ids; what is empty selects all. ``boundary`` selects none of them.

    Then the tenant's boundary alone is judged, over all keys.
    """

    runbooks: tuple[str, ...] = ()
    routes: tuple[Route, ...] = ()
    verdicts: tuple[Verdict, ...] = ()
    boundary: bool = False

    def select_runbooks(self, runbooks: Sequence[Runbook]) -> tuple[Runbook, ...]:
        """The selected runbooks in the order given. Raises InputError for an id that none of them has."""
        known = [book.id for book in runbooks]
        cases = {row.id: book.id for book in runbooks for row in book.rows}
        cases |= {item.id: book.id for book in runbooks for item in book.checklist}
        problems = [
            Problem(f"{name!r} is a row or a checklist item of {cases[name]}, and no runbook.", hint=_SELECT_ROW)
            if name in cases
            else unknown("runbook", name, known)
            for name in self.runbooks
            if name not in known
        ]
        if problems:
            raise InputError(problems)
        return tuple(book for book in runbooks if not self.runbooks or book.id in self.runbooks)

    def takes(self, row: Row) -> bool:
        """Whether its route and its verdict are selected."""
        return (not self.routes or row.route in self.routes) and (not self.verdicts or row.verdict in self.verdicts)


_SELECT_ROW = "Name the runbook, and add --route for one of its rows: items belong to whole runbooks."
EVERYTHING = Selection()


def list_cases(
    runbooks: Sequence[Runbook],
    selection: Selection = EVERYTHING,
    driven: Collection[str] = (),
    registry: Registry = BUILT_IN,
) -> tuple[Case, ...]:
    """The selected cases without their checks: rows, items, tenant-wide checks, rows of runbooks that are ``driven``.

    Checklist items belong to whole runbooks, not to single rows. Raises InputError where no row is left, and for an
    item that names a check which does not exist.
    """
    wide = [registry[check] for check in registry.tenant_wide]
    if selection.boundary:
        return tuple(tenant_case(check.id, registry) for check in wide if check.objective is None)
    books = selection.select_runbooks(runbooks)
    rows = [row for book in books for row in book.rows if selection.takes(row)]
    if not rows:
        raise InputError.of(
            "No row is selected: nothing would be tested.",
            hint="Loosen --runbook, --route and --verdict: together they leave nothing.",
        )
    whole, every = not (selection.routes or selection.verdicts), len(books) == len(runbooks)
    items = [item for book in books for item in book.checklist] if whole else []
    problems = [
        replace(unknown("check", check, sorted(registry.item_ids)), path=item.id)
        for item in items
        for check in item.checks
        if check not in registry.item_ids
    ]
    if problems:
        raise InputError(problems)

    def is_due(check: Check) -> bool:
        if check.objective is not None:
            return (every and whole) or _is_about(check.objective, rows)
        return every or not check.of_all

    return (
        *map(row_case, rows),
        *map(item_case, items),
        *(tenant_case(check.id, registry) for check in wide if is_due(check)),
        *(client_case(row) for row in rows if row.runbook in driven),
    )


def _is_about(objective: Objective, rows: Sequence[Row]) -> bool:
    """Whether what is promised is asked of any of these rows: a run of some runbooks measures their routes alone."""
    own = [row for row in rows if row.route is objective.route and objective.runbook in {None, row.runbook}]
    return any(objective.runbook is not None or row.verdict is not Verdict.NOT_SUPPORTED for row in own)


@dataclass(frozen=True)
class Plan:
    """The cases of a run. Each is in results.json exactly once, whatever happens.

    ``runbooks`` are all that are known, also those of which nothing is selected; ``registry`` has the checks;
    ``earlier`` is what the last recorded run saw, by the fingerprint of the secret with which it did; ``past`` gives
    the recorded runs themselves, as far as somebody asks for them.
    """

    tenant: Tenant
    runbooks: tuple[Runbook, ...]
    cases: tuple[Case, ...]
    choices: Mapping[str, Choice]
    selection: Selection = EVERYTHING
    registry: Registry = BUILT_IN
    earlier: Mapping[str, Earlier] = field(default_factory=dict)
    past: Past = field(default_factory=Past)

    @cached_property
    def distinct(self) -> tuple[CheckCall, ...]:
        """Every different check once, however many cases want it, also where each is blocked for its own reason."""
        # dict.fromkeys keeps the first of equal calls, and with it what blocks that one.
        wanted = dict.fromkeys(call for case in self.cases for call in case.checks)
        return tuple(sorted(wanted, key=lambda call: call.sort_key))

    def nearest(self, check: str, call: CheckCall) -> CheckCall | None:
        """The planned call of that check whose parameters suit this call's best, of the same key where there is one.

        None suits it where a parameter that both set differs: then it is about another client's shape. Of another key
        it is where one key asks for all: what the tenant does to such requests it does to everybody's.
        """
        name = (check, call.credential, call.parameters)
        if name not in self._nearest:
            self._nearest[name] = self._find_nearest(check, call)
        return self._nearest[name]

    def widened(self, call: CheckCall) -> CheckCall | None:
        """The call as a planned one asks by the same key that sends all fields of this one, and most besides.

        What it shows, this one need not send. None where one key does not ask for all runbooks, or nobody sends more.
        """
        if not call.stand_ins:
            return None
        others = (one.parameters for one in self._by_check.get(call.check, ()) if one.credential == call.credential)
        wider = max((one for one in others if one.contains(call.parameters)), key=_by_fields, default=None)
        return None if wider is None else replace(call, parameters=call.parameters.asking_as(wider))

    def _find_nearest(self, check: str, call: CheckCall) -> CheckCall | None:
        suiting = (
            (other.credential == call.credential, likeness, -call.parameters.strangeness(other.parameters), other)
            for other in self._by_check.get(check, ())
            if other.credential == call.credential or other.stand_ins
            if (likeness := call.parameters.likeness(other.parameters)) is not None
        )
        return max(suiting, key=lambda found: found[:3], default=(False, 0, 0, None))[3]

    @cached_property
    def _nearest(self) -> dict[Hashable, CheckCall | None]:
        return {}

    @cached_property
    def _by_check(self) -> dict[str, list[CheckCall]]:
        found: dict[str, list[CheckCall]] = {}
        for call in self.distinct:
            found.setdefault(call.check, []).append(call)
        return found

    def of(self, kind: CaseKind, runbook: str | None = None) -> tuple[Case, ...]:
        """The cases of that kind, in order; those of one runbook where it is named."""
        return tuple(case for case in self.cases if case.kind is kind and (runbook is None or case.runbook == runbook))

    def case(self, case_id: str) -> Case:
        """The case of that id. Raises KeyError."""
        return self._by_id[case_id]

    def book(self, runbook_id: str) -> Runbook:
        """The runbook of that id. Raises StopIteration."""
        return next(book for book in self.runbooks if book.id == runbook_id)

    @cached_property
    def _by_id(self) -> dict[str, Case]:
        return {case.id: case for case in self.cases}


def _by_fields(parameters: Parameters) -> tuple[int, str]:
    return len(parameters.fields), repr(parameters.fields)


def make_plan(
    tenant: Tenant,
    runbooks: Sequence[Runbook],
    cases: Sequence[Case] | None = None,
    *,
    selection: Selection = EVERYTHING,
    registry: Registry = BUILT_IN,
    earlier: Mapping[str, Earlier] | None = None,
    past: Past | None = None,
) -> Plan:
    """The plan for these cases, each with its checks and their keys; without any named, for all that is selected."""
    books = {book.id: as_deployed(tenant, book) for book in runbooks}
    choices = {name: choose(tenant, name, book.native_routes(), book.key_preset) for name, book in books.items()}
    wanted = list_cases(runbooks, selection, registry=registry) if cases is None else cases

    boundary = _boundary_of(tenant, wanted, books, choices)

    @cache
    def by_row(name: str) -> Mapping[Route, tuple[CheckCall, ...]]:
        book = books[name]
        return {row.route: row_calls(tenant, book, row, choices[name], registry, boundary) for row in book.rows}

    def calls(case: Case) -> tuple[CheckCall, ...]:
        match case.subject:
            case _ if case.kind is CaseKind.CLIENT:
                return ()
            case Row(runbook=book) as row:
                return by_row(book)[row.route]
            case ChecklistItem(runbook=book) as item:
                return item_calls(tenant, books[book], item, choices[book], by_row(book), registry, boundary)
            case str(check):
                return (tenant_call(tenant, check, registry, boundary),)
            case subject:
                assert_never(subject)

    def is_used(case: Case) -> bool:
        row = case.row
        return row is not None and books[row.runbook].row(row.route).verdict is not row.verdict

    planned = tuple(replace(case, checks=calls(case), uses=is_used(case)) for case in wanted)
    return Plan(tenant, tuple(runbooks), planned, choices, selection, registry, earlier or {}, past or Past())


def as_deployed(tenant: Tenant, book: Runbook) -> Runbook:
    """The runbook as this tenant's clients use it: what the tenant file says they use is promised here."""
    book = as_entered(tenant, book)
    mapping = tenant.runbooks.get(book.id)
    if mapping is None or not mapping.uses:
        return book
    rows = (
        replace(row, verdict=row.route.promised)
        if row.route in mapping.uses and row.verdict is Verdict.NOT_SUPPORTED
        else row
        for row in book.rows
    )
    return replace(book, rows=tuple(rows))


def as_entered(tenant: Tenant, book: Runbook) -> Runbook:
    """The runbook with the base URL that the tenant file says is entered in its client, in place of the documented."""
    mapping = tenant.runbooks.get(book.id, KeyMapping())
    return book if mapping.base_url is None else replace(book, base_url=mapping.base_url)


def _boundary_of(
    tenant: Tenant, cases: Sequence[Case], books: Mapping[str, Runbook], choices: Mapping[str, Choice]
) -> Boundary:
    """What the runbooks of these cases use, where they are not all: the boundary of the rest is another run's."""
    selected = [name for name in dict.fromkeys(case.runbook for case in cases) if name is not None]
    if not selected:
        return WHOLE_BOUNDARY
    chosen = {name: (books[name], choices[name]) for name in selected}
    return boundary_of(tenant, chosen, whole=len(selected) == len(books))


def require_known_mapping(tenant: Tenant, runbooks: Sequence[Runbook]) -> None:
    """Raises InputError where the tenant file maps keys to a runbook that does not exist: it would go unused.

    One that comes with the suite exists, also where a folder of other runbooks is judged.
    """
    known = {book.id for book in runbooks} | {path.stem for path in resources.runbooks_dir().glob("*.yaml")}
    promised = dict.fromkeys(one.runbook for one in tenant.objectives if one.runbook is not None)
    routes = {route.value for route in Route}
    problems = [
        Problem(
            f"there is no runbook {name!r}.",
            tenant.places.get(f"runbooks.{name}") or Location(tenant.source),
            f"runbooks.{name}",
            hint=f"{_meant(name, known)}Known: {', '.join(sorted(known))}.",
        )
        for name in tenant.runbooks
        if name not in known
    ]
    problems += [
        Problem(
            f"{name!r} is neither a route nor a runbook.",
            tenant.places.get(f"slo.{name}") or Location(tenant.source),
            f"slo.{name}",
            hint=f"{_meant(name, known | routes)}Routes: {', '.join(sorted(routes))}.",
        )
        for name in promised
        if name not in known
    ]
    if problems:
        raise InputError(problems)


def _meant(name: str, known: Collection[str]) -> str:
    near = difflib.get_close_matches(name, sorted(known), n=1)
    return f"Did you mean {near[0]}? " if near else ""
