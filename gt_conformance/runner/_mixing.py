"""Answers that are to another request explain whatever else is wrong in the answers of that route.

A cache that leaves out what was asked, and a gateway that hands concurrent requests each other's answers, break what
any check expects of an answer. ``answers.own`` shows which routes they are; the rest is the same finding.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from gt_conformance.checks import OWN, Violation
from gt_conformance.exchange import Exchange
from gt_conformance.runner._result import CheckResult


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
        mixing = cls(shown, exchanges)
        for violation in (item for result in results for item in result.violations):
            if (cause := mixing._cause(exchanges.get(violation.exchange or ""))) is not None:
                mixing.renamed.setdefault(violation.finding, cause.finding)
        return mixing

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
        cause = self._cause(self.exchanges.get(violation.exchange or ""))
        return violation if cause is None else replace(violation, finding=cause.finding, remedy=cause.remedy)

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
