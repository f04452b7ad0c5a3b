"""Fields of requests that have no effect: a gateway leaves out what it does not know, or writes it in another way.

Vectors come as numbers where base64 was asked for, or a chat in one piece where a stream was; no tool is called and no
JSON comes, and what messages say is known all the same. A weak model would explain a part of that, and not the rest.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from gt_conformance.checks import BASE64_IGNORED, Ability, CheckResult, Violation
from gt_conformance.exchange import Exchange

_VECTORS, _STREAMS, _STRUCTURED = "embeddings.base64", "chat.streams", "chat.structured_output"
_IN_MESSAGES = frozenset({"tool_calls", "tool_call_id"})
"""Fields of messages without which these are refused."""
_OBJECTIONS = frozenset({400, 422})


@dataclass(frozen=True)
class Fields:
    """The finding that shows it, and what is that one too: refused, or blocked since tools did not reach the model."""

    finding: str
    remedy: str
    explained: frozenset[str]

    def amend(self, result: CheckResult) -> CheckResult:
        """The result with what fields would have given under that finding."""
        explained = self.explained | {self.finding}
        violations = tuple(
            replace(item, finding=self.finding, remedy=self.remedy) if item.finding in explained else item
            for item in result.violations
        )
        blockers = tuple(
            replace(item, because=self.finding) if {item.because, item.finding} & self.explained else item
            for item in result.blockers
        )
        return result.amended(violations, blockers)


def find_fields(results: Iterable[CheckResult], exchanges: Mapping[str, Exchange]) -> Fields | None:
    """Which they are; None where fields have an effect, or the model may be too weak to show one."""
    shown: dict[str, str] = {}
    explained: set[str] = set()
    refused: set[str] = set()
    is_structured, lacking = True, set[Ability]()
    for result in results:
        for item in result.violations:
            field = _without_effect(result.call.check, item, exchanges)
            if field:
                shown.setdefault(item.finding, field)
            elif _is_of_messages(exchanges.get(item.exchange or "")):
                refused.add(item.finding)
        if result.call.check == _STRUCTURED:
            is_structured = is_structured and not (result.blockers or result.advisories)
        for blocker in result.blockers:
            lacks = {ability for ability in Ability if ability in blocker.reason}
            lacking |= lacks
            if lacks & {Ability.TOOLS, Ability.JSON}:
                explained.add(blocker.finding)
    has_no_tools = Ability.TOOLS in lacking
    if not shown or is_structured or not (has_no_tools or refused) or Ability.RECALL in lacking:
        return None
    named = dict.fromkeys(shown.values())
    named |= dict.fromkeys(["`tools`"] if has_no_tools else ["`tool_calls` and `tool_call_id` of messages"])
    remedy = (
        "Have the tenant, and every gateway before it, pass on each field of a request, as it is written and whether "
        f"they know it or not: {', '.join(named)} and `response_format` of chats have no effect."
    )
    finding = min(shown, key=lambda one: "embeddings" not in shown[one])
    return Fields(finding, remedy, frozenset(explained | refused | shown.keys()))


def _without_effect(check: str, violation: Violation, exchanges: Mapping[str, Exchange]) -> str:
    """The field that has no effect where that is what the check found; else empty."""
    if check == _VECTORS and violation.found == BASE64_IGNORED:
        return "`encoding_format` of embeddings"
    exchange = exchanges.get(violation.exchange or "")
    response = exchange.response if exchange is not None and check == _STREAMS else None
    is_whole = response is not None and response.succeeded and response.media_type == "application/json"
    return "`stream` of chats" if is_whole else ""


def _is_of_messages(exchange: Exchange | None) -> bool:
    """Whether a chat is refused that has such a field in its messages."""
    if exchange is None or exchange.response is None or exchange.response.status not in _OBJECTIONS:
        return False
    messages = exchange.request.fields.get("messages")
    fields = (message for message in messages if isinstance(message, dict)) if isinstance(messages, list) else ()
    return any(_IN_MESSAGES & message.keys() for message in fields)
