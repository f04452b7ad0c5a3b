"""``gt-conformance run``: pytest on the suites."""

from pathlib import Path

import click


@click.command(
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": True},
    short_help="Judge the runbooks against a tenant.",
)
@click.option(
    "--tenant", metavar="FILE", help="Tenant file. Else GT_BASE_URL, GT_API_KEY and GT_MODEL; else the embedded tenant."
)
@click.option("--runbook", "runbook_ids", metavar="ID", multiple=True, help="Only this runbook (may be repeated).")
@click.option(
    "--route", "routes", metavar="ROUTE", multiple=True, help="Only this route, such as chat (may be repeated)."
)
@click.option(
    "--verdict", "verdicts", metavar="VERDICT", multiple=True, help="Only rows of this verdict (may be repeated)."
)
@click.option("--report-dir", metavar="DIR", default="reports", show_default=True, help="Where the reports go.")
@click.option("--runbooks", metavar="DIR", help="A folder of your own runbooks.")
@click.option("--strict", is_flag=True, help="Advisories count as violations.")
@click.option("--versioned-only", is_flag=True, help="Embedded tenant: route /api/tenant/v1/* only.")
@click.argument("pytest_arguments", nargs=-1, type=click.UNPROCESSED)
def run(  # noqa: PLR0913 - one argument an option
    tenant: str | None,
    runbook_ids: tuple[str, ...],
    routes: tuple[str, ...],
    verdicts: tuple[str, ...],
    report_dir: str,
    runbooks: str | None,
    *,
    strict: bool,
    versioned_only: bool,
    pytest_arguments: tuple[str, ...],
) -> int:
    """Judge the runbooks against a tenant.

    With no tenant named it starts the embedded one on loopback, and says so. What stands after -- goes to pytest.

    \b
    Exit codes:
      0  everything conforms
      1  something violates
      7  nothing violates, something is blocked or unattested
      8  the tenant cannot be reached, or refuses the credential that everything needs
      2, 3, 4, 5  pytest's own: interrupted, internal error, bad command line or file, nothing selected

    \b
    Examples:
      gt-conformance run --tenant acme.yaml
      gt-conformance run --tenant acme.yaml --runbook dify --runbook n8n
      gt-conformance run --tenant acme.yaml --route embeddings --verdict native
      gt-conformance run --tenant acme.yaml -- -k "langchain and native" -v
    """
    import pytest  # noqa: PLC0415 - half a second that --help need not wait for

    from gt_conformance import resources  # noqa: PLC0415 - as above

    suites = resources.suites_dir()
    arguments = [str(suites), "-c", str(suites.parent / "pytest.ini"), "--rootdir", str(suites.parent)]
    arguments += [
        "-p",
        "gt_conformance.pytest_plugin",
        "-o",
        f"cache_dir={Path(report_dir).resolve() / '.pytest_cache'}",
    ]
    named = {"--tenant": tenant, "--report-dir": report_dir, "--runbooks": runbooks}
    arguments += [f"{name}={Path(value).resolve()}" for name, value in named.items() if value is not None]
    for name, values in (("--runbook", runbook_ids), ("--route", routes), ("--verdict", verdicts)):
        arguments += [f"{name}={value}" for value in values]
    arguments += ["--strict-advisories"] if strict else []
    arguments += ["--versioned-only"] if versioned_only else []
    return int(pytest.main([*arguments, *_ids_resolved(pytest_arguments, suites.parent)]))


def _ids_resolved(arguments: tuple[str, ...], root: Path) -> list[str]:
    # A node id as reports print it (suites/test_routes.py::...) is taken from the suites, wherever the command runs.
    return [str(root / item) if item.startswith("suites/") else item for item in arguments]
