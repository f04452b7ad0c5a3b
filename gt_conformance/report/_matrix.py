"""The matrix: runbooks by category and route, with what is declared and what was found."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from gt_conformance.results import Record
from gt_conformance.vocabulary import Outcome, Route

_JOINS = "base_url.joins"
NOT_RUN = "not_run"
"""Stands in a cell whose row this run did not select: never an outcome, and never green."""

OPENAI_ROUTES = (Route.MODELS, Route.CHAT, Route.EMBEDDINGS, Route.TRANSCRIPTIONS, Route.SPEECH, Route.IMAGES)
GT_ROUTES = tuple(route for route in Route if route not in OPENAI_ROUTES)

_WORST_FIRST = tuple(reversed(Outcome))


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

    book: Mapping[str, Any]
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
    items, address = item_numbers(record), record["run"]["tenant"]["base_url"]
    return [
        Group(category, tuple(_line(book, items, address) for book in books))
        for category, books in groupby(record["runbooks"], key=lambda book: book["category"])
    ]


def item_numbers(record: Record) -> list[int]:
    """The numbers of the checklist items that were judged for any runbook: the columns that they need."""
    return sorted({item["item"] for book in record["runbooks"] for item in book["checklist"]})


def tally(outcomes: Counter[str], total: int, noun: str) -> str:
    """``9 rows: 6 conform, 3 violate``: in words, the worst first; ``9 rows: all conform``."""
    words = {
        Outcome.CONFORMS: ("conforms", "conform"),
        Outcome.VIOLATES: ("violates", "violate"),
        Outcome.BLOCKED: ("blocked", "blocked"),
        Outcome.UNATTESTED: ("unattested", "unattested"),
        Outcome.WAIVED: ("waived", "waived"),
    }
    there = [name for name in _WORST_FIRST if outcomes[name.value]]
    if not there:
        return f"no {noun}s"
    if len(there) == 1 and total > 1:
        parts = [f"all {words[there[0]][1]}"]
    else:
        parts = [f"{outcomes[name.value]} {words[name][outcomes[name.value] != 1]}" for name in there]
    return f"{total} {noun}{'' if total == 1 else 's'}: {', '.join(parts)}"


def _line(book: Mapping[str, Any], numbers: list[int], address: str) -> Line:
    rows = {row["route"]: row for row in book["routes"]}
    items = {item["item"]: item for item in book["checklist"]}
    judged = [*book["routes"], *book["checklist"]]
    used = {check["credential"]: None for part in judged for check in part["checks"] if check["credential"]}
    counted = [tally(Counter(part["outcome"] for part in rows.values()), len(rows), "row")]
    if items:
        counted.append(tally(Counter(part["outcome"] for part in items.values()), len(items), "checklist item"))
    return Line(
        book,
        anchor=f"runbook-{book['id']}",
        cells=tuple(_cell(route.title, rows.get(route.value)) for route in Route),
        items=tuple(_cell(f"checklist item {number}", items.get(number)) for number in numbers),
        tally=". ".join(counted),
        credentials=tuple(used),
        base_url=_base_url(book, address),
    )


def _base_url(book: Mapping[str, Any], address: str) -> BaseUrl:
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


def _cell(title: str, part: Mapping[str, Any] | None) -> Cell:
    if part is None:
        return Cell(title, NOT_RUN)
    return Cell(title, part["outcome"], part.get("verdict"), part["id"])
