"""A small fleet, judged in one process and then by two workers of Dask, one of which is killed: ``make fleet``.

What one process takes is printed first. Then the same tenants are judged by Dask; a worker is killed at a random
moment, as a machine that loses power, and every outcome has to be that of the first run, times and ids aside.
"""

import argparse
import random
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from bench import fleet as benchmark
from tests.dask_cluster import Cluster
from tests.engine_fleets import outcomes

WORKERS, BATCH = 2, 5


def main() -> int:
    """Judge twice, compare, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tenants", type=int, default=50)
    parser.add_argument("--latency", type=float, default=0.05, help="seconds that each answer comes late")
    parser.add_argument("--runbook", action="append", help="only this runbook (default: dify)")
    parser.add_argument("--seed", type=int, default=secrets.randbelow(1 << 32), help="of who is killed, and when")
    given = parser.parse_args()
    runbooks = given.runbook or ["dify"]
    begun = time.monotonic()
    with (
        TemporaryDirectory() as name,
        benchmark.served(Path(name, "fleet"), given.tenants, given.latency, runbooks) as path,
    ):
        folder = Path(name)
        cost = benchmark.judge(path, folder / "process")
        planned = benchmark.plan(path, given.latency, 40)
        records = [file.stat().st_size for file in (folder / "process").rglob("*.json.gz")]
        parts = [file.stat().st_size for file in (folder / "process").rglob("*.parquet")]
        show(benchmark.describe(given.tenants, cost, planned, records, parts))
        wrong = benchmark.compare(folder / "process", given.tenants)
        code, lines = judge_on_dask(path, folder, given.tenants, random.Random(given.seed))  # noqa: S311 - which worker is lost
        show([f"seed {given.seed}", *lines])
        if outcomes(folder / "dask") != outcomes(folder / "process"):
            wrong.append("Dask, with a worker that was killed, has other outcomes than one process")
    verdict = "what is broken is found, and nothing else, by both" if not wrong else f"{len(wrong)} wrong"
    show([*wrong, f"exit codes {cost.code} and {code}: {verdict}; {time.monotonic() - begun:.0f} s in all"])
    return 1 if wrong or cost.code or code else 0


def judge_on_dask(path: Path, folder: Path, tenants: int, chance: random.Random) -> tuple[int, Iterator[str]]:
    """Judge the fleet, and lose a worker meanwhile. Gives the exit code and what it took, in lines."""
    out, victim, moment = folder / "dask", chance.randrange(WORKERS), chance.randrange(1, tenants // 2)
    with Cluster(folder / "cluster", WORKERS) as cluster:
        words = ["fleet", "run", str(path), "--out", str(out), "--engine", "dask", "--scheduler", cluster.address]
        begun = time.monotonic()
        line = [sys.executable, "-m", "gt_conformance", *words, "--batch", str(BATCH)]
        with subprocess.Popen(line) as running:  # noqa: S603 - our own command
            while running.poll() is None and (found := len([*out.glob("records/*/*.json.gz")])) < moment:
                time.sleep(0.01)
            cluster.kill(victim)
            code = running.wait()
        wall_s = time.monotonic() - begun
        said = f"worker {victim} of {WORKERS} was killed when {found} of {tenants} tenants were recorded"
    return code, iter([f"Dask: wall {wall_s:.1f} s; {said}"])


def show(lines: Iterator[str] | list[str]) -> None:
    """Print them."""
    print("\n".join(lines), flush=True)  # noqa: T201 - what a benchmark is for


if __name__ == "__main__":
    sys.exit(main())
