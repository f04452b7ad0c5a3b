"""The documents of one tenant of a fleet, from its record, which is beside the table."""

import re
from datetime import date
from pathlib import Path

from gt_conformance import report, verification
from gt_conformance.errors import InputError, Location
from gt_conformance.exchange import Redactor, inert
from gt_conformance.results import Record

RECORDS = "records"
"""The folder of the records, by night."""
_ENDING = ".json.gz"
_ID = re.compile(r"[\w][\w.-]{0,200}", re.ASCII)


def read_record(folder: Path, tenant: str, night: date | None = None) -> Record:
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
    if not found:
        when = "" if night is None else f" of {night}"
        hint = "A tenant that could not be judged has none: fleet query says why."
        raise InputError.of(f"{tenant} has no record{when} here.", where=Location(str(records)), hint=hint)
    return verification.read(found[-1])


def write_tenant(record: Record, out: Path) -> None:
    """compliance.html and what goes with it. Raises OSError, and InputError where files of others are in the way."""
    safe: Record = Redactor({}).value(record)  # as `report` does: a file may have been changed by hand since
    report.claim(out)
    report.write_all(safe, out)
