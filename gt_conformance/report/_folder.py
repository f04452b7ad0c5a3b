"""A report directory before a run writes to it: whose files are there, and none but this suite's are touched."""

import json
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from gt_conformance import files, ownership, results
from gt_conformance.errors import InputError, Location, Problem
from gt_conformance.journal import JOURNAL
from gt_conformance.report._files import (
    ALLURE,
    BADGE,
    COMPLIANCE,
    JUNIT,
    PYTEST_HTML,
    RESULTS,
    SUMMARY,
    write_under_way,
)

ALLURE_LABEL = "gt_kind"
"""The label that every result of this suite has in allure's files."""

PREVIOUS = "previous"
"""The folder to which the record of the run before is moved when another begins."""

_NAMES = (RESULTS, COMPLIANCE, SUMMARY, BADGE, PYTEST_HTML, JUNIT, JOURNAL, f"{PREVIOUS}/{RESULTS}")
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
    for name in (PYTEST_HTML, JUNIT):
        if (folder / name).is_file():
            (folder / name).unlink()


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
