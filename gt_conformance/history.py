"""The results of past nights: a folder of compressed records, and what a report draws of them.

A file is named by when its run began, by its tenant and by its run; that says whose it may be. When it was is what the
record itself says, which its first bytes hold: a copied, renamed or touched file takes nobody's place.
"""

import gzip
import hashlib
import json
import re
import zlib
from collections.abc import Collection, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from gt_conformance import files, results, schema
from gt_conformance.errors import InputError, Location, Problem
from gt_conformance.results import Record
from gt_conformance.results.case_types import RunbookRecord
from gt_conformance.results.record_types import NightRecord, NightTimesRecord
from gt_conformance.results.run_types import SeriesRecord, TenantAddress
from gt_conformance.timing import PastRun
from gt_conformance.vocabulary import RunbookOutcome

DEFAULT_KEPT = 90
NIGHTS = 30
"""How many days a record carries for its report."""
PARTIAL = "partial"
"""Stands for a runbook of which that night judged only some rows or items, and found nothing wrong in them."""

ACCEPTED = "accepted.yaml"
"""The file in the folder of a history, or beside a baseline, of what was accepted of their records."""

_NAME = re.compile(r"\d{8}T\d{6}Z-(?P<tenant>embedded|[0-9a-f]{12})-(?P<run>[0-9a-f]+)\.json\.gz")


class Source(NamedTuple):
    """A record and the file that it was read from."""

    path: Path
    record: Record


class History:
    """The records of any number of tenants in one folder; each tenant sees its own."""

    def __init__(self, folder: Path, kept: int = DEFAULT_KEPT) -> None:
        """Make the folder where it is missing. Raises InputError where it cannot be one, or cannot be read."""
        self._folder = folder
        self._kept = kept
        try:
            folder.mkdir(parents=True, exist_ok=True)
            next(folder.iterdir(), None)
        except OSError as error:
            raise InputError.of(
                f"the history cannot be kept there: {error.strerror}.",
                where=Location(str(folder)),
                hint="Name a folder with --history.",
            ) from None

    def before(self, record: Record) -> tuple[Source | None, list[Problem]]:
        """The last record of its tenant before this one, in which something was tested.

        Neither itself nor a run that it was merged from, which may be here as well. Of one of everything, only another
        of everything: beside a run of one runbook, all the others would be new. Besides, what could not be read.
        """
        run = record["run"]
        own = {run["id"], *(shard["id"] for shard in run.get("shards", ()))}
        whole = not results.is_partial(record)
        return self.latest(run["tenant"], whole=whole, before=_moment(run["started"]), without=own)

    def latest(
        self,
        tenant: TenantAddress,
        *,
        whole: bool = False,
        before: datetime | None = None,
        without: Collection[str] = (),
    ) -> tuple[Source | None, list[Problem]]:
        """The last record of this tenant (``run.tenant`` of a record) in which something was tested.

        With ``whole`` only one of everything counts; ``before`` a moment, and ``without`` these runs, where they are
        given. Besides, what could not be read on the way to it.
        """
        problems: list[Problem] = []
        for path, started in self._newest_first(_tag(tenant)):
            if _run_of(path) in without or (started is not None and before is not None and started > before):
                continue
            try:
                record = results.read(path)
            except InputError as error:
                problems += error.problems
            else:
                if record["run"]["refusal"] is None and not (whole and results.is_partial(record)):
                    return Source(path, record), problems
        return None, problems

    def night(self, wanted: str | None = None) -> Record:
        """The record of a run, by its id or as the last of a day (``2026-12-01``); without either, the last of all.

        Raises InputError where there is none, or where the last of all might be that of any of several tenants.
        """
        matches = ((path, _NAME.fullmatch(path.name)) for path in self._folder.iterdir())
        tags = sorted({match["tenant"] for _, match in matches if match})
        found = [one for tag in tags for one in self._newest_first(tag)]
        newest = sorted(found, key=lambda one: one[1] or _UNKNOWN, reverse=True)
        fitting = [path for path, started in newest if wanted is None or _is_night(path, started, wanted)]
        here = Location(str(self._folder))
        if not fitting:
            text = "there is no record here." if wanted is None else f"there is no record of the night {wanted} here."
            raise InputError.of(text, where=here, hint="Name the id of a run, or a day such as 2026-12-01.")
        if wanted is None and len(tags) > 1:
            raise InputError.of("this history is of several tenants.", where=here, hint="Name a run with --night.")
        return results.read(fitting[0])

    def runs(self, tenant: TenantAddress) -> Iterator[PastRun]:
        """What the last runs of this tenant have measured, the newest first; each is read when it is asked for.

        A file that cannot be read is passed over: ``nights`` names it.
        """
        try:
            found = [path for path, started in self._newest_first(_tag(tenant)) if started is not None]
        except OSError:
            return
        for path in found[:NIGHTS]:
            record = None
            with suppress(InputError):
                record = results.read(path)
            if record is not None:
                yield past_run(record)

    def nights(self, record: Record) -> tuple[list[NightRecord], list[Problem]]:
        """``history`` for this record: a day each, the last run of it, oldest first, this one last.

        Besides, what could not be read: a damaged file costs its own night and no other. Raises OSError where the
        folder has gone.
        """
        days, now = {_day(record): _night(record)}, _moment(record["run"]["started"])
        problems: list[Problem] = []
        for path, started in self._newest_first(_tag(record["run"]["tenant"])):
            if len(days) == NIGHTS:
                break
            if started is not None and started > now:  # an old record was reported again
                continue
            day = started.date().isoformat() if started else None
            if day not in days:
                night = _past_night(path) if day else None
                if night is None:
                    problems.append(_damaged(path))
                else:
                    days[night["day"]] = night
        return [days[day] for day in sorted(days)], problems

    def keep(self, record: Record) -> Path:
        """Add the record, and remove the oldest of its tenant beyond the number that is kept. Raises OSError.

        What was just added stays, however old it is; so does what is no record of this suite.
        """
        started = _moment(record["run"]["started"]).strftime("%Y%m%dT%H%M%SZ")
        tag = _tag(record["run"]["tenant"])
        path = self._folder / f"{started}-{tag}-{record['run']['id']}.json.gz"
        text = json.dumps(record, ensure_ascii=False).encode(errors="backslashreplace")
        files.replace_file(path, gzip.compress(text, mtime=0))
        others = [old for old, when in self._newest_first(tag) if old != path and when is not None]
        for old in others[max(0, self._kept - 1) :]:
            old.unlink(missing_ok=True)
        return path

    def _newest_first(self, tag: str) -> list[tuple[Path, datetime | None]]:
        """The files of that tenant with the moments of their runs; first those that are no records, with None."""
        matches = ((path, _NAME.fullmatch(path.name)) for path in self._folder.iterdir())
        found = [(path, _started(path)) for path, match in matches if match and match["tenant"] == tag]
        return sorted(found, key=lambda one: (one[1] or _UNKNOWN, one[0].name), reverse=True)


def past_run(record: Record) -> PastRun:
    """What a run has measured, as later ones count it."""
    samples = results.samples_of(record["run"], record["runbooks"], record["credentials"], record["exchanges"])
    return PastRun(_day(record), record["run"]["id"], samples)


def _run_of(path: Path) -> str:
    match = _NAME.fullmatch(path.name)
    return "" if match is None else match["run"]


def _is_night(path: Path, started: datetime | None, wanted: str) -> bool:
    return _run_of(path) == wanted or (started is not None and started.date().isoformat() == wanted)


def _tag(tenant: TenantAddress) -> str:
    if tenant["kind"] == "embedded":
        return "embedded"
    return hashlib.sha256(tenant["base_url"].encode()).hexdigest()[:12]


_UNKNOWN = datetime.max.replace(tzinfo=UTC)


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def _started(path: Path) -> datetime | None:
    """When the run of that file began, by its record; None where the file does not begin as a record does."""
    try:
        packed = files.read_start(path, results.PEEK_BYTES)
        found = results.peek(zlib.decompressobj(wbits=31).decompress(packed, results.PEEK_BYTES))
        return None if found is None else _moment(found)
    except (OSError, OverflowError, ValueError, zlib.error):
        return None


def _day(record: Record) -> str:
    return _moment(record["run"]["started"]).date().isoformat()


def _night(record: Record) -> NightRecord:
    night: NightRecord = {
        "day": _day(record),
        "run": record["run"]["id"],
        "totals": record["totals"],
        "runbooks": {book["id"]: _outcome(book) for book in record["runbooks"]},
        "version": record["run"]["version"],
        "runbooks_digest": record["run"]["runbooks_digest"],
        "keys_digest": _keys_digest(record),
    }
    if "times" in record:
        night["times"] = [_night_times(one) for one in record["times"]["routes"]]
    if "findings" in record:
        night["findings"] = [found["id"] for found in record["findings"]]
    return night


def _night_times(series: SeriesRecord) -> NightTimesRecord:
    """Of a stream what its reader waits for first, else the whole answer."""
    found = series.get("first_event_ms", series["total_ms"])
    return {
        "route": series["route"],
        "way": series["way"],
        "count": series["count"],
        "p50_ms": found["p50"],
        "p95_ms": found["p95"],
    }


def _keys_digest(record: Record) -> str:
    """What the tenant file declares: where the tenant is, and which keys it has, without what a run saw of them."""
    keys = [{**key, "vectors": None} for key in record["credentials"]]
    declared = {"base_url": record["run"]["tenant"]["base_url"], "keys": keys}
    if record["run"]["tenant"]["kind"] == "embedded":  # listens at another port, with other secrets, in every run
        declared = {"keys": [{**key, "fingerprint": None} for key in keys]}
    return hashlib.sha256(json.dumps(declared, sort_keys=True).encode(errors="backslashreplace")).hexdigest()


def _past_night(path: Path) -> NightRecord | None:
    """The night of a file, of which no more is read than a night takes; None where it is damaged."""
    try:
        night = _night(json.loads(files.unpack(files.read_bounded(path, results.MOST_BYTES), results.MOST_BYTES)))
    except (OSError, EOFError, zlib.error, ValueError, KeyError, TypeError, RecursionError):
        return None
    return None if schema.load("results").errors(night, "#/$defs/night") else night


def _outcome(book: RunbookRecord) -> str:
    outcome = book["outcome"]
    return outcome if results.is_whole(book) or outcome != RunbookOutcome.CONFORMANT else PARTIAL


def _damaged(path: Path) -> Problem:
    return Problem("this record of a past night is damaged.", where=Location(str(path)), hint="Remove the file.")
