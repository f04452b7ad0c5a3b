"""Faults that one tenant has at once."""

from dataclasses import dataclass
from pathlib import Path

from ..edges import EdgeMaker
from ._fault import Fault, Rewrite, TenantFile


@dataclass(frozen=True)
class Planted:
    """Some faults together; none where none is named."""

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
