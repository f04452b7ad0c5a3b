"""One run at a time writes to a report directory: two would take each other's record and reports away."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from gt_conformance.errors import InputError

if sys.platform != "win32":  # where a folder cannot be locked
    import fcntl


@contextmanager
def hold(folder: Path) -> Iterator[None]:
    """Keep other runs out of the folder. It leaves no file behind, and ends with the process at the latest.

    Raises InputError where another run is in it, and OSError where it cannot be opened. A file system that knows no
    locks keeps nobody out.
    """
    if sys.platform == "win32":
        yield
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):
            _lock(descriptor, folder)
        yield
    finally:
        os.close(descriptor)


def _lock(descriptor: int, folder: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise InputError.of(
            f"another run is writing its reports to {folder}.",
            hint="Give each run a folder of its own with --report-dir, or run again when the other is over.",
        ) from None
