"""A report directory before a run writes to it: whose it is, and what is left of an earlier run. Loaded first."""

import json
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from gt_conformance import files, ownership, results
from gt_conformance import report as rendering
from gt_conformance.errors import InputError, Location, Problem
from gt_conformance.journal import JOURNAL

RESULTS, COMPLIANCE, PYTEST_HTML, JUNIT, ALLURE, SUMMARY, BADGE, BADGES = (
    results.FILE_NAME,
    "compliance.html",
    "pytest.html",
    "junit.xml",
    "allure-results",
    "summary.md",
    "badge.json",
    "badges",
)
STATEMENT, NOTIFY, METRICS, TRACEABILITY, GITLAB = (
    "results.intoto.json",
    "notify.txt",
    "metrics.prom",
    "traceability.csv",
    "junit-gitlab.xml",
)

ALLURE_LABEL = "gt_kind"
"""The label that every result of this suite has in allure's files."""

PREVIOUS = "previous"
"""The folder to which the record of the run before is moved when another begins."""

_ALSO = (NOTIFY, METRICS, TRACEABILITY, GITLAB)
"""What says the same for other programs: no reader finds an earlier run's there while another one is under way."""
RENDERED = (COMPLIANCE, SUMMARY, BADGE, *_ALSO)
"""What is rendered from the record."""
_NAMES = (RESULTS, STATEMENT, *RENDERED, PYTEST_HTML, JUNIT, JOURNAL, f"{PREVIOUS}/{RESULTS}")
_MOST_BYTES = 16 * files.MIB


def claim(folder: Path) -> None:
    """Make the folder this suite's to write reports to, and remove what an earlier run left for allure.

    Raises InputError where a file that somebody else wrote would be overwritten, and OSError where nothing can be
    written. Another suite's allure results stay.
    """
    found = ownership.foreign(folder, _NAMES)
    if found and not _holds_a_record(folder):
        text = "this file was not written by gt-conformance, so it is not overwritten."
        hint = "Name another folder for the reports, or move the file."
        raise InputError(Problem(text, Location(str(path)), hint=hint) for path in found)
    folder.mkdir(parents=True, exist_ok=True)
    ownership.claim(folder, dict.fromkeys(_NAMES))
    for path in _own_allure_files(folder / ALLURE):
        path.unlink(missing_ok=True)


def mark_under_way(folder: Path, tenant: str) -> None:
    """Let nobody take what an earlier run left in the claimed folder for what the run that begins now has found.

    The earlier record is moved to a folder of its own, its documents then say that a run is under way, and what the
    reporters of pytest wrote is removed. Raises OSError.
    """
    if (folder / RESULTS).is_file():
        (folder / PREVIOUS).mkdir(exist_ok=True)
        (folder / RESULTS).replace(folder / PREVIOUS / RESULTS)
    write_under_way(folder, tenant, datetime.now(UTC))
    for name in (PYTEST_HTML, JUNIT, STATEMENT, *_ALSO):
        if (folder / name).is_file():
            (folder / name).unlink()


def write_under_way(folder: Path, tenant: str, started: datetime) -> None:
    """Put documents that say that a run is under way in the place of an earlier run's, of those that are there."""
    there = [path for path in (folder / COMPLIANCE, folder / SUMMARY) if path.is_file()]
    labelled = [path for path in (folder / BADGE, *(folder / BADGES).glob("*.json")) if path.is_file()]
    if not there and not labelled:
        return
    from gt_conformance.report._badges import is_runbook_label, no_result  # noqa: PLC0415 - the first request waits
    from gt_conformance.report._format import moment  # noqa: PLC0415 - as above

    since = moment(started.isoformat())
    if folder / COMPLIANCE in there:
        results.replace_text(folder / COMPLIANCE, rendering.render_under_way(tenant, since))
    if folder / SUMMARY in there:
        began = f"A run began on {rendering.plain(since)} and has not written its results."
        results.replace_text(folder / SUMMARY, f"# GT API conformance: no report yet\n\n{began}\n")
    for path in labelled:
        try:
            label = json.loads(path.read_bytes())["label"]
        except (OSError, ValueError, LookupError, TypeError):
            continue
        if path.name == BADGE or is_runbook_label(label):
            results.replace_text(path, json.dumps(no_result(label), indent=1, ensure_ascii=False) + "\n")


def _holds_a_record(folder: Path) -> bool:
    # As versions left it that kept no manifest.
    try:
        return results.peek(files.read_start(folder / RESULTS, results.PEEK_BYTES)) is not None
    except OSError:
        return False


def _own_allure_files(folder: Path) -> Iterator[Path]:
    """Results by their label, containers by their results, attachments by either."""
    names: set[str] = set()
    uuids: set[str] = set()
    for path in folder.glob("*-result.json"):
        value = _read(path)
        if any(label["name"] == ALLURE_LABEL for label in _mappings(value.get("labels")) if "name" in label):
            uuids.add(str(value.get("uuid")))
            names |= {path.name, *_sources(value)}
    for path in folder.glob("*-container.json"):
        value = _read(path)
        children = value.get("children")
        if isinstance(children, list) and children and uuids.issuperset(map(str, children)):
            names |= {path.name, *_sources(value)}
    for name in sorted(names):
        path = folder / name
        if path.name == name and path.is_file():  # an attachment's name is text from a file: it leads nowhere else
            yield path


def _sources(value: Mapping[str, Any]) -> Iterator[str]:
    yield from (str(found["source"]) for found in _mappings(value.get("attachments")) if "source" in found)
    for inner in ("steps", "befores", "afters"):
        for step in _mappings(value.get(inner)):
            yield from _sources(step)


def _read(path: Path) -> Mapping[str, Any]:
    try:
        found = json.loads(files.read_bounded(path, _MOST_BYTES))
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _mappings(found: object) -> Iterable[Mapping[str, Any]]:
    return [item for item in found if isinstance(item, dict)] if isinstance(found, list) else []
