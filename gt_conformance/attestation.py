"""Attestations: what people confirm of the checklist items that no probe can prove.

An attestation is one person's dated statement about one item of one tenant. It is valid through the day on which it
expires, and is bound to the tenant's base URL and to the runbook's digest: another tenant needs one of its own, and so
does a runbook that changes. Whether one is still valid is a status, never an error.
"""

import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any, Self

from gt_conformance import dated_entries, resources
from gt_conformance.dated_entries import EMBEDDED, Entry, normalise
from gt_conformance.errors import InputError, Location, Problem
from gt_conformance.runbook import ChecklistItem, Runbook
from gt_conformance.vocabulary import ATTESTATION

FILE = Path("attestations.yaml")
"""The file of attestations unless another is named."""

NAME = "attestations"
"""The name of the schema, and of the list in the file."""

SOON = timedelta(days=30)
"""How long before its end an attestation is about to expire."""


@dataclass(frozen=True, slots=True)
class Attestation:
    """One person's attestation of one checklist item. ``expires`` is the last day on which it is valid.

    ``tenant`` is the normalised base URL of the tenant of which it speaks, or ``embedded``; an entry that names none
    counts for the embedded tenant only.
    """

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
    tenant: str = EMBEDDED

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
            tenant=normalise(value.get("tenant", EMBEDDED)),
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
    OTHER_TENANT = "other-tenant"
    """There is one, but for another tenant."""


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
    """The attestations of a file, at most one for each item of a tenant; without a file there are none."""

    entries: tuple[Attestation, ...] = ()
    path: Path = FILE

    def status(self, book: Runbook, item: int, today: date, tenant: str | None) -> Status:
        """The status of that item, which needs an attestation, for the tenant of that address, as of that day.

        Without an address there are no attestations yet.
        """
        title = f"item {item} of {book.id}"
        about = [one for one in self.entries if (one.runbook, one.item) == (book.id, item)]
        found = next((one for one in about if one.tenant == tenant), None)
        again = command(book, item, tenant, self.path, replace=found is not None)
        if found is None and about and tenant is not None:
            there = " and ".join(f"{name_of(one.tenant)} ({one.where})" for one in about)
            reason = f"{about[0].by} attested {title} on {about[0].on}, but for {there}, not for {name_of(tenant)}."
            return Status(State.OTHER_TENANT, reason, f"Look at it on this tenant, then attest it: {again}")
        if found is None:
            reason = "Only a person can attest this item, and nobody has."
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


def name_of(address: str) -> str:
    """The tenant of that address, in a sentence."""
    return "the embedded tenant" if address == EMBEDDED else address


def command(book: Runbook, item: int, tenant: str | None, path: Path = FILE, *, replace: bool = False) -> str:
    """The command that attests the item, with ``...`` for what its author has to say: unchanged, it is refused.

    So it is with a ``tenant`` that is not known.
    """
    words = ["gt-conformance", "attest", book.id, str(item), "--tenant", shlex.quote(tenant) if tenant else '"..."']
    words += _files(book, path)
    words += [f'{option} "..."' for option in ("--statement", "--by", "--role", "--evidence")]
    return " ".join([*words, "--replace"] if replace else words)


def list_command(book: Runbook, tenant: str | None, path: Path = FILE) -> str:
    """The command that lists every item that needs a person, each with the command that attests it."""
    words = ["gt-conformance", "attest", "--list", *(["--tenant", shlex.quote(tenant)] if tenant else [])]
    return " ".join([*words, *_files(book, path)])


def _files(book: Runbook, path: Path) -> list[str]:
    """The options that name files, where they are not the usual ones."""
    words = ["--attestations", shlex.quote(str(path))] if path != FILE else []
    if (folder := book.document.path.parent) != resources.runbooks_dir():
        words += ["--runbooks", shlex.quote(str(folder))]
    return words


def load(path: Path, runbooks: Iterable[Runbook], today: date, tenant: str | None = None) -> Attestations:
    """The attestations of a file about these runbooks, which are all that there are, selected or not.

    With the address of a live ``tenant``, a sample and an entry that names no tenant are refused. Raises InputError
    with everything that is wrong with the file.
    """
    books = dated_entries.by_id(runbooks)
    source = dated_entries.read(path, NAME)
    found = list(source.problems)
    first: dict[tuple[str, int, str], Entry] = {}
    for entry in source.entries:
        found += (entry.located(problem) for problem in problems(entry.value, books, today))
        runbook, item, about = entry.value["runbook"], int(entry.value["item"]), entry.value.get("tenant", EMBEDDED)
        earlier = first.setdefault((runbook, item, normalise(about)), entry)
        if earlier is not entry:
            message = f"item {item} of {runbook} is attested already in line {earlier.first}."
            found.append(entry.located(Problem(message, hint="Keep one of the two.")))
    if tenant is not None and tenant != EMBEDDED:
        found += _not_of_a_live_tenant(source.entries, tenant)
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


def _not_of_a_live_tenant(entries: Iterable[Entry], tenant: str) -> Iterator[Problem]:
    """Why a file may not be read for that live tenant: one problem a cause, at the first entry that has it."""
    samples = [entry for entry in entries if entry.value.get("tenant") == EMBEDDED]
    unbound = [entry for entry in entries if "tenant" not in entry.value]
    if samples:
        message = f"{_count(samples)} a sample for the embedded tenant: nobody attested anything of a live one."
        hint = f"Look at each item on {tenant}, then attest it: gt-conformance attest --list --tenant {tenant}"
        yield samples[0].located(Problem(message, path="tenant", hint=hint))
    if unbound:
        message = f"{_count(unbound)} not bound to a tenant: nobody can know where they looked."
        hint = f"Add the tenant to each (tenant: {tenant}), or attest it again."
        yield unbound[0].located(Problem(message, hint=hint))


def _count(entries: Sequence[Entry]) -> str:
    return "this attestation is" if len(entries) == 1 else f"{len(entries)} attestations are"


def needs_a_person(item: ChecklistItem) -> bool:
    """Whether the item, or a part of it, needs an attestation."""
    return ATTESTATION in item.checks


def _attestable(book: Runbook) -> str:
    numbers = [str(item.number) for item in book.checklist if needs_a_person(item)]
    if not numbers:
        return f"No item of {book.id} needs a person."
    return f"Of {book.id}, item {' and '.join(numbers)} {'needs' if len(numbers) == 1 else 'need'} a person."
