"""What the keys of a tenant can do, asked by requests that create nothing; and a tenant file made of what they said."""

from gt_conformance.doctor._description import describe, find_mistakes, suggest_name
from gt_conformance.doctor._environment import from_variables
from gt_conformance.doctor._examination import Examination, Found, ask
from gt_conformance.doctor._tenant_file import write_file

__all__ = [
    "Examination",
    "Found",
    "ask",
    "describe",
    "find_mistakes",
    "from_variables",
    "suggest_name",
    "write_file",
]
