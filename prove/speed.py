"""Times are true: a tenant in a process of its own has seeded latencies, and runs measure them.

What a run says of its 95th percentile is held against the latencies that were really drawn for it, and a limit that is
20 % better or worse than the truth of their distribution is judged over the nights, as a run with a history does. A
machine that is busy otherwise adds its own to what is measured: run it alone.
"""

import math
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Any

from gt_conformance import results, session, tenant, timing
from gt_conformance.tenant import Measure, Objective, TenantKind
from gt_conformance.vocabulary import Outcome, Route
from gt_sandbox import EmbeddedTenant
from gt_sandbox.latency import delay_answers
from gt_sandbox.middleware import is_stream
from prove import Options, Proof
from prove._process import bundled

NIGHTS = 4
NEAR = 0.05
ASIDE = 0.2
_MOST_DRAWN = 100_000

Draw = Callable[[random.Random], float]
LATENCIES: Mapping[str, Draw] = {
    "skewed": lambda chance: 0.8 * math.exp(chance.gauss(0, 0.3)),
    "queued": lambda chance: 0.5 + chance.expovariate(1 / 0.2),
    "one in ten is slow": lambda chance: (1.8 if chance.random() < 0.1 else 0.6) * math.exp(chance.gauss(0, 0.1)),
}
"""Seconds until the first event of a stream, by how they are distributed."""


@dataclass(frozen=True)
class Night:
    """One run: the first events that it measured, and those that were drawn for it, in milliseconds."""

    measured: Sequence[float]
    drawn: Sequence[float]


@dataclass(frozen=True)
class Trial:
    """The nights of one distribution."""

    name: str
    nights: Sequence[Night]

    @property
    def error(self) -> float:
        """By how much the measured percentile differs from that of what was drawn, over all nights."""
        measured = [value for night in self.nights for value in night.measured]
        return _p95(measured) / _p95([value for night in self.nights for value in night.drawn]) - 1

    @property
    def wrong(self) -> Iterator[str]:
        """The verdicts that are not right, by the truth of the distribution, a sentence each."""
        chance = random.Random("truth")  # noqa: S311 - latencies, not secrets
        truth = 1000 * _p95([LATENCIES[self.name](chance) for _ in range(_MOST_DRAWN)])
        measured = [night.measured for night in self.nights]
        for share, wanted in ((1 - ASIDE, Outcome.CONFORMS), (1 + ASIDE, Outcome.VIOLATES)):
            objective = Objective(Route.CHAT, Measure.FIRST_EVENT, 95, truth / share)
            found = timing.judge(objective, measured[0], dict(enumerate(measured[1:])).get)
            if found.outcome is not wanted:
                yield f"{self.name}: {found.found} ms at the limit {objective.limit:.0f} ms {found.outcome.value}"


def prove(options: Options) -> Proof:
    """Each percentile is near the truth, and each verdict over the nights right; ``quick`` tries one distribution."""
    names = list(LATENCIES)[:1] if options.quick else list(LATENCIES)
    trials = [Trial(name, [_measure(name, seed) for seed in range(NIGHTS)]) for name in names]
    far = [f"{one.name}: p95 is {one.error:+.1%} off what was drawn" for one in trials if abs(one.error) > NEAR]
    wrong = [text for one in trials for text in one.wrong]
    streams = sum(len(night.measured) for one in trials for night in one.nights)
    return Proof(
        f"times: p95 within {NEAR:.0%} of what was drawn {len(trials) - len(far)}/{len(trials)} ({streams} streams), "
        f"verdicts {ASIDE:.0%} to either side of the limit right {2 * len(trials) - len(wrong)}/{2 * len(trials)}",
        (*far, *wrong),
    )


def _p95(values: Sequence[float]) -> float:
    return timing.quantile(sorted(values), 0.95)


def _measure(name: str, seed: int) -> Night:
    """A run of everything on a tenant with these latencies."""
    context = get_context("spawn")
    ours, theirs = context.Pipe()
    server = context.Process(target=_serve, args=(name, seed, theirs), daemon=True)
    server.start()
    document, secrets = ours.recv()
    under_test = tenant.from_mapping(document, secrets, kind=TenantKind.EMBEDDED, name="the tenant")
    try:
        record = session.run(session.plan(under_test, bundled()))
    finally:
        ours.send(None)
    drawn: list[float] = ours.recv()
    server.join()
    samples = results.samples_of(record["run"], record["runbooks"], record["credentials"], record["exchanges"])
    return Night(samples.values(Objective(Route.CHAT, Measure.FIRST_EVENT, 95, 1)), drawn)


def _serve(name: str, seed: int, parent: Connection) -> None:
    chance = random.Random(seed)  # noqa: S311 - as above
    drawn: list[float] = []

    def draw() -> float:
        seconds = LATENCIES[name](chance)
        drawn.append(seconds * 1000)
        return seconds

    with EmbeddedTenant(middleware=(delay_answers(is_stream, draw),)) as running:
        document: Mapping[str, Any] = running.tenant_document()
        parent.send((document, dict(running.secrets)))
        parent.recv()
    parent.send(drawn)
