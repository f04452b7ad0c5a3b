"""Writing an attestation: one entry more in a file whose other entries and comments stay as they are."""

import contextlib
import json
import os
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from gt_conformance import attestation, ledger, resources, schema
from gt_conformance.attestation import Attestation
from gt_conformance.errors import InputError, Location, Problem
from gt_conformance.ledger import LINE_END, Ledger
from gt_conformance.runbook import Runbook
from gt_conformance.schema import spelled

_WORDS = {
    "runbook": "RUNBOOK",
    "item": "ITEM",
    "statement": "--statement",
    "by.name": "--by",
    "by.role": "--role",
    "on": "--on",
    "evidence": "--evidence",
    "expires": "--expires",
}
"""Where each part of an entry stands on the command line."""

_EMPTY_LIST = re.compile(r"^(attestations:)[ \t]*\[\s*\]", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Days:
    """When it is given, until when it counts (a year where nothing is said), and what day it is."""

    on: date
    expires: date | None
    today: date

    @property
    def until(self) -> date:
        """The last day on which it counts."""
        return self.expires or _years_after(self.on, 1)


def attested(
    said: Mapping[str, Any], days: Days, path: Path, runbooks: Sequence[Runbook], *, replace: bool
) -> list[str]:
    """Write the attestation to the file, and say what is vouched for and until when.

    Raises InputError where it may not be given, where the item has one already (unless it is to be replaced), and
    where the file cannot take it; the file is then as it was.
    """
    books = ledger.by_id(runbooks)
    book = books.get(said["runbook"])
    if book is None:
        raise InputError([ledger.unknown("runbook", said["runbook"], books, path="RUNBOOK")])
    value = {**said, "on": str(days.on), "expires": str(days.until), "runbook_digest": book.digest}
    if found := list(_problems(value, books, days)):
        raise InputError(
            Problem(one.message, path=_WORDS.get(one.path or "", one.path), hint=one.hint) for one in found
        )
    new = Attestation.of(value, Location(str(path)))
    before: tuple[Attestation, ...] = ()
    index = None
    if path.exists():
        before = attestation.load(path, runbooks, days.today).entries
        index = next((at for at, one in enumerate(before) if (one.runbook, one.item) == (new.runbook, new.item)), None)
        if index is not None and not replace:
            raise InputError.of(
                f"item {new.item} of {new.runbook} is attested already, by {before[index].by} until "
                f"{before[index].expires}.",
                where=before[index].where,
                hint="Add --replace to put yours in its place.",
            )
        text = _with(path.read_bytes().decode(), ledger.read(path, attestation.NAME), index, value)
    else:
        text = f"# yaml-language-server: $schema={_schema_for(path)}\n{attestation.NAME}:\n{_entry(value, 2)}"
    after = (*before, new) if index is None else (*before[:index], new, *before[index + 1 :])
    _write(text, path, after, runbooks, days.today)
    return list(_told(new, book, path, replaced=index is not None))


def _problems(value: Mapping[str, Any], books: Mapping[str, Runbook], days: Days) -> Iterator[Problem]:
    errors = schema.load(attestation.NAME).errors(value, ledger.ENTRY)
    if errors:
        yield from (Problem(one.finding, path=spelled(one.path), hint=one.hint) for one in errors)
        return
    yield from ledger.unsaid(value)
    yield from attestation.problems(value, books, days.today)
    latest = _years_after(days.on, 2)
    if days.until > latest:
        message = f"it expires on {days.until}, more than two years after {days.on}."
        yield Problem(message, path="expires", hint=f"At most {latest}.")
    elif days.on <= days.until < days.today:
        message = f"it would have expired on {days.until} already."
        yield Problem(message, path="expires", hint="Look again today, or name a later end.")


def _with(text: str, file: Ledger, index: int | None, value: Mapping[str, Any]) -> str:
    """The text with the entry at the end, or in the place of the one of that index."""
    newline = "\r\n" if "\r\n" in text else "\n"
    entry = _entry(value, 2 if file.indent is None else file.indent).replace("\n", newline)
    if index is not None:
        starts = [0, *(end.end() for end in LINE_END.finditer(text)), len(text)]
        old = file.entries[index]
        return text[: starts[old.first - 1]] + entry + text[starts[old.last] :]
    if not file.entries:
        text = _EMPTY_LIST.sub(r"\1", text)
    return text + ("" if text.endswith(("\n", "\r")) else newline) + entry


def _entry(value: Mapping[str, Any], indent: int) -> str:
    """The entry as YAML, its texts as JSON strings: those are YAML whatever stands in them."""
    by = value["by"]
    lines = [
        f"- runbook: {_quoted(value['runbook'])}",
        f"  item: {value['item']}",
        f"  statement: {_quoted(value['statement'])}",
        f"  by: {{name: {_quoted(by['name'])}, role: {_quoted(by['role'])}}}",
        f"  on: {value['on']}",
        f"  evidence: {_quoted(value['evidence'])}",
        f"  expires: {value['expires']}",
        f"  runbook_digest: {_quoted(value['runbook_digest'])}",
    ]
    return "".join(f"{' ' * indent}{line}\n" for line in lines)


def _quoted(text: str) -> str:
    # Letters of every script stay readable; what cannot be seen is escaped: YAML takes some of it for line breaks.
    return "".join(char if char.isprintable() else _escape(char) for char in json.dumps(text, ensure_ascii=False))


def _escape(char: str) -> str:
    return f"\\u{ord(char):04x}" if ord(char) <= 0xFFFF else f"\\U{ord(char):08x}"


def _write(text: str, path: Path, wanted: tuple[Attestation, ...], runbooks: Sequence[Runbook], today: date) -> None:
    """Put the text into the file as a whole, once it has been read back and holds just what it should."""
    target = path.resolve()
    draft = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        draft.write_bytes(text.encode())
        if target.exists():
            shutil.copymode(target, draft)
        if not _holds(draft, wanted, runbooks, today):
            raise InputError.of(
                "this file is written in a form to which no entry can be added; it was left as it is.",
                where=Location(str(path)),
                hint="Write its list with one '- ' an entry, each key in a line of its own.",
            )
        draft.replace(target)
    except OSError as error:
        raise InputError.of(
            f"the file cannot be written: {error.strerror}.", where=Location(str(path)), hint="Nothing was changed."
        ) from None
    finally:
        with contextlib.suppress(OSError):  # it was moved, or never came to be
            draft.unlink()


def _holds(path: Path, wanted: tuple[Attestation, ...], runbooks: Sequence[Runbook], today: date) -> bool:
    try:
        return attestation.load(path, runbooks, today).entries == wanted
    except InputError:
        return False


def _schema_for(path: Path) -> str:
    """Where an editor finds the schema: from the file's own folder within the checkout, else where it is installed."""
    found, folder = resources.schemas_dir() / f"{attestation.NAME}.schema.json", path.resolve().parent
    return os.path.relpath(found, folder) if folder.is_relative_to(resources.root()) else str(found)


def _told(new: Attestation, book: Runbook, path: Path, *, replaced: bool) -> Iterator[str]:
    item = book.checklist[new.item - 1]
    measured = [check for check in item.checks if check != ledger.ATTESTATION]
    yield f"Item {new.item} of {book.id}: {item.text}"
    yield f"  statement  {new.statement}"
    yield f"  by         {new.by}, on {new.on}"
    yield f"  evidence   {new.evidence}"
    yield f"  until      {new.expires}, or until the runbook changes"
    if measured:
        yield f"  the rest   is verified by the run: {', '.join(measured)}"
    yield f"{'Replaced in' if replaced else 'Added to'} {path}."


def _years_after(day: date, years: int) -> date:
    try:
        return day.replace(year=day.year + years)
    except ValueError:  # the 29th of February
        return day.replace(year=day.year + years, day=28)
