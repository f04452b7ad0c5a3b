"""A fault: one thing that is broken in a tenant, and what a run must say of it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ..edges import EdgeMaker

TenantFile = Mapping[str, Any]
"""What a tenant file holds."""


@dataclass(frozen=True, kw_only=True)
class Rewrite:
    """A runbook file that is wrong: in the text of this runbook, one text stands for another."""

    runbook: str
    old: str
    new: str

    def of(self, text: str) -> str:
        """The file's text with the fault in it. Raises ValueError where the place is no longer there."""
        if self.old not in text:
            raise ValueError(f"{self.runbook}.yaml no longer holds {self.old!r}, which a fault replaces.")
        return text.replace(self.old, self.new)


@dataclass(frozen=True, kw_only=True)
class Fault:
    """One thing that is broken, said as an operator would say it, and what a run of everything must show of it.

    ``checks`` are the ids of all the checks that violate, ``places`` all the places where they do: rows by the short id
    of their route, ``items`` for checklist items, ``tenant`` for tenant checks. ``blocks`` are the checks of which the
    fault leaves something untold, and which violate nowhere.

    What is broken is an edge of the tenant; where the tenant alone cannot show it, the tenant file as well, or a
    runbook instead.
    """

    name: str
    area: str
    description: str
    checks: frozenset[str]
    places: frozenset[str]
    blocks: frozenset[str] = frozenset()
    edge: EdgeMaker | None = None
    tenant_file: Callable[[TenantFile], TenantFile] | None = None
    rewrite: Rewrite | None = None


def with_limits(**limits: float) -> Callable[[TenantFile], TenantFile]:
    """A tenant file with other limits: what never comes is not waited for long."""
    return lambda document: {**document, "limits": {**document["limits"], **limits}}


@dataclass(frozen=True)
class Area:
    """The faults of one part of a tenant. Called, it makes one of them."""

    name: str

    def __call__(  # noqa: PLR0913 - what a fault is made of
        self,
        name: str,
        description: str,
        edge: EdgeMaker | None = None,
        *,
        checks: str,
        places: str,
        blocks: str = "",
        tenant_file: Callable[[TenantFile], TenantFile] | None = None,
        rewrite: Rewrite | None = None,
    ) -> Fault:
        """A fault of this area; checks and places are parted by spaces."""
        return Fault(
            name=name,
            area=self.name,
            description=description,
            checks=frozenset(checks.split()),
            places=frozenset(places.split()),
            blocks=frozenset(blocks.split()),
            edge=edge,
            tenant_file=tenant_file,
            rewrite=rewrite,
        )
