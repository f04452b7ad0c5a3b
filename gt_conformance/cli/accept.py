"""``gt-conformance accept``: accept what a run found, with an owner and an end, so that only what is new fails.

What is accepted is written as waivers of findings, beside the other entries and comments of the file, which stay.
"""

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import click

from gt_conformance import dated_entries, resources, results, schema, waiver
from gt_conformance.checks import BUILT_IN
from gt_conformance.cli._options import own_runbooks
from gt_conformance.dated_entries import quoted
from gt_conformance.errors import InputError, Location, Problem, unknown
from gt_conformance.history import ACCEPTED, History
from gt_conformance.results import Record
from gt_conformance.results.case_types import FindingRecord
from gt_conformance.runbook import Runbook, load_directory
from gt_conformance.schema import format_path, plain
from gt_conformance.vocabulary import CLIENT_CHECKS, Outcome, Severity
from gt_conformance.waiver import MAX_TERM, WAIVED_SUFFIX, Flaw, Judged, Waivers

_DAY = click.DateTime(["%Y-%m-%d"])
_TERM = timedelta(days=30)
"""How long something is accepted where no end is named."""

_MOST = 50
"""How many findings are accepted at once without being named: whoever accepts more has not read them."""

_OPTIONS = {"owner": "--owner", "reason": "--reason", "issue": "--issue", "expires": "--until"}


@click.command
@click.argument("file", metavar="[RESULTS]", required=False, type=click.Path(path_type=Path))
@click.option("--owner", metavar="NAME", required=True, help="Who is responsible for fixing it.")
@click.option("--reason", metavar="TEXT", required=True, help="Why it is not fixed yet.")
@click.option("--issue", metavar="URL", help="Where it is being worked on.")
@click.option("--until", metavar="DATE", type=_DAY, help="The last day. Default: 30 days from now; at most 180.")
@click.option(
    "--findings", metavar="ID,...", multiple=True, help="Only these findings (may be repeated). Default: all of them."
)
@click.option(
    "--to", metavar="FILE", type=click.Path(path_type=Path), help="The file to write to. Default: accepted.yaml."
)
@click.option(
    "--history",
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="Accept the last night of this history, in accepted.yaml there.",
)
@click.option("--night", metavar="RUN|DATE", help="Another night of the history.")
@own_runbooks
# For tests, as in attest.
@click.option("--today", metavar="DATE", type=_DAY, hidden=True)
def accept(  # noqa: PLR0913 - one argument an option
    *,
    file: Path | None,
    owner: str,
    reason: str,
    issue: str | None,
    until: datetime | None,
    findings: tuple[str, ...],
    to: Path | None,
    history: Path | None,
    night: str | None,
    runbooks: Path | None,
    today: datetime | None,
) -> int:
    """Accept findings of a run that violate or are blocked, at the places that they affect, until a date.

    They are written to a file of waivers, which you can read, change and commit. The next run with
    `gt-conformance run --accepted FILE` shows them as waived; if nothing else is wrong, it ends with GO WITH
    EXCEPTIONS. A finding at another place, or one that violates instead of being blocked, is new. An item that a person
    has to attest cannot be accepted.

    \b
    Examples:
      gt-conformance accept reports/results.json --owner "A. Example" --reason "The new gateway comes in May." \\
          --findings chat.completes~fb8420 --until 2027-05-31
      gt-conformance accept --history nights --owner "A. Example" --reason "Known since the migration."
    """
    if (file is None) == (history is None) or (night is not None and history is None):
        raise click.UsageError("name one results.json, or --history DIR (and there --night).")
    record = results.read(file) if file is not None else _night(history, night)
    path = to or (Path(ACCEPTED) if history is None else history / ACCEPTED)
    day = today.date() if today else datetime.now(tz=UTC).date()
    wanted = tuple(name.strip() for given in findings for name in given.split(",") if name.strip())
    terms = {"reason": reason, "owner": owner, **({"issue": issue} if issue else {}), "accepted_on": str(day)}
    terms |= {"expires": str(until.date() if until else day + _TERM)}
    books = load_directory(runbooks or resources.runbooks_dir())
    for line in _accept(record, wanted, terms, _File(path, books, day)):
        click.echo(line)
    return 0


@dataclass(frozen=True)
class _File:
    """The file of what is accepted, and how it is read."""

    path: Path
    books: Sequence[Runbook]
    today: date

    def load(self, path: Path | None = None) -> Waivers:
        """What it holds; nothing where there is none yet. Raises InputError with all that is wrong with it."""
        known = {*BUILT_IN.item_ids, *CLIENT_CHECKS}
        path = path or self.path
        if not path.exists():
            return Waivers()
        return waiver.load(path, self.books, known, self.today, tenant_checks=BUILT_IN.tenant_wide)

    def add(self, value: Mapping[str, Any]) -> None:
        """Write one entry more; what was there stays as it was."""
        count, lines = len(self.load().entries), _entry(value)
        if self.path.exists():
            text = dated_entries.read(self.path, waiver.NAME).insert(lines)
        else:
            text = dated_entries.begin(self.path, waiver.NAME, lines)
        dated_entries.write(text, self.path, lambda draft: self._holds(draft, count + 1))

    def _holds(self, draft: Path, count: int) -> bool:
        try:
            return len(self.load(draft).entries) == count
        except InputError:
            return False


def _night(folder: Path | None, night: str | None) -> Record:
    if folder is None or not folder.is_dir():
        raise InputError.of("there is no such folder.", where=Location(str(folder)), hint="Name one with --history.")
    return History(folder).night(night)


def _accept(record: Record, wanted: Sequence[str], terms: Mapping[str, str], file: _File) -> Iterator[str]:
    """Add what is not accepted yet, the most severe first, and say what was done about each finding."""
    _require_judged(record)
    able = {found["id"]: found for found in record.get("findings", ()) if found["outcome"] in {"violates", "blocked"}}
    if problems := [*_problems(wanted, record, able), *_term(terms, file.today)]:
        raise InputError(problems)
    chosen = [able[name] for name in wanted] if wanted else [*able.values()]
    if not wanted and len(chosen) > _MOST:
        raise InputError.of(
            f"the run has {len(chosen)} findings, and at most {_MOST} are accepted at once.",
            hint="Choose some with --findings.",
        )
    tenant = results.address_of(record)
    values = []
    for found in sorted(chosen, key=lambda one: list(Severity).index(Severity(one["severity"]))):
        value: dict[str, Any] = {"finding": found["id"], "check": found["check"], "outcome": found["outcome"]}
        places = _new_places(found, file.load().holding(file.today, tenant))
        if places is None:
            yield f"{found['id']} is accepted already."
            continue
        value |= {"places": places} if places else {}
        value |= {**terms, "run": record["run"]["id"], "tenant": tenant}
        _require_valid(value)
        values.append((found, value))
    for found, value in values:
        file.add(value)
        yield from _describe(found, value)
    for found in record.get("findings", ()):
        if found["outcome"] == Outcome.UNATTESTED and not wanted:
            yield f"{found['id']} is not accepted: {plain(found['remedy'], 300)}"
    if values:
        yield f"Added to {file.path}: commit it, and run with --accepted {file.path}."
    elif not chosen:
        yield "Nothing violates and nothing is blocked: there is nothing to accept."


def _require_judged(record: Record) -> None:
    run = record["run"]
    if run["refusal"] is not None:
        raise InputError.of(f"this run judged nothing: {run['refusal']['reason']}.", hint="Accept a run that did.")
    if "interrupted" in run or record["suite_errors"]:
        what = "was interrupted" if "interrupted" in run else "failed by a fault of the suite itself"
        raise InputError.of(f"this run {what}: what it blocked proves nothing.", hint="Accept a run that completed.")


def _problems(wanted: Sequence[str], record: Record, able: Mapping[str, FindingRecord]) -> Iterator[Problem]:
    others = {found["id"]: found for found in record.get("findings", ()) if found["id"] not in able}
    for name in wanted:
        if name in able:
            continue
        other = others.get(name) or others.get(f"{name}{WAIVED_SUFFIX}")
        if other is None:
            yield unknown("finding", name, [*able]) if able else Problem("the run has no finding that can be accepted.")
        elif other["outcome"] == Outcome.UNATTESTED:
            yield Problem(f"{name} cannot be accepted: a person has to attest it.", hint=plain(other["remedy"], 300))
        else:
            yield Problem(f"{name} is waived already.", hint="Leave it out.")


def _term(terms: Mapping[str, str], today: date) -> Iterator[Problem]:
    until = date.fromisoformat(terms["expires"])
    if until < today:
        yield Problem(f"it would have expired on {until} already.", path="--until", hint="Name a later day.")
    if until > today + MAX_TERM:
        message = f"{until} is more than {MAX_TERM.days} days away."
        yield Problem(message, path="--until", hint=f"The latest end today is {today + MAX_TERM}.")


def _require_valid(value: Mapping[str, Any]) -> None:
    errors = schema.load(waiver.NAME).errors(value, dated_entries.ENTRY)
    found = [Problem(one.finding, path=format_path(one.path), hint=one.hint) for one in errors]
    if problems := found or [*dated_entries.unsaid(value)]:
        raise InputError(
            Problem(one.message, path=_OPTIONS.get(one.path or "", one.path), hint=one.hint) for one in problems
        )


def _new_places(found: FindingRecord, accepted: Waivers) -> list[str] | None:
    """The places at which it is not accepted yet; none where it touches no case; None where all of it is accepted."""
    outcome = Outcome(found["outcome"])

    def is_accepted(place: str) -> bool:
        where = Judged("", None, None, found["check"], outcome, place)
        return any(one.finding and one.waives(where, Flaw(outcome, found["id"])) for one in accepted.entries)

    touched = [*found["places"], *found["blocks"]]
    new = [place for place in touched if not is_accepted(place)]
    return None if not new and (touched or is_accepted("")) else new


def _entry(value: Mapping[str, Any]) -> list[str]:
    """The lines of the entry, in the order in which a person reads them."""
    places = textwrap.wrap(", ".join(value.get("places", ())), 100, break_long_words=False, break_on_hyphens=False)
    lines = [
        f"finding: {quoted(value['finding'])}",
        f"check: {quoted(value['check'])}",
        f"outcome: {value['outcome']}",
        *([f"places: [{places[0]}]"] if len(places) == 1 else []),
        *(["places: [", *(f"  {line}" for line in places), "]"] if len(places) > 1 else []),
        f"reason: {quoted(value['reason'])}",
        f"owner: {quoted(value['owner'])}",
        *([f"issue: {quoted(value['issue'])}"] if "issue" in value else []),
        f"accepted_on: {value['accepted_on']}",
        f"expires: {value['expires']}",
        f"run: {quoted(value['run'])}",
        f"tenant: {quoted(value['tenant'])}",
    ]
    return [f"{'  ' if number else '- '}{line}" for number, line in enumerate(lines)]


def _describe(found: FindingRecord, value: Mapping[str, Any]) -> Iterator[str]:
    yield f"{found['id']} ({found['severity']}, {found['outcome']}): {plain(found['promise'], 300)}"
    yield f"  places  {len(value.get('places', ()))}"
    yield f"  owner   {value['owner']}, until {value['expires']}"
