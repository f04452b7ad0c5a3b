"""Findings that are one cause where they come together (``checks/_joint.py``) become one at the end of a run."""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from http import HTTPStatus

from gt_conformance.checks import (
    JOINT,
    OPEN_TO_ANY_KEY,
    OPEN_WITHOUT_A_KEY,
    Address,
    CheckResult,
    Joint,
    Violation,
    place_asked,
)
from gt_conformance.exchange import Exchange
from gt_conformance.vocabulary import CONVERSATION_HEADER


@dataclass(frozen=True)
class Joining:
    """Findings, and what each of them becomes."""

    joined: Mapping[str, Joint]

    def amend(self, result: CheckResult) -> CheckResult:
        """The result with each of these under the finding that it becomes, and what rests on it because of that."""
        violations = tuple(map(self._amend, result.violations))
        blockers = tuple(
            replace(item, because=self.joined[item.because].finding) if item.because in self.joined else item
            for item in result.blockers
        )
        return result.amended(violations, blockers)

    def _amend(self, violation: Violation) -> Violation:
        joint = self.joined.get(violation.finding)
        return violation if joint is None else replace(violation, finding=joint.finding, remedy=joint.remedy)


def find_joining(results: Iterable[CheckResult], exchanges: Mapping[str, Exchange]) -> Joining | None:
    """Which findings these results join; None where each comes alone."""
    proofs: dict[str, list[Exchange | None]] = defaultdict(list)
    for item in (item for result in results for item in result.violations):
        proofs[item.finding].append(exchanges.get(item.exchange or ""))
    met = proofs.keys()
    joined: dict[str, Joint] = {}
    for at, joint in OPEN_TO_ANY_KEY.items():
        if joint.finding in met:
            unowned = {one for one, found in proofs.items() if all(_is_unowned(e, at) for e in found)}
            joined |= dict.fromkeys(unowned, joint)
    for joint in (*OPEN_WITHOUT_A_KEY.values(), *OPEN_TO_ANY_KEY.values()):
        shown = [one for one in proofs.get(joint.finding, ()) if one is not None]
        if len({place_asked(one) for one in shown}) >= _SEVERAL:
            joined |= dict.fromkeys(met & joint.findings - joined.keys() - {joint.finding}, joint)
    for joint in JOINT:
        found = met & joint.findings - joined.keys()
        if joint.joins(found):
            joined |= dict.fromkeys(found - {joint.finding}, joint)
    joined = {one: joined.get(joint.finding, joint) for one, joint in joined.items()}
    return Joining(joined) if joined else None


_SEVERAL = 3


def _is_unowned(exchange: Exchange | None, at: Address) -> bool:
    """Whether what a key has is not found for it, by that address."""
    if exchange is None or exchange.response is None or not exchange.request.is_due:
        return False
    request = exchange.request
    is_named = CONVERSATION_HEADER in dict(request.headers) or _OF_A_FILE.search(request.path) is not None
    is_there = (Address.VERSIONED if "/v1/" in request.path else Address.UNVERSIONED) is at
    return is_named and is_there and exchange.response.status == HTTPStatus.NOT_FOUND


_OF_A_FILE = re.compile(r"/(?:files|uploads)/[^/]+$")
