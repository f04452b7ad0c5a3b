"""A tenant watched for weeks: a few requests a round, judged by the checks of a run, as gauges for Prometheus."""

from gt_conformance.watch._gauges import Endpoint, Watched
from gt_conformance.watch._round import MOST_REQUESTS, Observation, Prepared, Round, look_closer, prepare
from gt_conformance.watch._watch import Allowance, Schedule, Watch

__all__ = [
    "MOST_REQUESTS",
    "Allowance",
    "Endpoint",
    "Observation",
    "Prepared",
    "Round",
    "Schedule",
    "Watch",
    "Watched",
    "look_closer",
    "prepare",
]
