"""Conformance suite for the GT API client runbooks.

As a library: ``plan`` says what would be judged on a tenant, ``run`` judges it and returns the ``Record``; ``check``
and ``Probe`` are for checks of your own.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gt_conformance.checks import Probe, check
    from gt_conformance.results import Record
    from gt_conformance.session import plan, run

__version__ = "0.1.0"
__all__ = ["Probe", "Record", "__version__", "check", "plan", "run"]

_HOMES = {"Probe": "checks", "Record": "results", "check": "checks", "plan": "session", "run": "session"}


def __getattr__(name: str) -> Any:
    """Loaded when it is asked for (PEP 562): most commands need no part of it."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module  # noqa: PLC0415 - as above

    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
