"""``gt-conformance verify``: whether a record is consistent."""

from collections.abc import Iterator
from pathlib import Path

import click

from gt_conformance import report, resources, results, tenant, verification
from gt_conformance.exchange import inert, shortened
from gt_conformance.results import Record
from gt_conformance.runbook import load_directory
from gt_conformance.schema import count_noun
from gt_conformance.verification import Difference, Verification

_NOT_CONSISTENT = 1


@click.command
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="RESULTS...")
@click.option(
    "--tenant",
    "tenant_file",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="The tenant file that the run should have used: compared without its secrets, which are not read.",
)
@click.option(
    "--runbooks", metavar="DIR", type=click.Path(path_type=Path), help="The folder of the runbooks that the run used."
)
def verify(paths: tuple[Path, ...], tenant_file: Path | None, runbooks: Path | None) -> int:
    """Check that a record is consistent: a results.json, gzipped or not, or a report directory. Sends nothing.

    It recomputes outcomes, findings, totals and decisions from the checks, replays each check whose exchanges are
    complete in the record, and compares digests. It lists each difference: where it is, what the record says, and what
    was computed.

    A digest shows a change, not who made the record: for that, sign the statement next to it (docs/ci).

    \b
    Exit codes: 0 each record is consistent, 1 one is not, 4 one cannot be read.

    \b
    Examples:
      gt-conformance verify reports
      gt-conformance verify nights/*.json.gz
      gt-conformance verify reports/results.json --tenant acme.yaml
    """
    books = load_directory(runbooks or resources.runbooks_dir())
    named = None if tenant_file is None else tenant.from_file(tenant_file, {}, rehearsed=True)
    code = 0
    for path in map(results.file_of, paths):
        record = results.load(path)
        found = verification.verify(record, runbooks=books, tenant=named)
        statement = list(_compare_statement(path))
        for line in _lines(path, record, found, statement):
            click.echo(line)
        if statement or not found.is_consistent:
            code = _NOT_CONSISTENT
    return code


def _compare_statement(path: Path) -> Iterator[Difference]:
    """Where the statement beside a record is about another one. Raises InputError where it is no statement."""
    beside = path.with_name(report.STATEMENT)
    if path.name == report.RESULTS and beside.is_file():
        digest, said = report.file_digest(path), report.read_subject(beside)
        if said != digest:
            yield Difference(report.STATEMENT, f"{path.name} has the digest {said}", f"it has {digest}")


def _lines(path: Path, record: Record, found: Verification, statement: list[Difference]) -> Iterator[str]:
    run = record["run"]
    whence = f"run {run['id']} of {_shown(run['tenant']['base_url'])} ({run['tenant']['kind']})"
    differences = [*found.differences, *statement]
    word = "consistent" if not differences else f"not consistent: {count_noun(len(differences), 'difference')}"
    yield f"{path}: {whence}, {record.get('decision', 'not decided')}: {word}."
    yield from (f"  {one}" for one in differences)
    cases = sum(1 for _ in results.cases(record))
    found_again = count_noun(len(record.get("findings", ())), "finding")
    counted = f"{count_noun(cases, 'case')}, {found_again} and the decision computed again"
    yield f"  {counted}; {len(found.replayed.checks)} of {found.checks} checks replayed."
    made = run.get("provenance")
    if made is not None:
        yield f"  Made by {_shown(made['by'])} on {_shown(made['vantage'])}, {_shown(made['python'])}."
    yield from (f"  {inert(text)}" for text in found.remarks)


def _shown(text: str) -> str:
    return str(inert(shortened(" ".join(text.split()), 200)))
