"""In a GitHub workflow: findings as annotations, and no output of a tenant taken for a command.

The runner reads each line of a job's output for ``::command::``, indented or not; ``::stop-commands::`` makes it stop
until a token that only this run knows (GitHub's reference "Workflow commands for GitHub Actions").
"""

import os
import secrets
from collections.abc import Callable, Iterator

from gt_conformance.exchange import inert, shortened
from gt_conformance.report._decision import decision_line
from gt_conformance.report._findings import Finding, blockers, unattested, violations
from gt_conformance.results import Record
from gt_conformance.vocabulary import Outcome

_TOKEN_BYTES = 16
_MOST = 10
"""GitHub shows ten errors and ten warnings of a step."""


class Workflow:
    """Encloses printed text that may come from a tenant. Does nothing outside a workflow."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._token = secrets.token_hex(_TOKEN_BYTES) if os.environ.get("GITHUB_ACTIONS") == "true" else None

    def begin(self) -> None:
        """Before anything is printed that may come from a tenant."""
        if self._token is not None:
            self._say(f"::stop-commands::{self._token}")

    def end(self, record: Record | None) -> None:
        """After everything else is printed: the findings of that record, where one is given."""
        if self._token is None:
            return
        self._say(f"::{self._token}::")
        for line in annotations(record) if record is not None else ():
            self._say(line)


def annotations(record: Record) -> Iterator[str]:
    """A line each: a notice with the decision, ``::error`` for what violates, ``::warning`` for what is untested."""
    yield _command("notice", "Decision", decision_line(record))
    refusal = record["run"]["refusal"]
    if refusal is not None:
        yield _command("error", "Nothing could be tested", f"{refusal['reason']}\n{refusal['remedy']}")
        return
    for fault in record["suite_errors"]:
        yield _command("error", "The suite itself failed", fault.strip().splitlines()[-1])
    for problem in record["waiver_problems"]:
        yield _command("error", "A waiver must be removed", problem)
    for finding in violations(record)[:_MOST]:
        title = f"{finding.label} {finding.check} ({finding.severity}) in {finding.extent or 'no case'}"
        yield _command("error", title, _message(finding))
    for finding in [*blockers(record), *unattested(record)][:_MOST]:
        word = "Not attested" if finding.outcome is Outcome.UNATTESTED else "Not tested"
        yield _command("warning", f"{finding.label} {word}: {finding.extent or finding.blocks}", _message(finding))


def _message(finding: Finding) -> str:
    parts = [finding.promise] if finding.is_violation else []
    for line in finding.lines[:1]:
        place = f" at {line.at}" if line.at else ""
        parts += [f"Expected: {line.expected}{place}"] if line.expected else []
        parts.append(f"Found: {line.found}")
    parts += [f"→ {finding.remedy}"] if finding.remedy else []
    parts += [f"{_sentence_start(finding.acts)} has to act. Finding {finding.id}."]
    parts += [f"Keeps {finding.blocks} from being tested."] if finding.blocks else []
    return "\n".join(parts)


def _sentence_start(text: str) -> str:
    return text[:1].upper() + text[1:]


def _command(command: str, title: str, message: str) -> str:
    return f"::{command} title={_property(title)}::{_data(shortened(message, 1500))}"


def _data(text: str) -> str:
    escaped = str(inert(text)).replace("%", "%25")
    return escaped.replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
