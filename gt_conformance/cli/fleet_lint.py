"""``gt-conformance fleet lint``: whether each tenant of a fleet can be judged."""

from pathlib import Path

import click

from gt_conformance.fleet import lint as find_problems
from gt_conformance.fleet import load_fleet
from gt_conformance.schema import count_noun

_MOST_LISTED = 100


@click.command
@click.argument("file", metavar="FLEET", type=click.Path(path_type=Path))
def lint(file: Path) -> int:
    """Check fleet.yaml, the lists and templates that it names, and the tenant file of each tenant; nothing is sent.

    No secret is read and no secret command is run: a missing secret shows only in a run.

    \b
    Examples:
      gt-conformance fleet lint fleet.yaml
    """
    fleet = load_fleet(file)
    found = find_problems(fleet)
    for problem in found.problems[:_MOST_LISTED]:
        click.echo(f"error: {problem}")
    if len(found.problems) > _MOST_LISTED:
        click.echo(f"error: and {len(found.problems) - _MOST_LISTED} more.")
    for remark in found.remarks[:_MOST_LISTED]:
        click.echo(f"remark: {remark}")
    if found.problems:
        click.echo(f"{count_noun(len(found.problems), 'error')}.", err=True)
        return 4
    sound = "tenant is" if len(fleet.tenants) == 1 else "tenants are"
    click.echo(f"{len(fleet.tenants):,} {sound} sound.")
    return 0
