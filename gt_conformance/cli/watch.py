"""``gt-conformance watch``: a few requests every few minutes, as gauges for Prometheus."""

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType

import click

from gt_conformance import files, results, signals
from gt_conformance import tenant as tenants
from gt_conformance.cli._options import read_time, require_own_file
from gt_conformance.errors import InputError
from gt_conformance.schema import plain
from gt_conformance.tenant import Tenant, TenantKind
from gt_conformance.vocabulary import Decision, Outcome
from gt_conformance.watch import Allowance, Endpoint, Round, Schedule, Watch, Watched

_NOWHERE = "off"
_NOT_WRITTEN = 3
_LONGEST = 600
_HIGHEST_PORT = 65_535


@click.command
@click.option("--tenant", metavar="FILE", type=click.Path(path_type=Path), help="Tenant file, as for run.")
@click.option(
    "--every",
    metavar="TIME",
    default="5m",
    show_default=True,
    callback=lambda _context, _option, text: read_time(text),
    help="How long from the start of one round to the start of the next (90s, 5m).",
)
@click.option("--rounds", metavar="COUNT", type=click.IntRange(min=1), help="End after this many rounds.")
@click.option(
    "--max-tokens",
    metavar="COUNT",
    type=click.IntRange(min=1),
    help="Token limit for all rounds in 24 hours: a round that might exceed it is not sent.",
)
@click.option(
    "--listen",
    metavar="HOST:PORT",
    default="127.0.0.1:9469",
    show_default=True,
    help="Where Prometheus reads the gauges; port 0 picks a free one; off: nowhere.",
)
@click.option(
    "--metrics", metavar="FILE", type=click.Path(path_type=Path), help="Write the gauges there after each round, too."
)
def watch(
    *,
    tenant: Path | None,
    every: float,
    rounds: int | None,
    max_tokens: int | None,
    listen: str,
    metrics: Path | None,
) -> int:
    """Watch a tenant with at most 12 requests a round, judged by the checks of a run; serve gauges for Prometheus.

    A round lists the models, chats, streams a chat, embeds, and tries each key on a route outside its scopes, which
    must refuse it: as many keys as 12 requests allow, in turn. It creates nothing. The endpoint answers 200 whatever
    the tenant does: alert on gt_conformance_watch_up, gt_conformance_watch_check and gt_conformance_watch_flapping, and
    on the age of gt_conformance_watch_round_timestamp_seconds.

    The tenant file is read again before each round. Ctrl-C and SIGTERM end it at once.

    \b
    Exit codes:
      0  stopped by Ctrl-C or SIGTERM; or after --rounds: the last round conforms
      1  after --rounds: something violates in the last round
      3  after --rounds: the file of --metrics could not be written after the last round
      7  after --rounds: something is blocked in it, or it was not sent
      8  after --rounds: the tenant cannot be reached, or refuses every key

    \b
    Examples:
      gt-conformance watch --tenant acme.yaml
      gt-conformance watch --tenant acme.yaml --every 1m --listen 0.0.0.0:9469 --max-tokens 200000
      gt-conformance watch --tenant acme.yaml --rounds 1 --listen off --metrics /var/lib/node_exporter/gt.prom
    """
    address = _read_address(listen)
    if metrics is not None:
        require_own_file(metrics, "--metrics", b"gt_conformance_watch_")
    over = threading.Event()

    def end(signum: int, frame: FrameType | None) -> None:
        del signum, frame
        over.set()

    with signals.handling(end), _loading(tenant) as load:
        written = True

        def write(found: Watched) -> None:
            nonlocal written
            written = metrics is None or _write(found, metrics)

        watching = Watch(load, Allowance(max_tokens), Schedule(every, rounds), say=_say, ended=write)
        try:
            with nullcontext() if address is None else Endpoint(watching.watched.render, *address) as endpoint:
                if endpoint is not None:
                    click.echo(f"gauges at {endpoint.address}")
                watching.run(over)
        except OSError as error:
            raise InputError.of(f"--listen: {error.strerror or error}.") from None
    if over.is_set():
        return 0
    return _exit_code(watching.last) if written else _NOT_WRITTEN


def _say(line: str) -> None:
    """Print a line with the time; a tenant's words in it are made inert."""
    lead = " " * 2 if line.startswith("  ") else f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC  "
    click.echo(lead + plain(line.strip(), _LONGEST))


def _read_address(text: str) -> tuple[str, int] | None:
    if text == _NOWHERE:
        return None
    host, _, port = text.rpartition(":")
    if not host or not (port.isascii() and port.isdigit()) or int(port[:6]) > _HIGHEST_PORT:
        raise click.BadParameter(f"{text!r} is not HOST:PORT: write 127.0.0.1:9469, [::1]:9469, or off.")
    return host.removeprefix("[").removesuffix("]"), int(port)


@contextmanager
def _loading(file: Path | None) -> Iterator[Callable[[], Tenant]]:
    """What reads the tenant: that of the file, of the environment, or the embedded one, which runs meanwhile."""
    if file is not None:
        yield lambda: tenants.from_file(file, os.environ)
    elif (named := tenants.from_environment(os.environ)) is not None:
        yield lambda: named
    else:
        from gt_sandbox import EmbeddedTenant  # noqa: PLC0415 - loaded when it is needed

        with EmbeddedTenant() as embedded:
            click.secho("EMBEDDED tenant: evidence about this suite, never about a tenant.", bold=True)
            document, name = embedded.tenant_document(), "the embedded tenant"
            yield lambda: tenants.from_mapping(document, embedded.secrets, kind=TenantKind.EMBEDDED, name=name)


def _write(found: Watched, metrics: Path) -> bool:
    """Whether the gauges could be written; that they could not is printed, and the next round tries again."""
    try:
        files.replace_text(metrics, found.render())
    except OSError as error:
        _say(f"{metrics} cannot be written: {error.strerror}")
        return False
    return True


def _exit_code(last: Round | None) -> int:
    """What the last round means to the shell, as a run would say it."""
    if last is None or last.faults:
        decision = Decision.NOT_DECIDED
    elif last.refusal is not None:
        decision = Decision.UNREACHABLE
    else:
        worst = Outcome.worst(one.outcome for one in last.observations)
        decision = {Outcome.VIOLATES: Decision.NO_GO, Outcome.CONFORMS: Decision.GO}.get(worst, Decision.NOT_DECIDED)
    return results.EXIT_CODES[decision]
