"""The record as types: what schemas/results.schema.json says, so that mypy finds a misspelt key.

A test compares the two in both directions, so neither can drift. The schema describes each key. The types of what was
judged are in ``case_types``, those of the run itself in ``run_types``, that of an exchange in
``gt_conformance.exchange``, which records it.
"""

from typing import Any, Literal, NotRequired, TypedDict

from gt_conformance.exchange import ExchangeRecord
from gt_conformance.results.case_types import CasesRecord, CheckRecord, ClientsRecord, FindingRecord, RunbookFacts
from gt_conformance.results.run_types import (
    CredentialRecord,
    RunRecord,
    SloRecord,
    TenantRecord,
    TimesRecord,
    Totals,
    TrafficRecord,
)

ChangeKind = Literal[
    "new_violations", "fixed", "still_violating", "newly_waived", "newly_untested", "newly_tested", "not_judged"
]

# -- what is joined to a record once it is there: earlier runs


class NightTimesRecord(TypedDict):
    """How fast one route answered that night: of a stream until its first event, else until the end."""

    route: str
    way: str
    count: int
    p50_ms: float
    p95_ms: float


class NightRecord(TypedDict):
    """The last run of a day, in short; an earlier version had neither findings nor what they were judged by."""

    day: str
    run: str
    totals: Totals
    runbooks: dict[str, str]
    findings: NotRequired[list[str]]
    version: NotRequired[str]
    runbooks_digest: NotRequired[str]
    keys_digest: NotRequired[str]
    times: NotRequired[list[NightTimesRecord]]


class ChangeRecord(TypedDict):
    """A check in one place, before and after; None where that run did not have it."""

    place: str
    check: str
    before: str | None
    after: str | None
    reason: str
    remedy: str


class NamesRecord(TypedDict):
    """What only the later run has, and what only the earlier one had."""

    added: list[str]
    missing: list[str]


class VerdictChange(TypedDict):
    """A route whose declared verdict changed."""

    route: str
    before: str
    after: str


class RunbookChange(TypedDict):
    """A runbook whose file changed."""

    id: str
    verdicts: list[VerdictChange]


class RunbookChanges(NamesRecord):
    """The runbooks that only one of the runs judged, and those that changed between them."""

    changed: list[RunbookChange]


class NumbersRecord(TypedDict):
    """A number of the earlier run and of the later one."""

    before: float
    after: float


class EarlierRun(TypedDict):
    """The run that a record was compared with."""

    id: str
    started: str
    version: str
    tenant: TenantRecord


class SinceRecord(TypedDict):
    """What changed since an earlier run."""

    run: EarlierRun
    same_tenant: bool
    new_violations: list[ChangeRecord]
    fixed: list[ChangeRecord]
    still_violating: list[ChangeRecord]
    newly_waived: list[ChangeRecord]
    newly_untested: list[ChangeRecord]
    newly_tested: list[ChangeRecord]
    not_judged: list[ChangeRecord]
    checks: NamesRecord
    runbooks: RunbookChanges
    requests: NumbersRecord
    duration_s: NumbersRecord


# -- the whole record


class DigestsRecord(TypedDict):
    """The SHA-256 of what a record holds: of all of it, and, shortened, of each part by its name."""

    record: str
    exchanges: str
    tenant_file: str | None
    parts: dict[str, str]


class RunParts(TypedDict):
    """What a run records beside its cases."""

    run: RunRecord
    credentials: list[CredentialRecord]
    waiver_problems: list[str]
    waiver_remarks: NotRequired[list[str]]
    exchanges: dict[str, ExchangeRecord]
    traffic: TrafficRecord
    suite_errors: list[str]
    footing: NotRequired[list[CheckRecord]]
    unproven_checks: NotRequired[list[str]]
    setup: NotRequired[dict[str, Any]]
    slo: NotRequired[SloRecord]


class Draft(RunParts):
    """A record before anything was computed from the outcomes of its cases."""

    runbooks: list[RunbookFacts]
    tenant_checks: list[CheckRecord]
    clients: NotRequired[list[ClientsRecord]]


class Record(CasesRecord, RunParts):
    """A whole results.json."""

    schema_version: int
    totals: Totals
    times: NotRequired[TimesRecord]
    client_totals: NotRequired[Totals]
    findings: NotRequired[list[FindingRecord]]
    decision: NotRequired[str]
    history: NotRequired[list[NightRecord]]
    since: NotRequired[SinceRecord]
    unverified: NotRequired[list[str]]
    digests: NotRequired[DigestsRecord]
