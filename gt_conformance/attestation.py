"""Attestations: what people confirm of the checklist items that no probe can prove.

An attestation is one person's dated statement about one item. It is valid through the day on which it expires, and is
bound to the runbook's digest: a runbook that changes needs a new one. Whether one is still valid is a status, never an
error.
"""

import shlex
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any, Self

from gt_conformance import dated_entries, resources
from gt_conformance.dated_entries import ATTESTATION, Entry
from gt_conformance.errors import InputError, Location, Problem
from gt_conformance.runbook import ChecklistItem, Runbook

FILE = Path("attestations.yaml")
"""The file of attestations unless another is named."""

NAME = "attestations"
"""The name of the schema, and of the list in the file."""

SOON = timedelta(days=30)
"""How long before its end an attestation is about to expire."""


@dataclass(frozen=True, slots=True)
class Attestation:
    """One person's attestation of one checklist item. ``expires`` is the last day on which it is valid."""

    runbook: str
    item: int
    statement: str
    name: str
    role: str
    on: date
    evidence: str
    expires: date
    runbook_digest: str
    where: Location = field(compare=False)

    @classmethod
    def of(cls, value: Mapping[str, Any], where: Location) -> Self:
        """From an entry that holds to the schema."""
        return cls(
            runbook=value["runbook"],
            item=int(value["item"]),
            statement=value["statement"],
            name=value["by"]["name"],
            role=value["by"]["role"],
            on=date.fromisoformat(value["on"]),
            evidence=value["evidence"],
            expires=date.fromisoformat(value["expires"]),
            runbook_digest=value["runbook_digest"],
            where=where,
        )

    @property
    def by(self) -> str:
        """``A. Example (Platform lead)``."""
        return f"{self.name} ({self.role})"


class State(StrEnum):
    """Whether the attestation of an item is valid today."""

    VALID = "valid"
    MISSING = "missing"
    EXPIRED = "expired"
    OUTDATED = "outdated"


@dataclass(frozen=True, slots=True)
class Status:
    """What is known of an item that needs a person.

    ``remedy`` names the command to run; it is empty where the attestation is valid for more than another 30 days.
    """

    state: State
    reason: str
    remedy: str
    attestation: Attestation | None = None
    expires_soon: bool = False


@dataclass(frozen=True, slots=True)
class Attestations:
    """The attestations of a file, at most one an item; without a file there are none."""

    entries: tuple[Attestation, ...] = ()
    path: Path = FILE

    def status(self, book: Runbook, item: int, today: date) -> Status:
        """The status of that item, which needs an attestation, as of that day."""
        title = f"item {item} of {book.id}"
        found = next((one for one in self.entries if (one.runbook, one.item) == (book.id, item)), None)
        again = command(book, item, self.path, replace=found is not None)
        if found is None:
            reason = f"Only a person can attest {title}, and nobody has."
            return Status(State.MISSING, reason, f"Look at it, then attest it: {again}")
        attested = f"{found.by} attested {title} on {found.on}"
        look = f"Look at it again, then attest it again: {again}"
        if found.expires < today:
            return Status(State.EXPIRED, f"{attested}, but only until {found.expires} ({found.where}).", look, found)
        if found.runbook_digest != book.digest:
            reason = f"{attested}, but the runbook has changed since ({found.where})."
            return Status(State.OUTDATED, reason, look, found)
        soon = found.expires - today <= SOON
        return Status(State.VALID, f"{attested}, until {found.expires}.", look if soon else "", found, soon)


def command(book: Runbook, item: int, path: Path = FILE, *, replace: bool = False) -> str:
    """The command that attests the item, with ``...`` for what its author has to say: unchanged, it is refused."""
    words = ["gt-conformance", "attest", book.id, str(item)]
    if path != FILE:
        words += ["--attestations", shlex.quote(str(path))]
    if (folder := book.document.path.parent) != resources.runbooks_dir():
        words += ["--runbooks", shlex.quote(str(folder))]
    words += [f'{option} "..."' for option in ("--statement", "--by", "--role", "--evidence")]
    return " ".join([*words, "--replace"] if replace else words)


def load(path: Path, runbooks: Iterable[Runbook], today: date) -> Attestations:
    """The attestations of a file about these runbooks, which are all that there are, selected or not.

    Raises InputError with everything that is wrong with the file.
    """
    books = dated_entries.by_id(runbooks)
    source = dated_entries.read(path, NAME)
    found = list(source.problems)
    first: dict[tuple[str, int], Entry] = {}
    for entry in source.entries:
        found += (entry.located(problem) for problem in problems(entry.value, books, today))
        runbook, item = entry.value["runbook"], int(entry.value["item"])
        earlier = first.setdefault((runbook, item), entry)
        if earlier is not entry:
            message = f"item {item} of {runbook} is attested already in line {earlier.first}."
            found.append(entry.located(Problem(message, hint="Keep one of the two.")))
    if found:
        raise InputError(dated_entries.in_order(found))
    return Attestations(tuple(Attestation.of(entry.value, entry.where) for entry in source.entries), path)


def problems(value: Mapping[str, Any], runbooks: Mapping[str, Runbook], today: date) -> Iterator[Problem]:
    """What is wrong with an entry that holds to the schema; each problem's path is that inside the entry."""
    book = runbooks.get(value["runbook"])
    if book is None:
        yield dated_entries.unknown("runbook", value["runbook"], runbooks, path="runbook")
    elif not needs_a_person(book.checklist[int(value["item"]) - 1]):
        message = f"item {int(value['item'])} of {book.id} is verified by the run; nothing to attest."
        yield Problem(message, path="item", hint=_attestable(book))
    on, expires = date.fromisoformat(value["on"]), date.fromisoformat(value["expires"])
    if on > today:
        yield Problem(f"{on} is in the future: today is {today}.", path="on", hint="Name the day on which they looked.")
    if expires < on:
        message = f"it expires on {expires}, before it was given on {on}."
        yield Problem(message, path="expires", hint="Name a later day.")


def needs_a_person(item: ChecklistItem) -> bool:
    """Whether the item, or a part of it, needs an attestation."""
    return ATTESTATION in item.checks


def _attestable(book: Runbook) -> str:
    numbers = [str(item.number) for item in book.checklist if needs_a_person(item)]
    if not numbers:
        return f"No item of {book.id} needs a person."
    return f"Of {book.id}, item {' and '.join(numbers)} {'needs' if len(numbers) == 1 else 'need'} a person."
