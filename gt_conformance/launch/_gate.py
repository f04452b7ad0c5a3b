"""What a decision is compared with, and what of it fails: in a run, and in records that are reported again."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

from gt_conformance import comparison, resources, results
from gt_conformance.checks import Earlier
from gt_conformance.companions import Companions, read_project
from gt_conformance.comparison import FailOn
from gt_conformance.errors import InputError, Location, Problem, unknown
from gt_conformance.history import ACCEPTED, DEFAULT_KEPT, History, past_run
from gt_conformance.results import Record
from gt_conformance.results.run_types import OptionsRecord, RunRecord, TenantAddress
from gt_conformance.runbook import load_directory
from gt_conformance.session import load_human_input
from gt_conformance.tenant import Tenant, TenantKind, is_loopback
from gt_conformance.timing import Past, PastRun


@dataclass(frozen=True)
class Gate:
    """The earlier record to compare with, the folder of past nights, and whether what was accepted fails too."""

    baseline: Path | None
    fail_on: FailOn
    history: Path | None
    history_keep: int
    accepted: Path | None

    @property
    def names_what_was_accepted(self) -> bool:
        """Whether anything says what was accepted, or where a file of it would be."""
        return bool(self.accepted or self.baseline or self.history)

    @property
    def accepted_file(self) -> Path | None:
        """The file of what is accepted: the one that is named; with ``--fail-on new`` else that beside what is known.

        That is ``accepted.yaml`` in the folder of the history, or of the baseline. Without one nothing is accepted, so
        that what was found last night fails again, until it is fixed, waived or accepted.
        """
        if self.accepted is not None or self.fail_on is FailOn.ANY:
            return self.accepted
        folders = [self.history, None if self.baseline is None else results.file_of(self.baseline).parent]
        found = (folder / ACCEPTED for folder in folders if folder is not None)
        return next((path for path in found if path.exists()), None)


ACCEPTED_OF_NOTHING = Problem(
    "--fail-on new needs to know what was accepted.", hint="Add --accepted, --history or --baseline."
)


def read_fail_on(name: str, problems: list[Problem]) -> FailOn:
    """The value of ``--fail-on``; what is wrong with it is added to the problems."""
    try:
        return FailOn(name)
    except ValueError:
        problems.append(unknown("value of --fail-on", name, [value.value for value in FailOn]))
        return FailOn.ANY


def read_history_keep(count: int | None, problems: list[Problem]) -> int:
    """The value of ``--history-keep``; what is wrong with it is added to the problems."""
    kept = DEFAULT_KEPT if count is None else count
    if kept < 1:
        problems.append(Problem("--history-keep is less than 1.", hint="Name how many results to keep."))
    return kept


def accept(record: Record, path: Path) -> Record:
    """The record as it would have been had the run read this file of what is accepted. Raises InputError."""
    found = load_human_input(load_directory(resources.runbooks_dir()), accepted=path)
    return results.accept(record, found.waivers, found.today)


# -- earlier runs


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


# -- records that are reported again


class Gated:
    """A record with what is accepted of it, what changed, and its past. Raises InputError where a file is no use."""

    def __init__(self, gate: Gate, record: Record) -> None:
        self._baseline = Baseline(gate, record["run"]["tenant"])
        path = gate.accepted_file
        if path is not None:
            record = accept(record, path)
        record = _note(record, gate.fail_on, path)
        self.record = results.seal(self._baseline.join(record))

    @property
    def notices(self) -> Sequence[Problem]:
        """What was ignored, and changes no verdict."""
        return self._baseline.notices

    def keep(self) -> None:
        """Add the record to the history, unless its run was interrupted, its suite failed, or it does not hold."""
        is_over = "interrupted" not in self.record["run"]
        if is_over and not self.record["suite_errors"] and not self.record.get("unverified"):
            self._baseline.keep(self.record)


def gate_records(gate: Gate, records: Sequence[Record]) -> list[Gated]:
    """Each of these records, of a tenant each, decided with that gate.

    As in a run, gt-conformance.toml names files that no option does, and the embedded tenant takes none of those.
    Raises InputError.
    """
    if gate.baseline is not None and len(records) > 1:
        raise InputError.of(
            f"--baseline is a record of one tenant, and these are records of {len(records)}.",
            hint="Compare each with its own past by --history.",
        )
    project = read_project(Path())
    gates = []
    for record in records:
        found = Companions(accepted=gate.accepted, history=gate.history)
        if record["run"]["tenant"]["kind"] != TenantKind.EMBEDDED:
            found = found.or_else(project)
        gates.append(replace(gate, accepted=found.accepted, history=found.history))
    if gate.fail_on is FailOn.NEW and not all(one.names_what_was_accepted for one in gates):
        raise InputError([ACCEPTED_OF_NOTHING])
    return [Gated(one, record) for one, record in zip(gates, records, strict=True)]


def _note(record: Record, fail_on: FailOn, accepted: Path | None) -> Record:
    """The record with the options that decided, as its run would have noted them."""
    options: OptionsRecord = {**record["run"]["options"]}
    if fail_on is FailOn.NEW:
        options["fail_on"] = fail_on.value
    if accepted is not None:
        options["accepted"] = accepted.name
    run: RunRecord = {**record["run"], "options": options}
    return {**record, "run": run}
