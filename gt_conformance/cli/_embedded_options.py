"""Options of the commands that start the embedded tenant: ``--list-faults`` and ``--list-variants``, area by area."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Protocol, TypeVar

import click

_Command = TypeVar("_Command", bound=Callable[..., Any] | click.Command)


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


def _lines(listed: Iterable[_Listed]) -> Iterator[str]:
    area = ""
    for item in listed:
        if item.area != area:
            area = item.area
            yield click.style(area, bold=True)
        yield f"  {item.name:<38} {item.description}"


def _option(name: str, listed: Callable[[], Iterable[_Listed]], text: str) -> Callable[[_Command], _Command]:
    def print_list(context: click.Context, option: click.Parameter, wanted: bool) -> None:  # noqa: FBT001 - click's signature
        del option
        if wanted and not context.resilient_parsing:
            for line in _lines(listed()):
                click.echo(line)
            context.exit()

    return click.option(name, is_flag=True, is_eager=True, expose_value=False, callback=print_list, help=text)


list_faults = _option("--list-faults", _faults, "List the faults that the embedded tenant can have, and end.")
"""The option, for the commands that take ``--fault``."""
list_variants = _option("--list-variants", _variants, "List the permitted variations of the embedded tenant, and end.")
"""The same for ``--variant``."""
