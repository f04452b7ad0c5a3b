"""The journal of a run: what it finds, appended to a file as it goes, so that a run that is killed leaves a record too.

The file has one JSON value a line. The first line holds the record of a run that has judged nothing; each further line
holds what was found since the one before: exchanges, judged cases and what was sent. A line is written by one
call, so that a kill costs the last line at most. Nothing in it is a secret: it holds what results.json would hold.
"""

import json
import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

from gt_conformance import files, results
from gt_conformance.errors import InputError, Location
from gt_conformance.exchange import ExchangeRecord
from gt_conformance.planning import CaseKind
from gt_conformance.results import Record
from gt_conformance.results.case_types import CaseRecord
from gt_conformance.results.run_types import RunRecord, TrafficRecord

JOURNAL = "journal.ndjson"
"""The name of the file in a report directory."""

KILLED = "the run was killed before this was judged"
"""Why a case that the journal does not hold is blocked."""

_VERSION = 1
_EVERY_S = 0.2
_BROKEN = "The file was changed by hand, or is not a journal of this version."


@dataclass(frozen=True)
class Findings:
    """What a run found since it was last asked: exchanges by reference, judged cases by kind, and what was sent."""

    exchanges: Mapping[str, ExchangeRecord] = field(default_factory=dict)
    cases: Sequence[tuple[CaseKind, CaseRecord]] = ()
    traffic: TrafficRecord | None = None


class JournalWriter:
    """Appends to a journal from a thread of its own, several times a second, until it is closed.

    ``make_blank`` gives the record of a run that has judged nothing, ``find`` what was found since it was last called;
    both are called from that thread only, ``find`` once more at the end. The file is there once its first line can be
    written. A journal that cannot be written, or not any more, stops; ``problem`` then is the OSError.
    """

    def __init__(self, path: Path, make_blank: Callable[[], Record], find: Callable[[], Findings]) -> None:
        self.path = path
        self.problem: OSError | None = None
        self._make_blank = make_blank
        self._find = find
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="journal", daemon=True)
        self._descriptor: int | None = None
        self._closing = threading.Lock()

    def start(self) -> None:
        """Begin in the background, shortly: the first requests need not wait for a record of nothing."""
        self._thread.start()

    def close(self) -> None:
        """Write what is left and end. Safe to call again."""
        self._over.set()
        with self._closing:
            if self._thread.is_alive():
                self._thread.join()
            if self._descriptor is not None:
                os.close(self._descriptor)
                self._descriptor = None

    def discard(self) -> None:
        """Close, and remove the file: the record itself was written."""
        self.close()
        self.path.unlink(missing_ok=True)

    def _run(self) -> None:
        self._over.wait(_EVERY_S)
        blank = self._make_blank()
        try:
            self._descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o666)
            self._append({"journal": _VERSION, "record": blank})
            while not self._over.wait(_EVERY_S):
                self._append_findings()
            self._append_findings()
        except OSError as error:
            self.problem = OSError(error.errno, error.strerror, str(self.path))

    def _append_findings(self) -> None:
        found = self._find()
        if found.exchanges or found.cases:
            self._append(
                {
                    "at": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
                    "exchanges": found.exchanges,
                    "cases": [{"kind": kind.value, "record": case} for kind, case in found.cases],
                    "traffic": found.traffic,
                }
            )

    def _append(self, value: Mapping[str, Any]) -> None:
        if self._descriptor is None:
            return
        line = memoryview((json.dumps(value, ensure_ascii=False) + "\n").encode(errors="backslashreplace"))
        while line:
            line = line[os.write(self._descriptor, line) :]


def rebuild(path: Path) -> Record:
    """The record of a run that was killed, from its journal; ``path`` is that file or the report directory.

    What had not been judged is blocked. Raises InputError where there is no journal, or it is no journal.
    """
    path = path / JOURNAL if path.is_dir() else path
    where = Location(str(path))
    try:
        content = files.read_bounded(path, results.MOST_BYTES)
    except OSError as error:
        raise InputError.of(
            f"the journal cannot be read: {error.strerror}.",
            where=where,
            hint="A run removes its journal once it has written results.json: name that file instead.",
        ) from None
    lines = _Lines(content, where)
    try:
        first = next(lines, {})
        if first.get("journal") != _VERSION:
            raise InputError.of("this is not the journal of a run.", where=Location(where.file, 1), hint=_BROKEN)
        record = _merge(cast("Record", first["record"]), lines)
    except (LookupError, TypeError, ValueError, AttributeError):
        raise InputError.of("the journal is damaged.", where=lines.here, hint=_BROKEN) from None
    # As every record that is read: against the schema, and against itself.
    return results.seal(results.parsed(json.dumps(record).encode(), where))


class _Lines(Iterator[dict[str, Any]]):
    """The lines of a journal as they are read; ``here`` is the place of the last one."""

    def __init__(self, content: bytes, where: Location) -> None:
        whole, _, _ = content.rpartition(b"\n")  # what follows the last line's end was being written
        self._left = enumerate(whole.split(b"\n") if whole else (), start=1)
        self.here = Location(where.file, 1)

    def __next__(self) -> dict[str, Any]:
        """The next one. Raises InputError where it is no JSON object."""
        number, line = next(self._left)
        self.here = Location(self.here.file, number)
        try:
            value = json.loads(line)
        except (ValueError, RecursionError):
            value = None
        if not isinstance(value, dict):
            raise InputError.of("this line of the journal is not a JSON object.", where=self.here, hint=_BROKEN)
        return value


def _merge(blank: Record, lines: Iterator[dict[str, Any]]) -> Record:
    exchanges: dict[str, ExchangeRecord] = {}
    judged: dict[tuple[CaseKind, str], CaseRecord] = {}
    traffic: list[TrafficRecord] = []  # not the blank one: what was seen by then is in the lines, too
    finished = blank["run"]["finished"]
    for line in lines:
        exchanges |= line["exchanges"]
        judged |= {(CaseKind(case["kind"]), case["record"]["id"]): case["record"] for case in line["cases"]}
        traffic += [line["traffic"]] if line["traffic"] else []
        finished = line["at"]
    lasted = datetime.fromisoformat(finished) - datetime.fromisoformat(blank["run"]["started"])
    run: RunRecord = {
        **blank["run"],
        "finished": finished,
        "duration_s": round(max(0.0, lasted.total_seconds()), 3),
        "interrupted": "killed",
    }
    return results.complete(blank, judged, exchanges=exchanges, traffic=results.add_traffic(traffic), run=run)
