"""Lists of tenants in CSV: its first line names the columns, each further line is a tenant."""

import csv
import io
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from gt_conformance import document, files
from gt_conformance.errors import InputError, Location, Problem
from gt_conformance.schema import masked, nearest, quote

MOST_BYTES = 32 * files.MIB
"""Some 300,000 tenants."""
_MOST_CHARACTERS = 200
_COLUMN = re.compile(r"[a-z][a-z0-9_]{0,62}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class Line:
    """One tenant of a list: what its columns say, without those in which nothing is written."""

    values: Mapping[str, str]
    where: Location


def read_list(path: Path, known: Collection[str]) -> list[Line]:
    """The tenants of a CSV file, whose columns are all ``known``. Raises InputError with every problem of it."""
    source = document.read_text(path, MOST_BYTES)
    reader = csv.reader(io.StringIO(source.text, newline=""), strict=True)
    problems: list[Problem] = []
    found: list[Line] = []
    try:
        columns = [name.strip() for name in next(reader, [])]
        problems += _problems_of_columns(columns, known, Location(str(path), 1))
        if problems:
            raise InputError(problems)
        for row in reader:
            where = Location(str(path), reader.line_num)
            if not any(cell.strip() for cell in row):
                continue
            values = {name: cell.strip() for name, cell in zip(columns, row, strict=False) if cell.strip()}
            problems += _problems_of_row(row, columns, values, where)
            found.append(Line(values, where))
    except csv.Error as error:
        problems.append(Problem(f"not valid CSV: {error}.", where=Location(str(path), reader.line_num)))
    if not found and not problems:
        problems.append(Problem("the list has no tenant.", where=Location(str(path))))
    if problems:
        raise InputError(document.limit_problems(problems, path))
    return found


def _problems_of_columns(columns: list[str], known: Collection[str], where: Location) -> Iterator[Problem]:
    if len(columns) == 1 and (mark := next((one for one in ";\t|" if one in columns[0]), None)):
        hint = "Save the file as CSV with commas, as spreadsheets in English do."
        yield Problem(f"{quote(mark)} separates the columns, where a comma is wanted.", where=where, hint=hint)
        return
    if "id" not in columns:
        hint = "The first line names the columns, with commas between them: id,name,region."
        yield Problem("there is no column id.", where=where, hint=hint)
    for name in dict.fromkeys(name for name in columns if columns.count(name) > 1):
        yield Problem(f"the column {quote(name)} is there {columns.count(name)} times.", where=where)
    for name in columns:
        if not _COLUMN.fullmatch(name):
            hint = "Small letters, digits and _, starting with a letter."
            yield Problem(f"{quote(name)} cannot be the name of a column.", where=where, hint=hint)
        elif name not in known:
            near = nearest(name, known)
            hint = (
                f"{f'Did you mean {near}? ' if near else ''}Known: {', '.join(sorted(known))}. "
                "A column is a label that the fleet file declares, or a placeholder that it or the template uses."
            )
            yield Problem(f"nothing uses the column {quote(name)}.", where=where, hint=hint)


def _problems_of_row(
    row: list[str], columns: list[str], values: Mapping[str, str], where: Location
) -> Iterator[Problem]:
    if len(row) != len(columns):
        yield Problem(f"this line has {len(row)} values for {len(columns)} columns.", where=where)
        return
    if "id" not in values:
        yield Problem("this tenant has no id.", where=where)
    for name, value in values.items():
        if masked(value) != value:
            hint = "A file must not contain a key: name where it is read from in the tenant file."
            yield Problem("this looks like a key.", where=where, path=name, hint=hint)
        elif len(value) > _MOST_CHARACTERS:
            yield Problem(f"longer than {_MOST_CHARACTERS} characters.", where=where, path=name)
        elif _CONTROL.search(value):
            yield Problem("holds a line break or another control character.", where=where, path=name)
