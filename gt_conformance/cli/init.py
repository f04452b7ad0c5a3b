"""``gt-conformance init``: a tenant file to begin with."""

from pathlib import Path

import click

from gt_conformance import dated_entries, resources
from gt_conformance.tenant import require_new, write_new


@click.command
@click.argument("path", type=click.Path(path_type=Path), default=Path("tenant.yaml"), metavar="[FILE]")
@click.option(
    "--from-env", is_flag=True, help="Ask the keys of the environment what they can do, as doctor does, and write that."
)
def init(path: Path, *, from_env: bool) -> int:
    """Write a commented tenant file (default: tenant.yaml). It does not change an existing file.

    The file holds no secret: each key names the environment variable, the file or the command that provides it.

    \b
    Examples:
      gt-conformance init
      gt-conformance init acme.yaml
      gt-conformance init --from-env acme.yaml
    """
    if from_env:
        if not _examine(path):
            return 8
    else:
        text = resources.sample_tenant().read_text(encoding="utf-8").replace("--tenant FILE", f"--tenant {path.name}")
        write_new(path, "\n".join([dated_entries.modeline(path, "tenant"), *text.splitlines()[1:], ""]))
    click.echo(f"{path} is written. Change what is yours in it, then: gt-conformance plan --tenant {path}")
    return 0


def _examine(path: Path) -> bool:
    """Write what the keys of the environment can do; whether anything could be asked."""
    from gt_conformance import doctor as examining  # noqa: PLC0415 - nothing of it is needed without the option
    from gt_conformance.cli.doctor import print_found, read  # noqa: PLC0415 - as above

    tenant, value = read(None)
    require_new(path)
    found = examining.ask(tenant)
    print_found(found)
    if found.refusal is None:
        examining.write_file(found, value, path)
    return found.refusal is None
