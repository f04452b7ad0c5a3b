"""Several things that are wrong by the un-versioned address alone are one: it leads to another release, or elsewhere.

Clients that take the documented base URL call it. Where a request that goes wrong there is answered well by the
versioned address, what is wrong is not the route.
"""

from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from gt_conformance.causes._changed import form_of
from gt_conformance.causes._failing import UNROUTED_AT
from gt_conformance.checks import (
    READ_EVERYWHERE,
    CheckResult,
    Violation,
    finding_of,
    place_asked,
    renamed_in,
    versioned,
)
from gt_conformance.exchange import Exchange

_LEAST, _LEAST_ELSEWHERE, _MOST = 2, 3, 6
"""So many findings of one route, or of several, have one cause; of more than a few the first are looked at."""
_FINDING = finding_of("", "base_url:another release", shared=True)


@dataclass(frozen=True)
class Addresses:
    """The findings about the un-versioned address that are this one, and its remedy."""

    findings: frozenset[str]
    remedy: str

    def amend(self, result: CheckResult) -> CheckResult:
        """The result with each of these under the finding of the address, and what rests on it because of that."""
        violations = tuple(map(self._amend, result.violations))
        return result.amended(violations, renamed_in(result.blockers, dict.fromkeys(self.findings, _FINDING)))

    def _amend(self, violation: Violation) -> Violation:
        is_one = violation.finding in self.findings
        return replace(violation, finding=_FINDING, remedy=self.remedy) if is_one else violation


async def find_addresses(
    results: Iterable[CheckResult],
    exchanges: Mapping[str, Exchange],
    send_again: Callable[[Exchange, int], Awaitable[Exchange]],
) -> Addresses | None:
    """Which findings they are; None where each is one for itself. One request of each is sent to the other address."""
    shown: dict[str, list[tuple[Violation, Exchange | None]]] = defaultdict(list)
    for item in (item for result in results for item in result.violations):
        shown[item.finding].append((item, exchanges.get(item.exchange or "")))
    met = {finding: found for finding, found in shown.items() if all(_is_of_address(one) for _, one in found)}
    if len(met) < _LEAST or UNROUTED_AT in shown:
        return None
    different: dict[str, Exchange] = {}
    for finding, found in list(met.items())[:_MOST]:
        if (proof := await _answered_well_versioned(found, send_again)) is not None:
            different[finding] = proof
    at_one = Counter(map(place_asked, different.values())).most_common(1)
    if len(different) < _LEAST_ELSEWHERE and (not at_one or at_one[0][1] < _LEAST):
        return None
    places = ", ".join(dict.fromkeys(place_asked(one).replace("/v1/", "/", 1) for one in different.values()))
    remedy = (
        "Find out where the paths without /v1 lead, which clients call with the documented base URL: to an older "
        f"release of the tenant, or to another service. By /v1 the same is answered as it should be: {places}."
    )
    return Addresses(frozenset(different), remedy)


def _is_of_address(exchange: Exchange | None) -> bool:
    return exchange is not None and exchange.request.is_due and "/v1/" not in exchange.request.path


async def _answered_well_versioned(
    found: Sequence[tuple[Violation, Exchange | None]], send_again: Callable[[Exchange, int], Awaitable[Exchange]]
) -> Exchange | None:
    """What goes wrong here and is answered well, in another form, by the versioned address; None where nothing is."""
    item, wrong = found[0]
    if wrong is None or wrong.request.creates:
        return None
    if item.remedy == READ_EVERYWHERE:  # its check compared both addresses
        return wrong
    other = await send_again(replace(wrong, request=versioned(wrong.request)), 0)
    is_well = other.response is not None and other.response.succeeded
    return wrong if is_well and form_of(other) != form_of(wrong) else None
