"""A variant: one lawful way in which a tenant may differ, and why it is lawful."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ..edges import EdgeMaker

TenantFile = Mapping[str, Any]
"""What a tenant file holds."""


@dataclass(frozen=True, kw_only=True)
class Variant:
    """One way to differ from the embedded tenant that is no fault: a run of everything conforms all the same.

    ``lawful`` says in a phrase who allows it. ``conflicts`` are the variants with which it cannot be combined. Where
    the tenant's administrator would declare the difference, the tenant file changes as well.
    """

    name: str
    area: str
    description: str
    lawful: str
    edge: EdgeMaker
    conflicts: frozenset[str] = frozenset()
    tenant_file: Callable[[TenantFile], TenantFile] | None = None


@dataclass(frozen=True)
class Area:
    """The variants of one part of a tenant. Called, it makes one of them."""

    name: str

    def __call__(
        self,
        name: str,
        description: str,
        edge: EdgeMaker,
        *,
        lawful: str,
        conflicts: str = "",
        tenant_file: Callable[[TenantFile], TenantFile] | None = None,
    ) -> Variant:
        """A variant of this area; conflicts are parted by spaces, and may name the variant itself."""
        return Variant(
            name=name,
            area=self.name,
            description=description,
            lawful=lawful,
            edge=edge,
            conflicts=frozenset(conflicts.split()) - {name},
            tenant_file=tenant_file,
        )
