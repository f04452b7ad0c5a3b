"""``gt-conformance clients``: install and drive the real clients of the runbooks."""

from collections.abc import Sequence

import click

from gt_conformance import resources
from gt_conformance.clients import Client, Environments, Manifest, load_manifests
from gt_conformance.errors import InputError, Problem
from gt_conformance.runbook import load_directory


@click.group(short_help="Install, drive and measure the real clients.")
def clients() -> None:
    """Install, drive and measure the real clients of the runbooks.

    ID is a runbook (langchain), one client of it (langchain/python), or all.

    \b
    Examples:
      gt-conformance clients list
      gt-conformance clients install langchain dify
      gt-conformance clients run langchain --tenant acme.yaml
    """


@clients.command(name="list", short_help="Every runbook's clients, and which are installed.")
def list_() -> int:
    """List every runbook's clients: version, size, whether it is installed; or why none can be driven."""
    environments = _environments()
    for manifest in _manifests():
        if manifest.unavailable:
            click.echo(f"{manifest.runbook:<32} not to be had: {manifest.unavailable}")
        for client in manifest.clients:
            there = "installed" if environments.installed(client) else f"{client.install_mb} MB, {client.install_s} s"
            routes = ", ".join(route.value for route in client.drives)
            click.echo(f"{client.id:<32} {client.title} {client.version} ({there}): {routes}")
    return 0


@clients.command(short_help="Install clients, each in an environment of its own.")
@click.argument("ids", nargs=-1, metavar="[ID]...")
@click.option("--latest", is_flag=True, help="The latest release, beside the locked one.")
def install(ids: tuple[str, ...], *, latest: bool) -> int:
    """Install clients by their locks, each in an environment of its own below .clients/. What is there stays.

    \b
    Examples:
      gt-conformance clients install all
      gt-conformance clients install langchain/python
    """
    environments = _environments()
    problems: list[Problem] = []
    chosen = select(_manifests(), ids)
    for number, client in enumerate(chosen, start=1):
        try:
            found = environments.install(client, latest=latest)
        except InputError as error:
            problems += error.problems
            continue
        state = f"installed in {found.seconds:.0f} s" if found.anew else "is installed"
        click.echo(f"[{number}/{len(chosen)}] {client.id} {found.version} {state}")
    if problems:
        raise InputError(problems)
    return 0


def select(manifests: Sequence[Manifest], ids: Sequence[str]) -> list[Client]:
    """The clients of these ids, in the order of the runbooks. Raises InputError for an id that names none."""
    every = [client for manifest in manifests for client in manifest.clients]
    known = {"all": every}
    known |= {manifest.runbook: list(manifest.clients) for manifest in manifests if manifest.clients}
    known |= {client.id: [client] for client in every}
    reasons = {manifest.runbook: manifest.unavailable for manifest in manifests if manifest.unavailable}
    if not ids:
        raise InputError.of("no client is named.", hint=f"Name some, or all. Known: {', '.join(known)}.")
    for name in ids:
        if name in reasons:
            raise InputError.of(f"no client of {name} can be driven: {reasons[name]}")
        if name not in known:
            raise InputError.of(f"there is no client {name!r}.", hint=f"Known: {', '.join(known)}.")
    wanted = {client.id for name in ids for client in known[name]}
    return [client for client in every if client.id in wanted]


def _manifests() -> tuple[Manifest, ...]:
    return load_manifests(resources.clients_dir(), load_directory(resources.runbooks_dir()))


def _environments() -> Environments:
    return Environments(resources.environments_dir(), resources.clients_dir(), lambda line: click.echo(line, err=True))
