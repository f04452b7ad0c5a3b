"""A run of everything, in this process and without pytest, against an embedded tenant of its own."""

import gc
import json
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import cache
from multiprocessing import get_context

from gt_conformance import results, session, tenant
from gt_conformance.judgement import HumanInput, Judgement
from gt_conformance.planning import CaseKind, Plan
from gt_conformance.results import Record
from gt_conformance.results.case_types import FindingRecord
from gt_conformance.session import Session
from gt_conformance.tenant import TenantKind
from gt_conformance.vocabulary import Outcome
from gt_sandbox import EmbeddedTenant
from gt_sandbox.faults import FaultSet
from gt_sandbox.variants import VariantSet
from prove import _process
from prove._process import bundled

WORKERS = 3
"""For two processors: a run waits for the clocks of its faults."""
_PLACES = {CaseKind.ITEM: "items", CaseKind.TENANT: "tenant"}


@dataclass(frozen=True)
class CaseOutcome:
    """A row, an item or a tenant check that was judged, with the checks that came to each outcome.

    ``place`` is the short id of a row's route, ``items`` or ``tenant``.
    """

    id: str
    place: str
    outcome: str
    checks: tuple[tuple[str, str], ...]

    @classmethod
    def of(cls, judgement: Judgement) -> "CaseOutcome":
        """From a judgement, which ends with its run."""
        checks = tuple((check.call.check, check.outcome.value) for check in judgement.checks)
        route = judgement.case.route
        place = route.value if route is not None else _PLACES[judgement.case.kind]
        return cls(judgement.id, place, judgement.outcome.value, checks)


@dataclass(frozen=True)
class RunOutcome:
    """What came of a run."""

    cases: tuple[CaseOutcome, ...]
    suite_errors: tuple[str, ...]
    findings: tuple[FindingRecord, ...] = ()
    """Those that violate, in the order in which reports show them."""
    reported: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """By check, the findings that it reports or is blocked by."""

    def checks(self, outcome: Outcome) -> frozenset[str]:
        """The ids of the checks that came to that outcome somewhere."""
        return frozenset(check for case in self.cases for check, found in case.checks if found == outcome.value)

    def places(self, outcome: Outcome) -> frozenset[str]:
        """Where rows, items and tenant checks came to it."""
        return frozenset(case.place for case in self.cases if case.outcome == outcome.value)

    def count(self, outcome: Outcome) -> int:
        """How many rows, items and tenant checks came to it."""
        return sum(case.outcome == outcome.value for case in self.cases)


def run(
    faults: FaultSet | None = None,
    variants: VariantSet | None = None,
    narrow: Callable[[Plan], Plan] = lambda plan: plan,
) -> RunOutcome:
    """Judge every row, item and tenant check against a tenant with these faults and these variants.

    ``narrow`` may leave some of the plan out.
    """
    outcome = _run(faults or FaultSet(), variants or VariantSet(), narrow)
    gc.collect()  # now that all of the run is garbage; a worker does not collect by itself
    return outcome


def record_of(
    faults: FaultSet, narrow: Callable[[Plan], Plan] = lambda plan: plan, variants: VariantSet | None = None
) -> Record:
    """The record of a run against a tenant with these faults and variants, as its file gives it."""
    record, _, _ = _judge(faults, variants or VariantSet(), narrow)
    found: Record = json.loads(json.dumps(record))
    return found


def _run(faults: FaultSet, variants: VariantSet, narrow: Callable[[Plan], Plan]) -> RunOutcome:
    record, cases, suite_errors = _judge(faults, variants, narrow)
    reported: dict[str, set[str]] = {}
    for check in (check for case in results.cases(record) for check in case.checks):
        reported.setdefault(check["id"], set()).update(results.findings_of(check))
    return RunOutcome(
        cases,
        suite_errors,
        tuple(found for found in record["findings"] if found["outcome"] == Outcome.VIOLATES),
        {check: frozenset(names) for check, names in reported.items()},
    )


def _judge(
    faults: FaultSet, variants: VariantSet, narrow: Callable[[Plan], Plan]
) -> tuple[Record, tuple[CaseOutcome, ...], tuple[str, ...]]:
    """The record of a run, its cases, and what went wrong in the suite itself."""
    middleware = (*variants.middleware, *faults.middleware)
    with EmbeddedTenant(middleware=middleware) as running:
        under_test = tenant.from_mapping(
            faults.change_tenant_file(variants.change_tenant_file(running.tenant_document())),
            running.secrets,
            kind=TenantKind.EMBEDDED,
            name="the embedded tenant",
        )
        planned = narrow(session.plan(under_test, bundled()))
        with Session(planned, human_input=_human_input(), run_id="prove") as judging:
            cases = tuple(CaseOutcome.of(judging.judgement(case)) for case in planned.cases)
        return judging.record(), cases, judging.suite_errors


@cache
def workers() -> ProcessPoolExecutor:
    """Processes that run, as many as keep two processors busy; the same for every section, until this process ends."""
    return ProcessPoolExecutor(WORKERS, mp_context=get_context("spawn"), initializer=_prepare)


def _prepare() -> None:
    _human_input()
    _process.prepare()


@cache
def _human_input() -> HumanInput:
    """The sample attestations, read as of the day on which they were written, as a run of the command does."""
    return session.load_human_input(bundled(), sample=True)
