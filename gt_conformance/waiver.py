"""Waivers: known violations that someone owns, until a date.

A waived check still runs and is still displayed as failing. A waiver that has expired, matches nothing or is no longer
needed is a problem of the run, reported with the lines to remove: a list of exceptions must not outlive its reasons.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Self

from gt_conformance import dated_entries
from gt_conformance.dated_entries import Entry
from gt_conformance.errors import InputError, Location, Problem
from gt_conformance.runbook import Runbook
from gt_conformance.schema import join_values, nearest, quote
from gt_conformance.vocabulary import ATTESTATION, CLIENT_CHECKS, Outcome, Route

NAME = "waivers"
"""The name of the schema, and of the list in the file."""

MAX_TERM = timedelta(days=180)
"""How far away the end of a waiver may be."""

TENANT = "tenant"
"""Stands for a runbook where a check is made once for the whole tenant."""

_ROWS = {route.value: route for route in Route} | {route.title: route for route in Route}
_PLACES: frozenset[Route | int] = frozenset({*Route, 1, 2, 3})
"""Every place of a runbook: its rows and its items."""


@dataclass(frozen=True, slots=True)
class Judged:
    """A check that the run had planned at one place: a row, an item, or the tenant (neither).

    ``outcome`` is what was found, whether or not it is waived.
    """

    runbook: str
    route: Route | None
    item: int | None
    check: str
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class Waiver:
    """A known violation: a row, an item, one check in either, or one check wherever the runbook has it.

    ``expires`` is the last day on which it is waived; ``lines`` (``lines 12-18``) is what to remove; ``places`` are
    those of the runbook where something is measured.
    """

    runbook: str
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

    @classmethod
    def of(cls, entry: Entry, unmeasured: Collection[int] = ()) -> Self:
        """From an entry that holds to the schema; ``unmeasured`` are the runbook's items that only a person checks."""
        value = entry.value
        return cls(
            runbook=value["runbook"],
            row=_ROWS[value["row"]] if "row" in value else None,
            item=int(value["item"]) if "item" in value else None,
            check=value.get("check"),
            reason=value["reason"],
            owner=value["owner"],
            issue=value["issue"],
            expires=date.fromisoformat(value["expires"]),
            where=entry.where,
            lines=entry.lines,
            places=_PLACES.difference(unmeasured),
        )

    @property
    def named(self) -> tuple[str, Route | int | None, str | None]:
        """What it names: runbook, row or item, check."""
        return self.runbook, self.row or self.item, self.check

    @property
    def title(self) -> str:
        """``embeddings.base64 in the embeddings row of dify``."""
        if self.runbook == TENANT:
            return f"{self.check} of the tenant"
        place = f"the {self.row.value} row of " if self.row else f"item {self.item} of " if self.item else ""
        return f"{self.check} in {place}{self.runbook}" if self.check else f"{place}{self.runbook}"

    def covers(self, runbook: str, route: Route | None, item: int | None, check: str) -> bool:
        """Whether it names that check at that place. What a person has to attest cannot be waived."""
        return (
            self.runbook == runbook
            and self.row in {None, route}
            and self.item in {None, item}
            and self.check in {None, check}
            and check != ATTESTATION
        )

    def was_planned(self, judged: Iterable[Judged]) -> bool:
        """Whether all that it names was planned: not so where only some places of the runbook were selected."""
        wanted = {self.row or self.item} if self.row or self.item else self.places
        places = {one.route or one.item for one in judged if one.runbook == self.runbook}
        return self.runbook == TENANT or places >= wanted


@dataclass(frozen=True, slots=True)
class Waivers:
    """The waivers of a file; without a file there are none."""

    entries: tuple[Waiver, ...] = ()

    def match(self, runbook: str, route: Route | None, item: int | None, check: str, today: date) -> Waiver | None:
        """The waiver of a check that violates at that place, which names most; one that has expired waives nothing."""
        matching = (one for one in self.entries if one.expires >= today and one.covers(runbook, route, item, check))
        return max(matching, key=lambda one: sum(part is not None for part in one.named), default=None)

    def expired(self, today: date) -> tuple[Problem, ...]:
        """A problem for each waiver that is over, whatever the run found."""
        return tuple(
            Problem(
                f"the waiver of {one.title} expired on {one.expires}: remove this entry ({one.lines}).",
                where=one.where,
                hint=f"If it is still needed, {one.owner} has to set another end.",
            )
            for one in self.entries
            if one.expires < today
        )

    def unneeded(self, judged: Collection[Judged], today: date) -> tuple[Problem, ...]:
        """A problem for each waiver that waives nothing: what it names conforms, or is no check of the run.

        ``judged`` are all the planned checks. A waiver is left alone where not all that it names was planned, or where
        some of it could not be tested: nothing is known of it then.
        """
        return tuple(
            Problem(f"the waiver of {one.title} {reason}: remove this entry ({one.lines}).", where=one.where)
            for one in self.entries
            if one.expires >= today and (reason := _needless(one, judged))
        )


def _needless(waiver: Waiver, judged: Collection[Judged]) -> str | None:
    """Why it waives nothing; None where it does, or where that is not known."""
    covered = [one.outcome for one in judged if waiver.covers(one.runbook, one.route, one.item, one.check)]
    if not waiver.was_planned(judged):
        return None
    if not covered:
        # A run that drives no client has none of their checks: nothing is known of them then.
        return None if waiver.runbook == TENANT or waiver.check in CLIENT_CHECKS else "matches no check of the run"
    return "is no longer needed, it starts to pass" if set(covered) == {Outcome.CONFORMS} else None


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
    waivers = [Waiver.of(entry, _unmeasured(books.get(entry.value["runbook"]))) for entry in source.entries]
    first: dict[object, Entry] = {}
    for entry, waiver in zip(source.entries, waivers, strict=True):
        found += (entry.located(one) for one in _names(waiver, books, known_checks, tenant_checks))
        found += (entry.located(one) for one in _term(waiver, today))
        earlier = first.setdefault(waiver.named, entry)
        if earlier is not entry:
            message = f"{waiver.title} is waived already in line {earlier.first}."
            found.append(entry.located(Problem(message, hint="Keep one of the two.")))
    if found:
        raise InputError(dated_entries.in_order(found))
    return Waivers(tuple(waivers))


def _names(
    waiver: Waiver, books: Mapping[str, Runbook], known_checks: Collection[str], tenant_checks: Collection[str]
) -> Iterator[Problem]:
    """What it names must exist."""
    check = waiver.check
    explain = "`gt-conformance explain` lists them."
    book = books.get(waiver.runbook)
    item = book.checklist[waiver.item - 1] if book and waiver.item else None
    if book is None and waiver.runbook != TENANT:
        yield dated_entries.unknown("runbook", waiver.runbook, [*books, TENANT], path="runbook")
    if check == ATTESTATION or (item and item.number in _unmeasured(book)):
        message = "an attestation cannot be waived: the item stays unattested until someone attests it."
        yield Problem(message, path="check" if check else "item", hint="Remove this entry.")
    elif check is None:
        return
    elif check not in known_checks:
        yield dated_entries.unknown("check", check, known_checks, path="check", hint=explain)
    elif book is None and waiver.runbook == TENANT and check not in tenant_checks:
        yield _misplaced(check, "the tenant", tenant_checks)
    elif item and not item.rests_on and check not in item.checks:  # what a row takes, the run knows
        yield _misplaced(check, f"item {item.number} of {item.runbook}", item.checks)


def _unmeasured(book: Runbook | None) -> set[int]:
    """The items that only a person checks."""
    items = book.checklist if book else ()
    return {item.number for item in items if set(item.checks) == {ATTESTATION} and not item.rests_on}


def _misplaced(check: str, place: str, there: Collection[str]) -> Problem:
    near = nearest(check, there)
    message = f"{quote(check)} is no check of {place}{f': did you mean {near}?' if near else '.'}"
    return Problem(message, path="check", hint=f"Checks there: {join_values(there)}.")


def _term(waiver: Waiver, today: date) -> Iterator[Problem]:
    latest = today + MAX_TERM
    if waiver.expires > latest:
        message = f"it expires on {waiver.expires}, more than {MAX_TERM.days} days away."
        yield Problem(message, path="expires", hint=f"The latest end today is {latest}.")
