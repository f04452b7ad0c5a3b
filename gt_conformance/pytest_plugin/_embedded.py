"""The embedded tenant of a run. Loaded only where one is asked for: a run on a tenant elsewhere has no use for it."""

from collections.abc import Callable, Sequence
from typing import Any

from gt_conformance import tenant
from gt_conformance.errors import InputError, Problem
from gt_conformance.tenant import Tenant, TenantKind
from gt_sandbox import EmbeddedTenant
from gt_sandbox.alterations import AlterationSet, SelectionError
from gt_sandbox.faults import select_faults
from gt_sandbox.variants import select_variants


def name_faults(wanted: Sequence[str]) -> tuple[str, ...]:
    """The names of these faults, each once. Raises InputError for one that does not exist."""
    return _name("faults", select_faults, wanted)


def name_variants(wanted: Sequence[str]) -> tuple[str, ...]:
    """The names of these variants, each once. Raises InputError for one that does not exist, or two that clash."""
    return _name("variants", select_variants, wanted)


def _name(kind: str, select: Callable[[Sequence[str]], AlterationSet[Any]], wanted: Sequence[str]) -> tuple[str, ...]:
    try:
        return select(wanted).names
    except SelectionError as error:
        hint = f"gt-conformance run --list-{kind} lists them."
        raise InputError([Problem(str(error), hint=hint)]) from None


def start_embedded(faults: Sequence[str], variants: Sequence[str]) -> tuple[EmbeddedTenant, Tenant]:
    """The embedded tenant with these faults and variants, listening on loopback. Raises OSError where it cannot."""
    broken, varied = select_faults(faults), select_variants(variants)
    running = EmbeddedTenant(middleware=(*varied.middleware, *broken.middleware))
    running.start()
    document = broken.change_tenant_file(varied.change_tenant_file(running.tenant_document()))
    return running, tenant.from_mapping(document, running.secrets, kind=TenantKind.EMBEDDED, name="the embedded tenant")


def foresee_embedded(faults: Sequence[str], variants: Sequence[str]) -> Tenant:
    """The same tenant before it listens: what it promises is known then, and its address is not."""
    broken, varied = select_faults(faults), select_variants(variants)
    waiting = EmbeddedTenant(port=_ANY_PORT)
    document = broken.change_tenant_file(varied.change_tenant_file(waiting.tenant_document()))
    return tenant.from_mapping(document, waiting.secrets, kind=TenantKind.EMBEDDED, name="the embedded tenant")


_ANY_PORT = 9
"""Stands for the one that is not known yet."""
