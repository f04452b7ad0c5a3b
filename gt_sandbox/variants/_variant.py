"""A variant: one permitted variation of the embedded tenant, and who permits it."""

from dataclasses import dataclass

from gt_sandbox.alterations import Alteration, AlterationSet, TenantFileChange
from gt_sandbox.middleware import MiddlewareFactory


@dataclass(frozen=True, kw_only=True)
class Variant(Alteration):
    """One way to differ from the embedded tenant that is no fault: a run of everything accuses nobody.

    ``permitted_by`` says in a phrase who permits it. ``alters`` names what only one variant of a tenant can alter:
    two that share a name there cannot be combined. ``lacks`` is for one whose model cannot do what some checks need:
    the words by which what is blocked then names it.
    """

    permitted_by: str
    alters: frozenset[str] = frozenset()
    lacks: str = ""

    def clashes_with(self, other: "Variant") -> bool:
        """Whether the two cannot be combined."""
        return bool(self.alters & other.alters)


@dataclass(frozen=True)
class VariantSet(AlterationSet[Variant]):
    """The variants of one tenant, from the tenant outwards."""

    @property
    def middleware(self) -> tuple[MiddlewareFactory, ...]:
        """What wraps the tenant, the outermost first."""
        return super().middleware[::-1]


def variant(
    name: str,
    description: str,
    middleware: MiddlewareFactory,
    *,
    permitted_by: str,
    alters: str = "",
    lacks: str = "",
    tenant_file: TenantFileChange | None = None,
) -> Variant:
    """A variant, with its first three fields by position; what it ``alters`` is separated by spaces."""
    return Variant(
        name=name,
        description=description,
        middleware=middleware,
        permitted_by=permitted_by,
        alters=frozenset(alters.split()),
        lacks=lacks,
        tenant_file=tenant_file,
    )
