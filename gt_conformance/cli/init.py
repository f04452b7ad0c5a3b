"""``gt-conformance init``: a tenant file to begin with."""

from pathlib import Path

import click

from gt_conformance import resources
from gt_conformance.errors import InputError, Location


@click.command
@click.argument("path", type=click.Path(path_type=Path), default=Path("tenant.yaml"), metavar="[FILE]")
def init(path: Path) -> int:
    """Write a commented tenant file, tenant.yaml where no name is given. One that exists is left as it is.

    It holds no secret: each key names the environment variable, the file or the command that gives it.

    \b
    Examples:
      gt-conformance init
      gt-conformance init acme.yaml
    """
    text = resources.sample_tenant().read_text(encoding="utf-8").replace("--tenant FILE", f"--tenant {path.name}")
    try:
        with path.open("x", encoding="utf-8") as target:
            target.write(text)
    except FileExistsError:
        raise InputError.of(
            "there is a file of that name already.", where=Location(str(path)), hint="Name another."
        ) from None
    except OSError as error:
        raise InputError.of(f"it cannot be written: {error.strerror}.", where=Location(str(path))) from None
    click.echo(f"{path} is written. Change what is yours in it, then: gt-conformance plan --tenant {path}")
    return 0
