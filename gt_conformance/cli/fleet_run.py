"""``gt-conformance fleet run``: the tenants that are due, judged and recorded."""

import gc
import sys
import time
from collections.abc import Callable
from datetime import date
from functools import wraps
from pathlib import Path

import click

from gt_conformance.cli._options import of_labels, of_night, read_shard
from gt_conformance.engines import BATCH, Scheduler, judge_on_dask
from gt_conformance.errors import InputError
from gt_conformance.fleet import AT_ONCE, Progress, Summary, judge_tenants, load_fleet


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


_EVERY_S = 30.0
"""How often a line is printed where no terminal shows one that changes."""


@click.command
@click.argument("file", metavar="FLEET", type=click.Path(path_type=Path))
@click.option(
    "--out",
    "directory",
    metavar="DIR",
    required=True,
    type=click.Path(path_type=Path, file_okay=False),
    help="The folder of records and outcomes, which all shards share.",
)
@click.option(
    "--shard",
    metavar="I/N",
    default="0/1",
    callback=lambda _context, _option, text: read_shard(text),
    help="Only one of N shards, counted from 0: 0/8 is the first of eight.",
)
@click.option(
    "--at-once",
    metavar="COUNT",
    type=click.IntRange(1, 1000),
    default=AT_ONCE,
    show_default=True,
    help="How many tenants are judged at once.",
)
@of_night
@of_labels
@choosing_engine
def run(  # noqa: PLR0913 - one argument an option
    file: Path,
    directory: Path,
    shard: tuple[int, int],
    at_once: int,
    night: date,
    labels: list[tuple[str, str]],
    *,
    scheduler: Scheduler | None,
    batch: int,
) -> int:
    """Judge the tenants that are due, many at once, and write a record of each, and the outcomes as a table.

    A tenant that already has a record of this night is left out, so that the same command continues where it was
    stopped. A tenant that cannot be judged does not stop the others: the reason is recorded in its place. The exit code
    does not depend on the findings: gt-conformance fleet report reads the outcomes and decides.

    \b
    Exit codes:
      0  for each tenant that is due, a verdict is recorded, or the reason why there is none
      2  interrupted: the same command continues
      3  a fault of the suite, or of this machine (a full disk), kept something from being recorded
      4  the command line or the fleet file is wrong

    \b
    Examples:
      gt-conformance fleet run fleet.yaml --out nights
      gt-conformance fleet run fleet.yaml --out nights --shard 3/8 --at-once 100
      gt-conformance fleet run fleet.yaml --out nights --night 2026-11-27 --label region=eu
      gt-conformance fleet run fleet.yaml --out nights --engine dask --scheduler tcp://127.0.0.1:8786
    """
    fleet = load_fleet(file).labelled(labels)
    index, count = shard
    # What is loaded by now lives to the end, and most of what a tenant makes lives until its record is written: to look
    # at all of it for every 700 new objects, the default, is a tenth of what judging takes.
    gc.freeze()
    gc.set_threshold(50_000)
    shown = _Shown(terminal=sys.stderr.isatty())
    if scheduler is not None:
        if count > 1:
            raise InputError.of("--shard is for engines that start commands: Dask shares the tenants out by itself.")
        summary = judge_on_dask(
            fleet, directory, night=night, scheduler=scheduler, at_once=at_once, batch=batch, watch=shown.show
        )
    else:
        summary = judge_tenants(
            fleet,
            fleet.shard(index, count),
            directory,
            night=night,
            part=f"{index:05}-of-{count:05}",
            at_once=at_once,
            shards=count,
            beside=fleet.unselected_shard(index, count),
            watch=shown.show,
        )
    shown.end()
    _report(summary, night)
    return summary.exit_code


class _Shown:
    """The progress: one line that changes on a terminal, elsewhere a line now and then."""

    def __init__(self, *, terminal: bool) -> None:
        self._terminal = terminal
        self._begun = self._last = time.monotonic()
        self._width = 0

    def show(self, progress: Progress) -> None:
        """Show how far it is, if it is time to."""
        now = time.monotonic()
        if now - self._last < (0.2 if self._terminal else _EVERY_S):
            return
        self._last = now
        text = describe(progress, now - self._begun)
        if self._terminal:
            click.echo(f"\r{text:<{self._width}}", err=True, nl=False)
            self._width = len(text)
        else:
            click.echo(text, err=True)

    def end(self) -> None:
        """Take the line away."""
        if self._terminal and self._width:
            click.echo(f"\r{'':<{self._width}}\r", err=True, nl=False)


def describe(progress: Progress, elapsed_s: float) -> str:
    """How far it is, and how long it may take."""
    if progress.done == progress.due:
        return f"{progress.due:,} tenants: writing the outcomes"
    parts = [f"{progress.done:,} of {progress.due:,} tenants", f"{progress.under_way} in progress"]
    if progress.problems:
        parts.append(f"{progress.problems:,} could not be judged")
    judged = progress.recorded + progress.problems
    left = progress.due - progress.done
    if judged and left:
        parts.append(f"about {_minutes(elapsed_s * left / judged)} left")
    return ", ".join(parts)


def _minutes(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"


def _report(summary: Summary, night: date) -> None:
    progress = summary.progress
    for problem in summary.problems:
        click.echo(f"not judged: {problem}", err=True)
    if len(summary.problems) < progress.problems and summary.problems:
        click.echo(f"not judged: {progress.problems - len(summary.problems):,} more.", err=True)
    for fault in summary.faults:
        click.echo(f"error: {fault}", err=True)
    if not progress.due:
        click.echo(f"{night}: no tenant is due.")
        return
    parts = [f"{progress.recorded:,} recorded"]
    parts += [f"{progress.left_out:,} had a record already"] if progress.left_out else []
    parts += [f"{progress.problems:,} could not be judged"] if progress.problems else []
    click.echo(
        f"{night}: {progress.due:,} {'tenant is' if progress.due == 1 else 'tenants are'} due: {', '.join(parts)}."
    )
    if summary.interrupted is not None:
        click.echo(f"Interrupted ({summary.interrupted}): the same command goes on with what is left.", err=True)
