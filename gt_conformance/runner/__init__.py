"""The runner carries a plan out: one HTTP client, each distinct check and each request once."""

from gt_conformance.runner._lateness import Lateness
from gt_conformance.runner._pacing import SharedBudget
from gt_conformance.runner._rehearsal import Cost, Rehearsal
from gt_conformance.runner._runner import INTERRUPTED, UNJUDGED, Progress, Runner, is_embedded
from gt_conformance.runner._sender import OUT_OF_REQUESTS, HttpSender, Sender
from gt_conformance.runner._tokens import OUT_OF_TOKENS

__all__ = [
    "INTERRUPTED",
    "OUT_OF_REQUESTS",
    "OUT_OF_TOKENS",
    "UNJUDGED",
    "Cost",
    "HttpSender",
    "Lateness",
    "Progress",
    "Rehearsal",
    "Runner",
    "Sender",
    "SharedBudget",
    "is_embedded",
]
