"""Outcomes from the check to the case, the decision of a runbook and of a run, and the exit code that repeats it.

The decision is made here and nowhere else.
"""

from collections.abc import Iterator, Sequence

from gt_conformance.planning import CaseKind
from gt_conformance.results._cases import RecordedCase, cases, is_whole, of_all_in
from gt_conformance.results.case_types import CasesRecord, CheckRecord, ItemRecord, RowRecord, RunbookFacts
from gt_conformance.results.record_types import Record
from gt_conformance.results.run_types import ScopeRecord
from gt_conformance.tenant import objective_of_id
from gt_conformance.vocabulary import ATTESTATION, Decision, Outcome, Verdict


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


# -- decisions


EXIT_CODES = {
    Decision.GO: 0,
    Decision.GO_WITH_EXCEPTIONS: 0,
    Decision.PARTIAL: 0,
    Decision.NO_GO: 1,
    Decision.NOT_DECIDED: 7,
    Decision.UNREACHABLE: 8,
}
SUITE_FAILED = 3
"""Ends a run in which the suite itself failed, whatever else was found."""


def decide(record: Record) -> Decision:
    """The decision of the run: of everything that it judged, real clients included.

    A waiver file that needs correction is a NO-GO whatever else was found, as long as there was anything to be found:
    what it says of the tenant is not true any more, it would hide whatever breaks there next, and only a person can
    correct it. No runbook is to blame for that, so that none becomes a NO-GO by it. Where the suite itself failed, and
    where the record does not hold, nothing is decided.
    """
    if (undecided := _find_undecided(record)) is not None:
        return undecided
    if record["waiver_problems"]:
        return Decision.NO_GO
    found = _by_outcomes([case.outcome for case in cases(record)])
    if found in {None, Decision.GO_WITH_EXCEPTIONS}:
        if "interrupted" in record["run"]:
            return Decision.NOT_DECIDED
        if (
            not record["runbooks"]
            or not all(map(is_whole, record["runbooks"]))
            or not _has_all_tenant_checks(record["run"].get("scope"))
        ):
            return Decision.PARTIAL
    return found or Decision.GO


def decide_runbook(record: Record, book: RunbookFacts) -> Decision:
    """The decision of one runbook of the run: its own cases, and the tenant's boundary, which protects its users.

    So do promises of the tenant's speed, as far as they are about its routes.
    """
    if (undecided := _find_undecided(record)) is not None:
        return undecided
    own = [case.outcome for case in cases(record, book["id"]) if _concerns(case, book)]
    found = _by_outcomes(own)
    if found in {None, Decision.GO_WITH_EXCEPTIONS}:
        if "interrupted" in record["run"]:
            return Decision.NOT_DECIDED
        if not is_whole(book) or not _has_all_tenant_checks(record["run"].get("scope")):
            return Decision.PARTIAL
    return found or Decision.GO


def _concerns(case: RecordedCase, book: RunbookFacts) -> bool:
    """Whether a case is about the runbook: a promise of a route's speed is to those who use that route alone."""
    objective = objective_of_id(case.name) if case.kind is CaseKind.TENANT else None
    if objective is None:
        return True
    used = {row["route"] for row in book["routes"] if row["verdict"] != Verdict.NOT_SUPPORTED or row.get("uses")}
    return objective.runbook in {None, book["id"]} and objective.route.value in used


def exit_code(record: Record) -> int:
    """What the decision means to the shell; 3 where the suite itself failed."""
    return SUITE_FAILED if record["suite_errors"] else EXIT_CODES[decide(record)]


def exit_code_of_all(records: Sequence[Record]) -> int:
    """What the decisions of several tenants mean to the shell: the worst of them; 0 where there is none."""
    return min(map(exit_code, records), key=_WORST_FIRST.index, default=0)


_WORST_FIRST = (
    EXIT_CODES[Decision.NO_GO],
    SUITE_FAILED,
    EXIT_CODES[Decision.UNREACHABLE],
    EXIT_CODES[Decision.NOT_DECIDED],
    EXIT_CODES[Decision.GO],
)
"""What is broken comes before what nothing is known of, and that before what is merely missing."""


def _find_undecided(record: Record) -> Decision | None:
    """Why nothing can be decided, whatever its cases are; None where it can."""
    if record.get("unverified"):
        return Decision.NOT_DECIDED
    if record["run"]["refusal"] is not None:
        return Decision.UNREACHABLE
    return Decision.NOT_DECIDED if record["suite_errors"] else None


def _by_outcomes(outcomes: Sequence[Outcome]) -> Decision | None:
    """What the outcomes alone decide; None where all of them conform."""
    worst = Outcome.worst(outcomes)
    if worst is Outcome.VIOLATES:
        return Decision.NO_GO
    if worst in {Outcome.BLOCKED, Outcome.UNATTESTED}:
        return Decision.NOT_DECIDED
    return Decision.GO_WITH_EXCEPTIONS if worst is Outcome.WAIVED else None


def _has_all_tenant_checks(scope: ScopeRecord | None) -> bool:
    """Whether each was judged that is due: a run of some runbooks leaves some of them to one of all."""
    if scope is None:
        return True
    left = of_all_in(scope) if scope["runbooks"]["selected"] < scope["runbooks"]["known"] else 0
    return scope["tenant_checks"]["selected"] >= scope["tenant_checks"]["known"] - left
