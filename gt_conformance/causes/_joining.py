"""Findings that are one cause where they come together (``checks/_joint.py``) become one at the end of a run."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from gt_conformance.checks import JOINT, CheckResult, Joint, Violation


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


def find_joining(results: Iterable[CheckResult]) -> Joining | None:
    """Which findings these results join; None where each comes alone."""
    met = {item.finding for result in results for item in result.violations}
    joined: dict[str, Joint] = {}
    for joint in JOINT:
        found = met & joint.findings - joined.keys()
        if len(found) >= joint.least:
            joined |= dict.fromkeys(found - {joint.finding}, joint)
    return Joining(joined) if joined else None
