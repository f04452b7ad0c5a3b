"""Faults: named, described, each breaking one thing of the embedded tenant; several may be planted at once.

They show that the suite's checks can fail: each check by at least one of them, and no check but those that it names.
"""

from ._fault import Fault, Rewrite
from ._planted import Planted
from ._registry import FAULTS, UnknownFault, planted

__all__ = ["FAULTS", "Fault", "Planted", "Rewrite", "UnknownFault", "planted"]
