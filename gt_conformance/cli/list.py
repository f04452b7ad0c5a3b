"""``gt-conformance list``: the names that the command knows, kind by kind."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import click

from gt_conformance import resources
from gt_conformance.cli._options import last_record, own_runbooks, text_or_json
from gt_conformance.errors import InputError, unknown

Named = Iterator[tuple[str, str]]
"""Names, each with a line about it."""


def _runbooks(folder: Path | None, _: Path) -> Named:
    from gt_conformance.runbook import load_directory  # noqa: PLC0415 - loaded when it is needed

    for book in load_directory(folder or resources.runbooks_dir()):
        yield book.id, f"{book.title} ({book.category}; key preset {book.key_preset})"


def _routes(_: Path | None, __: Path) -> Named:
    from gt_conformance.vocabulary import Route  # noqa: PLC0415 - as above

    for route in Route:
        yield route.value, route.title + (f" (scope {route.scope.value})" if route.scope else "")


def _checks(_: Path | None, __: Path) -> Named:
    from gt_conformance.checks import load_extensions  # noqa: PLC0415 - as above

    for check in load_extensions().values():
        yield check.id, check.claim


def _findings(_: Path | None, source: Path) -> Named:
    from gt_conformance.cli.show import read_last  # noqa: PLC0415 - as above

    for found in read_last(source)["findings"]:
        yield found["id"], f"{found['outcome']}: {found['remedy'] or found['promise']}"


def _faults(_: Path | None, __: Path) -> Named:
    from gt_sandbox.faults import FAULTS  # noqa: PLC0415 - as above

    for fault in FAULTS.values():
        yield fault.name, f"{fault.description} (caught by {fault.caught_by})"


def _variants(_: Path | None, __: Path) -> Named:
    from gt_sandbox.variants import VARIANTS  # noqa: PLC0415 - as above

    for variant in VARIANTS.values():
        yield variant.name, variant.description


KINDS: Mapping[str, Callable[[Path | None, Path], Named]] = {
    "runbooks": _runbooks,
    "routes": _routes,
    "checks": _checks,
    "findings": _findings,
    "faults": _faults,
    "variants": _variants,
}


@click.command("list")
@click.argument("kinds", metavar="[runbooks|routes|checks|findings|faults|variants]...", nargs=-1)
@last_record("Findings: the results.json of a run, or the folder that it is in.")
@own_runbooks
@text_or_json
def list_(kinds: tuple[str, ...], source: Path, runbooks: Path | None, output: str) -> int:
    """List runbooks, routes, checks, the findings of the last run, or what the embedded tenant can have.

    Without a kind it lists runbooks and routes. `gt-conformance show NAME` shows each of them.

    \b
    Examples:
      gt-conformance list
      gt-conformance list checks
      gt-conformance list findings --from reports
      gt-conformance list faults --format json
    """
    wanted = list(dict.fromkeys(name.strip() for given in kinds for name in given.split(",") if name.strip()))
    if problems := [unknown("kind", name, list(KINDS)) for name in wanted if name not in KINDS]:
        raise InputError(problems)
    chosen = wanted or ["runbooks", "routes"]
    found = {kind: [*KINDS[kind](runbooks, source)] for kind in chosen}
    if output == "json":
        listed = {kind: [{"id": name, "text": text} for name, text in named] for kind, named in found.items()}
        click.echo(json.dumps(listed, indent=2))
        return 0
    for kind, named in found.items():
        _print(kind, named, titled=len(found) > 1)
    return 0


def _print(kind: str, named: Sequence[tuple[str, str]], *, titled: bool) -> None:
    width = max((len(name) for name, _ in named), default=0)
    if titled:
        click.secho(kind.capitalize(), bold=True)
    if not named:
        click.echo(f"{'  ' if titled else ''}none")
    for name, text in named:
        click.echo(f"{'  ' if titled else ''}{name:<{width}}  {' '.join(text.split())}")
