"""``gt-conformance attest``: a person's word for a checklist item that no probe can prove."""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import click

_DAY = click.DateTime(["%Y-%m-%d"])


@click.command(short_help="Vouch for what no probe can prove, or list what needs a person.")
@click.argument("runbook", required=False)
@click.argument("item", required=False, type=int)
@click.option("--statement", metavar="TEXT", help="What you saw and vouch for.")
@click.option("--by", metavar="NAME", help="Your name.")
@click.option("--role", metavar="ROLE", help="In which role you vouch for it.")
@click.option("--evidence", metavar="LINK", help="A link or a file that shows it.")
@click.option("--on", metavar="DATE", type=_DAY, help="The day on which you looked. Default: today (UTC).")
@click.option(
    "--expires", metavar="DATE", type=_DAY, help="The last day on which it counts. Default: a year on; at most two."
)
@click.option("--replace", is_flag=True, help="Put it in the place of the one that there is for this item.")
@click.option("--list", "listing", is_flag=True, help="Show every item that needs a person, and who vouched for it.")
@click.option(
    "--attestations",
    "path",
    metavar="FILE",
    type=click.Path(path_type=Path),
    default=Path("attestations.yaml"),
    show_default=True,
    help="The file of attestations.",
)
@click.option("--runbooks", metavar="DIR", type=click.Path(path_type=Path), help="A folder of your own runbooks.")
# For tests. An option rather than an environment variable: nobody leaves one set and dates their word by it unawares.
@click.option("--today", metavar="DATE", type=_DAY, hidden=True)
def attest(  # noqa: PLR0913 - one argument an option
    *,
    runbook: str | None,
    item: int | None,
    statement: str | None,
    by: str | None,
    role: str | None,
    evidence: str | None,
    on: datetime | None,
    expires: datetime | None,
    path: Path,
    runbooks: Path | None,
    today: datetime | None,
    replace: bool,
    listing: bool,
) -> int:
    """Vouch for an item of a runbook's checklist that only a person can check; or list those items.

    What you say is written to a file, bound to the runbook as it is now: a changed runbook asks again. Entries and
    comments that stand in the file are kept as they are.

    \b
    Exit codes of --list:
      0  someone's word counts for every item that needs a person
      7  one is missing, expired or outdated

    \b
    Examples:
      gt-conformance attest --list
      gt-conformance attest crewai 2 --by "A. Example" --role "Platform lead" --evidence logs/crew.txt \\
          --statement "The log shows each conversation id when it is made, used and dropped."
    """
    said = {"RUNBOOK": runbook, "ITEM": item, "--statement": statement, "--by": by, "--role": role}
    said |= {"--evidence": evidence}
    if listing:
        _refuse(said | {"--on": on, "--expires": expires, "--replace": replace or None})
    else:
        _demand(said)
    from gt_conformance import resources  # noqa: PLC0415 - loaded when it is needed
    from gt_conformance.cli import _attested, _attesting  # noqa: PLC0415
    from gt_conformance.runbook import load_directory  # noqa: PLC0415

    books = load_directory(runbooks or resources.runbooks_dir())
    now = today.date() if today else datetime.now(tz=UTC).date()
    if listing:
        lines, code = _attested.listed(path, books, now)
    else:
        days = _attesting.Days(on.date() if on else now, expires.date() if expires else None, now)
        value = {"runbook": runbook, "item": item, "statement": statement, "by": {"name": by, "role": role}}
        value |= {"evidence": evidence}
        lines, code = _attesting.attested(value, days, path, books, replace=replace), 0
    for line in lines:
        click.echo(line)
    return code


def _refuse(said: Mapping[str, object]) -> None:
    given = [name for name, value in said.items() if value is not None]
    if given:
        raise click.UsageError(f"--list takes no {', '.join(given)}.")


def _demand(said: Mapping[str, object]) -> None:
    missing = [name for name, value in said.items() if value is None]
    if missing:
        raise click.UsageError(
            f"missing: {', '.join(missing)}. `gt-conformance attest --list` shows what to vouch for."
        )
