"""Groups of subcommands, each of which is loaded when it is called."""

import importlib
from collections.abc import Mapping
from typing import Any, NamedTuple

import click


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

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List them without loading any."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry.short_help) for name, entry in self._entries.items()])
