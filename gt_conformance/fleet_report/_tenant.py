"""The documents of one tenant of a fleet, from its record, which is beside the table."""

import json
import re
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from gt_conformance import files, report, verification
from gt_conformance.errors import InputError, Location
from gt_conformance.exchange import Redactor, inert, shortened
from gt_conformance.results import Record

RECORDS = "records"
"""The folder of the records, by night."""
_ENDING = ".json.gz"
_PROBLEM = ".problem.json"
_LONGEST = 400
_ID = re.compile(r"[\w][\w.-]{0,200}", re.ASCII)


@dataclass(frozen=True, slots=True)
class FoundRecord:
    """The record of a tenant, the night that it is of, and why there is none of a later night, where that is known."""

    record: Record
    night: str
    since: str = ""


def read_record(folder: Path, tenant: str, night: date | None = None) -> FoundRecord:
    """The record of a tenant and a night, or of its last one; verified. Raises InputError, also where it has none."""
    if not _ID.fullmatch(tenant):
        raise InputError.of(f"{inert(tenant)!r} cannot be the id of a tenant.", hint="Name one of fleet.yaml.")
    records = folder / RECORDS
    try:
        nights = sorted(one.name for one in records.iterdir() if night is None or one.name == night.isoformat())
    except OSError as error:
        text = f"there are no records here: {error.strerror}."
        raise InputError.of(text, where=Location(str(records)), hint="Name the folder of fleet run --out.") from None
    found = [path for one in nights if (path := records / one / f"{tenant}{_ENDING}").is_file()]
    problems = [(one, text) for one in nights if (text := _problem(records / one / f"{tenant}{_PROBLEM}"))]
    if not found:
        when = "" if night is None else f" of {night}"
        hint = "A tenant that could not be judged has none: fleet query says why."
        if problems:
            hint = "On {} it could not be judged: {}".format(*problems[-1])
        raise InputError.of(f"{tenant} has no record{when} here.", where=Location(str(records)), hint=hint)
    last = found[-1].parent.name
    later = "; ".join(f"on {one} it could not be judged: {text}" for one, text in problems[-1:] if one > last)
    return FoundRecord(verification.read(found[-1]), last, later)


def _problem(path: Path) -> str:
    """Why fleet run has no record of a tenant; empty where nothing says so."""
    try:
        text = json.loads(files.read_bounded(path, files.MIB))["problem"]
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        return ""
    return str(inert(shortened(" ".join(Redactor({}).text(str(text)).split()), _LONGEST)))


def write_tenant(record: Record, out: Path) -> None:
    """compliance.html and what goes with it. Raises OSError, and InputError where files of others are in the way."""
    safe: Record = Redactor({}).value(record)  # as `report` does: a file may have been changed by hand since
    report.claim(out)
    report.write_all(safe, out)
