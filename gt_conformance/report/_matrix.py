"""Runbooks in tables: by route, and by tenant where the document is about several."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby

from gt_conformance.report._cover import Cover, cover
from gt_conformance.report._decision import runbook_decision
from gt_conformance.report._format import tally
from gt_conformance.results import Record, runbook_cases
from gt_conformance.results.case_types import ItemRecord, RowRecord, RunbookRecord
from gt_conformance.vocabulary import Decision, Outcome, Route

_JOINS = "base_url.joins"
NOT_RUN = "not_run"
"""Stands in a cell whose row this run did not select: never an outcome, and never green."""

OPENAI_ROUTES = (Route.MODELS, Route.CHAT, Route.EMBEDDINGS, Route.TRANSCRIPTIONS, Route.SPEECH, Route.IMAGES)
GT_ROUTES = tuple(route for route in Route if route not in OPENAI_ROUTES)


@dataclass(frozen=True, slots=True)
class Cell:
    """One runbook and route, or checklist item. Without it in the record there is nothing to link to."""

    title: str
    name: str
    outcome: str
    verdict: str | None = None
    anchor: str | None = None


@dataclass(frozen=True, slots=True)
class BaseUrl:
    """What of the documented base URL the run found out; ``url`` is one that works, where it knows one."""

    words: str
    url: str | None = None


@dataclass(frozen=True, slots=True)
class Line:
    """One runbook: its cells in the order of the routes, and its rows counted in words.

    ``brief`` where the document has room for the outcomes of its rows only.
    """

    book: RunbookRecord
    decision: Decision
    anchor: str
    cells: tuple[Cell, ...]
    items: tuple[Cell, ...]
    tally: str
    credentials: tuple[str, ...]
    base_url: BaseUrl
    brief: bool

    @property
    def not_run(self) -> tuple[str, ...]:
        """The routes that this run did not select."""
        return tuple(cell.title for cell in self.cells if cell.outcome == NOT_RUN)


@dataclass(frozen=True, slots=True)
class Group:
    """The runbooks of one category."""

    category: str
    lines: tuple[Line, ...]


def matrix(record: Record) -> list[Group]:
    """The groups in the record's order, which is the wiki's."""
    items, whole = item_numbers(record), _fitting(record["runbooks"])
    return [
        Group(category, tuple(_line(record, book, items, brief=book["id"] not in whole) for book in books))
        for category, books in groupby(record["runbooks"], key=lambda book: book["category"])
    ]


_BEYOND = (
    (Decision.NO_GO, (Outcome.VIOLATES,), "violates", "violate"),
    (Decision.NOT_DECIDED, (Outcome.BLOCKED,), "could not be tested", "could not be tested"),
)
_MOST_NAMED = 5


def beyond_the_cells(record: Record) -> str:
    """Which tenant checks decide about a runbook that nothing in its own cells does; empty where there is none."""
    for decided, outcomes, one, several in _BEYOND:
        names = [check["id"] for check in record["tenant_checks"] if check["outcome"] in outcomes]
        hidden = any(
            runbook_decision(record, book) is decided
            and not any(part["outcome"] in outcomes for part in (*book["routes"], *book["checklist"]))
            for book in record["runbooks"]
        )
        if names and hidden:
            more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
            words = f"{', '.join(names[:_MOST_NAMED])}{more} {one if len(names) == 1 else several}"
            return f"Tenant checks have no cell here, and count for every runbook that they protect: {words}."
    return ""


_ROOM, _ROOM_OF_A_LINE = 1_050_000, 900
"""Characters: what the runbooks may take in all, and what each takes of it before it says anything of its checks."""
_WEIGHTS = {Outcome.CONFORMS: 420}
_WEIGHT = 2_400


def _fitting(books: Sequence[RunbookRecord]) -> set[str]:
    """The runbooks for whose checks the document has room: those that something is wrong with come first."""
    room = _ROOM - _ROOM_OF_A_LINE * len(books)
    chosen = set()
    for book in sorted(books, key=lambda book: all(case.outcome is Outcome.CONFORMS for case in runbook_cases(book))):
        room -= _weight(check["outcome"] for case in runbook_cases(book) for check in case.checks)
        if room < 0:
            break
        chosen.add(book["id"])
    return chosen


def _weight(outcomes: Iterable[str]) -> int:
    return sum(_WEIGHTS.get(Outcome(outcome), _WEIGHT) for outcome in outcomes)


def item_numbers(record: Record) -> list[int]:
    """The numbers of the checklist items that were judged for any runbook: the columns that they need."""
    return sorted({item["item"] for book in record["runbooks"] for item in book["checklist"]})


def _line(record: Record, book: RunbookRecord, numbers: list[int], *, brief: bool) -> Line:
    rows = {row["route"]: row for row in book["routes"]}
    items = {item["item"]: item for item in book["checklist"]}
    checks = [check for case in runbook_cases(book) for check in case.checks]
    used = {check["credential"]: None for check in checks if check["credential"]}
    counted = [tally((Outcome(row["outcome"]) for row in book["routes"]), "row")]
    if items:
        counted.append(tally((Outcome(item["outcome"]) for item in book["checklist"]), "checklist item"))
    return Line(
        book,
        decision=runbook_decision(record, book),
        anchor=f"runbook-{book['id']}",
        cells=tuple(_route_cell(route, rows.get(route.value)) for route in Route),
        items=tuple(_item_cell(number, items.get(number)) for number in numbers),
        tally=". ".join(counted),
        credentials=tuple(used),
        base_url=_base_url(book, record["run"]["tenant"]["base_url"]),
        brief=brief,
    )


def _base_url(book: RunbookRecord, address: str) -> BaseUrl:
    # base_url.joins sends a request to the address that the client builds, and compares with the versioned one.
    rows = [(row, check) for row in book["routes"] for check in row["checks"] if check["id"] == _JOINS]
    outcomes = {check["outcome"] for _, check in rows}
    if not outcomes:
        return BaseUrl("whether it works was not asked in this run")
    if outcomes == {Outcome.CONFORMS}:
        return BaseUrl("works on this tenant", address)
    if outcomes <= {Outcome.CONFORMS, Outcome.BLOCKED}:
        return BaseUrl("whether it works could not be tested")
    broken = [row for row, check in rows if check["outcome"] not in {Outcome.CONFORMS, Outcome.BLOCKED}]
    held = all(any(check["outcome"] == Outcome.CONFORMS for check in row["checks"]) for row in broken)
    if held:
        return BaseUrl("works on this tenant; the documented one does not", f"{address}/v1")
    return BaseUrl("does not work on this tenant")


def _route_cell(route: Route, row: RowRecord | None) -> Cell:
    name = route.value.replace("_", " ")
    if row is None:
        return Cell(route.title, name, NOT_RUN)
    return Cell(route.title, name, row["outcome"], row["verdict"], row["id"])


def _item_cell(number: int, item: ItemRecord | None) -> Cell:
    title = f"checklist item {number}"
    return Cell(title, title, NOT_RUN) if item is None else Cell(title, title, item["outcome"], anchor=item["id"])


# -- by tenant


@dataclass(frozen=True, slots=True)
class Column:
    """A tenant: its number, and the prefix of the ids of its report."""

    number: int
    scope: str
    record: Record
    cover: Cover


@dataclass(frozen=True, slots=True)
class Standing:
    """The decision of a runbook on a tenant; without an anchor the tenant's run did not judge it."""

    decision: Decision | None
    anchor: str | None


@dataclass(frozen=True, slots=True)
class Comparison:
    """A runbook: its cells in the order of the tenants."""

    title: str
    category: str
    cells: tuple[Standing, ...]


@dataclass(frozen=True, slots=True)
class Overview:
    """The tenants, and by category the runbooks that any of them was judged for."""

    columns: tuple[Column, ...]
    groups: tuple[tuple[str, tuple[Comparison, ...]], ...]


def overview(records: Sequence[Record], scopes: Sequence[str]) -> Overview:
    """The overview of records of different tenants; ``scopes`` as their reports have them."""
    columns = tuple(
        Column(number, scope, record, cover(record))
        for number, (record, scope) in enumerate(zip(records, scopes, strict=True), start=1)
    )
    books = {book["id"]: book for record in reversed(records) for book in record["runbooks"]}
    order = {book["id"]: None for record in records for book in record["runbooks"]}
    categories = list(dict.fromkeys(books[name]["category"] for name in order))
    listed = sorted((books[name] for name in order), key=lambda book: categories.index(book["category"]))
    groups = tuple(
        (category, tuple(_comparison(book, columns) for book in some))
        for category, some in groupby(listed, key=lambda book: book["category"])
    )
    return Overview(columns, groups)


def _comparison(book: RunbookRecord, columns: Sequence[Column]) -> Comparison:
    cells = []
    for column in columns:
        found = next((item for item in column.record["runbooks"] if item["id"] == book["id"]), None)
        if found is None:
            cells.append(Standing(None, None))
        else:
            cells.append(Standing(runbook_decision(column.record, found), f"{column.scope}runbook-{book['id']}"))
    return Comparison(book["title"], book["category"], tuple(cells))
