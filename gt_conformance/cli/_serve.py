"""``gt-conformance serve``: the embedded tenant, for people to try their own clients."""

from pathlib import Path

import click


@click.command(short_help="Run the embedded tenant on loopback.")
@click.option("--port", type=click.IntRange(0, 65535), default=0, metavar="PORT", help="Default: a free one.")
@click.option("--versioned-only", is_flag=True, help="Route /api/tenant/v1/* only, not the un-versioned paths.")
@click.option(
    "--tenant-file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write a tenant file for it, with the secrets beside it.",
)
def serve(port: int, tenant_file: Path | None, *, versioned_only: bool) -> int:
    """Run the embedded tenant on loopback until Ctrl-C, and print its address and keys.

    Its keys are made anew at each start and open nothing else. What is proved against it is evidence about this suite.

    \b
    Examples:
      gt-conformance serve --port 8800 --tenant-file lab.yaml
      gt-conformance run --tenant lab.yaml --runbook dify       (in another terminal)
    """
    from gt_conformance.cli._serving import serve_until_interrupted  # noqa: PLC0415 - loaded when it is needed

    return serve_until_interrupted(port, tenant_file, versioned_only=versioned_only)
