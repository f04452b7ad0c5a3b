"""One instance of several that lists other names, or embeds by another model, explains what is wrong with either.

The same request then gets another answer when it comes again. Which checks meet that, and what each of them misses,
hangs on chance: it is one finding for all lists, and one for all vectors.
"""

from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from gt_conformance.causes._mixing import Mixing, route_of
from gt_conformance.checks import (
    EMBED_DIFFERENTLY,
    LETTERS_LOST,
    LIST_DIFFERENTLY,
    NEAR,
    CheckResult,
    Violation,
    cosine,
    finding_of,
    in_order,
    renamed_in,
    requests,
)
from gt_conformance.exchange import Exchange, NotJson, Request

_REQUESTS, _AGAIN = 6, 3
"""So many requests of a route are sent again, so often each; none of them creates anything."""
_LEAKS = ("internal~", "model~")
"""How the ids of findings begin about a name that must not show, now and then or not."""


@dataclass(frozen=True)
class _Kind:
    """What the answers of a route hold, how two of them differ, and what to do where they differ."""

    read: Callable[[Any], Sequence[Any]]
    alike: Callable[[Sequence[Any], Sequence[Any]], bool]
    finding: str
    found: str
    remedy: str


def _names(body: Any) -> Sequence[Any]:
    return sorted(str(entry["id"]) for entry in body["data"])


def _vectors(body: Any) -> Sequence[Any]:
    vectors = [item["embedding"] for item in in_order(body["data"])]
    for vector in vectors:
        requests.floats(vector)  # raises where it is none
    return vectors


def _are_close(one: Sequence[Any], other: Sequence[Any]) -> bool:
    """Whether as many vectors came, and each is the other's but for how machines round.

    What comes again as it was is the same, whatever it is: numbers that are none equal nothing, not even themselves.
    """
    return len(one) == len(other) and all(
        here == there or _is_close(requests.floats(here), requests.floats(there))
        for here, there in zip(one, other, strict=True)
    )


def _is_close(here: Sequence[float], there: Sequence[float]) -> bool:
    return len(here) == len(there) and cosine(here, there) > NEAR


_KINDS: Mapping[str, _Kind] = {
    "/models": _Kind(
        _names,
        lambda one, other: one == other,
        finding_of("", LIST_DIFFERENTLY, shared=True),
        "the same request gets other names when it comes again",
        "Have every instance of the tenant behind its load balancer, and every cache, list the same names to a key: "
        "one of them is behind.",
    ),
    "/embeddings": _Kind(
        _vectors,
        _are_close,
        finding_of("", EMBED_DIFFERENTLY, shared=True),
        "the same request gets other vectors when it comes again",
        "Have every instance of the tenant behind its load balancer embed by the same model: a text must get the same "
        "vector each time.",
    ),
}


@dataclass(frozen=True)
class Unsteady:
    """The routes whose answers differ from one time to the next."""

    routes: frozenset[str]
    exchanges: Mapping[str, Exchange]
    renamed: Mapping[str, str]
    """Findings that became that of a route."""
    letters: frozenset[str] = frozenset()
    """What is said of letters that are lost, on several routes: now and then or not, that is one cause of its own."""

    def amend(self, result: CheckResult) -> CheckResult:
        """The result with what is wrong in answers of these routes under that finding, and what rests on them."""
        violations = tuple(map(self._amend, result.violations))
        return result.amended(violations, renamed_in(result.blockers, self.renamed))

    def _amend(self, violation: Violation) -> Violation:
        exchange = _proof(violation, self.exchanges)
        if exchange is None or route_of(exchange) not in self.routes or violation.finding in self.letters:
            return violation
        kind = _KINDS[route_of(exchange)]
        if self.letters and not exchange.request.body.isascii():
            return replace(violation, finding=LETTERS_LOST.finding, remedy=LETTERS_LOST.remedy)
        found = f"{violation.found}; {kind.found}"
        return replace(violation, finding=kind.finding, found=found, remedy=kind.remedy)


async def find_unsteady(
    results: Iterable[CheckResult],
    exchanges: Mapping[str, Exchange],
    send_again: Callable[[Exchange, int], Awaitable[Exchange]],
    mixing: Mixing | None,
) -> Unsteady | None:
    """Which routes they are; None where each answer that a violation rests on comes again as it was.

    What a cache or a gateway mixes up is its own finding, and nothing is sent again there.
    """
    held = list(results)
    letters = LETTERS_LOST.findings & {item.finding for result in held for item in result.violations}
    letters = letters if len(letters) >= LETTERS_LOST.least else frozenset()
    found = [
        (item.finding, exchange)
        for result in held
        for item in result.violations
        if item.finding not in letters
        and (exchange := _proof(item, exchanges)) is not None
        and (mixing is None or mixing.finding_of_route(route_of(exchange)) is None)
    ]
    routes = {route_of(exchange) for _, exchange in found}
    unsteady = [route for route in routes if await _differs(_asked(route, found, exchanges), send_again)]
    renamed = {
        finding: LETTERS_LOST.finding if letters and not one.request.body.isascii() else _KINDS[route_of(one)].finding
        for finding, one in found
        if route_of(one) in unsteady
    }
    return Unsteady(frozenset(unsteady), exchanges, renamed, letters) if unsteady else None


def _asked(
    route: str, found: Iterable[tuple[str, Exchange]], exchanges: Mapping[str, Exchange]
) -> Iterable[Sequence[Exchange]]:
    """The requests that prove something there, and the same by the other address, with which they may be compared.

    Each with all that it was answered.
    """
    proofs = {(one.request.key, one.request.body) for _, one in found if route_of(one) == route}
    asked: dict[Request, list[Exchange]] = defaultdict(list)
    for one in exchanges.values():
        if route_of(one) == route and (one.request.key, one.request.body) in proofs and _is_plain(one):
            asked[one.request].append(one)
    return list(asked.values())[:_REQUESTS]


async def _differs(
    asked: Iterable[Sequence[Exchange]], send_again: Callable[[Exchange, int], Awaitable[Exchange]]
) -> bool:
    for exchanges in asked:
        kind = _KINDS[route_of(exchanges[0])]
        known = _read(kind, exchanges[0])
        if known is None:
            continue
        others = [_read(kind, one) for one in exchanges[1:]]
        for again in range(_AGAIN + 1):
            if any(other is not None and not kind.alike(known, other) for other in others):
                return True
            if again < _AGAIN:
                others = [_read(kind, await send_again(exchanges[0], again))]
    return False


def _read(kind: _Kind, exchange: Exchange) -> Sequence[Any] | None:
    """What an answer holds; None where it holds no such thing."""
    response = exchange.response
    if response is None or not response.succeeded:
        return None
    try:
        return kind.read(response.json())
    except (NotJson, LookupError, TypeError, ValueError, AttributeError):
        return None


def _proof(violation: Violation, exchanges: Mapping[str, Exchange]) -> Exchange | None:
    """The answer that a violation rests on, where another may come to the same request; else None."""
    exchange = exchanges.get(violation.exchange or "")
    if exchange is None or violation.finding.startswith(_LEAKS) or not _is_plain(exchange):
        return None
    return exchange if route_of(exchange) in _KINDS else None


def _is_plain(exchange: Exchange) -> bool:
    """Whether a key that may asked for it, and got it."""
    request, response = exchange.request, exchange.response
    return request.is_due and request.method in {"GET", "POST"} and response is not None and response.succeeded
