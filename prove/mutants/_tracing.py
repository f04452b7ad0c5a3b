"""What each test and each scenario executes of the modules that are mutated, line by line.

As a plugin of pytest (``-p prove.mutants._tracing``, with pytest-xdist or without) it writes what the tests of its
process executed, and how long each took, into the folder that the environment variable ``REACHED`` names. It needs
nothing but pytest and coverage.
"""

import json
import os
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import coverage
import pytest

FOLDER = "REACHED"
Lines = dict[str, list[int]]
"""By the path of a module from the folder of the checkout, the lines that were executed."""


@contextmanager
def traced(packages: tuple[str, ...], found: Lines) -> Iterator[None]:
    """Puts into ``found`` which lines of the packages are executed within this."""
    tracer = _tracer(packages)
    tracer.start()
    try:
        yield
    finally:
        tracer.stop()
    data = tracer.get_data()
    found.update({_relative(path): sorted(data.lines(path) or ()) for path in data.measured_files()})


class Tracing:
    """Which test executes which lines: a context of coverage for each."""

    def __init__(self, folder: Path, packages: tuple[str, ...]) -> None:
        self._folder = folder
        self._tracer = _tracer(packages)
        self._seconds: dict[str, float] = {}
        self._passed: dict[str, bool] = {}

    def pytest_sessionstart(self) -> None:
        """From here on."""
        self._tracer.start()

    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        """Leave out tests for which coverage pauses: whole runs, which the scenarios are too."""
        paused = {name for plugin in config.pluginmanager.get_plugins() for name in getattr(plugin, "WHOLE_RUNS", ())}
        items[:] = [
            item for item in items if item.path.stem not in paused and item.get_closest_marker("unmeasured") is None
        ]

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        """A context for this test."""
        self._tracer.switch_context(item.nodeid)
        try:
            return (yield)
        finally:
            self._tracer.switch_context("")

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """How long its parts took, and whether all of them passed."""
        self._seconds[report.nodeid] = self._seconds.get(report.nodeid, 0.0) + report.duration
        good = report.passed and not hasattr(report, "wasxfail")
        self._passed[report.nodeid] = self._passed.get(report.nodeid, True) and good

    def pytest_sessionfinish(self) -> None:
        """Write what was found. The process that only hands out the tests has executed none."""
        self._tracer.stop()
        data = self._tracer.get_data()
        tests: dict[str, dict[str, Any]] = {
            name: {"seconds": round(self._seconds[name], 3), "lines": {}} for name, good in self._passed.items() if good
        }
        for path in data.measured_files():
            for line, names in data.contexts_by_lineno(path).items():
                for name in tests.keys() & set(names):
                    tests[name]["lines"].setdefault(_relative(path), []).append(line)
        if tests:
            (self._folder / f"{uuid.uuid4().hex}.json").write_text(json.dumps(tests), encoding="utf-8")


def pytest_configure(config: pytest.Config) -> None:
    """Trace where there are tests to run: in the workers of xdist, or in the one process without them."""
    hands_out = getattr(config.option, "numprocesses", None) and "PYTEST_XDIST_WORKER" not in os.environ
    if not hands_out:
        folder, *packages = os.environ[FOLDER].split(os.pathsep)
        config.pluginmanager.register(Tracing(Path(folder), tuple(packages)), "tracing")


def environment(folder: Path, packages: tuple[str, ...]) -> Mapping[str, str]:
    """The environment of a pytest that uses this plugin."""
    return {**os.environ, FOLDER: os.pathsep.join((str(folder), *packages))}


def _tracer(packages: tuple[str, ...]) -> coverage.Coverage:
    return coverage.Coverage(data_file=None, config_file=False, include=[f"{package}/*" for package in packages])


def _relative(path: str) -> str:
    return Path(path).resolve().relative_to(Path.cwd()).as_posix()
