"""Whether what is proved and tested would notice that a module is wrong: tests first, then whole runs."""

import signal
from collections.abc import Sequence

import pytest

from prove import _process
from prove.mutants._reach import file_of
from prove.mutants._scenarios import Scenario

DEADLINE_S = 180
"""No run takes a third of it. The alarm clock ends a mutant that waits for ever: it is noticed."""


class _Selection:
    """Of the files that are collected, these tests, in this order. Keeps which of them failed."""

    def __init__(self, tests: Sequence[str]) -> None:
        self._order = {name: number for number, name in enumerate(tests)}
        self.failed: list[str] = []

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Leave out the others."""
        items[:] = sorted(
            (item for item in items if item.nodeid in self._order), key=lambda item: self._order[item.nodeid]
        )

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Whether it failed."""
        if report.failed:
            self.failed.append(report.nodeid)


def _failing(tests: Sequence[str]) -> str:
    """The first of the tests that fails, or ``collection`` if they cannot be collected."""
    if not tests:
        return ""
    selection = _Selection(tests)
    files = dict.fromkeys(map(file_of, tests))
    words = ("-x", "--quiet", "--no-header", "-p", "no:cacheprovider", *files)
    code = pytest.main([*words, "-W", "ignore::pytest.PytestAssertRewriteWarning"], plugins=[selection])
    if selection.failed or code in {pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED}:
        return selection.failed[0] if selection.failed else ""
    return "collection"


def complaint(tests: Sequence[str], scenarios: Sequence[str]) -> str:
    """The first thing that shows that something is wrong, named before a colon; empty where nothing does."""
    signal.alarm(DEADLINE_S)
    if failed := _failing(tests):
        return failed
    _process.prepare()
    for name in scenarios:
        signal.alarm(DEADLINE_S)
        if found := "; ".join(Scenario.of(name).complaints()):
            return f"{name}: {found}"
    signal.alarm(0)
    return ""
