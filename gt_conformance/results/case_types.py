"""The record's types of what was judged: a check and what it found, findings, rows, items, real clients."""

from collections.abc import Mapping
from typing import Any, NotRequired, TypedDict

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


CaseRecord = RowRecord | ItemRecord | CheckRecord
"""What a record holds of one case: of a row (of a real client as well), of a checklist item, of a tenant-wide check."""


class CasesRecord(TypedDict):
    """The part of a record that holds its cases: rows, items, tenant checks, clients' rows."""

    runbooks: list[RunbookRecord]
    tenant_checks: list[CheckRecord]
    clients: NotRequired[list[ClientsRecord]]
