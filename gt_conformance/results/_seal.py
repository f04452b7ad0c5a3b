"""The digests of a record: written last by whoever makes one, so that each part that was changed since can be named.

They show a change, and who may change the record may make them again: what binds a record to a person or a job is a
signature of the statement beside it (docs/ci).
"""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, cast

from gt_conformance.results.record_types import DigestsRecord, Record

_SHORT = 16
"""Digits by which a part is recognized; the digest over all of it has all 64."""
_LISTED = frozenset({"run", "runbooks", "tenant_checks", "clients", "credentials", "exchanges", "findings", "footing"})
"""What consists of parts with names of their own."""


def seal(record: Record) -> Record:
    """The record with the digests of what it holds."""
    texts = _Texts()
    digests: DigestsRecord = {
        "record": "",
        "exchanges": "",
        "tenant_file": digest_of(record["setup"]) if "setup" in record else None,
        "parts": _digests_of_parts(record, texts),
    }
    digests["exchanges"] = _sha256(texts.pieces(record["exchanges"]))
    sealed: Record = {**record, "digests": digests}
    digests["record"] = _digest_of_whole(sealed, texts)
    return sealed


def whole_digest(record: Record) -> str:
    """The digest of everything in a record but this digest itself."""
    return _digest_of_whole(record, _Texts())


def part_digests(record: Record) -> dict[str, str]:
    """Each part of a record by its name, in order. Of parts that have the same name, the second one is ``NAME#2``."""
    return _digests_of_parts(record, _Texts())


def digest_of(value: object) -> str:
    """The SHA-256 of a JSON value, however its file is laid out."""
    return _sha256([_canonical(value)])


def _digest_of_whole(record: Record, texts: "_Texts") -> str:
    digests = {name: value for name, value in record.get("digests", {}).items() if name != "record"}
    return _sha256(texts.pieces({**record, "digests": digests}))


def _digests_of_parts(record: Record, texts: "_Texts") -> dict[str, str]:
    numbers: Counter[str] = Counter()
    digests = {}
    for name, value in _parts(record):
        numbers[name] += 1
        digests[name if numbers[name] == 1 else f"{name}#{numbers[name]}"] = _sha256([texts.part(value)])[:_SHORT]
    return digests


_encode = json.JSONEncoder(sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode


def _canonical(value: object) -> bytes:
    return _encode(value).encode(errors="backslashreplace")


def _sha256(pieces: Iterable[bytes]) -> str:
    digest = hashlib.sha256()
    for piece in pieces:
        digest.update(piece)
    return digest.hexdigest()


class _Texts:
    """The canonical JSON of a record's parts, of which that of the whole consists: each is made once, the whole never.

    For a record fills the memory a second time as one text, and a third time as its bytes.
    """

    def __init__(self) -> None:
        self._known: dict[int, tuple[object, bytes]] = {}
        """By the part's identity; with the part, so that no other takes its place."""

    def part(self, value: object) -> bytes:
        """The text of a part."""
        text = _canonical(value)
        self._known[id(value)] = value, text
        return text

    def pieces(self, value: object, levels: int = 4) -> Iterator[bytes]:
        """The text of what holds parts, piece by piece: a part is at most so many levels below it."""
        if (known := self._known.get(id(value))) is not None:
            yield known[1]
        elif levels and value and isinstance(value, dict):
            for number, (name, one) in enumerate(sorted(value.items())):
                yield b"%b%b:" % (b"," if number else b"{", _canonical(name))
                yield from self.pieces(one, levels - 1)
            yield b"}"
        elif levels and value and isinstance(value, list):
            for number, one in enumerate(value):
                yield b"," if number else b"["
                yield from self.pieces(one, levels - 1)
            yield b"]"
        else:
            yield _canonical(value)


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
