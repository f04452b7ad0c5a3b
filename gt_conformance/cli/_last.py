"""The last record: the one in the report directory, unless another is named."""

from pathlib import Path

from gt_conformance import results
from gt_conformance.errors import InputError, Location
from gt_conformance.results import Record


def read_last(given: Path) -> Record:
    """The record of a file, or of the results.json in a folder. Raises InputError."""
    path = given / results.FILE_NAME if given.is_dir() or given == Path("reports") else given
    if not path.exists():
        raise InputError.of(
            "there is no record of a run.",
            where=Location(str(path)),
            hint="Run `gt-conformance run` first, or name a results.json or its folder with --from.",
        )
    return results.read(path)
