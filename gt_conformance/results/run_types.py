"""The record's types of the run itself: the tenant, the options, the keys, and what was sent, spent and measured."""

from typing import Literal, NotRequired, TypedDict

from gt_conformance.results.case_types import BlockerRecord

OutcomeName = Literal["conforms", "violates", "blocked", "unattested", "waived"]
OUTCOME_NAMES: tuple[OutcomeName, ...] = ("conforms", "violates", "blocked", "unattested", "waived")
"""Every outcome, in the order in which totals are listed."""
ShareName = Literal["runbooks", "rows", "items", "tenant_checks"]
SHARE_NAMES: tuple[ShareName, ...] = ("runbooks", "rows", "items", "tenant_checks")
"""What a run's scope is counted in."""
SelectionName = Literal["runbooks", "routes", "verdicts"]
SELECTION_NAMES: tuple[SelectionName, ...] = ("runbooks", "routes", "verdicts")
"""The options that select a part of the runbooks; each is empty where it selects everything."""


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
