"""One person's word for an item, and whether it counts."""

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any, Self

from gt_conformance import resources
from gt_conformance.errors import Location
from gt_conformance.runbook import Runbook

FILE = Path("attestations.yaml")
"""Where attestations stand unless another file is named."""

NAME = "attestations"
"""Of the schema, and of the list in the file."""

SOON = timedelta(days=30)
"""How long before its end an attestation is about to expire."""


@dataclass(frozen=True, slots=True)
class Attestation:
    """One person's word for one checklist item. ``expires`` is the last day on which it counts."""

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
    """Whether someone's word for an item counts today."""

    VALID = "valid"
    MISSING = "missing"
    EXPIRED = "expired"
    OUTDATED = "outdated"


@dataclass(frozen=True, slots=True)
class Status:
    """What is known of an item that needs a person.

    ``remedy`` names the command to run; it is empty where the attestation counts for more than another 30 days.
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
        """Whether someone's word for that item, which needs a person, counts today."""
        title = f"item {item} of {book.id}"
        found = next((one for one in self.entries if (one.runbook, one.item) == (book.id, item)), None)
        again = command(book, item, self.path, replace=found is not None)
        if found is None:
            reason = f"Only a person can vouch for {title}, and nobody has."
            return Status(State.MISSING, reason, f"Look at it, then vouch for it: {again}")
        vouched = f"{found.by} vouched for {title} on {found.on}"
        look = f"Look at it again, then vouch for it anew: {again}"
        if found.expires < today:
            return Status(State.EXPIRED, f"{vouched}, but only until {found.expires} ({found.where}).", look, found)
        if found.runbook_digest != book.digest:
            reason = f"{vouched}, but the runbook has changed since ({found.where})."
            return Status(State.OUTDATED, reason, look, found)
        soon = found.expires - today <= SOON
        return Status(State.VALID, f"{vouched}, until {found.expires}.", look if soon else "", found, soon)


def command(book: Runbook, item: int, path: Path = FILE, *, replace: bool = False) -> str:
    """The command that attests the item, with ``...`` for what its author has to say: as it stands, it is refused."""
    words = ["gt-conformance", "attest", book.id, str(item)]
    if path != FILE:
        words += ["--attestations", shlex.quote(str(path))]
    if (folder := book.document.path.parent) != resources.runbooks_dir():
        words += ["--runbooks", shlex.quote(str(folder))]
    words += [f'{option} "..."' for option in ("--statement", "--by", "--role", "--evidence")]
    return " ".join([*words, "--replace"] if replace else words)
