"""What a shell is offered: the ids of runbooks, rows, checks, faults and findings. Loaded when a shell asks."""

from collections.abc import Callable, Iterable, Iterator

import click
from click.shell_completion import CompletionItem

Complete = Callable[[click.Context, click.Parameter, str], list[CompletionItem]]


def runbook_ids() -> Iterator[str]:
    """By the names of their files: a shell is waiting."""
    from gt_conformance import resources  # noqa: PLC0415 - as above

    yield from sorted(path.stem for path in resources.runbooks_dir().glob("*.yaml"))


def route_ids() -> Iterator[str]:
    """Every route."""
    from gt_conformance.vocabulary import Route  # noqa: PLC0415 - as above

    yield from (route.value for route in Route)


def verdicts() -> Iterator[str]:
    """Every verdict."""
    from gt_conformance.vocabulary import Verdict  # noqa: PLC0415 - as above

    yield from Verdict


def fault_names() -> Iterator[str]:
    """Every fault of the embedded tenant."""
    from gt_sandbox.faults import FAULTS  # noqa: PLC0415 - as above

    yield from FAULTS


def variant_names() -> Iterator[str]:
    """Every permitted variation of the embedded tenant."""
    from gt_sandbox.variants import VARIANTS  # noqa: PLC0415 - as above

    yield from VARIANTS


def explained() -> Iterator[str]:
    """Checks, checklist items and clauses."""
    from gt_conformance import resources  # noqa: PLC0415 - as above
    from gt_conformance.checks import BUILT_IN  # noqa: PLC0415 - as above
    from gt_conformance.cli.explain import explained_names  # noqa: PLC0415 - as above
    from gt_conformance.runbook import load_directory  # noqa: PLC0415 - as above

    yield from explained_names(BUILT_IN, load_directory(resources.runbooks_dir()))


def shown() -> Iterator[str]:
    """What can be shown: runbooks, rows, what can be explained, and the findings of the last run."""
    from pathlib import Path  # noqa: PLC0415 - as above

    from gt_conformance import resources  # noqa: PLC0415 - as above
    from gt_conformance.cli._last import read_last  # noqa: PLC0415 - as above
    from gt_conformance.errors import InputError  # noqa: PLC0415 - as above
    from gt_conformance.runbook import load_directory  # noqa: PLC0415 - as above

    yield from runbook_ids()
    yield from (row.id for book in load_directory(resources.runbooks_dir()) for row in book.rows)
    yield from explained()
    try:
        yield from (found["id"] for found in read_last(Path("reports"))["findings"])
    except InputError:
        return


def offering(names: Callable[[], Iterable[str]]) -> Complete:
    """Completes names, several of them with commas between as well."""

    def complete(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
        del context, parameter
        before, comma, last = incomplete.rpartition(",")
        return [CompletionItem(f"{before}{comma}{name}") for name in names() if name.startswith(last)]

    return complete
