"""The record as types: what schemas/results.schema.json says, so that mypy finds a misspelt key.

A test compares the two in both directions, so neither can drift. The schema describes each key. The type of an exchange
is in ``gt_conformance.exchange``, which records it.
"""

from collections.abc import Mapping
from typing import Any, Literal, NotRequired, TypedDict

from gt_conformance.exchange import ExchangeRecord

OutcomeName = Literal["conforms", "violates", "blocked", "unattested", "waived"]
OUTCOME_NAMES: tuple[OutcomeName, ...] = ("conforms", "violates", "blocked", "unattested", "waived")
"""Every outcome, in the order in which totals are listed."""
ShareName = Literal["runbooks", "rows", "items", "tenant_checks"]
SHARE_NAMES: tuple[ShareName, ...] = ("runbooks", "rows", "items", "tenant_checks")
"""What a run's scope is counted in."""
SelectionName = Literal["runbooks", "routes", "verdicts"]
SELECTION_NAMES: tuple[SelectionName, ...] = ("runbooks", "routes", "verdicts")
"""The options that select a part of the runbooks; each is empty where it selects everything."""
ChangeKind = Literal[
    "new_violations", "fixed", "still_violating", "newly_waived", "newly_untested", "newly_tested", "not_judged"
]


# -- a check, and what it rests on


class WaiverRecord(TypedDict):
    """Who owns what is waived or accepted, and until when."""

    reason: str
    owner: str
    issue: str
    expires: str


class ViolationRecord(TypedDict):
    """A promise that does not hold: what was expected, what was found, and the exchange that proves it."""

    expected: str
    found: str
    exchange: str | None
    at: NotRequired[str]
    remedy: NotRequired[str]
    finding: NotRequired[str]
    acts: NotRequired[str]
    severity: NotRequired[str]
    waiver: NotRequired[WaiverRecord]


class BlockerRecord(TypedDict):
    """Why something could not be tested, and what to do."""

    reason: str
    remedy: str
    remedy_of_all: NotRequired[str]
    acts: NotRequired[str]
    finding: NotRequired[str]
    because: NotRequired[str]
    waiver: NotRequired[WaiverRecord]


class AdvisoryRecord(TypedDict):
    """A deviation that breaks no promise."""

    text: str
    exchange: str | None
    at: NotRequired[str]


class RemarkRecord(TypedDict):
    """Something that breaks nothing and that the reader should know: ``granted`` or ``absent``."""

    kind: str
    text: str
    exchange: str | None


class CheckRecord(TypedDict):
    """One check with one credential and one set of parameters."""

    id: str
    credential: str | None
    parameters: Mapping[str, Any]
    claim: str
    outcome: str
    reason: str
    remedy: str
    breaches: list[ViolationRecord]
    obstacles: list[BlockerRecord]
    advisories: list[AdvisoryRecord]
    waiver: WaiverRecord | None
    exchanges: list[str]
    elapsed_ms: float
    clauses: NotRequired[list[str]]
    because: NotRequired[str]
    remarks: NotRequired[list[RemarkRecord]]


# -- findings


class ProofRecord(TypedDict):
    """One line of a finding: what was expected and found, where in the body, with which key, and the exchange."""

    expected: str
    found: str
    at: str
    exchange: str | None
    credential: str | None


class FindingRecord(TypedDict):
    """One thing to fix, to supply or to attest, with every case that it touches."""

    id: str
    outcome: str
    severity: str
    acts: str
    check: str
    promise: str
    clauses: list[str]
    remedy: str
    proofs: list[ProofRecord]
    places: list[str]
    blocks: list[str]
    waiver: WaiverRecord | None


# -- cases: rows, items, clients' rows (a tenant check is a case of one check, and recorded as that check)


class BecauseRecord(TypedDict, total=False):
    """The finding that alone keeps a case from being tested."""

    because: str


class RowRecord(BecauseRecord):
    """A runbook and a route, probed over HTTP or driven with a real client."""

    id: str
    route: str
    title: str
    verdict: str
    integration: str
    instead: str | None
    outcome: str
    checks: list[CheckRecord]
    uses: NotRequired[bool]


class AttestationRecord(TypedDict):
    """What a person attested, and until when that is valid."""

    statement: str
    name: str
    role: str
    on: str
    expires: str
    evidence: str


class PartEvidenceRecord(TypedDict):
    """What shows one part of a checklist item: the clients, person or tenant file that it comes from, if any."""

    part: str
    evidence: str
    source: str | None


class ItemRecord(BecauseRecord):
    """A checklist item of a runbook. ``source`` is its place on the page."""

    id: str
    item: int
    text: str
    source: NotRequired[str]
    optional: bool
    asks: NotRequired[list[str]]
    rests_on: NotRequired[list[str]]
    evidence: NotRequired[list[PartEvidenceRecord]]
    outcome: str
    attestation: AttestationRecord | None
    checks: list[CheckRecord]


class PrerequisiteRecord(TypedDict):
    """A prerequisite and what the run knows of it."""

    text: str
    known: str
    how: list[str]


class KnownIssueRecord(TypedDict):
    """Where a client differs from its documentation, measured before this run."""

    id: str
    documented: str
    measured: str
    remedy: str
    routes: list[str]


class RunbookFacts(TypedDict):
    """A runbook and its judged cases; what follows from their outcomes is not required, and left to the builder."""

    id: str
    title: str
    category: str
    compatibility: str
    key_preset: str
    documented_evidence: str
    digest: str
    docs: list[str]
    base_url: str
    entered_base_url: NotRequired[str]
    credential_note: str | None
    prerequisites: list[PrerequisiteRecord]
    routes: list[RowRecord]
    checklist: list[ItemRecord]
    known_issues: list[KnownIssueRecord]
    decision: NotRequired[str]


class RunbookRecord(RunbookFacts):
    """A runbook with the outcome and the evidence level that its cases give it."""

    outcome: str
    evidence_level: str


# -- real clients


class CallRecord(TypedDict):
    """What a client was asked to do, and what it reported."""

    call: str
    route: str | None
    succeeded: bool
    said: str
    exchanges: list[str]


class AttemptRecord(TypedDict):
    """A client driven with one base URL."""

    base_url: str
    works: bool
    ended: str | None
    calls: list[CallRecord]
    chatter: str


class DiscoveryRecord(TypedDict):
    """A request that a client sent on its own account."""

    request: str
    status: int | None
    elapsed_ms: float


class DrivenRecord(TypedDict):
    """One client that was driven, or why it was not."""

    id: str
    title: str
    version: str
    runtime: str
    on: str
    credential: str | None
    trouble: str | None
    drives: list[str]
    counted: NotRequired[list[str]]
    attempts: list[AttemptRecord]
    unsupported: list[str]
    discovery: list[DiscoveryRecord]
    differences: list[str]
    hosts: list[str]
    requests: int
    tokens: int
    seconds: float


class UndrivenRecord(TypedDict):
    """A product that is tried by hand, and why nothing drives it."""

    title: str
    why: str


class ClientsRecord(TypedDict):
    """The clients of one runbook, and the rows that they judged."""

    runbook: str
    title: str
    outcome: str
    driven: list[DrivenRecord]
    undriven: NotRequired[list[UndrivenRecord]]
    routes: list[RowRecord]


# -- the run


class TenantAddress(TypedDict):
    """What tells one tenant from another."""

    base_url: str
    kind: str


class TenantRecord(TenantAddress):
    """The tenant that was tested; ``name`` as its tenant file gives it."""

    read_only: bool
    name: NotRequired[str]


class OptionNotes(TypedDict, total=False):
    """What a caller of the session notes of its own options."""

    versioned_only: bool
    faults: list[str]
    variants: list[str]
    attestations: str | None
    sample: bool
    waivers: str | None
    accepted: str | None
    tenant_file: str | None
    from_environment: bool
    runbooks_dir: str | None
    checks: list[str]
    fail_on: str
    clients: list[str]


class OptionsRecord(OptionNotes):
    """The options of the run, as far as they change what it judges."""

    runbooks: list[str]
    routes: list[str]
    verdicts: list[str]
    boundary: NotRequired[bool]
    strict: bool
    read_only: NotRequired[bool]


class ShareRecord(TypedDict):
    """How many were selected of those that are known; ``of_all`` of these belong to runs of all runbooks only."""

    selected: int
    known: int
    of_all: NotRequired[int]


class ScopeRecord(TypedDict):
    """How much of what is known was selected."""

    runbooks: ShareRecord
    rows: ShareRecord
    items: ShareRecord
    tenant_checks: ShareRecord


class ShardRecord(TypedDict):
    """A run that was merged into this record."""

    id: str
    started: str
    duration_s: float


class ProvenanceRecord(TypedDict):
    """Which suite made a record, on what, and who or which job ran it."""

    suite: str
    python: str
    platform: str
    vantage: str
    by: str
    job: str | None


class ProfileRecord(TypedDict):
    """The published set of checks, clauses and runbooks that a run was made with, and what of it is another one's."""

    name: str
    digest: str
    altered: list[str]


class RunRecord(TypedDict):
    """The run itself: when, against what, how much of it."""

    id: str
    started: str
    finished: str
    duration_s: float
    version: str
    tenant: TenantRecord
    runbooks_digest: str
    options: OptionsRecord
    refusal: BlockerRecord | None
    interrupted: NotRequired[str]
    scope: NotRequired[ScopeRecord]
    shards: NotRequired[list[ShardRecord]]
    provenance: NotRequired[ProvenanceRecord]
    profile: NotRequired[ProfileRecord]


class VectorRecord(TypedDict):
    """A sketch of the vector that a published name gave a key for a fixed text."""

    model: str
    length: int
    signs: str


class CredentialRecord(TypedDict):
    """A key as the tenant file declares it; None where it declares nothing. ``vectors`` where it embedded."""

    name: str
    fingerprint: str | None
    purpose: str | None
    scopes: list[str] | None
    models: list[str] | None
    datasets: list[str] | None
    revoked: bool
    vectors: NotRequired[list[VectorRecord]]


class PercentilesRecord(TypedDict):
    """Three percentiles of so many values."""

    count: int
    p50: float
    p95: float
    p99: float


class SeriesRecord(TypedDict):
    """How fast one route answered, plain or streamed."""

    route: str
    way: str
    count: int
    first_byte_ms: PercentilesRecord
    first_event_ms: NotRequired[PercentilesRecord]
    total_ms: PercentilesRecord
    tokens_per_s: NotRequired[PercentilesRecord]


class TimesRecord(TypedDict):
    """How fast the tenant answered, by route, and by runbook and route; with at most so many requests at once."""

    at_once: int
    routes: list[SeriesRecord]
    runbooks: dict[str, list[SeriesRecord]]


class ObjectiveRecord(TypedDict):
    """One number that the operator promises of the tenant's speed, and what it came to."""

    id: str
    runbook: NotRequired[str]
    route: str
    measure: str
    percentile: int
    limit: float
    outcome: str
    found: float | None
    samples: int
    of_this_run: int
    earlier_runs: int
    needed: int


class EarlierValuesRecord(TypedDict):
    """What an earlier run measured, by the id of the objective that needed it."""

    day: str
    run: str
    values: dict[str, list[float]]


class SloRecord(TypedDict):
    """The operator's objectives, and the values of earlier runs by which they were judged besides."""

    objectives: list[ObjectiveRecord]
    earlier: list[EarlierValuesRecord]


class UsageRecord(TypedDict):
    """What is metered of a run."""

    input_tokens: int
    output_tokens: int
    images: int
    audio_s: float
    characters: int


class CostRecord(TypedDict):
    """What a run cost, by the prices of the tenant file, for the three of its spending."""

    currency: str
    used: float
    counted: float
    worst: float
    unpriced: list[str]


class SpendingRecord(TypedDict):
    """What the requests of a run used, what counts against its budget, and what they might have used at most."""

    used: UsageRecord
    counted: UsageRecord
    worst: UsageRecord
    unstated: int
    max_tokens: NotRequired[int]
    cost: NotRequired[CostRecord]


class TrafficRecord(TypedDict):
    """What the run sent and received."""

    requests: int
    by_route: dict[str, int]
    bytes_sent: int
    bytes_received: int
    tokens: int
    slowest_ms: float
    spending: NotRequired[SpendingRecord]


class Totals(TypedDict):
    """How many cases have each outcome."""

    conforms: int
    violates: int
    blocked: int
    unattested: int
    waived: int


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


CaseRecord = RowRecord | ItemRecord | CheckRecord
"""What a record holds of one case: of a row (of a real client as well), of a checklist item, of a tenant-wide check."""


class DigestsRecord(TypedDict):
    """The SHA-256 of what a record holds: of all of it, and, shortened, of each part by its name."""

    record: str
    exchanges: str
    tenant_file: str | None
    parts: dict[str, str]


class CasesRecord(TypedDict):
    """The part of a record that holds its cases: rows, items, tenant checks, clients' rows."""

    runbooks: list[RunbookRecord]
    tenant_checks: list[CheckRecord]
    clients: NotRequired[list[ClientsRecord]]


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
