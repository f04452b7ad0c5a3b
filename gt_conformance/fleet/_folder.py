"""The folder of a fleet: a record for each tenant and night, or why there is none; each file is written whole."""

import gzip
import json
import zlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from gt_conformance import files, results
from gt_conformance.errors import InputError, Location
from gt_conformance.history import NIGHTS, past_run
from gt_conformance.results import Record
from gt_conformance.tenant import TenantKind
from gt_conformance.timing import Past, PastRun

_RECORD, _PROBLEM = ".json.gz", ".problem.json"
_LEVEL = 6
"""Of gzip: the next ones take twice the time for a hundredth less."""
_MOST_PROBLEM_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Folder:
    """What is kept of one night; other processes may write to the same folder, for other tenants."""

    directory: Path
    night: date

    @property
    def records(self) -> Path:
        """The folder of the records."""
        return self.directory / "records" / self.night.isoformat()

    def part(self, name: str) -> Path:
        """The file of the rows of a part."""
        return self.directory / "outcomes" / self.night.isoformat() / f"{name}.parquet"

    def make(self) -> None:
        """Make the folders. Raises InputError."""
        for folder in (self.records, self.part("any").parent):
            try:
                folder.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise InputError.of(
                    f"the folder cannot be made: {error.strerror}.", where=Location(str(folder)), hint="Check --out."
                ) from None

    def recorded(self) -> frozenset[str]:
        """The tenants that have a record of this night. Raises OSError."""
        return frozenset(
            path.name.removesuffix(_RECORD)
            for path in self.records.iterdir()
            if path.name.endswith(_RECORD) and path.is_file()
        )

    def keep(self, tenant: str, record: Record) -> None:
        """Write the record; the problem that there was before is none any more. Raises OSError."""
        text = json.dumps(record, ensure_ascii=False).encode(errors="backslashreplace")
        files.replace_file(self._path(tenant, _RECORD), gzip.compress(text, _LEVEL, mtime=0))
        self._path(tenant, _PROBLEM).unlink(missing_ok=True)

    def note(self, tenant: str, problem: str) -> None:
        """Write why there is no record. Raises OSError."""
        text = json.dumps({"tenant": tenant, "problem": problem}, ensure_ascii=False)
        files.replace_text(self._path(tenant, _PROBLEM), text + "\n")

    def read(self, tenant: str, *, checked: bool) -> Record | None:
        """The record; None where there is none. Raises InputError where it is damaged.

        Unless it is ``checked`` it is taken as it was written: holding it against its schema and against itself takes
        four times as long.
        """
        return _read(self._path(tenant, _RECORD), checked=checked)

    def past(self, tenant: str, base_url: str) -> Past:
        """What earlier nights measured of the tenant at that address, each read when it is asked for."""

        def runs(embedded: bool) -> Iterator[PastRun]:  # noqa: FBT001 - as the source of a past
            try:
                nights = sorted(
                    path.name for path in self.records.parent.iterdir() if path.name < self.night.isoformat()
                )
            except OSError:
                return
            for night in nights[: -NIGHTS - 1 : -1]:
                path = self.records.parent / night / f"{tenant}{_RECORD}"
                with suppress(InputError):  # it is damaged: its night is passed over
                    record = _read(path, checked=False)
                    kind = TenantKind.EMBEDDED.value if embedded else TenantKind.LIVE.value
                    if record is not None and _is_of(record, kind, base_url):
                        yield past_run(record)

        return Past(runs)

    def problem(self, tenant: str) -> str | None:
        """Why there is no record, where that is known."""
        try:
            value = json.loads(files.read_bounded(self._path(tenant, _PROBLEM), _MOST_PROBLEM_BYTES))
        except (OSError, ValueError, RecursionError):
            return None
        text = value.get("problem") if isinstance(value, dict) else None
        return text if isinstance(text, str) else None

    def _path(self, tenant: str, ending: str) -> Path:
        return self.records / f"{tenant}{ending}"


def _read(path: Path, *, checked: bool) -> Record | None:
    if not path.is_file():
        return None
    if checked:
        return results.read(path)
    try:
        found: Record = json.loads(files.unpack(files.read_bounded(path, results.MOST_BYTES), results.MOST_BYTES))
    except (OSError, EOFError, ValueError, RecursionError, zlib.error):
        return results.read(path)  # which says what is wrong
    return found


def _is_of(record: Record, kind: str, base_url: str) -> bool:
    tenant = record["run"]["tenant"]
    return (tenant["kind"], tenant["base_url"]) == (kind, base_url)
