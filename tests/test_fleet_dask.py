"""A fleet on Dask: scheduler and workers as processes on loopback, some of them killed at random."""

import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.commands import DEADLINE_S, environment, until
from tests.dask_cluster import Cluster
from tests.engine_fleets import NIGHT, Fleet, fleet_of, fleet_run, left_behind, outcomes, recorded

pytestmark = pytest.mark.slow

WORKERS, LOST = 5, 1
"""A fifth of them."""


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """Tenants that are served as long as this module is tested."""
    with fleet_of(tmp_path_factory.mktemp("fleet"), 20) as one:
        yield one


@pytest.fixture(scope="module")
def undisturbed(fleet: Fleet, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What one process records of it."""
    out = tmp_path_factory.mktemp("undisturbed")
    done = fleet_run(fleet, out, cwd=out)
    assert done.code == 0, done.said
    return out


def start(fleet: Fleet, out: Path, cluster: Cluster, *words: str) -> "subprocess.Popen[str]":
    """The command, on that cluster."""
    line = [
        sys.executable,
        "-m",
        "gt_conformance",
        "fleet",
        "run",
        str(fleet.path),
        "--out",
        str(out),
        "--night",
        NIGHT,
    ]
    engine = ("--engine", "dask", "--scheduler", cluster.address, "--batch", "3")
    return subprocess.Popen(
        [*line, *engine, *words], env=environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def wait_for(out: Path, count: int) -> None:
    """Return once that many tenants are recorded."""
    until(lambda: out.exists() and len([*out.rglob("*.json.gz")]) >= count, seconds=DEADLINE_S)


def test_workers_that_are_killed_cost_nothing(fleet: Fleet, undisturbed: Path, tmp_path: Path) -> None:
    """A fifth of the workers is killed at random; every outcome is that of one process, and no draft is left behind."""
    out, chance = tmp_path / "out", random.Random(20261127)  # noqa: S311 - which worker is lost
    with Cluster(tmp_path / "cluster", WORKERS) as cluster, start(fleet, out, cluster) as command:
        for victim in chance.sample(range(WORKERS), LOST):
            wait_for(out, chance.randrange(1, len(fleet.ids) // 2))
            cluster.kill(victim)
        said, _ = command.communicate(timeout=DEADLINE_S)
        overheard = cluster.overheard
    assert command.returncode == 0, said
    assert outcomes(out) == outcomes(undisturbed)
    assert recorded(out) == recorded(undisturbed)
    assert left_behind(out) == []
    assert str(fleet.path).encode() in overheard
    assert [secret for secret in fleet.secrets if secret.encode() in overheard] == []


def test_a_signal_cancels_what_is_on_the_workers_too(fleet: Fleet, undisturbed: Path, tmp_path: Path) -> None:
    """The command ends with 2, soon nothing is judged any more, and the same command goes on with what is left."""
    out = tmp_path / "out"
    with Cluster(tmp_path / "cluster", 2) as cluster:
        half = str(len(fleet.ids) // 2)  # so that all are handed out before the signal
        with start(fleet, out, cluster, "--batch", half, "--at-once", "1") as command:
            wait_for(out, 1)
            command.send_signal(signal.SIGTERM)
            said, _ = command.communicate(timeout=DEADLINE_S)
        assert command.returncode == 2, said
        assert "the same command goes on" in said
        until(lambda: not cluster.under_way())
        some = recorded(out)
        assert some < recorded(undisturbed)
        with start(fleet, out, cluster) as command:
            said, _ = command.communicate(timeout=DEADLINE_S)
    assert command.returncode == 0, said
    assert f"{len([name for name in some if name.endswith('.gz')])} had a record already" in said
    assert outcomes(out) == outcomes(undisturbed)
