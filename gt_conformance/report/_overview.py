"""Several tenants in one document: what each came to, tenant by runbook."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter

from gt_conformance.report._cover import Cover, cover
from gt_conformance.report._matrix import NOT_RUN
from gt_conformance.results import Record


@dataclass(frozen=True, slots=True)
class Column:
    """A tenant: the number that stands for it, and the beginning of the ids of its report."""

    number: int
    scope: str
    record: Record
    cover: Cover


@dataclass(frozen=True, slots=True)
class Cell:
    """What a runbook came to on a tenant; without an anchor the tenant's run did not judge it."""

    outcome: str
    anchor: str | None


@dataclass(frozen=True, slots=True)
class Line:
    """A runbook: its cells in the order of the tenants."""

    title: str
    category: str
    cells: tuple[Cell, ...]


@dataclass(frozen=True, slots=True)
class Overview:
    """The tenants, and by category the runbooks that any of them was judged for."""

    columns: tuple[Column, ...]
    groups: tuple[tuple[str, tuple[Line, ...]], ...]


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
        (category, tuple(_line(book, columns) for book in some))
        for category, some in groupby(listed, key=itemgetter("category"))
    )
    return Overview(columns, groups)


def _line(book: Record, columns: Sequence[Column]) -> Line:
    cells = []
    for column in columns:
        found = next((item for item in column.record["runbooks"] if item["id"] == book["id"]), None)
        if found is None:
            cells.append(Cell(NOT_RUN, None))
        else:
            cells.append(Cell(found["outcome"], f"{column.scope}runbook-{book['id']}"))
    return Line(book["title"], book["category"], tuple(cells))
