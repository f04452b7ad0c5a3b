"""What a process that judges again and again does once."""

import gc
import sys
from functools import cache

from gt_conformance import resources
from gt_conformance.runbook import Runbook, load_directory


@cache
def bundled() -> tuple[Runbook, ...]:
    """The bundled runbooks."""
    return load_directory(resources.runbooks_dir())


def prepare() -> None:
    """Read the runbooks, and leave out what only costs time. Garbage is collected by whoever calls for it."""
    # httpcore looks for sniffio before each request; not finding it takes longer than most requests.
    sys.modules.setdefault("sniffio", None)  # type: ignore[arg-type] # None is how Python is told that there is none
    bundled()
    gc.collect()
    gc.freeze()
    gc.disable()
