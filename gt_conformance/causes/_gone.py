"""The tenant, or the way to it, that is gone in the middle of a run: to its end, or for a time."""

from collections.abc import Awaitable, Callable, Iterable, Sequence

from gt_conformance.causes._failing import Exchanges, has_succeeded, place_of
from gt_conformance.checks import KNOWN_ROUTE
from gt_conformance.errors import Blocker
from gt_conformance.exchange import Exchange, Failure
from gt_conformance.schema import count_noun

_ASKED_AGAIN = 3


async def find_gone(
    failed: Iterable[Exchange], exchanges: Exchanges, send_again: Callable[[Exchange, int], Awaitable[Exchange]]
) -> Blocker | None:
    """What the silence of these is, where nothing was answered meanwhile, whatever was asked; None where something was.

    Then no answer tells the tenant from the way to it: what went silent shows nothing of what it promises.
    """
    silent = [one for one in failed if one.response is None]
    return _find_interruption(exchanges) or await _find_end(silent, exchanges, send_again)


async def _find_end(
    silent: Sequence[Exchange], exchanges: Exchanges, send_again: Callable[[Exchange, int], Awaitable[Exchange]]
) -> Blocker | None:
    """Why nothing is answered any more, not even what was at first; None where something is, or nothing is silent."""
    at_first = [one for one in exchanges.values() if _is_list(one) and has_succeeded(one)]
    if not silent or not at_first:
        return None
    answered = [_end_of(one) for one in exchanges.values() if one.response is not None]
    lost = [one for one in exchanges.values() if one.response is None and one.failure in LOST]
    if sum(_end_of(one) > max(answered) for one in lost) < _LEAST_LOST:
        return None
    again = [await send_again(at_first[0], number) for number in range(_ASKED_AGAIN)]
    if not all(one.response is None and one.failure in LOST for one in again):
        return None
    since = f" from {max(answered) / 1000:.0f} s after its beginning on"
    return Blocker(
        f"nothing was answered any more to the end of the run{since}, whatever was asked: {again[0].detail}; "
        f"{count_noun(len(answered), 'request')} had been answered by then",
        _FIND_WHAT_STOPPED,
        cause="gone",
        exchange=silent[0].ref,
    )


def _find_interruption(exchanges: Exchanges) -> Blocker | None:
    """The time in which nothing was answered, whatever was asked, where it was before and after; None where none was.

    Then it was the way, or all of the tenant: connections were refused or closed, and no answer came in between.
    """
    lost = [one for one in exchanges.values() if one.response is None and one.failure in _BROKEN]
    answered = [one for one in exchanges.values() if one.response is not None]
    if len(lost) < _LEAST_LOST:
        return None
    first, last = min(map(_end_of, lost)), max(one.started_ms or 0.0 for one in lost)
    # By keys that are served there at other times: what a route never gives, or gives no key, is no matter of time.
    served = {(place_of(one), one.request.key) for one in answered if one.request.is_due and has_succeeded(one)}
    both = {place_of(one) for one in lost if one.request.is_due and (place_of(one), one.request.key) in served}
    is_whole = not any(first < _end_of(one) < last for one in answered)
    if len(both) < _LEAST_PLACES or not is_whole or not any((one.started_ms or 0.0) >= last for one in answered):
        return None
    return Blocker(
        f"nothing was answered between {first / 1000:.1f} s and {last / 1000:.1f} s of the run, whatever was asked "
        f"({count_noun(len(lost), 'request')}: {lost[0].detail}); before and after, the same routes answered",
        _FIND_WHAT_STOPPED,
        cause="gone",
        exchange=lost[0].ref,
    )


_BROKEN = frozenset({Failure.CLOSED, Failure.CONNECT})
LOST = _BROKEN | {Failure.TIMEOUT}
_LEAST_LOST, _LEAST_PLACES = 5, 2
_FIND_WHAT_STOPPED = (
    "Find what stopped: the tenant, a gateway before it, or the network of this machine (VPN, proxy, sleep). Then run "
    "again."
)


def _is_list(exchange: Exchange) -> bool:
    return exchange.request.is_due and exchange.request.method == "GET" and exchange.request.path.endswith(KNOWN_ROUTE)


def _end_of(exchange: Exchange) -> float:
    return (exchange.started_ms or 0.0) + exchange.elapsed_ms
