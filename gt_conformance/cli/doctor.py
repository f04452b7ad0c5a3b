"""``gt-conformance doctor``: what the keys can do, what the set-up says otherwise, and what is missing."""

import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from gt_conformance import doctor as examining
from gt_conformance import document
from gt_conformance import tenant as tenants
from gt_conformance.cli._options import choosing_runbooks, naming_runbooks, split_names, text_or_json
from gt_conformance.cli._setup import Foretold, Setup
from gt_conformance.doctor import Examination
from gt_conformance.planning import Selection
from gt_conformance.tenant import Tenant

_READY, _MISSING, _UNREACHABLE = 0, 7, 8
DEFAULT_FILE = Path("tenant.yaml")


@click.command
@naming_runbooks
@click.option(
    "--tenant",
    "tenant_file",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Tenant file. Else GT_BASE_URL, GT_MODEL, GT_DATASET, GT_API_KEY and every GT_KEY_... of the environment.",
)
@choosing_runbooks("What is missing for this runbook (may be repeated).")
@click.option("--write", metavar="FILE", type=click.Path(path_type=Path), help="Write a tenant file there.")
@text_or_json
def doctor(
    words: tuple[str, ...], tenant_file: Path | None, chosen: tuple[str, ...], write: Path | None, output: str
) -> int:
    """Ask the keys what they can do, show where the set-up disagrees, and list what is missing for a decision.

    It lists the models of each key, and tries the other routes with malformed requests: nothing is created, and no
    secret is printed or written. Without a tenant file it reads the environment, and writes tenant.yaml if there is
    none.

    \b
    Exit codes:
      0  nothing is missing
      7  something is missing, or the set-up disagrees with the tenant
      8  the tenant cannot be reached, or no key works
      4  bad command line or file

    \b
    Examples:
      gt-conformance doctor --runbook dify                      the environment; writes tenant.yaml
      gt-conformance doctor --tenant acme.yaml
      gt-conformance doctor dify --tenant acme.yaml --format json
    """
    setup = Setup(tenant_file, Selection(runbooks=tuple(dict.fromkeys(split_names((*words, *chosen))))))
    setup.load_books()
    tenant, value = read(tenant_file)
    found = examining.ask(tenant)
    mistakes = examining.find_mistakes(found)
    path = write or (DEFAULT_FILE if tenant_file is None and not DEFAULT_FILE.exists() else None)
    foretold = None
    if found.refusal is None:
        if path is not None:
            examining.write_file(found, value, path)
        foretold = setup.foretell(found.complete(tenant if tenant_file is not None else _as_written(found, value)))
    if output == "json":
        click.echo(json.dumps(_as_json(found, foretold), indent=2))
    else:
        print_found(found)
    if found.refusal is not None:
        return _UNREACHABLE
    if foretold is not None and output == "text":
        for line in foretold.list_needs():
            click.echo(line)
    if path is not None:
        click.echo(f"\n{path} is written. Then: gt-conformance run --tenant {path}", err=output == "json")
    elif tenant_file is None and output == "text":
        click.echo(f"\n{DEFAULT_FILE} exists, and is left as it is; --write FILE names another.")
    return _MISSING if mistakes or foretold is None or foretold.needs else _READY


def _as_written(found: Examination, value: Mapping[str, Any]) -> Tenant:
    """The tenant of the file that is made of the environment: what that lacks is what is missing."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / DEFAULT_FILE
        examining.write_file(found, value, path)
        return replace(tenants.from_file(path, os.environ), source=str(DEFAULT_FILE))


def read(tenant_file: Path | None) -> tuple[Tenant, Mapping[str, Any]]:
    """The tenant of the file, or of the environment, and the same in the form of a tenant file."""
    if tenant_file is None:
        return examining.from_variables(os.environ)
    source = document.read(tenant_file, schema="tenant")  # once: it may be a pipe
    return tenants.from_document(source, os.environ), source.value


def print_found(found: Examination) -> None:
    """What the keys can do, and what the set-up says otherwise; or why nothing could be asked."""
    if found.refusal is not None:
        click.secho(f"{found.tenant.base_url} could not be examined", bold=True)
        click.echo(f"  {found.refusal.reason}")
        click.echo(f"  → {found.refusal.remedy}")
        return
    title = f"{found.tenant.base_url} answers as the GT API ({found.requests} requests; nothing was created)"
    click.secho(title, bold=True)
    for line in examining.describe(found):
        click.echo(line)
    mistakes = examining.find_mistakes(found)
    if mistakes:
        click.echo("")
        click.secho(f"The set-up disagrees with the tenant ({len(mistakes)})", bold=True)
    for one in mistakes:
        click.echo(f"  {one.found}")
        click.echo(f"    → {one.remedy}")


def _as_json(found: Examination, foretold: Foretold | None) -> dict[str, Any]:
    refusal = found.refusal
    return {
        "tenant": {"base_url": found.tenant.base_url},
        "refusal": None if refusal is None else {"reason": refusal.reason, "remedy": refusal.remedy},
        "requests": found.requests,
        "keys": [
            {
                "name": one.key.name,
                "works": one.works,
                "problem": None
                if one.blocker is None
                else {"reason": one.blocker.reason, "remedy": one.blocker.remedy},
                "purpose": one.purpose.value if one.purpose else None,
                "scopes": None if one.scopes is None else sorted(one.scopes),
                "models": None if one.names is None else list(one.names),
                "writes_dataset": one.writes,
            }
            for one in found.found
        ],
        "names": {name: list(keys) for name, keys in found.listed.items()},
        "suggested_name": examining.suggest_name(found),
        "mistakes": [{"found": one.found, "remedy": one.remedy} for one in examining.find_mistakes(found)],
        **({} if foretold is None else foretold.described_needs()),
    }
