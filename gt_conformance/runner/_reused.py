"""Ids that are given twice: of two conversations, or two files, whoever asks for one gets the other.

A check that opens a conversation, or uploads a file, meets what another key holds, or is refused what is another's.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from gt_conformance.checks import created_id, finding_of
from gt_conformance.exchange import Exchange
from gt_conformance.runner._result import CheckResult, renamed_in
from gt_conformance.vocabulary import CONVERSATION_HEADER

_REMEDY = (
    "Have the tenant, and every cache before it, give each conversation that is opened, and each file that is "
    "uploaded, an id of its own: an earlier id is given again."
)
_FINDING = finding_of("", "ids:given again", shared=True)


@dataclass(frozen=True)
class Reused:
    """The findings about what has such an id."""

    findings: frozenset[str]
    shown: frozenset[str]
    """The exchanges that name such an id, or are answered with it."""

    def amend(self, result: CheckResult) -> CheckResult:
        """The result with what such an id shows under its finding, and what rests on that."""
        violations = tuple(
            replace(item, finding=_FINDING, remedy=_REMEDY) if item.exchange in self.shown else item
            for item in result.violations
        )
        return result.amended(violations, renamed_in(result.blockers, dict.fromkeys(self.findings, _FINDING)))


def find_reused(results: Iterable[CheckResult], exchanges: Mapping[str, Exchange]) -> Reused | None:
    """Which findings they are; None where each id is given once, or again to who asks for the same again."""
    made: dict[str, list[Exchange]] = defaultdict(list)
    for one in exchanges.values():
        if one.request.creates and (given := created_id(one)) is not None:
            made[given].append(one)
    again = {
        given
        for given, found in made.items()
        if len({(one.request.key, one.request.path) for one in found}) > 1
        or len({one.request for one in found}) > _MANY
    }
    if not again:
        return None
    shown = frozenset(one.ref for one in exchanges.values() if created_id(one) in again or _named_by(one) in again)
    proofs: dict[str, set[bool]] = defaultdict(set)
    for item in (item for result in results for item in result.violations):
        proofs[item.finding].add(item.exchange in shown)
    return Reused(frozenset(finding for finding, by in proofs.items() if by == {True}), shown)


def _is_given_again(found: Iterable[Exchange]) -> bool:
    """Whether several keys, or more requests than may ask for the same, are answered with the id that these have."""
    asked = {one.request for one in found}
    return len({(one.key, one.path) for one in asked}) > 1 or len(asked) > _MANY


_MANY = 2
"""A tenant may know a file, or a title, that it has already."""


def _named_by(exchange: Exchange) -> str:
    """The id that a request names, in its path or in its header."""
    return dict(exchange.request.headers).get(CONVERSATION_HEADER) or exchange.request.path.rpartition("/")[2]
