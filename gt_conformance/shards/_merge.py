"""Records of one tenant that were made apart, as one record. What they disagree on is an error, never a choice."""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import pairwise
from operator import itemgetter
from typing import Any, NamedTuple

from gt_conformance import results
from gt_conformance.comparison import same_tenant
from gt_conformance.errors import InputError, Location, Problem
from gt_conformance.judgement import evidence_level
from gt_conformance.results import Record
from gt_conformance.vocabulary import Outcome, Route, RunbookOutcome, Verdict


class Source(NamedTuple):
    """A record and the file that it comes from."""

    where: Location
    record: Record


def by_tenant(sources: Sequence[Source]) -> list[list[Source]]:
    """The sources of each tenant, tenants in the order in which they first come.

    Raises InputError where a run stands in two files: each of its exchanges would stand twice.
    """
    first: dict[str, Source] = {}
    problems = []
    for source in sources:
        for run in (item["id"] for item in _parts(source.record["run"])):
            if run in first:
                problems.append(
                    Problem(
                        f"this is run {run}, and so is {first[run].where}: its exchanges would stand twice.",
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

    Raises InputError with everything that they disagree on: version, runbooks, keys, or how a row, an item or a
    tenant check came out.
    """
    if len(sources) == 1:
        return sources[0].record
    problems = [*_disagreements(sources)]
    if problems:
        raise InputError(problems)
    records = _renumbered([source.record for source in sources])
    books = _runbooks(records)
    tenant_checks = _first("id", (check for record in records for check in record["tenant_checks"]))
    merged = {
        "schema_version": results.SCHEMA_VERSION,
        "run": _run(records, books, tenant_checks),
        "totals": {},
        "runbooks": books,
        "tenant_checks": tenant_checks,
        "credentials": _first("name", (key for record in records for key in record["credentials"])),
        "waiver_problems": _each_once(text for record in records for text in record["waiver_problems"]),
        "exchanges": {ref: item for record in records for ref, item in record["exchanges"].items()},
        "traffic": _traffic([record["traffic"] for record in records]),
        "suite_errors": [text for record in records for text in record["suite_errors"]],
    }
    merged["totals"] = results.totals(results.judged(merged))
    if clients := _first("runbook", (entry for record in records for entry in record.get("clients", ()))):
        merged["clients"] = clients
        merged["client_totals"] = results.totals(results.client_rows(merged))
    return merged


# -- what they may not disagree on


def _disagreements(sources: Sequence[Source]) -> Iterable[Problem]:
    for words, value in _SAME.items():
        for one, other in pairwise(sources):
            if value(one.record) != value(other.record):
                found = [value(source.record) for source in (other, one)]
                yield Problem(
                    f"{words} is {found[0]} here, and {found[1]} in {one.where}.",
                    where=other.where,
                    hint="Runs that differ in it are no shards of one: run them again alike.",
                )
    for noun, value in _OUTCOMES.items():
        seen: dict[str, tuple[str, Source]] = {}
        for source in sources:
            for name, outcome in value(source.record):
                before, first = seen.setdefault(name, (outcome, source))
                if before != outcome:
                    yield Problem(
                        f"{noun} {name} came out as {outcome} here, and as {before} in {first.where}.",
                        where=source.where,
                        hint="Runs that disagree are not one result: name the newer, or use gt-conformance diff.",
                    )


_SAME: Mapping[str, Callable[[Record], Any]] = {
    "the version of gt-conformance": lambda record: record["run"]["version"],
    "the digest of all runbooks": lambda record: record["run"]["runbooks_digest"],
    "read_only": lambda record: record["run"]["tenant"]["read_only"],
    "strict": lambda record: record["run"]["options"]["strict"],
    "versioned_only": lambda record: record["run"]["options"].get("versioned_only", False),
}


def _rows(record: Record) -> Iterable[tuple[str, str]]:
    return ((part["id"], part["outcome"]) for book in record["runbooks"] for part in book["routes"])


def _items(record: Record) -> Iterable[tuple[str, str]]:
    return ((part["id"], part["outcome"]) for book in record["runbooks"] for part in book["checklist"])


def _tenant_checks(record: Record) -> Iterable[tuple[str, str]]:
    return ((check["id"], check["outcome"]) for check in record["tenant_checks"])


def _client_rows(record: Record) -> Iterable[tuple[str, str]]:
    return ((row["id"], row["outcome"]) for row in results.client_rows(record))


def _keys(record: Record) -> Iterable[tuple[str, str]]:
    if record["run"]["tenant"]["kind"] == "embedded":  # which makes its keys anew each time it starts
        return ()
    return ((key["name"], f"fingerprint {key['fingerprint']}") for key in record["credentials"])


_OUTCOMES: Mapping[str, Callable[[Record], Iterable[tuple[str, str]]]] = {
    "the row": _rows,
    "the item": _items,
    "the tenant check": _tenant_checks,
    "the client row": _client_rows,
    "the key": _keys,
}


# -- putting together


def _renumbered(records: Sequence[Record]) -> list[Record]:
    """The records with references that are told apart: the second one's go on where the first one's end."""
    told: list[Record] = []
    taken = 0
    for record in records:
        numbers = {ref: f"x{taken + number:04d}" for number, ref in enumerate(record["exchanges"], start=1)}
        told.append(_replaced(record, numbers))
        taken += len(numbers)
    return told


def _replaced(record: Record, numbers: Mapping[str, str]) -> Record:
    return {
        **record,
        "exchanges": {numbers[ref]: item for ref, item in record["exchanges"].items()},
        "tenant_checks": [_check(check, numbers) for check in record["tenant_checks"]],
        "runbooks": [
            {
                **book,
                **{
                    kind: [
                        {**part, "checks": [_check(check, numbers) for check in part["checks"]]} for part in book[kind]
                    ]
                    for kind in ("routes", "checklist")
                },
            }
            for book in record["runbooks"]
        ],
        **({"clients": [_stage(entry, numbers) for entry in record["clients"]]} if "clients" in record else {}),
    }


def _stage(entry: Record, numbers: Mapping[str, str]) -> Record:
    def renamed(attempt: Record) -> Record:
        calls = [{**call, "exchanges": [numbers[ref] for ref in call["exchanges"]]} for call in attempt["calls"]]
        return {**attempt, "calls": calls}

    return {
        **entry,
        "routes": [{**row, "checks": [_check(check, numbers) for check in row["checks"]]} for row in entry["routes"]],
        "driven": [{**one, "attempts": [renamed(attempt) for attempt in one["attempts"]]} for one in entry["driven"]],
    }


def _check(check: Mapping[str, Any], numbers: Mapping[str, str]) -> Record:
    def renamed(items: Sequence[Mapping[str, Any]]) -> list[Record]:
        return [{**item, "exchange": item["exchange"] and numbers.get(item["exchange"])} for item in items]

    return {
        **check,
        "exchanges": [numbers[ref] for ref in check["exchanges"]],
        "breaches": renamed(check["breaches"]),
        "advisories": renamed(check["advisories"]),
    }


def _runbooks(records: Sequence[Record]) -> list[Record]:
    parts: dict[str, list[Record]] = {}
    for record in records:
        for book in record["runbooks"]:
            parts.setdefault(book["id"], []).append(book)
    categories = _each_once(books[0]["category"] for books in parts.values())
    driven = {entry["runbook"]: entry["routes"] for record in records for entry in record.get("clients", ())}
    merged = [_runbook(books, driven.get(name, ())) for name, books in parts.items()]
    return sorted(merged, key=lambda book: categories.index(book["category"]))


def _runbook(books: Sequence[Record], driven: Sequence[Record]) -> Record:
    first = max(books, key=lambda book: len(book["routes"]))
    order = [route.value for route in Route]
    rows = _first("route", (row for book in books for row in book["routes"]))
    items = _first("item", (item for book in books for item in book["checklist"]))
    outcomes = [Outcome(part["outcome"]) for part in (*rows, *items, *driven)]
    held = {row["route"] for row in driven if row["outcome"] == Outcome.CONFORMS}
    native = {row["route"] for row in rows if row["verdict"] == Verdict.NATIVE}
    return {
        **first,
        "outcome": RunbookOutcome.of(outcomes).value,
        "evidence_level": evidence_level(
            [Outcome(row["outcome"]) for row in rows], len(Route), driven=bool(native) and native <= held
        ).value,
        "routes": sorted(rows, key=lambda row: order.index(row["route"])),
        "checklist": sorted(items, key=itemgetter("item")),
    }


def _run(records: Sequence[Record], books: Sequence[Record], tenant_checks: Sequence[Record]) -> Record:
    runs = [record["run"] for record in records]
    parts = [part for run in runs for part in _parts(run)]
    ids = sorted(part["id"] for part in parts)
    refusals = [run["refusal"] for run in runs]
    selected = {
        "runbooks": len(books),
        "rows": sum(len(book["routes"]) for book in books),
        "items": sum(len(book["checklist"]) for book in books),
        "tenant_checks": len(tenant_checks),
    }
    merged = {
        **runs[0],
        "id": hashlib.sha256(" ".join(ids).encode()).hexdigest()[:8],
        "started": min(run["started"] for run in runs),
        "finished": max(run["finished"] for run in runs),
        "duration_s": round(sum(run["duration_s"] for run in runs), 3),
        "options": _options([run["options"] for run in runs]),
        "refusal": None if None in refusals else refusals[0],
        "shards": parts,
    }
    scopes = [run.get("scope") for run in runs]
    if None in scopes:
        merged.pop("scope", None)
    else:
        merged["scope"] = {
            name: {"selected": count, "known": max(scope[name]["known"] for scope in scopes)}
            for name, count in selected.items()
        }
    return merged


def _parts(run: Mapping[str, Any]) -> list[Record]:
    """The runs that a run was put together from; itself where it was not."""
    return list(run.get("shards", [{name: run[name] for name in ("id", "started", "duration_s")}]))


def _options(options: Sequence[Record]) -> Record:
    """What was selected in any of them: everything, where one selected everything."""
    merged = dict(options[0])
    for name in ("runbooks", "routes", "verdicts"):
        chosen = [option[name] for option in options]
        merged[name] = _each_once(item for items in chosen for item in items) if all(chosen) else []
    return merged


def _traffic(traffics: Sequence[Record]) -> Record:
    by_route: Counter[str] = Counter()
    for traffic in traffics:
        by_route.update(traffic["by_route"])
    added = {
        name: sum(traffic[name] for traffic in traffics)
        for name in ("requests", "bytes_sent", "bytes_received", "tokens")
    }
    return {
        **added,
        "by_route": dict(sorted(by_route.items(), key=lambda item: (-item[1], item[0]))),
        "slowest_ms": max(traffic["slowest_ms"] for traffic in traffics),
    }


def _first(name: str, parts: Iterable[Record]) -> list[Record]:
    """The first of the parts that have the same under that name, in their order."""
    found: dict[Any, Record] = {}
    for part in parts:
        found.setdefault(part[name], part)
    return list(found.values())


def _each_once(texts: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(texts))
