"""Checks by id: what each claims, what to do when it does not hold, and the function that finds out."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from gt_conformance.checks._probe import Probe

CheckFunction: TypeAlias = Callable[["Probe"], Awaitable[None]]


@dataclass(frozen=True)
class Check:
    """One observable claim with a stable id (``chat.streams``): the unit that is verified.

    ``creates`` marks a check that creates something in the tenant: it is blocked in a read-only run.
    ``whole_run`` marks a check that reads every exchange of the run and so runs after all others.
    """

    id: str
    claim: str
    remedy: str
    source: str
    run: CheckFunction
    creates: bool = False
    whole_run: bool = False


_CHECKS: dict[str, Check] = {}


def check(
    check_id: str, *, claim: str, remedy: str, source: str, creates: bool = False, whole_run: bool = False
) -> Callable[[CheckFunction], CheckFunction]:
    """Register a check. The function's docstring says what it sends and what must hold."""

    def register(function: CheckFunction) -> CheckFunction:
        if check_id in _CHECKS:
            raise ValueError(f"There are two checks with the id {check_id}.")
        _CHECKS[check_id] = Check(check_id, claim, remedy, source, function, creates, whole_run)
        return function

    return register


def checks() -> Mapping[str, Check]:
    """Every check by its id, in the order of the modules."""
    return dict(_CHECKS)
