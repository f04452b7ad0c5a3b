"""``gt-conformance clients``: install and drive the real clients of the runbooks."""

from pathlib import Path

import click


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
    from gt_conformance.cli._installing import list_clients  # noqa: PLC0415 - loaded when it is needed

    return list_clients()


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
    from gt_conformance.cli._installing import install_clients  # noqa: PLC0415 - loaded when it is needed

    return install_clients(ids, latest=latest)


@clients.command(short_help="Drive clients against a tenant, and say what came of it.")
@click.argument("ids", nargs=-1, metavar="[ID]...")
@click.option("--tenant", metavar="FILE", help="Tenant file. Else the environment, or the embedded tenant, as for run.")
@click.option("--versioned-only", is_flag=True, help="Embedded tenant: route /api/tenant/v1/* only.")
@click.option("--write", "target", metavar="FILE", type=click.Path(path_type=Path), help="Write the table there too.")
@click.option("--verbose", is_flag=True, help="Every call, in the client's own words.")
def run(ids: tuple[str, ...], *, tenant: str | None, versioned_only: bool, target: Path | None, verbose: bool) -> int:
    """Install what is missing, drive the clients, and print a line for each: versions, rows, requests, seconds.

    Nothing but the clients is judged; gt-conformance run --clients judges everything and writes the reports.

    \b
    Exit codes: 0 all conforms, 1 something violates, 7 something was not tested.

    \b
    Examples:
      gt-conformance clients run openai-sdk-curl
      gt-conformance clients run langchain/python --tenant acme.yaml --verbose
    """
    from gt_conformance.cli._driving import run_clients  # noqa: PLC0415 - loaded when it is needed

    return run_clients(ids, tenant, target, versioned_only=versioned_only, verbose=verbose)


@clients.command(short_help="Hold what clients send today beside the wire profiles in the runbooks.")
@click.argument("ids", nargs=-1, metavar="[ID]...")
@click.option("--tenant", metavar="FILE", help="Tenant file. Else the environment, or the embedded tenant, as for run.")
@click.option("--latest", is_flag=True, help="The latest release rather than the locked one.")
@click.option("--update", is_flag=True, help="Write it into the runbooks, with version and date.")
def measure(ids: tuple[str, ...], *, tenant: str | None, latest: bool, update: bool) -> int:
    """Drive clients once, and print where what they send is not what the runbook's wire profile says.

    A release that changes its defaults is how runbooks rot: another surface, new fields, another limit.

    \b
    Exit codes: 0 no difference, or written; 1 something differs; 7 a client could not be driven.

    \b
    Examples:
      gt-conformance clients measure openai-sdk-curl
      gt-conformance clients measure all --latest --update
    """
    from gt_conformance.cli._driving import measure_clients  # noqa: PLC0415 - loaded when it is needed

    return measure_clients(ids, tenant, latest=latest, write=update)
