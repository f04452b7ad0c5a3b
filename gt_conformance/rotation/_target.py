"""The key to rotate, and where the tenant file says that its secret is."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gt_conformance import document, schema
from gt_conformance import tenant as tenants
from gt_conformance.errors import InputError, Location
from gt_conformance.tenant import Credential, Tenant

_HOW_TO_NAME = (
    "Name one with --tenant FILE, or set GT_BASE_URL, GT_API_KEY and GT_MODEL. "
    "To try it on the embedded tenant: `gt-conformance serve --tenant-file lab.yaml`, and --tenant lab.yaml."
)


@dataclass(frozen=True, slots=True)
class Reference:
    """Where a secret comes from. ``kind`` is the word of the tenant file, ``path`` is set for a secret_file."""

    kind: str
    name: str
    path: Path | None = None

    def __str__(self) -> str:
        """``the environment variable GT_KEY_CHAT (secret_env)``; never the secret."""
        what = {
            "secret_env": f"the environment variable {self.name}",
            "secret_file": f"the file {self.name}",
            "secret_command": f"what the command {self.name} reads",
        }
        return f"{what[self.kind]} ({self.kind})"


@dataclass(frozen=True, slots=True)
class Target:
    """A key that can be rotated, its tenant, and where its secret comes from."""

    tenant: Tenant
    credential: Credential
    reference: Reference

    @property
    def others(self) -> tuple[Credential, ...]:
        """The other keys that must work, before and after."""
        return tuple(key for key in self.tenant.live_credentials if key.name != self.credential.name)


def find(key: str, tenant_file: Path | None, environment: Mapping[str, str]) -> Target:
    """The key of that name. Raises InputError where there is none, or where it must not or cannot be rotated."""
    if tenant_file is None:
        tenant = tenants.from_environment(environment)
        if tenant is None:
            raise InputError.of("no tenant is named, so there is no key to rotate.", hint=_HOW_TO_NAME)
        _known(key, list(tenant.credentials), None)
        return Target(tenant, tenant.credentials[key], Reference("secret_env", "GT_API_KEY"))
    source = document.read(tenant_file, schema="tenant")
    keys = source.value["keys"]
    _known(key, list(keys), source.locate("keys"))
    if keys[key].get("revoked"):
        raise InputError.of(
            f"the key {schema.shown(key)} is marked revoked: a revoked key cannot be rotated.",
            where=source.locate("keys", key, "revoked"),
            hint="Name a live key.",
        )
    if source.value.get("read_only"):
        raise InputError.of(
            f"the tenant is marked read_only, and a rotation changes the key {schema.shown(key)}.",
            where=source.locate("read_only"),
            hint="Set read_only: false where a rotation is in order.",
        )
    tenant = tenants.from_file(tenant_file, environment)
    credential = tenant.credentials[key]
    return Target(tenant, credential, _reference(keys[key], tenant_file.parent))


def _known(key: str, names: list[str], where: Location | None) -> None:
    if key not in names:
        near = schema.nearest(key, names)
        raise InputError.of(
            f"there is no key {schema.shown(key)}.",
            where=where,
            hint=(f"Did you mean {near}? " if near else "") + f"There are: {', '.join(names)}.",
        )


def _reference(entry: Mapping[str, Any], folder: Path) -> Reference:
    kind = next(kind for kind in ("secret_env", "secret_file", "secret_command") if kind in entry)
    if kind == "secret_file":
        path = folder / entry[kind]
        return Reference(kind, str(path), path)
    return Reference(kind, entry[kind] if kind == "secret_env" else schema.plain(entry[kind][0]))
