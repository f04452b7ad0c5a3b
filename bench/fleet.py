"""A fleet against embedded tenants behind one port: ``make fleet``. It shows that what is broken is found, and no more.

Some tenants have a fault, some cannot be reached, some miss their secrets; all others conform. The tenants are served
by another process, each answer comes late, and ``gt-conformance fleet run`` judges them. Then the outcomes are compared
with what was broken, and what the run cost is printed: processor time, memory, and the wall time beside what it should
be at most. ``--tenants`` says how many; how many are broken follows from it.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from gt_conformance import table
from gt_sandbox.faults import FAULTS, FaultSet
from gt_sandbox.fleet import EmbeddedFleet
from gt_sandbox.middleware import delay, is_any

LIMIT = 1.3
"""The wall time, at most, as a multiple of what the processor or the waiting alone takes."""


@dataclass(frozen=True)
class Broken:
    """What is broken in a fleet, by the ids of tenants."""

    faults: Mapping[str, str]
    unreachable: frozenset[str]
    without_secrets: frozenset[str]

    @classmethod
    def of(cls, ids: Sequence[str]) -> "Broken":
        """A fiftieth have a fault, a hundredth cannot be reached, a two-hundredth miss their secrets: one at least."""
        many = [max(1, len(ids) // part) for part in (50, 100, 200)]
        chosen = list(ids[:: len(ids) // sum(many)][: sum(many)])
        first, second = many[0], many[0] + many[1]
        faults = {tenant: _FAULTS[number % len(_FAULTS)] for number, tenant in enumerate(chosen[:first])}
        return cls(faults, frozenset(chosen[first:second]), frozenset(chosen[second:]))

    def kind(self, tenant: str) -> str:
        """What is broken of a tenant, if anything."""
        if tenant in self.unreachable:
            return "unreachable"
        return "secrets" if tenant in self.without_secrets else "fault" if tenant in self.faults else ""


_FAULTS = (
    "chat-500",
    "chat-redirects",
    "chat-html",
    "chat-error-in-200",
    "chat-without-choices",
    "chat-says-nothing",
    "chat-read-as-latin-1",
    "chat-names-provider-model",
    "alias-not-listed",
    "chat-names-internal-model",
)
"""Each is found whatever runbook is judged."""


def ids_of(count: int) -> list[str]:
    """The ids of so many tenants."""
    return [f"tenant-{number:05}" for number in range(count)]


def serve(folder: Path, count: int, latency_s: float, runbooks: Sequence[str]) -> None:
    """Write the fleet and serve it until standard input ends; its file is printed."""
    ids = ids_of(count)
    broken = Broken.of(ids)
    altered = {tenant: FaultSet((FAULTS[name],)).middleware for tenant, name in broken.faults.items()}
    late = [delay(latency_s, is_any)] if latency_s else []
    schedule = [{"every": "1d", "runbooks": list(runbooks) or "all"}]
    with EmbeddedFleet(ids, altered=altered, middleware=late) as fleet:
        path = fleet.write(
            folder,
            unreachable=broken.unreachable,
            without_secrets=broken.without_secrets,
            more={"schedule": schedule},
        )
        print(path, flush=True)  # noqa: T201 - for the process that started this one
        sys.stdin.read()


@contextmanager
def served(folder: Path, count: int, latency_s: float, runbooks: Sequence[str]) -> Iterator[Path]:
    """The file of a fleet that another process serves while inside."""
    words = ["--serve", "--keep", str(folder), "--tenants", str(count), "--latency", str(latency_s)]
    words += [word for name in runbooks for word in ("--runbook", name)]
    line = [sys.executable, __file__, *words]
    with subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as serving:  # noqa: S603 - this file
        try:
            yield Path((serving.stdout.readline() if serving.stdout else "").strip())
        finally:
            serving.terminate()


@dataclass(frozen=True)
class Cost:
    """What judging took."""

    code: int
    wall_s: float
    delayed_s: float
    """What of the wall time the event loop's thread waited for a processor that other programs had."""
    cpu_s: float
    peak_mb: float


def judge(fleet: Path, out: Path, *more: str) -> Cost:
    """Judge the fleet by the command, in a process of its own."""
    words = [sys.executable, "-m", "gt_conformance", "fleet", "run", str(fleet), "--out", str(out), *more]
    begun = time.monotonic()
    running = subprocess.Popen(words, env={**os.environ, "NO_PROXY": "127.0.0.1"})  # noqa: S603 - our own command
    os.waitid(os.P_PID, running.pid, os.WEXITED | os.WNOWAIT)
    delayed_s = int(Path(f"/proc/{running.pid}/schedstat").read_text(encoding="ascii").split()[1]) / 1e9
    _, status, used = os.wait4(running.pid, 0)
    running.returncode = os.waitstatus_to_exitcode(status)
    wall_s = time.monotonic() - begun
    return Cost(running.returncode, wall_s, delayed_s, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)


def compare(out: Path, count: int) -> list[str]:
    """What the outcomes say wrongly of a tenant, in words."""
    ids = ids_of(count)
    broken = Broken.of(ids)
    with table.open_table(out) as opened:
        rows = opened.rows("SELECT tenant, decision, run IS NOT NULL, says FROM latest WHERE kind = 'tenant'")
    wrong = [f"{tenant} is missing" for tenant in sorted(set(ids) - {tenant for tenant, *_ in rows})]
    for tenant, decision, was_judged, says in rows:
        match broken.kind(tenant):
            case "fault":
                right = decision == "NO-GO"
            case "unreachable":
                right = decision == "UNREACHABLE"
            case "secrets":
                right = not was_judged
            case _:  # where people have to attest something, nothing is decided
                right = was_judged and decision in {"GO", "NOT DECIDED"}
        if not right:
            wrong.append(f"{tenant} ({broken.kind(tenant) or 'nothing broken'}) is {decision}: {says}")
    return wrong


def main() -> int:
    """Judge, compare, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tenants", type=int, default=50)
    parser.add_argument("--latency", type=float, default=0.05, help="seconds that each answer comes late")
    parser.add_argument("--at-once", type=int, default=40)
    parser.add_argument("--runbook", action="append", default=[], help="only this runbook; all where none is named")
    parser.add_argument("--keep", type=Path, help="where the folder of the fleet goes, to look at")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.serve:
        serve(given.keep, given.tenants, given.latency, given.runbook)
        return 0
    with (
        TemporaryDirectory() as temporary,
        served(given.keep or Path(temporary), given.tenants, given.latency, given.runbook) as path,
    ):
        folder = path.parent
        cost = judge(path, folder / "out", "--at-once", str(given.at_once))
        wrong = compare(folder / "out", given.tenants)
        records = [file.stat().st_size for file in (folder / "out" / "records").rglob("*.json.gz")]
        parts = [file.stat().st_size for file in (folder / "out" / "outcomes").rglob("*.parquet")]
        planned = plan(path, given.latency, given.at_once)
    print("\n".join(describe(given.tenants, cost, planned, records, parts)))  # noqa: T201 - what a benchmark is for
    verdict = "what is broken is found, and nothing else" if not wrong else f"{len(wrong)} wrong"
    print("\n".join([*wrong, f"exit code {cost.code}: {verdict}"]))  # noqa: T201 - as above
    return 1 if wrong or cost.code else 0


def describe(
    count: int, cost: Cost, planned: Mapping[str, Any], records: Sequence[int], parts: Sequence[int]
) -> Iterator[str]:
    """What it cost, in lines."""
    waiting_s = planned["least_s"]
    most_s = LIMIT * max(cost.cpu_s, waiting_s)
    yield f"{count:,} tenants, at least {planned['requests']:,} requests"
    yield f"wall {cost.wall_s:.1f} s, of which {cost.delayed_s:.1f} s waited for a processor that other programs had"
    own_s = cost.wall_s - cost.delayed_s
    yield f"so {own_s:.1f} s of at most {most_s:.1f} s; processor {cost.cpu_s:.1f} s, waiting {waiting_s:.1f} s"
    yield f"a tenant takes {cost.cpu_s / count:.3f} s of the processor; memory {cost.peak_mb:.0f} MB at most in all"
    record = sum(records) / max(1, len(records)) / 1024
    yield f"a record has {record:.1f} kB; the outcomes {sum(parts) / count:.0f} bytes a tenant"


def plan(fleet: Path, latency_s: float, at_once: int) -> Mapping[str, Any]:
    """What the fleet was to take, by ``gt-conformance fleet plan``."""
    words = ["fleet", "plan", str(fleet), "--latency", f"{latency_s * 1000:.0f}ms", "--at-once", str(at_once)]
    line = [sys.executable, "-m", "gt_conformance", *words, "--format", "json"]
    done = subprocess.run(line, check=True, capture_output=True, text=True)  # noqa: S603 - our own command
    found: Mapping[str, Any] = json.loads(done.stdout)
    return found


if __name__ == "__main__":
    sys.exit(main())
