"""``gt-conformance fleet query``: the outcomes of a fleet as a table in SQL."""

import csv
import io
import json
import math
from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from decimal import Decimal
from itertools import chain, islice
from typing import Any

import click

from gt_conformance import table
from gt_conformance.exchange import inert, shortened

LEFT_OUT = 4
_MOST_ROWS = 1_000
"""So many fit a terminal's table, whose columns are as wide as what is in them."""
_WIDEST = 60
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


@click.command("query")
@click.argument("where", metavar="DIR")
@click.argument("query", metavar="SQL")
@click.option(
    "--format",
    "output",
    type=click.Choice(["table", "csv", "json"]),
    default="table",
    show_default=True,
    help="A table for people; csv or json for programs, which have every row and no text shortened.",
)
def fleet_query(where: str, query: str, output: str) -> int:
    """Query the outcomes of a fleet in SQL: one SELECT, which reads the folder of fleet run and changes nothing.

    `outcomes` is every row of every night, `latest` those of the last night, `tenants` a row for each tenant and night,
    `findings` one for each finding of a tenant and a night. docs/fleet-report.md lists the columns; so does
    "describe outcomes". DIR may be an address that DuckDB reads, such as s3://bucket/nights.

    Exits with 4 if a file of the table could not be read: the file is named, and the rows are from the other files.

    \b
    Examples:
      gt-conformance fleet query nights "select decision, count(*) from latest where kind = 'tenant' group by all"
      gt-conformance fleet query nights "select tenant, says from latest where severity = 'critical'" --format csv
      gt-conformance fleet query nights "select night, count(*) from findings where finding = 'chat.streams~3f9a1c'
        group by all order by all"
    """
    with table.open_table(where) as opened:
        columns, rows = table.query(opened, query)
        writers = {"table": _as_table, "csv": _as_csv, "json": _as_json}
        for line in writers[output](columns, rows):
            click.echo(line, nl=False)
        for problem in opened.problems:
            click.echo(f"warning: {problem}", err=True)
        return LEFT_OUT if opened.problems else 0


def _as_table(columns: Sequence[str], rows: Iterator[Sequence[Any]]) -> Iterator[str]:
    shown = [[_cell(value) for value in row] for row in islice(rows, _MOST_ROWS)]
    head = [_cell(column) for column in columns]
    widths = [max(len(row[place]) for row in (head, *shown)) for place in range(len(head))]
    right = [bool(shown) and all(_is_number(row[place]) for row in shown) for place in range(len(head))]
    for row in (head, ["-" * width for width in widths], *shown):
        cells = (
            text.rjust(width) if to_right else text.ljust(width)
            for text, width, to_right in zip(row, widths, right, strict=True)
        )
        yield "  ".join(cells).rstrip() + "\n"
    if next(rows, None) is not None:
        yield f"... and more than these {_MOST_ROWS} rows: --format csv has all of them.\n"


def _cell(value: Any) -> str:
    return shortened(" ".join(_text(value).split()), _WIDEST) if value is not None else ""


def _is_number(text: str) -> bool:
    return not text or text.lstrip("-").replace(".", "", 1).isdigit()


def _as_csv(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> Iterator[str]:
    """Lines of CSV. A text that a spreadsheet would take for a formula begins with an apostrophe."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    for row in chain([columns], rows):
        writer.writerow([_inert_in_spreadsheets(value) for value in row])
        yield file.getvalue()
        file.seek(0)
        file.truncate()


def _inert_in_spreadsheets(value: Any) -> Any:
    if value is None or isinstance(value, int | float):
        return value
    text = _text(value)
    return f"'{text}" if text.startswith(_FORMULA) else text


def _as_json(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> Iterator[str]:
    """An array with an object for each row, a line each."""
    separator = "["
    for row in rows:
        found = {name: _plain(value) for name, value in zip(columns, row, strict=True)}
        yield f"{separator}{json.dumps(found, ensure_ascii=False)}"
        separator = ",\n "
    yield "[]\n" if separator == "[" else "]\n"


def _plain(value: Any) -> Any:
    """The value as JSON has it: what JSON has no form for, and a number that is none, as a text."""
    if isinstance(value, dict):
        return {_text(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if value is None or isinstance(value, bool | int) or (isinstance(value, float) and math.isfinite(value)):
        return value
    return _text(value)


def _text(value: Any) -> str:
    """The value as a text in which nothing affects a reader or a terminal."""
    if isinstance(value, dict):
        return ", ".join(f"{_text(key)}: {_text(item)}" for key, item in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(map(_text, value))
    if isinstance(value, date):  # a moment as well
        return value.isoformat()
    if isinstance(value, Decimal):
        return format(value, "f")
    return str(inert(str(value)))
