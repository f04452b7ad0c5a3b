"""Memory that judged tenants leave behind: found, and given back, so that a process does not grow with their number."""

import ctypes
import gc
from functools import cache

EVERY = 16
"""After so many tenants. A run is full of cycles, which the garbage collector would look for once in some hundred."""


def release() -> None:
    """Free what nothing refers to any more, and give the system what the allocator keeps of it."""
    gc.collect()
    trim = _find_trim()
    if trim is not None:
        trim(0)


@cache
def _find_trim() -> "ctypes._NamedFuncPointer | None":
    """``malloc_trim`` of glibc, which other systems do not have: its arenas keep what threads have freed."""
    try:
        return ctypes.CDLL(None).malloc_trim
    except (OSError, AttributeError, TypeError):
        return None
