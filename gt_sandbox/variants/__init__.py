"""Variants: named, described, each a lawful way in which a tenant may differ; several may be combined.

They show that the suite's checks do not accuse: a tenant with any of them conforms.
"""

from ._registry import VARIANTS, Differing, VariantError, clashing, differing
from ._variant import Variant

__all__ = ["VARIANTS", "Differing", "Variant", "VariantError", "clashing", "differing"]
