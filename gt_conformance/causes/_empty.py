"""A success that is the same whatever is asked for is no answer: where it is given, nothing is open and nothing works.

A proxy that answers for a component that is down, an empty body, a page of maintenance: each route that gives it breaks
in another way, and what should be refused there seems to be let in. All of it is one finding.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from http import HTTPStatus

from gt_conformance.causes._failing import UNROUTED_AT, place_of
from gt_conformance.causes._outage import UNSTEADY
from gt_conformance.checks import (
    CheckResult,
    Violation,
    created_id,
    finding_of,
    holds_answer,
    holds_error,
    renamed_in,
)
from gt_conformance.errors import Blocker
from gt_conformance.exchange import Exchange, Response

_VARIES = re.compile(rb"[0-9a-fA-F-]{6,}|\d+")
"""What differs from one time to the next in a body that is the same: the id of a request, a time."""
_OF_ABILITIES = "ability "
"""How the causes of what is blocked begin where a model seems to lack an ability."""
_PAGE = finding_of("", "answers:web page", shared=True)
_SAME = finding_of("", "answers:the same whatever is asked", shared=True)


@dataclass(frozen=True)
class Cause:
    """The finding of what is given in place of answers, and its remedy; and the exchanges that got it."""

    finding: str
    remedy: str
    shown: frozenset[str]


@dataclass(frozen=True)
class Empty:
    """What is given in place of answers, by the reference of each exchange that got it."""

    causes: Mapping[str, Cause]
    renamed: Mapping[str, str]
    """The findings that nothing else proves, and what they become."""

    def amend(self, result: CheckResult) -> CheckResult:
        """The result with what one of these shows under its finding, and what it keeps from being tested."""
        met = next((self.causes[ref] for ref in result.exchanges if ref in self.causes), None)
        blockers = tuple(
            replace(item, because=met.finding) if met is not None and self._rests_on(item) else item
            for item in renamed_in(result.blockers, self.renamed)
        )
        return result.amended(tuple(map(self._amend, result.violations)), blockers)

    def _rests_on(self, item: Blocker) -> bool:
        """Whether one of these may be why: what a model seems not to be able to do, it was not asked for."""
        return not item.because and (item.exchange in self.causes or item.cause.startswith(_OF_ABILITIES))

    def _amend(self, violation: Violation) -> Violation:
        cause = self.causes.get(violation.exchange or "")
        return violation if cause is None else replace(violation, finding=cause.finding, remedy=cause.remedy)


def find_empty(results: Iterable[CheckResult], exchanges: Mapping[str, Exchange]) -> Empty | None:
    """What is given in place of answers, where several findings show it, and one of them is about what is due."""
    violations = [item for result in results for item in result.violations]
    by_body: dict[bytes, list[Exchange]] = defaultdict(list)
    for one in exchanges.values():
        if one.response is not None and one.response.succeeded and not _is_answer(one, one.response):
            by_body[_VARIES.sub(b"", one.response.body.strip())].append(one)
    proofs: dict[str, set[str]] = defaultdict(set)
    for item in violations:
        proofs[item.finding].add(item.exchange or "")
    causes: dict[str, Cause] = {}
    for alike in by_body.values():
        if (cause := _cause_of(alike, violations)) is not None:
            causes |= dict.fromkeys(cause.shown, cause)
    renamed = {
        finding: causes[next(iter(refs))].finding for finding, refs in proofs.items() if refs and refs <= causes.keys()
    }
    return Empty(causes, renamed) if causes else None


def _is_answer(exchange: Exchange, response: Response) -> bool:
    """Whether it may be one: it holds what a model says, what was created, or an error, which is another cause."""
    is_none_due = response.status == HTTPStatus.NO_CONTENT
    return is_none_due or holds_answer(response) or holds_error(response) or created_id(exchange) is not None


def _cause_of(alike: Sequence[Exchange], violations: Iterable[Violation]) -> Cause | None:
    by_ref = {one.ref: one for one in alike}
    found = [(item, by_ref[item.exchange]) for item in violations if item.exchange in by_ref]
    due = [(item, one) for item, one in found if one.request.is_due]
    response = alike[0].response
    findings = dict.fromkeys(item.finding for item, _ in due)
    if not due or response is None or UNSTEADY in findings or len({item.finding for item, _ in found}) == 1:
        return None
    places = list(dict.fromkeys(place_of(one) for _, one in due))
    if not response.looks_like_html and response.body.strip() and len(places) == 1:
        return None  # the answer of one route may be the same each time
    finding = next(iter(findings)) if len(findings) == 1 else _PAGE if response.looks_like_html else _SAME
    remedy = _remedy(response, places)
    if UNROUTED_AT in findings and all("/v1/" not in one.request.path for _, one in due):
        finding = UNROUTED_AT
        remedy = next(item.remedy or remedy for item, _ in due if item.finding == UNROUTED_AT)
    several = len(places) > 1  # else it may be that route's alone, and what else is empty is so for another reason
    return Cause(finding, remedy, frozenset(ref for ref, one in by_ref.items() if several or place_of(one) in places))


def _remedy(response: Response, places: Iterable[str]) -> str:
    if response.looks_like_html:
        what = "a web page is there in its place, of a proxy, or of a component that is down"
    elif response.body.strip():
        what = "the same is there in its place, whatever is asked for"
    else:
        what = "an empty body is there in its place, which a proxy may send for a component that is down"
    return f"Have these lead to the API, since {what}, while others are answered: {', '.join(places)}."
