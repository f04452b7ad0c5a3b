"""What faults and variants have in common: each is a named change to the embedded tenant, chosen by its name."""

import difflib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, Generic, TypeVar

from gt_sandbox.middleware import MiddlewareFactory

TenantFile = Mapping[str, Any]
"""What a tenant file holds."""

TenantFileChange = Callable[[TenantFile], TenantFile]


@dataclass(frozen=True, kw_only=True)
class Alteration:
    """A change to the embedded tenant, described as an operator would describe it.

    Where the tenant's administrator would declare the change, the tenant file changes as well. ``area`` is the part of
    the API that it is about: the name of the module that defines it.
    """

    name: str
    description: str
    area: str = ""
    middleware: MiddlewareFactory | None = None
    tenant_file: TenantFileChange | None = None


AlterationT = TypeVar("AlterationT", bound=Alteration)


@dataclass(frozen=True)
class AlterationSet(Generic[AlterationT]):
    """What one tenant has at once; nothing if nothing is named."""

    members: tuple[AlterationT, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """Their names, in order."""
        return tuple(member.name for member in self.members)

    @property
    def middleware(self) -> tuple[MiddlewareFactory, ...]:
        """What wraps the tenant, the outermost first."""
        return tuple(member.middleware for member in self.members if member.middleware is not None)

    def change_tenant_file(self, document: TenantFile) -> TenantFile:
        """The tenant file that goes with them."""
        for member in self.members:
            if member.tenant_file is not None:
                document = member.tenant_file(document)
        return document


class SelectionError(ValueError):
    """Names that cannot be chosen, or not together; says why, with the nearest name that exists."""


def collect(areas: Mapping[str, Iterable[AlterationT]]) -> Mapping[str, AlterationT]:
    """All of them by name, area by area."""
    members = (replace(member, area=area) for area, part in areas.items() for member in part)
    return MappingProxyType({member.name: member for member in members})


def look_up(kind: str, names: Iterable[str], known: Mapping[str, AlterationT]) -> tuple[AlterationT, ...]:
    """Those of these names, each once. Raises SelectionError for the first name that does not exist."""
    wanted = tuple(dict.fromkeys(names))
    for name in wanted:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            raise SelectionError(f"there is no {kind} {name!r}{f': did you mean {near[0]}?' if near else '.'}")
    return tuple(known[name] for name in wanted)
