"""What a process that judges again and again does once."""

import gc
from functools import cache

from gt_conformance import resources
from gt_conformance.runbook import Runbook, load_directory


@cache
def bundled() -> tuple[Runbook, ...]:
    """The bundled runbooks."""
    return load_directory(resources.runbooks_dir())


def prepare() -> None:
    """Read the runbooks, and leave out what only costs time. Garbage is collected by whoever calls for it."""
    bundled()
    gc.collect()
    gc.freeze()
    gc.disable()
