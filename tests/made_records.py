"""Records that no run has made: as small as results.schema.json allows, and consistent in themselves."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, cast

from gt_conformance import results
from gt_conformance.exchange import ExchangeRecord
from gt_conformance.results import Record
from gt_conformance.results.case_types import BlockerRecord, CheckRecord, ItemRecord, RowRecord, RunbookRecord
from gt_conformance.results.record_types import Draft
from gt_conformance.results.run_types import CredentialRecord, RunRecord, ShareName
from gt_conformance.vocabulary import CHECKLIST_LENGTH, Outcome, Route, RunbookOutcome

OUTCOMES = tuple(outcome.value for outcome in Outcome)
PARTS = (*(route.value for route in Route), "item-1", "item-2", "item-3")
"""What a runbook is judged in: nine rows and three items."""
DIGEST = "d" * 64
LIVE = "https://acme.example/api/tenant"


def check(outcome: str = "conforms", name: str = "chat.completes", **more: Any) -> CheckRecord:
    """A check of that outcome; other keys as given."""
    wrong = outcome != "conforms"
    broken = outcome in {"violates", "waived"}
    made: CheckRecord = {
        "id": name,
        "credential": "chat",
        "parameters": {},
        "claim": "A chat is completed.",
        "outcome": outcome,
        "reason": f"{name} {outcome}" if wrong else "",
        "remedy": "Fix it." if wrong else "",
        "breaches": [{"expected": "HTTP 200", "found": "HTTP 500", "exchange": "x0001"}] if broken else [],
        "obstacles": [{"reason": f"{name} {outcome}", "remedy": "Fix it."}] if wrong and not broken else [],
        "advisories": [],
        "exchanges": ["x0001"],
        "elapsed_ms": 1.0,
        "waiver": {"reason": "Known.", "owner": "A. Example", "issue": "https://x.example/1", "expires": "2027-01-31"}
        if outcome == "waived"
        else None,
    }
    return cast("CheckRecord", made | more)


def book(
    name: str = "dify",
    parts: Mapping[str, Sequence[CheckRecord]] | None = None,
    *,
    only: Collection[str] = PARTS,
    verdicts: Mapping[str, str] | None = None,
    **more: Any,
) -> RunbookRecord:
    """A runbook with these checks in those parts; the others of ``only`` conform, and no others are there."""
    checks = {part: [check()] for part in PARTS if part in only} | {
        part: [*some] for part, some in (parts or {}).items()
    }
    declared = verdicts or {}
    rows = [_row(name, route, declared.get(route.value, "native"), checks) for route in Route if route.value in checks]
    items = [_item(name, number, checks) for number in (1, 2, 3) if f"item-{number}" in checks]
    made: RunbookRecord = {
        "id": name,
        "title": name.capitalize(),
        "category": "SDK and HTTP",
        "compatibility": "Native OpenAI-compatible",
        "key_preset": "openai-chat",
        "documented_evidence": "documented compatibility",
        "digest": DIGEST,
        "docs": [],
        "base_url": "https://<tenant-host>/api/tenant",
        "credential_note": None,
        "outcome": RunbookOutcome.of(Outcome(part["outcome"]) for part in (*rows, *items)).value,
        "evidence_level": "documented",
        "prerequisites": [],
        "routes": rows,
        "checklist": items,
        "known_issues": [],
    }
    return cast("RunbookRecord", made | more)


def _worst(checks: Sequence[CheckRecord]) -> str:
    return Outcome.worst(Outcome(one["outcome"]) for one in checks).value


def _row(name: str, route: Route, verdict: str, checks: Mapping[str, Sequence[CheckRecord]]) -> RowRecord:
    return {
        "id": f"{name}-{route.value}-{verdict}",
        "route": route.value,
        "title": route.title,
        "verdict": verdict,
        "integration": "As it is.",
        "instead": None,
        "outcome": _worst(checks[route.value]),
        "checks": [*checks[route.value]],
    }


def _item(name: str, number: int, checks: Mapping[str, Sequence[CheckRecord]]) -> ItemRecord:
    some = checks[f"item-{number}"]
    return {
        "id": f"{name}-item-{number}",
        "item": number,
        "text": "It works.",
        "optional": False,
        "outcome": _worst(some),
        "attestation": None,
        "checks": [*some],
    }


def record(
    *books: RunbookRecord,
    tenant_checks: Sequence[CheckRecord] = (),
    run: Mapping[str, Any] | None = None,
    tenant: Mapping[str, Any] | None = None,
    options: Mapping[str, Any] | None = None,
    **more: Any,
) -> Record:
    """A record of those runbooks as they are, with an exchange for each reference, which no other run has.

    An exchange presented the key of the first check that refers to it. Valid: it is read as its file would be.
    """
    about = _run(tenant or {}, options or {})
    draft: Draft = {
        "run": about,
        "runbooks": [*books],
        "tenant_checks": [*tenant_checks],
        "credentials": [],
        "waiver_problems": [],
        "exchanges": {},
        "traffic": {
            "requests": 1,
            "by_route": {"POST /v1/chat/completions": 1},
            "bytes_sent": 10,
            "bytes_received": 20,
            "tokens": 3,
            "slowest_ms": 5.0,
        },
        "suite_errors": [],
    }
    known: Mapping[ShareName, int] = {
        "runbooks": len(books),
        "rows": len(Route) * len(books),
        "items": CHECKLIST_LENGTH * len(books),
        "tenant_checks": len(tenant_checks),
    }
    made = results.build(draft, known)
    for own, built in zip(books, made["runbooks"], strict=True):
        if own["evidence_level"] == "documented":  # unless a test gave it another one
            own["evidence_level"] = built["evidence_level"]
    made["runbooks"] = [*books]  # with the outcome and the level that a test gave them
    made["run"] = cast("RunRecord", made["run"] | dict(run or {}))
    presented: dict[str, str | None] = {}
    for check_record in (one for case in results.cases(made) for one in case.checks):
        for ref in check_record["exchanges"]:
            presented.setdefault(ref, check_record["credential"])
    made["exchanges"] = {ref: _exchange(f"{made['run']['id']} {ref}", key) for ref, key in sorted(presented.items())}
    return results.conclude(cast("Record", made | more))


def credential(name: str, **more: Any) -> CredentialRecord:
    """A key as the tenant file declares it."""
    made = {
        "name": name,
        "fingerprint": None,
        "purpose": "inference",
        "scopes": None,
        "models": None,
        "datasets": None,
        "revoked": False,
    }
    return cast("CredentialRecord", made | more)


def references(value: Record) -> list[str]:
    """Every exchange that its checks refer to, check by check."""
    return [ref for case in results.cases(value) for check in case.checks for ref in check["exchanges"]]


def _run(tenant: Mapping[str, Any], options: Mapping[str, Any]) -> RunRecord:
    made = {
        "id": "a1",
        "started": "2026-11-22T03:00:00.000Z",
        "finished": "2026-11-22T03:00:02.000Z",
        "duration_s": 2.0,
        "version": "0.1.0",
        "tenant": {"base_url": LIVE, "kind": "live", "read_only": False, **tenant},
        "runbooks_digest": DIGEST,
        "options": {"runbooks": [], "routes": [], "verdicts": [], "strict": False, **options},
        "refusal": None,
    }
    return cast("RunRecord", made)


def _exchange(text: str, key: str | None) -> ExchangeRecord:
    return {
        "request": {
            "method": "POST",
            "url": f"{LIVE}/v1/chat/completions",
            "credential": key,
            "presentation": "bearer",
            "headers": [],
            "body": {"kind": "json", "bytes": 10, "text": text},
        },
        "response": None,
        "elapsed_ms": 5.0,
        "curl": f"curl {text}",
    }


def refused(value: Record) -> Record:
    """The same record of a run that no tenant answered."""
    refusal: BlockerRecord = {"reason": "nobody answers at the tenant", "remedy": "Check the address."}
    return results.conclude(value | {"run": value["run"] | {"refusal": refusal}})
