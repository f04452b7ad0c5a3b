"""How numbers, moments and outcomes read, the same in every document."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from gt_conformance.results import Record, count
from gt_conformance.results.run_types import OUTCOME_NAMES, RunRecord, Totals
from gt_conformance.vocabulary import Outcome


@dataclass(frozen=True, slots=True)
class Line:
    """A line of text and the style in which a terminal that can shows it."""

    text: str
    style: str = ""


def numbered(number: int, noun: str) -> str:
    """``1 row``, ``2 rows``, ``0 rows``: the number with its noun."""
    return f"{number} {noun if number == 1 else f'{noun}s'}"


def in_words(totals: Totals) -> list[str]:
    """``10 conform``, ``1 violates``, ``2 blocked``: the outcomes that occur."""
    return [f"{totals[name]} {_word(Outcome(name), totals[name])}" for name in OUTCOME_NAMES if totals[name]]


def tally(outcomes: Iterable[Outcome], noun: str) -> str:
    """``9 rows: 3 violate, 6 conform``: the worst first; ``9 rows: all conform``; ``no rows``."""
    found = list(outcomes)
    totals = count(found)
    occurring = [name for name in OUTCOME_NAMES if totals[name]]
    if not occurring:
        return f"no {noun}s"
    if len(occurring) == 1 and len(found) > 1:
        return f"{numbered(len(found), noun)}: all {_word(Outcome(occurring[0]), len(found))}"
    worst_first = sorted(occurring, key=lambda name: list(Outcome).index(Outcome(name)), reverse=True)
    parts = [f"{totals[name]} {_word(Outcome(name), totals[name])}" for name in worst_first]
    return f"{numbered(len(found), noun)}: {', '.join(parts)}"


def _word(outcome: Outcome, number: int) -> str:
    match outcome:
        case Outcome.CONFORMS:
            return "conforms" if number == 1 else "conform"
        case Outcome.VIOLATES:
            return "violates" if number == 1 else "violate"
        case Outcome.BLOCKED | Outcome.UNATTESTED | Outcome.WAIVED:
            return outcome.value


def interruption(run: RunRecord) -> str:
    """``Interrupted by SIGTERM.``: why the run did not come to its end; empty where it did."""
    cause = run.get("interrupted")
    if cause is None:
        return ""
    return "Killed before it ended." if cause == "killed" else f"Interrupted by {cause}."


def profile_name(record: Record) -> str:
    """``GT conformance 2026.11``; ``..., altered`` where a check, a clause or a runbook is another one.

    Empty where an earlier version wrote the record.
    """
    found = record["run"].get("profile")
    if found is None:
        return ""
    return f"{found['name']}, altered" if found["altered"] else found["name"]


def moment(text: str) -> str:
    """``22 November 2026, 21:20 UTC``; the text itself where it is no moment."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return text
    return f"{at.day} {at:%B %Y, %H:%M} UTC"


def seconds(number: float) -> str:
    """``2.8 s``, ``3 min 12 s``."""
    return f"{number:.1f} s" if number < 60 else f"{int(number // 60)} min {int(number % 60)} s"


def format_money(currency: str, amount: float) -> str:
    """``EUR 12.30``, ``EUR 0.0123``: cents, and below one unit four digits behind the point."""
    if 0 < amount < 0.0001:
        return f"less than {currency} 0.0001"
    return f"{currency} {amount:,.2f}" if amount >= 1 or not amount else f"{currency} {amount:.4f}"


def format_cost(currency: str, amount: float, unpriced: Sequence[str]) -> str:
    """The amount of what has a price; where nothing has one, that it is unknown: zero would be read as free."""
    return format_money(currency, amount) if amount or not unpriced else "cost unknown: no price"


def size(number: int) -> str:
    """``646 kB``."""
    for unit, step in (("MB", 1_000_000), ("kB", 1_000)):
        if number >= step:
            return f"{number / step:,.1f} {unit}"
    return numbered(number, "byte")
