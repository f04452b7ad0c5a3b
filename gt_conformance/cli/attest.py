"""``gt-conformance attest``: record a person's attestation of a checklist item, or list the items that need one.

Writing adds one entry to a file whose other entries and comments stay as they are.
"""

import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import click

from gt_conformance import attestation, dated_entries, resources, schema
from gt_conformance import tenant as tenants
from gt_conformance.attestation import Attestation, Attestations, State, Status
from gt_conformance.cli._options import own_runbooks
from gt_conformance.dated_entries import EMBEDDED, quoted
from gt_conformance.errors import InputError, Location, Problem
from gt_conformance.runbook import Runbook, load_directory
from gt_conformance.schema import format_path, join_values, plain
from gt_conformance.vocabulary import ATTESTATION

_DAY = click.DateTime(["%Y-%m-%d"])

_OPTIONS = {
    "runbook": "RUNBOOK",
    "item": "ITEM",
    "tenant": "--tenant",
    "statement": "--statement",
    "by.name": "--by",
    "by.role": "--role",
    "on": "--on",
    "evidence": "--evidence",
    "expires": "--expires",
}
"""The option or argument that gives each part of an entry."""


@click.command
@click.argument("runbook", required=False)
@click.argument("item", required=False, type=int)
@click.option(
    "--tenant",
    metavar="FILE|URL",
    help="The tenant on which you looked: its tenant file, or its base URL. Default: GT_BASE_URL.",
)
@click.option("--statement", metavar="TEXT", help="What you saw and attest.")
@click.option("--by", metavar="NAME", help="Your name.")
@click.option("--role", metavar="ROLE", help="The role in which you attest it.")
@click.option("--evidence", metavar="LINK", help="A link or a file that shows it.")
@click.option("--on", metavar="DATE", type=_DAY, help="The day on which you looked. Default: today (UTC).")
@click.option(
    "--expires",
    metavar="DATE",
    type=_DAY,
    help="The last day on which it is valid. Default: one year later; at most two years.",
)
@click.option("--replace", is_flag=True, help="Replace the attestation that this item already has.")
@click.option("--list", "listing", is_flag=True, help="List every item that needs a person, and who attested it.")
@click.option(
    "--attestations",
    "path",
    metavar="FILE",
    type=click.Path(path_type=Path),
    default=Path("attestations.yaml"),
    show_default=True,
    help="The file of attestations.",
)
@own_runbooks
# For tests. An option rather than an environment variable, which somebody could leave set and not know of it.
@click.option("--today", metavar="DATE", type=_DAY, hidden=True)
def attest(  # noqa: PLR0913 - one argument an option
    *,
    runbook: str | None,
    item: int | None,
    tenant: str | None,
    statement: str | None,
    by: str | None,
    role: str | None,
    evidence: str | None,
    on: datetime | None,
    expires: datetime | None,
    path: Path,
    runbooks: Path | None,
    today: datetime | None,
    replace: bool,
    listing: bool,
) -> int:
    """Attest an item of a runbook's checklist that only a person can check; or list those items.

    The attestation is written to a file, bound to the tenant and to the runbook as it is now: another tenant, or a
    changed runbook, needs a new one. Other entries and comments in the file do not change.

    \b
    Exit codes of --list:
      0  every item that needs a person has a valid attestation
      7  one is missing, expired or outdated

    \b
    Examples:
      gt-conformance attest --list --tenant acme.yaml
      gt-conformance attest crewai 2 --tenant acme.yaml --by "A. Example" --role "Platform lead" \\
          --evidence logs/crew.txt \\
          --statement "The log shows each conversation id when it is made, used and dropped."
    """
    address = tenant or os.environ.get("GT_BASE_URL") or None
    given = {"RUNBOOK": runbook, "ITEM": item, "--statement": statement, "--by": by, "--role": role}
    given |= {"--evidence": evidence}
    if listing:
        _refuse(given | {"--on": on, "--expires": expires, "--replace": replace or None})
    else:
        _demand(given | {"--tenant": address})
    address = None if address is None else _normalised(address)
    books = load_directory(runbooks or resources.runbooks_dir())
    now = today.date() if today else datetime.now(tz=UTC).date()
    if listing:
        lines, code = _list(path, books, now, address)
    else:
        days = _Days(on.date() if on else now, expires.date() if expires else None, now)
        value: dict[str, Any] = {"runbook": runbook, "item": item, "tenant": address, "statement": statement}
        value |= {"by": {"name": by, "role": role}, "evidence": evidence}
        lines, code = _add(value, days, path, books, replace=replace), 0
    for line in lines:
        click.echo(line)
    return code


def _refuse(options: Mapping[str, object]) -> None:
    given = [name for name, value in options.items() if value is not None]
    if given:
        raise click.UsageError(f"--list takes no {', '.join(given)}.")


def _demand(options: Mapping[str, object]) -> None:
    missing = [name for name, value in options.items() if value is None]
    if missing:
        raise click.UsageError(f"missing: {', '.join(missing)}. `gt-conformance attest --list` lists what to attest.")


def _normalised(tenant: str) -> str:
    """The address of a tenant that is given by its file, its base URL, or the word ``embedded``."""
    if tenant == EMBEDDED:
        return tenant
    url = tenants.check_base_url(tenant) if "://" in tenant else tenants.read_base_url(Path(tenant))
    return dated_entries.normalise(url)


def _only_tenant(found: Attestations) -> str | None:
    """The one tenant of which a file speaks; None where it holds nothing. Raises InputError where it has several."""
    named = sorted({entry.tenant for entry in found.entries})
    if len(named) > 1:
        raise InputError.of(
            f"the file holds attestations for several tenants: {join_values(named)}.",
            where=Location(str(found.path)),
            hint="Name one with --tenant.",
        )
    return named[0] if named else None


def _list(path: Path, runbooks: Sequence[Runbook], today: date, tenant: str | None) -> tuple[list[str], int]:
    """A line an item, the commands that are due, and the exit code: 0 where every attestation is valid.

    Without a ``tenant`` it is the one of which the file speaks.
    """
    exists = path.exists()
    found = attestation.load(path, runbooks, today, tenant) if exists else Attestations(path=path)
    tenant = tenant or _only_tenant(found)
    statuses = [
        (book, item, found.status(book, item.number, today, tenant))
        for book in runbooks
        for item in book.checklist
        if attestation.needs_a_person(item)
    ]
    width = max((len(book.id) for book, _, _ in statuses), default=0)
    lines = [f"{book.id:<{width}} {item.number}  {_line(status)}" for book, item, status in statuses]
    for book, item, status in statuses:
        if status.remedy:
            lines += ["", f"{book.id} {item.number}: {item.text}", f"  {status.remedy}"]
    lines += [""] if lines else []
    lines += [] if exists else [f"There is no file {path} yet."]
    lines += [f"Tenant: {attestation.name_of(tenant)}."] if tenant else []
    states = Counter(status.state for _, _, status in statuses)
    parts = ", ".join(f"{states[state]} {state.value}" for state in State if states[state])
    lines.append(f"Items that need a person: {len(statuses)}{f' ({parts})' if parts else ''}.")
    return lines, 0 if set(states) <= {State.VALID} else 7


def _line(status: Status) -> str:
    one = status.attestation
    if one is None:
        return status.state.value
    soon = "  about to expire" if status.expires_soon else ""
    return f"{status.state.value:<8}  by {plain(one.by, 200)}, on {one.on}, until {one.expires}{soon}"


@dataclass(frozen=True, slots=True)
class _Days:
    """When it is given, until when it is valid (a year unless something else is asked for), and what day it is."""

    on: date
    expires: date | None
    today: date

    @property
    def until(self) -> date:
        """The last day on which it is valid."""
        return self.expires or _years_after(self.on, 1)


def _add(given: Mapping[str, Any], days: _Days, path: Path, runbooks: Sequence[Runbook], *, replace: bool) -> list[str]:
    """Write the attestation to the file, and describe what is attested and until when.

    Raises InputError where it may not be given, where the item has one already (unless it is to be replaced), and
    where the file cannot take it; the file is then as it was.
    """
    books = dated_entries.by_id(runbooks)
    book = books.get(given["runbook"])
    if book is None:
        raise InputError([dated_entries.unknown("runbook", given["runbook"], books, path="RUNBOOK")])
    value = {**given, "on": str(days.on), "expires": str(days.until), "runbook_digest": book.digest}
    if found := list(_problems(value, books, days)):
        raise InputError(
            Problem(one.message, path=_OPTIONS.get(one.path or "", one.path), hint=one.hint) for one in found
        )
    new = Attestation.of(value, Location(str(path)))
    before: tuple[Attestation, ...] = ()
    index = None
    if path.exists():
        before = attestation.load(path, runbooks, days.today).entries
        about = (new.runbook, new.item, new.tenant)
        index = next((at for at, one in enumerate(before) if (one.runbook, one.item, one.tenant) == about), None)
        if index is not None and not replace:
            raise InputError.of(
                f"item {new.item} of {new.runbook} is attested already, by {before[index].by} until "
                f"{before[index].expires}.",
                where=before[index].where,
                hint="Add --replace to put yours in its place.",
            )
        text = dated_entries.read(path, attestation.NAME).insert(_entry(value), index)
    else:
        text = dated_entries.begin(path, attestation.NAME, _entry(value))
    after = (*before, new) if index is None else (*before[:index], new, *before[index + 1 :])
    dated_entries.write(text, path, lambda draft: _holds(draft, after, runbooks, days.today))
    return list(_describe(new, book, path, replaced=index is not None))


def _problems(value: Mapping[str, Any], books: Mapping[str, Runbook], days: _Days) -> Iterator[Problem]:
    errors = schema.load(attestation.NAME).errors(value, dated_entries.ENTRY)
    if errors:
        yield from (Problem(one.finding, path=format_path(one.path), hint=one.hint) for one in errors)
        return
    yield from dated_entries.unsaid(value)
    yield from attestation.problems(value, books, days.today)
    latest = _years_after(days.on, 2)
    if days.until > latest:
        message = f"it expires on {days.until}, more than two years after {days.on}."
        yield Problem(message, path="expires", hint=f"At most {latest}.")
    elif days.on <= days.until < days.today:
        message = f"it would have expired on {days.until} already."
        yield Problem(message, path="expires", hint="Look again today, or name a later end.")


def _entry(value: Mapping[str, Any]) -> list[str]:
    """The lines of the entry."""
    by = value["by"]
    return [
        f"- runbook: {quoted(value['runbook'])}",
        f"  item: {value['item']}",
        f"  tenant: {quoted(value['tenant'])}",
        f"  statement: {quoted(value['statement'])}",
        f"  by: {{name: {quoted(by['name'])}, role: {quoted(by['role'])}}}",
        f"  on: {value['on']}",
        f"  evidence: {quoted(value['evidence'])}",
        f"  expires: {value['expires']}",
        f"  runbook_digest: {quoted(value['runbook_digest'])}",
    ]


def _holds(path: Path, wanted: tuple[Attestation, ...], runbooks: Sequence[Runbook], today: date) -> bool:
    try:
        return attestation.load(path, runbooks, today).entries == wanted
    except InputError:
        return False


def _describe(new: Attestation, book: Runbook, path: Path, *, replaced: bool) -> Iterator[str]:
    item = book.checklist[new.item - 1]
    measured = [f"the {route.value} row" for route in item.rests_on]
    measured += [check for check in item.checks if check != ATTESTATION]
    yield f"Item {new.item} of {book.id}: {item.text}"
    yield f"  tenant     {attestation.name_of(new.tenant)}"
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
