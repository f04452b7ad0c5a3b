"""Real clients: installed apart, driven through the recording proxy, and judged by what they say and send.

Each name is loaded when it is asked for (PEP 562): few runs drive a client, and driving takes a proxy with its server.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gt_conformance.clients._driving import Driving
    from gt_conformance.clients._environment import Environments
    from gt_conformance.clients._judging import CLAIMS, Judged, judge, not_driven
    from gt_conformance.clients._manifest import Client, Manifest, Runtime, Undriven, load_manifests, select
    from gt_conformance.clients._profile import (
        Measurement,
        Need,
        differences,
        discovery,
        is_foreign,
        is_proved,
        measure,
        needs_of,
        route_of,
        title_of,
        update,
    )
    from gt_conformance.clients._session import Attempt, RefusingProxy, Session, Stage, drive

__all__ = [
    "CLAIMS",
    "Attempt",
    "Client",
    "Driving",
    "Environments",
    "Judged",
    "Manifest",
    "Measurement",
    "Need",
    "RefusingProxy",
    "Runtime",
    "Session",
    "Stage",
    "Undriven",
    "differences",
    "discovery",
    "drive",
    "is_foreign",
    "is_proved",
    "judge",
    "load_manifests",
    "measure",
    "needs_of",
    "not_driven",
    "route_of",
    "select",
    "title_of",
    "update",
]

_HOMES = {
    "_driving": ("Driving",),
    "_environment": ("Environments",),
    "_judging": ("CLAIMS", "Judged", "judge", "not_driven"),
    "_manifest": ("Client", "Manifest", "Runtime", "Undriven", "load_manifests", "select"),
    "_profile": (
        "Measurement",
        "Need",
        "differences",
        "discovery",
        "is_foreign",
        "is_proved",
        "measure",
        "needs_of",
        "route_of",
        "title_of",
        "update",
    ),
    "_session": ("Attempt", "RefusingProxy", "Session", "Stage", "drive"),
}


def __getattr__(name: str) -> Any:
    """Loaded now."""
    for home, names in _HOMES.items():
        if name in names:
            from importlib import import_module  # noqa: PLC0415 - as above

            return getattr(import_module(f"{__name__}.{home}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
