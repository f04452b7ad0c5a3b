"""Every fault by its name, and several of them planted together."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from ..edges import EdgeMaker
from . import (
    addresses,
    audio,
    browsers,
    chat,
    clients,
    conversations,
    discovery,
    documents,
    embeddings,
    errors,
    images,
    keys,
    names,
    rotation,
    scopes,
    status,
    streams,
    tools,
    uploads,
    vendor,
)
from ._fault import Fault, Rewrite, TenantFile

_AREAS = (
    discovery,
    chat,
    streams,
    tools,
    clients,
    embeddings,
    audio,
    images,
    conversations,
    uploads,
    status,
    vendor,
    keys,
    scopes,
    names,
    errors,
    browsers,
    rotation,
    addresses,
    documents,
)

FAULTS: Mapping[str, Fault] = MappingProxyType({fault.name: fault for area in _AREAS for fault in area.FAULTS})
"""Every fault by its name, area by area."""


@dataclass(frozen=True)
class Planted:
    """Faults that a tenant has at once."""

    faults: tuple[Fault, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """Their names, as they were asked for."""
        return tuple(fault.name for fault in self.faults)

    @property
    def edges(self) -> tuple[EdgeMaker, ...]:
        """What stands before the tenant; the first fault outermost."""
        return tuple(fault.edge for fault in self.faults if fault.edge is not None)

    @property
    def rewrites(self) -> tuple[Rewrite, ...]:
        """What is wrong in runbook files."""
        return tuple(fault.rewrite for fault in self.faults if fault.rewrite is not None)

    def rewrite(self, folder: Path, into: Path) -> None:
        """Copy the runbooks of a folder into another, with what is wrong in them.

        Raises ValueError where a place that a fault replaces is no longer there.
        """
        for source in folder.glob("*.yaml"):
            text = source.read_text(encoding="utf-8")
            for wrong in self.rewrites:
                text = wrong.of(text) if wrong.runbook == source.stem else text
            (into / source.name).write_text(text, encoding="utf-8")

    def tenant_file(self, document: TenantFile) -> TenantFile:
        """The tenant file as these faults leave it."""
        for fault in self.faults:
            if fault.tenant_file is not None:
                document = fault.tenant_file(document)
        return document


def planted(names: Iterable[str]) -> Planted:
    """The faults of these names, each once. Raises KeyError with a name that there is not."""
    return Planted(tuple(FAULTS[name] for name in dict.fromkeys(names)))
