"""The clauses of GT's documentation in this run: the checks that carry each, what they came to, and an exchange.

Which faults break a clause is no part of a run: the published profile says it.
"""

import csv
import io
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from gt_conformance.checks import BUILT_IN, Clause, ledger, pages
from gt_conformance.exchange import inert
from gt_conformance.planning import CaseKind
from gt_conformance.profile import published
from gt_conformance.report._findings import Place, placed_checks
from gt_conformance.report._format import numbered
from gt_conformance.results.case_types import CasesRecord, CheckRecord
from gt_conformance.vocabulary import Outcome

NOT_RUN = "not_run"
"""Stands for a check that this run did not ask: never an outcome."""

_WORST_FIRST = (Outcome.VIOLATES, Outcome.WAIVED, Outcome.BLOCKED, Outcome.UNATTESTED, Outcome.CONFORMS, NOT_RUN)
_COUNTED = {
    Outcome.CONFORMS: "conform",
    "partly": "conform as far as they are judged",
    Outcome.VIOLATES: "with a check that violates",
    Outcome.WAIVED: "with a check that is waived",
    Outcome.BLOCKED: "not fully tested",
    NOT_RUN: "not asked in this run",
    "": "without a check",
}


@dataclass(frozen=True, slots=True)
class Carrier:
    """A check that carries a clause: its worst outcome in this run, with the first place of it, and the exchange.

    ``check`` is None where this run did not ask it; ``cases`` counts the cases that did.
    """

    id: str
    outcome: str
    check: CheckRecord | None = None
    place: Place | None = None
    cases: int = 0

    @property
    def where(self) -> str:
        """Its place in a few words: a check of the tenant is named already."""
        if self.place is None:
            return ""
        return "tenant check" if self.place.kind is CaseKind.TENANT else self.place.text

    @property
    def proof(self) -> str | None:
        """The exchange that proves a violation."""
        breaches = self.check["breaches"] if self.check is not None else ()
        return next((item["exchange"] for item in breaches if item["exchange"]), None)


@dataclass(frozen=True, slots=True)
class ClauseLine:
    """A clause, the pages that say it, and the checks that carry it; ``outcome`` is the worst, empty without a check.

    ``reason`` says why it is judged in part, or not at all.
    """

    clause: Clause
    pages: str
    carriers: tuple[Carrier, ...]
    outcome: str
    reason: str
    faults: tuple[str, ...] = ()
    """The faults of the embedded tenant that break it, each of which one of its checks must find."""
    state: str = ""


def clause_lines(record: CasesRecord) -> list[ClauseLine]:
    """Every clause that HTTP can show, in the order of the file."""
    return [line for line in all_clause_lines(record) if line.clause.is_promised]


def all_clause_lines(record: CasesRecord) -> list[ClauseLine]:
    """Every clause, those that only a person can know and those that are left out as well."""
    asked: dict[str, list[tuple[Place, CheckRecord]]] = {}
    for place, check in placed_checks(record):
        asked.setdefault(check["id"], []).append((place, check))
    proofs = published().faults
    lines = []
    for entry in ledger(BUILT_IN):
        carriers = tuple(_carrier(name, asked.get(name, ())) for name in entry.checks)
        cited = ", ".join(_in_words(name) for name in entry.clause.pages)
        faults = tuple(proofs.get(entry.clause.id, {}))
        state = replace(entry, faults=faults).state
        lines.append(ClauseLine(entry.clause, cited, carriers, _worst(carriers), entry.reason, faults, state.value))
    return lines


_COLUMNS = (
    *("clause", "kind", "pages", "says", "coverage", "reason"),
    *("check", "claim", "faults that prove it", "outcome", "cases", "place", "exchange"),
)
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def render_traceability(record: CasesRecord) -> str:
    """traceability.csv: a line for each clause and check that carries it, with its faults and its exchange tonight.

    The last lines count the clauses by how far they are covered. A text that a spreadsheet would take for a formula is
    quoted.
    """
    lines = all_clause_lines(record)
    proofs = published().faults
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(_COLUMNS)
    for line in lines:
        about = (line.clause.id, line.clause.kind, line.pages, line.clause.text, line.state, line.reason)
        faults = proofs.get(line.clause.id, {})
        for carrier in line.carriers:
            proving = [fault for fault, check in faults.items() if check == carrier.id]
            writer.writerow(map(_cell, (*about, *_cells_of(carrier, proving))))
        if not line.carriers:
            writer.writerow(map(_cell, (*about, *[""] * (len(_COLUMNS) - len(about)))))
    for state, number in Counter(line.state for line in lines).items():
        share = f"{number} of {len(lines)} clauses ({100 * number / len(lines):.1f} %)"
        writer.writerow(map(_cell, ("coverage", "", "", share, state, *[""] * (len(_COLUMNS) - 5))))
    return file.getvalue()


def _cells_of(carrier: Carrier, faults: Iterable[str]) -> tuple[str, ...]:
    exchanges = carrier.check["exchanges"] if carrier.check is not None else ()
    exchange = carrier.proof or next(iter(exchanges), "")
    cases = str(carrier.cases) if carrier.cases else ""
    anchor = carrier.place.anchor if carrier.place is not None else ""
    return (carrier.id, BUILT_IN[carrier.id].claim, " ".join(faults), carrier.outcome, cases, anchor, exchange)


def _cell(text: str) -> str:
    flat = str(inert(text))
    return f"'{flat}" if flat.startswith(_FORMULA) else flat


def count_lines(lines: Sequence[ClauseLine]) -> str:
    """``84 clauses: 55 conform, 2 not fully tested``."""
    counted = Counter("partly" if line.reason and line.outcome == Outcome.CONFORMS else line.outcome for line in lines)
    parts = ", ".join(f"{counted[outcome]} {words}" for outcome, words in _COUNTED.items() if counted[outcome])
    return f"{numbered(len(lines), 'clause')}: {parts}"


def describe_coverage(lines: Sequence[ClauseLine]) -> str:
    """``Of 90 clauses: 80 covered, 2 partly covered, 8 left out``: how far what GT documents is judged at all."""
    counted = Counter(line.state for line in lines).most_common()
    parts = [f"{number} {state}" for state, number in counted]
    return f"Of {numbered(len(lines), 'clause')}: {', '.join(parts)}; traceability.csv names the faults."


def _carrier(name: str, asked: Sequence[tuple[Place, CheckRecord]]) -> Carrier:
    if not asked:
        return Carrier(name, NOT_RUN)
    place, check = min(asked, key=lambda placed: _WORST_FIRST.index(placed[1]["outcome"]))
    return Carrier(name, check["outcome"], check, place, len(asked))


def _worst(carriers: Iterable[Carrier]) -> str:
    """One that this run did not ask says nothing beside one that it did."""
    return min((carrier.outcome for carrier in carriers), key=_WORST_FIRST.index, default="")


def _in_words(cited: str) -> str:
    page = pages()[cited.partition(" ")[0]]
    return cited.replace(page.id, page.title, 1)
