"""Lines that quote a tenant, printed so that a CI takes none of them for a command."""

from collections.abc import Iterable

from rich.console import Console
from rich.markup import escape

from gt_conformance import report


def print_lines(lines: Iterable[report.Line]) -> None:
    """Print them, with their styles where the output is a terminal."""
    console = Console(highlight=False, soft_wrap=True, emoji=False)
    workflow = report.Workflow(lambda line: console.print(line, markup=False))
    workflow.begin()
    for line in lines:
        console.print(escape(line.text), style=line.style or None)
    workflow.end(None)
