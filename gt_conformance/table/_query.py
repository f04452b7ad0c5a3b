"""A query of somebody's own: one SELECT, which reads the table and changes nothing."""

from collections.abc import Iterator
from typing import Any

from gt_conformance.errors import InputError
from gt_conformance.table._table import VIEWS, Table


def query(table: Table, text: str) -> tuple[list[str], Iterator[tuple[Any, ...]]]:
    """The names of the columns, and the rows. Raises InputError for what is no single SELECT, or fails."""
    import duckdb  # noqa: PLC0415 - the table is open, so it is installed

    hint = (
        f"Ask for something in {', '.join(VIEWS)}, such as: select tenant, decision from latest where kind = 'tenant'"
    )
    try:
        statements = duckdb.extract_statements(text)
    except duckdb.Error as error:
        first = " ".join(str(error).partition("\nLINE ")[0].split())
        raise InputError.of(first, hint=hint) from None
    if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
        raise InputError.of("a query is one SELECT: the table is read and never changed.", hint=hint)
    return table.select(text)
