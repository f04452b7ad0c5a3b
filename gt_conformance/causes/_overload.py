"""What fails because much is asked at a time: a limit of what is before the tenant, which no clause forbids.

An instance that fails now and then fails as often where requests come one by one. A limit answers all of these.
"""

from collections.abc import Awaitable, Callable, Sequence
from math import ceil, log

import anyio

from gt_conformance.errors import Blocker
from gt_conformance.exchange import Exchange
from gt_conformance.schema import count_noun

_LIMITED = frozenset({503, 529})
"""What gateways and servers of models answer where too much comes: "service unavailable", "overloaded"."""
_LEAST_SHARE = 0.1
"""What fails more rarely is not told from chance by a few requests."""
_BY_CHANCE = 0.01
"""So rarely may requests that come one by one all be answered by an instance that fails now and then."""
_PAUSE_S = 0.25
_SETTLED_S = 2.0
"""In this time what waits, or is counted, before a gateway of twenty requests a second is gone."""
_LEAST_ANSWERS = 3
_LEAST_TRIES = 8
"""Of instances that take turns, whatever their number, one comes up among these."""
_AFTER_OTHERS = 8
"""What is sent again for other reasons has lower numbers."""
_LEAST_FAILURE = 500


async def let_settle(failed: Exchange) -> None:
    """Wait before the request is sent again, where it may have failed because too much came just before."""
    if failed.response is not None and failed.response.status in _LIMITED:
        await anyio.sleep(_SETTLED_S)


async def find_overload(
    failed: Sequence[Exchange], asked: Sequence[Exchange], send_again: Callable[[Exchange, int], Awaitable[Exchange]]
) -> Blocker | None:
    """The limit that ``failed`` of the requests ``asked`` of the same places have met; None where there is none.

    Some of them are sent again, one by one with pauses, which takes seconds.
    """
    share = len(failed) / max(len(asked), 1)
    response = failed[0].response
    repeatable = [one for one in failed if not one.request.creates]
    if response is None or response.status not in _LIMITED or not repeatable:
        return None
    if not _LEAST_SHARE <= share < 1 or not _is_among_answers(failed, asked):
        return None
    tries = max(_LEAST_TRIES, ceil(log(_BY_CHANCE) / log(1 - share)))
    for number in range(tries):
        await anyio.sleep(_PAUSE_S)
        turn, place = divmod(number, len(repeatable))
        again = await send_again(repeatable[place], _AFTER_OTHERS + turn)
        if again.response is None or again.response.status >= _LEAST_FAILURE:
            return None
    return Blocker(
        f"{len(failed)} of {count_noun(len(asked), 'request')} got HTTP {response.status}, and {tries} that were sent "
        "again one by one were all answered: something limits how many may come at a time",
        "Lower limits.concurrency or limits.requests_per_minute in the tenant file, or have the gateway answer 429 "
        "with Retry-After, for which clients wait.",
        cause="outage:limit",
    )


def _is_among_answers(failed: Sequence[Exchange], asked: Sequence[Exchange]) -> bool:
    """Whether answers came between the failures: a tenant that was down for a while gave none."""
    refs = {one.ref for one in failed}
    places = [number for number, one in enumerate(asked) if one.ref in refs]
    between = asked[places[0] : places[-1]]
    answered = [one for one in between if one.response is not None and one.response.status < _LEAST_FAILURE]
    return len(answered) >= max(_LEAST_ANSWERS, _LEAST_SHARE * len(failed))
