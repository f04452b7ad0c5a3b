"""Two records, check by check. A check is the same in both where its place, its id and its parameters are."""

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from gt_conformance.results import Record
from gt_conformance.vocabulary import Outcome

_UNTESTED = frozenset({Outcome.BLOCKED, Outcome.UNATTESTED})
_VIOLATED = frozenset({Outcome.VIOLATES, Outcome.WAIVED})


class _Key(NamedTuple):
    """A check, whatever key it used: renaming a key in the tenant file is no change of the tenant."""

    runbook: str
    part: str
    check: str
    parameters: str


class _Seen(NamedTuple):
    place: str
    check: Mapping[str, Any]

    @property
    def outcome(self) -> Outcome:
        return Outcome(self.check["outcome"])


_Change = tuple[_Key, _Seen | None, _Seen | None]


def compare(old: Record, new: Record) -> Record:
    """What changed from the old record to the new one, as ``since`` in results.json (schemas/results.schema.json).

    Nothing is counted as fixed that was not judged again: a violation that is blocked now, or that the new run did not
    select, stands under ``newly_untested`` or ``not_judged``.
    """
    before, after = _checks(old), _checks(new)
    changes = [(key, before.get(key), after.get(key)) for key in {**after, **before}]
    return {
        "run": {name: old["run"][name] for name in ("id", "started", "version", "tenant")},
        "same_tenant": same_tenant(old["run"]["tenant"], new["run"]["tenant"]),
        **{name: [_entry(*change) for change in changes if is_so(*change)] for name, is_so in _KINDS.items()},
        "checks": _names({key.check for key in before}, {key.check for key in after}),
        "runbooks": _runbooks(old, new),
        "requests": _numbers(old["traffic"]["requests"], new["traffic"]["requests"]),
        "duration_s": _numbers(old["run"]["duration_s"], new["run"]["duration_s"]),
    }


def same_tenant(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two records' ``run.tenant`` are one tenant. The embedded one has another port each time."""
    return bool(one["kind"] == other["kind"] and (one["kind"] == "embedded" or one["base_url"] == other["base_url"]))


def _checks(record: Record) -> dict[_Key, _Seen]:
    worst: dict[_Key, _Seen] = {}
    for key, seen in _placed(record):
        if key not in worst or Outcome.worst([worst[key].outcome, seen.outcome]) is not worst[key].outcome:
            worst[key] = seen
    return worst


def _placed(record: Record) -> Iterator[tuple[_Key, _Seen]]:
    for check in record["tenant_checks"]:
        yield _key("", "", check), _Seen(f"tenant-{check['id']}", check)
    for book in record["runbooks"]:
        parts = [(row["route"], row) for row in book["routes"]]
        parts += [(f"item-{item['item']}", item) for item in book["checklist"]]
        for name, part in parts:
            for check in part["checks"]:
                yield _key(book["id"], name, check), _Seen(part["id"], check)
    for entry in record.get("clients", ()):
        for row in entry["routes"]:
            for check in row["checks"]:
                yield _key(entry["runbook"], f"client-{row['route']}", check), _Seen(row["id"], check)


def _key(runbook: str, part: str, check: Mapping[str, Any]) -> _Key:
    return _Key(runbook, part, check["id"], json.dumps(check["parameters"], sort_keys=True))


def _entry(key: _Key, before: _Seen | None, after: _Seen | None) -> Record:
    told = after if after is not None and after.outcome is not Outcome.CONFORMS else before
    there = after or before
    return {
        "place": there.place if there else "",
        "check": key.check,
        "before": before.outcome.value if before else None,
        "after": after.outcome.value if after else None,
        "reason": told.check["reason"] if told else "",
        "remedy": told.check["remedy"] if told else "",
    }


def _new_violation(_: _Key, before: _Seen | None, after: _Seen | None) -> bool:
    return _is(after, Outcome.VIOLATES) and not _is(before, Outcome.VIOLATES)


def _still_violating(_: _Key, before: _Seen | None, after: _Seen | None) -> bool:
    return _is(after, Outcome.VIOLATES) and _is(before, Outcome.VIOLATES)


def _fixed(_: _Key, before: _Seen | None, after: _Seen | None) -> bool:
    return _is(after, Outcome.CONFORMS) and _is(before, *_VIOLATED)


def _newly_waived(_: _Key, before: _Seen | None, after: _Seen | None) -> bool:
    return _is(after, Outcome.WAIVED) and not _is(before, Outcome.WAIVED)


def _newly_untested(_: _Key, before: _Seen | None, after: _Seen | None) -> bool:
    return _is(after, *_UNTESTED) and not _is(before, *_UNTESTED)


def _newly_tested(_: _Key, before: _Seen | None, after: _Seen | None) -> bool:
    return _is(before, *_UNTESTED) and _is(after, Outcome.CONFORMS)


def _not_judged(_: _Key, before: _Seen | None, after: _Seen | None) -> bool:
    return after is None and _is(before, *_VIOLATED)


def _is(seen: _Seen | None, *outcomes: Outcome) -> bool:
    return seen is not None and seen.outcome in outcomes


_KINDS: Mapping[str, Callable[[_Key, _Seen | None, _Seen | None], bool]] = {
    "new_violations": _new_violation,
    "fixed": _fixed,
    "still_violating": _still_violating,
    "newly_waived": _newly_waived,
    "newly_untested": _newly_untested,
    "newly_tested": _newly_tested,
    "not_judged": _not_judged,
}


def _names(before: set[str], after: set[str]) -> Record:
    return {"added": sorted(after - before), "missing": sorted(before - after)}


def _runbooks(old: Record, new: Record) -> Record:
    before = {book["id"]: book for book in old["runbooks"]}
    after = {book["id"]: book for book in new["runbooks"]}
    changed = [
        {"id": name, "verdicts": _verdicts(before[name], book)}
        for name, book in after.items()
        if name in before and book["digest"] != before[name]["digest"]
    ]
    return {**_names(set(before), set(after)), "changed": changed}


def _verdicts(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Record]:
    declared = {row["route"]: row["verdict"] for row in before["routes"]}
    return [
        {"route": row["route"], "before": declared[row["route"]], "after": row["verdict"]}
        for row in after["routes"]
        if row["route"] in declared and row["verdict"] != declared[row["route"]]
    ]


def _numbers(before: float, after: float) -> Record:
    return {"before": before, "after": after}
