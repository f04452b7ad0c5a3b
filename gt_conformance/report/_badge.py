"""badge.json: an outcome in the form of shields.io's endpoint badge (https://shields.io/badges/endpoint-badge)."""

import json
from collections.abc import Mapping
from typing import Any

from gt_conformance.results import Record, exit_code, is_partial, is_whole
from gt_conformance.vocabulary import RunbookOutcome

_COLOURS = {
    RunbookOutcome.CONFORMANT: "brightgreen",
    RunbookOutcome.INCOMPLETE: "yellow",
    RunbookOutcome.NON_CONFORMANT: "red",
}
_WORDS = {
    RunbookOutcome.CONFORMANT: "conformant",
    RunbookOutcome.INCOMPLETE: "incomplete",
    RunbookOutcome.NON_CONFORMANT: "non-conformant",
}
_LABEL = "GT API · "
_PARTIAL, _EMBEDDED = "lightgrey", "blue"


def badges(record: Record) -> dict[str, Record]:
    """Runbook id to its badge; under ``""`` the one of the whole run.

    Green stands for a tenant that conforms in everything that is known: a run of some runbooks, rows or items is grey,
    and one of the embedded tenant is blue, unless they found something wrong.
    """
    embedded = record["run"]["tenant"]["kind"] == "embedded"
    found = {book["id"]: _of_runbook(book, embedded=embedded) for book in record["runbooks"]}
    return {"": _overall(record, embedded=embedded), **found}


def is_badge(content: bytes) -> bool:
    """Whether the content of a file is a runbook's badge of ours."""
    try:
        value = json.loads(content)
    except ValueError:
        return False
    return isinstance(value, dict) and str(value.get("label", "")).startswith(_LABEL)


def _of_runbook(book: Mapping[str, Any], *, embedded: bool) -> Record:
    outcome = RunbookOutcome(book["outcome"])
    return _badge(f"{_LABEL}{book['title']}", outcome, _WORDS[outcome], partial=not is_whole(book), embedded=embedded)


def _overall(record: Record, *, embedded: bool) -> Record:
    books = record["runbooks"]
    held = sum(book["outcome"] == RunbookOutcome.CONFORMANT for book in books)
    code = exit_code(record)
    outcome = {0: RunbookOutcome.CONFORMANT, 1: RunbookOutcome.NON_CONFORMANT}.get(code, RunbookOutcome.INCOMPLETE)
    message = "nothing could be tested" if record["run"]["refusal"] is not None else f"{held}/{len(books)} conformant"
    return _badge("GT API conformance", outcome, message, partial=is_partial(record), embedded=embedded)


def _badge(label: str, outcome: RunbookOutcome, message: str, *, partial: bool, embedded: bool) -> Record:
    colour = _COLOURS[outcome]
    if outcome is RunbookOutcome.CONFORMANT and (partial or embedded):
        colour = _PARTIAL if partial else _EMBEDDED
    words = [message, "in part" if partial else "", "EMBEDDED tenant" if embedded else ""]
    return {
        "schemaVersion": 1,
        "label": label,
        "message": ", ".join(word for word in words if word),
        "color": colour,
        "isError": outcome is RunbookOutcome.NON_CONFORMANT,
    }
