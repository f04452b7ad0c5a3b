"""What all tests share: no clock judges an example, signals arrive, coverage pauses where it would only take time."""

import contextlib
import gc
import importlib
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import coverage
import pytest
from hypothesis import settings

from gt_conformance.signals import TERMINATING

WHOLE_RUNS = frozenset(
    {
        "test_bad_tenants",
        "test_boundary_runs",
        "test_broken_tenants",
        "test_causes",
        "test_checklists",
        "test_checks_hostile",
        "test_ci_examples",
        "test_client_runs",
        "test_compliance_html",
        "test_faults",
        "test_foreign_gateways",
        "test_hostile",
        "test_interrupt",
        "test_newcomers",
        "test_pages_in_chromium",
        "test_past_runs",
        "test_reports_elsewhere",
        "test_run_selection",
        "test_secrets_canary",
        "test_tenant_schema",
        "test_variants",
        "test_wire_schemas",
    }
)
"""Whole runs, again and again, made-up answers by the hundred, pages: measured, they take twice as long for nothing.

Of other modules, single tests that do so are marked ``unmeasured``.
"""


settings.register_profile("untimed", deadline=None)  # a busy machine is no fault of what is tested
settings.load_profile("untimed")


@pytest.hookimpl(wrapper=True)
def pytest_collection(session: pytest.Session) -> Iterator[None]:
    """Measure what is imported in the first of several processes: the others import the same."""
    worker, measuring = os.environ.get("PYTEST_XDIST_WORKER", "gw0"), coverage.Coverage.current()
    if measuring is None or worker == "gw0":
        _import_a_share(session.config.args, int(worker[2:]))
        return (yield)
    with _paused(measuring):
        return (yield)


def _import_a_share(paths: list[str], worker: int) -> None:
    """Import first what the other processes do not: what a fresh checkout has to compile is compiled by one of them."""
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    files = [path for path in map(Path, paths) if path.match("tests/test_*.py")]
    for path in files[worker::workers] if workers > 1 else ():
        with contextlib.suppress(Exception, pytest.skip.Exception):  # which the collection then meets, and reports
            importlib.import_module(f"tests.{path.stem}")


@pytest.hookimpl(trylast=True)
def pytest_collection_finish() -> None:
    """Have no later collection of garbage walk through thousands of tests: it takes a twentieth of all time."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True, scope="session")
def _signals_arrive() -> None:
    """Have programs that tests start receive what ends them, even where the caller ignores it (nohup, &)."""
    _as_usual()


@pytest.fixture(autouse=True)
def _signals_arrive_later() -> None:
    """The same where a command that ran in this process left handlers of its own."""
    _as_usual()


def _as_usual() -> None:
    for number in TERMINATING:
        usual = signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL
        if signal.getsignal(number) is not usual:
            signal.signal(number, usual)


@pytest.fixture(autouse=True, scope="module")
def _pause_coverage(request: pytest.FixtureRequest) -> Iterator[None]:
    """Measure neither this process nor its children while such a module is tested."""
    measuring = coverage.Coverage.current()
    if measuring is None or request.path.stem not in WHOLE_RUNS:
        yield
        return
    with _paused(measuring):
        yield


@pytest.fixture(autouse=True)
def _pause_coverage_of_a_test(request: pytest.FixtureRequest) -> Iterator[None]:
    """The same for a test that is marked so."""
    measuring = coverage.Coverage.current()
    if measuring is None or request.node.get_closest_marker("unmeasured") is None:
        yield
        return
    with _paused(measuring):
        yield


@pytest.fixture
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder that is the current one, so that what names a file in it names it alike everywhere."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@contextlib.contextmanager
def _paused(measuring: coverage.Coverage) -> Iterator[None]:
    config = {name: os.environ.pop(name) for name in tuple(os.environ) if name.startswith("COVERAGE_")}
    measuring.stop()
    yield
    measuring.start()
    os.environ.update(config)
