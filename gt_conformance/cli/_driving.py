"""Real clients driven without the rest of a run: a line for each, and what does not hold."""

import os
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import click

from gt_conformance import report, resources, results, tenant
from gt_conformance.clients import Environments, Judged, Stage, judge, load_manifests, select
from gt_conformance.errors import InputError
from gt_conformance.proxy import exchange_numbers
from gt_conformance.results import Record
from gt_conformance.runbook import load_directory
from gt_conformance.sandbox import EmbeddedTenant
from gt_conformance.sandbox.faults import Planted, planted
from gt_conformance.tenant import Tenant, TenantKind, choose
from gt_conformance.vocabulary import Outcome


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
        stage = Stage(
            under_test,
            Environments(resources.environments_dir(), resources.clients_dir(), _say),
            resources.clients_dir() / "_shared",
            secrets.token_hex(4),
            exchange_numbers(),
            _say,
        )
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
    faults = planted(["versioned-only"]) if versioned_only else Planted()
    with EmbeddedTenant(edges=faults.edges) as embedded:
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
