"""Real clients driven without the rest of a run: a line for each, and what does not hold."""

import os
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

import click

from gt_conformance import report, resources, results, tenant
from gt_conformance.clients import (
    Environments,
    Judged,
    Measurement,
    Stage,
    judge,
    load_manifests,
    measure,
    select,
    update,
)
from gt_conformance.errors import InputError
from gt_conformance.proxy import exchange_numbers
from gt_conformance.results import Record
from gt_conformance.runbook import load_directory
from gt_conformance.tenant import Tenant, TenantKind, choose
from gt_conformance.vocabulary import Outcome
from gt_sandbox import EmbeddedTenant
from gt_sandbox.faults import FaultSet, select_faults


def run_clients(
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
        record = {"clients": results.client_records(judged, under_test), "tenant_checks": [], "runbooks": []}
        embedded = under_test.kind is TenantKind.EMBEDDED
    for line in report.client_text(record, verbose=verbose):
        click.secho(line.text, fg=_COLOURS.get(line.style))
    if target is not None:
        _write(record, target, embedded=embedded)
    outcomes = [Outcome(row["outcome"]) for row in results.client_rows(record)]
    if Outcome.VIOLATES in outcomes:
        return 1
    return 7 if Outcome.BLOCKED in outcomes else 0


def measure_clients(ids: Sequence[str], tenant_file: str | None, *, latest: bool, write: bool) -> int:
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
                measure(book, stage.session(client, book, key), urlsplit(under_test.base_url).path)
                for client in clients
            ]
            for one in found:
                _tell(one)
                failed = failed or one.failure is not None
            if write and any(one.profile is not None for one in found):
                click.echo(f"  written to {update(book, found)}")
            drifted = drifted or any(one.drifted for one in found)
    return 1 if drifted and not write else 7 if failed else 0


def _tell(found: Measurement) -> None:
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
        document = embedded.tenant_document()
        yield tenant.from_mapping(document, embedded.secrets, kind=TenantKind.EMBEDDED, name="the embedded tenant")


def _write(record: Record, target: Path, *, embedded: bool) -> None:
    on = datetime.now(UTC).date().isoformat()
    try:
        results.replace_text(target, report.clients_document(record, on, embedded=embedded))
    except OSError as error:
        raise InputError.of(f"{target} cannot be written: {error.strerror}.") from None
    click.echo(f"Written to {target}.")
