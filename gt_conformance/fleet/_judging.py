"""Judging tenants of a fleet, many at once in one event loop: a record each, whatever happens to the others."""

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from datetime import date
from pathlib import Path

import anyio

from gt_conformance import signals, table
from gt_conformance.errors import InputError
from gt_conformance.exchange import redact_logs
from gt_conformance.fleet._fleet import Fleet, FleetTenant
from gt_conformance.fleet._folder import Folder
from gt_conformance.fleet._shard import Progress, Shard, Summary

AT_ONCE = 40
"""How many tenants are judged at once, unless somebody says otherwise."""


def judge_tenants(  # noqa: PLR0913 - each is a decision of the caller's
    fleet: Fleet,
    tenants: Iterable[FleetTenant],
    directory: Path,
    *,
    night: date,
    part: str,
    at_once: int = AT_ONCE,
    shards: int = 1,
    beside: Iterable[FleetTenant] = (),
    watch: Callable[[Progress], None] | None = None,
    handling: Callable[[signals.Handler], AbstractContextManager[object]] = signals.handling,
) -> Summary:
    """Judge those of the tenants that are due and have no record of that night, and write the part of the table.

    ``beside`` are others of the same part, which are not judged: the part holds what is recorded of them that night.
    ``part`` names its file, such as ``00003-of-00100``. Budgets of gateways are divided by ``shards``; ``watch`` is
    called as it goes on. It runs in the calling thread; in the main thread a signal ends it: what is under way is
    dropped then, to be done when this is called again, and no part is written. Raises InputError where nothing can be
    judged or kept at all.
    """
    table.require_engine()
    budgets = {name: _share(fleet, name, shards) for name in fleet.gateways}
    folder = Folder(directory, night)
    folder.make()
    shard = Shard(
        fleet, tenants, folder, at_once=at_once, budgets=budgets, beside=beside, watch=watch or (lambda _: None)
    )
    with handling(shard.interrupt), redact_logs(shard.redactor):
        anyio.run(shard.judge)
        shard.write(part)
    return shard.summary()


def _share(fleet: Fleet, name: str, shards: int) -> tuple[float, int]:
    gateway = fleet.gateways[name]
    if gateway.concurrency < shards:
        raise InputError.of(
            f"the gateway {name!r} takes {gateway.concurrency} requests at once, which {shards} shards cannot share.",
            hint=f"Make at most {gateway.concurrency} shards, or raise its concurrency in {fleet.path}.",
        )
    return gateway.requests_per_minute / shards, gateway.concurrency // shards
