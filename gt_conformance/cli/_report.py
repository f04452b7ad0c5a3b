"""``gt-conformance report``: the documents again, from records alone."""

from pathlib import Path

import click


@click.command(short_help="Render results again, or several as one.")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="RESULTS...")
@click.option("--out", metavar="DIR", required=True, type=click.Path(path_type=Path), help="Where the reports go.")
def report(files: tuple[Path, ...], out: Path) -> int:
    """Render compliance.html, summary.md and the badges from results.json, without a tenant.

    Several results of one tenant, shards of its runbooks, become one record; those of several tenants become one
    document with an overview, and a folder each. What they disagree on is an error that names both files.

    \b
    Examples:
      gt-conformance report reports/results.json --out again
      gt-conformance report shard-*/results.json --out reports
      gt-conformance report eu/results.json us/results.json --out both
    """
    from gt_conformance.cli._rendering import rendered  # noqa: PLC0415 - loaded when it is needed

    for line in rendered(files, out):
        click.echo(line)
    return 0
