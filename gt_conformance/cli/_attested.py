"""Who vouched for what: every item that needs a person, as ``gt-conformance attest --list`` shows it."""

from collections import Counter
from collections.abc import Sequence
from datetime import date
from pathlib import Path

from gt_conformance import attestation
from gt_conformance.attestation import Attestations, State, Status
from gt_conformance.runbook import Runbook
from gt_conformance.schema import plain


def listed(path: Path, runbooks: Sequence[Runbook], today: date) -> tuple[list[str], int]:
    """A line an item, the commands that are due, and the exit code: 0 where every item is vouched for."""
    there = path.exists()
    found = attestation.load(path, runbooks, today) if there else Attestations(path=path)
    told = [
        (book, item, found.status(book, item.number, today))
        for book in runbooks
        for item in book.checklist
        if attestation.needs_a_person(item)
    ]
    width = max((len(book.id) for book, _, _ in told), default=0)
    lines = [f"{book.id:<{width}} {item.number}  {_line(status)}" for book, item, status in told]
    for book, item, status in told:
        if status.remedy:
            lines += ["", f"{book.id} {item.number}: {item.text}", f"  {status.remedy}"]
    lines += [""] if lines else []
    lines += [] if there else [f"There is no file {path} yet."]
    states = Counter(status.state for _, _, status in told)
    parts = ", ".join(f"{states[state]} {state.value}" for state in State if states[state])
    lines.append(f"Items that need a person: {len(told)}{f' ({parts})' if parts else ''}.")
    return lines, 0 if set(states) <= {State.VALID} else 7


def _line(status: Status) -> str:
    one = status.attestation
    if one is None:
        return status.state.value
    soon = "  about to expire" if status.expires_soon else ""
    return f"{status.state.value:<8}  by {plain(one.by, 200)}, on {one.on}, until {one.expires}{soon}"
