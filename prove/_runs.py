"""A run of everything, in this process and without pytest, against an embedded tenant of its own."""

import gc
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from multiprocessing import get_context
from pathlib import Path

from gt_conformance import attestation, plan, resources, tenant
from gt_conformance.judgement import HumanInput, Judge, Judgement
from gt_conformance.plan import Plan
from gt_conformance.runbook import Runbook, load_directory
from gt_conformance.runner import HttpSender, Runner
from gt_conformance.tenant import TenantKind
from gt_conformance.vocabulary import Outcome
from gt_sandbox import EmbeddedTenant
from gt_sandbox.faults import Planted
from gt_sandbox.variants import Differing
from prove import _process
from prove._process import bundled

WORKERS = 2


@dataclass(frozen=True)
class Judged:
    """A row, an item or a tenant check that was judged, with the checks that came to each outcome.

    ``place`` is the short id of a row's route, ``items`` or ``tenant``.
    """

    id: str
    place: str
    outcome: str
    checks: tuple[tuple[str, str], ...]

    @classmethod
    def of(cls, judged: Judgement, place: str) -> "Judged":
        """From a judgement: what is left of it when the run is gone."""
        checks = tuple((check.call.check, check.outcome.value) for check in judged.checks)
        return cls(judged.id, place, judged.outcome.value, checks)


@dataclass(frozen=True)
class Ran:
    """What came of a run."""

    judged: tuple[Judged, ...]
    suite_errors: tuple[str, ...]

    def checks(self, outcome: Outcome) -> frozenset[str]:
        """The ids of the checks that came to that outcome somewhere."""
        return frozenset(check for part in self.judged for check, found in part.checks if found == outcome.value)

    def places(self, outcome: Outcome) -> frozenset[str]:
        """Where rows, items and tenant checks came to it."""
        return frozenset(part.place for part in self.judged if part.outcome == outcome.value)

    def count(self, outcome: Outcome) -> int:
        """How many rows, items and tenant checks came to it."""
        return sum(part.outcome == outcome.value for part in self.judged)


def run(planted: Planted, lawful: Differing | None = None, narrowed: Callable[[Plan], Plan] = lambda plan: plan) -> Ran:
    """Judge every row, item and tenant check against a tenant with these faults, that differs in these lawful ways.

    ``narrowed`` may leave some of the plan out.
    """
    other = lawful or Differing()
    with EmbeddedTenant(edges=(*other.edges, *planted.edges)) as running, _runbooks(planted) as books:
        under_test = tenant.from_mapping(
            planted.tenant_file(other.tenant_file(running.tenant_document())),
            running.secrets,
            kind=TenantKind.EMBEDDED,
            name="the embedded tenant",
        )
        planned = narrowed(plan.make_plan(under_test, books))
        runner = Runner(planned, lambda: HttpSender(under_test), run_id="prove")
        runner.start()
        try:
            judge = Judge(planned, runner.result, _human_input())
            judged = [Judged.of(judge.row(row), row.row.route.value) for row in planned.rows]
            judged += [Judged.of(judge.item(item), "items") for item in planned.items]
            judged += [Judged.of(judge.tenant_check(check), "tenant") for check in planned.tenant_checks]
        finally:
            runner.stop("the run ended before this was judged")
    return Ran(tuple(judged), tuple(runner.suite_errors))


@contextmanager
def workers() -> Iterator[ProcessPoolExecutor]:
    """Processes that run: as many as keep two processors busy."""
    with ProcessPoolExecutor(WORKERS, mp_context=get_context("spawn"), initializer=_prepare) as pool:
        yield pool


def collected(ran: Ran) -> Ran:
    """The same, once the garbage of its run is gone: a worker collects between runs only."""
    gc.collect()
    return ran


def _prepare() -> None:
    _human_input()
    _process.prepare()


@cache
def _human_input() -> HumanInput:
    """The sample attestations, read as of the day on which they were written, as a run of the command does."""
    books = bundled()
    today = HumanInput().today
    sample = attestation.load(resources.sample_attestations(), books, today)
    return HumanInput(sample, today=today, sampled_on=max(entry.on for entry in sample.entries))


@contextmanager
def _runbooks(planted: Planted) -> Iterator[tuple[Runbook, ...]]:
    if not planted.rewrites:
        yield bundled()
        return
    with tempfile.TemporaryDirectory() as folder:
        planted.rewrite(resources.runbooks_dir(), Path(folder))
        yield load_directory(Path(folder))
