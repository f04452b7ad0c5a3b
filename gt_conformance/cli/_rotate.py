"""``gt-conformance rotate``: a real rotation, proved."""

import math
from pathlib import Path

import click


def _finite(_: click.Context, __: click.Parameter, value: float) -> float:
    if not math.isfinite(value):
        raise click.BadParameter("a number of seconds is needed.")
    return value


@click.command(short_help="Rotate a key by your own command, and prove what became of both secrets.")
@click.argument("key")
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED, metavar="-- COMMAND...")
@click.option(
    "--tenant",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Tenant file. Else GT_BASE_URL, GT_API_KEY and GT_MODEL.",
)
@click.option(
    "--write-secret",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Store the new secret in FILE (mode 0600): a new file, or the secret_file of the key, which is replaced.",
)
@click.option("--report", metavar="FILE", type=click.Path(path_type=Path), help="Write a JSON record, without secrets.")
@click.option(
    "--timeout",
    "timeout_s",
    metavar="SECONDS",
    type=click.FloatRange(0, min_open=True),
    callback=_finite,
    default=60.0,
    show_default=True,
    help="How long the command may take.",
)
@click.option(
    "--grace",
    "grace_s",
    metavar="SECONDS",
    type=click.FloatRange(0),
    callback=_finite,
    default=30.0,
    show_default=True,
    help="How long the old secret may live on after it.",
)
def rotate(
    key: str,
    command: tuple[str, ...],
    tenant: Path | None,
    write_secret: Path | None,
    report: Path | None,
    timeout_s: float,
    grace_s: float,
) -> int:
    """Rotate KEY of the tenant file by running COMMAND, and prove that the old secret is dead and the new one works.

    COMMAND is yours. It is run without a shell, rotates the key at the tenant, prints the new secret alone on standard
    output, and should store it: nothing that it prints is shown, and only --write-secret keeps it. Before and after,
    every live key of the tenant file lists its names; a key with inference:embed embeds a sentence.

    \b
    Exit codes:
      0  the old secret is dead, the new one sees the same, the other keys are as they were
      1  something of this does not hold
      7  it could not be told: the command failed, hung, or printed no usable secret
      8  the key did not work to begin with: the command was not run
      2  interrupted: see the last lines for where it stands
      4  bad command line or file: the command was not run

    \b
    Examples:
      gt-conformance rotate chat --tenant acme.yaml -- ./rotate-chat.sh
      gt-conformance rotate chat --tenant acme.yaml --write-secret secrets/chat -- ./rotate-chat.sh
    """
    from gt_conformance.cli._rotating import rotated  # noqa: PLC0415 - loaded when it is needed

    return rotated(key, command, tenant, write_secret, report, timeout_s=timeout_s, grace_s=grace_s)
