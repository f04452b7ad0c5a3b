"""Options of `fleet run` that hand the tenants to an engine in place of this process."""

from collections.abc import Callable
from functools import wraps
from pathlib import Path

import click

from gt_conformance.engines import BATCH, Scheduler
from gt_conformance.errors import InputError


def choosing_engine(command: Callable[..., int]) -> Callable[..., int]:
    """``--engine`` and what goes with it, as ``scheduler``, which is None for this process, and ``batch``."""

    @click.option(
        "--engine",
        type=click.Choice(["process", "dask"]),
        default="process",
        show_default=True,
        help="Where the tenants are judged: in this process, or on the workers of Dask.",
    )
    @click.option("--scheduler", "address", metavar="ADDRESS", help="Dask's scheduler, such as tls://scheduler:8786.")
    @click.option(
        "--batch",
        metavar="COUNT",
        type=click.IntRange(1, 10_000),
        default=BATCH,
        show_default=True,
        help="How many tenants a task of Dask judges.",
    )
    @_certificate("ca", "The certificate authority of Dask's scheduler and workers.")
    @_certificate("cert", "The certificate that identifies this command to them.")
    @_certificate("key", "Its private key.")
    @wraps(command)
    def with_engine(
        *,
        engine: str,
        address: str | None,
        batch: int,
        tls_ca: Path | None,
        tls_cert: Path | None,
        tls_key: Path | None,
        **given: object,
    ) -> int:
        if (engine == "dask") != (address is not None):
            raise InputError.of("--engine dask and --scheduler go together.")
        scheduler = None if address is None else Scheduler(address, tls_ca, tls_cert, tls_key)
        return command(**given, scheduler=scheduler, batch=batch)

    return with_engine


def _certificate(name: str, text: str) -> Callable[[Callable[..., int]], Callable[..., int]]:
    found = click.Path(path_type=Path, dir_okay=False, exists=True)
    return click.option(f"--tls-{name}", metavar="FILE", type=found, help=text)
