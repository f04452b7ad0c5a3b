"""results.json: the record of a run, from which everything else is rendered."""

from gt_conformance.files import replace_file, replace_text
from gt_conformance.results._clients import client_exchanges, client_records
from gt_conformance.results._exit import exit_code
from gt_conformance.results._file import MOST_BYTES, PEEK_BYTES, parsed, peek, read, write
from gt_conformance.results._record import (
    SCHEMA_VERSION,
    Record,
    RunFacts,
    client_rows,
    is_partial,
    is_whole,
    judged,
    overall,
    record,
    totals,
)
from gt_conformance.results._traffic import route_title

__all__ = [
    "MOST_BYTES",
    "PEEK_BYTES",
    "SCHEMA_VERSION",
    "Record",
    "RunFacts",
    "client_exchanges",
    "client_records",
    "client_rows",
    "exit_code",
    "is_partial",
    "is_whole",
    "judged",
    "overall",
    "parsed",
    "peek",
    "read",
    "record",
    "replace_file",
    "replace_text",
    "route_title",
    "totals",
    "write",
]
