"""Whether a record is consistent: what it says follows from what it holds, and nothing of it was changed since.

Offline, and by the code that a run uses: ``results`` computes outcomes, totals, findings and decisions again, a
``session`` runs the checks again on the recorded answers.
"""

from gt_conformance.verification._derived import Difference
from gt_conformance.verification._verify import Verification, read, read_unverified, verify

__all__ = ["Difference", "Verification", "read", "read_unverified", "verify"]
