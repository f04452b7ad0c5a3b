"""Options that several commands take, each written once."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol, TypeVar

import click

from gt_conformance.cli._completing import offering, runbook_ids
from gt_conformance.cli._words import read_time

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
