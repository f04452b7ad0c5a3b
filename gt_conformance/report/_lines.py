"""The record as JSON lines: a case, a finding or the decision each, for programs that read standard output."""

import json
from collections.abc import Iterator
from typing import Any

from gt_conformance.report._decision import decision_reason
from gt_conformance.results import Record, cases, exit_code


def json_lines(record: Record) -> Iterator[str]:
    """A line for each case, then for each finding, then one for the decision; ``type`` tells them apart."""
    for case in cases(record):
        entry = {"id": case.id, "kind": case.kind.value, "runbook": case.runbook or None, "outcome": case.outcome.value}
        yield _line("case", entry)
    for finding in record["findings"]:
        yield _line("finding", finding)
    run = record["run"]
    yield _line(
        "decision",
        {
            "decision": record["decision"],
            "reason": decision_reason(record),
            "exit_code": exit_code(record),
            "run": run["id"],
            "tenant": run["tenant"],
            "totals": record["totals"],
        },
    )


def _line(kind: str, value: Any) -> str:
    return json.dumps({"type": kind, **value}, ensure_ascii=True, separators=(",", ":"))
