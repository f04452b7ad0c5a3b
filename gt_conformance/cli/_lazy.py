"""Groups of subcommands, each of which is loaded when it is called."""

import importlib
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import click

from gt_conformance.vocabulary import GIVEN_TWICE, NAME_WHAT_IS_JUDGED


class Entry(NamedTuple):
    """A subcommand before it is loaded: the module that holds it, under the subcommand's name, and a line of help."""

    module: str
    short_help: str


class LazyGroup(click.Group):
    """Loads a subcommand when it is called: start-up counts, and a list of all of them needs none."""

    def __init__(self, *, entries: Mapping[str, Entry], **given: Any) -> None:
        super().__init__(**given)
        self._entries = entries

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Their names."""
        del ctx
        return list(self._entries)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The subcommand of that name."""
        del ctx
        entry = self._entries.get(cmd_name)
        if entry is None:
            return None
        module = importlib.import_module(f"gt_conformance.cli.{entry.module}")
        return next(
            value for value in vars(module).values() if isinstance(value, click.Command) and value.name == cmd_name
        )

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The subcommand that these arguments name, once what it is given more than once may be given so."""
        name, command, rest = super().resolve_command(ctx, args)
        if command is not None and not isinstance(command, click.Group):
            _refuse_twice(command, ctx, rest)
        return name, command, rest

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List them without loading any."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry.short_help) for name, entry in self._entries.items()])


def _refuse_twice(command: click.Command, parent: click.Context, arguments: Sequence[str]) -> None:
    """Raises UsageError where two files are named and one is read: click would take the last and say nothing."""
    context = click.Context(command, parent, command.name, **command.context_settings)
    try:
        _, _, order = command.make_parser(context).parse_args(list(arguments))
    except click.UsageError:
        return  # the command itself says what is wrong
    given = Counter(one.opts[0] for one in order if isinstance(one, click.Option) and not one.multiple)
    if twice := [name for name, times in given.items() if times > 1 and name in NAME_WHAT_IS_JUDGED]:
        raise click.UsageError(GIVEN_TWICE.format(option=twice[0]), context)
