"""A gateway that puts one key in place of others shows in what they may do: it is the same for each of them.

Each check meets that in its own way: rights that a key has lost, rights that it should not have, lists of other names,
conversations of others. All of it is one finding.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from gt_conformance.checks import (
    KEYS_ALIKE,
    KNOWN_ROUTE,
    CheckResult,
    Violation,
    finding_of,
    ids_in,
    lets_in,
    place_asked,
)
from gt_conformance.errors import Blocker
from gt_conformance.exchange import Exchange, Presentation, Request
from gt_conformance.vocabulary import CONVERSATION_HEADER, Actor

_KEYS, _PLACES = 3, 2
"""So many keys must list the same, and so many places treat alike what is due and what is not, before that is said."""
OF_RIGHTS = ("scope~", "conversation~", "conversations~", "files~", "names~", "names.", "key.")
"""How the ids of findings begin about what a key may do."""
_OPEN = "boundary~"
"""And of what is open to anybody, to keys as well that are presented as they should be."""
KEPT_OUT = frozenset({401, 403, 404})

Outcomes = Mapping[tuple[str, ...], Mapping[str, Sequence[Exchange]]]
"""What the keys were answered, by what was asked for and by key."""


@dataclass(frozen=True)
class Alike:
    """The keys that are taken for one, and the exchanges by which that shows."""

    keys: frozenset[str]
    shown: frozenset[str]
    exchanges: Mapping[str, Exchange]
    explained: frozenset[str] = frozenset()
    """The findings that are this one."""

    def amend(self, result: CheckResult) -> CheckResult:
        """The result with what this explains under that finding, and blocked because of it where it is blocked.

        What one of these keys may do cannot be told while it is taken for another: what is declared may be right.
        """
        violations = tuple(
            replace(item, finding=self._finding, remedy=self._remedy) if self.explains(item) else item
            for item in result.violations
        )
        blockers = tuple(
            replace(item, because=self._finding, remedy=self._remedy) if self._keeps(item, result) else item
            for item in result.blockers
        )
        return result.amended(violations, blockers)

    def explains(self, violation: Violation) -> bool:
        """Whether it is about what a key may do, and shown by one of these keys, or by one that nobody has."""
        exchange = self.exchanges.get(violation.exchange or "")
        if exchange is None:
            return False
        about = (*OF_RIGHTS, _OPEN) if is_presented(exchange.request) else OF_RIGHTS
        return exchange.ref in self.shown or (exchange.request.key in self.keys and violation.finding.startswith(about))

    def _keeps(self, blocker: Blocker, result: CheckResult) -> bool:
        if blocker.because:
            return blocker.because in self.explained
        key = result.call.credential
        return not self.shown.isdisjoint(result.exchanges) or (key in self.keys and blocker.acts is Actor.SETUP)

    @property
    def _finding(self) -> str:
        return finding_of("", KEYS_ALIKE, shared=True)

    @property
    def _remedy(self) -> str:
        return (
            "Have every gateway before the tenant pass on the Authorization header as it came, and the tenant look at "
            f"it: the keys {', '.join(sorted(self.keys))} list the same names and may do the same, as if they were one."
        )


def find_alike(
    results: Iterable[CheckResult],
    exchanges: Mapping[str, Exchange],
    declared: Mapping[str, frozenset[str] | None],
) -> Alike | None:
    """Which keys are taken for one; None where what they may do differs, or is to be the same.

    ``declared`` are the names that each live key is declared to have.
    """
    held = [result for result in results if result.violations or result.blockers]
    if not held:
        return None
    keys = _listing_alike(exchanges.values(), declared)
    outcomes = _outcomes(exchanges.values(), keys) if keys else {}
    if any(_differ(asked) for asked in outcomes.values()):
        return None
    places = {place for (place, *_), asked in outcomes.items() if _treats_alike(asked)}
    if len(places) < _PLACES:
        return None
    others = declared.keys() - keys
    shown = {
        one.ref
        for one in exchanges.values()
        if one.request.key not in others and (is_wrong(one) or _lists_other_names(one, declared))
    }
    alike = Alike(keys, frozenset(shown), exchanges)
    violations = [item for result in held for item in result.violations]
    if not any(map(alike.explains, violations)):
        return None
    kept = {item.finding for item in violations if not alike.explains(item)}
    explained = {item.finding for item in violations} - kept
    explained |= {item.finding for result in held for item in result.blockers if item.acts is Actor.SETUP}
    return replace(alike, explained=frozenset(explained))


def _listing_alike(exchanges: Iterable[Exchange], declared: Mapping[str, frozenset[str] | None]) -> frozenset[str]:
    """The most keys that list the same names, though they are not declared to; none where these are few."""
    by_names: dict[frozenset[str], set[str]] = defaultdict(set)
    for one in exchanges:
        key, names = one.request.key, listed_in(one)
        if names is not None and key is not None and key in declared and is_presented(one.request):
            by_names[names].add(key)
    keys = max(by_names.values(), key=len, default=set())
    given = {names for key in keys if (names := declared[key]) is not None}
    return frozenset(keys) if len(keys) >= _KEYS and len(given) > 1 else frozenset()


def _outcomes(exchanges: Iterable[Exchange], keys: frozenset[str]) -> Outcomes:
    found: dict[tuple[str, ...], dict[str, list[Exchange]]] = defaultdict(lambda: defaultdict(list))
    for one in exchanges:
        request, response = one.request, one.response
        if request.key not in keys or not is_presented(request) or response is None:
            continue
        if response.succeeded or response.status in KEPT_OUT:
            last = request.path.rpartition("/")[2]  # the id of a file
            asked = (place_asked(one), last, model_of(request), conversation_of(request))
            found[asked][request.key].append(one)
    return found


def _differ(asked: Mapping[str, Sequence[Exchange]]) -> bool:
    """Whether one key is let in there, and another never is."""
    return len({any(lets_in(one.response) for one in found) for found in asked.values()}) > 1


def _treats_alike(asked: Mapping[str, Sequence[Exchange]]) -> bool:
    """Whether one key asks for what is due to it, and another for what is not: and both get the same."""
    due = {key for key, found in asked.items() if any(one.request.is_due for one in found)}
    return bool(due) and any(not one.request.is_due for key in asked.keys() - due for one in asked[key])


def is_wrong(exchange: Exchange) -> bool:
    """Whether what is due is refused, or what is not is let in."""
    response = exchange.response
    if response is None:
        return False
    return response.status in KEPT_OUT if exchange.request.is_due else lets_in(response)


def _lists_other_names(exchange: Exchange, declared: Mapping[str, frozenset[str] | None]) -> bool:
    names = listed_in(exchange)
    return names is not None and names != declared.get(exchange.request.key or "")


def listed_in(exchange: Exchange) -> frozenset[str] | None:
    """The names that a list of models holds; None where it is no such list, or an empty one."""
    is_list = exchange.request.path.endswith(KNOWN_ROUTE.removeprefix("/v1"))
    return frozenset(ids_in(exchange)) or None if is_list else None


def is_presented(request: Request) -> bool:
    """Whether its key comes as it should."""
    return request.presentation is Presentation.BEARER


@lru_cache(maxsize=1_024)
def model_of(request: Request) -> str:
    """The name that it asks for, in JSON or in a form; empty where it names none."""
    part = next((part for part in request.parts if part.name == "model"), None)
    return str(request.fields.get("model", "")) if part is None else part.content.decode(errors="replace")


def conversation_of(request: Request) -> str:
    """The conversation that it names; empty where it names none."""
    return dict(request.headers).get(CONVERSATION_HEADER, "")
