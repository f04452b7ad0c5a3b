"""The last nights of each runbook, as a strip: a bar a day, told apart by height as well as by colour."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

from gt_conformance.history import PARTIAL
from gt_conformance.results import Record
from gt_conformance.vocabulary import RunbookOutcome

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
_WORDS = {
    RunbookOutcome.CONFORMANT: "conformant",
    RunbookOutcome.INCOMPLETE: "incomplete",
    RunbookOutcome.NON_CONFORMANT: "non-conformant",
    PARTIAL: "judged in part",
    ABSENT: "not judged",
}


@dataclass(frozen=True, slots=True)
class Bar:
    """A day: where its bar stands and how high it is, in the strip's own units."""

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
    history = record.get("history", [])
    if len(history) < 2:
        return {}
    return {book["id"]: _strip(book["id"], history) for book in record["runbooks"]}


def _strip(runbook: str, history: list[Record]) -> Strip:
    days = [(night["day"], night["runbooks"].get(runbook, ABSENT)) for night in history]
    bars = tuple(
        Bar(day, outcome, number * _STEP, HEIGHTS.get(outcome, 1)) for number, (day, outcome) in enumerate(days)
    )
    return Strip(bars, _in_words(days))


def _in_words(days: list[tuple[str, str]]) -> str:
    counted = Counter(outcome for _, outcome in days)
    parts = [f"{counted[name]} {_WORDS[name]}" for name in _WORDS if counted[name]]
    changed = next((day for (_, before), (day, after) in reversed(list(pairwise(days))) if before != after), None)
    since = f"; as today since {changed}" if changed else ""
    return f"{len(days)} days: {', '.join(parts)}{since}"
