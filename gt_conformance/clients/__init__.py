"""Real clients: installed apart, driven through the recording proxy, and judged by what they say and send."""

from gt_conformance.clients._driving import Driving
from gt_conformance.clients._environment import Environments
from gt_conformance.clients._judging import CLAIMS, Judged, judge, not_driven
from gt_conformance.clients._manifest import Client, Manifest, Runtime, load_manifests, select
from gt_conformance.clients._profile import (
    Measurement,
    differences,
    discovery,
    is_foreign,
    measure,
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
    "RefusingProxy",
    "Runtime",
    "Session",
    "Stage",
    "differences",
    "discovery",
    "drive",
    "is_foreign",
    "judge",
    "load_manifests",
    "measure",
    "not_driven",
    "route_of",
    "select",
    "title_of",
    "update",
]
