"""What changed since an earlier run, in words: the same for the document, the summary and the terminal."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from gt_conformance.report._findings import placed_checks
from gt_conformance.report._format import moment, numbered, seconds
from gt_conformance.results import Record
from gt_conformance.results.record_types import ChangeKind, ChangeRecord, EarlierRun, SinceRecord
from gt_conformance.vocabulary import Outcome


@dataclass(frozen=True, slots=True)
class Change:
    """One check whose outcome changed, with every place where it did. ``titles``: the places in this record, in words.

    ``was`` is what was wrong before, where the findings of this run say nothing of it.
    """

    check: str
    before: str
    places: tuple[str, ...]
    was: str
    titles: Mapping[str, str]

    @property
    def waived_before(self) -> str:
        """``, waived before`` where it was: it may not have been tested then, nor conformed."""
        return ", waived before" if self.before == Outcome.WAIVED.value else ""


@dataclass(frozen=True, slots=True)
class Group:
    """The changes of one kind. ``tone`` is the outcome that colours them."""

    kind: str
    title: str
    tone: str
    changes: tuple[Change, ...]

    @property
    def count(self) -> str:
        """``2 checks in 9 places``."""
        checks = len({change.check for change in self.changes})
        places = len({place for change in self.changes for place in change.places})
        return f"{numbered(checks, 'check')} in {numbered(places, 'place')}"


@dataclass(frozen=True, slots=True)
class Since:
    """A comparison in sentences. ``remarks`` are sentences: on runbooks, checks, requests and time."""

    headline: str
    earlier: str
    groups: tuple[Group, ...]
    remarks: tuple[str, ...]


_KINDS: tuple[tuple[ChangeKind, str, Outcome], ...] = (
    ("new_violations", "New violations", Outcome.VIOLATES),
    ("newly_untested", "No longer tested, or not yet", Outcome.BLOCKED),
    ("not_judged", "Violated before, and not judged again", Outcome.BLOCKED),
    ("newly_waived", "Newly waived", Outcome.WAIVED),
    ("fixed", "Fixed", Outcome.CONFORMS),
    ("newly_tested", "Tested again, and conforms", Outcome.CONFORMS),
    ("still_violating", "Still violating", Outcome.VIOLATES),
)
_COUNTED: dict[ChangeKind, str] = {
    "fixed": "fixed",
    "still_violating": "still violating",
    "newly_untested": "newly untested",
    "newly_tested": "tested again",
    "not_judged": "not judged again",
    "newly_waived": "newly waived",
}
_EXPLAINED: frozenset[ChangeKind] = frozenset({"fixed", "not_judged"})
"""The findings of this run say nothing about these."""
NEW = "new"
"""Stands for the outcome of a check that the earlier run did not have."""


def since(record: Record) -> Since | None:
    """The comparison that the record carries; None where it carries none."""
    found = record.get("since")
    if found is None:
        return None
    there = {place.anchor: place.text for place, _ in placed_checks(record)}
    groups = tuple(
        Group(kind, title, tone.value, _changes(found[kind], there, explained=kind in _EXPLAINED))
        for kind, title, tone in _KINDS
        if found[kind]
    )
    return Since(_headline(found), _earlier(found["run"]), groups, tuple(_remarks(found)))


def _changes(entries: Sequence[ChangeRecord], there: Mapping[str, str], *, explained: bool) -> tuple[Change, ...]:
    same: dict[tuple[str, str], list[ChangeRecord]] = {}
    for entry in entries:
        same.setdefault((entry["check"], entry["before"] or NEW), []).append(entry)
    return tuple(
        Change(
            check,
            before,
            places=tuple(dict.fromkeys(entry["place"] for entry in some)),
            was=some[0]["reason"] if explained else "",
            titles={entry["place"]: there[entry["place"]] for entry in some if entry["place"] in there},
        )
        for (check, before), some in same.items()
    )


def _headline(found: SinceRecord) -> str:
    counts = {kind: len({entry["place"] for entry in found[kind]}) for kind, *_ in _KINDS}
    if not any(counts.values()):
        return "Nothing changed: nothing violates, and nothing is untested that was tested."
    parts = [numbered(counts["new_violations"], "new violation") if counts["new_violations"] else "no new violations"]
    parts += [f"{counts[kind]} {words}" for kind, words in _COUNTED.items() if counts[kind]]
    text = ", ".join(parts)
    return f"{text[:1].upper()}{text[1:]}."


def _earlier(run: EarlierRun) -> str:
    return f"run {run['id']} of {moment(run['started'])}"


def _remarks(found: SinceRecord) -> Iterator[str]:
    if not found["same_tenant"]:
        tenant = found["run"]["tenant"]
        yield f"The earlier run was of another tenant: {tenant['base_url']} ({tenant['kind']})."
    books, checks = found["runbooks"], found["checks"]
    for book in books["changed"]:
        verdicts = [f"{item['route']} was {item['before']}, is {item['after']}" for item in book["verdicts"]]
        yield f"The runbook {book['id']} changed{': ' + '; '.join(verdicts) if verdicts else ', its verdicts did not'}."
    for words, names in (
        ("Runbooks that the earlier run did not judge", books["added"]),
        ("Runbooks that this run did not judge", books["missing"]),
        ("Checks that are new", checks["added"]),
        ("Checks that this run did not make", checks["missing"]),
    ):
        if names:
            yield f"{words}: {', '.join(names)}."
    requests, time = found["requests"], found["duration_s"]
    yield (
        f"Requests: {requests['before']} then, {requests['after']} now. "
        f"Time: {seconds(time['before'])} then, {seconds(time['after'])} now."
    )
