"""``gt-conformance report``: the documents again, from records alone."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import click

from gt_conformance import journal, shards, verification
from gt_conformance import report as rendering
from gt_conformance.errors import InputError, Location, Problem
from gt_conformance.exchange import Redactor
from gt_conformance.results import Record


@click.command
@click.argument("files", nargs=-1, type=click.Path(path_type=Path), metavar="RESULTS...")
@click.option(
    "--from-journal",
    "journals",
    metavar="DIR",
    multiple=True,
    type=click.Path(path_type=Path),
    help="The record of a run that was killed, from its report directory (may be repeated).",
)
@click.option("--out", metavar="DIR", required=True, type=click.Path(path_type=Path), help="Where the reports go.")
@click.option("--unverified", is_flag=True, help="Render a record that does not hold: NOT DECIDED, with what differs.")
def report(files: tuple[Path, ...], journals: tuple[Path, ...], out: Path, *, unverified: bool) -> int:
    """Render compliance.html, summary.md and the badges from results.json, without a tenant.

    Several results of one tenant, shards of its runbooks, become one record; those of several tenants become one
    document with an overview, and a folder each. What they disagree on is an error that names both files.

    Each is verified first (gt-conformance verify), and refused where it does not hold.

    A run keeps a journal in its report directory until its results are written. With --from-journal, what a run had
    found when it was killed becomes a record: what it had not judged is blocked.

    \b
    Examples:
      gt-conformance report reports/results.json --out again
      gt-conformance report --from-journal reports --out rebuilt
      gt-conformance report shard-*/results.json --out reports
      gt-conformance report eu/results.json us/results.json --out both
    """
    if not files and not journals:
        raise click.UsageError("Name results.json files, or a report directory with --from-journal.")
    for line in _render(_read(files, journals, unverified=unverified), out):
        click.echo(line)
    return 0


def _render(sources: Sequence[shards.Source], out: Path) -> Iterator[str]:
    """Write the documents; gives a line of text for each record. Raises InputError."""
    groups = shards.by_tenant(sources)
    # Files may have been changed by hand since they were redacted: what looks like a key goes, whoever put it there.
    redactor = Redactor({})
    records: list[Record] = [redactor.value(shards.merge(group)) for group in groups]
    try:
        rendering.claim(out)
        folders = rendering.write_together(records, out) if len(records) > 1 else [out]
        if len(records) == 1:
            rendering.write_all(records[0], out)
    except OSError as error:
        raise InputError.of(
            f"{error.filename or out} cannot be written: {error.strerror}.", hint="Name another folder with --out."
        ) from None
    for record, group, folder in zip(records, groups, folders, strict=True):
        run = record["run"]
        whence = f"{len(group)} runs" if len(group) > 1 else f"run {run['id']}"
        counted = ", ".join(rendering.in_words(record["totals"]))
        yield f"{folder}: {run['tenant']['base_url']} ({run['tenant']['kind']}), {whence}: {counted or 'nothing'}"
    if len(records) > 1:
        yield f"{out / rendering.COMPLIANCE}: {len(records)} tenants in one document"


def _read(files: Sequence[Path], journals: Sequence[Path], *, unverified: bool) -> list[shards.Source]:
    """The records, which hold; where ``unverified`` ones are wanted, the others say what does not."""
    sources: list[shards.Source] = []
    problems: list[Problem] = []
    read = verification.read_unverified if unverified else verification.read
    named = [*((path, read) for path in files), *((path, journal.rebuild) for path in journals)]
    for path, read_one in named:
        try:
            sources.append(shards.Source(Location(str(path)), read_one(path)))
        except InputError as error:
            problems += error.problems
    if problems:
        raise InputError(problems)
    return sources
