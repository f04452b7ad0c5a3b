"""A run begins before pytest is loaded; what interrupts it meanwhile waits until there is something to interrupt."""

import signal
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from gt_conformance.launch import STOP, Interrupts
from tests.commands import environment, finished, tenant

WHEN_STARTED = """
import os, sys
from gt_conformance.cli import main
from gt_conformance.session import Session

def started(self):
    print(*sorted({"allure", "jinja2", "pytest", "pytest_html", "rich"} & sys.modules.keys()), "are loaded", flush=True)
    os._exit(0)

Session.start = started
main()
"""


@pytest.mark.parametrize("given", [[], ["-k", "dify"]], ids=["nothing for pytest", "a selection by pytest"])
def test_a_run_on_a_named_tenant_starts_before_pytest_is_loaded(tmp_path: Path, given: list[str]) -> None:
    """Its first request waits neither for pytest nor for what renders; but where pytest selects, for pytest."""
    with tenant(tmp_path) as (_, path):
        words = ["run", "--tenant", str(path), "--report-dir", str(tmp_path / "reports"), "--runbook", "dify"]
        done = finished([sys.executable, "-c", WHEN_STARTED, *words, *given], cwd=tmp_path, env=environment())
    assert done.code == 0, done.stderr
    assert ("pytest" in done.stdout) == bool(given), done.stdout
    assert given or done.stdout == "are loaded\n"


@dataclass
class Items:
    """What pytest runs, and what ended it."""

    shouldstop: bool | str = False
    ended_by: list[str] = field(default_factory=list)


def test_a_signal_before_the_items_ends_the_run_once_they_begin() -> None:
    """It is put off while pytest is being loaded, so that the run that has begun still leaves a whole record."""
    items, interrupts = Items(), Interrupts()
    interrupts.install()
    try:
        interrupts.defer()
        signal.raise_signal(signal.SIGTERM)
        assert not items.shouldstop
        with pytest.raises(KeyboardInterrupt), interrupts.ending(items, items.ended_by.append), interrupts.deferred():
            pass
    finally:
        interrupts.restore()
    assert (items.shouldstop, items.ended_by) == (STOP, ["SIGTERM"])
