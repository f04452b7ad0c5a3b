"""A fleet on Dask: scheduler and workers as processes on loopback, some of them killed at random."""

import json
import random
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
import trustme

from tests.commands import DEADLINE_S, environment, until
from tests.dask_cluster import Cluster
from tests.engine_fleets import NIGHT, Fleet, fleet_of, fleet_run, left_behind, outcomes, recorded

pytestmark = pytest.mark.slow

WORKERS, TENANTS = 3, 10
"""One of these workers is killed; `make fleet` does the same with fifty tenants."""


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """Tenants that are served as long as this module is tested."""
    with fleet_of(tmp_path_factory.mktemp("fleet"), TENANTS) as one:
        yield one


@pytest.fixture(scope="module")
def undisturbed(fleet: Fleet, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What one process records of it."""
    out = tmp_path_factory.mktemp("undisturbed")
    done = fleet_run(fleet, out, cwd=out)
    assert done.code == 0, done.said
    return out


def start(
    fleet: Fleet, out: Path, cluster: Cluster, *words: str, env: Mapping[str, str] | None = None
) -> "subprocess.Popen[str]":
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
        [*line, *engine, *words], env=environment(env), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def wait_for(out: Path, count: int, command: "subprocess.Popen[str]") -> None:
    """Return once that many tenants are recorded, or the command has ended."""
    until(lambda: len([*out.rglob("*.json.gz")]) >= count or command.poll() is not None, seconds=DEADLINE_S)


def test_workers_that_are_killed_cost_nothing(fleet: Fleet, undisturbed: Path, tmp_path: Path) -> None:
    """One of the workers is killed at random; every outcome is that of one process, and no draft is left behind."""
    out, chance = tmp_path / "out", random.Random(20261127)  # noqa: S311 - which worker is lost
    with Cluster(tmp_path / "cluster", WORKERS) as cluster, start(fleet, out, cluster) as command:
        wait_for(out, chance.randrange(1, len(fleet.ids) // 2), command)
        cluster.kill(chance.randrange(WORKERS))
        said, _ = command.communicate(timeout=DEADLINE_S)
        overheard = cluster.overheard
    assert command.returncode == 0, said
    assert outcomes(out) == outcomes(undisturbed)
    assert recorded(out) == recorded(undisturbed)
    assert left_behind(out) == []
    assert str(fleet.path).encode() in overheard
    assert [secret for secret in fleet.secrets if secret.encode() in overheard] == []


def test_what_kills_workers_is_found_and_costs_no_other(tmp_path: Path) -> None:
    """It is tried with its batch and then alone; the others of its batch are judged, and the exit code says it."""
    fatal = ["sh", "-c", "kill -KILL $(cut -d' ' -f4 /proc/$PPID/stat)"]  # the parent of what supervises it
    key = {"secret_command": fatal, "preset": "openai-chat"}
    bomb = {"base_url": "http://127.0.0.1:9", "models": {"chat": "m"}, "keys": {"chat": key}}
    dies_once = {"DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "0"}
    with fleet_of(tmp_path / "fleet", 5) as fleet:
        described = json.loads(fleet.path.read_text())
        fleet.path.write_text(json.dumps({**described, "tenants": {"bomb": {"file": "bomb.yaml"}}}))
        (fleet.path.parent / "bomb.yaml").write_text(json.dumps(bomb))
        out = tmp_path / "out"
        with (
            Cluster(tmp_path / "cluster", 7, env=dies_once) as cluster,
            start(fleet, out, cluster, "--batch", "10") as command,
        ):
            said, _ = command.communicate(timeout=DEADLINE_S)
    assert command.returncode == 3, said
    assert "bomb: each worker that was to judge it was lost" in said
    assert {name.partition(".")[0] for name in recorded(out)} == set(fleet.ids)
    assert {row[0] for row in outcomes(out)} == set(fleet.ids)


def test_a_scheduler_that_is_lost_is_reported(fleet: Fleet, tmp_path: Path) -> None:
    """With what to do; nothing that was recorded is lost."""
    out = tmp_path / "out"
    soon = {"DASK_DISTRIBUTED__COMM__TIMEOUTS__CONNECT": "5s"}
    with Cluster(tmp_path / "cluster", 1) as cluster, start(fleet, out, cluster, env=soon) as command:
        wait_for(out, 1, command)
        cluster.scheduler.kill()
        said, _ = command.communicate(timeout=DEADLINE_S)
    assert command.returncode == 3, said
    assert "the scheduler was lost: the same command goes on with what is left" in said


def test_certificates_are_checked_on_both_sides(tmp_path: Path) -> None:
    """With those of the scheduler's authority it works; with those of another nobody is talked to."""
    with fleet_of(tmp_path / "fleet", 3) as fleet:
        ours, others = (Certificates.make(tmp_path / name) for name in ("ours", "others"))
        with Cluster(tmp_path / "cluster", 1, tls=ours.of_dask) as cluster:
            out = tmp_path / "out"
            soon = {"DASK_DISTRIBUTED__COMM__TIMEOUTS__CONNECT": "5s"}
            with start(fleet, out, cluster, *others.of_command, env=soon) as command:
                refused, _ = command.communicate(timeout=DEADLINE_S)
            assert (command.returncode, out.exists()) == (4, False), refused
            with start(fleet, out, cluster, *ours.of_command) as command:
                said, _ = command.communicate(timeout=DEADLINE_S)
    assert command.returncode == 0, said
    assert "3 tenants are due" in said


@dataclass(frozen=True)
class Certificates:
    """An authority, and a certificate by which everybody is known."""

    files: tuple[Path, Path, Path]

    @classmethod
    def make(cls, folder: Path) -> "Certificates":
        """New ones."""
        folder.mkdir()
        authority = trustme.CA()
        issued = authority.issue_cert("127.0.0.1", "localhost")
        ca, cert, key = folder / "ca.pem", folder / "cert.pem", folder / "key.pem"
        authority.cert_pem.write_to_path(str(ca))
        issued.cert_chain_pems[0].write_to_path(str(cert))
        issued.private_key_pem.write_to_path(str(key))
        return cls((ca, cert, key))

    @property
    def of_dask(self) -> list[str]:
        """As the options of `dask scheduler` and `dask worker`."""
        names = ("--tls-ca-file", "--tls-cert", "--tls-key")
        return [word for name, path in zip(names, self.files, strict=True) for word in (name, str(path))]

    @property
    def of_command(self) -> list[str]:
        """As the options of the command."""
        names = ("--tls-ca", "--tls-cert", "--tls-key")
        return [word for name, path in zip(names, self.files, strict=True) for word in (name, str(path))]


def test_a_signal_cancels_what_is_on_the_workers_too(fleet: Fleet, undisturbed: Path, tmp_path: Path) -> None:
    """The command ends with 2, soon nothing is judged any more, and the same command goes on with what is left."""
    out = tmp_path / "out"
    with Cluster(tmp_path / "cluster", 2) as cluster:
        half = str(len(fleet.ids) // 2)  # so that all are handed out before the signal
        with start(fleet, out, cluster, "--batch", half, "--at-once", "1") as command:
            wait_for(out, 1, command)
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
