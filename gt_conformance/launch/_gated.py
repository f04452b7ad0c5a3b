"""Records that were made before, decided again as the run that made them would be with these options."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from gt_conformance import results
from gt_conformance.companions import Companions, read_project
from gt_conformance.comparison import FailOn
from gt_conformance.errors import InputError, Problem
from gt_conformance.launch._baseline import Baseline
from gt_conformance.launch._gate import ACCEPTED_OF_NOTHING, Gate, accept
from gt_conformance.results import Record
from gt_conformance.results.record_types import OptionsRecord, RunRecord
from gt_conformance.tenant import TenantKind


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
