"""What a decision is compared with, and what of it fails: of a run, and of records that are reported again."""

from dataclasses import dataclass
from pathlib import Path

from gt_conformance import resources, results
from gt_conformance.comparison import FailOn
from gt_conformance.errors import Problem, unknown
from gt_conformance.history import ACCEPTED, DEFAULT_KEPT
from gt_conformance.results import Record
from gt_conformance.runbook import load_directory
from gt_conformance.session import load_human_input


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
