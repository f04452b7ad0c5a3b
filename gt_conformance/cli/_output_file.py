"""A file that an option names for what a command writes: it is looked at before anything is sent."""

import os
from pathlib import Path

from gt_conformance import files
from gt_conformance.errors import InputError, Location

_LOOKED_AT = 64 * 1024


def require_own_file(path: Path, option: str, mark: bytes) -> None:
    """Raises InputError where the file cannot be written, or holds something that this suite did not write.

    ``mark`` is in the first bytes of every file that the command writes. An empty file, a device and a pipe may be
    written to.
    """
    if path.is_dir() or not os.access(path.parent, os.W_OK | os.X_OK):
        raise InputError.of(f"{path} cannot be written ({option}).", hint="Name a file in a folder that you may write.")
    if not path.is_file():
        return
    try:
        start = files.read_start(path, _LOOKED_AT)
    except OSError as error:
        raise InputError.of(
            f"{path} cannot be read: {error.strerror}.", hint=f"Name another file with {option}."
        ) from None
    if start.strip() and mark not in start:
        raise InputError.of(
            "this file was not written by gt-conformance, so it is not overwritten.",
            where=Location(str(path)),
            hint=f"Name another file with {option}, or move this one.",
        )
