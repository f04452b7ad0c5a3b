"""``gt-conformance fleet report``: how a fleet is, and whether that is good enough."""

from collections.abc import Sequence
from datetime import date, datetime
from pathlib import Path

import click

from gt_conformance import fleet_report as reporting
from gt_conformance import table
from gt_conformance.comparison import FailOn
from gt_conformance.errors import InputError
from gt_conformance.report import COMPLIANCE, decision_line


@click.command("report")
@click.argument("where", metavar="DIR")
@click.option("--out", metavar="DIR", required=True, type=click.Path(path_type=Path), help="Where the documents go.")
@click.option(
    "--history",
    is_flag=True,
    help="Compare with earlier nights: what is new, since when, which tenants flap or are missing.",
)
@click.option(
    "--fail-on",
    type=click.Choice([one.value for one in FailOn]),
    default=FailOn.ANY.value,
    show_default=True,
    help="Fail for whatever is wrong, or only for what was not wrong the time before (with --history).",
)
@click.option(
    "--night", metavar="DAY", type=click.DateTime(["%Y-%m-%d"]), help="Report on this night instead of the last one."
)
@click.option(
    "--gone", metavar="ID", multiple=True, help="A tenant that left the fleet: it is not missing (may be repeated)."
)
@click.option("--tenant", metavar="ID", help="Render the documents of this tenant only, from its record.")
def fleet_report(
    where: str,
    out: Path,
    history: bool,  # noqa: FBT001 - as click calls it
    fail_on: str,
    night: datetime | None,
    gone: Sequence[str],
    tenant: str | None,
) -> int:
    """Render fleet.html, metrics.prom, summary.md and notify.txt from the outcomes of a fleet.

    DIR is the folder of fleet run, or an address that DuckDB reads. Only its table is read, so that a fleet of any size
    has a report. The exit code is the decision: 0 GO (also with exceptions, or of a part), 1 NO-GO, 7 NOT DECIDED,
    8 UNREACHABLE.

    With --fail-on new it is 1 only where a tenant has a violation that it did not have the time before, and 7 only
    where a tenant is newly not decided or missing, or a file of the table is missing or cannot be read. The documents
    still show what is wrong: the decision does not change.

    With --tenant, compliance.html and its other files are rendered from the record of one tenant, and the exit code
    is 0.

    \b
    Examples:
      gt-conformance fleet report nights --history --fail-on new --out report
      gt-conformance fleet report nights --tenant acme --out acme
      gt-conformance fleet report nights --tenant acme --night 2026-11-20 --out acme
    """
    day = None if night is None else night.date()
    try:
        if tenant is not None:
            return _render_tenant(where, tenant, day, out)
        if FailOn(fail_on) is FailOn.NEW and not history:
            raise click.UsageError("--fail-on new needs to know what was so before: add --history.")
        return _render_fleet(where, out, day, gone, history=history, only_new=FailOn(fail_on) is FailOn.NEW)
    except OSError as error:
        raise InputError.of(
            f"{error.filename or out} cannot be written: {error.strerror}.", hint="Name another folder with --out."
        ) from None


def _render_fleet(
    where: str, out: Path, day: date | None, gone: Sequence[str], *, history: bool, only_new: bool
) -> int:
    with table.open_table(where) as opened:
        summary = reporting.summarize(opened, night=day, history=history, gone=gone)
        misnamed = reporting.misnamed(opened, summary.night, gone)
    reporting.write_all(summary, out)
    for problem in (*misnamed, *summary.problems):
        click.echo(f"warning: {problem}", err=True)
    click.echo(reporting.decision_line(summary))
    click.echo(f"report {out / reporting.PAGE}")
    code = reporting.exit_code(summary, only_new=only_new)
    if only_new:
        counts = summary.counts
        click.echo(
            f"--fail-on new: {counts.new:,} new, {counts.newly_undecided:,} newly not decided; ends with {code}."
        )
    return code


def _render_tenant(where: str, tenant: str, day: date | None, out: Path) -> int:
    found = reporting.read_record(Path(where), tenant, day)
    reporting.write_tenant(found.record, out)
    if found.since:
        click.echo(f"warning: this is the record of {found.night}; {found.since}", err=True)
    click.echo(decision_line(found.record))
    click.echo(f"report {out / COMPLIANCE}, of the night {found.night}")
    return 0
