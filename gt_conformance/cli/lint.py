"""``gt-conformance lint``: whether the runbook files are sound."""

from pathlib import Path

import click

from gt_conformance import resources
from gt_conformance.checks import load_extensions
from gt_conformance.errors import InputError, Problem
from gt_conformance.runbook import findings, read_directory


@click.command
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path), metavar="[DIR]...")
@click.option("--checks", "modules", multiple=True, metavar="MODULE", help="A module of further checks, or its path.")
def lint(paths: tuple[Path, ...], modules: tuple[str, ...]) -> int:
    """Check the runbook files of a folder: YAML, schema, whether their parts agree, and whether checks verify each row.

    Every error of every file is listed, with its place, the nearest right value and the allowed ones.

    \b
    Examples:
      gt-conformance lint                the runbooks that come with the suite
      gt-conformance lint my-runbooks/
    """
    registry = load_extensions(modules)
    problems: list[Problem] = []
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
    return 0
