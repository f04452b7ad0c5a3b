"""A rotation, driven: probe, run the operator's command, probe again, and say what became of both secrets.

:func:`find` picks the key out of the tenant file, :func:`keeping_in` says where its new secret will be stored,
:func:`rotate` does it, and :func:`as_record` makes the JSON of it. Nothing here prints.
"""

from gt_conformance.rotation._command import Command, command_of
from gt_conformance.rotation._drive import rotate
from gt_conformance.rotation._keeping import Keeping, keeping_in
from gt_conformance.rotation._record import as_record
from gt_conformance.rotation._target import Reference, Target, find
from gt_conformance.rotation._value import Phase, Rotation, Step

__all__ = [
    "Command",
    "Keeping",
    "Phase",
    "Reference",
    "Rotation",
    "Step",
    "Target",
    "as_record",
    "command_of",
    "find",
    "keeping_in",
    "rotate",
]
