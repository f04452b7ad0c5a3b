"""Judging tenants of a fleet, many at once in one event loop: a record each, whatever happens to the others."""

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from gt_conformance import signals
from gt_conformance.fleet._fleet import Fleet, FleetTenant

AT_ONCE = 40
"""How many tenants are judged at once, unless somebody says otherwise."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far it is: tenants that are due, those that had this night's record already, and what came of the others."""

    due: int
    left_out: int = 0
    recorded: int = 0
    problems: int = 0
    under_way: int = 0


@dataclass(frozen=True, slots=True)
class Summary:
    """What came of it. ``faults`` are those of the suite and of this machine; ``interrupted`` names the signal."""

    progress: Progress
    faults: tuple[str, ...] = ()
    interrupted: str | None = None

    @property
    def exit_code(self) -> int:
        """0 where each tenant that is due has a verdict or a problem on record; else 3, or 2 where interrupted."""
        if self.interrupted is not None:
            return 2
        return 3 if self.faults else 0


def judge_tenants(  # noqa: PLR0913 - each is a decision of the caller's
    fleet: Fleet,
    tenants: Iterable[FleetTenant],
    directory: Path,
    *,
    night: date,
    part: str,
    at_once: int = AT_ONCE,
    shards: int = 1,
    watch: Callable[[Progress], None] | None = None,
    handling: Callable[[signals.Handler], AbstractContextManager[object]] = signals.handling,
) -> Summary:
    """Judge those of the tenants that are due and have no record of that night, and write the part of the table.

    ``part`` names its file, such as ``00003-of-00100``. By ``shards`` the budgets of the gateways are divided. One
    event loop, in the calling thread; in the main thread a signal ends it. Calling it again does what is left.
    """
    raise NotImplementedError((fleet, tenants, directory, night, part, at_once, shards, watch, handling))
