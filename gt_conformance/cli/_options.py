"""Options that several commands take, each written once: what their values mean, and what a shell is offered."""

import os
import re
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, Protocol, TypeVar

import click
from click.shell_completion import CompletionItem

from gt_conformance import files
from gt_conformance.errors import InputError, Location

_Command = TypeVar("_Command", bound=Callable[..., Any] | click.Command)


class _Option(Protocol):
    """Adds an option to a command."""

    def __call__(self, command: _Command, /) -> _Command: ...


def naming_runbooks(command: _Command) -> _Command:
    """Runbooks by their ids, before any option, as ``words``."""
    offered = offering(runbook_ids)
    return click.argument("words", metavar="[RUNBOOK]...", nargs=-1, shell_complete=offered)(command)


def choosing_runbooks(text: str = "Only this runbook (may be repeated).") -> _Option:
    """``--runbook ID``: ids, as ``chosen``."""
    return click.option(
        "--runbook", "chosen", metavar="ID", multiple=True, shell_complete=offering(runbook_ids), help=text
    )


def own_runbooks(command: _Command) -> _Command:
    """``--runbooks DIR``."""
    found = click.Path(path_type=Path)
    return click.option("--runbooks", metavar="DIR", type=found, help="A folder of your own runbooks.")(command)


def further_checks(command: _Command) -> _Command:
    """``--checks MODULE``: names or paths, as ``modules``."""
    text = "A module with checks of your own, or its path."
    return click.option("--checks", "modules", metavar="MODULE", multiple=True, help=text)(command)


def gating(fail_on: str | None) -> _Option:
    """What a decision is compared with, and what of it fails; ``fail_on`` is the default of ``--fail-on``."""
    kept = "Keep the results in this folder, and compare with the latest ones."
    options = (
        click.option(
            "--accepted", metavar="FILE", help="The file of accepted findings, as `gt-conformance accept` writes it."
        ),
        click.option(
            "--baseline", metavar="FILE", help="results.json of an earlier run, or its folder: show what changed since."
        ),
        click.option(
            "--fail-on",
            metavar="any|new",
            default=fail_on,
            show_default=fail_on is not None,
            help="Fail for everything that is wrong, or only for what nobody accepted.",
        ),
        click.option("--history", metavar="DIR", help=kept),
        click.option("--history-keep", metavar="COUNT", type=int, help="How many results of a tenant to keep."),
    )

    def add(command: _Command) -> _Command:
        for option in reversed(options):
            command = option(command)
        return command

    return add


def taking_latency(whose: str) -> _Option:
    """``--latency TIME``: how long an answer takes, in seconds, for the least time of what is planned."""
    return click.option(
        "--latency",
        metavar="TIME",
        default="200ms",
        show_default=True,
        callback=lambda _context, _option, text: read_time(text),
        help=f"How long {whose} takes for an answer (200ms, 1.5s), for the least time.",
    )


def last_record(text: str) -> _Option:
    """``--from FILE|DIR``: a record, as ``source``."""
    return click.option(
        "--from",
        "source",
        metavar="FILE|DIR",
        type=click.Path(path_type=Path),
        default=Path("reports"),
        show_default=True,
        help=text,
    )


def text_or_json(command: _Command) -> _Command:
    """``--format text|json``, as ``output``."""
    kinds = click.Choice(["text", "json"])
    return click.option("--format", "output", type=kinds, default="text", show_default=True)(command)


# -- times and names


_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


def read_time(text: str, option: str | None = None) -> float:
    """The seconds. Raises click.BadParameter, which names the option where it is no callback of one."""
    found = re.fullmatch(r"(\d{1,6}(?:\.\d{1,6})?)(ms|s|m|h)", text.strip(), re.ASCII)
    if found is None:
        raise click.BadParameter(f"{text!r} is not a time: write 200ms or 1.5s.", param_hint=option)
    return float(found[1]) * _UNITS[found[2]]


def split_names(given: Iterable[str]) -> list[str]:
    """The names of an option or argument that may be repeated, and of which each may hold several."""
    return [name.strip() for text in given for name in text.split(",") if name.strip()]


# -- what a shell is offered: loaded when a shell asks


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


def offering(names: Callable[[], Iterable[str]]) -> Complete:
    """Completes names, several of them with commas between as well."""

    def complete(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
        del context, parameter
        before, comma, last = incomplete.rpartition(",")
        return [CompletionItem(f"{before}{comma}{name}") for name in names() if name.startswith(last)]

    return complete


# -- the options of a fleet


def read_shard(text: str) -> tuple[int, int]:
    """The number of a shard, from 0, and how many there are, of ``3/8``. Raises click.BadParameter."""
    found = re.fullmatch(r"(\d{1,6})/(\d{1,6})", text.strip(), re.ASCII)
    if found is None:
        raise click.BadParameter(f"{text!r} is not a shard: write I/N, such as 0/8 for the first of eight.")
    index, count = int(found[1]), int(found[2])
    if count == 0 or index >= count:
        last = f"the last of {count} is {count - 1}/{count}" if count else "there must be one at least"
        raise click.BadParameter(f"there is no shard {text}: they are counted from 0, and {last}.")
    return index, count


def read_night(text: str | None) -> date:
    """The date of a night; today's, in UTC, where none is given. Raises click.BadParameter."""
    if text is None:
        return datetime.now(UTC).date()
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise click.BadParameter(f"{text!r} is not a date: write 2026-11-27.") from None


def read_labels(given: tuple[str, ...]) -> list[tuple[str, str]]:
    """Names and values of ``region=eu``. Raises click.BadParameter."""
    found = []
    for text in given:
        name, sign, value = text.partition("=")
        if not (name and sign and value):
            raise click.BadParameter(f"{text!r} is not a label: write NAME=VALUE, such as region=eu.")
        found.append((name.strip(), value.strip()))
    return found


of_night = click.option(
    "--night",
    metavar="DATE",
    callback=lambda _context, _option, text: read_night(text),
    help="The night that the schedule is applied to, such as 2026-11-27. Default: today in UTC.",
)
of_labels = click.option(
    "--label",
    "labels",
    metavar="NAME=VALUE",
    multiple=True,
    callback=lambda _context, _option, given: read_labels(given),
    help="Only the tenants with this label (may be repeated).",
)


# -- lists of faults and variants


class _Listed(Protocol):
    """A fault or a variant: what a line of the list shows of it."""

    @property
    def area(self) -> str: ...

    @property
    def name(self) -> str: ...

    @property
    def description(self) -> str: ...


def _faults() -> Iterable[_Listed]:
    from gt_sandbox.faults import FAULTS  # noqa: PLC0415 - loaded when it is needed

    return FAULTS.values()


def _variants() -> Iterable[_Listed]:
    from gt_sandbox.variants import VARIANTS  # noqa: PLC0415 - loaded when it is needed

    return VARIANTS.values()


def _by_area(listed: Iterable[_Listed]) -> Iterator[str]:
    area = ""
    for item in listed:
        if item.area != area:
            area = item.area
            yield click.style(area, bold=True)
        yield f"  {item.name:<38} {item.description}"


def _listing(name: str, listed: Callable[[], Iterable[_Listed]], text: str) -> Callable[[_Command], _Command]:
    def print_list(context: click.Context, option: click.Parameter, wanted: bool) -> None:  # noqa: FBT001 - click's signature
        del option
        if wanted and not context.resilient_parsing:
            for line in _by_area(listed()):
                click.echo(line)
            context.exit()

    return click.option(name, is_flag=True, is_eager=True, expose_value=False, callback=print_list, help=text)


list_faults = _listing("--list-faults", _faults, "List the faults that the embedded tenant can have, and end.")
"""The option, for the commands that take ``--fault``."""
list_variants = _listing("--list-variants", _variants, "List the permitted variations of the embedded tenant, and end.")
"""The same for ``--variant``."""


# -- a file to write to


_LOOKED_AT = 64 * 1024


def require_own_file(path: Path, option: str, mark: bytes) -> None:
    """Raises InputError where the file cannot be written, or holds something that this suite did not write.

    ``mark`` is in the first bytes of every file that the command writes. An empty file, a device and a pipe may be
    written to.
    """
    if path.is_dir() or not os.access(path.parent, os.W_OK | os.X_OK):
        raise InputError.of(f"{path} cannot be written ({option}).", hint="Name a file in a folder that you may write.")
    if not path.is_file():
        return
    try:
        start = files.read_start(path, _LOOKED_AT)
    except OSError as error:
        raise InputError.of(
            f"{path} cannot be read: {error.strerror}.", hint=f"Name another file with {option}."
        ) from None
    if start.strip() and mark not in start:
        raise InputError.of(
            "this file was not written by gt-conformance, so it is not overwritten.",
            where=Location(str(path)),
            hint=f"Name another file with {option}, or move this one.",
        )
