"""From a fleet file to a Fleet: everything that is wrong is reported at once."""

from pathlib import Path

from gt_conformance.fleet._fleet import Fleet


def load_fleet(path: Path) -> Fleet:
    """The fleet of a file. No tenant file is read and no secret looked up. Raises InputError with file and line."""
    raise NotImplementedError(path)
