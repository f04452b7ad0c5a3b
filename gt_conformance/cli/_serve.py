"""``gt-conformance serve``: the embedded tenant, for people to try their own clients."""

from pathlib import Path

import click

from gt_conformance.cli._listing import list_faults, list_variants


@click.command(short_help="Run the embedded tenant on loopback.")
@click.option("--port", type=click.IntRange(0, 65535), default=0, metavar="PORT", help="Default: a free one.")
@click.option("--fault", "faults", metavar="NAME", multiple=True, help="Break this of it (may be repeated).")
@list_faults
@click.option(
    "--variant", "variants", metavar="NAME", multiple=True, help="Differ in this lawful way (may be repeated)."
)
@list_variants
@click.option("--versioned-only", is_flag=True, help="The same as --fault versioned-only.")
@click.option(
    "--tenant-file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write a tenant file for it, with the secrets beside it.",
)
def serve(
    port: int, tenant_file: Path | None, faults: tuple[str, ...], variants: tuple[str, ...], *, versioned_only: bool
) -> int:
    """Run the embedded tenant on loopback until Ctrl-C, and print its address and keys.

    Its keys are made anew at each start and open nothing else. What is proved against it is evidence about this suite.

    \b
    Examples:
      gt-conformance serve --port 8800 --tenant-file lab.yaml
      gt-conformance run --tenant lab.yaml --runbook dify       (in another terminal)
      gt-conformance serve --fault stream-without-done --fault embeddings-500
      gt-conformance serve --variant names-with-slashes
    """
    from gt_conformance.cli._serving import serve_until_interrupted  # noqa: PLC0415 - loaded when it is needed

    named = (*faults, *(["versioned-only"] if versioned_only else []))
    return serve_until_interrupted(port, tenant_file, named, variants)
