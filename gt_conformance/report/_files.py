"""The files of a report directory: written whole, then searched for secrets before anyone reads them."""

from collections.abc import Iterator
from pathlib import Path

from gt_conformance import results
from gt_conformance.exchange import Redactor
from gt_conformance.report._html import render_html
from gt_conformance.results import Record

RESULTS, COMPLIANCE, PYTEST_HTML, JUNIT, ALLURE = (
    "results.json",
    "compliance.html",
    "pytest.html",
    "junit.xml",
    "allure-results",
)


def write_all(record: Record, folder: Path) -> None:
    """results.json first, since everything can be rendered from it again; then what is rendered from it."""
    results.write(record, folder / RESULTS)
    results.replace_text(folder / COMPLIANCE, render_html(record))


def scan(folder: Path, redactor: Redactor) -> list[Path]:
    """Delete every report file that holds a secret, and name it. Nothing to find is the expected answer."""
    leaking = [path for path in _produced(folder) if redactor.holds(path.read_text(encoding="utf-8", errors="replace"))]
    for path in leaking:
        path.unlink()
    return leaking


def _produced(folder: Path) -> Iterator[Path]:
    for name in (RESULTS, COMPLIANCE, PYTEST_HTML, JUNIT):
        if (folder / name).is_file():
            yield folder / name
    if (folder / ALLURE).is_dir():
        yield from (path for path in sorted((folder / ALLURE).iterdir()) if path.is_file())
