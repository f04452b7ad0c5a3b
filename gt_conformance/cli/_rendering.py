"""Records read, put together and rendered."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from gt_conformance import report, results, shards
from gt_conformance.errors import InputError, Location, Problem
from gt_conformance.exchange import Redactor
from gt_conformance.results import Record


def rendered(files: Sequence[Path], out: Path) -> Iterator[str]:
    """Write the documents; gives a line of text for each record. Raises InputError."""
    groups = shards.by_tenant(_read(files))
    # Files may have been changed by hand since they were redacted: what looks like a key goes, whoever put it there.
    redactor = Redactor({})
    records: list[Record] = [redactor.value(shards.merge(group)) for group in groups]
    try:
        folders = report.write_together(records, out) if len(records) > 1 else [out]
        if len(records) == 1:
            report.write_all(records[0], out)
    except OSError as error:
        raise InputError.of(
            f"{error.filename or out} cannot be written: {error.strerror}.", hint="Name another folder with --out."
        ) from None
    for record, group, folder in zip(records, groups, folders, strict=True):
        run = record["run"]
        whence = f"{len(group)} runs" if len(group) > 1 else f"run {run['id']}"
        counted = ", ".join(f"{number} {name}" for name, number in record["totals"].items() if number)
        yield f"{folder}: {run['tenant']['base_url']} ({run['tenant']['kind']}), {whence}: {counted or 'nothing'}"
    if len(records) > 1:
        yield f"{out / report.COMPLIANCE}: {len(records)} tenants in one document"


def _read(files: Sequence[Path]) -> list[shards.Source]:
    sources: list[shards.Source] = []
    problems: list[Problem] = []
    for path in files:
        try:
            sources.append(shards.Source(Location(str(path)), results.read(path)))
        except InputError as error:
            problems += error.problems
    if problems:
        raise InputError(problems)
    return sources
