"""``gt-conformance clients``: install, drive and measure the real clients of the runbooks."""

import os
import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

import click

from gt_conformance import report, resources, results, tenant
from gt_conformance.clients import (
    Environments,
    Judged,
    Manifest,
    Measurement,
    Need,
    Stage,
    is_proved,
    judge,
    load_manifests,
    needs_of,
    select,
    update,
)
from gt_conformance.clients import (
    measure as measure_client,
)
from gt_conformance.errors import InputError, Problem
from gt_conformance.proxy import exchange_numbers
from gt_conformance.results.case_types import CasesRecord
from gt_conformance.runbook import Runbook, load_directory
from gt_conformance.tenant import Tenant, TenantKind, choose
from gt_conformance.vocabulary import Outcome, Route
from gt_sandbox import EmbeddedTenant
from gt_sandbox.faults import FaultSet, select_faults

_TENANT = click.option(
    "--tenant",
    "tenant_file",
    metavar="FILE",
    help="Tenant file. Else the environment, or the embedded tenant, as for run.",
)


@click.group
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
    return _list_clients()


@clients.command(short_help="Install clients, each in an environment of its own.")
@click.argument("ids", nargs=-1, metavar="[ID]...")
@click.option("--latest", is_flag=True, help="The latest release too, next to the locked one.")
def install(ids: tuple[str, ...], *, latest: bool) -> int:
    """Install clients by their locks, each in an environment of its own below .clients/. What is there stays.

    \b
    Examples:
      gt-conformance clients install all
      gt-conformance clients install langchain/python
    """
    return _install_clients(ids, latest=latest)


@clients.command(short_help="Drive clients against a tenant and report the results.")
@click.argument("ids", nargs=-1, metavar="[ID]...")
@_TENANT
@click.option("--versioned-only", is_flag=True, help="Embedded tenant: route /api/tenant/v1/* only.")
@click.option(
    "--write", "target", metavar="FILE", type=click.Path(path_type=Path), help="Write the table to this file, too."
)
@click.option("--verbose", is_flag=True, help="Show every call as the client reports it.")
def run(
    ids: tuple[str, ...], *, tenant_file: str | None, versioned_only: bool, target: Path | None, verbose: bool
) -> int:
    """Install what is missing, drive the clients, and print a line for each: versions, rows, requests, seconds.

    Nothing but the clients is judged; gt-conformance run --clients judges everything and writes the reports.

    \b
    Exit codes: 0 all conforms, 1 something violates, 7 something was not tested.

    \b
    Examples:
      gt-conformance clients run openai-sdk-curl
      gt-conformance clients run langchain/python --tenant acme.yaml --verbose
    """
    return _run_clients(ids, tenant_file, target, versioned_only=versioned_only, verbose=verbose)


@clients.command(short_help="Compare what clients send today with the wire profiles in the runbooks.")
@click.argument("ids", nargs=-1, metavar="[ID]...")
@_TENANT
@click.option("--latest", is_flag=True, help="The latest release rather than the locked one.")
@click.option("--update", "write", is_flag=True, help="Write it into the runbooks, with version and date.")
def measure(ids: tuple[str, ...], *, tenant_file: str | None, latest: bool, write: bool) -> int:
    """Drive clients once, and print where their requests differ from the runbook's wire profile.

    Runbooks become outdated when a release changes its defaults: another surface, new fields, another limit.
    If no tenant is named, each need in a profile is tested on an embedded tenant that lacks it, one after the other.

    \b
    Exit codes: 0 no difference, or written; 1 something differs; 7 a client could not be driven.

    \b
    Examples:
      gt-conformance clients measure openai-sdk-curl
      gt-conformance clients measure all --latest --update
    """
    return _measure_clients(ids, tenant_file, latest=latest, write=write)


def _list_clients() -> int:
    """Print every runbook's clients, with whether each is installed; or why none can be driven."""
    environments = _environments()
    for manifest in _manifests():
        if manifest.unavailable:
            click.echo(f"{manifest.runbook:<32} not available: {manifest.unavailable}")
        for client in manifest.clients:
            there = "installed" if environments.installed(client) else f"{client.install_mb} MB, {client.install_s} s"
            routes = ", ".join(route.value for route in client.drives)
            click.echo(f"{client.id:<32} {client.title} {client.version} ({there}): {routes}")
            if client.sends:
                but = f", but for uploads: {client.no_forms}" if client.no_forms else ""
                click.echo(f"{'':<32} its {client.sends} sends the runbook's HTTP steps{but}")
            if client.acts:
                click.echo(f"{'':<32} an agent: {client.acts}")
        for product in manifest.undriven:
            click.echo(f"{manifest.runbook:<32} by hand: {product.title}: {product.why}")
    return 0


def _install_clients(ids: Sequence[str], *, latest: bool) -> int:
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
    return Environments(resources.environments_dir(), resources.clients_dir(), _say)


def _run_clients(
    ids: Sequence[str], tenant_file: str | None, target: Path | None, *, versioned_only: bool, verbose: bool
) -> int:
    """Drive the clients of these ids and print what came of it; ``target`` takes the table as Markdown as well.

    Gives the exit code. Raises InputError for an id, a tenant file or a target that cannot be used.
    """
    books = {book.id: book for book in load_directory(resources.runbooks_dir())}
    chosen = select(load_manifests(resources.clients_dir(), list(books.values())), ids)
    judged: list[Judged] = []
    with _tenant(tenant_file, versioned_only=versioned_only) as under_test:
        stage = _stage(under_test)
        for manifest, clients in chosen:
            book = books[manifest.runbook]
            choice = choose(under_test, book.id, book.native_routes())
            judged.append(judge(book, stage.drive(manifest, clients, book, choice), under_test))
        record: CasesRecord = {
            "clients": results.client_records(judged, under_test, results.CheckRecords()),
            "tenant_checks": [],
            "runbooks": [],
        }
        embedded = results.is_embedded(under_test, results.client_exchanges(judged))
    for line in report.client_text(record, verbose=verbose):
        click.secho(line.text, fg=_COLOURS.get(line.style))
    if target is not None:
        _write(record, target, embedded=embedded, by_hand=_by_hand(books))
    outcomes = [case.outcome for case in results.cases(record)]
    if Outcome.VIOLATES in outcomes:
        return 1
    return 7 if Outcome.BLOCKED in outcomes else 0


def _measure_clients(ids: Sequence[str], tenant_file: str | None, *, latest: bool, write: bool) -> int:
    """Drive the clients of these ids once, and print where what they send is not what the runbooks say.

    ``write`` writes it into the runbooks. Gives the exit code: 1 where something differs and was not written.
    """
    books = {book.id: book for book in load_directory(resources.runbooks_dir())}
    chosen = select(load_manifests(resources.clients_dir(), list(books.values())), ids)
    drifted = failed = False
    with _tenant(tenant_file, versioned_only=False) as under_test:
        stage = _stage(under_test, latest=latest, once=True)
        for manifest, clients in chosen:
            book = books[manifest.runbook]
            key = choose(under_test, book.id, book.native_routes()).own
            found = [
                measure_client(book, stage.session(client, book, key), urlsplit(under_test.base_url).path)
                for client in clients
            ]
            if under_test.kind is TenantKind.EMBEDDED:
                found = [replace(one, stale=tuple(_stale(one, book, latest=latest))) for one in found]
            for one in found:
                _print_measured(one)
                failed = failed or one.failure is not None
            if write and any(one.profile is not None for one in found):
                click.echo(f"  written to {update(book, found)}")
            drifted = drifted or any(one.drifted for one in found)
    return 1 if drifted and not write else 7 if failed else 0


LACKING: Mapping[Route, Mapping[str, str]] = {
    Route.CHAT: {
        "index": "stream-without-index",
        "role": "chat-without-role",
        "assistant": "chat-of-another-role",
        "types": "chat-id-a-number",
        "object": "chat-calls-itself-something-else",
        "usage": "chat-usage-without-counts",
        "json": "chat-as-plain-text",
        "choices": "stream-begins-without-choices",
        "delta": "stream-of-null-deltas",
        "data": "stream-of-events-without-data",
        "done": "stream-goes-on-after-done",
        "end": "stream-left-open",
        "lf_data_only": "stream-of-crlf",
    },
    Route.EMBEDDINGS: {
        "model": "embeddings-without-model",
        "usage": "embeddings-without-usage",
        "json": "embeddings-as-plain-text",
        "base64": "base64-as-floats",
    },
}
"""The fault of an embedded tenant that lacks just what a client is said to need."""


def _stale(found: Measurement, book: Runbook, *, latest: bool) -> Iterator[Need]:
    """What the profile says that the client needs, and without which it worked just now."""
    if found.profile is None or found.failure is not None:
        return
    for need in needs_of(found.profile):
        faults = select_faults([LACKING[need.route][need.name]])
        with EmbeddedTenant(middleware=faults.middleware) as embedded:
            lacking = _embedded(embedded)
            key = choose(lacking, book.id, book.native_routes()).own
            session = _stage(lacking, latest=latest, once=True).session(found.session.client, book, key)
        if not is_proved(need, found.session, session):
            yield need


def _print_measured(found: Measurement) -> None:
    session, profile = found.session, found.profile
    click.secho(f"{session.client.id}: {session.client.title} {session.version}", bold=True)
    if found.failure is not None:
        click.secho(f"  {found.failure}", fg="yellow")
    elif profile is None:
        click.echo("  the runbook has no wire profile of it")
    else:
        of = f"the profile of {profile.package} {profile.version}, measured on {profile.on}"
        click.echo(f"  beside {of}: {'' if found.drifted else 'no difference'}")
    for item in found.differences:
        click.secho(f"    {item}", fg="red")
    for need in found.stale:
        click.secho(f"    {need}: the profile says that it is needed, and the client works without it", fg="red")
    for line in found.discovery:
        click.secho(f"    discovery: the profile does not name {line}", fg="red")


def _stage(under_test: Tenant, *, latest: bool = False, once: bool = False) -> Stage:
    sources = resources.clients_dir()
    return Stage(
        under_test,
        Environments(resources.environments_dir(), sources, _say),
        sources / "_shared",
        secrets.token_hex(4),
        exchange_numbers(),
        _say,
        latest=latest,
        once=once,
    )


_COLOURS = {"bold red": "red", "bold green": "green", "green": "green", "yellow": "yellow", "cyan": "cyan"}


def _say(line: str) -> None:
    click.echo(line, err=True)


@contextmanager
def _tenant(tenant_file: str | None, *, versioned_only: bool) -> Iterator[Tenant]:
    """The tenant that is named, else the embedded one while this lasts."""
    named = tenant.from_file(Path(tenant_file), os.environ) if tenant_file else tenant.from_environment(os.environ)
    if named is not None:
        if versioned_only:
            raise InputError.of("--versioned-only is about the embedded tenant, and another is named.")
        yield named
        return
    faults = select_faults(["versioned-only"]) if versioned_only else FaultSet()
    with EmbeddedTenant(middleware=faults.middleware) as embedded:
        _say("EMBEDDED tenant: evidence about this suite and the clients, never about a tenant.")
        yield _embedded(embedded)


def _embedded(running: EmbeddedTenant) -> Tenant:
    document = running.tenant_document()
    return tenant.from_mapping(document, running.secrets, kind=TenantKind.EMBEDDED, name="the embedded tenant")


def _by_hand(books: Mapping[str, Runbook]) -> list[tuple[str, str]]:
    """What no client drives, of every runbook: the product, and why."""
    manifests = load_manifests(resources.clients_dir(), list(books.values()))
    products = [(books[one.runbook].title, one.unavailable) for one in manifests if one.unavailable]
    return [*products, *((product.title, product.why) for one in manifests for product in one.tried_by_hand)]


def _write(record: CasesRecord, target: Path, *, embedded: bool, by_hand: Sequence[tuple[str, str]]) -> None:
    on = datetime.now(UTC).date().isoformat()
    try:
        results.replace_text(target, report.clients_document(record, on, embedded=embedded, by_hand=by_hand))
    except OSError as error:
        raise InputError.of(f"{target} cannot be written: {error.strerror}.") from None
    click.echo(f"Written to {target}.")
