"""Runs that several test files read. Each is made once in a test session, by the process that needs it first."""

import fcntl
import os
import pickle
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests import hostile
from tests.commands import Finished, run

DRIVING = ("--runbook", "generic-openai-http", "--clients", "generic-openai-http")
"""Drives the client of one runbook."""
STREAMS_BREAK = "stream-cut-and-closed"
"""The fault that tests of one runbook share."""


def conforming(factory: pytest.TempPathFactory) -> Finished:
    """A whole run against the embedded tenant, with every report."""
    return _once(factory, "conforming", lambda folder: run(cwd=folder))


def of_dify(factory: pytest.TempPathFactory, *words: str) -> Finished:
    """A run of one runbook with these words, without pytest.html and allure's results."""
    return _once(
        factory, "-".join(("dify", *words)), lambda folder: run("--runbook", "dify", *words, cwd=folder, lean=True)
    )


def driven_and_failed(factory: pytest.TempPathFactory) -> Finished:
    """A run that drives a client, which fails with the documented base URL and works with another."""
    return _once(factory, "driven", lambda folder: run(*DRIVING, "--versioned-only", cwd=folder, lean=True))


def judged_hostile(factory: pytest.TempPathFactory) -> Finished:
    """A run with every report against a tenant whose every word is hostile, in which every outcome occurs."""
    waived_until = datetime.now(UTC).date() + timedelta(days=30)
    return _once(factory, "hostile", lambda folder: hostile.judged(folder, waived_until.isoformat()))


_read: dict[Path, Finished] = {}
"""What this process has read: a record of everything takes a second to read and to hold against its schema."""


def _once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], Finished]) -> Finished:
    base = factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        base = base.parent  # which the processes of a session share, and no other session has
    kept = base / f"{name}.pickle"
    if kept in _read:
        return _read[kept]
    with (base / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # until the file is closed, also where its process dies
        if not kept.exists():
            folder = base / f"shared-{name}"
            folder.mkdir(exist_ok=True)
            kept.write_bytes(pickle.dumps(make(folder)))
    found = pickle.loads(kept.read_bytes())  # noqa: S301 - written by a process of this session
    assert isinstance(found, Finished)
    return _read.setdefault(kept, found)
