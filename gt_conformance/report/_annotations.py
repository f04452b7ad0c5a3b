"""GitHub's workflow commands: a finding as an annotation of the job that found it.

Their form is in GitHub's reference "Workflow commands for GitHub Actions".
"""

from collections.abc import Iterator

from gt_conformance.exchange import inert, shortened
from gt_conformance.report._findings import Finding, blockers, unattested, violations
from gt_conformance.results import Record

_MOST = 10
"""GitHub shows ten errors and ten warnings of a step."""


def annotations(record: Record) -> Iterator[str]:
    """A line each: ``::error`` for what violates, ``::warning`` for what is untested."""
    refusal = record["run"]["refusal"]
    if refusal is not None:
        yield _line("error", "Nothing could be tested", f"{refusal['reason']}\n{refusal['remedy']}")
        return
    for fault in record["suite_errors"]:
        yield _line("error", "The suite itself failed", fault.strip().splitlines()[-1])
    for problem in record["waiver_problems"]:
        yield _line("error", "A waiver has to go", problem)
    for finding in violations(record)[:_MOST]:
        yield _line("error", f"{finding.check} violates: {finding.extent}", _told(finding))
    for finding in [*blockers(record), *unattested(record)][:_MOST]:
        yield _line("warning", f"Not tested: {finding.extent}", _told(finding))


def _told(finding: Finding) -> str:
    line = next(iter(next(iter(finding.cases))))
    parts = [finding.claim, f"Expected: {line.expected}" if line.expected else "", f"Found: {line.found}"]
    return "\n".join([*(part for part in parts if part), f"→ {finding.remedy}"])


def _line(command: str, title: str, message: str) -> str:
    return f"::{command} title={_property(title)}::{_data(shortened(message, 1500))}"


def _data(text: str) -> str:
    escaped = str(inert(text)).replace("%", "%25")
    return escaped.replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
