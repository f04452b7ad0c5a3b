"""What changed between two records, check by check. It informs, and decides nothing."""

import json
from collections.abc import Mapping
from enum import StrEnum
from typing import NamedTuple

from gt_conformance import results
from gt_conformance.errors import InputError, Location
from gt_conformance.planning import CaseKind
from gt_conformance.results import Record, RecordedCase
from gt_conformance.results.case_types import CheckRecord, RunbookRecord
from gt_conformance.results.record_types import (
    ChangeKind,
    ChangeRecord,
    NamesRecord,
    NumbersRecord,
    RunbookChanges,
    SinceRecord,
    VerdictChange,
)
from gt_conformance.results.run_types import TenantAddress
from gt_conformance.vocabulary import Outcome

_UNTESTED = frozenset({Outcome.BLOCKED, Outcome.UNATTESTED})
_VIOLATED = frozenset({Outcome.VIOLATES, Outcome.WAIVED})


class _Key(NamedTuple):
    """A check, whatever key it used: renaming a key in the tenant file does not change the tenant."""

    runbook: str
    kind: CaseKind
    name: str
    check: str
    parameters: str


class _Placed(NamedTuple):
    place: str
    check: CheckRecord

    @property
    def outcome(self) -> Outcome:
        return Outcome(self.check["outcome"])


def compare(old: Record, new: Record) -> SinceRecord:
    """What changed from the old record to the new one, as ``since`` in results.json (schemas/results.schema.json).

    Nothing is counted as fixed that was not judged again: a violation that is blocked now, or that the new run did not
    select, is listed under ``newly_untested`` or ``not_judged``.
    """
    before, after = _checks(old), _checks(new)
    changes: dict[ChangeKind, list[ChangeRecord]] = {}
    for key in {**after, **before}:
        kind = _kind(before.get(key), after.get(key))
        if kind is not None:
            changes.setdefault(kind, []).append(_change(key, before.get(key), after.get(key)))
    run = old["run"]
    return {
        "run": {
            "id": run["id"],
            "started": run["started"],
            "version": run["version"],
            "tenant": run["tenant"],
        },
        "same_tenant": same_tenant(run["tenant"], new["run"]["tenant"]),
        "new_violations": changes.get("new_violations", []),
        "fixed": changes.get("fixed", []),
        "still_violating": changes.get("still_violating", []),
        "newly_waived": changes.get("newly_waived", []),
        "newly_untested": changes.get("newly_untested", []),
        "newly_tested": changes.get("newly_tested", []),
        "not_judged": changes.get("not_judged", []),
        "checks": _names({key.check for key in before}, {key.check for key in after}),
        "runbooks": _runbooks(old, new),
        "requests": _numbers(old["traffic"]["requests"], new["traffic"]["requests"]),
        "duration_s": _numbers(run["duration_s"], new["run"]["duration_s"]),
    }


def same_tenant(one: TenantAddress, other: TenantAddress) -> bool:
    """Whether two records are of one tenant. The embedded one has another port each time."""
    return one["kind"] == other["kind"] and (one["kind"] == "embedded" or one["base_url"] == other["base_url"])


def _checks(record: Record) -> dict[_Key, _Placed]:
    """Each check by its key; of the same check with two credentials, the worse one."""
    worst: dict[_Key, _Placed] = {}
    for case in results.cases(record):
        for check in case.checks:
            key, placed = _key(case, check), _Placed(case.id, check)
            if key not in worst or Outcome.worst([worst[key].outcome, placed.outcome]) is not worst[key].outcome:
                worst[key] = placed
    return worst


def _key(case: RecordedCase, check: CheckRecord) -> _Key:
    # with which other keys a check tries something is not what makes it another one: a key more is a key more
    parameters = {name: value for name, value in check["parameters"].items() if name != "keys"}
    return _Key(case.runbook, case.kind, case.name, check["id"], json.dumps(parameters, sort_keys=True))


def _kind(before: _Placed | None, after: _Placed | None) -> ChangeKind | None:
    """The kind of change that these two outcomes are; None where they are none. At most one kind applies."""
    was, now = (placed.outcome if placed is not None else None for placed in (before, after))
    if now is None:
        return "not_judged" if was in _VIOLATED and before is not None and before.check["breaches"] else None
    if now is Outcome.VIOLATES:
        return "still_violating" if was is Outcome.VIOLATES else "new_violations"
    if now is Outcome.WAIVED:
        return None if was is Outcome.WAIVED else "newly_waived"
    if now in _UNTESTED:
        return None if was in _UNTESTED else "newly_untested"
    if before is not None and was in _UNTESTED | {Outcome.WAIVED} and not before.check["breaches"]:
        return "newly_tested"
    return "fixed" if was in _VIOLATED else None


def _change(key: _Key, before: _Placed | None, after: _Placed | None) -> ChangeRecord:
    explained = after if after is not None and after.outcome is not Outcome.CONFORMS else before
    latest = after or before
    return {
        "place": latest.place if latest else "",
        "check": key.check,
        "before": before.outcome.value if before else None,
        "after": after.outcome.value if after else None,
        "reason": explained.check["reason"] if explained else "",
        "remedy": explained.check["remedy"] if explained else "",
    }


def _names(before: set[str], after: set[str]) -> NamesRecord:
    return {"added": sorted(after - before), "missing": sorted(before - after)}


def _runbooks(old: Record, new: Record) -> RunbookChanges:
    before = {book["id"]: book for book in old["runbooks"]}
    after = {book["id"]: book for book in new["runbooks"]}
    return {
        **_names(set(before), set(after)),
        "changed": [
            {"id": name, "verdicts": _verdicts(before[name], book)}
            for name, book in after.items()
            if name in before and book["digest"] != before[name]["digest"]
        ],
    }


def _verdicts(before: RunbookRecord, after: RunbookRecord) -> list[VerdictChange]:
    declared: Mapping[str, str] = {row["route"]: row["verdict"] for row in before["routes"]}
    return [
        {"route": row["route"], "before": declared[row["route"]], "after": row["verdict"]}
        for row in after["routes"]
        if row["route"] in declared and row["verdict"] != declared[row["route"]]
    ]


def _numbers(before: float, after: float) -> NumbersRecord:
    return {"before": before, "after": after}


# -- whether what is known fails a run


class FailOn(StrEnum):
    """What ends a run with a failure: whatever is bad, or what nobody accepted of it."""

    ANY = "any"
    NEW = "new"


def require_same_tenant(old: Record, tenant: TenantAddress, where: Location) -> None:
    """Raises InputError where the old record is of another tenant: then everything would be new, or nothing."""
    before = old["run"]["tenant"]
    if not same_tenant(before, tenant):
        raise InputError.of(
            f"this is a record of {_named(before)}, not of {_named(tenant)}: what is new cannot be determined.",
            where=where,
            hint="Name a record of the same tenant, or leave out --fail-on new.",
        )


def _named(tenant: TenantAddress) -> str:
    return "the embedded tenant" if tenant["kind"] == "embedded" else tenant["base_url"]
