"""Waivers: what somebody knows to be broken or untested, and owns, until a date.

A waived check still runs and is still displayed with what was found. An entry names a place (a row, an item, a check
there or wherever it is made), or one finding with everything that it touches. Those of findings are written by
``gt-conformance accept``: accepting is waiving by a command, and a file of what is accepted is a file of waivers.

A waiver of a place that has expired, matches nothing or is no longer needed is a problem of the run, reported with the
lines to remove: it would hide whatever breaks there next. One of a finding hides that finding only, so it is a remark.
"""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple, Self

from gt_conformance import dated_entries
from gt_conformance.dated_entries import Entry
from gt_conformance.errors import Blocker, InputError, Location, Problem
from gt_conformance.runbook import Runbook
from gt_conformance.schema import join_values, nearest, quote
from gt_conformance.tenant import objective_of_id
from gt_conformance.vocabulary import ATTESTATION, CLIENT_CHECKS, Outcome, Route

NAME = "waivers"
"""The name of the schema, and of the list in the file."""

MAX_TERM = timedelta(days=180)
"""How far away the end of a waiver may be."""

TENANT = "tenant"
"""Stands for a runbook where a check is made once for the whole tenant."""

WAIVED_SUFFIX = "-waived"
"""What a record appends to the id of a finding for the part of it that is waived."""

_ROWS = {route.value: route for route in Route} | {route.title: route for route in Route}
_PLACES: frozenset[Route | int] = frozenset({*Route, 1, 2, 3})
"""Every place of a runbook: its rows and its items."""


@dataclass(frozen=True, slots=True)
class Flaw:
    """One violation or block of a check, with the id of the finding that it belongs to.

    ``because`` where the finding is another check's, which keeps this one from being tested.
    """

    outcome: Outcome
    finding: str = ""
    because: bool = False

    @classmethod
    def of_violation(cls, finding: str) -> Self:
        """A violation of that finding."""
        return cls(Outcome.VIOLATES, finding)

    @classmethod
    def of_block(cls, blocker: Blocker) -> Self:
        """A block."""
        return cls(Outcome.BLOCKED, blocker.finding, bool(blocker.because))


@dataclass(frozen=True, slots=True)
class Judged:
    """A check that the run had planned at one place: a row, an item, or the tenant (neither).

    ``outcome`` is what was found, whether or not it is waived; ``case`` is the id of the row or item, empty for
    a check that none names; ``flaws`` are what is wrong with it in detail.
    """

    runbook: str
    route: Route | None
    item: int | None
    check: str
    outcome: Outcome
    case: str = ""
    flaws: tuple[Flaw, ...] = ()


@dataclass(frozen=True, slots=True)
class Waiver:
    """What is waived: a row, an item, one check there or wherever it is made; or one finding.

    ``runbook`` is None where a check is waived everywhere. ``outcome`` limits it to violations or to blocks. Of a
    finding, ``cases`` are the rows and items at which it was accepted (everywhere, where none are named) and ``tenant``
    the one of which. ``expires`` is the last day on which it is waived; ``lines`` (``lines 12-18``) is what to remove;
    ``places`` are those of the runbook where something is measured, ``everywhere`` those of all runbooks.
    """

    runbook: str | None
    row: Route | None
    item: int | None
    check: str | None
    reason: str
    owner: str
    issue: str
    expires: date
    where: Location = field(compare=False)
    lines: str = field(compare=False)
    places: frozenset[Route | int] = field(default=_PLACES, compare=False)
    everywhere: frozenset[tuple[str, Route | int]] = field(default=frozenset(), compare=False)
    finding: str = ""
    outcome: Outcome | None = None
    cases: frozenset[str] = frozenset()
    tenant: str | None = None

    @classmethod
    def of(cls, entry: Entry, books: Mapping[str, Runbook] = MappingProxyType({})) -> Self:
        """From an entry that holds to the schema; ``books`` are all the runbooks that there are."""
        value = entry.value
        runbook = value.get("runbook")
        measured = {book.id: _PLACES - _unmeasured(book) for book in books.values()}
        return cls(
            runbook=runbook,
            row=_ROWS[value["row"]] if "row" in value else None,
            item=int(value["item"]) if "item" in value else None,
            check=value.get("check"),
            reason=value["reason"],
            owner=value["owner"],
            issue=value.get("issue", ""),
            expires=date.fromisoformat(value["expires"]),
            where=entry.where,
            lines=entry.lines,
            places=measured.get(runbook or "", _PLACES),
            everywhere=frozenset((name, place) for name, places in measured.items() for place in places),
            finding=value.get("finding", "").removesuffix(WAIVED_SUFFIX),
            outcome=Outcome(value["outcome"]) if "outcome" in value else None,
            cases=frozenset(value.get("places", ())),
            tenant=dated_entries.normalise(value["tenant"]) if "tenant" in value else None,
        )

    @property
    def named(self) -> tuple[object, ...]:
        """What it names: two entries that name the same are one too many."""
        place = self.runbook, self.row or self.item, self.check
        if self.finding:
            return self.finding, self.cases, self.tenant, self.outcome
        return (*place, self.outcome) if self.outcome else place

    @property
    def weight(self) -> tuple[bool, int]:
        """How much it names: of two that waive the same, the one that names more counts."""
        return bool(self.finding), sum(part is not None for part in (self.runbook, self.row or self.item, self.check))

    @property
    def title(self) -> str:
        """``embeddings.base64 in the embeddings row of dify``."""
        if self.finding:
            return self.finding
        if self.runbook == TENANT:
            return f"{self.check} of the tenant"
        if self.runbook is None:
            return f"{self.check} everywhere"
        place = f"the {self.row.value} row of " if self.row else f"item {self.item} of " if self.item else ""
        return f"{self.check} in {place}{self.runbook}" if self.check else f"{place}{self.runbook}"

    def covers(self, judged: Judged) -> bool:
        """Whether it names that check at that place. What a person has to attest cannot be waived."""
        if judged.check == ATTESTATION:
            return False
        if self.finding:
            return not self.cases or not judged.case or judged.case in self.cases
        return (
            self.runbook in {None, judged.runbook}
            and self.row in {None, judged.route}
            and self.item in {None, judged.item}
            and self.check in {None, judged.check}
        )

    def waives(self, judged: Judged, flaw: Flaw) -> bool:
        """Whether it waives that violation or block of that check.

        What was accepted as a block is not accepted as a violation; what violated and is blocked today still is.
        """
        if not self.covers(judged) or (self.finding and self.finding != flaw.finding):
            return False
        if self.finding:
            return not (self.outcome is Outcome.BLOCKED and flaw.outcome is Outcome.VIOLATES)
        return self.outcome in {None, flaw.outcome}

    def reaches(self, judged: Judged) -> bool:
        """Whether what is blocked there because of what it waives is waived with it."""
        return not self.finding and self.item is None and self.runbook in {None, TENANT, judged.runbook}

    def was_planned(self, judged: Iterable[Judged]) -> bool:
        """Whether all that it names was planned: not so where only some places of the runbook were selected."""
        if self.runbook == TENANT:
            return True
        if self.finding and self.cases:
            return self.cases <= {one.case for one in judged}
        if self.runbook is None:
            return self.everywhere <= {(one.runbook, one.route or one.item) for one in judged}
        wanted = {self.row or self.item} if self.row or self.item else self.places
        places = {one.route or one.item for one in judged if one.runbook == self.runbook}
        return places >= wanted


@dataclass(frozen=True, slots=True)
class Waivers:
    """The waivers of one file or several; without a file there are none."""

    entries: tuple[Waiver, ...] = ()

    def __add__(self, other: "Waivers") -> "Waivers":
        """Those of both."""
        return Waivers((*self.entries, *other.entries))

    def holding(self, today: date, tenant: str | None = None) -> "Waivers":
        """Those that are not over, and are not of another tenant."""
        return Waivers(
            tuple(one for one in self.entries if one.expires >= today and one.tenant in {None, tenant or one.tenant})
        )

    def match(self, judged: Judged, flaw: Flaw) -> Waiver | None:
        """The waiver of a violation or block of a check at that place: the one that names most."""
        matching = (one for one in self.entries if one.waives(judged, flaw))
        return max(matching, key=lambda one: one.weight, default=None)

    def expired(self, today: date) -> tuple[Problem, ...]:
        """A problem for each waiver of a place that is over, whatever the run found."""
        return tuple(_over(one) for one in self.entries if one.expires < today and not one.finding)

    def unneeded(self, judged: Collection[Judged], today: date) -> tuple[Problem, ...]:
        """A problem for each waiver of a place that waives nothing: what it names conforms, or is no check of the run.

        ``judged`` are all the planned checks. A waiver is left alone where not all that it names was planned, or where
        some of it could not be tested: nothing is known of it then.
        """
        return tuple(
            Problem(f"the waiver of {one.title} {reason}: remove this entry ({one.lines}).", where=one.where)
            for one in self.entries
            if one.expires >= today and not one.finding and (reason := _needless(one, judged))
        )

    def remarks(self, judged: Collection[Judged], today: date, tenant: str | None = None) -> tuple[Problem, ...]:
        """A remark for each accepted finding that is over, or that the run did not meet any more."""
        own = [one for one in self.entries if one.finding and one.tenant in {None, tenant or one.tenant}]
        return tuple(
            _over(one) if one.expires < today else Problem(_FIXED.format(one=one), where=one.where)
            for one in own
            if one.expires < today or _is_fixed(one, judged)
        )


class WaiverNews(NamedTuple):
    """What a run has to say about the waivers themselves: problems, which fail it, and remarks."""

    problems: tuple[Problem, ...] = ()
    remarks: tuple[Problem, ...] = ()


NO_NEWS = WaiverNews()

_FIXED = "{one.title}, which was accepted, is no longer there: remove this entry ({one.lines})."


def _over(waiver: Waiver) -> Problem:
    return Problem(
        f"the waiver of {waiver.title} expired on {waiver.expires}: remove this entry ({waiver.lines}).",
        where=waiver.where,
        hint=f"If it is still needed, {waiver.owner} has to set another end.",
    )


def _needless(waiver: Waiver, judged: Collection[Judged]) -> str | None:
    """Why it waives nothing; None where it does, or where that is not known."""
    covered = [one.outcome for one in judged if waiver.covers(one)]
    if not waiver.was_planned(judged):
        return None
    if not covered:
        # A run that drives no client has none of their checks: nothing is known of them then.
        return None if waiver.runbook == TENANT or waiver.check in CLIENT_CHECKS else "matches no check of the run"
    return "is no longer needed, since what it covers conforms" if set(covered) == {Outcome.CONFORMS} else None


def _is_fixed(waiver: Waiver, judged: Collection[Judged]) -> bool:
    """Whether all its places were tested, and it was met at none. What is blocked says nothing of it."""
    there = [one for one in judged if waiver.covers(one)]
    return (
        waiver.was_planned(judged)
        and not any(flaw.finding == waiver.finding for one in judged for flaw in one.flaws)
        and not any(one.outcome is Outcome.BLOCKED for one in there)
    )


def load(
    path: Path,
    runbooks: Iterable[Runbook],
    known_checks: Collection[str],
    today: date,
    *,
    tenant_checks: Collection[str],
) -> Waivers:
    """The waivers of a file about these runbooks, which are all that there are, selected or not.

    ``tenant_checks`` are those of the known checks that are made once for the whole tenant. Raises InputError with
    everything that is wrong with the file; that a waiver has expired is a problem of the run instead.
    """
    books = dated_entries.by_id(runbooks)
    source = dated_entries.read(path, NAME)
    found = list(source.problems)
    waivers = [Waiver.of(entry, books) for entry in source.entries]
    first: dict[object, Entry] = {}
    for entry, waiver in zip(source.entries, waivers, strict=True):
        found += (entry.located(one) for one in _names(waiver, books, known_checks, tenant_checks))
        found += (entry.located(one) for one in _term(waiver, today))
        earlier = first.setdefault(waiver.named, entry)
        if earlier is not entry:
            message = f"{waiver.title} is waived already in line {earlier.first}."
            found.append(entry.located(Problem(message, hint="Keep one of the two.")))
    if found:
        raise InputError(dated_entries.in_order([_explain_id(one, books.values()) for one in found]))
    return Waivers(tuple(waivers))


def _explain_id(problem: Problem, books: Iterable[Runbook]) -> Problem:
    """What to write in place of the id of a row or an item, as reports show it."""
    given = _ID.search(problem.message)
    for book in books if given else ():
        place = {row.id: f"row: {row.route.value}" for row in book.rows}
        place |= {item.id: f"item: {item.number}" for item in book.checklist}
        if given and given[1] in place:
            message = f"{quote(given[1])} is the id of a row or a checklist item, which a waiver does not take."
            return replace(problem, message=message, hint=f"Write runbook: {book.id} and {place[given[1]]}.")
    return problem


_ID = re.compile(r"'([a-z0-9._]+(?:-[a-z0-9._]+)+)'")


def _names(
    waiver: Waiver, books: Mapping[str, Runbook], known_checks: Collection[str], tenant_checks: Collection[str]
) -> Iterator[Problem]:
    """What it names must exist."""
    check = waiver.check
    explain = "`gt-conformance explain` lists them."
    if waiver.finding:
        return  # its check may be none of the run's: what was blocked is named by who has to act
    book = books.get(waiver.runbook or "")
    item = book.checklist[waiver.item - 1] if book and waiver.item else None
    if book is None and waiver.runbook not in {None, TENANT}:
        yield dated_entries.unknown("runbook", str(waiver.runbook), [*books, TENANT], path="runbook")
    if check == ATTESTATION or (item and item.number in _unmeasured(book)):
        message = "an attestation cannot be waived: the item stays unattested until someone attests it."
        yield Problem(message, path="check" if check else "item", hint="Remove this entry.")
    elif check is None:
        return
    elif objective_of_id(check) is not None:
        if waiver.runbook != TENANT:
            yield Problem(f"{quote(check)} is a check of the tenant.", path="runbook", hint=f"Write runbook: {TENANT}.")
    elif check not in known_checks:
        yield dated_entries.unknown("check", check, known_checks, path="check", hint=explain)
    elif book is None and waiver.runbook == TENANT and check not in tenant_checks:
        yield _misplaced(check, "the tenant", tenant_checks)
    elif item and not item.rests_on and check not in item.checks:  # what a row takes, the run knows
        yield _misplaced(check, f"item {item.number} of {item.runbook}", item.checks)


def _unmeasured(book: Runbook | None) -> set[Route | int]:
    """The items that only a person checks."""
    items = book.checklist if book else ()
    return {item.number for item in items if set(item.checks) == {ATTESTATION} and not item.rests_on}


def _misplaced(check: str, place: str, there: Collection[str]) -> Problem:
    near = nearest(check, there)
    message = f"{quote(check)} is not a check of {place}{f': did you mean {near}?' if near else '.'}"
    return Problem(message, path="check", hint=f"Checks there: {join_values(there)}.")


def _term(waiver: Waiver, today: date) -> Iterator[Problem]:
    latest = today + MAX_TERM
    if waiver.expires > latest:
        message = f"it expires on {waiver.expires}, more than {MAX_TERM.days} days away."
        yield Problem(message, path="expires", hint=f"The latest end today is {latest}.")
