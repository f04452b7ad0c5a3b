"""What follows from the violations and blockers that a record holds: outcomes, from the check to the case."""

from collections.abc import Iterator, Sequence

from gt_conformance.results.record_types import CasesRecord, CheckRecord, ItemRecord, RowRecord
from gt_conformance.vocabulary import ATTESTATION, Outcome


def outcome_of(check: CheckRecord) -> Outcome:
    """As bad as the worst of what is not waived of it; ``waived`` where all of it is, ``conforms`` where nothing is."""
    untested = Outcome.UNATTESTED if check["id"] == ATTESTATION else Outcome.BLOCKED
    flaws = [(Outcome.VIOLATES, one.get("waiver")) for one in check["breaches"]]
    flaws += [(untested, one.get("waiver")) for one in check["obstacles"]]
    if not flaws:
        return Outcome.CONFORMS
    # An earlier version recorded the waiver of the whole check only.
    left = [outcome for outcome, waiver in flaws if not (waiver or check["waiver"])]
    return Outcome.worst(left) if left else Outcome.WAIVED


def because_of(outcome: Outcome, checks: Sequence[CheckRecord]) -> str:
    """The finding that alone keeps a blocked case from being tested; empty where there is none."""
    reasons = {check.get("because", "") for check in checks if check["outcome"] == outcome}
    return reasons.pop() if outcome is Outcome.BLOCKED and len(reasons) == 1 else ""


def parts_of(record: CasesRecord) -> Iterator[RowRecord | ItemRecord]:
    """The rows and items of a record, and the rows of clients: what has checks, and follows from them."""
    for book in record["runbooks"]:
        yield from book["routes"]
        yield from book["checklist"]
    for entry in record.get("clients", ()):
        yield from entry["routes"]


def settle(record: CasesRecord) -> None:
    """Give each case of a record, and the clients of each runbook, the outcome that its checks have."""
    for part in parts_of(record):
        outcome = Outcome.worst(Outcome(check["outcome"]) for check in part["checks"])
        part["outcome"] = outcome.value
        part.pop("because", None)
        if reason := because_of(outcome, part["checks"]):
            part["because"] = reason
    for entry in record.get("clients", ()):
        entry["outcome"] = Outcome.worst(Outcome(row["outcome"]) for row in entry["routes"]).value
