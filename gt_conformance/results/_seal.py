"""The digests of a record: written last by whoever makes one, so that each part that was changed since can be named.

They show a change, and who may change the record may make them again: what binds a record to a person or a job is a
signature of the statement beside it (docs/ci).
"""

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, cast

from gt_conformance.results.record_types import DigestsRecord, Record

_SHORT = 16
"""Digits by which a part is recognized; the digest over all of it has all 64."""
_LISTED = frozenset({"run", "runbooks", "tenant_checks", "clients", "credentials", "exchanges", "findings", "footing"})
"""What consists of parts with names of their own."""


def seal(record: Record) -> Record:
    """The record with the digests of what it holds."""
    digests: DigestsRecord = {
        "record": "",
        "exchanges": digest_of(record["exchanges"]),
        "tenant_file": digest_of(record["setup"]) if "setup" in record else None,
        "parts": part_digests(record),
    }
    sealed: Record = {**record, "digests": digests}
    digests["record"] = whole_digest(sealed)
    return sealed


def whole_digest(record: Record) -> str:
    """The digest of everything in a record but this digest itself."""
    digests = {name: value for name, value in record.get("digests", {}).items() if name != "record"}
    return digest_of({**record, "digests": digests})


def part_digests(record: Record) -> dict[str, str]:
    """Each part of a record by its name, in order. Of parts that have the same name, the second one is ``NAME#2``."""
    numbers: Counter[str] = Counter()
    digests = {}
    for name, value in _parts(record):
        numbers[name] += 1
        digests[name if numbers[name] == 1 else f"{name}#{numbers[name]}"] = digest_of(value)[:_SHORT]
    return digests


def digest_of(value: object) -> str:
    """The SHA-256 of a JSON value, however its file is laid out."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode(errors="backslashreplace")).hexdigest()


def _parts(record: Record) -> Iterator[tuple[str, object]]:
    whole = cast("Mapping[str, Any]", record)
    yield from ((f"run.{name}", value) for name, value in record["run"].items())
    for book in record["runbooks"]:
        cases = {"routes", "checklist"}
        yield book["id"], {name: value for name, value in book.items() if name not in cases}
        yield from ((row["id"], row) for row in book["routes"])
        yield from ((item["id"], item) for item in book["checklist"])
    yield from ((f"tenant-{check['id']}", check) for check in record["tenant_checks"])
    for entry in record.get("clients", ()):
        yield f"clients of {entry['runbook']}", {name: value for name, value in entry.items() if name != "routes"}
        yield from ((row["id"], row) for row in entry["routes"])
    yield from ((f"key {key['name']}", key) for key in record["credentials"])
    yield from ((f"exchange {ref}", exchange) for ref, exchange in record["exchanges"].items())
    yield from ((f"finding {found['id']}", found) for found in record.get("findings", ()))
    yield from ((f"footing {check['id']}", check) for check in record.get("footing", ()))
    yield from ((name, value) for name, value in whole.items() if name not in _LISTED and name != "digests")
