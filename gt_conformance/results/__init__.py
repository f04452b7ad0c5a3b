"""results.json: the record of a run, from which everything else is rendered.

Its types are in ``record_types``, ``case_types`` and ``run_types``.
"""

from gt_conformance.files import replace_file, replace_text
from gt_conformance.results._accepting import accept, address_of, recompute
from gt_conformance.results._build import SCHEMA_VERSION, build, complete, conclude
from gt_conformance.results._cases import (
    RecordedCase,
    cases,
    count,
    is_partial,
    is_whole,
    noun,
    of_all_in,
    references,
    runbook_cases,
    totals,
)
from gt_conformance.results._decision import EXIT_CODES, decide, decide_runbook, exit_code, exit_code_of_all, outcome_of
from gt_conformance.results._file import (
    FILE_NAME,
    MOST_BYTES,
    PEEK_BYTES,
    concluded,
    file_of,
    load,
    parsed,
    peek,
    read,
    write,
)
from gt_conformance.results._findings import find, findings_of
from gt_conformance.results._judged import CheckRecords, case_record, client_exchanges, client_records
from gt_conformance.results._run import (
    RunFacts,
    add_traffic,
    earlier_by_secret,
    measure_traffic,
    most_first,
    record,
    route_title,
    runbooks_digest,
    spending_record,
    suite_digest,
)
from gt_conformance.results._seal import digest_of, part_digests, seal, whole_digest
from gt_conformance.results._times import rejudge, samples_of
from gt_conformance.results.record_types import Record
from gt_conformance.runner import is_embedded

__all__ = [
    "EXIT_CODES",
    "FILE_NAME",
    "MOST_BYTES",
    "PEEK_BYTES",
    "SCHEMA_VERSION",
    "CheckRecords",
    "Record",
    "RecordedCase",
    "RunFacts",
    "accept",
    "add_traffic",
    "address_of",
    "build",
    "case_record",
    "cases",
    "client_exchanges",
    "client_records",
    "complete",
    "conclude",
    "concluded",
    "count",
    "decide",
    "decide_runbook",
    "digest_of",
    "earlier_by_secret",
    "exit_code",
    "exit_code_of_all",
    "file_of",
    "find",
    "findings_of",
    "is_embedded",
    "is_partial",
    "is_whole",
    "load",
    "measure_traffic",
    "most_first",
    "noun",
    "of_all_in",
    "outcome_of",
    "parsed",
    "part_digests",
    "peek",
    "read",
    "recompute",
    "record",
    "references",
    "rejudge",
    "replace_file",
    "replace_text",
    "route_title",
    "runbook_cases",
    "runbooks_digest",
    "samples_of",
    "seal",
    "spending_record",
    "suite_digest",
    "totals",
    "whole_digest",
    "write",
]
