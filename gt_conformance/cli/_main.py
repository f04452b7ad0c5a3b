"""The command and its subcommands; what it does about bad input, Ctrl-C and output that cannot be written."""

import importlib
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import click

from gt_conformance import __version__
from gt_conformance.errors import InputError
from gt_conformance.open_files import require_open_files
from gt_conformance.streams import problem, tolerant_output
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


INTERRUPTED, BAD_INPUT, OUTPUT_LOST = 2, 4, 4


COMMANDS = {
    "accept": Entry("accept", "Accept what a run found, with an owner and an end date."),
    "attest": Entry("attest", "Attest what only a person can check, or list what needs a person."),
    "clients": Entry("clients", "Install, drive and measure the real clients."),
    "completion": Entry("completion", "Print the shell completion for names and options."),
    "diff": Entry("diff", "Show what changed between two results."),
    "doctor": Entry("doctor", "Ask the keys what they can do, and list what is missing."),
    "explain": Entry("explain", "Describe what a check claims, and what to do when it fails."),
    "fleet": Entry("fleet", "Judge many tenants, night after night."),
    "init": Entry("init", "Write a tenant file to start from."),
    "list": Entry("list", "List runbooks, routes, checks, findings, faults."),
    "lint": Entry("lint", "Check runbook files; list every error with its place."),
    "plan": Entry("plan", "Show what a run would send; sends nothing."),
    "report": Entry("report", "Render results again, or merge several into one."),
    "rotate": Entry(
        "rotate", "Rotate a key with your own command, and prove that the old secret is dead and the new one works."
    ),
    "run": Entry("run", "Judge the runbooks against a tenant."),
    "sandbox-rotate": Entry("sandbox_rotate", "Rotate a key of the embedded tenant; for `rotate`."),
    "serve": Entry("serve", "Run the embedded tenant on loopback."),
    "show": Entry("show", "Show a runbook, row, item, check, finding or exchange."),
    "suites": Entry("suites", "Print the folder of the test suites, for plain pytest."),
    "verify": Entry("verify", "Check that a record is consistent, and list what is not."),
    "watch": Entry("watch", "Watch a tenant with a few requests a round; serve gauges for Prometheus."),
}


@click.group(
    cls=LazyGroup,
    entries=COMMANDS,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)
@click.version_option(__version__, prog_name="gt-conformance")
def command() -> None:
    """Prove what the GT API client runbooks promise, against a live tenant.

    \b
    Examples:
      gt-conformance run                                   the embedded tenant: try it out
      gt-conformance run --tenant acme.yaml                every runbook against a tenant
      gt-conformance run dify --tenant acme.yaml           go or no-go for one client
      gt-conformance doctor --tenant acme.yaml             what the keys can do, and what is missing
      gt-conformance plan --tenant acme.yaml               what a run would send (sends nothing)
      gt-conformance show dify                             a runbook; also a row, check, finding, exchange
      gt-conformance accept reports/results.json ...       accept known findings until a date: only new ones fail
      gt-conformance diff old.json new.json                what changed between two nights
      gt-conformance verify reports                        whether results.json is consistent
    """


@command.result_callback()
def _check_output(code: int) -> int:
    # A run looks after its own output, which is one of its reports; the product of the others is what they print.
    lost = problem(sys.stdout)
    if lost is None or click.get_current_context().invoked_subcommand == "run":
        return code
    click.echo(f"error: standard output could not be written: {lost}.", err=True)
    return code or OUTPUT_LOST


def run_command() -> int:
    """Run the command of this process's arguments; its exit code. Bad input is a sentence, never a traceback."""
    with tolerant_output():
        try:
            _require_folder()
            require_open_files()
            code = command.main(standalone_mode=False)
        except InputError as error:
            for one in error.problems:
                click.echo(f"error: {one}", err=True)
            return BAD_INPUT
        except click.ClickException as error:
            error.show()
            return BAD_INPUT
        except click.Abort:  # what click makes of Ctrl-C
            click.echo("Interrupted.", err=True)
            return INTERRUPTED
    return code if isinstance(code, int) else 0


def _require_folder() -> None:
    """Raises InputError where the folder in which the command runs is gone: no path means anything there."""
    try:
        Path.cwd()
    except OSError as error:
        raise InputError.of(
            f"the folder in which this runs cannot be used: {error.strerror}.", hint="Change to one that exists."
        ) from None
