"""The record as a file: written whole or not at all, and read with every doubt."""

import json
import re
import zlib
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from gt_conformance import files, schema
from gt_conformance.document import locate_in_json
from gt_conformance.errors import InputError, Location, Problem
from gt_conformance.exchange import shortened
from gt_conformance.files import replace_text
from gt_conformance.results._build import SCHEMA_VERSION, conclude
from gt_conformance.results._cases import client_totals, references, totals
from gt_conformance.results._decision import decide
from gt_conformance.results.record_types import Record

FILE_NAME = "results.json"
"""What the record is called in a report directory."""

MOST_BYTES = 128 * files.MIB
"""No record comes near it, packed or not."""

PEEK_BYTES = 1 << 12
"""How many of a record's first bytes say whether it is one."""

_LEVELS = 5
"""How deep the parts of a record have lines of their own: a field of a row, of an exchange, of a finding."""

_GZIP = b"\x1f\x8b"
_START = re.compile(rb'\{\s*"schema_version":\s*\d+,\s*"run":\s*\{[^{}]*?"started":\s*"([^"]{10,40})"')


def write(value: Record, path: Path) -> None:
    """Write it whole or not at all: to a temporary file first, then moved."""
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_text(path, _laid_out(value, _LEVELS) + "\n")


_encode = json.JSONEncoder(ensure_ascii=False).encode


def _laid_out(value: Any, levels: int, margin: str = "\n") -> str:
    """JSON with a line for each part down to that level. Python's own ``indent`` takes five times as long."""
    inner = f"{margin} "
    if levels and value and isinstance(value, dict):
        parts = (f"{_encode(key)}: {_laid_out(part, levels - 1, inner)}" for key, part in value.items())
        return f"{{{inner}{f',{inner}'.join(parts)}{margin}}}"
    if levels and value and isinstance(value, list):
        return f"[{inner}{f',{inner}'.join(_laid_out(part, levels - 1, inner) for part in value)}{margin}]"
    return _encode(value)


def file_of(path: Path) -> Path:
    """The file of a record by its path: itself, or the one in a report directory, packed by gzip or not.

    Raises InputError where the directory has none.
    """
    if not path.is_dir():
        return path
    found = next((path / name for name in (FILE_NAME, f"{FILE_NAME}.gz") if (path / name).is_file()), None)
    if found is None:
        raise InputError.of(
            f"this folder holds no {FILE_NAME}.",
            where=Location(str(path)),
            hint="Name the report directory of a run; of one that was killed, make a record first: "
            "gt-conformance report --from-journal DIR --out OUT.",
        )
    return found


def read(path: Path) -> Record:
    """A record from its file or report directory.

    Raises InputError where it is missing, damaged, inconsistent, or of another version.
    """
    path = file_of(path)
    where = Location(str(path))
    return parsed(_content(path, where), where)


def _content(path: Path, where: Location) -> bytes:
    try:
        return files.read_bounded(path, MOST_BYTES)
    except OSError as error:
        raise InputError.of(f"the results cannot be read: {error.strerror}.", where=where) from None


def load(path: Path) -> Record:
    """A record from its file as it is, whether or not it is consistent: to say where it is not.

    Raises InputError where it is missing, damaged, or of another version.
    """
    path = file_of(path)
    where = Location(str(path))
    return _checked(_unpacked(_content(path, where), where), where)


def concluded(record: Record) -> Record:
    """The record with findings and decisions, which one of an earlier version does not hold."""
    return record if "findings" in record else conclude(record)


def peek(start: bytes) -> str | None:
    """When the run of a record began, by its first bytes, unpacked; None where they are not those of a record."""
    found = _START.match(start)
    return None if found is None else found[1].decode(errors="replace")


def parsed(content: bytes, where: Location) -> Record:
    """A record from the bytes of its file, compressed by gzip or not. Raises InputError as ``read`` does."""
    content = _unpacked(content, where)
    found = _checked(content, where)
    at, hint = partial(_locate, content, where), "The file was changed by hand."
    inconsistent = [Problem(text, where=at(name), hint=hint) for name, text in _contradictions(found)]
    if inconsistent:
        raise InputError(inconsistent)
    return concluded(found)


_NO_JSON = "Name a results.json, or its folder; if it is one, run again."


def _checked(content: bytes, where: Location) -> Record:
    """The value of a file, which holds to the schema of a record."""
    at = partial(_locate, content, where)
    try:
        value = json.loads(content)
    except (ValueError, RecursionError) as error:
        place = Location(where.file, error.lineno, error.colno) if isinstance(error, json.JSONDecodeError) else at()
        raise InputError.of("this is not JSON: the file may be cut short.", where=place, hint=_NO_JSON) from None
    version = value.get("schema_version") if isinstance(value, dict) else None
    if version != SCHEMA_VERSION:
        stated = (
            "there is no schema_version" if version is None else f"schema_version is {shortened(repr(version), 40)}"
        )
        raise InputError.of(
            f"{stated}, and this version reads {SCHEMA_VERSION}.",
            where=at("schema_version"),
            hint="Name a results.json; one of another version is read by the gt-conformance that wrote it.",
        )
    errors = schema.load("results").errors(value)
    if errors:
        raise InputError(
            Problem(error.message, where=at(*error.path), path=".".join(map(str, error.path))) for error in errors[:10]
        )
    found: Record = value
    return found


def _unpacked(content: bytes, where: Location) -> bytes:
    if not content.startswith(_GZIP):
        return content
    try:
        return files.unpack(content, MOST_BYTES)
    except files.TooLarge as error:
        raise InputError.of(f"the results cannot be read: unpacked, {error.strerror}.", where=where) from None
    except (ValueError, EOFError, OSError, zlib.error):
        raise InputError.of("this is not JSON: the file may be cut short.", where=where, hint=_NO_JSON) from None


def _locate(content: bytes, where: Location, *path: str | int) -> Location:
    return Location(where.file, *locate_in_json(content, path))


def _contradictions(record: Record) -> Iterator[tuple[str, str]]:
    """The member of the record that contradicts the rest, and how."""
    if record["totals"] != totals(record):
        yield "totals", "the totals are not those of its rows, items and tenant checks."
    if "clients" in record and record.get("client_totals") != client_totals(record):
        yield "client_totals", "the client_totals are not those of its clients' rows."
    if "decision" in record and record["decision"] != decide(record):
        yield "decision", "the decision does not follow from its cases."
    missing = sorted(set(references(record)) - record["exchanges"].keys())
    if missing:
        yield "exchanges", f"its checks refer to exchanges that it does not hold: {', '.join(missing[:5])}."
