"""How long what users wait for takes: ``make bench``. Each line is the best and the median of a few runs."""

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from gt_conformance import resources, results
from gt_conformance.report import render_html
from gt_conformance.runbook import load_directory
from gt_sandbox import EmbeddedTenant

TIMES = 5


def command(*words: str) -> Callable[[], None]:
    """A function that runs the command to its end."""

    def run() -> None:
        subprocess.run(  # noqa: S603 - our own command
            [sys.executable, "-m", "gt_conformance", *words], check=True, stdout=subprocess.DEVNULL
        )

    return run


def start_tenant() -> None:
    """Start the embedded tenant, and stop it."""
    with EmbeddedTenant():
        pass


def measure(name: str, work: Callable[[], object]) -> str:
    """Measure, and describe it in one line."""
    seconds = []
    for _ in range(TIMES):
        begun = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - begun)
    return f"{name:<44} {min(seconds):7.3f} s best {statistics.median(seconds):7.3f} s median"


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as folder:
        reports = str(Path(folder) / "reports")
        lines: dict[str, Callable[[], object]] = {
            "gt-conformance --version": command("--version"),
            "gt-conformance explain": command("explain"),
            "load the bundled runbooks": lambda: load_directory(resources.runbooks_dir()),
            "start and stop the embedded tenant": start_tenant,
            "gt-conformance run --runbook dify": command("run", "--runbook", "dify", "--report-dir", reports),
            "gt-conformance run (everything, embedded)": command("run", "--report-dir", reports),
        }
        for name, work in lines.items():
            print(measure(name, work), flush=True)  # noqa: T201 - what a benchmark is for
        record = results.read(Path(reports) / "results.json")
        print(measure("render compliance.html of that run", lambda: render_html(record)))  # noqa: T201
        traffic = record["traffic"]
        print(f"requests of that run: {traffic['requests']}, tokens: {traffic['tokens']}")  # noqa: T201


if __name__ == "__main__":
    main()
