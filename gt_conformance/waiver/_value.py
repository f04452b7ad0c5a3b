"""A waiver, what it covers, and whether it is still needed."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from datetime import date
from typing import Self

from gt_conformance.errors import Location, Problem
from gt_conformance.ledger import ATTESTATION, Entry
from gt_conformance.vocabulary import CLIENT_CHECKS, Outcome, Route

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
        """Whether it names that check at that place. What a person vouches for cannot be waived."""
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
