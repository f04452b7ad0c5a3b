"""The lab carries a plan out: one event loop, one HTTP client, each distinct check and each request once."""

from gt_conformance.lab._lab import Lab, Progress
from gt_conformance.lab._rehearsal import Rehearsal
from gt_conformance.lab._result import CheckResult, Evidence
from gt_conformance.lab._sender import Sender
from gt_conformance.lab._transport import HttpSender

__all__ = ["CheckResult", "Evidence", "HttpSender", "Lab", "Progress", "Rehearsal", "Sender"]
