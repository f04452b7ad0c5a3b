"""Known violations that someone owns, until a date.

A waived check still runs and still shows as failing. A waiver that has expired, matches nothing or is no longer needed
is a problem of the run, told with the lines to remove: a list of exceptions must not outlive its reasons.
"""

from gt_conformance.waiver._load import MAX_TERM, NAME, load
from gt_conformance.waiver._value import TENANT, Judged, Waiver, Waivers

__all__ = ["MAX_TERM", "NAME", "TENANT", "Judged", "Waiver", "Waivers", "load"]
