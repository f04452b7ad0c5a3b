"""What a cache gives to whom it should be refused is the cache's finding, whichever boundary it lets through.

An answer that came before, word for word and under its id, was not made for the request that gets it now: nobody
decided to let that request in. So a key, a name or a way to present a key that is let in by such an answer alone is no
hole of its own.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from http import HTTPStatus

from gt_conformance.causes._mixing import Mixing, answer_id, route_of
from gt_conformance.checks import (
    ANSWER_EACH,
    CACHE_BY_KEY,
    CACHED,
    OWN,
    CheckResult,
    Violation,
    finding_of,
    place_asked,
)
from gt_conformance.errors import Blocker
from gt_conformance.exchange import Exchange, Request

_Originals = Mapping[tuple[str, bytes], Exchange]
"""Who got an answer first, by its route and its body."""
_CHAT, _LIST, _EMBEDDINGS = "/chat/completions", "/models", "/embeddings"


@dataclass(frozen=True)
class Repeats:
    """The findings that show repeated answers alone, and the finding that they become."""

    findings: frozenset[str]
    finding: str
    remedy: str
    is_of_everything: bool = False
    """Whether nearly all answers are such: then nothing of the tenant shows, and each try costs requests in vain."""
    others: frozenset[tuple[str, str | None]] = frozenset()
    """What was judged before and is of findings that show something else as well, under whichever name by now."""
    originals: _Originals = field(default_factory=dict)
    """Who got each answer first."""
    exchanges: Mapping[str, Exchange] = field(default_factory=dict)

    def amend(self, result: CheckResult) -> CheckResult:
        """The result with what a cache alone let through under the finding of the cache."""
        if result.call.check == OWN and not self.is_of_everything:
            return result
        violations = tuple(map(self._amend, result.violations))
        blockers = tuple(
            replace(item, because=self.finding) if self._explains(item) else item for item in result.blockers
        )
        return result.amended(violations, blockers)

    def _explains(self, blocker: Blocker) -> bool:
        return blocker.because in self.findings or (self.is_of_everything and not blocker.because)

    def _amend(self, violation: Violation) -> Violation:
        if violation.finding not in self.findings and not self._is_repeated(violation):
            return violation
        return replace(violation, finding=self.finding, remedy=self.remedy)

    def _is_repeated(self, violation: Violation) -> bool:
        """Whether it was judged only after this was found, and is shown by such an answer."""
        exchange = self.exchanges.get(violation.exchange or "")
        is_new = _identify(violation) not in self.others
        return is_new and exchange is not None and _original(exchange, self.originals) is not None


def _identify(violation: Violation) -> tuple[str, str | None]:
    """What stays of a violation that goes under the finding of another cause: what was expected of which exchange."""
    return violation.expected, violation.exchange


def find_repeats(
    results: Sequence[CheckResult], seen: Sequence[Exchange], exchanges: Mapping[str, Exchange], mixing: Mixing | None
) -> Repeats | None:
    """Which findings are a cache's; None where no answer shows one that came before to another request."""
    if (everything := _of_everything(results, seen, exchanges, mixing)) is not None:
        return everything
    kinds = (
        _of_chats(results, seen, exchanges, mixing),
        _by_address(results, seen, exchanges),
        _of_vectors(results, seen, exchanges, mixing),
    )
    found = [kind for kind in kinds if kind is not None]
    if not found:
        return None
    alike = [kind for kind in found if kind.finding == found[0].finding]
    remedy = _joined({kind.remedy for kind in alike})
    return replace(found[0], findings=frozenset().union(*(kind.findings for kind in alike)), remedy=remedy)


def _joined(remedies: AbstractSet[str]) -> str:
    """One remedy for one cache: each kind of answer shows a part of what it does not look at."""
    if len(remedies) == 1:
        return next(iter(remedies))
    of_keys = (_LOOK_AT_KEYS, CACHE_BY_KEY)
    first = next((one for one in of_keys if any(remedy.startswith(one) for remedy in remedies)), "")
    if not first:
        return _WHOLE_REQUEST
    return first if remedies <= set(of_keys) else f"{first} {_AS_WELL}"


def _of_everything(
    results: Sequence[CheckResult], seen: Sequence[Exchange], exchanges: Mapping[str, Exchange], mixing: Mixing | None
) -> Repeats | None:
    """What a cache gives that keeps whatever is asked for, posted as well, by its address alone.

    It shows where chats and other routes give nearly all requests one answer each, and one of these was to be refused.
    Then nothing of the tenant shows, and what could not be tested is not known either.
    """
    asked: dict[str, dict[Request, Exchange]] = {}
    given: Counter[tuple[str, bytes]] = Counter()
    for one in seen:
        if one.response is not None and one.response.succeeded and one.response.body:
            given[_at(one)] += 1
            asked.setdefault(one.request.path, {}).setdefault(one.request, one)
    frozen = {path for path, found in asked.items() if _is_frozen(list(found.values()))}
    posted = {path for path in frozen if next(iter(asked[path])).method == "POST"}
    if len(posted) < _FROZEN_ROUTES or not any(path.endswith(_CHAT) for path in posted):
        return None
    proofs = _proofs(results, exchanges)
    let_in = (one for found in proofs.values() for one in found if one is not None and one.request.refused)
    if not any(given[_at(one)] > 1 for one in let_in):
        return None
    shown = set(proofs)
    shown |= {item.finding for item in mixing.shown.values()} if mixing is not None else set()
    shown |= {item.finding for result in results for item in result.blockers if not item.because}
    return Repeats(frozenset(shown), finding_of("", CACHED, shared=True), CACHE_BY_KEY, is_of_everything=True)


def _is_frozen(answered: Sequence[Exchange]) -> bool:
    """Whether nearly all of many different requests got one answer, word for word."""
    bodies = Counter(one.response.body for one in answered if one.response is not None)
    return len(answered) >= _MANY and max(bodies.values()) >= _NEARLY_ALL * len(answered)


_MANY, _NEARLY_ALL, _FROZEN_ROUTES = 10, 0.8, 3


def _by_address(
    results: Iterable[CheckResult], seen: Iterable[Exchange], exchanges: Mapping[str, Exchange]
) -> Repeats | None:
    """What a cache gives that keeps what is asked for with GET by its address alone.

    It shows where nobody's key gets what a key got before, and a key the list of another one: who merely asks for no
    key lists to each its own, and who lists the same to everybody asks for a key.
    """
    first: dict[tuple[str, bytes], Exchange] = {}
    at: dict[str, list[Exchange]] = {}
    for one in sorted(seen, key=lambda one: one.started_ms or 0.0):
        if one.request.method == "GET" and one.response is not None and one.response.succeeded and _holds(one):
            first.setdefault((one.request.path, one.response.body), one)
            at.setdefault(one.request.path, []).append(one)
    # What is compared with an answer that came before, at another address say, is wrong by it.
    compared = {(route_of(one), one.request.key) for one in seen if one.request.key and _came_before(one, first)}
    repeated: dict[str, list[Exchange]] = {}
    for finding, found in _proofs(results, exchanges).items():
        known = [one for one in found if one is not None and one.request.method == "GET"]
        given = [one for one in known if _came_before(one, first) or (route_of(one), one.request.key) in compared]
        if given and len(known) == len(found):
            repeated[finding] = given
    proven = [one for found in repeated.values() for one in found]
    to_nobody = any(one.request.key is None for one in proven)
    to_another = any(one.request.key is not None and route_of(one) == _LIST for one in proven)
    if not to_nobody or not to_another or any(_is_by_turns(at[one.request.path]) for one in proven):
        return None
    lost = _not_found_for_its_own(results, seen, exchanges)
    remedy = _LOOK_AT_KEYS if lost else CACHE_BY_KEY
    return Repeats(frozenset(repeated) | lost, finding_of("", CACHED, shared=True), remedy)


_LOOK_AT_KEYS = (
    "Have the tenant, and every cache before it, look at the key of each GET: whoever asks is answered as another key, "
    "and its own files are not found for it. A cache may keep answers by their address alone, or a gateway ask with a "
    "key of its own."
)


def _not_found_for_its_own(
    results: Iterable[CheckResult], seen: Iterable[Exchange], exchanges: Mapping[str, Exchange]
) -> frozenset[str]:
    """The findings about what a key has and does not find, where nobody's key is told the same instead of refused."""
    told = {place_asked(one) for one in seen if one.request.key is None and _is_not_found(one)}

    def is_one(one: Exchange | None) -> bool:
        return one is not None and one.request.is_due and _is_not_found(one) and place_asked(one) in told

    return frozenset(finding for finding, found in _proofs(results, exchanges).items() if all(map(is_one, found)))


def _is_not_found(exchange: Exchange) -> bool:
    response, is_get = exchange.response, exchange.request.method == "GET"
    return is_get and response is not None and response.status == HTTPStatus.NOT_FOUND


def _is_by_turns(answered: Sequence[Exchange]) -> bool:
    """Whether one answer of an address came again after another one: no cache gives what it has dropped.

    What was asked for before the first answer was there, no cache could give.
    """
    filled = min((one.started_ms or 0.0) + one.elapsed_ms for one in answered)
    bodies = [one.response.body for one in answered if one.response is not None and (one.started_ms or 0.0) > filled]
    last = {body: number for number, body in enumerate(bodies)}
    return any(number < last[body] and bodies[number + 1] != body for number, body in enumerate(bodies[:-1]))


def _holds(exchange: Exchange) -> bool:
    """Whether an answer is about something: who lists nothing to whoever may see nothing keeps no answer of another."""
    return exchange.response is not None and _ANY_ID in exchange.response.body


def _at(exchange: Exchange) -> tuple[str, bytes]:
    return exchange.request.path, exchange.response.body if exchange.response is not None else b""


def _proofs(results: Iterable[CheckResult], exchanges: Mapping[str, Exchange]) -> dict[str, list[Exchange | None]]:
    """What proves each finding, but for those of the check that looks for answers of others."""
    proofs: dict[str, list[Exchange | None]] = {}
    for result in results:
        for item in result.violations if result.call.check != OWN else ():
            proofs.setdefault(item.finding, []).append(exchanges.get(item.exchange or ""))
    return proofs


def _came_before(exchange: Exchange, first: Mapping[tuple[str, bytes], Exchange]) -> bool:
    """Whether somebody got the same from that address before."""
    response = exchange.response
    if exchange.request.method != "GET" or response is None or not response.succeeded:
        return False
    return first.get((exchange.request.path, response.body), exchange) is not exchange


def _of_chats(
    results: Sequence[CheckResult], seen: Sequence[Exchange], exchanges: Mapping[str, Exchange], mixing: Mixing | None
) -> Repeats | None:
    """What a cache gives that looks at the bodies of requests: an answer under the id of an earlier one shows it."""
    of_chats, of_all = _earlier(one for one in seen if _has_own_id(one)), _earlier(seen)
    by_id = {(answer_id(one), _key(one)) for one in of_chats[1]}
    if len({given for given, _ in by_id}) * 2 <= len(by_id):
        return None  # a gateway that gives all answers one id, whatever they say
    proofs = _proofs(results, exchanges)
    shown = {
        finding: [one for one in found if one is not None and _original(one, of_chats[0]) is not None]
        for finding, found in proofs.items()
        if all(one is not None and _original(one, of_all[0]) is not None for one in found)
    }
    certain = {finding: found for finding, found in shown.items() if found}
    if not any(one.request.refused for found in certain.values() for one in found):
        return None
    own = mixing.finding_of_route(_CHAT) if mixing is not None else None
    finding, remedy = finding_of("", CACHED, shared=True), CACHE_BY_KEY
    given = [
        (one.request, first.request)
        for found in certain.values()
        for one in found
        if (first := _original(one, of_chats[0])) is not None
    ]
    if not any(one.key != first.key for one, first in given):
        remedy = ANSWER_EACH
    elif any(one.fields != first.fields for one, first in given):
        remedy = f"{CACHE_BY_KEY} {_AS_WELL}"
    if own is not None:
        finding, remedy = own.finding, own.remedy or ""
    violations = (item for result in results if result.call.check != OWN for item in result.violations)
    others = frozenset(_identify(item) for item in violations if item.finding not in certain)
    return Repeats(frozenset(certain), finding, remedy, others=others, originals=of_chats[0], exchanges=exchanges)


def _of_vectors(
    results: Iterable[CheckResult], seen: Iterable[Exchange], exchanges: Mapping[str, Exchange], mixing: Mixing | None
) -> Repeats | None:
    """What a cache gives that looks at a part of what is to be embedded, and at no key.

    It shows where a request gets, word for word, what one got that sent another number of texts, or asked for another
    form, which the tenant gives to others; and where a key that is to be refused gets such an answer. Else it is how
    the tenant embeds, and whom it lets in.
    """
    asked: dict[bytes, list[Exchange]] = {}
    for one in seen:
        if route_of(one) == _EMBEDDINGS and one.response is not None and one.response.succeeded and one.response.body:
            asked.setdefault(one.response.body, []).append(one)
    mixed = any(len(set(map(_number_of_texts, found))) > 1 for found in asked.values())
    alone = [found[0] for found in asked.values() if len(found) == 1]
    if len({_is_in_base64(one) for one in alone if _asks_for_base64(one) is _is_in_base64(one)}) > 1:
        mixed = mixed or any(len(set(map(_asks_for_base64, found))) > 1 for found in asked.values())
    first = {body: min(found, key=lambda one: one.started_ms or 0.0) for body, found in asked.items() if len(found) > 1}

    def is_repeated(one: Exchange | None) -> bool:
        response = one.response if one is not None and route_of(one) == _EMBEDDINGS else None
        return response is not None and first.get(response.body, one) is not one

    proofs = _proofs(results, exchanges)
    shown = {finding: found for finding, found in proofs.items() if all(map(is_repeated, found))}
    cached = finding_of("", CACHED, shared=True)
    let_in = any(one is not None and one.request.refused for found in shown.values() for one in found)
    own = mixing.finding_of_route(_CHAT) if mixing is not None else None
    if mixed and own is not None:  # one cache of both
        return Repeats(frozenset(shown), own.finding, own.remedy or "")
    if not mixed or not (let_in or cached in proofs):  # of chats, say, which are one cache with these
        return None
    repeated = [one for found in shown.values() for one in found if one is not None and one.response is not None]
    is_of_others = any(first[one.response.body].request.key != one.request.key for one in repeated if one.response)
    remedy = f"{CACHE_BY_KEY} {_AS_WELL}" if is_of_others else _WHOLE_REQUEST
    return Repeats(frozenset(shown), cached, remedy)


def _asks_for_base64(exchange: Exchange) -> bool:
    return exchange.request.fields.get("encoding_format") == "base64"


def _is_in_base64(exchange: Exchange) -> bool:
    return exchange.response is not None and _BASE64.search(exchange.response.body) is not None


_BASE64 = re.compile(rb'"embedding"\s*:\s*"')
_AS_WELL = "It has to look at the whole request as well: answers are those to other messages or texts."
_WHOLE_REQUEST = (
    "Have the tenant, and every cache before it, compare the whole request before it gives an answer again, of "
    "embeddings its `model`, `input` and `encoding_format`: answers are those to other requests of the same key."
)


def _number_of_texts(exchange: Exchange) -> int:
    texts = exchange.request.fields.get("input")
    return len(texts) if isinstance(texts, list) and not all(isinstance(one, int) for one in texts) else 1


def _earlier(seen: Iterable[Exchange]) -> tuple[_Originals, Sequence[Exchange]]:
    """Who got each answer first, by the path without its version, and all that were answered."""
    first: dict[tuple[str, bytes], Exchange] = {}
    answered = []
    for one in sorted(seen, key=lambda one: one.started_ms or 0.0):
        if one.response is not None and one.response.succeeded and one.response.body and one.request.method == "POST":
            first.setdefault(_key(one), one)
            answered.append(one)
    return first, answered


def _key(exchange: Exchange) -> tuple[str, bytes]:
    assert exchange.response is not None, "only answers are compared"  # noqa: S101 - for the type checker
    return route_of(exchange), exchange.response.body


def _original(exchange: Exchange, first: _Originals) -> Exchange | None:
    """Who got the same answer before, by another key, presented otherwise, or to another request."""
    if exchange.response is None or not exchange.response.succeeded or not exchange.response.body:
        return None
    found = first.get(_key(exchange))
    return None if found is None or found is exchange or found.request == exchange.request else found


def _has_own_id(exchange: Exchange) -> bool:
    return exchange.request.path.endswith(_CHAT) and bool(answer_id(exchange))


_ANY_ID = b'"id"'
