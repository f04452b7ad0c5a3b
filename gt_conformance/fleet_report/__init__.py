"""How a fleet is: summarized from the table of outcomes, decided, rendered. A tenant's own document on demand."""

from pathlib import Path

from gt_conformance import ownership
from gt_conformance.errors import InputError, Location, Problem
from gt_conformance.files import replace_text
from gt_conformance.fleet_report._documents import (
    METRICS,
    NOTIFY,
    SUMMARY,
    render_markdown,
    render_metrics,
    render_notify,
)
from gt_conformance.fleet_report._page import PAGE, render_page
from gt_conformance.fleet_report._queries import misnamed, summarize
from gt_conformance.fleet_report._summary import Summary, decision_line, exit_code
from gt_conformance.fleet_report._tenant import read_record, write_tenant

__all__ = [
    "METRICS",
    "NOTIFY",
    "PAGE",
    "SUMMARY",
    "Summary",
    "decision_line",
    "exit_code",
    "misnamed",
    "read_record",
    "render_markdown",
    "render_metrics",
    "render_notify",
    "render_page",
    "summarize",
    "write_all",
    "write_tenant",
]

_NAMES = (PAGE, METRICS, SUMMARY, NOTIFY)


def write_all(summary: Summary, out: Path) -> None:
    """Write each document. Raises OSError, and InputError where somebody else's file would be overwritten."""
    found = ownership.foreign(out, _NAMES)
    if found:
        text = "this file was not written by gt-conformance, so it is not overwritten."
        raise InputError(
            Problem(text, Location(str(path)), hint="Name another folder with --out, or move the file.")
            for path in found
        )
    out.mkdir(parents=True, exist_ok=True)
    ownership.claim(out, dict.fromkeys(_NAMES))
    replace_text(out / PAGE, render_page(summary))
    replace_text(out / METRICS, render_metrics(summary))
    replace_text(out / SUMMARY, render_markdown(summary, PAGE))
    replace_text(out / NOTIFY, render_notify(summary, PAGE))
