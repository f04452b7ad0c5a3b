"""How many files this process may have open: raised as far as it may be, and a sentence where that is too few."""

import contextlib
import sys

from gt_conformance.errors import InputError

if sys.platform != "win32":  # no process has such a limit there
    import resource

_LEAST, _PLENTY = 48, 1024
"""What one run has open at once: modules that are being loaded, streams, connections, those of the embedded tenant."""


def require_open_files() -> None:
    """Raise this process's own limit where it is low. Raises InputError where it may not be raised far enough."""
    if sys.platform == "win32":
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= _PLENTY:
        return
    wanted = _PLENTY if hard == resource.RLIM_INFINITY else min(hard, _PLENTY)
    with contextlib.suppress(OSError, ValueError):  # some systems allow less than they say
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < _LEAST:
        raise InputError.of(
            f"this process may have {soft} files open (ulimit -n), and a run needs {_LEAST}.",
            hint=f"Raise that limit on this machine (ulimit -n {_PLENTY}), or in what starts the command.",
        )
