"""A rotation, driven: probe, run the operator's command, probe again, and say what became of both secrets.

:func:`find` picks the key out of the tenant file, :func:`secret_file_at` says where a secret will be stored,
:func:`rotate` does it, and :func:`as_record` makes the JSON of it. Nothing here prints.
"""

from gt_conformance.rotation._drive import Command, command_of, rotate
from gt_conformance.rotation._rotation import Phase, Reference, Rotation, Step, Target, as_record, find
from gt_conformance.rotation._secret_file import SecretFile, secret_file_at

__all__ = [
    "Command",
    "Phase",
    "Reference",
    "Rotation",
    "SecretFile",
    "Step",
    "Target",
    "as_record",
    "command_of",
    "find",
    "rotate",
    "secret_file_at",
]
