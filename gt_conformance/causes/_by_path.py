"""Keys that are let in or refused by the path alone: whoever asks there first decides for all that ask there later.

A gateway that keeps what it decided about a path, without the key, lets dead keys in on some paths and refuses live
ones on others. Which, differs from one run to the next, and each check that meets it reads something else into it.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from http import HTTPStatus

from gt_conformance.checks import KEY_REFUSED, CheckResult, finding_of, renamed_in
from gt_conformance.exchange import Exchange

_LEAST = 4
"""So many paths have to show it, each of them to keys that are live and to others: where one tells them apart, none."""
_CLOSED = 2
"""So many paths have to refuse a live key, where none both refuses somebody first and lets in others later."""
_FINDING = finding_of("", "keys:decided by path", shared=True)
_BY_ITS_KEY = (
    "Have the tenant, and every gateway before it, decide about each request by its own key, and keep no decision by "
    "the path alone: what one key was answered on a path decides whether another one, or none, is let in there."
)


@dataclass(frozen=True)
class ByPath:
    """What was let in that should be refused, or refused though it was due, by its references."""

    shown: frozenset[str]
    findings: frozenset[str]
    """The findings that any of these proves."""

    def amend(self, result: CheckResult) -> CheckResult:
        """The result with what such a decision shows under its finding, and what it keeps from being tested."""
        met = not self.shown.isdisjoint(result.exchanges)
        violations = tuple(
            replace(item, finding=_FINDING, remedy=_BY_ITS_KEY) if item.finding in self.findings else item
            for item in result.violations
        )
        blockers = tuple(replace(item, because=_FINDING) if met else item for item in result.blockers)
        return result.amended(violations, renamed_in(blockers, dict.fromkeys(self.findings, _FINDING)))


def find_by_path(
    results: Iterable[CheckResult], exchanges: Mapping[str, Exchange], live: Collection[str]
) -> ByPath | None:
    """What is decided so; None where a path tells the ``live`` keys from others, or where it lets in whoever asks."""
    violations = [item for result in results for item in result.violations]
    if not violations:
        return None
    asked: dict[str, list[Exchange]] = defaultdict(list)
    for one in sorted(exchanges.values(), key=lambda one: one.started_ms or 0.0):
        if one.response is not None and one.response.status < HTTPStatus.INTERNAL_SERVER_ERROR:
            asked[one.request.path].append(one)
    told = [[one for one in found if one.request.is_due or one.request.key not in live] for found in asked.values()]
    both = [found for found in told if len({one.request.is_due for one in found}) > 1]
    if len(both) < _LEAST or not all(map(_is_decided_once, both)):
        return None
    wrong = [one for found in asked.values() for one in found if _is_refused(one) is one.request.is_due]
    if not any(one.request.key not in live for one in wrong):
        return None
    closed = {one.request.path for one in wrong if one.request.is_due and one.request.key in live}
    opened = any(_is_opened_later(found) for found in both)
    if len(closed) < _CLOSED and not opened:
        return None  # one route that is closed to everybody is another cause
    shown = frozenset(one.ref for one in wrong)
    return ByPath(shown, frozenset(item.finding for item in violations if item.exchange in shown))


def _is_decided_once(found: Sequence[Exchange]) -> bool:
    """Whether nobody is refused on a path once somebody was let in there."""
    filled = min((_end_of(one) for one in found if not _is_refused(one)), default=None)
    return filled is None or not any(_is_refused(one) and (one.started_ms or 0.0) >= filled for one in found)


def _is_opened_later(found: Sequence[Exchange]) -> bool:
    """Whether somebody was refused on a path before somebody else was let in there."""
    first, *later = found
    return _is_refused(first) and any(
        not _is_refused(one) and (one.started_ms or 0.0) >= _end_of(first) for one in later
    )


def _is_refused(exchange: Exchange) -> bool:
    return exchange.response is not None and exchange.response.status in KEY_REFUSED


def _end_of(exchange: Exchange) -> float:
    return (exchange.started_ms or 0.0) + exchange.elapsed_ms
