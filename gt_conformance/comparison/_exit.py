"""What a comparison means to the shell."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from gt_conformance import results
from gt_conformance.comparison._compare import same_tenant
from gt_conformance.errors import InputError, Location
from gt_conformance.results import Record


class FailOn(StrEnum):
    """What ends a run with a failure."""

    ANY = "any"
    NEW = "new"


def exit_code(record: Record, since: Record | None, fail_on: FailOn) -> int:
    """The exit code of the record; with ``new``, 1 and 7 stand for what is new since the other record only.

    8, a waiver that has to go and a fault of the suite are not a matter of comparison.
    """
    code = results.exit_code(record)
    if fail_on is FailOn.ANY or since is None or code not in {1, 7}:
        return code
    if record["waiver_problems"] or record["suite_errors"]:
        return code
    if since["new_violations"]:
        return 1
    return 7 if since["newly_untested"] else 0


def require_same_tenant(old: Record, tenant: Mapping[str, Any], where: Location) -> None:
    """Raises InputError where what is new cannot be told: the old record is not of this ``run.tenant``."""
    before = old["run"]["tenant"]
    if not same_tenant(before, tenant):
        raise InputError.of(
            f"this is a record of {_named(before)}, not of {_named(tenant)}: what is new cannot be told.",
            where=where,
            hint="Name a record of the same tenant, or leave out --fail-on new.",
        )


def _named(tenant: Mapping[str, Any]) -> str:
    return "the embedded tenant" if tenant["kind"] == "embedded" else str(tenant["base_url"])
