"""A fault: one thing that is broken in a tenant, and the check that it is for."""

from dataclasses import dataclass
from pathlib import Path

from gt_sandbox.alterations import Alteration, AlterationSet, TenantFileChange
from gt_sandbox.middleware import MiddlewareFactory


@dataclass(frozen=True, kw_only=True)
class Rewrite:
    """A runbook file that is wrong: in the text of this runbook, one text is replaced by another."""

    runbook: str
    old: str
    new: str

    def apply(self, text: str) -> str:
        """The file's text with the fault in it. Raises ValueError if the text to replace is no longer there."""
        if self.old not in text:
            raise ValueError(f"{self.runbook}.yaml no longer holds {self.old!r}, which a fault replaces.")
        return text.replace(self.old, self.new)


@dataclass(frozen=True, kw_only=True)
class Fault(Alteration):
    """One thing that is broken, and the id of the check that must fail because of it.

    What else fails is no part of the fault: ``make prove`` finds it out. What is broken is middleware of the tenant;
    where the tenant alone cannot show it, the tenant file as well, or a runbook instead.
    """

    caught_by: str
    rewrite: Rewrite | None = None


@dataclass(frozen=True)
class FaultSet(AlterationSet[Fault]):
    """The faults of one tenant; the first is outermost."""

    @property
    def rewrites(self) -> tuple[Rewrite, ...]:
        """What is wrong in runbook files."""
        return tuple(fault.rewrite for fault in self.members if fault.rewrite is not None)

    def rewrite_runbooks(self, folder: Path, into: Path) -> None:
        """Copy the runbooks of a folder into another, with what is wrong in them.

        Raises ValueError if a text that a fault replaces is no longer there.
        """
        for source in folder.glob("*.yaml"):
            text = source.read_text(encoding="utf-8")
            for wrong in self.rewrites:
                text = wrong.apply(text) if wrong.runbook == source.stem else text
            (into / source.name).write_text(text, encoding="utf-8")


def fault(
    name: str,
    description: str,
    middleware: MiddlewareFactory | None = None,
    *,
    caught_by: str,
    tenant_file: TenantFileChange | None = None,
    rewrite: Rewrite | None = None,
) -> Fault:
    """A fault, with its first three fields by position."""
    return Fault(
        name=name,
        description=description,
        middleware=middleware,
        caught_by=caught_by,
        tenant_file=tenant_file,
        rewrite=rewrite,
    )
