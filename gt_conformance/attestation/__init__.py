"""What people vouch for: the checklist items that no probe can prove.

An attestation is one person's dated word for one item. It counts through the day on which it expires, and is bound to
the runbook's digest: a changed runbook asks again. Whether one is still good is a status, never an error.
"""

from gt_conformance.attestation._load import load, needs_a_person, problems
from gt_conformance.attestation._value import FILE, NAME, Attestation, Attestations, State, Status, command

__all__ = [
    "FILE",
    "NAME",
    "Attestation",
    "Attestations",
    "State",
    "Status",
    "command",
    "load",
    "needs_a_person",
    "problems",
]
