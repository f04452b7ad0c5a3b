"""The last nights by date: of each runbook, and of each finding. A night without a run is a gap, never a pass."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import pairwise

from gt_conformance.history import NIGHTS, PARTIAL
from gt_conformance.report._findings import Finding
from gt_conformance.report._format import numbered
from gt_conformance.report._times import Course, courses
from gt_conformance.results import Record
from gt_conformance.results.record_types import NightRecord
from gt_conformance.vocabulary import RunbookOutcome

ABSENT = "absent"
"""Stands for a night whose run did not judge the runbook at all."""
NO_RUN = "no_run"
"""Stands for a night without a run."""

HEIGHTS = {
    RunbookOutcome.CONFORMANT: 6,
    RunbookOutcome.INCOMPLETE: 11,
    RunbookOutcome.NON_CONFORMANT: 16,
    PARTIAL: 3,
    ABSENT: 1,
}
_STEP = 5
_WORDS = {
    RunbookOutcome.CONFORMANT: "all conform",
    RunbookOutcome.INCOMPLETE: "not fully tested",
    RunbookOutcome.NON_CONFORMANT: "with violations",
    PARTIAL: "judged in part",
    ABSENT: "not judged",
    NO_RUN: "without a run",
}


@dataclass(frozen=True, slots=True)
class Bar:
    """A night with a run: where its bar is and how high it is, in the strip's own units."""

    day: str
    outcome: str
    x: int
    height: int


@dataclass(frozen=True, slots=True)
class Strip:
    """A runbook's nights, oldest first, each at its date, and what they come to in words."""

    bars: tuple[Bar, ...]
    width: int
    words: str


@dataclass(frozen=True, slots=True)
class Change:
    """What was changed before the run of that day: the suite, the runbooks or the tenant file."""

    day: str
    what: str


@dataclass(frozen=True, slots=True)
class Nights:
    """The nights of a record: by runbook id its strip, by finding id since when and how often, and what changed.

    ``courses`` are how fast each route answered.
    """

    strips: Mapping[str, Strip]
    since: Mapping[str, str]
    changes: tuple[Change, ...]
    words: str
    courses: tuple[Course, ...] = ()


def nights(record: Record, findings: Sequence[Finding]) -> Nights | None:
    """The nights of the last 30 dates that the record carries; None where it carries no more than its own."""
    history = _window(record.get("history", ()))
    if len(history) < 2:
        return None
    days = _dates(history[0]["day"], history[-1]["day"])
    missing = len(days) - len(history)
    gaps = f", {missing} of them without a run" if missing else ""
    return Nights(
        {book["id"]: _strip(book["id"], history, days) for book in record["runbooks"]},
        {finding.id: words for finding in findings if (words := _since(finding, history))},
        tuple(_changes(history)),
        f"{numbered(len(days), 'night')}, {history[0]['day']} to {history[-1]['day']}{gaps}",
        courses(history, days),
    )


def _window(history: Sequence[NightRecord]) -> list[NightRecord]:
    """The nights of the last 30 dates, this one included."""
    if not history:
        return []
    first = date.fromisoformat(history[-1]["day"]) - timedelta(days=NIGHTS - 1)
    return [night for night in history if date.fromisoformat(night["day"]) >= first]


def _dates(first: str, last: str) -> list[str]:
    start, end = date.fromisoformat(first), date.fromisoformat(last)
    return [(start + timedelta(days=number)).isoformat() for number in range((end - start).days + 1)]


def _strip(runbook: str, history: Sequence[NightRecord], days: Sequence[str]) -> Strip:
    judged = {night["day"]: night["runbooks"].get(runbook, ABSENT) for night in history}
    bars = tuple(
        Bar(day, judged[day], number * _STEP, HEIGHTS.get(judged[day], 1))
        for number, day in enumerate(days)
        if day in judged
    )
    return Strip(bars, len(days) * _STEP, _in_words([(day, judged.get(day, NO_RUN)) for day in days]))


def _in_words(days: Sequence[tuple[str, str]]) -> str:
    counted = Counter(outcome for _, outcome in days)
    parts = [f"{counted[name]} {_WORDS[name]}" for name in _WORDS if counted[name]]
    ran = [(day, outcome) for day, outcome in days if outcome != NO_RUN]
    changed = next((day for (_, before), (day, after) in reversed(list(pairwise(ran))) if before != after), None)
    since = f"; as today since {changed}" if changed else ""
    return f"{numbered(len(days), 'night')}: {', '.join(parts)}{since}"


# -- findings


def _since(finding: Finding, history: Sequence[NightRecord]) -> str:
    """``since 2026-11-20, failed 3 of 30 nights``; ``new``; empty where no night says."""
    runbooks = {place.runbook for place in finding.places}
    known = [
        (night["day"], finding.id in night["findings"])
        for night in history
        if "findings" in night and (finding.id in night["findings"] or _could_meet(night, runbooks))
    ]
    if len(known) < 2 or not known[-1][1]:
        return ""
    failed = sum(there for _, there in known)
    if failed == 1:
        return f"new: in none of {numbered(len(known) - 1, 'night')} before"
    begun = next((day for (_, before), (day, _) in reversed(list(pairwise(known))) if not before), None)
    how_often = f"failed {failed} of {numbered(len(known), 'night')}"
    if begun is None:
        return f"since {known[0][0]} or before: {how_often}"
    flaps = sum(not before and after for (_, before), (_, after) in pairwise(known)) > 1 or known[0][1]
    return f"{'on and off, again ' if flaps else ''}since {begun}: {how_often}"


def _could_meet(night: NightRecord, runbooks: set[str]) -> bool:
    """Whether that night judged any of the runbooks that the finding touches: else its absence says nothing."""
    return "" in runbooks or not runbooks or any(name in night["runbooks"] for name in runbooks)


# -- what changed in between


def _changes(history: Sequence[NightRecord]) -> Iterator[Change]:
    for before, after in pairwise(history):
        parts = []
        if before.get("version") and after.get("version") and before["version"] != after["version"]:
            parts.append(f"the suite, {before['version']} to {after['version']}")
        for key, what in (("runbooks_digest", "the runbooks"), ("keys_digest", "the tenant file")):
            values = (before.get(key), after.get(key))
            if all(values) and values[0] != values[1]:
                parts.append(what)
        if parts:
            yield Change(after["day"], ", ".join(parts))
