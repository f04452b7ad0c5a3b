"""Records of one tenant that were made apart, merged into one. What they disagree on is an error, never a choice."""

import copy
import hashlib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import pairwise
from typing import NamedTuple, TypeVar

from gt_conformance import results
from gt_conformance.comparison import same_tenant
from gt_conformance.errors import InputError, Location, Problem
from gt_conformance.exchange import ExchangeRecord
from gt_conformance.results import Record
from gt_conformance.results.case_types import CheckRecord, RunbookFacts
from gt_conformance.results.record_types import Draft
from gt_conformance.results.run_types import (
    SELECTION_NAMES,
    SHARE_NAMES,
    EarlierValuesRecord,
    OptionsRecord,
    RunRecord,
    ScopeRecord,
    ShardRecord,
    ShareName,
)
from gt_conformance.tenant import objective_of_id
from gt_conformance.vocabulary import Outcome, Route

_Part = TypeVar("_Part")


class Source(NamedTuple):
    """A record and the file that it comes from."""

    where: Location
    record: Record


def by_tenant(sources: Sequence[Source]) -> list[list[Source]]:
    """The sources of each tenant, tenants in the order in which they first come.

    Raises InputError where two files hold the same run: each of its exchanges would be counted twice.
    """
    first: dict[str, Source] = {}
    problems = []
    for source in sources:
        for run in (shard["id"] for shard in _shards(source.record["run"])):
            if run in first:
                problems.append(
                    Problem(
                        f"this is run {run}, and so is {first[run].where}: its exchanges would be counted twice.",
                        where=source.where,
                        hint="Name each run once.",
                    )
                )
            first.setdefault(run, source)
    if problems:
        raise InputError(problems)
    groups: list[list[Source]] = []
    for source in sources:
        tenant = source.record["run"]["tenant"]
        group = next((item for item in groups if same_tenant(item[0].record["run"]["tenant"], tenant)), None)
        if group is None:
            groups.append([source])
        else:
            group.append(source)
    return groups


def merge(sources: Sequence[Source]) -> Record:
    """One record of the records of one tenant; the very record where there is one.

    Raises InputError with everything that they disagree on: version, runbooks, keys, or the outcome of a case.
    """
    if len(sources) == 1:
        return sources[0].record
    problems = [*_disagreements(sources)]
    if problems:
        raise InputError(problems)
    records = _renumbered([source.record for source in sources])
    draft: Draft = {
        "run": _run([record["run"] for record in records]),
        "runbooks": _runbooks(records),
        "tenant_checks": _tenant_checks(records),
        "clients": _first(
            (entry for record in records for entry in record.get("clients", ())), lambda entry: entry["runbook"]
        ),
        "credentials": _first((key for record in records for key in record["credentials"]), lambda key: key["name"]),
        "waiver_problems": _each_once(text for record in records for text in record["waiver_problems"]),
        "exchanges": {ref: item for record in records for ref, item in record["exchanges"].items()},
        "traffic": results.add_traffic([record["traffic"] for record in records]),
        "suite_errors": [text for record in records for text in record["suite_errors"]],
        "footing": _first(
            (check for record in records for check in record.get("footing", ())),
            lambda one: (one["id"], one["credential"], str(one["parameters"])),
        ),
    }
    if remarks := _each_once(text for record in records for text in record.get("waiver_remarks", ())):
        draft["waiver_remarks"] = remarks
    if "setup" in records[0] and all(record.get("setup") == records[0]["setup"] for record in records):
        draft["setup"] = records[0]["setup"]
    own = {shard["id"] for record in records for shard in _shards(record["run"])}
    if earlier := _earlier(records, own):
        draft["slo"] = {"objectives": [], "earlier": earlier}
    draft["tenant_checks"] = results.rejudge(draft)
    unproven = [record["unproven_checks"] for record in records if "unproven_checks" in record]
    if unproven:
        draft["unproven_checks"] = _each_once(name for names in unproven for name in names)
    scopes = [record["run"].get("scope") for record in records]
    merged = results.build(draft, _known(scopes), max(map(results.of_all_in, scopes)))
    if unverified := _each_once(text for record in records for text in record.get("unverified", ())):
        merged = results.conclude({**merged, "unverified": unverified})
    return results.seal(merged)


# -- what they may not disagree on


def _disagreements(sources: Sequence[Source]) -> Iterable[Problem]:
    for words, value in _SAME.items():
        for one, other in pairwise(sources):
            before, found = value(one.record), value(other.record)
            if before != found:
                yield Problem(
                    f"{words} is {found} here, and {before} in {one.where}.",
                    where=other.where,
                    hint="Shards of one run agree on it: run them again with the same settings.",
                )
    seen: dict[str, tuple[str, Source]] = {}
    for source in sources:
        for name, outcome in (*_outcomes(source.record), *_fingerprints(source.record)):
            before, first = seen.setdefault(name, (outcome, source))
            if before != outcome:
                yield Problem(
                    f"{name} is {outcome} here, and {before} in {first.where}.",
                    where=source.where,
                    hint="Shards may not contradict each other: name the newer file only, or use gt-conformance diff.",
                )


_SAME: Mapping[str, Callable[[Record], object]] = {
    "the version of gt-conformance": lambda record: record["run"]["version"],
    "the digest of all runbooks": lambda record: record["run"]["runbooks_digest"],
    "read_only": lambda record: record["run"]["tenant"]["read_only"],
    "strict": lambda record: record["run"]["options"]["strict"],
    "versioned_only": lambda record: record["run"]["options"].get("versioned_only", False),
}


def _outcomes(record: Record) -> Iterator[tuple[str, str]]:
    return (
        (f"the outcome of the {results.noun(case.kind)} {case.id}", case.outcome.value)
        for case in results.cases(record)
        if not _is_of_some_keys(case.checks) and objective_of_id(case.name) is None  # which they judge together
    )


def _is_of_some_keys(checks: Sequence[CheckRecord]) -> bool:
    """Whether a run of some runbooks tried the boundary of their keys: another run may find more."""
    return any("keys" in check["parameters"] for check in checks)


def _fingerprints(record: Record) -> Iterator[tuple[str, str]]:
    if record["run"]["tenant"]["kind"] != "embedded":  # which makes its keys anew each time it starts
        keys = ((key["name"], key["fingerprint"]) for key in record["credentials"])
        yield from ((f"the fingerprint of the key {name}", known) for name, known in keys if known is not None)


# -- merging


def _earlier(records: Sequence[Record], own: Collection[str]) -> list[EarlierValuesRecord]:
    """The values of earlier runs that any of them used, the newest first; not those of the runs that are merged."""
    used = (one for record in records if "slo" in record for one in record["slo"]["earlier"])
    return sorted(
        _first((one for one in used if one["run"] not in own), lambda one: one["run"]), key=_day, reverse=True
    )


def _day(earlier: EarlierValuesRecord) -> str:
    return earlier["day"]


def _renumbered(records: Sequence[Record]) -> list[Record]:
    """Copies in which no two exchanges have one reference: the second record's go on where the first one's end."""
    renumbered: list[Record] = []
    taken = 0
    first = min(_moment(record) for record in records)
    for record in records:
        numbers = {ref: f"x{taken + number:04d}" for number, ref in enumerate(record["exchanges"], start=1)}
        renumbered.append(_replaced(record, numbers, (_moment(record) - first).total_seconds() * 1000))
        taken += len(numbers)
    return renumbered


def _moment(record: Record) -> datetime:
    return datetime.fromisoformat(record["run"]["started"])


def _shifted(exchange: ExchangeRecord, by_ms: float) -> ExchangeRecord:
    """The exchange with its start counted from that of the first run."""
    if "started_ms" not in exchange:
        return exchange
    return {**exchange, "started_ms": round(exchange["started_ms"] + by_ms, 1)}


def _replaced(record: Record, numbers: Mapping[str, str], later_ms: float) -> Record:
    exchanges = {numbers[ref]: _shifted(item, later_ms) for ref, item in record["exchanges"].items()}
    replaced = copy.deepcopy(record | {"exchanges": {}})  # the cases are few, the exchanges are not
    replaced["exchanges"] = exchanges
    judged = (check for case in results.cases(replaced) for check in case.checks)
    for check in (*judged, *replaced.get("footing", ())):
        check["exchanges"] = [numbers[ref] for ref in check["exchanges"]]
        for part in (*check["breaches"], *check["advisories"], *check.get("remarks", ())):
            part["exchange"] = part["exchange"] and numbers[part["exchange"]]
    for client in (client for entry in replaced.get("clients", ()) for client in entry["driven"]):
        for call in (call for attempt in client["attempts"] for call in attempt["calls"]):
            call["exchanges"] = [numbers[ref] for ref in call["exchanges"]]
    return replaced


def _runbooks(records: Sequence[Record]) -> list[RunbookFacts]:
    parts: dict[str, list[RunbookFacts]] = {}
    for record in records:
        for book in record["runbooks"]:
            parts.setdefault(book["id"], []).append(book)
    categories = _each_once(books[0]["category"] for books in parts.values())
    return sorted(map(_runbook, parts.values()), key=lambda book: categories.index(book["category"]))


def _tenant_checks(records: Sequence[Record]) -> list[CheckRecord]:
    """Each once: the worst where several runs tried the boundary of other keys each, else that of all keys."""
    found: dict[str, CheckRecord] = {}
    for check in (check for record in records for check in record["tenant_checks"]):
        known = found.setdefault(check["id"], check)
        if _weight(check) > _weight(known):
            found[check["id"]] = check
    return list(found.values())


def _weight(check: CheckRecord) -> tuple[int, bool]:
    return list(Outcome).index(Outcome(check["outcome"])), not _is_of_some_keys([check])


def _runbook(books: Sequence[RunbookFacts]) -> RunbookFacts:
    first = max(books, key=lambda book: len(book["routes"]))
    order = [route.value for route in Route]
    rows = _first((row for book in books for row in book["routes"]), lambda row: row["route"])
    items = _first((item for book in books for item in book["checklist"]), lambda item: item["item"])
    return {
        **first,
        "routes": sorted(rows, key=lambda row: order.index(row["route"])),
        "checklist": sorted(items, key=lambda item: item["item"]),
    }


def _run(runs: Sequence[RunRecord]) -> RunRecord:
    shards = [shard for run in runs for shard in _shards(run)]
    ids = sorted(shard["id"] for shard in shards)
    refusals = [run["refusal"] for run in runs]
    merged: RunRecord = {
        **runs[0],
        "id": hashlib.sha256(" ".join(ids).encode()).hexdigest()[:8],
        "started": min(run["started"] for run in runs),
        "finished": max(run["finished"] for run in runs),
        "duration_s": round(sum(run["duration_s"] for run in runs), 3),
        "options": _options([run["options"] for run in runs]),
        "refusal": None if None in refusals else refusals[0],
        "shards": shards,
    }
    merged.pop("scope", None)
    if any(run.get("provenance") != runs[0].get("provenance") for run in runs):
        merged.pop("provenance", None)
    if any(run.get("profile") != runs[0].get("profile") for run in runs):
        merged.pop("profile", None)
    return merged


def _known(scopes: Sequence[ScopeRecord | None]) -> Mapping[ShareName, int] | None:
    """How much there is to select from; None where one of the runs did not record it."""
    recorded = [scope for scope in scopes if scope is not None]
    if len(recorded) < len(scopes):
        return None
    return {name: max(scope[name]["known"] for scope in recorded) for name in SHARE_NAMES}


def _shards(run: RunRecord) -> list[ShardRecord]:
    """The runs that a run was merged from; itself where it was not."""
    return run.get("shards") or [{"id": run["id"], "started": run["started"], "duration_s": run["duration_s"]}]


def _options(options: Sequence[OptionsRecord]) -> OptionsRecord:
    """What was selected in any of them: everything, where one selected everything."""
    merged: OptionsRecord = {**options[0]}
    for name in SELECTION_NAMES:
        chosen = [option[name] for option in options]
        merged[name] = _each_once(item for items in chosen for item in items) if all(chosen) else []
    return merged


def _first(parts: Iterable[_Part], name: Callable[[_Part], object]) -> list[_Part]:
    """Of the parts that have the same name the first one, in their order."""
    found: dict[object, _Part] = {}
    for part in parts:
        found.setdefault(name(part), part)
    return list(found.values())


def _each_once(texts: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(texts))
