"""A record as it would have been, had somebody accepted some of its findings before."""

import copy
from collections.abc import Mapping
from datetime import date
from typing import cast

from gt_conformance.dated_entries import EMBEDDED, normalise
from gt_conformance.planning import CaseKind
from gt_conformance.results._build import build, conclude
from gt_conformance.results._cases import RecordedCase, cases, of_all_in
from gt_conformance.results._decision import outcome_of, settle
from gt_conformance.results._judged import waiver_record
from gt_conformance.results._seal import seal
from gt_conformance.results.case_types import BlockerRecord, CheckRecord, ViolationRecord
from gt_conformance.results.record_types import Draft, Record
from gt_conformance.results.run_types import SHARE_NAMES, ScopeRecord, ShareName
from gt_conformance.tenant import TenantKind
from gt_conformance.vocabulary import ATTESTATION, Outcome, Route
from gt_conformance.waiver import TENANT, Flaw, Judged, Waivers


def accept(record: Record, waivers: Waivers, today: date | None = None) -> Record:
    """The record with what these waivers waive of it, and with the decision that follows; it is not changed itself.

    With ``today`` as a run of that day does it: those that are over, or of another tenant, waive nothing, and what is
    wrong with the waivers themselves is added, that they are over or not needed any more.
    """
    accepted = copy.deepcopy(record | {"exchanges": {}})  # the cases are few, the exchanges are not
    accepted["exchanges"] = record["exchanges"]
    tenant = address_of(record)
    holding = waivers if today is None else waivers.holding(today, tenant)
    judged = []
    for case in cases(accepted):
        for check in case.checks:
            judged.append(_judged(check, case))
            _accept(check, judged[-1], holding)
    for check in accepted.get("footing", ()):
        _accept(check, _judged(check, None), holding)
    if today is not None:
        problems = map(str, (*waivers.expired(today), *waivers.unneeded(judged, today)))
        remarks = map(str, waivers.remarks(judged, today, tenant))
        accepted["waiver_problems"] = _each_once(*accepted["waiver_problems"], *problems)
        if known := _each_once(*accepted.get("waiver_remarks", ()), *remarks):
            accepted["waiver_remarks"] = known
    again = _build_again(accepted)
    if "unverified" in record:
        again = conclude({**again, "unverified": record["unverified"]})
    return seal(again)


def recompute(record: Record) -> Record:
    """The record as its own violations and blockers make it: outcomes, totals, findings and decisions.

    What none of them follow from (exchanges, keys, the run) is the same; it has no digests.
    """
    again = copy.deepcopy(record | {"exchanges": {}})
    again["exchanges"] = record["exchanges"]
    for check in (*(check for case in cases(again) for check in case.checks), *again.get("footing", ())):
        check["outcome"] = outcome_of(check).value
    return _build_again(again)


def _build_again(record: Record) -> Record:
    """What a whole record has beyond a draft, computed again from the outcomes of its checks."""
    settle(record)
    scope = record["run"].get("scope")
    built = build(cast("Draft", record), None if scope is None else _known(scope), of_all_in(scope))
    joined = {key: record[key] for key in ("since", "history") if key in record}
    return cast("Record", {**built, **joined})


def address_of(record: Record) -> str:
    """The address of its tenant, to which entries about that tenant are bound."""
    tenant = record["run"]["tenant"]
    return EMBEDDED if tenant["kind"] == TenantKind.EMBEDDED else normalise(tenant["base_url"])


def _judged(check: CheckRecord, case: RecordedCase | None) -> Judged:
    """What was found of a check, whether or not it is waived; ``case`` is None where no case names it."""
    kind, name = (case.kind, case.name) if case is not None else (CaseKind.TENANT, "")
    flaws = _flaws(check)
    return Judged(
        (case.runbook if case is not None else "") or TENANT,
        Route(name) if kind in {CaseKind.ROW, CaseKind.CLIENT} else None,
        int(name) if kind is CaseKind.ITEM else None,
        check["id"],
        Outcome.worst([flaw.outcome for _, flaw in flaws]) if flaws else Outcome(check["outcome"]),
        case.id if case is not None else "",
        tuple(flaw for _, flaw in flaws),
    )


def _flaws(check: CheckRecord) -> list[tuple[ViolationRecord | BlockerRecord, Flaw]]:
    """What is wrong with a check, but for what a person has to attest."""
    if check["id"] == ATTESTATION:
        return []
    found: list[tuple[ViolationRecord | BlockerRecord, Flaw]] = []
    found += [(one, Flaw.of_violation(one.get("finding", ""))) for one in check["breaches"]]
    found += [(one, Flaw(Outcome.BLOCKED, one.get("finding", ""), "because" in one)) for one in check["obstacles"]]
    return found


def _accept(check: CheckRecord, judged: Judged, waivers: Waivers) -> None:
    """Waive what is waived of a check, and give it the outcome of the rest."""
    if check["outcome"] not in {Outcome.VIOLATES, Outcome.BLOCKED}:
        return
    found = _flaws(check)
    for record, flaw in found:
        waiver = waivers.match(judged, flaw)
        if waiver is not None:
            record.setdefault("waiver", waiver_record(waiver))
    outcome = outcome_of(check)
    check["outcome"] = outcome.value
    if outcome is Outcome.WAIVED:
        check["waiver"] = next(record["waiver"] for record, _ in found if "waiver" in record)


def _each_once(*texts: str) -> list[str]:
    return list(dict.fromkeys(texts))


def _known(scope: ScopeRecord) -> Mapping[ShareName, int]:
    return {name: scope[name]["known"] for name in SHARE_NAMES}
