"""Lines that quote a tenant, printed so that a CI takes none of them for a command."""

from collections.abc import Iterable

import click
from rich.console import Console
from rich.markup import escape

from gt_conformance import report
from gt_conformance.results import Record


def print_lines(lines: Iterable[report.Line]) -> None:
    """Print them, with their styles where the output is a terminal."""
    console = Console(highlight=False, soft_wrap=True, emoji=False)
    workflow = report.Workflow(lambda line: console.print(line, markup=False))
    workflow.begin()
    for line in lines:
        console.print(escape(line.text), style=line.style or None)
    workflow.end(None)


def warn_unverified(path: object, record: Record) -> None:
    """Print a warning on standard error where the record is not consistent and is used nevertheless."""
    for difference in record.get("unverified", [])[:1]:
        click.echo(f"warning: {path}: the record is not consistent. {difference}", err=True)
