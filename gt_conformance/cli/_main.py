"""The command and its subcommands."""

import sys

import click

from gt_conformance import __version__
from gt_conformance.cli._attest import attest
from gt_conformance.cli._clients import clients
from gt_conformance.cli._diff import diff
from gt_conformance.cli._explain import explain
from gt_conformance.cli._init import init
from gt_conformance.cli._lint import lint
from gt_conformance.cli._plan import plan
from gt_conformance.cli._report import report
from gt_conformance.cli._rotate import rotate
from gt_conformance.cli._run import run
from gt_conformance.cli._sandbox_rotate import sandbox_rotate
from gt_conformance.cli._serve import serve
from gt_conformance.errors import InputError

BAD_INPUT = 4


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="gt-conformance")
def command() -> None:
    """Prove what the GT API client runbooks promise, against a live tenant.

    \b
    Examples:
      gt-conformance run                                   the embedded tenant: try it out
      gt-conformance run --tenant acme.yaml                every runbook against a tenant
      gt-conformance run --tenant acme.yaml --runbook dify go or no-go for one client
      gt-conformance plan --tenant acme.yaml               what would be sent, and nothing is
      gt-conformance explain chat.streams                  what a check claims and sends
      gt-conformance diff old.json new.json                what changed between two nights
    """


for subcommand in (run, init, plan, lint, explain, report, diff, serve, clients, attest, rotate, sandbox_rotate):
    command.add_command(subcommand)


def main() -> None:
    """Run the command. Bad input ends with exit code 4 and a sentence, never with a traceback."""
    try:
        code = command.main(standalone_mode=False)
    except InputError as error:
        for problem in error.problems:
            click.echo(f"error: {problem}", err=True)
        sys.exit(BAD_INPUT)
    except click.ClickException as error:
        error.show()
        sys.exit(BAD_INPUT)
    except (click.Abort, KeyboardInterrupt):
        click.echo("Interrupted.", err=True)
        sys.exit(2)
    sys.exit(code if isinstance(code, int) else 0)
