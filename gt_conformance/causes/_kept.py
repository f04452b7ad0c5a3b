"""Refusals that a cache keeps: what one request was refused with, others get that are due.

A cache that knows a request by its address, with its key or without, gives the refusal of a stranger, or of a wrong
name, to whoever asks there next. Each check that meets one reads something else into it.
"""

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from gt_conformance.checks import CheckResult, find_limit, finding_of, is_of_model
from gt_conformance.exchange import Exchange

_LEAST, _LEAST_ADDRESSES, _NEARLY_ALL, _SELDOM = 3, 2, 0.8, 0.1
_FINDING = finding_of("", "cache:refusals", shared=True)
_KEEP_NONE = (
    "Have no cache before the tenant keep a refusal (a 4xx): what one request is refused with is given, word for word, "
    "to others at the same address that are answered at other times."
)
_KNOWN_BY: Sequence[Callable[[Exchange], Hashable]] = (
    lambda exchange: exchange.request.url,
    lambda exchange: (exchange.request.url, exchange.request.key),
)
"""By what such a cache may know a request: without the key, or with it."""


@dataclass(frozen=True)
class Kept:
    """The refusals that are not the tenant's answer to what was asked, by their references."""

    shown: frozenset[str]
    renamed: Mapping[str, str]
    """Findings that became that of the cache."""

    def amend(self, result: CheckResult) -> CheckResult:
        """The result with what such a refusal shows under the finding of the cache."""
        met = not self.shown.isdisjoint(result.exchanges)
        violations = tuple(
            replace(item, finding=_FINDING, remedy=_KEEP_NONE) if item.exchange in self.shown else item
            for item in result.violations
        )
        blockers = tuple(
            replace(item, because=_FINDING)
            if not {item.because, item.finding}.isdisjoint(self.renamed) or (met and not item.because)
            else item
            for item in result.blockers
        )
        return result.amended(violations, blockers)


def find_kept(
    results: Sequence[CheckResult], exchanges: Mapping[str, Exchange], keys_not_taken: Mapping[str, Exchange]
) -> Kept | None:
    """Which refusals they are; None where what is refused though it is due does not follow such a one.

    ``keys_not_taken`` are the findings about keys that did not work, each with its proof.
    """
    wrong = [one for one in exchanges.values() if _is_refused(one) and one.request.is_due]
    if len(wrong) < _LEAST:
        return None
    for known_by in _KNOWN_BY:
        shown = _kept_by(known_by, exchanges)
        served = [one for one in wrong if _is_served(one, exchanges)]
        certain = [one for one in served if one.ref in shown]
        first = [one for one in exchanges.values() if _is_refused(one) and one.ref not in shown]
        explained = shown | {one.ref for one in wrong if any(_may_give(other, one) for other in first)}
        is_rule = len(certain) >= max(_LEAST, len(served) / 2)
        is_rule = is_rule and sum(one.ref in explained for one in served) >= _NEARLY_ALL * len(served)
        if not is_rule:
            continue
        fresh = [one for one in served if not _follows_same(one, known_by, exchanges)]
        is_rule = len(fresh) <= _SELDOM * len(served)
        is_wide = len({one.request.path for one in certain}) >= _LEAST_ADDRESSES
        if is_rule and is_wide and not _is_ban(certain, exchanges):
            return Kept(explained, _renamed(results, explained, keys_not_taken))
    return None


def _renamed(
    results: Sequence[CheckResult], shown: frozenset[str], keys_not_taken: Mapping[str, Exchange]
) -> Mapping[str, str]:
    """The findings that such refusals alone have made."""
    made: dict[str, set[bool]] = defaultdict(set)
    for item in (item for result in results for item in result.violations):
        made[item.finding].add(item.exchange in shown)
    missing = {
        item.finding
        for result in results
        for item in result.blockers
        if not item.because and (item.exchange in shown or not shown.isdisjoint(result.exchanges))
    }
    missing |= {one for one, exchange in keys_not_taken.items() if exchange.ref in shown}
    return dict.fromkeys(missing | {one for one, by in made.items() if by == {True}}, _FINDING)


def _is_ban(kept: Sequence[Exchange], exchanges: Mapping[str, Exchange]) -> bool:
    """Whether next to nothing was answered while these came: who is refused too often may be refused everywhere."""
    begin, end = min(map(_end_of, kept)), max(one.started_ms or 0.0 for one in kept)
    answered = (one for one in exchanges.values() if one.response is not None and one.response.succeeded)
    return sum(begin < (one.started_ms or 0.0) and _end_of(one) < end for one in answered) < _LEAST


def _kept_by(known_by: Callable[[Exchange], Hashable], exchanges: Mapping[str, Exchange]) -> frozenset[str]:
    """What came, where it was due, as another request had just been refused that such a cache takes for the same."""
    asked: dict[Hashable, list[Exchange]] = defaultdict(list)
    for one in exchanges.values():
        if one.response is not None:
            asked[known_by(one)].append(one)
    return frozenset(
        one.ref
        for found in asked.values()
        for one in found
        if _is_refused(one) and one.request.is_due and any(_gives(first, one, found) for first in found)
    )


def _gives(first: Exchange, later: Exchange, found: Iterable[Exchange]) -> bool:
    """Whether the later one got the refusal of the first, and nothing else came to what was asked in between.

    The cache has the refusal before it has come to the end of its way.
    """
    begin, end = _end_of(first), later.started_ms or 0.0
    return (
        first.request.refused
        and (first.started_ms or 0.0) <= _end_of(later)
        and _is_same(first, later)
        and all(_is_same(one, first) for one in found if begin <= (one.started_ms or 0.0) and _end_of(one) <= end)
    )


def _may_give(first: Exchange, later: Exchange) -> bool:
    """Whether the later one may have got the refusal of the first, which asked for something else."""
    is_before = (first.started_ms or 0.0) < (later.started_ms or 0.0)
    return is_before and first.request != later.request and _is_same(first, later)


def _follows_same(later: Exchange, known_by: Callable[[Exchange], Hashable], exchanges: Mapping[str, Exchange]) -> bool:
    """Whether anybody got the same there before: what no request was refused with yet, no cache can give."""
    return any(
        one is not later
        and (one.started_ms or 0.0) < _end_of(later)
        and known_by(one) == known_by(later)
        and _is_same(one, later)
        for one in exchanges.values()
    )


def _is_same(one: Exchange, other: Exchange) -> bool:
    """Whether both got the same answer, word for word."""
    return one.response is not None and _words(one) == _words(other)


def _words(exchange: Exchange) -> tuple[int, bytes] | None:
    response = exchange.response
    return None if response is None else (response.status, response.body)


def _is_served(exchange: Exchange, exchanges: Mapping[str, Exchange]) -> bool:
    """Whether its key is answered at its address at another time, and is not refused alike ever after.

    Else the key was replaced meanwhile, or is locked.
    """
    request, end = exchange.request, _end_of(exchange)
    asked = [one for one in exchanges.values() if one.request.key == request.key and one.request.is_due]
    served = (one for one in asked if one.request.path == request.path)
    is_answered = any(one.response is not None and one.response.succeeded for one in served)
    return is_answered and any((one.started_ms or 0.0) > end and not _is_same(one, exchange) for one in asked)


def _is_refused(exchange: Exchange) -> bool:
    """Whether it was answered with a 4xx that is no limit of requests, and not the model's or a filter's."""
    response = exchange.response
    return response is not None and response.refused and find_limit(exchange) is None and not is_of_model(response)


def _end_of(exchange: Exchange) -> float:
    return (exchange.started_ms or 0.0) + exchange.elapsed_ms
