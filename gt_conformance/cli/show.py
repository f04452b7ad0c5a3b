"""``gt-conformance show``: a runbook, row, item, check, clause, fault, finding or exchange, by its name."""

import difflib
import re
import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path

import click

from gt_conformance import report, resources, results
from gt_conformance.checks import load_extensions
from gt_conformance.cli._options import further_checks, last_record, offering, own_runbooks, runbook_ids
from gt_conformance.cli.explain import explained_names, names_to_explain, print_explanation
from gt_conformance.errors import InputError, Location
from gt_conformance.exchange import ExchangeRecord, inert
from gt_conformance.report import Line
from gt_conformance.results import Record, RecordedCase
from gt_conformance.runbook import Row, Runbook, load_directory

_OF_A_RECORD = re.compile(r"[vbuw]\d+|[a-z_.]+~[0-9a-f]{6}(-waived)?|x\d{4,}|c\d{3,}", re.IGNORECASE)
"""What only a record knows: findings by label or id, exchanges."""
_WIDTH = 100


def read_last(given: Path) -> Record:
    """The record of a file, or of the results.json in a folder. Raises InputError."""
    path = given / results.FILE_NAME if given.is_dir() or given == Path("reports") else given
    if not path.exists():
        raise InputError.of(
            "there is no record of a run.",
            where=Location(str(path)),
            hint="Run `gt-conformance run` first, or name a results.json or its folder with --from.",
        )
    return results.read(path)


def names_to_show() -> Iterator[str]:
    """What a shell is offered: runbooks, rows, what can be explained, and the findings of the last run."""
    yield from runbook_ids()
    yield from (row.id for book in load_directory(resources.runbooks_dir()) for row in book.rows)
    yield from names_to_explain()
    try:
        yield from (found["id"] for found in read_last(Path("reports"))["findings"])
    except InputError:
        return


@click.command
@click.argument("name", shell_complete=offering(names_to_show))
@last_record("The results.json of a run, or the folder that it is in.")
@own_runbooks
@further_checks
def show(name: str, source: Path, runbooks: Path | None, modules: tuple[str, ...]) -> int:
    """Show one thing by its name: a runbook, a row, an item, a check, a clause, a fault, a finding or an exchange.

    Findings and exchanges are read from the record of a run: the one in reports/, unless --from names another.

    \b
    Examples:
      gt-conformance show dify
      gt-conformance show dify-chat-native
      gt-conformance show chat.streams
      gt-conformance show base_url~eb7e68
      gt-conformance show x0052 --from reports
    """
    if _OF_A_RECORD.fullmatch(name):
        _print(_describe_of_record(read_last(source), name))
        return 0
    known = load_extensions(modules)
    books = load_directory(runbooks or resources.runbooks_dir())
    record = read_last(source) if (source / results.FILE_NAME).exists() or source.is_file() else None
    if lines := [*_describe(name, books, record)]:
        if any(name == item.id for book in books for item in book.checklist):
            print_explanation(name, known, books)
        _print(lines)
        return 0
    if print_explanation(name, known, books) or _print_alteration(name):
        return 0
    names = [*explained_names(known, books), *(book.id for book in books), *(row.id for row in _rows(books))]
    near = difflib.get_close_matches(name, names, n=1)
    hint = f"Did you mean {near[0]}? " if near else ""
    raise InputError.of(
        f"nothing is called {name!r}.",
        hint=f"{hint}`gt-conformance list` lists runbooks, routes, checks, findings and faults.",
    )


def _print(lines: Sequence[Line]) -> None:
    for line in lines:
        bold, dim = "bold" in line.style, "dim" in line.style
        click.secho(line.text, bold=bold or None, dim=dim or None)


def _rows(books: Sequence[Runbook]) -> Iterator[Row]:
    return (row for book in books for row in book.rows)


# -- what a record knows


def _describe_of_record(record: Record, name: str) -> list[Line]:
    if lines := report.finding_lines(record, name):
        return lines
    exchange = record["exchanges"].get(name.lower())
    if exchange is not None:
        return [*_exchange(name.lower(), exchange, record)]
    known = [*(found["id"] for found in record["findings"]), *record["exchanges"]]
    near = difflib.get_close_matches(name, known, n=1)
    raise InputError.of(
        f"run {record['run']['id']} has no finding and no exchange {name!r}.",
        hint=(f"Did you mean {near[0]}? " if near else "") + "`gt-conformance list findings` lists its findings.",
    )


def _exchange(ref: str, exchange: ExchangeRecord, record: Record) -> Iterator[Line]:
    request, response = exchange["request"], exchange["response"]
    yield Line(f"{ref}  {request['method']} {inert(request['url'])}", "bold")
    key = request["credential"] or "none"
    yield Line(f"  key       {key}, presented as {request['presentation']}")
    yield from (Line(f"  >         {inert(': '.join(header))}", "dim") for header in request["headers"])
    yield from _body(request["body"]["text"])
    if response is None:
        failure = exchange.get("failure")
        yield Line(f"  no answer {inert(failure['detail']) if failure else ''}", "")
    else:
        yield Line(f"  status    {response['status']}, after {exchange['elapsed_ms']:g} ms", "bold")
        yield from (Line(f"  <         {inert(': '.join(header))}", "dim") for header in response["headers"])
        yield from _body(response["body"]["text"])
    asked = [
        f"{case.id} ({check['id']})"
        for case in results.cases(record)
        for check in case.checks
        if ref in check["exchanges"]
    ]
    if asked:
        yield from _filled("asked by", ", ".join(dict.fromkeys(asked)))
    yield Line(f"  repeat    {inert(exchange['curl'])}")


def _body(text: str) -> Iterator[Line]:
    for line in str(inert(text)).splitlines()[:_MOST_LINES]:
        yield Line(f"    {line}")


_MOST_LINES = 60


# -- runbooks, rows and items


def _describe(name: str, books: Sequence[Runbook], record: Record | None) -> Iterator[Line]:
    for book in books:
        if book.id == name:
            yield from _runbook(book, record)
        for row in book.rows:
            if row.id == name:
                yield from _row(book, row)
    for case in results.cases(record) if record is not None else ():
        if case.id == name:
            yield from _case(case)


def _runbook(book: Runbook, record: Record | None) -> Iterator[Line]:
    yield Line(f"{book.title}  ({book.id}, {book.category})", "bold")
    yield from _filled("says", book.summary)
    yield from _filled("base URL", book.base_url)
    yield from _filled("preset", book.key_preset)
    for field in book.configuration:
        yield from _filled("field", f"{field.field}: {field.value}")
    for needed in book.prerequisites:
        yield from _filled("needs", needed.text)
    for row in book.rows:
        yield Line(f"  {row.id:<42} {row.route.title:<31} {row.verdict.value}")
    for item in book.checklist:
        yield from _filled(item.id, f"{item.text}{' (optional)' if item.optional else ''}")
    for found in record["runbooks"] if record is not None else ():
        if found["id"] == book.id and record is not None:
            yield from _filled("last run", f"{record['run']['id']}: {found.get('decision', found['outcome'])}")


def _row(book: Runbook, row: Row) -> Iterator[Line]:
    yield Line(f"{row.id}  {book.title}: {row.route.title} is {row.verdict.value}", "bold")
    yield from _filled("says", row.integration)
    if row.instead:
        yield from _filled("instead", row.instead)


def _case(case: RecordedCase) -> Iterator[Line]:
    yield Line(f"  last run  {case.outcome.value}", "bold")
    for check in case.checks:
        key = f" by key {check['credential']}" if check["credential"] else ""
        proof = f": {', '.join(check['exchanges'][:_MOST_REFS])}" if check["exchanges"] else ""
        yield Line(f"    {check['outcome']:<11} {check['id']}{key}{proof}")
        ids = [one.get("finding", "") for one in (*check["breaches"], *check["obstacles"])]
        for finding in dict.fromkeys(filter(None, [*ids, check.get("because", "")])):
            yield Line(f"                gt-conformance show {finding}", "dim")


_MOST_REFS = 6


def _filled(word: str, text: str) -> Iterator[Line]:
    lead = f"  {word:<9} "
    for line in textwrap.wrap(
        " ".join(str(inert(text)).split()), _WIDTH, initial_indent=lead, subsequent_indent=" " * len(lead)
    ):
        yield Line(line)


# -- the embedded tenant


def _print_alteration(name: str) -> bool:
    from gt_sandbox.faults import FAULTS  # noqa: PLC0415 - loaded when it is needed
    from gt_sandbox.variants import VARIANTS  # noqa: PLC0415 - loaded when it is needed

    if fault := FAULTS.get(name):
        broken = f"  breaks    {', '.join(fault.breaks)}" if fault.breaks else ""
        _print([Line(f"{name}  (fault: {fault.area})", "bold"), *_filled("does", fault.description)])
        _print([*_filled("caught by", fault.caught_by), *([Line(broken)] if broken else [])])
        _print([Line(f"  try       gt-conformance run --fault {name}", "dim")])
        return True
    if variant := VARIANTS.get(name):
        _print([Line(f"{name}  (permitted variation: {variant.area})", "bold"), *_filled("does", variant.description)])
        _print([Line(f"  try       gt-conformance run --variant {name}", "dim")])
        return True
    return False
