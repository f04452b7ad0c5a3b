"""Fields of requests that have no effect, on chats as on embeddings: a gateway leaves out what it does not know.

Vectors come as numbers where base64 was asked for, no tool is called and no JSON comes, and what messages say is known
all the same. A weak model would explain a part of that, and not the vectors.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from gt_conformance.checks import BASE64_IGNORED, Ability, CheckResult

_VECTORS, _STRUCTURED = "embeddings.base64", "chat.structured_output"


@dataclass(frozen=True)
class Fields:
    """The finding about the vectors, and what is blocked because of it: the same has kept tools from the model."""

    finding: str
    remedy: str
    explained: frozenset[str]

    def amend(self, result: CheckResult) -> CheckResult:
        """The result with what fields would have given under that finding."""
        violations = tuple(
            replace(item, remedy=self.remedy) if item.finding == self.finding else item for item in result.violations
        )
        blockers = tuple(
            replace(item, because=self.finding) if item.finding in self.explained else item for item in result.blockers
        )
        return result.amended(violations, blockers)


def find_fields(results: Iterable[CheckResult]) -> Fields | None:
    """Which they are; None where fields have an effect, or the model may be too weak to show one."""
    finding, explained, is_structured, lacking = "", set(), True, ""
    for result in results:
        for item in result.violations if result.call.check == _VECTORS else ():
            finding = item.finding if item.found == BASE64_IGNORED else finding
        if result.call.check == _STRUCTURED:
            is_structured = is_structured and not (result.blockers or result.advisories)
        for blocker in result.blockers:
            lacking += blocker.reason
            if Ability.TOOLS in blocker.reason or Ability.JSON in blocker.reason:
                explained.add(blocker.finding)
    if not finding or is_structured or Ability.TOOLS not in lacking or Ability.RECALL in lacking:
        return None
    remedy = (
        "Have the tenant, and every gateway before it, pass on each field of a request, whether they know it or not: "
        "`encoding_format` of embeddings, `tools` and `response_format` of chats have no effect."
    )
    return Fields(finding, remedy, frozenset(explained))
