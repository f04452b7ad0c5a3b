"""A run as the command line describes it: what it is about, what it reads for that, and the start of its session.

Nothing here knows pytest, which takes as long to load as all of this: ``gt-conformance run`` sends its first request
before it loads it.
"""

from gt_conformance.launch._gate import Baseline, Gate, Gated, accept, gate_records, read_fail_on, read_history_keep
from gt_conformance.launch._interrupt import STOP, Interrupts
from gt_conformance.launch._launch import Launch, hold
from gt_conformance.launch._settings import Format, Settings, settings_of, split_names

__all__ = [
    "STOP",
    "Baseline",
    "Format",
    "Gate",
    "Gated",
    "Interrupts",
    "Launch",
    "Settings",
    "accept",
    "gate_records",
    "hold",
    "read_fail_on",
    "read_history_keep",
    "settings_of",
    "split_names",
]
