"""The rows of a tenant and a night, made from its record: the tenant itself, its cases, its findings."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, assert_never

from gt_conformance import results
from gt_conformance.exchange import inert, shortened
from gt_conformance.planning import CaseKind
from gt_conformance.results import Record, RecordedCase
from gt_conformance.results.case_types import FindingRecord
from gt_conformance.results.run_types import SELECTION_NAMES
from gt_conformance.table._causes import Words, name_across
from gt_conformance.vocabulary import Actor, Decision, Outcome, Severity

COLUMNS = {
    "night": "DATE",
    "tenant": "VARCHAR",
    "name": "VARCHAR",
    "labels": "MAP(VARCHAR, VARCHAR)",
    "embedded": "BOOLEAN",
    "decision": "VARCHAR",
    "kind": "VARCHAR",
    "case": "VARCHAR",
    "runbook": "VARCHAR",
    "route": "VARCHAR",
    "verdict": "VARCHAR",
    "outcome": "VARCHAR",
    "finding": "VARCHAR",
    "check": "VARCHAR",
    "severity": "VARCHAR",
    "acts": "VARCHAR",
    "says": "VARCHAR",
    "found": "VARCHAR",
    "remedy": "VARCHAR",
    "cases": "INTEGER",
    "selected": "VARCHAR",
    "seconds": "DOUBLE",
    "requests": "BIGINT",
    "tokens": "BIGINT",
    "run": "VARCHAR",
    "started": "TIMESTAMP",
    "version": "VARCHAR",
}
"""The columns of a row and their types in SQL; docs/fleet-report.md says what they hold. Others may follow."""

OF_TENANT = ("tenant", "name", "labels", "embedded", "decision")
"""Those that are the same in every row of a tenant and a night, besides ``night``."""

TENANT, ROW, CLIENT_ROW, ITEM, TENANT_CHECK, FINDING = (
    "tenant",
    "row",
    "client_row",
    "item",
    "tenant_check",
    "finding",
)
KINDS = (TENANT, FINDING, TENANT_CHECK, ROW, ITEM, CLIENT_ROW)
"""The kinds of rows, in the order of a file: what a report reads of many nights comes first, and is read alone."""

LONGEST_TEXT = 400
LONGEST_NAME = 200
_MOST_LABELS = 32
_MOST = 2**62
_MARK = 40
"""The room for what says that a text was cut short."""


@dataclass(frozen=True)
class JudgedTenant:
    """A tenant and what a night made of it: its record, or why there is none. No text of a problem holds a secret."""

    id: str
    name: str
    labels: Mapping[str, str]
    record: Record | None
    problem: str | None


def rows_of(tenant: JudgedTenant) -> Mapping[str, Any]:
    """What is common to all rows of a tenant, and under ``rows`` each of them without what does not apply."""
    record = tenant.record
    decision = Decision.NOT_DECIDED if record is None else results.decide(record)
    return {
        "tenant": _name(tenant.id),
        "name": _name(tenant.name),
        "labels": {_name(key): _name(value) for key, value in sorted(tenant.labels.items())[:_MOST_LABELS]},
        "embedded": record is not None and record["run"]["tenant"]["kind"] == "embedded",
        "decision": decision.value,
        "rows": [_problem_row(tenant)] if record is None else list(_rows(record)),
    }


def _problem_row(tenant: JudgedTenant) -> Mapping[str, Any]:
    return {
        "kind": TENANT,
        "outcome": Outcome.BLOCKED.value,
        "acts": Actor.SETUP.value,
        "severity": Severity.MEDIUM.value,
        "says": _text(tenant.problem or "There is no record of this tenant."),
        "cases": 0,
    }


def _rows(record: Record) -> Iterator[Mapping[str, Any]]:
    findings = results.concluded(record).get("findings", [])
    words = Words(record)
    names = {found["id"]: name_across(found, words) for found in findings}
    known = {found["id"]: found for found in findings}
    judged = list(results.cases(record))
    yield _tenant_row(record, judged, findings[0] if findings else None, names)
    for found in findings:
        yield _finding_row(found, names[found["id"]])
    for case in judged:
        yield _case_row(case, known, names)


def _tenant_row(
    record: Record, judged: list[RecordedCase], first: FindingRecord | None, names: Mapping[str, str]
) -> Mapping[str, Any]:
    """The tenant itself, with the one thing that a reader has to know of it first."""
    run, traffic = record["run"], record["traffic"]
    row: dict[str, Any] = {
        "kind": TENANT,
        "outcome": Outcome.worst(case.outcome for case in judged).value,
        "cases": len(judged),
        "selected": _selected(record),
        "seconds": _seconds(run["duration_s"]),
        "requests": _count(traffic["requests"]),
        "tokens": _count(traffic["tokens"]),
        "run": _name(run["id"]),
        "started": _moment(run["started"]),
        "version": _name(run["version"]),
    }
    if record["suite_errors"]:
        return row | {"says": "The suite itself failed.", "acts": Actor.HERE.value}
    if (refusal := run["refusal"]) is not None:
        acts = refusal.get("acts") or Actor.SETUP.value
        return row | {"says": _text(refusal["reason"]), "remedy": _text(refusal["remedy"]), "acts": acts}
    if record["waiver_problems"] and (first is None or first["outcome"] != Outcome.VIOLATES):
        said = f"A waiver is out of date: {record['waiver_problems'][0]}"
        return row | {"says": _text(said), "acts": Actor.SETUP.value}
    return row if first is None else row | _about(first, names[first["id"]])


def _selected(record: Record) -> str | None:
    """What the run was to judge, where that is less than there is: nights of the same selection can be compared."""
    if not results.is_partial(record):
        return None
    options = record["run"]["options"]
    parts = [f"{name} {', '.join(sorted(options[name]))}" for name in SELECTION_NAMES if options[name]]
    parts += ["boundary"] if options.get("boundary") else []
    return _text("; ".join(parts) or "a part")


def _finding_row(found: FindingRecord, name: str) -> Mapping[str, Any]:
    about = {"kind": FINDING, "outcome": found["outcome"], "cases": len(found["places"]), **_about(found, name)}
    proof = next(iter(found["proofs"]), None)
    return about | {"found": _text(proof["found"])} if proof is not None and proof["expected"] else about


def _about(found: FindingRecord, name: str) -> dict[str, Any]:
    """What a finding says: of a violation the promise, the same for every tenant; else why it was not tested."""
    proof = next(iter(found["proofs"]), None)
    said = found["promise"] if proof is None or proof["expected"] else proof["found"]
    return {
        "finding": _name(name),
        "check": _name(found["check"]),
        "severity": found["severity"],
        "acts": found["acts"],
        "says": _text(said),
        "remedy": _text(found["remedy"]),
    }


def _case_row(case: RecordedCase, known: Mapping[str, FindingRecord], names: Mapping[str, str]) -> Mapping[str, Any]:
    row: dict[str, Any] = {"kind": _kind(case.kind), "case": _name(case.id), "outcome": case.outcome.value}
    if case.runbook:
        row["runbook"] = _name(case.runbook)
    if case.kind in {CaseKind.ROW, CaseKind.CLIENT}:
        row |= {"route": case.name, "verdict": case.id.removeprefix(f"{case.runbook}-{case.name}-")}
    if case.kind is CaseKind.TENANT:
        row["check"] = _name(case.name)
    if case.kind is not CaseKind.ITEM:  # which rests on the checks of rows
        row["seconds"] = _seconds(sum(check["elapsed_ms"] for check in case.checks) / 1000)
    if case.outcome is Outcome.CONFORMS:
        return row
    decisive = next((check for check in case.checks if check["outcome"] == case.outcome), None)
    if decisive is None:
        return row
    row |= {"check": _name(decisive["id"]), "says": _text(decisive["reason"])}
    found = next((known[name] for name in results.findings_of(decisive) if name in known), None)
    if found is None:
        return row
    return row | {"finding": names[found["id"]], "severity": found["severity"], "acts": found["acts"]}


def _kind(kind: CaseKind) -> str:
    match kind:
        case CaseKind.ROW:
            return ROW
        case CaseKind.ITEM:
            return ITEM
        case CaseKind.TENANT:
            return TENANT_CHECK
        case CaseKind.CLIENT:
            return CLIENT_ROW
    assert_never(kind)


def _seconds(number: float) -> float | None:
    """To a hundredth; None where it is not a number, which a column could not hold."""
    return round(number, 2) if math.isfinite(number) else None


def _count(number: int) -> int:
    return max(0, min(number, _MOST))


def _moment(text: str) -> str | None:
    """In UTC; None where it is not a moment: what one record says keeps no other tenant from its row."""
    try:
        return datetime.fromisoformat(text).astimezone(UTC).replace(tzinfo=None).isoformat()
    except (ValueError, OverflowError):
        return None


@lru_cache(8192)
def _text(text: str) -> str:
    return _safe(text, LONGEST_TEXT)


@lru_cache(8192)
def _name(text: str) -> str:
    return _safe(text, LONGEST_NAME)


def _safe(text: str, longest: int) -> str:
    """The text without what affects a reader, cut short before and after: an escape is longer than its character."""
    return shortened(str(inert(shortened(text, longest))), longest + _MARK)
