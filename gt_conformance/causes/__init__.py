"""Which results have one cause, as the end of a run shows: an outage, a cache, an instance that differs."""

from gt_conformance.causes._causes import Causes, Seen, find_causes
from gt_conformance.causes._failing import is_failure
from gt_conformance.causes._kept import Kept, find_kept
from gt_conformance.causes._mixing import may_be_mixed
from gt_conformance.causes._outage import rests_on_failure

__all__ = ["Causes", "Kept", "Seen", "find_causes", "find_kept", "is_failure", "may_be_mixed", "rests_on_failure"]
