"""A fleet of embedded tenants, judged by engines; and what of the outcomes has to be the same, whichever judged it."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from gt_conformance import table
from gt_conformance.fleet import load_fleet
from gt_sandbox.faults import FAULTS, FaultSet
from gt_sandbox.fleet import EmbeddedFleet
from tests.commands import Finished, finished

NIGHT = "2026-11-27"
TIMES_AND_IDS = frozenset({"night", "seconds", "started", "run", "requests", "tokens"})
"""What differs from run to run: how often an upload is polled follows from the time, and some words of requests from
the run's id.
"""


@dataclass(frozen=True)
class Fleet:
    """Its file, the secrets of its tenants, and the tenants that something is wrong with."""

    path: Path
    secrets: frozenset[str]
    ids: tuple[str, ...]

    def shard(self, index: int, count: int) -> set[str]:
        """The ids of the tenants of a shard."""
        return {tenant.id for tenant in load_fleet(self.path).shard(index, count)}


@contextmanager
def fleet_of(folder: Path, count: int) -> Iterator[Fleet]:
    """So many tenants, served while inside: one has a fault, one cannot be reached, one misses its secrets."""
    ids = tuple(f"tenant-{number:03}" for number in range(count))
    altered = {ids[0]: FaultSet((FAULTS["chat-500"],)).middleware}
    with EmbeddedFleet(ids, altered=altered) as serving:
        path = serving.write(
            folder,
            unreachable={ids[1]},
            without_secrets={ids[2]},
            more={"schedule": [{"every": "1d", "runbooks": ["dify"]}]},
        )
        secrets = frozenset(secret for one in ids for secret in serving.secrets(one).values())
        yield Fleet(path, secrets, ids)


def fleet_run(fleet: Fleet, out: Path, *words: str, cwd: Path) -> Finished:
    """The command, by a new interpreter, as whoever starts a shard does."""
    line = [sys.executable, "-m", "gt_conformance", "fleet", "run", str(fleet.path), "--out", str(out)]
    return finished([*line, "--night", NIGHT, *words], cwd=cwd)


def outcomes(out: Path) -> list[tuple[object, ...]]:
    """Each row of the table but for times and ids, in an order of its own."""
    columns = ", ".join(f'"{name}"' for name in table.COLUMNS if name not in TIMES_AND_IDS)
    with table.open_table(out) as opened:
        return opened.rows(f"SELECT {columns} FROM outcomes ORDER BY ALL")  # noqa: S608 - columns of our own


def recorded(out: Path) -> set[str]:
    """The files of tenants that there are for its only night."""
    (night,) = (out / "records").iterdir()
    return {path.name for path in night.iterdir()}


def left_behind(out: Path, known: Sequence[str] = (".json.gz", ".problem.json", ".parquet")) -> list[Path]:
    """Files that are no whole ones of a fleet: drafts that nobody put in their place."""
    return [path for path in out.rglob("*") if path.is_file() and not path.name.endswith(tuple(known))]
