"""Answers that are to another request explain whatever else is wrong in the answers of that route.

A cache that leaves out what was asked, and a gateway that hands concurrent requests each other's answers, break what
any check expects of an answer. ``answers.own`` shows which routes they are; the rest is the same finding.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from gt_conformance.checks import OWN, READ_BY_OTHERS, CheckResult, Violation, finding_of, lets_in
from gt_conformance.exchange import Exchange

_ENCODED = finding_of("", "encoding:mislabelled", shared=True)
_NAMED = "model~"
_READ_BY_OTHERS = finding_of("", READ_BY_OTHERS, shared=True)


def may_be_mixed(result: CheckResult) -> bool:
    """Whether the end of the run may find that what is wrong with the result is another request's answer."""
    return bool(result.violations or result.blockers)


@dataclass(frozen=True)
class Mixing:
    """The routes whose answers are mixed up, by their paths without a version, with the violation that shows each."""

    shown: Mapping[str, Violation]
    exchanges: Mapping[str, Exchange]
    renamed: dict[str, str] = field(default_factory=dict)
    """Findings that became that of a route."""

    @classmethod
    def of(cls, own: CheckResult, exchanges: Mapping[str, Exchange], results: Iterable[CheckResult]) -> "Mixing":
        """From the result of the check that looks for them, and those that it may explain."""
        shown: dict[str, Violation] = {}
        for violation in own.violations:
            if (exchange := exchanges.get(violation.exchange or "")) is not None:
                shown.setdefault(route_of(exchange), replace(violation, remedy=violation.remedy or own.remedy))
        mixing, results = cls(shown, exchanges), list(results)
        for violation in (item for result in results for item in result.violations):
            if (cause := mixing._cause_of(violation)) is not None:
                mixing.renamed.setdefault(violation.finding, cause.finding)
        mixing.renamed.update(mixing._explained_blockers(results))
        return mixing

    def _explained_blockers(self, results: Iterable[CheckResult]) -> Mapping[str, str]:
        """What is missing for checks each of which met such answers: it may not be missing at all."""
        met: dict[str, set[str]] = defaultdict(set)
        for result in results:
            for item in (item for item in result.blockers if not item.because):
                cause = self._met(result)
                met[item.finding].add(cause.finding if cause else "")
        return {finding: min(found) for finding, found in met.items() if len(found) == 1 and "" not in found}

    def finding_of_route(self, path: str) -> Violation | None:
        """The violation that shows that the answers of a route are mixed up; None where they are not."""
        return self.shown.get(path)

    def amend(self, result: CheckResult) -> CheckResult:
        """The result with what is wrong in answers of these routes under that finding, and what rests on them."""
        if result.call.check == OWN:
            return result
        violations = tuple(map(self._amend, result.violations))
        met = self._met(result)
        blockers = tuple(
            replace(item, because=self.renamed.get(item.because, item.because) or (met.finding if met else ""))
            for item in result.blockers
        )
        return result.amended(violations, blockers)

    def _amend(self, violation: Violation) -> Violation:
        cause = self._cause_of(violation)
        return violation if cause is None else replace(violation, finding=cause.finding, remedy=cause.remedy)

    def _cause_of(self, violation: Violation) -> Violation | None:
        """The finding of the route that it is about.

        How an answer is encoded is wrong of whichever answer; whom it names is that of the other request.
        """
        exchange = self.exchanges.get(violation.exchange or "")
        if exchange is None or violation.finding == _ENCODED:
            return None
        if violation.finding == _READ_BY_OTHERS and self._is_made_anew(exchange):
            return None  # which no cache has told
        if violation.finding.startswith(_NAMED) and lets_in(exchange.response):
            return self.shown.get(route_of(exchange))
        return self._cause(exchange)

    def _is_made_anew(self, exchange: Exchange) -> bool:
        """Whether its answer has an id of its own, where those of the cache have the ids of earlier ones."""
        given = Counter(map(answer_id, self.exchanges.values()))
        cause = self._cause(exchange)
        shown = self.exchanges.get(cause.exchange or "") if cause is not None else None
        return shown is not None and given[answer_id(shown)] > 1 and given[answer_id(exchange)] == 1

    def _met(self, result: CheckResult) -> Violation | None:
        causes = (self._cause(self.exchanges.get(ref)) for ref in result.exchanges)
        return next((cause for cause in causes if cause is not None), None)

    def _cause(self, exchange: Exchange | None) -> Violation | None:
        """The finding of its route, where a success was due and came: what answers a refused key is open, whoever's."""
        if exchange is None or exchange.request.refused:
            return None
        if exchange.response is None or not exchange.response.succeeded:
            return None
        return self.shown.get(route_of(exchange))


def route_of(exchange: Exchange) -> str:
    """The path that was asked for, without the base and the version: the same at both addresses."""
    return exchange.request.path.rpartition("/v1")[2].rpartition("/tenant")[2]


def answer_id(exchange: Exchange) -> str:
    """The id of a chat's answer, streamed or not; empty where there is none."""
    response = exchange.response
    if response is None or not response.succeeded:
        return ""
    given = _ID.search(response.body[:_ID_WITHIN])
    return given[1].decode(errors="replace") if given is not None else ""


_ID = re.compile(rb'"id"\s*:\s*"([^"]{1,200})"')
_ID_WITHIN = 2_000
