"""Which clients there are, and their installation."""

from collections.abc import Sequence

import click

from gt_conformance import resources
from gt_conformance.clients import Environments, Manifest, load_manifests, select
from gt_conformance.errors import InputError, Problem
from gt_conformance.runbook import load_directory


def list_clients() -> int:
    """Print every runbook's clients, with whether each is installed; or why none can be driven."""
    environments = _environments()
    for manifest in _manifests():
        if manifest.unavailable:
            click.echo(f"{manifest.runbook:<32} not to be had: {manifest.unavailable}")
        for client in manifest.clients:
            there = "installed" if environments.installed(client) else f"{client.install_mb} MB, {client.install_s} s"
            routes = ", ".join(route.value for route in client.drives)
            click.echo(f"{client.id:<32} {client.title} {client.version} ({there}): {routes}")
            if client.acts:
                click.echo(f"{'':<32} an agent: {client.acts}")
    return 0


def install_clients(ids: Sequence[str], *, latest: bool) -> int:
    """Install the clients of these ids, each whatever became of the others.

    Raises InputError for an id, and with every installation that failed.
    """
    environments = _environments()
    problems: list[Problem] = []
    chosen = [client for _, clients in select(_manifests(), ids) for client in clients]
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


def _manifests() -> tuple[Manifest, ...]:
    return load_manifests(resources.clients_dir(), load_directory(resources.runbooks_dir()))


def _environments() -> Environments:
    return Environments(resources.environments_dir(), resources.clients_dir(), lambda line: click.echo(line, err=True))
