"""``gt-conformance lint``: whether the runbook files are sound, and whether clauses, checks and faults agree."""

from pathlib import Path

import click

from gt_conformance import resources
from gt_conformance.checks import BUILT_IN, State, count_states, ledger, load_extensions, problems_of_ledger
from gt_conformance.cli._options import further_checks
from gt_conformance.errors import InputError, Problem
from gt_conformance.runbook import findings, read_directory
from gt_sandbox.faults import FAULTS


@click.command
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path), metavar="[DIR]...")
@further_checks
def lint(paths: tuple[Path, ...], modules: tuple[str, ...]) -> int:
    """Check the runbook files of a folder: YAML, schema, whether their parts agree, and whether checks verify each row.

    It also checks the clauses of GT's documentation: each needs a check that tests it and a fault that breaks it, or a
    reason why not; each check that may report a violation must name its clause and cite the page.

    Every error is listed with its place, the closest valid value and the allowed values.

    \b
    Examples:
      gt-conformance lint                the runbooks that come with the suite
      gt-conformance lint my-runbooks/
    """
    registry = load_extensions(modules)
    problems: list[Problem] = [*problems_of_ledger(BUILT_IN, FAULTS.values())]
    count = 0
    for folder in paths or (resources.runbooks_dir(),):
        try:
            books, unreadable = read_directory(folder)
        except InputError as error:
            problems += error.problems
            continue
        problems += unreadable
        count += len(books)
        for book in books:
            problems += [*findings(book, registry.acts), *registry.unverified(book)]
    for problem in problems:
        click.echo(str(problem))
    if problems:
        click.echo(f"{len(problems)} {'error' if len(problems) == 1 else 'errors'}.", err=True)
        return 4
    click.echo(f"{count} {'runbook is' if count == 1 else 'runbooks are'} sound.")
    click.echo(_ledger_in_words())
    return 0


def _ledger_in_words() -> str:
    """How many of the clauses that HTTP can show are covered, and which are not."""
    entries = ledger(BUILT_IN, FAULTS.values())
    counts = count_states(entries)
    lines = [f"{sum(counts.values())} clauses: {', '.join(f'{counts[state]} {state}' for state in State)}."]
    for state in (State.PARTLY, State.OPEN):
        names = [entry.clause.id for entry in entries if entry.clause.is_promised and entry.state is state]
        lines += [f"{state.capitalize()}: {', '.join(names)}."] if names else []
    return "\n".join(lines)
