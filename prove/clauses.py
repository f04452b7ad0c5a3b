"""The ledger of GT's documentation: clauses, checks and faults agree, and docs/clauses.md says how.

That each fault is caught by a check that carries what it breaks is proved with the faults.
"""

import os
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

from gt_conformance.checks import (
    BUILT_IN,
    Entry,
    State,
    count_states,
    described,
    ledger,
    pages,
    problems_of_ledger,
)
from gt_sandbox.faults import FAULTS
from prove import Options, Proof

DOCUMENT = Path(__file__).parents[1] / "docs" / "clauses.md"
_FAMILIES = {
    "A": "Access",
    "K": "Keys",
    "M": "Models and names",
    "C": "Chat",
    "E": "Embeddings",
    "S": "Speech, audio and images",
    "V": "Conversations",
    "U": "Uploads",
    "F": "Files",
    "R": "Runbooks",
    "P": "Platform",
}


def prove(options: Options) -> Proof:
    """Nothing is uncovered without a reason, and the page is up to date."""
    text = render_document()
    if options.write:
        DOCUMENT.write_text(text, encoding="utf-8")
    problems = [str(problem) for problem in problems_of_ledger(BUILT_IN, FAULTS.values())]
    if not DOCUMENT.is_file() or DOCUMENT.read_text(encoding="utf-8") != text:
        problems.append(f"{os.path.relpath(DOCUMENT)} is not what is declared: renew it with make prove ARGS=--write")
    return Proof(f"clauses {_counted()}", tuple(problems))


def _counted() -> str:
    counts = count_states(ledger(BUILT_IN, FAULTS.values()))
    covered = counts[State.COVERED]
    return f"covered {covered}/{sum(counts.values())} ({', '.join(_others())})"


def _others() -> Iterator[str]:
    for state, count in count_states(ledger(BUILT_IN, FAULTS.values())).items():
        if state is not State.COVERED:
            yield f"{count} {state}"


def render_document() -> str:
    """docs/clauses.md."""
    entries = ledger(BUILT_IN, FAULTS.values())
    return "\n".join([*_opening(), *_by_family(entries), *_read_pages()]) + "\n"


def _opening() -> Iterator[str]:
    yield "# Clauses"
    yield ""
    yield "What GT's documentation says of the tenant API, sentence by sentence and in our own words; which checks"
    yield "carry it, and which faults of the embedded tenant break it. `make prove ARGS=--write` renews this page from"
    yield "`schemas/clauses.yaml`, the checks and the faults; `make prove` shows that each fault is caught by a check"
    yield "that carries what it breaks (`docs/kill-matrix.md`)."
    yield ""
    yield f"Of the clauses that HTTP can show: {_counted()}."
    yield "Those that it cannot show are left out, each with its reason."
    yield ""
    yield "| state | what it means |"
    yield "| --- | --- |"
    for state in State:
        yield f"| {state} | {described(state)} |"
    yield ""
    yield "In brackets are the pages (listed at the end), and how the clause is known: *documented*, a page says it;"
    yield "*implied*, it follows from a runbook's own fields; *person*, only a person can know; *unseen*, it does not"
    yield "show over HTTP. Only documented and implied clauses can be violated."


def _by_family(entries: tuple[Entry, ...]) -> Iterator[str]:
    for family, members in groupby(entries, key=lambda entry: entry.clause.id.rstrip("0123456789")):
        yield from ("", f"## {_FAMILIES.get(family, family)}", "", "| clause | checks | faults | state |")
        yield "| --- | --- | --- | --- |"
        for entry in members:
            clause = entry.clause
            says = f"**{clause.id}** {_cell(clause.text)} ({', '.join(clause.pages)}, {clause.kind})"
            state = f"{entry.state}: {_cell(entry.reason)}" if entry.reason else str(entry.state)
            yield f"| {says} | {', '.join(entry.checks)} | {', '.join(entry.faults)} | {state} |"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _read_pages() -> Iterator[str]:
    yield from ("", "## Pages", "", "As of the revision of GT-Edge-AI/GT-AI-OS at which each was read.", "")
    yield "| page | title | file | revision |"
    yield "| --- | --- | --- | --- |"
    for page in pages().values():
        yield f"| {page.id} | {page.title} | {page.file} | {page.revision[:12]} |"
