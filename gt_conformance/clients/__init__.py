"""Real clients: installed apart, driven through the recording proxy, and judged by what they say and send."""

from gt_conformance.clients._addresses import discovery, is_foreign, route_of, title_of
from gt_conformance.clients._claims import CLAIMS, NEVER_CALLS, STEPS, WORKS
from gt_conformance.clients._driving import Driving
from gt_conformance.clients._environment import Environments, Installed
from gt_conformance.clients._judged import Judged, row_id
from gt_conformance.clients._judging import judge
from gt_conformance.clients._load import load_manifests
from gt_conformance.clients._manifest import Client, Manifest, Runtime
from gt_conformance.clients._measuring import Measured, measured, update
from gt_conformance.clients._process import Call, Ended, drive, read_lines
from gt_conformance.clients._profile import Difference, Observation, differences, observations
from gt_conformance.clients._selection import select
from gt_conformance.clients._session import Attempt, Driven, Session, Stage
from gt_conformance.clients._sink import Sink

__all__ = [
    "CLAIMS",
    "NEVER_CALLS",
    "STEPS",
    "WORKS",
    "Attempt",
    "Call",
    "Client",
    "Difference",
    "Driven",
    "Driving",
    "Ended",
    "Environments",
    "Installed",
    "Judged",
    "Manifest",
    "Measured",
    "Observation",
    "Runtime",
    "Session",
    "Sink",
    "Stage",
    "differences",
    "discovery",
    "drive",
    "is_foreign",
    "judge",
    "load_manifests",
    "measured",
    "observations",
    "read_lines",
    "route_of",
    "row_id",
    "select",
    "title_of",
    "update",
]
