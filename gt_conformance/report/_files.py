"""The documents of a run: written whole, and searched for secrets at the end. None but our own files are touched."""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from gt_conformance import report as rendering
from gt_conformance import results
from gt_conformance.errors import InputError
from gt_conformance.exchange import Redactor
from gt_conformance.report._badges import badges, is_badge
from gt_conformance.report._clause_table import render_traceability
from gt_conformance.report._folder import (
    ALLURE,
    BADGE,
    BADGES,
    COMPLIANCE,
    GITLAB,
    JUNIT,
    METRICS,
    NOTIFY,
    PYTEST_HTML,
    RENDERED,
    RESULTS,
    STATEMENT,
    SUMMARY,
    TRACEABILITY,
)
from gt_conformance.report._junit import render_junit
from gt_conformance.report._metrics import render_metrics
from gt_conformance.report._notify import render_notify
from gt_conformance.report._statement import render_statement
from gt_conformance.results import Record

_SEARCHED_TOGETHER = 1 << 16
"""So many characters are searched in one go: most of the work is the same for any text."""
_PART = re.compile(r"(?s).{40}[^\n>},:]*.?|.+")
"""A part of a text: to the end of a line, a tag, a member. Forty is more than thrice what is found of a secret."""


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
        text = path.read_text(encoding="utf-8", errors="replace")
        # As the search would, but at once: of pytest.html each third character belongs to one of these.
        text = text.replace("&#34;", '"').replace("&#39;", "'")
        parts = dict.fromkeys(_PART.findall(text))
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
    yield from _below(folder, (RESULTS, STATEMENT, *RENDERED), BADGES)


def _of_reporters(folder: Path) -> Iterator[Path]:
    yield from _below(folder, (PYTEST_HTML, JUNIT), ALLURE)


def _below(folder: Path, names: Sequence[str], inner: str) -> Iterator[Path]:
    yield from (folder / name for name in names if (folder / name).is_file())
    if (folder / inner).is_dir():
        yield from (path for path in sorted((folder / inner).iterdir()) if path.is_file())
