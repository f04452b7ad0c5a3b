"""The file of a part: the rows of its tenants as Parquet, the same bytes for the same tenants, written whole."""

import json
from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from itertools import groupby
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from gt_conformance import files
from gt_conformance.table._rows import COLUMNS, KINDS, OF_TENANT, JudgedTenant, rows_of
from gt_conformance.table._table import connect, quoted

_GROUP = 32_768
"""Rows of a row group: what a report reads of many nights, tenants and findings, is not in the groups of the cases."""
_ROWS_OF_A_LINE = 500
_LONGEST_LINE = 8 * files.MIB
"""More than so many rows can have, whatever a tenant says: DuckDB keeps twice of it in memory."""


def write(path: Path, night: date, tenants: Iterable[JudgedTenant]) -> None:
    """Write the rows of these tenants, in the order of their ids. Raises OSError; InputError where DuckDB is missing.

    The tenants are taken one by one, so that no more than one record has to be in memory.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix="gt-conformance-") as name:
        folder = Path(name)
        taken, ordered, draft = folder / "taken.jsonl", folder / "ordered.jsonl", folder / "part.parquet"
        _put_in_order(_take(tenants, taken), taken, ordered)
        with connect(folder, threads=1) as connection:
            connection.execute(_copy(night, ordered, draft))
        files.replace_file(path, draft.read_bytes())


class _Line(NamedTuple):
    """Where a line is, after what it is sorted by."""

    kind: int
    tenant: str
    number: int
    start: int
    size: int


def _take(tenants: Iterable[JudgedTenant], target: Path) -> list[_Line]:
    """Write the rows as they come, a line for each tenant and kind; gives where each line is."""
    found: list[_Line] = []
    with target.open("wb") as file:
        for tenant in tenants:
            for number, (kind, line) in enumerate(_lines(rows_of(tenant))):
                content = line.encode()
                found.append(_Line(KINDS.index(kind), tenant.id, number, file.tell(), len(content)))
                file.write(content)
    return found


def _put_in_order(lines: Iterable[_Line], source: Path, target: Path) -> None:
    """The same lines by kind and tenant: DuckDB keeps their order, and has nothing to sort."""
    with source.open("rb") as file, target.open("wb") as ordered:
        for line in sorted(lines):
            file.seek(line.start)
            ordered.write(file.read(line.size))


def _lines(rows: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The rows of a tenant as lines of JSON, of one kind each and with as many rows as fit."""
    for kind, some in groupby(rows["rows"], lambda row: str(row["kind"])):
        all_of_kind = list(some)
        for start in range(0, len(all_of_kind), _ROWS_OF_A_LINE):
            part = {**rows, "rows": all_of_kind[start : start + _ROWS_OF_A_LINE]}
            yield kind, json.dumps(part, ensure_ascii=False, separators=(",", ":")) + "\n"


def _copy(night: date, lines: Path, draft: Path) -> str:
    common = {name: COLUMNS[name] for name in OF_TENANT}
    own = {name: kind for name, kind in COLUMNS.items() if name not in {"night", *OF_TENANT}}
    fields = ", ".join(f'"{name}" {kind}' for name, kind in own.items())
    declared = ", ".join(
        f"{quoted(name)}: {quoted(kind)}" for name, kind in {**common, "rows": f"STRUCT({fields})[]"}.items()
    )
    return f"""
COPY (
  SELECT {", ".join(_chosen(name, night) for name in COLUMNS)}
  FROM (
    SELECT * EXCLUDE (rows), unnest(rows) AS one
    FROM read_json({quoted(str(lines))}, format = 'newline_delimited', columns = {{{declared}}},
                   maximum_object_size = {_LONGEST_LINE})
  )
) TO {quoted(str(draft))} (FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE {_GROUP})
"""


def _chosen(name: str, night: date) -> str:
    if name == "night":
        return f"DATE {quoted(night.isoformat())} AS night"
    return f'"{name}"' if name in OF_TENANT else f'one."{name}" AS "{name}"'
