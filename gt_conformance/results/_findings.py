"""Findings: one thing to fix, supply or attest each, made from the judged checks of a record, whoever rendered it."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from gt_conformance.errors import name_finding
from gt_conformance.exchange import ExchangeRecord
from gt_conformance.planning import CaseKind
from gt_conformance.results._cases import RecordedCase, cases
from gt_conformance.results.case_types import (
    BlockerRecord,
    CasesRecord,
    CheckRecord,
    FindingRecord,
    ProofRecord,
    ViolationRecord,
    WaiverRecord,
)
from gt_conformance.vocabulary import Actor, Outcome, Severity
from gt_conformance.waiver import WAIVED_SUFFIX

NO_EXCHANGES: Mapping[str, ExchangeRecord] = {}
_UNATTESTED = "unattested"
_SEVERITY = list(Severity)
_SHOWN_FIRST = (Outcome.VIOLATES, Outcome.BLOCKED, Outcome.UNATTESTED, Outcome.WAIVED)


@dataclass
class _Gathered:
    """What is known of a finding so far. ``violates`` where it is a violation, whether or not it is waived."""

    id: str
    outcome: Outcome
    check: CheckRecord
    remedy: str
    acts: str
    severity: Severity
    waiver: WaiverRecord | None
    is_root: bool
    violates: bool = False
    proofs: dict[tuple[object, ...], ProofRecord] = field(default_factory=dict)
    remedies: dict[str, None] = field(default_factory=dict)
    places: dict[str, None] = field(default_factory=dict)
    blocks: dict[str, None] = field(default_factory=dict)


def find(
    record: CasesRecord, footing: Sequence[CheckRecord] = (), exchanges: Mapping[str, ExchangeRecord] = NO_EXCHANGES
) -> list[FindingRecord]:
    """The findings of a record's cases, the worst first; ``footing`` are checks that no case names.

    Violations of one cause are one finding, and so are blocks of one cause, however many cases they touch. A case that
    rests on a finding is listed with it, under ``blocks``. What is waived of a finding is one of its own: what is not
    waived of the same cause stays as it is. The key of each line is the one that its exchange presented.
    """
    gathered: dict[str, _Gathered] = {}
    for case in _in_order(cases(record)):
        for check in case.checks:
            _take(gathered, check, case.id)
    for check in footing:
        _take(gathered, check, None)
    found = sorted(map(_as_record, _joined(gathered)), key=_rank)
    for proof in (proof for finding in found for proof in finding["proofs"]):
        if (exchange := exchanges.get(proof["exchange"] or "")) is not None:
            proof["credential"] = exchange["request"]["credential"]
    return found


def _in_order(found: Iterable[RecordedCase]) -> list[RecordedCase]:
    """Rows before items before tenant checks: a row's check is the one that is about a cause."""
    kinds = list(CaseKind)
    return sorted(found, key=lambda case: kinds.index(case.kind))


def _take(gathered: dict[str, _Gathered], check: CheckRecord, place: str | None) -> None:
    for broken in check["breaches"]:
        item = _gather_violation(gathered, check, broken)
        proof = _proof(broken["expected"], broken["found"], broken.get("at", ""), broken["exchange"], check)
        if _is_of(check, item.id) and not _is_of(item.check, item.id):
            item.check, others, item.proofs = check, item.proofs, {tuple(proof.values()): proof}
            item.proofs |= others
        _add(item, proof, place)
    if check["outcome"] == Outcome.VIOLATES:
        return  # what violates hides what could not be tested besides
    for blocker in check["obstacles"]:
        item = _gather_block(gathered, check, blocker)
        if blocker.get("remedy_of_all") and not item.violates:
            item.remedies[blocker["remedy"]] = None
            item.remedy = item.remedy if len(item.remedies) == 1 else blocker["remedy_of_all"]
        if blocker.get("because") and item.violates:
            item.blocks |= {place: None} if place else {}
        elif blocker.get("because"):
            item.places |= {place: None} if place else {}
        else:
            found = blocker["reason"]
            if blocker.get("remedy_of_all") and check["outcome"] != Outcome.UNATTESTED:
                found = f"{found.rstrip('.')}. {blocker['remedy']}"
            _add(item, _proof("", found, "", None, check), place)


def _is_of(check: CheckRecord, finding: str) -> bool:
    """Whether a finding is of this check alone: what others meet of it stands behind what this one says."""
    return finding.partition("~")[0] == check["id"]


def _add(item: _Gathered, proof: ProofRecord, place: str | None) -> None:
    item.proofs.setdefault(tuple(proof.values()), proof)
    item.places |= {place: None} if place else {}


def _gather_violation(gathered: dict[str, _Gathered], check: CheckRecord, broken: ViolationRecord) -> _Gathered:
    remedy = broken.get("remedy") or check["remedy"]
    name = _name_violation(check, broken)
    severity = Severity(broken.get("severity") or Severity.MEDIUM)
    acts = broken.get("acts") or Actor.TENANT.value
    known = gathered.get(name)
    if known is None or not (known.is_root and known.violates):
        waiver = _waiver(check, broken)
        outcome = Outcome.WAIVED if waiver else Outcome.VIOLATES
        new = _Gathered(name, outcome, check, remedy, acts, severity, waiver, is_root=True, violates=True)
        if known is not None:
            new.blocks = known.places | known.blocks
        known = gathered[name] = new
    known.severity = min(known.severity, severity, key=_SEVERITY.index)
    return known


def _gather_block(gathered: dict[str, _Gathered], check: CheckRecord, blocker: BlockerRecord) -> _Gathered:
    acts = blocker.get("acts") or Actor.SETUP.value
    name = _name_block(check, blocker)
    known = gathered.get(name)
    is_root = not blocker.get("because")
    if known is None or (is_root and not known.is_root):
        unattested, waiver = check["outcome"] == Outcome.UNATTESTED, _waiver(check, blocker)
        outcome = Outcome.WAIVED if waiver else Outcome.UNATTESTED if unattested else Outcome.BLOCKED
        severity = Severity.LOW if unattested else Severity.MEDIUM
        new = _Gathered(name, outcome, check, blocker["remedy"], acts, severity, waiver, is_root)
        if known is not None:
            new.places, new.blocks = known.places, known.blocks
        known = gathered[name] = new
    if not known.proofs and not known.violates and not is_root:
        # A key's own trouble is met by every check that presents it, and is no check's.
        known.remedy = known.remedy or blocker["remedy"]
        proof = _proof("", blocker["reason"], "", None, check)
        known.proofs[tuple(proof.values())] = proof
    return known


def _waiver(check: CheckRecord, flaw: ViolationRecord | BlockerRecord) -> WaiverRecord | None:
    """The waiver of a violation or a block: its own, or that of its check, of which all is waived then."""
    return flaw.get("waiver") or (check["waiver"] if check["outcome"] == Outcome.WAIVED else None)


def _joined(gathered: Mapping[str, _Gathered]) -> list[_Gathered]:
    """The findings, of which one that is waived in part is two: what either lacks is what the other one says.

    A check that no case names is at no place. Where all that rests on it is waived, it is not red for itself.
    """
    kept = []
    for item in gathered.values():
        other = gathered.get(
            item.id.removesuffix(WAIVED_SUFFIX) if item.outcome is Outcome.WAIVED else f"{item.id}{WAIVED_SUFFIX}"
        )
        if other is not None and other.is_root and not item.is_root:
            item.check, item.remedy, item.acts = other.check, other.remedy, other.acts
            item.severity, item.proofs = other.severity, other.proofs
            item.violates = other.violates
            item.blocks, item.places = (item.places, {}) if other.violates else (item.blocks, item.places)
        rests = bool(item.places or item.blocks)
        if rests or (item.is_root and other is None):
            kept.append(item)
    return kept


def _proof(expected: str, found: str, at: str, exchange: str | None, check: CheckRecord) -> ProofRecord:
    return {"expected": expected, "found": found, "at": at, "exchange": exchange, "credential": check["credential"]}


def _as_record(item: _Gathered) -> FindingRecord:
    return {
        "id": item.id,
        "outcome": item.outcome.value,
        "severity": item.severity.value,
        "acts": item.acts,
        "check": item.check["id"],
        "promise": item.check["claim"],
        "clauses": list(item.check.get("clauses", ())) if item.violates else [],
        "remedy": item.remedy,
        "proofs": list(item.proofs.values()),
        "places": list(item.places),
        "blocks": [place for place in item.blocks if place not in item.places],
        "waiver": item.waiver,
    }


def _rank(found: FindingRecord) -> tuple[int, int, int, str]:
    outcome = _SHOWN_FIRST.index(Outcome(found["outcome"]))
    return (outcome, _SEVERITY.index(Severity(found["severity"])), -len(found["places"]), found["id"])


def findings_of(check: CheckRecord) -> Iterator[str]:
    """The ids of the findings that a check belongs to, in order, each once."""
    names = [_name_violation(check, broken) for broken in check["breaches"]]
    if check["outcome"] != Outcome.VIOLATES:
        names += [_name_block(check, blocker) for blocker in check["obstacles"]]
    yield from dict.fromkeys(names)


def _name_violation(check: CheckRecord, broken: ViolationRecord) -> str:
    name = broken.get("finding") or name_finding(check["id"], broken.get("remedy") or check["remedy"])
    return f"{name}{WAIVED_SUFFIX}" if _waiver(check, broken) else name


def _name_block(check: CheckRecord, blocker: BlockerRecord) -> str:
    if check["outcome"] == Outcome.UNATTESTED:
        return name_finding(_UNATTESTED, _UNATTESTED if blocker.get("remedy_of_all") else blocker["remedy"])
    acts = blocker.get("acts") or Actor.SETUP.value
    name = blocker.get("because") or blocker.get("finding") or name_finding(acts, blocker["remedy"])
    return f"{name}{WAIVED_SUFFIX}" if _waiver(check, blocker) else name
