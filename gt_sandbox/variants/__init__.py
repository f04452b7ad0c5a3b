"""Variants: named, described, each a permitted variation of the embedded tenant; several may be combined.

They show that the suite's checks raise no false alarm: a tenant with any of them conforms.
"""

from collections.abc import Iterable
from itertools import combinations

from gt_sandbox.alterations import SelectionError, collect, look_up
from gt_sandbox.variants import chat, conversations, errors, files, media, model, names, streams, tools, transport
from gt_sandbox.variants._variant import Variant, VariantSet

__all__ = ["VARIANTS", "SelectionError", "Variant", "VariantSet", "select_variants"]

# From the tenant outwards: what a response says, then how it is written, then how it travels.
VARIANTS = collect(
    {
        "model": model.VARIANTS,
        "names": names.VARIANTS,
        "chat": chat.VARIANTS,
        "media": media.VARIANTS,
        "conversations": conversations.VARIANTS,
        "files": files.VARIANTS,
        "errors": errors.VARIANTS,
        "tools": tools.VARIANTS,
        "streams": streams.VARIANTS,
        "transport": transport.VARIANTS,
    }
)
"""Every variant by its name, area by area."""


def select_variants(wanted: Iterable[str]) -> VariantSet:
    """The variants of these names, each once. Raises SelectionError if one does not exist, or two clash."""
    chosen = look_up("variant", wanted, VARIANTS)
    for one, other in combinations(chosen, 2):
        if one.clashes_with(other):
            raise SelectionError(f"the variants {one.name} and {other.name} cannot be combined.")
    return VariantSet(tuple(variant for variant in VARIANTS.values() if variant in chosen))
