"""Badges: the decision in shields.io's endpoint format (https://shields.io/badges/endpoint-badge)."""

import json
from typing import TypedDict

from gt_conformance.report._decision import decision, is_embedded, runbook_decision, word
from gt_conformance.report._format import interruption, numbered, profile_name
from gt_conformance.results import Record
from gt_conformance.vocabulary import Decision


class Badge(TypedDict):
    """A badge as shields.io reads it."""

    schemaVersion: int
    label: str
    message: str
    color: str
    isError: bool


_COLOURS = {
    Decision.GO: "brightgreen",
    Decision.GO_WITH_EXCEPTIONS: "yellowgreen",
    Decision.NO_GO: "red",
    Decision.NOT_DECIDED: "yellow",
    Decision.PARTIAL: "lightgrey",
    Decision.UNREACHABLE: "yellow",
}
_GOOD = frozenset({Decision.GO, Decision.GO_WITH_EXCEPTIONS})
_EMBEDDED = "blue"
_LABEL = "GT API · "


def badges(record: Record) -> dict[str, Badge]:
    """Runbook id to its badge; under ``""`` the one of the whole run.

    Green stands for a live tenant that conforms in everything there is: a GO of the embedded tenant is blue.
    """
    embedded = is_embedded(record)
    whole = _badge(profile_name(record) or "GT API conformance", decision(record), _details(record), embedded=embedded)
    own = {
        book["id"]: _badge(f"{_LABEL}{book['title']}", runbook_decision(record, book), "", embedded=embedded)
        for book in record["runbooks"]
    }
    return {"": whole, **own}


def no_result(label: str) -> Badge:
    """The badge while a run is under way, or after one that wrote no results."""
    return {"schemaVersion": 1, "label": label, "message": "no result yet", "color": "lightgrey", "isError": False}


def is_runbook_label(label: object) -> bool:
    """Whether a badge with that label is a runbook's, and ours."""
    return str(label).startswith(_LABEL)


def is_badge(content: bytes) -> bool:
    """Whether the content of a file is a runbook's badge of ours."""
    try:
        value = json.loads(content)
    except ValueError:
        return False
    return isinstance(value, dict) and is_runbook_label(value.get("label", ""))


def _details(record: Record) -> str:
    found, books = decision(record), record["runbooks"]
    same = sum(runbook_decision(record, book) is found for book in books)
    counted = f"{same} of {numbered(len(books), 'runbook')}" if found not in _GOOD and len(books) > 1 and same else ""
    if record["suite_errors"]:
        counted = "the suite itself failed"
    cut_short = interruption(record["run"])
    return ", ".join(filter(None, (counted, f"{cut_short[:1].lower()}{cut_short[1:-1]}")))


def _badge(label: str, found: Decision, details: str, *, embedded: bool) -> Badge:
    message = word(found, embedded=embedded)
    return {
        "schemaVersion": 1,
        "label": label,
        "message": f"{message}: {details}" if details else message,
        "color": _EMBEDDED if embedded and found in _GOOD else _COLOURS[found],
        "isError": found is Decision.NO_GO,
    }
