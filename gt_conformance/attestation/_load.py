"""From a file of attestations to values, or one error that names everything wrong in it."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from pathlib import Path
from typing import Any

from gt_conformance import ledger
from gt_conformance.attestation._value import NAME, Attestation, Attestations
from gt_conformance.errors import InputError, Problem
from gt_conformance.runbook import ChecklistItem, Runbook


def load(path: Path, runbooks: Iterable[Runbook], today: date) -> Attestations:
    """The attestations of a file about these runbooks, which are all that there are, selected or not.

    Raises InputError with everything that is wrong with the file.
    """
    books = ledger.by_id(runbooks)
    source = ledger.read(path, NAME)
    found = list(source.problems)
    first: dict[tuple[str, int], ledger.Entry] = {}
    for entry in source.entries:
        found += (entry.located(problem) for problem in problems(entry.value, books, today))
        runbook, item = entry.value["runbook"], int(entry.value["item"])
        earlier = first.setdefault((runbook, item), entry)
        if earlier is not entry:
            message = f"item {item} of {runbook} is attested already in line {earlier.first}."
            found.append(entry.located(Problem(message, hint="Keep one of the two.")))
    if found:
        raise InputError(ledger.in_order(found))
    return Attestations(tuple(Attestation.of(entry.value, entry.where) for entry in source.entries), path)


def problems(value: Mapping[str, Any], runbooks: Mapping[str, Runbook], today: date) -> Iterator[Problem]:
    """What is wrong with an entry that holds to the schema; each problem's path is that inside the entry."""
    book = runbooks.get(value["runbook"])
    if book is None:
        yield ledger.unknown("runbook", value["runbook"], runbooks, path="runbook")
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
    """Whether only a person can vouch for the item, or for a part of it."""
    return ledger.ATTESTATION in item.checks


def _attestable(book: Runbook) -> str:
    numbers = [str(item.number) for item in book.checklist if needs_a_person(item)]
    if not numbers:
        return f"No item of {book.id} needs a person."
    return f"Of {book.id}, item {' and '.join(numbers)} {'needs' if len(numbers) == 1 else 'need'} a person."
