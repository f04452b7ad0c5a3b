"""Every variant by its name, and several of them together."""

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import combinations
from types import MappingProxyType

from ..edges import EdgeMaker
from . import chat, embeddings, errors, headers, ids, json_text, media, names, packets, states, streams, timing
from ._variant import TenantFile, Variant

# From the tenant outwards: what an answer says, then how it is written, then how it travels.
_AREAS = (names, chat, embeddings, media, ids, states, errors, json_text, streams, timing, headers, packets)

VARIANTS: Mapping[str, Variant] = MappingProxyType({item.name: item for area in _AREAS for item in area.VARIANTS})
"""Every variant by its name, area by area."""


@dataclass(frozen=True)
class Differing:
    """The variants of one tenant."""

    variants: tuple[Variant, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """Their names, area by area."""
        return tuple(variant.name for variant in self.variants)

    @property
    def edges(self) -> tuple[EdgeMaker, ...]:
        """What stands before the tenant, the outermost first."""
        return tuple(variant.edge for variant in reversed(self.variants))

    def tenant_file(self, document: TenantFile) -> TenantFile:
        """The tenant file that goes with these variants."""
        for variant in self.variants:
            if variant.tenant_file is not None:
                document = variant.tenant_file(document)
        return document


class VariantError(ValueError):
    """Names that cannot be had together, or at all; says why, with the nearest that there is."""


def differing(names: Iterable[str]) -> Differing:
    """The variants of these names, each once. Raises VariantError where one is unknown, or two clash."""
    wanted = tuple(dict.fromkeys(names))
    for name in wanted:
        if name not in VARIANTS:
            near = difflib.get_close_matches(name, VARIANTS, n=1)
            raise VariantError(f"there is no variant {name!r}{f': did you mean {near[0]}?' if near else '.'}")
    chosen = tuple(variant for variant in VARIANTS.values() if variant.name in wanted)
    for one, other in combinations(chosen, 2):
        if clashing(one, other):
            raise VariantError(f"the variants {one.name} and {other.name} cannot be combined.")
    return Differing(chosen)


def clashing(one: Variant, other: Variant) -> bool:
    """Whether two variants cannot be combined."""
    return other.name in one.conflicts or one.name in other.conflicts
