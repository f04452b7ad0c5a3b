"""A report directory: claimed before a run writes to it, written whole, and searched for secrets at the end.

None but this suite's files are touched.
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from gt_conformance import files, ownership, results
from gt_conformance import report as rendering
from gt_conformance.errors import InputError, Location, Problem
from gt_conformance.exchange import Redactor
from gt_conformance.journal import JOURNAL
from gt_conformance.report._badges import badges, is_badge, is_runbook_label, no_result
from gt_conformance.report._clause_table import render_traceability
from gt_conformance.report._format import moment
from gt_conformance.report._junit import render_junit
from gt_conformance.report._metrics import render_metrics
from gt_conformance.report._notify import render_notify
from gt_conformance.report._statement import render_statement
from gt_conformance.results import Record

RESULTS, COMPLIANCE, PYTEST_HTML, JUNIT, ALLURE, SUMMARY, BADGE, BADGES = (
    "results.json",
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
_RENDERED = (COMPLIANCE, SUMMARY, BADGE, *_ALSO)
"""What is rendered from the record."""
_NAMES = (RESULTS, STATEMENT, *_RENDERED, PYTEST_HTML, JUNIT, JOURNAL, f"{PREVIOUS}/{RESULTS}")
_MOST_BYTES = 16 * files.MIB
_SEARCHED_TOGETHER = 1 << 16
"""So many characters are searched in one go: most of the work is the same for any text."""
_PART = re.compile(r"(?s).{40}[^\n>},:]*.?|.+")
"""A part of a text: to the end of a line, a tag, a member. Forty is more than thrice what is found of a secret."""


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


def _raise(error: OSError) -> None:
    raise error


def write_all(record: Record, folder: Path, on_error: Callable[[OSError], None] = _raise) -> None:
    """results.json first, since everything can be rendered from it again; then what is rendered from it.

    ``on_error`` is called for each file that cannot be written; unless it raises, as it does when it is left out, the
    others are written all the same.
    """
    parts: tuple[Callable[[], None], ...] = (
        lambda: results.write(record, folder / RESULTS),
        lambda: results.replace_text(folder / COMPLIANCE, rendering.render_html(record)),
        lambda: results.replace_text(folder / SUMMARY, rendering.render_markdown(record)),
        lambda: _write_badges(record, folder),
        lambda: results.replace_text(folder / NOTIFY, render_notify(record, COMPLIANCE)),
        lambda: results.replace_text(folder / METRICS, render_metrics(record)),
        lambda: results.replace_text(folder / TRACEABILITY, render_traceability(record)),
        lambda: results.replace_text(folder / GITLAB, render_junit(record)),
        lambda: write_statement(record, folder),
    )
    for write in parts:
        try:
            write()
        except OSError as error:
            on_error(error)


def write_statement(record: Record, folder: Path) -> None:
    """The statement about the results.json that stands there now. Raises OSError."""
    digest = rendering.file_digest(folder / RESULTS)
    results.replace_text(folder / STATEMENT, render_statement(record, RESULTS, digest))


def write_together(records: Sequence[Record], folder: Path) -> list[Path]:
    """Records of several tenants: one document over all of them, and a folder for each with files of its own.

    Gives the folders, in the order of the records.
    """
    folder.mkdir(parents=True, exist_ok=True)
    results.replace_text(folder / COMPLIANCE, rendering.render_html(*records))
    folders = [folder / f"tenant-{number}" for number in range(1, len(records) + 1)]
    for record, own in zip(records, folders, strict=True):
        write_all(record, own)
    results.replace_text(folder / SUMMARY, rendering.render_markdown(*records))
    results.replace_text(folder / METRICS, render_metrics(*records))
    return folders


def scan(folder: Path, redactor: Redactor) -> list[Path]:
    """Search every report file for secrets, redact those that hold one, and name those that are our own.

    Nothing to find there is the expected answer: they are rendered from a record that was redacted. What pytest's own
    reporters write was not: they quote any crash in its own words, with its variables.
    """
    strict = redactor.for_own_texts()
    own = [path for path in _leaking(_produced(folder), strict) if _redact(path, strict)]
    if folder / RESULTS in own:  # which is another one than was sealed
        with suppress(InputError):  # what is not a record is redacted all the same
            record = results.seal(results.load(folder / RESULTS))
            results.write(record, folder / RESULTS)
            write_statement(record, folder)
    return own + [
        path
        for path in _leaking(_of_reporters(folder), redactor)
        if _redact(path, redactor) and not _is_clean(path, redactor)
    ]


def _leaking(paths: Iterable[Path], redactor: Redactor) -> list[Path]:
    """The files that hold a secret. Each is searched whole only where what is new in one of them holds any."""
    paths = list(paths)
    if not any(map(redactor.any_holds, _new_texts(paths))):
        return []
    return [path for path in paths if not _is_clean(path, redactor)]


def _new_texts(paths: Iterable[Path]) -> Iterator[list[str]]:
    """What each file says that neither it nor another said before, several files together: documents say much again.

    A secret that goes on from one part of a text to the next is found by what of it is in either, since parts are so
    long; and where one of them was there before, it was searched there, beside its neighbours.
    """
    seen: set[str] = set()
    texts: list[str] = []
    for path in paths:
        parts = dict.fromkeys(_PART.findall(path.read_text(encoding="utf-8", errors="replace")))
        new = [part for part in parts if part not in seen]
        seen.update(new)
        texts.append("".join(new))
        if sum(map(len, texts)) >= _SEARCHED_TOGETHER:
            yield texts
            texts = []
    yield texts


def _redact(path: Path, redactor: Redactor) -> bool:
    """Whether the file holds a secret. If so it is replaced by the same without it, whole or not at all."""
    text = path.read_text(encoding="utf-8", errors="replace")
    if redactor.holds(text) is None:
        return False
    if path.suffix == ".json":
        # By its values, so that what is left is still JSON.
        with suppress(ValueError, RecursionError):
            text = json.dumps(redactor.value(json.loads(text)), indent=1, ensure_ascii=False) + "\n"
    results.replace_text(path, redactor.text(text))
    return True


def _is_clean(path: Path, redactor: Redactor) -> bool:
    return redactor.holds(path.read_text(encoding="utf-8", errors="replace")) is None


def _write_badges(record: Record, folder: Path) -> None:
    """One for each runbook of this record; those that an earlier run left of other runbooks are removed."""
    (folder / BADGES).mkdir(exist_ok=True)
    found = badges(record)
    for stale in (folder / BADGES).glob("*.json"):
        if stale.is_file() and stale.stem not in found and is_badge(stale.read_bytes()):
            stale.unlink()
    for name, badge in found.items():
        path = folder / BADGES / f"{name}.json" if name else folder / BADGE
        results.replace_text(path, json.dumps(badge, indent=1, ensure_ascii=False) + "\n")


def _produced(folder: Path) -> Iterator[Path]:
    yield from _below(folder, (RESULTS, STATEMENT, *_RENDERED), BADGES)


def _of_reporters(folder: Path) -> Iterator[Path]:
    yield from _below(folder, (PYTEST_HTML, JUNIT), ALLURE)


def _below(folder: Path, names: Sequence[str], inner: str) -> Iterator[Path]:
    yield from (folder / name for name in names if (folder / name).is_file())
    if (folder / inner).is_dir():
        yield from (path for path in sorted((folder / inner).iterdir()) if path.is_file())


def write_under_way(folder: Path, tenant: str, started: datetime) -> None:
    """Put documents that say that a run is under way in the place of an earlier run's, of those that are there."""
    since = moment(started.isoformat())
    if (folder / COMPLIANCE).is_file():
        results.replace_text(folder / COMPLIANCE, rendering.render_under_way(tenant, since))
    if (folder / SUMMARY).is_file():
        began = f"A run began on {rendering.plain(since)} and has not written its results."
        results.replace_text(folder / SUMMARY, f"# GT API conformance: no report yet\n\n{began}\n")
    for path in [folder / BADGE, *(folder / BADGES).glob("*.json")]:
        try:
            label = json.loads(path.read_bytes())["label"]
        except (OSError, ValueError, LookupError, TypeError):
            continue
        if path.name == BADGE or is_runbook_label(label):
            results.replace_text(path, json.dumps(no_result(label), indent=1, ensure_ascii=False) + "\n")
