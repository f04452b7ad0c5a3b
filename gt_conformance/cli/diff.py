"""``gt-conformance diff``: what changed between two records."""

import json
from collections.abc import Callable
from pathlib import Path

import click

from gt_conformance import comparison, report, results, verification
from gt_conformance.cli._lines import print_lines, warn_unverified
from gt_conformance.comparison import FailOn
from gt_conformance.errors import InputError, Location, Problem
from gt_conformance.history import ACCEPTED
from gt_conformance.launch import accept, read_fail_on


@click.command
@click.argument("old", type=click.Path(path_type=Path))
@click.argument("new", type=click.Path(path_type=Path))
@click.option(
    "--fail-on",
    metavar="any|new",
    default="any",
    show_default=True,
    help="Fail for everything that is wrong in NEW, or only for what nobody accepted.",
)
@click.option(
    "--accepted",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Accepted findings (gt-conformance accept). Default with --fail-on new: accepted.yaml next to OLD.",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "markdown", "json"]),
    default="text",
    show_default=True,
    help="For a terminal, a pull request, or a program.",
)
@click.option(
    "--unverified", is_flag=True, help="Compare inconsistent records, too. If NEW is inconsistent, nothing is decided."
)
def diff(old: Path, new: Path, fail_on: str, accepted: Path | None, form: str, *, unverified: bool) -> int:
    """Show what changed from OLD to NEW, each a results.json, its folder, or a file of a history.

    It lists what newly violates, is fixed, still violates, or is newly blocked; new checks; runbooks whose file or
    verdicts changed; requests and time. A case that was not judged again is never called fixed. Both records are
    verified first (gt-conformance verify), and refused if they are inconsistent.

    \b
    Exit codes: those of run, for the whole of NEW (--fail-on any) or without its accepted findings (--fail-on new).
    What is only as bad as it was in OLD still fails, until it is fixed, waived or accepted.

    \b
    Examples:
      gt-conformance diff last-night/results.json reports/results.json
      gt-conformance diff old.json new.json --format markdown >> "$GITHUB_STEP_SUMMARY"
    """
    return _compare(old, new, fail_on, accepted, form, unverified=unverified)


def _compare(old: Path, new: Path, fail_on: str, accepted: Path | None, form: str, *, unverified: bool) -> int:
    """Print what changed, and give the exit code. Raises InputError with what is wrong with either file."""
    problems: list[Problem] = []
    wanted = read_fail_on(fail_on, problems)
    if problems:
        raise InputError(problems)
    before, after = _read(old, new, verification.read_unverified if unverified else verification.read)
    for path, record in ((old, before), (new, after)):
        warn_unverified(path, record)
    beside = results.file_of(old).with_name(ACCEPTED)
    if wanted is FailOn.NEW:
        comparison.require_same_tenant(before, after["run"]["tenant"], Location(str(old)))
        accepted = accepted or (beside if beside.exists() else None)
    if accepted is not None:
        after = accept(after, accepted)
    since = comparison.compare(before, after)
    joined: results.Record = {**after, "since": since}
    if form == "json":
        click.echo(json.dumps(since, indent=1, ensure_ascii=False))
    elif form == "markdown":
        click.echo(report.since_markdown(joined), nl=False)
    else:
        print_lines(report.since_lines(joined)[1:])
    return results.exit_code(joined)


def _read(old: Path, new: Path, read: Callable[[Path], results.Record]) -> tuple[results.Record, results.Record]:
    problems: list[Problem] = []
    records: list[results.Record] = []
    for path in (old, new):
        try:
            records.append(read(path))
        except InputError as error:
            problems += error.problems
    if problems:
        raise InputError(problems)
    before, after = records
    return before, after
