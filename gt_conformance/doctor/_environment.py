"""The keys of the environment: ``GT_API_KEY`` and each ``GT_KEY_...``, before there is a tenant file."""

from collections.abc import Mapping
from typing import Any

from gt_conformance.errors import InputError
from gt_conformance.tenant import ENVIRONMENT, Tenant, TenantKind, from_mapping

UNNAMED = "gt-conformance-no-name"
"""Stands for the published name where nothing names one: no tenant publishes it."""
_SINGLE, _PREFIX, _RETIRED = "GT_API_KEY", "GT_KEY_", "_OLD"
_REVOKED = frozenset({"GONE", "REVOKED"})


def from_variables(environment: Mapping[str, str]) -> tuple[Tenant, dict[str, Any]]:
    """The tenant that the variables name, and the same in the form of a tenant file.

    GT_BASE_URL is its address; GT_MODEL and GT_DATASET may name a published name and a scratch dataset. GT_API_KEY and
    each GT_KEY_NAME hold a key; GT_KEY_NAME_OLD the secret that it had before, GT_KEY_GONE or GT_KEY_REVOKED one that
    was revoked. Raises InputError.
    """
    if not environment.get("GT_BASE_URL"):
        raise InputError.of(
            "GT_BASE_URL is not set.",
            hint="Set it to the tenant's address: export GT_BASE_URL=https://<tenant-host>/api/tenant; or name a file: "
            "--tenant FILE. Without export, no command sees the variable.",
        )
    keys = _keys(environment)
    if not keys:
        raise InputError.of(
            f"no key is set: neither {_SINGLE} nor a variable that begins with {_PREFIX}.",
            hint=f"Set one: read -rs {_SINGLE} && export {_SINGLE}",
        )
    value: dict[str, Any] = {
        "base_url": environment["GT_BASE_URL"].strip(),
        "models": {"chat": environment.get("GT_MODEL", "").strip() or UNNAMED},
        "keys": keys,
    }
    if dataset := environment.get("GT_DATASET", "").strip():
        value["dataset"] = dataset
    return from_mapping(value, environment, kind=TenantKind.LIVE, name=ENVIRONMENT), value


def _keys(environment: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    if environment.get(_SINGLE):
        found["default"] = {"secret_env": _SINGLE}
    variables = sorted(name for name, secret in environment.items() if name.startswith(_PREFIX) and secret)
    for variable in variables:
        name = variable.removeprefix(_PREFIX).lower()
        if not name.strip("_") or not name.isascii() or (variable.endswith(_RETIRED) and variable[:-4] in variables):
            continue
        entry: dict[str, Any] = {"secret_env": variable}
        if f"{variable}{_RETIRED}" in variables:
            entry["retired_secret_env"] = f"{variable}{_RETIRED}"
        if _REVOKED & set(variable.split("_")):
            entry["revoked"] = True
        found[name.strip("_")] = entry
    return found
