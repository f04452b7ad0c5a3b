"""Runbooks in tables: by route, by day, and by tenant where the document is about several."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise

from gt_conformance.history import PARTIAL
from gt_conformance.report._cover import Cover, cover
from gt_conformance.report._decision import runbook_decision
from gt_conformance.report._format import numbered, tally
from gt_conformance.results import Record, runbook_cases
from gt_conformance.results.record_types import ItemRecord, NightRecord, RowRecord, RunbookRecord
from gt_conformance.vocabulary import Decision, Outcome, Route, RunbookOutcome

_JOINS = "base_url.joins"
NOT_RUN = "not_run"
"""Stands in a cell whose row this run did not select: never an outcome, and never green."""

OPENAI_ROUTES = (Route.MODELS, Route.CHAT, Route.EMBEDDINGS, Route.TRANSCRIPTIONS, Route.SPEECH, Route.IMAGES)
GT_ROUTES = tuple(route for route in Route if route not in OPENAI_ROUTES)


@dataclass(frozen=True, slots=True)
class Cell:
    """One runbook and route, or checklist item. Without it in the record there is nothing to link to."""

    title: str
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
    """One runbook: its cells in the order of the routes, and its rows counted in words."""

    book: RunbookRecord
    decision: Decision
    anchor: str
    cells: tuple[Cell, ...]
    items: tuple[Cell, ...]
    tally: str
    credentials: tuple[str, ...]
    base_url: BaseUrl

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
    items = item_numbers(record)
    return [
        Group(category, tuple(_line(record, book, items) for book in books))
        for category, books in groupby(record["runbooks"], key=lambda book: book["category"])
    ]


def item_numbers(record: Record) -> list[int]:
    """The numbers of the checklist items that were judged for any runbook: the columns that they need."""
    return sorted({item["item"] for book in record["runbooks"] for item in book["checklist"]})


def _line(record: Record, book: RunbookRecord, numbers: list[int]) -> Line:
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
    return Cell(route.title, NOT_RUN) if row is None else Cell(route.title, row["outcome"], row["verdict"], row["id"])


def _item_cell(number: int, item: ItemRecord | None) -> Cell:
    title = f"checklist item {number}"
    return Cell(title, NOT_RUN) if item is None else Cell(title, item["outcome"], anchor=item["id"])


# -- by day

ABSENT = "absent"
"""Stands for a day whose run did not judge the runbook at all."""

HEIGHTS = {
    RunbookOutcome.CONFORMANT: 6,
    RunbookOutcome.INCOMPLETE: 11,
    RunbookOutcome.NON_CONFORMANT: 16,
    PARTIAL: 3,
    ABSENT: 1,
}
_WIDTH, _STEP = 3, 5
_NIGHT_WORDS = {
    RunbookOutcome.CONFORMANT: "all conform",
    RunbookOutcome.INCOMPLETE: "not fully tested",
    RunbookOutcome.NON_CONFORMANT: "with violations",
    PARTIAL: "judged in part",
    ABSENT: "not judged",
}


@dataclass(frozen=True, slots=True)
class Bar:
    """A day: where its bar is and how high it is, in the strip's own units."""

    day: str
    outcome: str
    x: int
    height: int


@dataclass(frozen=True, slots=True)
class Strip:
    """A runbook's days, oldest first, and what they come to in words."""

    bars: tuple[Bar, ...]
    words: str

    @property
    def width(self) -> int:
        """Of the whole strip."""
        return len(self.bars) * _STEP


def nights(record: Record) -> Mapping[str, Strip]:
    """Runbook id to its strip; empty where the record carries no more than its own night."""
    history = record.get("history", ())
    if len(history) < 2:
        return {}
    return {book["id"]: _strip(book["id"], history) for book in record["runbooks"]}


def _strip(runbook: str, history: Sequence[NightRecord]) -> Strip:
    days = [(night["day"], night["runbooks"].get(runbook, ABSENT)) for night in history]
    bars = tuple(
        Bar(day, outcome, number * _STEP, HEIGHTS.get(outcome, 1)) for number, (day, outcome) in enumerate(days)
    )
    return Strip(bars, _nights_in_words(days))


def _nights_in_words(days: Sequence[tuple[str, str]]) -> str:
    counted = Counter(outcome for _, outcome in days)
    parts = [f"{counted[name]} {_NIGHT_WORDS[name]}" for name in _NIGHT_WORDS if counted[name]]
    changed = next((day for (_, before), (day, after) in reversed(list(pairwise(days))) if before != after), None)
    since = f"; as today since {changed}" if changed else ""
    return f"{numbered(len(days), 'day')}: {', '.join(parts)}{since}"


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
