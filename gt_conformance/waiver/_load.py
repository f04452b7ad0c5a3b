"""From a file of waivers to values, or one error that names everything wrong in it."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import date, timedelta
from pathlib import Path

from gt_conformance import ledger
from gt_conformance.errors import InputError, Problem
from gt_conformance.ledger import ATTESTATION, Entry
from gt_conformance.runbook import Runbook
from gt_conformance.schema import listed, nearest, shown
from gt_conformance.waiver._value import TENANT, Waiver, Waivers

NAME = "waivers"
"""Of the schema, and of the list in the file."""

MAX_TERM = timedelta(days=180)
"""How far away the end of a waiver may be."""


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
    books = ledger.by_id(runbooks)
    source = ledger.read(path, NAME)
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
        raise InputError(ledger.in_order(found))
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
        yield ledger.unknown("runbook", waiver.runbook, [*books, TENANT], path="runbook")
    if check == ATTESTATION or (item and item.number in _unmeasured(book)):
        message = "what a person vouches for cannot be waived: it stays unattested until someone does."
        yield Problem(message, path="check" if check else "item", hint="Remove this entry.")
    elif check is None:
        return
    elif check not in known_checks:
        yield ledger.unknown("check", check, known_checks, path="check", hint=explain)
    elif book is None and waiver.runbook == TENANT and check not in tenant_checks:
        yield _misplaced(check, "the tenant", tenant_checks)
    elif item and check not in item.checks:
        yield _misplaced(check, f"item {item.number} of {item.runbook}", item.checks)


def _unmeasured(book: Runbook | None) -> set[int]:
    """The items that only a person checks."""
    return {item.number for item in book.checklist if set(item.checks) == {ATTESTATION}} if book else set()


def _misplaced(check: str, place: str, there: Collection[str]) -> Problem:
    near = nearest(check, there)
    message = f"{shown(check)} is no check of {place}{f': did you mean {near}?' if near else '.'}"
    return Problem(message, path="check", hint=f"Checks there: {listed(there)}.")


def _term(waiver: Waiver, today: date) -> Iterator[Problem]:
    latest = today + MAX_TERM
    if waiver.expires > latest:
        message = f"it expires on {waiver.expires}, more than {MAX_TERM.days} days away."
        yield Problem(message, path="expires", hint=f"The latest end today is {latest}.")
