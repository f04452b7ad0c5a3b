"""What goes wrong in the suite itself, or on its machine: kept, red, and never taken for the tenant's."""

import errno
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from gt_conformance.pytest_plugin._run import Run
from tests.commands import WITHOUT_PAGES, Finished, finished, run

SELECTED = ("suites/test_routes.py::test_route[aider-models-native]",)
"""A single row."""
FAULTS: dict[str, str] = {
    "in a fixture": """
@pytest.fixture(autouse=True)
def broken(request):
    raise RuntimeError("dictionary changed size during iteration")
""",
    "in the set-up of an item": """
def pytest_runtest_setup(item):
    raise RuntimeError("dictionary changed size during iteration")
""",
    "in a hook between items": """
def pytest_runtest_logreport(report):
    raise RuntimeError("dictionary changed size during iteration")
""",
    "in a hook at the end": """
def pytest_sessionfinish(session):
    raise RuntimeError("dictionary changed size during iteration")
""",
    "in a thread": """
def broken():
    raise RuntimeError("dictionary changed size during iteration")

def pytest_runtest_setup(item):
    thread = threading.Thread(target=broken)
    thread.start()
    thread.join()
""",
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_a_fault_keeps_its_traceback_and_decides_nothing(tmp_path: Path, fault: str) -> None:
    """The record has the traceback, the run ends with 3, and no line says GO."""
    (tmp_path / "faulty.py").write_text(f"import threading\nimport pytest\n{fault}")
    done = run(*SELECTED, "--", "-p", "faulty", cwd=tmp_path, env={"PYTHONPATH": str(tmp_path)}, lean=True)
    assert done.code == 3
    [error, *_] = done.record["suite_errors"]
    assert "RuntimeError: dictionary changed size during iteration" in error
    assert "faulty.py" in error
    assert "NOT DECIDED" in done.stdout
    assert "GO:" not in done.said
    assert len(done.record["runbooks"][0]["routes"]) == 1
    if fault == FAULTS["in the set-up of an item"]:
        assert len(done.record["suite_errors"]) == 1, "items that fail in the same way leave one traceback"


def test_a_test_of_its_own_that_fails_decides_nothing(tmp_path: Path) -> None:
    """Whoever added it: the decision, the exit code and the reason agree."""
    (tmp_path / "test_own.py").write_text("def test_own() -> None:\n    assert not 1, 'the office is closed'\n")
    done = run(*SELECTED, "--", str(tmp_path / "test_own.py"), "-k", "own or aider", cwd=tmp_path, lean=True)
    assert done.code == 3
    assert done.record["decision"] == "NOT DECIDED"
    assert [text.endswith("test_own failed: the office is closed") for text in done.record["suite_errors"]] == [True]
    assert "The suite itself failed: " in done.said
    assert "PARTIAL" not in done.stdout


# -- a disk without room

LIMITED = """
import os, resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]), int(sys.argv[1])))
os.execv(sys.executable, [sys.executable, "-B", "-m", "gt_conformance", *sys.argv[2:]])
"""


def limited(folder: Path, most_bytes: int, *words: str) -> Finished:
    """A run that can write no file longer than that, as on a disk that is full.

    It writes no bytecode: Python would leave half of it in the checkout, for whatever is run next.
    """
    reports = folder / "reports"
    line = [sys.executable, "-c", LIMITED, str(most_bytes), "run", "--report-dir", str(reports), *SELECTED, *words]
    return finished(line, cwd=folder)


def test_what_can_be_written_is_kept(tmp_path: Path) -> None:
    """Where record and page find no room, the summary does; the terminal names each file and why."""
    done = limited(tmp_path, 8_000, "--", *WITHOUT_PAGES)
    assert done.code == 3
    for name in ("results.json", "compliance.html"):
        assert f"{done.folder / name} cannot be written: File too large." in done.said
        assert not (done.folder / name).exists()
    assert (done.folder / "summary.md").is_file()
    assert f"Reports in {done.folder}/: summary.md\n" in done.stdout
    assert "Traceback" not in done.said
    assert "NOT DECIDED" in done.stdout
    assert "GO:" not in done.said


def test_a_page_that_cannot_be_written_costs_the_decision_alone(tmp_path: Path) -> None:
    """The record is whole where a page could not take its place, and nothing is decided."""
    (tmp_path / "reports" / "compliance.html").mkdir(parents=True)
    done = run(*SELECTED, cwd=tmp_path, lean=True)
    assert done.code == 3
    assert f"{done.folder / 'compliance.html'} cannot be written: Is a directory." in done.said
    assert done.record["totals"]["violates"] == 0
    assert "GO:" not in done.said


def test_a_record_that_finds_no_room_decides_nothing(tmp_path: Path) -> None:
    """Where nothing can be written, each file is named, by pytest's own reporters too, and nothing is decided."""
    done = limited(tmp_path, 512)
    assert done.code == 3
    for name in ("results.json", "compliance.html", "summary.md"):
        assert f"{done.folder / name} cannot be written: File too large." in done.said
        assert done.said.count(f"{done.folder / name} cannot be written") == 1
    assert "Reports in " not in done.said
    assert "Traceback" not in done.said
    assert "GO:" not in done.said


def test_a_folder_without_room_is_named_once(tmp_path: Path) -> None:
    """Allure writes some hundred files: what ails all of them is one sentence, and a report has one of its own."""
    run = cast("Run", SimpleNamespace(settings=SimpleNamespace(report_dir=tmp_path), trouble=[]))
    for name in ("allure-results/1-result.json", "allure-results/2-container.json", "junit.xml"):
        Run.note_unwritable(run, OSError(errno.EMFILE, "Too many open files", str(tmp_path / name)))
    assert run.trouble == [
        f"A file in {tmp_path / 'allure-results'} cannot be written: Too many open files.",
        f"{tmp_path / 'junit.xml'} cannot be written: Too many open files.",
    ]
