"""One record, whether of a run or of a merge: outcomes, evidence levels, totals and scope are computed here only."""

from collections.abc import Mapping, Sequence
from typing import cast

from gt_conformance.exchange import ExchangeRecord
from gt_conformance.judgement import evidence_level
from gt_conformance.planning import CaseKind
from gt_conformance.results._cases import client_totals, count, runbook_cases, totals
from gt_conformance.results._decision import decide, decide_runbook
from gt_conformance.results._findings import find
from gt_conformance.results._times import judge_objectives, measure_times, objectives_in, samples_of
from gt_conformance.results.case_types import CaseRecord, RowRecord, RunbookFacts, RunbookRecord
from gt_conformance.results.record_types import Draft, Record
from gt_conformance.results.run_types import RunRecord, ScopeRecord, ShareName, ShareRecord, TrafficRecord
from gt_conformance.tenant import TenantKind
from gt_conformance.vocabulary import SANDBOX_HEADER, Outcome, Route, RunbookOutcome, Verdict

SCHEMA_VERSION = 1


def build(draft: Draft, known: Mapping[ShareName, int] | None, of_all: int = 0) -> Record:
    """The record of a draft, whose ``run.scope`` is left to this function.

    ``known`` is how many runbooks, rows, items and tenant checks there are to select from. Without it the record has no
    scope: an earlier version did not know it. ``of_all`` of these tenant checks are left to runs of all runbooks.
    """
    clients = draft.get("clients", [])
    driven = {entry["runbook"]: entry["routes"] for entry in clients}
    record: Record = {
        "schema_version": SCHEMA_VERSION,
        "run": _named(draft["run"], draft["exchanges"]),
        "totals": count(()),
        "runbooks": [_concluded(book, driven.get(book["id"], [])) for book in draft["runbooks"]],
        "tenant_checks": draft["tenant_checks"],
        "credentials": draft["credentials"],
        "waiver_problems": draft["waiver_problems"],
        "exchanges": draft["exchanges"],
        "traffic": draft["traffic"],
        "suite_errors": draft["suite_errors"],
    }
    if clients:
        record["clients"] = clients
        record["client_totals"] = client_totals(record)
    if draft.get("footing"):
        record["footing"] = draft["footing"]
    if draft.get("waiver_remarks"):
        record["waiver_remarks"] = draft["waiver_remarks"]
    if "setup" in draft:
        record["setup"] = draft["setup"]
    if "unproven_checks" in draft:
        record["unproven_checks"] = draft["unproven_checks"]
    samples = samples_of(draft["run"], draft["runbooks"], draft["credentials"], draft["exchanges"])
    if (times := measure_times(samples, draft["exchanges"])) is not None:
        record["times"] = times
    if objectives := objectives_in(draft.get("setup"), [check["id"] for check in draft["tenant_checks"]]):
        record["slo"] = judge_objectives(objectives, samples, draft["slo"]["earlier"] if "slo" in draft else ())
    record["totals"] = totals(record)
    if known is not None:
        record["run"] = {**record["run"], "scope": _scope(record, known, of_all)}
    return conclude(record)


def conclude(record: Record) -> Record:
    """The record with its findings and decisions, which follow from its cases."""

    def decided(book: RunbookRecord) -> RunbookRecord:
        copy: RunbookRecord = {**book}
        copy["decision"] = decide_runbook(record, book).value
        return copy

    return {
        **record,
        "decision": decide(record).value,
        "findings": find(record, record.get("footing", []), record["exchanges"]),
        "runbooks": [decided(book) for book in record["runbooks"]],
    }


def complete(
    blank: Record,
    judged: Mapping[tuple[CaseKind, str], CaseRecord],
    *,
    exchanges: Mapping[str, ExchangeRecord],
    traffic: TrafficRecord,
    run: RunRecord,
) -> Record:
    """The record of a run that judged nothing, with the cases that were judged in their places, by kind and id."""

    def found(kind: CaseKind, record: CaseRecord) -> CaseRecord:
        return judged.get((kind, record["id"]), record)

    books = [
        {
            **book,
            "routes": [found(CaseKind.ROW, row) for row in book["routes"]],
            "checklist": [found(CaseKind.ITEM, item) for item in book["checklist"]],
        }
        for book in blank["runbooks"]
    ]
    checks = [found(CaseKind.TENANT, check) for check in blank["tenant_checks"]]
    filled = {**blank, "run": run, "runbooks": books, "tenant_checks": checks}
    # Each record replaces one of its kind and id; whoever reads it from a file validates it besides.
    draft = cast("Draft", {**filled, "exchanges": dict(exchanges), "traffic": traffic})
    return build(draft, None)


def _named(run: RunRecord, exchanges: Mapping[str, ExchangeRecord]) -> RunRecord:
    """The run of the embedded tenant, where any answer carries its mark, whatever the caller took it for."""
    name = SANDBOX_HEADER.lower()
    answers = (exchange["response"] for exchange in exchanges.values())
    if not any(answer is not None and any(key.lower() == name for key, _ in answer["headers"]) for answer in answers):
        return run
    return {**run, "tenant": {**run["tenant"], "kind": TenantKind.EMBEDDED.value}}


def _concluded(book: RunbookFacts, driven: Sequence[RowRecord]) -> RunbookRecord:
    """The runbook with what its rows and items, and the rows of its clients, come to."""
    outcomes = [case.outcome for case in runbook_cases(book)] + [Outcome(row["outcome"]) for row in driven]
    native = {row["route"] for row in book["routes"] if row["verdict"] == Verdict.NATIVE}
    conforming = {row["route"] for row in driven if row["outcome"] == Outcome.CONFORMS}
    level = evidence_level(
        [_tested(row) for row in book["routes"]], len(Route), driven=bool(native) and native <= conforming
    )
    return {**book, "outcome": RunbookOutcome.of(outcomes).value, "evidence_level": level.value}


def _tested(row: RowRecord) -> Outcome:
    """The outcome of a row; blocked where what is waived of it is that it could not be tested."""
    waived = [check for check in row["checks"] if check["outcome"] == Outcome.WAIVED]
    untested = any(check["obstacles"] and not check["breaches"] for check in waived)
    return Outcome.BLOCKED if untested else Outcome(row["outcome"])


def _scope(record: Record, known: Mapping[ShareName, int], of_all: int) -> ScopeRecord:
    books = record["runbooks"]
    wide: ShareRecord = {"selected": len(record["tenant_checks"]), "known": known["tenant_checks"]}
    if of_all:
        wide["of_all"] = of_all
    return {
        "runbooks": {"selected": len(books), "known": known["runbooks"]},
        "rows": {"selected": sum(len(book["routes"]) for book in books), "known": known["rows"]},
        "items": {"selected": sum(len(book["checklist"]) for book in books), "known": known["items"]},
        "tenant_checks": wide,
    }
