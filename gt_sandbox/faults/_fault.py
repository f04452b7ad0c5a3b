"""A fault: one thing that is broken in a tenant, the check that it is for, and what of the documentation it breaks."""

from dataclasses import dataclass

from gt_sandbox.alterations import Alteration, AlterationSet, TenantFileChange
from gt_sandbox.middleware import MiddlewareFactory


@dataclass(frozen=True, kw_only=True)
class Fault(Alteration):
    """One thing that is broken, and the id of the check that must fail because of it.

    ``breaks`` are the clauses of GT's documentation (``schemas/clauses.yaml``) that are false of such a tenant.

    What else fails is no part of the fault: ``make prove`` finds it out. What is broken is middleware of the tenant;
    where the tenant alone cannot show it, the tenant file as well. What else fails of one that is ``by_chance`` hangs
    on which requests are under way at the same time, or on their order.
    """

    caught_by: str
    breaks: tuple[str, ...]
    by_chance: bool = False


@dataclass(frozen=True)
class FaultSet(AlterationSet[Fault]):
    """The faults of one tenant; the first is outermost."""


def fault(
    name: str,
    description: str,
    middleware: MiddlewareFactory | None = None,
    *,
    caught_by: str,
    breaks: tuple[str, ...],
    tenant_file: TenantFileChange | None = None,
    by_chance: bool = False,
) -> Fault:
    """A fault, with its first three fields by position."""
    return Fault(
        name=name,
        description=description,
        middleware=middleware,
        caught_by=caught_by,
        breaks=breaks,
        tenant_file=tenant_file,
        by_chance=by_chance,
    )
