"""Outcomes as a table: a Parquet file for each part of a night, which DuckDB writes and reads."""

from gt_conformance.table._rows import COLUMNS, JudgedTenant
from gt_conformance.table._table import OUTCOMES, VIEWS, Table, open_table, query, require_engine
from gt_conformance.table._write import write

__all__ = ["COLUMNS", "OUTCOMES", "VIEWS", "JudgedTenant", "Table", "open_table", "query", "require_engine", "write"]
