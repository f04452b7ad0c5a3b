"""Two results read, compared and told."""

import json
from collections.abc import Sequence
from pathlib import Path

import click
from rich.console import Console
from rich.markup import escape

from gt_conformance import comparison, report, results
from gt_conformance.comparison import FailOn
from gt_conformance.errors import InputError, Location, Problem


def compared(old: Path, new: Path, fail_on: str, form: str) -> int:
    """Print what changed, and give the exit code. Raises InputError with what is wrong with either file."""
    try:
        wanted = FailOn(fail_on)
    except ValueError:
        raise InputError.of(f"there is no value of --fail-on {fail_on!r}.", hint="Known: any, new.") from None
    before, after = _both(old, new)
    if wanted is FailOn.NEW:
        comparison.require_same_tenant(before, after["run"]["tenant"], Location(str(old)))
    joined = {**after, "since": comparison.compare(before, after)}
    if form == "json":
        click.echo(json.dumps(joined["since"], indent=1, ensure_ascii=False))
    elif form == "markdown":
        click.echo(report.since_markdown(joined), nl=False)
    else:
        _printed(report.since_lines(joined)[1:])
    return comparison.exit_code(joined, joined["since"], wanted)


def _printed(lines: Sequence[report.Line]) -> None:
    console = Console(highlight=False, soft_wrap=True, emoji=False)
    workflow = report.Workflow(lambda line: console.print(line, markup=False))
    workflow.begin()
    for line in lines:
        console.print(escape(line.text), style=line.style or None)
    workflow.end(None)


def _both(old: Path, new: Path) -> tuple[results.Record, results.Record]:
    problems: list[Problem] = []
    records: list[results.Record] = []
    for path in (old, new):
        try:
            records.append(results.read(path))
        except InputError as error:
            problems += error.problems
    if problems:
        raise InputError(problems)
    before, after = records
    return before, after
