"""Secrets in each other's places show in what the keys may do: each does what is declared of another one.

Each check meets that in its own way: rights that a key lacks, rights that it should not have, lists of other names.
Where a tenant gives keys too much, or too little, there is no key for what is declared of some. The tenant file is
wrong only where what is declared of each key is what another one may do.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from http import HTTPStatus

from gt_conformance.causes._alike import (
    KEPT_OUT,
    OF_RIGHTS,
    conversation_of,
    is_presented,
    is_wrong,
    listed_in,
    model_of,
)
from gt_conformance.checks import KNOWN_ROUTE, CheckResult, Violation, lets_in, place_asked, rights_of, says_wrong_key
from gt_conformance.errors import Blocker
from gt_conformance.exchange import Exchange
from gt_conformance.tenant import OTHER_TENANT, Credential
from gt_conformance.vocabulary import Actor, Purpose, Route

_OF_RIGHTS = tuple(one for one in OF_RIGHTS if not one.startswith("conversation"))
"""But for conversations: whichever key opened one, no other may read it."""
_CONVERSATIONS = "/conversations"
_VERSIONED = "/v1/"
_LIST = KNOWN_ROUTE.removeprefix("/v1")

_Asked = tuple[bool, str, str]
"""Whether by the versioned address, the route, and the name or the dataset that is asked for there."""


@dataclass(frozen=True)
class _Shown:
    """What a key may do: where it was let in, where others are and it is not, and which names it is listed."""

    let_in: frozenset[_Asked]
    kept_out: frozenset[_Asked]
    names: frozenset[str] | None
    is_dead: bool
    """Whether it is let in nowhere, and not because of what it asks for."""
    is_closed: bool
    """Whether it is let in nowhere, and may be dead, or may not do what it was asked for."""
    is_unlisted: bool
    """Whether it is refused the list of models: of those that work, only upload keys may be."""

    def fits(self, declared: Credential | None) -> bool:
        """Whether that is what is declared of a key, as far as both are known; None is declared of a dead one."""
        if declared is None or self.is_dead:
            return declared is None and (self.is_dead or self.is_closed)
        return (
            not (self.is_closed and self.is_unlisted and declared.purpose is not Purpose.UPLOAD)
            and (self.names is None or declared.models is None or self.names == declared.models)
            and all(_may(declared, asked) is not False for asked in self.let_in)
            and all(_may(declared, asked) is not True for asked in self.kept_out)
        )


@dataclass(frozen=True)
class Permuted:
    """The keys whose secrets are in each other's places, each with the key as which it is declared."""

    places: Mapping[str, str]
    blocker: Blocker
    exchanges: Mapping[str, Exchange]
    explained: frozenset[str] = frozenset()
    """The findings that are this one."""

    @property
    def shown(self) -> frozenset[str]:
        """The answers that only show whose secrets they are, by their references."""
        sent = (one for one in self.exchanges.values() if one.request.key in self.places)
        return frozenset(one.ref for one in sent if is_presented(one.request) and is_wrong(one))

    def amend(self, result: CheckResult) -> CheckResult:
        """The result, blocked by this where it is about what one of these keys may do."""
        violations = tuple(item for item in result.violations if not self.explains(item))
        explained = [self.blocker] if violations != result.violations else []
        blockers = (*explained, *(self._amend(item, result) for item in result.blockers))
        return result.amended(violations, tuple(dict.fromkeys(blockers)))

    def explains(self, violation: Violation) -> bool:
        """Whether it is about what a key may do, and shown by one of these keys."""
        if not self._is_sent_by_them(violation.exchange or ""):
            return False
        exchange = self.exchanges[violation.exchange or ""]
        return violation.finding.startswith(_OF_RIGHTS) or (is_presented(exchange.request) and is_wrong(exchange))

    def is_of_them(self, blocker: Blocker, result: CheckResult) -> bool:
        """Whether it is the operator's, and about one of these keys."""
        is_theirs = result.call.credential in self.places or self._is_sent_by_them(blocker.exchange)
        is_theirs = is_theirs or blocker.cause in map(rights_of, self.places)
        return is_theirs and blocker.acts is Actor.SETUP and not blocker.because

    def _is_sent_by_them(self, ref: str) -> bool:
        return ref in self.exchanges and self.exchanges[ref].request.key in self.places

    def _amend(self, item: Blocker, result: CheckResult) -> Blocker:
        if item.because in self.explained:
            return replace(self.blocker, reason=item.reason, because=self.blocker.finding)
        return self.blocker if self.is_of_them(item, result) else item


def find_permuted(
    results: Sequence[CheckResult],
    exchanges: Mapping[str, Exchange],
    keys: Sequence[Credential],
    not_taken: Mapping[str, Exchange],
) -> Permuted | None:
    """Whose secrets are in each other's places; None where what the keys may do is not so declared of others.

    ``keys`` are all keys of the tenant file, the revoked ones as well; ``not_taken`` are the findings about those that
    did not work, each with its proof.
    """
    if not any(result.violations or result.blockers for result in results):
        return None
    declared: dict[str, Credential | None] = {key.name: None if key.revoked else key for key in keys}
    called = {key.name: key.name for key in keys}
    called |= {key.retired_name: f"the retired secret of {key.name}" for key in keys if _was_rotated(key)}
    called[OTHER_TENANT] = "the key of another tenant"
    declared |= dict.fromkeys(name for name in called if name not in declared)
    shown = _shown_by(exchanges.values(), declared, {one.request.key for one in not_taken.values()})
    unsent = {key.retired_name for key in keys if key.name in shown and shown[key.name].is_dead} & called.keys()
    going_on = {key.retired_name for key in keys if key.retired_name in shown and _goes_on(shown, key)}
    but_rotated = {key: one for key, one in shown.items() if key not in going_on}
    places = _match(shown, declared, unsent) or _match(but_rotated, declared, unsent)
    if not places:
        return None
    owns = ", ".join(f"{called[key]} does what is declared of {called[other]}" for key, other in sorted(places.items()))
    *others, last = (called[key] for key in sorted(places))
    lives_on = any(declared[key] is None and not shown[key].is_closed for key in places)
    rotated = [key for key in keys if key.name in places and key.retired_name in places]
    is_undone = len(rotated) * 2 == len(places) and all(shown[key.name].is_dead for key in rotated)
    if_right = _IF_UNDONE if is_undone else _IF_ALIVE if lives_on else _IF_RIGHT
    blocker = Blocker(
        f"the secrets of these keys seem to be in each other's places: {owns}",
        f"Check these secrets in the tenant file, and put each in its place: {', '.join(others)} and {last}. "
        + if_right,
        cause="secrets permuted",
    )
    found = Permuted(places, blocker, exchanges)
    explained = {item.finding for result in results for item in result.violations if found.explains(item)}
    explained |= {item.finding for result in results for item in result.blockers if found.is_of_them(item, result)}
    explained |= {finding for finding, one in not_taken.items() if one.request.key in places}
    return replace(found, explained=frozenset(explained)) if explained else None


_IF_RIGHT = "If each is right, have the tenant give each key its own rights."
_IF_UNDONE = (
    "If each is right, the tenant has undone a rotation, as a restored backup of its keys does: rotate these "
    "keys again."
)
_IF_ALIVE = "If each is right, the tenant still accepts a revoked key or a retired secret: have it drop these at once."


def _was_rotated(key: Credential) -> bool:
    """Whether the tenant file names a retired secret of the key."""
    return key.retired_secret is not None or key.retired_unset is not None


def _goes_on(shown: Mapping[str, _Shown], key: Credential) -> bool:
    """Whether the retired secret of a key may do what the key may, which has its own: then its rotation is at fault."""
    return key.name in shown and shown[key.name].fits(key) and shown[key.retired_name].fits(key)


def _match(
    shown: Mapping[str, _Shown], declared: Mapping[str, Credential | None], unsent: Collection[str]
) -> Mapping[str, str]:
    """Which keys do what is declared of which others; empty where there is no key for what is declared of some.

    First among the places that the run has tried, and ``unsent``, the retired secrets of keys that do not work, which
    are sent once at most: what is in one place comes from another one of them. Else a place may be that of any key:
    then several keys that work must do what others may.

    A key that was asked for little may do so and yet do what is declared of itself: most of them must not.
    """
    own = {key for key, one in shown.items() if one.fits(declared[key])}
    for least, among in ((1, {key: one for key, one in declared.items() if key in {*shown, *unsent}}), (2, declared)):
        moved = {key: other for key, other in _place(shown, among).items() if key != other}
        strange = moved.keys() - own
        if sum(not shown[key].is_closed for key in strange) >= least and len(strange) > len(moved) / 2:
            return moved
    return {}


def _place(shown: Mapping[str, _Shown], declared: Mapping[str, Credential | None]) -> Mapping[str, str]:
    """A place for each of these keys, no two of them in one; empty where there is none for some."""
    fitting = {key: [other for other in declared if shown[key].fits(declared[other])] for key in shown}
    own = {key for key, others in fitting.items() if key in others}
    taken: dict[str, str] = {}

    def place(key: str, tried: set[str]) -> bool:
        for other in sorted(fitting[key], key=lambda one: (one != key, one in own, one not in shown, one)):
            if other not in tried:
                tried.add(other)
                if other not in taken or place(taken[other], tried):
                    taken[other] = key
                    return True
        return False

    is_whole = all(place(key, set()) for key in sorted(shown, key=lambda key: key not in own))
    return {key: other for other, key in taken.items()} if is_whole else {}


def _shown_by(
    exchanges: Iterable[Exchange], declared: Mapping[str, Credential | None], not_taken: Collection[str | None]
) -> dict[str, _Shown]:
    """What each of the keys shows that it may do; a key that shows nothing is left out."""
    found: dict[_Asked, dict[str, bool]] = defaultdict(dict)
    names: dict[str, frozenset[str]] = {}
    taken: dict[str, bool] = {}
    refused: set[str] = set()
    unlisted: set[str] = set()
    for one in exchanges:
        key, asked = one.request.key or "", _asked(one)
        if key not in declared or one.response is None or not is_presented(one.request):
            continue
        taken[key] = taken.get(key, False) or lets_in(one.response)
        refused |= {key} if one.response.status == HTTPStatus.UNAUTHORIZED or says_wrong_key(one.response) else set()
        if (listed := listed_in(one)) is not None:
            names.setdefault(key, listed)
        elif one.request.path.endswith(_LIST) and one.response.status in KEPT_OUT:
            unlisted.add(key)
        if asked is not None and (lets_in(one.response) or one.response.status in KEPT_OUT):
            found[asked][key] = found[asked].get(key, False) or lets_in(one.response)
    closed = {key for key, was in taken.items() if not was and (declared[key] is None or key in not_taken)}
    # Else the route is closed to everybody. Keys open conversations each with a name of its own.
    opened = {(one[0], one[1]) for one, by in found.items() if one[1] == _CONVERSATIONS and any(by.values())}
    tells = {asked: by for asked, by in found.items() if any(by.values()) or asked[:2] in opened}
    return {
        key: _Shown(
            frozenset(asked for asked, by in tells.items() if by.get(key) is True),
            frozenset(asked for asked, by in tells.items() if by.get(key) is False),
            names.get(key),
            key in closed and key in refused,
            key in closed,
            key in unlisted,
        )
        for key in declared
        if key in taken
    }


def _asked(exchange: Exchange) -> _Asked | None:
    """What of it the rights of its key alone decide about; None where something else may."""
    request = exchange.request
    if conversation_of(request) or request.method != "POST":
        return None
    is_versioned = _VERSIONED in request.path
    path = place_asked(exchange).rpartition("/v1")[2]
    route = Route.at(f"/v1{path}")
    if route is Route.DATASET_FILES:
        return is_versioned, Route.DATASET_FILES.value, request.path.split("/")[-2]
    if path == _CONVERSATIONS or (route is not None and route.modality is not None):
        return is_versioned, path if route is None else route.value, model_of(request)
    return None


def _may(key: Credential, asked: _Asked) -> bool | None:
    """Whether the key is declared to be let in there; None where that is not known."""
    _, where, target = asked
    if where == Route.DATASET_FILES.value:
        both = (key.may(Route.DATASET_FILES), key.may_write(target))
    elif where == _CONVERSATIONS:  # inference keys may open conversations
        opens = {Purpose.CONVERSATION: True, Purpose.UPLOAD: False}.get(key.purpose) if key.purpose else None
        both = (opens, key.may_use(target))
    else:
        both = (key.may(Route(where)), key.may_use(target))
    return False if False in both else None if None in both else True
