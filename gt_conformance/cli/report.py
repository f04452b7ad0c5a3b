"""``gt-conformance report``: the documents again, from records alone, and their decision as the exit code."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import click

from gt_conformance import journal, launch, results, shards, verification
from gt_conformance import report as rendering
from gt_conformance.cli._lines import print_lines, warn_unverified
from gt_conformance.cli._options import gating
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
@gating(None)
@click.option("--unverified", is_flag=True, help="Render an inconsistent record: NOT DECIDED, with the differences.")
def report(  # noqa: PLR0913 - one argument an option
    *,
    files: tuple[Path, ...],
    journals: tuple[Path, ...],
    out: Path,
    accepted: str | None,
    baseline: str | None,
    fail_on: str | None,
    history: str | None,
    history_keep: int | None,
    unverified: bool,
) -> int:
    """Render compliance.html, summary.md and the badges from results.json, or from its folder, without a tenant.

    Several results of one tenant (shards of its runbooks) become one record; results of several tenants become one
    document with an overview, and a folder each. If results disagree, the error names both files.

    Each is verified first (gt-conformance verify), and refused if it is inconsistent.

    A run keeps a journal in its report directory until its results are written. With --from-journal, what a run had
    found when it was killed becomes a record: what it had not judged is blocked.

    With --fail-on, --baseline, --history or --accepted it exits like a run with that result, and treats merged shards
    as one run: `--fail-on any` is enough. Of several tenants, the worst decides. Without these options it exits with 0
    whatever it rendered.

    \b
    Exit codes: those of run; 0 without these options.

    \b
    Examples:
      gt-conformance report reports/results.json --out again
      gt-conformance report --from-journal reports --out rebuilt
      gt-conformance report shard-*/results.json --out reports --fail-on any
      gt-conformance report shard-*/results.json --out reports --history nights --fail-on new
      gt-conformance report eu/results.json us/results.json --out both
    """
    if not files and not journals:
        raise click.UsageError("Name results.json files, or a report directory with --from-journal.")
    named = [accepted, baseline, fail_on, history]
    if history_keep is not None and history is None:
        raise click.UsageError("--history-keep is about --history, which is not named.")
    sources = _read(files, journals, unverified=unverified)
    for source in sources:
        warn_unverified(source.where, source.record)
    groups = shards.by_tenant(sources)
    # Files may have been changed by hand since they were redacted: what looks like a key goes, whoever put it there.
    redactor = Redactor({})
    records: list[Record] = [redactor.value(shards.merge(group)) for group in groups]
    gates: list[launch.Gated] = []
    if any(value is not None for value in named):
        gates = launch.gate_records(_gate(accepted, baseline, fail_on, history, history_keep), records)
        records = [gate.record for gate in gates]
    for line in _render(records, [len(group) for group in groups], out):
        click.echo(line)
    for gate in gates:
        gate.keep()
        print_lines([*rendering.since_lines(gate.record), rendering.last_line(gate.record)])
        for notice in gate.notices:
            click.echo(f"warning: {notice}", err=True)
    return results.exit_code_of_all([gate.record for gate in gates])


def _gate(
    accepted: str | None, baseline: str | None, fail_on: str | None, history: str | None, history_keep: int | None
) -> launch.Gate:
    """What the options say. Raises InputError naming each that makes no sense."""
    problems: list[Problem] = []
    gate = launch.Gate(
        baseline=Path(baseline) if baseline else None,
        fail_on=launch.read_fail_on("any" if fail_on is None else fail_on, problems),
        history=Path(history) if history else None,
        history_keep=launch.read_history_keep(history_keep, problems),
        accepted=Path(accepted) if accepted else None,
    )
    if problems:
        raise InputError(problems)
    return gate


def _render(records: Sequence[Record], runs: Sequence[int], out: Path) -> Iterator[str]:
    """Write the documents; gives a line of text for each record, of so many ``runs``. Raises InputError."""
    try:
        rendering.claim(out)
        folders = rendering.write_together(records, out) if len(records) > 1 else [out]
        if len(records) == 1:
            rendering.write_all(records[0], out)
    except OSError as error:
        raise InputError.of(
            f"{error.filename or out} cannot be written: {error.strerror}.", hint="Name another folder with --out."
        ) from None
    for record, count, folder in zip(records, runs, folders, strict=True):
        run = record["run"]
        whence = f"{count} runs" if count > 1 else f"run {run['id']}"
        counted = ", ".join(rendering.in_words(record["totals"]))
        yield f"{folder}: {run['tenant']['base_url']} ({run['tenant']['kind']}), {whence}: {counted or 'nothing'}"
    if len(records) > 1:
        yield f"{out / rendering.COMPLIANCE}: {len(records)} tenants in one document"


def _read(files: Sequence[Path], journals: Sequence[Path], *, unverified: bool) -> list[shards.Source]:
    """The records, which are consistent; where ``unverified`` ones are wanted, the others say what is not."""
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
