"""The cover: what was run against what, and what came of it, in words."""

import shlex
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from gt_conformance.report._matrix import tally
from gt_conformance.results import Record


@dataclass(frozen=True, slots=True)
class Cover:
    """Sentences for the first page. ``tone`` is the outcome that colours them."""

    tone: str
    headline: str
    rows: str
    tenant_checks: str
    date: str
    duration: str
    scope: str
    partial: bool
    command: str


def cover(record: Record) -> Cover:
    """The cover of a record."""
    run, options = record["run"], record["run"]["options"]
    rows = [row["outcome"] for book in record["runbooks"] for row in book["routes"]]
    checks = [check["outcome"] for check in record["tenant_checks"]]
    partial = bool(options["runbooks"] or options["routes"] or options["verdicts"])
    tone, headline = _headline(record, partial=partial)
    return Cover(
        tone=tone,
        headline=headline,
        rows=tally(Counter(rows), len(rows), "row"),
        tenant_checks=tally(Counter(checks), len(checks), "tenant check"),
        date=moment(run["started"]),
        duration=seconds(run["duration_s"]),
        scope=_scope(record),
        partial=partial,
        command=_command(run),
    )


def moment(text: str) -> str:
    """``22 November 2026, 21:20 UTC``; the text itself where it is no moment."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return text
    return f"{at.day} {at:%B %Y, %H:%M} UTC"


def seconds(number: float) -> str:
    """``2.8 s``, ``3 min 12 s``."""
    return f"{number:.1f} s" if number < 60 else f"{int(number // 60)} min {int(number % 60)} s"


def size(number: int) -> str:
    """``646 kB``."""
    for unit, step in (("MB", 1_000_000), ("kB", 1_000)):
        if number >= step:
            return f"{number / step:,.1f} {unit}"
    return f"{number} bytes"


def _headline(record: Record, *, partial: bool) -> tuple[str, str]:
    subject = "The embedded tenant" if record["run"]["tenant"]["kind"] == "embedded" else "The tenant"
    totals = record["totals"]
    if record["run"]["refusal"] is not None:
        return "blocked", "Nothing could be tested."
    if record["suite_errors"]:
        return "violates", "The suite itself failed: read this report with care."
    if totals["violates"]:
        return "violates", f"{subject} does not conform."
    if totals["blocked"] or totals["unattested"]:
        return "blocked", "Incomplete: nothing violates, but not everything could be tested."
    if not any(totals.values()):
        return "blocked", "Nothing was tested."
    return "conforms", f"{subject} conforms{' in what was selected' if partial else ''}."


def _scope(record: Record) -> str:
    options = record["run"]["options"]
    parts = [
        f"all {noun}"
        if not options[noun]
        else f"only the {noun if len(options[noun]) > 1 else noun[:-1]} {_listed(options[noun])}"
        for noun in ("runbooks", "routes", "verdicts")
    ]
    books = len(record["runbooks"])
    rows = sum(len(book["routes"]) for book in record["runbooks"])
    whole = "; ".join(parts)
    return f"{whole[:1].upper()}{whole[1:]}. {books} runbook{'' if books == 1 else 's'}, {rows} row{'' if rows == 1 else 's'}."


def _listed(names: list[str]) -> str:
    return ", ".join(names)


def _command(run: Mapping[str, Any]) -> str:
    options = run["options"]
    words = ["gt-conformance", "run"]
    words += [] if run["tenant"]["kind"] == "embedded" else ["--tenant", "TENANT_FILE"]
    for flag, key in (("--runbook", "runbooks"), ("--route", "routes"), ("--verdict", "verdicts")):
        words += [word for name in options[key] for word in (flag, name)]
    words += [
        flag for flag, key in (("--strict", "strict"), ("--versioned-only", "versioned_only")) if options.get(key)
    ]
    return shlex.join(words)
