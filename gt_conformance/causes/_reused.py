"""Ids that are given twice, or to another request: of two conversations, or two files, one is taken for the other.

A check that opens a conversation, or uploads a file, meets what another key holds, or is refused what is another's.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from gt_conformance.checks import (
    NEW_FILE_IDS,
    OF_ANOTHER,
    OPEN_ANEW,
    OWN_IDS,
    CheckResult,
    Violation,
    created_id,
    files_given_again,
    finding_of,
    given_to_another,
    renamed_in,
)
from gt_conformance.exchange import Exchange
from gt_conformance.vocabulary import CONVERSATION_HEADER

_OF_CONVERSATIONS, _OF_FILES = "/conversations", "/files"
_REMEDIES = {
    _OF_CONVERSATIONS: OPEN_ANEW,
    _OF_FILES: NEW_FILE_IDS,
    OF_ANOTHER: OWN_IDS,
}
_FINDINGS = {
    place: finding_of("", place if place == OF_ANOTHER else f"ids:{place} given again", shared=True)
    for place in _REMEDIES
}


@dataclass(frozen=True)
class Reused:
    """The exchanges that name such an id, or are answered with it, each with what is wrong with that."""

    shown: Mapping[str, str]
    renamed: Mapping[str, str]
    """Findings that such ids alone have made, and what they become."""

    def amend(self, result: CheckResult) -> CheckResult:
        """The result with what such an id shows under its finding, and what rests on that."""
        violations = tuple(map(self._amend, result.violations))
        return result.amended(violations, renamed_in(result.blockers, self.renamed))

    def _amend(self, violation: Violation) -> Violation:
        place = self.shown.get(violation.exchange or "")
        if place is None:
            return violation
        return replace(violation, finding=_FINDINGS[place], remedy=_REMEDIES[place])


def find_reused(results: Iterable[CheckResult], exchanges: Mapping[str, Exchange]) -> Reused | None:
    """Which findings they are; None where each id is given to one request, or again to the same."""
    made: dict[tuple[str, str], list[Exchange]] = defaultdict(list)
    for one in exchanges.values():
        if one.request.creates and (given := created_id(one)) is not None:
            made[given, _place_of(one)].append(one)
    again = {given: place for (given, place), found in made.items() if _is_given_again(found)}
    # Whose the others are that were created there is not known either.
    mixed = {_place_of(one) for one in given_to_another(exchanges.values())}
    again |= {created_id(one) or "": _OF_FILES for one in files_given_again(exchanges.values())}
    again = {given: OF_ANOTHER for given, place in made if place in mixed} | again
    if not again:
        return None
    named = ((one.ref, again.get(created_id(one) or "") or again.get(_named_by(one))) for one in exchanges.values())
    shown = {ref: place for ref, place in named if place is not None}
    proofs: dict[str, set[str | None]] = defaultdict(set)
    for item in (item for result in results for item in result.violations):
        proofs[item.finding].add(shown.get(item.exchange or ""))
    renamed = {one: _FINDINGS[place] for one, [place, *others] in proofs.items() if place is not None and not others}
    return Reused(shown, renamed)


def _place_of(exchange: Exchange) -> str:
    is_of_conversations = exchange.request.path.endswith(_OF_CONVERSATIONS)
    return _OF_CONVERSATIONS if is_of_conversations else _OF_FILES


def _is_given_again(found: Iterable[Exchange]) -> bool:
    """Whether several keys, or more requests than may ask for the same, are answered with the id that these have."""
    asked = {one.request for one in found}
    return len({(one.key, one.path) for one in asked}) > 1 or len(asked) > _MANY


_MANY = 2
"""A tenant may know a file, or a title, that it has already."""


def _named_by(exchange: Exchange) -> str:
    """The id that a request names, in its path or in its header."""
    return dict(exchange.request.headers).get(CONVERSATION_HEADER) or exchange.request.path.rpartition("/")[2]
