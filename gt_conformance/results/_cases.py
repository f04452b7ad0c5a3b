"""The cases of a record in one form, whatever their kind, and what they add up to."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple, assert_never

from gt_conformance.planning import CaseKind
from gt_conformance.results.case_types import CasesRecord, CheckRecord, RunbookFacts
from gt_conformance.results.record_types import Record
from gt_conformance.results.run_types import SHARE_NAMES, ScopeRecord, Totals
from gt_conformance.vocabulary import CHECKLIST_LENGTH, Outcome, Route


def noun(kind: CaseKind) -> str:
    """What reports call a case of that kind."""
    match kind:
        case CaseKind.ROW:
            return "row"
        case CaseKind.ITEM:
            return "item"
        case CaseKind.TENANT:
            return "tenant check"
        case CaseKind.CLIENT:
            return "client row"
    assert_never(kind)


class RecordedCase(NamedTuple):
    """A case of a record. ``name`` tells it from the others of its runbook and kind: a route, an item's number."""

    kind: CaseKind
    id: str
    runbook: str
    """The runbook's id; empty for a tenant check."""
    title: str
    """The runbook's title; empty for a tenant check."""
    name: str
    outcome: Outcome
    checks: Sequence[CheckRecord]


def cases(record: CasesRecord, runbook: str | None = None) -> Iterator[RecordedCase]:
    """Every case of the record: tenant checks, then rows and items runbook by runbook, then clients' rows.

    Where a runbook is named, those of other runbooks are left out.
    """
    for check in record["tenant_checks"]:
        name = check["id"]
        yield RecordedCase(CaseKind.TENANT, f"tenant-{name}", "", "", name, Outcome(check["outcome"]), [check])
    for book in record["runbooks"]:
        if runbook in {None, book["id"]}:
            yield from runbook_cases(book)
    for entry in record.get("clients", ()):
        if runbook not in {None, entry["runbook"]}:
            continue
        for row in entry["routes"]:
            outcome = Outcome(row["outcome"])
            yield RecordedCase(
                CaseKind.CLIENT, row["id"], entry["runbook"], entry["title"], row["route"], outcome, row["checks"]
            )


def runbook_cases(book: RunbookFacts) -> Iterator[RecordedCase]:
    """The rows of a runbook, then its checklist items."""
    for row in book["routes"]:
        outcome = Outcome(row["outcome"])
        yield RecordedCase(CaseKind.ROW, row["id"], book["id"], book["title"], row["route"], outcome, row["checks"])
    for item in book["checklist"]:
        outcome, name = Outcome(item["outcome"]), str(item["item"])
        yield RecordedCase(CaseKind.ITEM, item["id"], book["id"], book["title"], name, outcome, item["checks"])


def references(record: CasesRecord) -> Iterator[str]:
    """The exchanges that the cases refer to, as often as they do."""
    for check in (check for case in cases(record) for check in case.checks):
        yield from check["exchanges"]
        said = (*check["breaches"], *check["advisories"], *check.get("remarks", ()))
        yield from (item["exchange"] for item in said if item["exchange"])
    for client in (client for entry in record.get("clients", ()) for client in entry["driven"]):
        yield from (ref for attempt in client["attempts"] for call in attempt["calls"] for ref in call["exchanges"])


def count(outcomes: Iterable[Outcome]) -> Totals:
    """How many there are of each outcome; every outcome is named."""
    counted = Counter(outcomes)
    return {
        "conforms": counted[Outcome.CONFORMS],
        "violates": counted[Outcome.VIOLATES],
        "blocked": counted[Outcome.BLOCKED],
        "unattested": counted[Outcome.UNATTESTED],
        "waived": counted[Outcome.WAIVED],
    }


def totals(record: CasesRecord) -> Totals:
    """The record's ``totals``: rows, items and tenant checks."""
    return count(case.outcome for case in cases(record) if case.kind is not CaseKind.CLIENT)


def client_totals(record: CasesRecord) -> Totals:
    """The record's ``client_totals``: the rows that clients judged."""
    return count(case.outcome for case in cases(record) if case.kind is CaseKind.CLIENT)


def is_whole(book: RunbookFacts) -> bool:
    """Whether all rows and items of a runbook were judged, and not only a selection."""
    return len(book["routes"]) == len(Route) and len(book["checklist"]) == CHECKLIST_LENGTH


def is_partial(record: Record) -> bool:
    """Whether the run judged less than there is to judge, however that was selected."""
    scope = record["run"].get("scope")
    if scope is None:  # an earlier version recorded only the options
        options = record["run"]["options"]
        return bool(options["runbooks"] or options["routes"] or options["verdicts"])
    return any(scope[name]["selected"] < scope[name]["known"] for name in SHARE_NAMES)


def of_all_in(scope: ScopeRecord | None) -> int:
    """How many of the known tenant checks belong to runs of all runbooks only."""
    return 0 if scope is None else scope["tenant_checks"].get("of_all", 0)
