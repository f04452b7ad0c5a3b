"""``gt-conformance plan``: what a run would send, found out by rehearsing it without a socket."""

import os
from pathlib import Path

import click


@click.command(short_help="Show what a run would send; sends nothing.")
@click.option("--tenant", metavar="FILE", type=click.Path(path_type=Path), help="Tenant file, as for run.")
@click.option("--runbook", "runbook_ids", metavar="ID", multiple=True, help="Only this runbook (may be repeated).")
@click.option("--runbooks", metavar="DIR", type=click.Path(path_type=Path), help="A folder of your own runbooks.")
@click.option("--checks", metavar="MODULE", multiple=True, help="A module of further checks, or the path of its file.")
def plan(tenant: Path | None, runbook_ids: tuple[str, ...], runbooks: Path | None, checks: tuple[str, ...]) -> int:
    """Show which credential each runbook takes and how many requests a run would send, per route and credential.

    The checks are rehearsed in memory: nothing is sent. Polls and retries of a real tenant add to the number.

    \b
    Examples:
      gt-conformance plan --tenant acme.yaml
      gt-conformance plan --tenant acme.yaml --runbook dify
    """
    from gt_conformance.cli._rehearsal import rehearse  # noqa: PLC0415 - loaded when it is needed

    for line in rehearse(tenant, runbook_ids, runbooks, os.environ, checks):
        click.echo(line)
    return 0
