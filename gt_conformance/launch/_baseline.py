"""Earlier runs: the record to compare with, the history to add to, and what was accepted of them."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import urlsplit

from gt_conformance import comparison, results
from gt_conformance.checks import Earlier
from gt_conformance.errors import Location, Problem
from gt_conformance.history import History, past_run
from gt_conformance.launch._gate import Gate
from gt_conformance.results import Record
from gt_conformance.results.record_types import TenantAddress
from gt_conformance.tenant import Tenant, TenantKind, is_loopback
from gt_conformance.timing import Past, PastRun


class Baseline:
    """Read before anything is sent, so that a baseline that is no use ends the run at once."""

    def __init__(self, gate: Gate, tenant: TenantAddress | None) -> None:
        """``tenant`` is None for the embedded one. Raises InputError."""
        self.notices: list[Problem] = []
        """What was ignored, and changes no verdict."""
        self._fail_on = gate.fail_on
        self._history = History(gate.history, gate.history_keep) if gate.history else None
        self._file = gate.baseline
        self._record = None if self._file is None else self._read(self._file, tenant)

    def _read(self, file: Path, tenant: TenantAddress | None) -> Record:
        """The baseline. A tenant on this machine may be the embedded one, served: its answers tell, at the end."""
        record = results.read(file)
        of_embedded = record["run"]["tenant"]["kind"] == TenantKind.EMBEDDED
        named: TenantAddress = {"kind": TenantKind.EMBEDDED.value, "base_url": ""} if tenant is None else tenant
        is_open = of_embedded and is_loopback(urlsplit(named["base_url"]).hostname or "")
        if self._fail_on is comparison.FailOn.NEW and not is_open:
            comparison.require_same_tenant(record, named, Location(str(file)))
        return record

    def _latest(self, record: Record) -> Record | None:
        """What to compare with: the baseline, or the last record in the history of the tenant that answered."""
        if self._file is not None or self._history is None:
            return self._record
        try:
            source, problems = self._history.before(record)
        except OSError:
            return None  # the folder has gone, as is reported below
        self.notices += problems
        return None if source is None else source.record

    @property
    def earlier(self) -> Mapping[str, Earlier]:
        """What the last recorded run saw, by the fingerprint of the secret with which it did."""
        return results.earlier_by_secret(self._record)

    def past(self, tenant: Tenant) -> Past:
        """The runs of this tenant in the history, or else the baseline, each read when it is asked for."""

        def runs(embedded: bool) -> Iterator[PastRun]:  # noqa: FBT001 - as the source of a past
            kind = TenantKind.EMBEDDED if embedded else tenant.kind
            if self._history is not None:
                yield from self._history.runs({"kind": kind.value, "base_url": tenant.base_url})
            elif self._record is not None and self._record["run"]["tenant"]["kind"] == kind:
                yield past_run(self._record)

        return Past(runs)

    def join(self, record: Record) -> Record:
        """The record, sealed, with what changed since the baseline, and with its history."""
        joined = record.copy()
        if (before := self._latest(record)) is not None:
            joined["since"] = comparison.compare(before, record)
        if self._history is not None:
            try:
                joined["history"], problems = self._history.nights(joined)
            except OSError as error:
                problems = [Problem(f"the history could not be read: {error.strerror}.")]
            self.notices += [problem for problem in problems if problem not in self.notices]
        self.notices += [Problem(remark) for remark in record.get("waiver_remarks", ())]
        return record if joined == record else results.seal(joined)

    def keep(self, record: Record) -> None:
        """Add the record to the history. A folder that cannot be written is reported, and costs nothing else."""
        if self._history is None:
            return
        try:
            self._history.keep(record)
        except OSError as error:
            self.notices.append(Problem(f"the history could not be kept: {error.strerror}."))
