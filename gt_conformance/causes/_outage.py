"""What fails in the same words is one cause, whichever checks meet it.

A route that fails for every key fails where it should answer and where it should refuse; a backend fails behind several
routes; an instance fails now and then, wherever it is asked: it answers with a 5xx or not at all, refuses a key that
works, or sends half a body. What refuses several routes that are due, in the same words, is one gateway, one missing
part or one right. At the end of a run each of these becomes one finding.
"""

from collections import defaultdict
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace

from gt_conformance.causes._failing import (
    ANSWER,
    ERROR_INSIDE,
    OF_BODIES,
    PAGE,
    UNROUTED_AT,
    Exchanges,
    failed_in,
    fails,
    goes_wrong,
    has_ended,
    has_succeeded,
    is_cut,
    is_failure,
    is_redirected,
    is_refused,
    place_of,
    words_of,
)
from gt_conformance.causes._gone import LOST, find_gone
from gt_conformance.causes._overload import find_overload, let_settle
from gt_conformance.causes._same_words import NOT_SERVED, OBJECTED_ALIKE, OF_GT, REFUSED_ALIKE, Cause, Failed, causes_of
from gt_conformance.checks import (
    NOW_AND_THEN,
    CheckCall,
    CheckResult,
    Violation,
    describe,
    find_limit,
    finding_of,
    is_of_model,
)
from gt_conformance.errors import Blocked, Blocker
from gt_conformance.exchange import Exchange, Failure
from gt_conformance.schema import count_noun
from gt_conformance.together import together
from gt_conformance.vocabulary import Actor

_BODY = "body~"
"""How the ids of findings of bodies begin that are no JSON."""
UNSTEADY = finding_of("", NOW_AND_THEN, shared=True)
_ASKED_AGAIN, _OFTEN_ASKED = 3, 8
_MOST_WORDS = 5
_QUICK_MS = 2_000
_OF_BODIES_LOST = frozenset({400, 411, 415, 422})


@dataclass(frozen=True)
class Outage:
    """What failed in a run, by the words of the failure and its place."""

    exchanges: Exchanges
    causes: Mapping[tuple[str, str], Cause]
    renamed: Mapping[str, str]
    """Findings that became another one."""
    unsteady: Mapping[str, Cause]
    """What failed now and then, by its words."""
    failing: Mapping[str, str] = field(default_factory=dict)
    """The finding of what answers with a 5xx or not at all, by its words."""
    due: Mapping[tuple[str, str], str] = field(default_factory=dict)
    """The finding of each refusal that was not due: who may be refused there gets the same, and it shows nothing."""
    shown: Mapping[CheckCall, Violation] = field(default_factory=dict)
    """What blocked results show of what failed now and then, where no violation shows it."""
    is_gt_closed: bool = False
    """Whether nothing that GT's own routes were asked for was answered: one part of the tenant serves them."""

    def amend(self, result: CheckResult) -> CheckResult:
        """The result with each failure under the finding of its cause, and what rests on it blocked because of that."""
        causes = [(item, self._cause_of(item)) for item in result.violations]
        violations = tuple(_explained_by(item, cause) for item, cause in causes if cause is None or not cause.blocker)
        limits = dict.fromkeys(cause.blocker for _, cause in causes if cause is not None and cause.blocker is not None)
        blockers = tuple(replace(item, because=self.reason_of(item)) for item in result.blockers)
        if not all(item.because for item in blockers) and (found := self.find(result)):
            blockers = tuple(item if item.because else replace(item, because=found) for item in blockers)
        if (shown := self.shown.get(result.call)) is not None:
            violations = (*violations, shown)
            blockers = tuple(item for item in blockers if item.because != shown.finding)
        return result.amended(violations, (*limits, *blockers))

    def reason_of(self, blocker: Blocker) -> str:
        """The finding because of which it is blocked; empty where it is one of its own."""
        exchange, is_own = self.exchanges.get(blocker.exchange), blocker.because in {"", _own_finding(blocker)}
        if not is_own or exchange is None or not has_ended(exchange):
            return self.renamed.get(blocker.because, blocker.because)
        words = words_of(exchange)
        if goes_wrong(exchange) and words in self.unsteady:
            return self.unsteady[words].finding
        found = self.due.get((words, place_of(exchange)), "")
        if is_failure(exchange):  # what fails in the same words elsewhere, fails here as well
            found = self.failing.get(words, "")
        if exchange.response is not None and exchange.response.looks_like_html:  # a firewall that reads what is sent
            of_bodies = (one for (same, _), one in self.due.items() if same == words and one in OF_BODIES)
            found = next(of_bodies, found)
        is_closed = self.is_gt_closed and found == blocker.finding
        if (not found or is_closed) and exchange.response is not None and exchange.response.status in NOT_SERVED:
            alike = (finding for (same, _), finding in self.due.items() if same == words)
            found = next((one for one in alike if not is_closed or one.startswith(ANSWER)), "")
        if found == blocker.finding:  # what several routes are refused with may be no matter of this one
            found = next((cause.finding for (same, _), cause in self.causes.items() if same == words), found)
        found = self.renamed.get(found, found)
        return found if found not in {"", blocker.finding} else self.renamed.get(blocker.because, blocker.because)

    def _cause_of(self, violation: Violation) -> Cause | None:
        exchange = self.exchanges.get(violation.exchange or "")
        if exchange is None or not (goes_wrong(exchange) and words_of(exchange) in self.unsteady):
            exchange = failed_in(violation, self.exchanges)
        return self.causes.get((words_of(exchange), place_of(exchange))) if exchange is not None else None

    def find(self, result: CheckResult) -> str:
        """The finding of what failed one of the check's own requests; empty where none of these did."""
        found = [self.exchanges[ref] for ref in result.exchanges if ref in self.exchanges]
        unsteady = (self.unsteady[words_of(one)] for one in found if goes_wrong(one) and words_of(one) in self.unsteady)
        if cause := next(unsteady, None):
            return cause.finding
        failed = (one for one in found if has_ended(one) and (not has_succeeded(one) or is_cut(one)))
        causes = (self.causes.get((words_of(one), place_of(one))) for one in failed)
        return next((cause.finding for cause in causes if cause is not None), "")


def rests_on_failure(result: CheckResult, exchanges: Exchanges) -> bool:
    """Whether a violation of it is a failure, or it is blocked where one was met: the run's end may find the cause."""
    met = (exchanges[ref] for ref in result.exchanges if ref in exchanges)
    return any(failed_in(item, exchanges) is not None for item in result.violations) or (
        bool(result.blockers) and any(map(fails, met))
    )


async def find_outage(
    results: Iterable[CheckResult],
    exchanges: Exchanges,
    send_again: Callable[[Exchange, int], Awaitable[Exchange]],
    keys_not_taken: Mapping[str, Exchange],
) -> Outage | None:
    """What failed; None where each failure is a finding for itself. Little is sent again, and only for several.

    ``keys_not_taken`` are the findings about keys that did not work at first, each with its proof: where that happens
    now and then, a key that works when it is tried again is one of these.
    """
    held = list(results)
    found = [
        Failed(item, exchange)
        for result in held
        for item in result.violations
        if (exchange := failed_in(item, exchanges)) is not None
    ]
    by_words: dict[str, list[Failed]] = defaultdict(list)
    for failure in found:
        by_words[failure.words].append(failure)
    is_gt_closed = _is_gt_closed(exchanges)
    causes: dict[tuple[str, str], Cause] = {}
    unsteady: dict[str, Cause | None] = {}
    gone = await find_gone([one.exchange for one in found], exchanges, send_again)
    for words, failures in by_words.items():
        if gone is not None and failures[0].exchange.failure in LOST:
            causes |= {(words, failure.place): Cause.by(gone) for failure in failures}
        elif await _is_unsteady([one.exchange for one in failures], send_again, _tries(words, exchanges)):
            unsteady[words] = await _limit_of(words, exchanges, send_again)
        elif words == PAGE or words.startswith(ERROR_INSIDE):
            continue  # at all times: what such answers are is told by the checks that meet them
        elif len({failure.violation.finding for failure in failures}) > 1 or is_refused(failures[0].exchange):
            is_of_keys = _is_of_keys(failures, exchanges)
            causes |= _causes_at_address(words, failures) or causes_of(
                words, failures, is_gt_closed=is_gt_closed, is_of_keys=is_of_keys
            )
    if gone is None:
        by_turns: Mapping[str, Sequence[Failed]] = {}
        with suppress(Blocked):  # by a limit of the run: what was found until then holds
            by_turns = await _refused_by_turns(held, exchanges, by_words, send_again)
        unsteady |= dict.fromkeys(by_turns)
        found += [one for failures in by_turns.values() for one in failures]
        causes |= (
            _without_bodies(found, exchanges)
            or _of_large_bodies(found, exchanges, unsteady)
            or _of_whole_routes(found, exchanges, causes, unsteady)
        )
    named = _named(unsteady, found, exchanges)
    causes |= {
        (words, place): cause
        for words, cause in named.items()
        for place in {place_of(one) for one in exchanges.values() if goes_wrong(one) and words_of(one) == words}
        | {one.place for one in by_words[words]}
    }
    mistaken = {
        finding: named[words_of(exchange)].finding
        for finding, exchange in keys_not_taken.items()
        if goes_wrong(exchange)
        and words_of(exchange) in named
        and await _is_taken_again(exchange, send_again, _tries(words_of(exchange), exchanges))
    }
    if gone is not None:
        silent = (finding for finding, exchange in keys_not_taken.items() if exchange.failure in LOST)
        mistaken |= dict.fromkeys(silent, gone.finding)
    due = _refused_where_due(held, exchanges)
    failing = {one.words: one.violation.finding for one in reversed(found) if is_failure(one.exchange)}
    if not causes and not due and not failing:
        return None
    explained = {id(failure.violation) for failure in found if (failure.words, failure.place) in causes}
    others = {item.finding for result in held for item in result.violations if id(item) not in explained}
    renamed = {
        failure.violation.finding: causes[failure.words, failure.place].finding
        for failure in found
        if id(failure.violation) in explained
        and (failure.violation.finding.startswith((ANSWER, _BODY)) or failure.violation.finding not in others)
    }
    renamed |= mistaken
    failing |= {words: cause.finding for (words, _), cause in causes.items() if words in failing}
    outage = Outage(exchanges, causes, renamed, named, failing, due, is_gt_closed=is_gt_closed)
    outage = replace(outage, renamed=renamed | _explained_blockers(outage, held))
    return replace(outage, shown=_shown_by_block(outage, held))


async def _refused_by_turns(
    results: Iterable[CheckResult],
    exchanges: Exchanges,
    known: Collection[str],
    send_again: Callable[[Exchange, int], Awaitable[Exchange]],
) -> Mapping[str, Sequence[Failed]]:
    """By their words, unless these are ``known``: refusals that come now and then, which checks read something into.

    Some read a right into it that the key lacks, or miss what it needs. What was answered in the run to the very same
    request was waited for by a check; a filter, and a model that takes no more, may refuse one time and not another.
    The words that come most often are looked at.
    """
    answered = {one.request for one in exchanges.values() if has_succeeded(one)}
    met: dict[str, list[Exchange]] = defaultdict(list)
    read: dict[str, list[Failed]] = defaultdict(list)
    for result in results:
        by_ref: dict[str, Violation | None] = dict.fromkeys(result.exchanges if result.blockers else ())
        by_ref |= {item.exchange or "": item for item in result.violations}
        for ref, violation in by_ref.items():
            one = exchanges.get(ref)
            if one is None or not one.request.is_due or not is_refused(one) or one.request in answered:
                continue
            if (words := words_of(one)) not in known and find_limit(one) is None and not is_of_model(one.response):
                met[words].append(one)
                read[words] += [] if violation is None else [Failed(violation, one)]
    most = sorted(met, key=lambda words: len(met[words]), reverse=True)[:_MOST_WORDS]
    return {
        words: read[words] for words in most if await _is_unsteady(met[words], send_again, _tries(words, exchanges))
    }


def _shown_by_block(outage: Outage, results: Iterable[CheckResult]) -> Mapping[CheckCall, Violation]:
    """The result that shows what fails now and then, where it keeps checks from being carried out and nothing else."""
    if UNSTEADY not in (cause.finding for cause in outage.unsteady.values()):
        return {}
    amended = list(map(outage.amend, results))
    if any(item.finding == UNSTEADY for result in amended for item in result.violations):
        return {}
    blocked = [result for result in amended if any(item.because == UNSTEADY for item in result.blockers)]
    for by, ref in ((result, ref) for result in blocked for ref in result.exchanges):
        one = outage.exchanges.get(ref)
        cause = outage.unsteady.get(words_of(one)) if one is not None and goes_wrong(one) else None
        if one is not None and one.response is not None and cause is not None:
            expected, found = "the request is answered, as it is when it is sent again", describe(one.response)
            shown = Violation(expected, found, ref, cause.remedy, cause.finding, acts=Actor.TENANT)
            return {by.call: shown}
    return {}


def _named(unsteady: Mapping[str, Cause | None], found: Sequence[Failed], exchanges: Exchanges) -> Mapping[str, Cause]:
    """The causes of what failed now and then by its words: a limit where one was found, else one for all."""
    words = {one for one, cause in unsteady.items() if cause is None}
    if not words:
        return {one: cause for one, cause in unsteady.items() if cause is not None}
    failed = [one for one in exchanges.values() if goes_wrong(one) and words_of(one) in words]
    failed = failed or [one.exchange for one in found if one.words in words]
    shared = Cause(UNSTEADY, explain_unsteady(failed, len(exchanges)))
    return {one: cause or shared for one, cause in unsteady.items()}


async def _limit_of(
    words: str, exchanges: Exchanges, send_again: Callable[[Exchange, int], Awaitable[Exchange]]
) -> Cause | None:
    """The limit that these failures have met, where they have."""
    failed = [one for one in exchanges.values() if is_failure(one) and words_of(one) == words]
    places = {place_of(one) for one in failed}
    asked = [one for one in exchanges.values() if place_of(one) in places]
    blocker = await find_overload(failed, asked, send_again) if failed else None
    return None if blocker is None else Cause.by(blocker)


def _explained_by(violation: Violation, cause: Cause | None) -> Violation:
    return violation if cause is None else replace(violation, finding=cause.finding, remedy=cause.remedy)


def _refused_where_due(results: Iterable[CheckResult], exchanges: Exchanges) -> dict[tuple[str, str], str]:
    """The findings of refusals that were not due, or that the operator has to explain, by their words and place."""
    held = list(results)
    said = [
        (item.exchange or "", item.finding)
        for result in held
        for item in result.violations
        if item.finding.startswith(ANSWER) or item.finding in OF_BODIES
    ]
    said += [(item.exchange, item.finding) for result in held for item in result.blockers if not item.because]
    found: dict[tuple[str, str], str] = {}
    for ref, finding in said:
        exchange = exchanges.get(ref)
        if exchange is None or exchange.response is None or exchange.request.refused:
            continue
        if exchange.response.refused:
            found.setdefault((words_of(exchange), place_of(exchange)), finding)
    return found


def _own_finding(blocker: Blocker) -> str:
    """The finding that it is for itself, whatever it is blocked because of."""
    return replace(blocker, because="").finding


def _explained_blockers(outage: Outage, results: Iterable[CheckResult]) -> dict[str, str]:
    """What is missing for checks each of which met the failure: it may not be missing at all."""
    met: dict[str, set[str]] = defaultdict(set)
    for result in results:
        for item in result.blockers:
            if not item.because:
                met[item.finding].add(outage.reason_of(item) or outage.find(result))
            elif item.because == _own_finding(item):
                met[item.finding].add(outage.reason_of(item))
    return {finding: found.pop() for finding, found in met.items() if len(found) == 1 and "" not in found}


def _causes_at_address(words: str, failures: Sequence[Failed]) -> dict[tuple[str, str], Cause]:
    """Where the un-versioned address alone fails throughout, it fails where it should refuse as well; else nothing."""
    address = next((one.violation for one in failures if one.violation.finding == UNROUTED_AT), None)
    if address is None or any("/v1/" in one.exchange.request.path for one in failures):
        return {}
    return {(words, one.place): Cause(address.finding, address.remedy or "") for one in failures}


def _is_gt_closed(exchanges: Exchanges) -> bool:
    asked = [one for one in exchanges.values() if one.request.is_due and OF_GT.search(one.request.path)]
    return len({place_of(one) for one in asked}) > 1 and not any(map(has_succeeded, asked))


def _without_bodies(found: Sequence[Failed], exchanges: Exchanges) -> dict[tuple[str, str], Cause]:
    """What is refused because no body arrives, since no route that takes one answers: each says so otherwise."""
    asked = [one for one in exchanges.values() if one.request.method == "POST" and one.request.is_due]
    failures = [one for one in found if one.exchange.request.method == "POST" and one.exchange.request.is_due]
    places = list(dict.fromkeys(one.place for one in failures))
    statuses = {one.exchange.response.status for one in failures if one.exchange.response is not None}
    if any(map(has_succeeded, asked)) or not statuses <= _OF_BODIES_LOST or len(places) < REFUSED_ALIKE:
        return {}
    remedy = (
        "Find what keeps the bodies of requests from the tenant, or changes them (a proxy, a redirect, a limit): no "
        f"POST is accepted: {', '.join(places)}. The first is refused with {failures[0].words}."
    )
    cause = Cause(finding_of("", "outage:no body arrives", shared=True), remedy)
    return {(one.words, one.place): cause for one in failures}


def _of_large_bodies(
    found: Sequence[Failed], exchanges: Exchanges, unsteady: Collection[str]
) -> dict[tuple[str, str], Cause]:
    """What fails because of its size, in whatever words: nothing is accepted that is larger than all that is."""
    asked = [one for one in exchanges.values() if one.request.method == "POST" and one.request.is_due]
    accepted = [one for one in asked if has_succeeded(one)]
    most = max((one.request.size for one in accepted), default=0)
    if any(one.response is not None and one.response.looks_like_html for one in asked if one.request.size > most):
        return {}  # what a firewall lets through may hang on what is sent
    smaller = {place_of(one) for one in accepted}
    large = [
        one for one in found if one.exchange in asked and one.exchange.request.size > most and one.words not in unsteady
    ]
    words = {one.words for one in large}
    places = list(dict.fromkeys(one.place for one in large if one.place in smaller))
    if len(words) < OBJECTED_ALIKE or len(places) < OBJECTED_ALIKE or not most:
        return {}
    if any(one.words in words and one.exchange.request.size <= most for one in found):
        return {}
    least = min(one.exchange.request.size for one in large)
    remedy = (
        f"Find what limits or cuts the bodies of requests (a proxy, a buffer, a limit): none of {least} bytes or more "
        f"is accepted, and those of up to {most} bytes are: {', '.join(places)}."
    )
    cause = Cause(finding_of("", "outage:large bodies", shared=True), remedy)
    return {(one.words, one.place): cause for one in large}


def _of_whole_routes(
    found: Sequence[Failed],
    exchanges: Exchanges,
    known: Mapping[tuple[str, str], Cause],
    unsteady: Collection[str],
) -> dict[tuple[str, str], Cause]:
    """What answers nobody, and refuses in words that differ by key or by what is sent: something else is asked."""
    by_place: dict[str, dict[str, Failed]] = defaultdict(dict)
    for one in found:
        is_free = (one.words, one.place) not in known and one.words not in unsteady
        is_closed = is_refused(one.exchange) or is_failure(one.exchange)
        if is_free and is_closed and one.violation.finding.startswith(ANSWER):
            by_place[one.place].setdefault(one.words, one)
    causes: dict[tuple[str, str], Cause] = {}
    for place, failures in by_place.items():
        asked = [one for one in exchanges.values() if one.request.is_due and place_of(one) == place]
        if len(failures) < OBJECTED_ALIKE or any(map(has_succeeded, asked)):
            continue
        remedy = (
            f"Find out where {place} leads, since no request to it is answered: it may be routed to another service, "
            f"or to another version of it. It is refused with {'; and with '.join(failures)}."
        )
        cause = Cause(finding_of("", f"answer:{place} never", shared=True), remedy)
        causes |= {(words, place): cause for words in failures}
    return causes


def _is_of_keys(failures: Sequence[Failed], exchanges: Exchanges) -> bool:
    """Whether all that these keys ask at these places fails, and another key is answered at each of them."""
    due = [one for one in failures if one.exchange.request.is_due and one.violation.finding.startswith(ANSWER)]
    keys = {one.exchange.request.key for one in due}
    places = {one.place for one in due}
    answered = [one for one in exchanges.values() if one.request.is_due and has_succeeded(one)]
    served = {(place_of(one), one.request.key) for one in answered}
    return bool(places) and all(
        any(at == place and key not in keys for at, key in served) and not any((place, key) in served for key in keys)
        for place in places
    )


def _tries(words: str, exchanges: Exchanges) -> int:
    """How often to ask again: more often where most of what is due fails in these words, and the rest is answered."""
    due = [one for one in exchanges.values() if one.request.is_due and one.response is not None]
    failed = sum(goes_wrong(one) and words_of(one) == words for one in due)
    return _OFTEN_ASKED if failed * 2 > len(due) and any(map(has_succeeded, due)) else _ASKED_AGAIN


async def _is_unsteady(
    failures: Sequence[Exchange], send_again: Callable[[Exchange, int], Awaitable[Exchange]], tries: int
) -> bool:
    """Whether one of a few requests does not fail when it is sent again.

    Different ones are, one of each place first: where a single place fails now and then, one request may meet the same
    instance. Where there are fewer, each comes several times, unless it takes long to fail. What creates something is
    sent again only where nothing else failed, one such request, until it is answered: so that one thing is created.
    A limit of how much may come in a second would fail them as before if they came at once.
    """
    repeatable = [one for one in failures if not one.request.creates] or failures[:1]
    asked = {one.request: one for one in {place_of(one): one for one in repeatable}.values()}
    asked |= {one.request: one for one in repeatable if one.request not in asked}
    first = list(asked.values())[:_ASKED_AGAIN]
    await let_settle(first[0])
    again = await together(send_again(exchange, 0) for exchange in first)
    if any(map(_is_answered_otherwise, first, again)):
        return True
    quick = [one for one in first if _is_quick(one)]
    rounds = [(one, number) for number in range(1, tries) for one in quick]
    for exchange, number in rounds[: tries - len(first)]:
        if _is_answered_otherwise(exchange, await send_again(exchange, number)):
            return True
    return False


async def _is_taken_again(
    exchange: Exchange, send_again: Callable[[Exchange, int], Awaitable[Exchange]], tries: int
) -> bool:
    """Whether what a preflight sent does not fail any more; what is refused there may be due to be."""
    for number in range(tries):
        again = await send_again(exchange, number)
        if not fails(again) and not is_redirected(again):
            return True
    return False


def _is_quick(exchange: Exchange) -> bool:
    """Whether it came to its end, soon, and at once: what breaks off, or was put off, may have been waited for."""
    response = exchange.response
    return not exchange.attempts and response is not None and response.complete and exchange.elapsed_ms < _QUICK_MS


def _is_answered_otherwise(exchange: Exchange, again: Exchange) -> bool:
    """Whether the same request does not fail any more: nothing goes wrong with it, and it is not refused as before."""
    if again.response is None or goes_wrong(again):
        return False
    same = exchange.response is not None and again.response.status == exchange.response.status
    return again.response.succeeded or not same


def explain_unsteady(failed: Sequence[Exchange], sent: int) -> str:
    """What to do about requests that fail now and then: those that failed, of how many that were sent."""
    response = failed[0].response
    got = words_of(failed[0])
    if response is not None and not response.succeeded:
        got = f"HTTP {response.status}"
    few = ""
    where = "the tenant's address (an instance, a backend, a limit)"
    if all(exchange.response is None for exchange in failed):
        where = f"{where}, or on the way of this machine to it (VPN, network)"
    if all(exchange.failure is Failure.TIMEOUT for exchange in failed):
        few = " If something before the tenant serves fewer connections at a time, lower limits.concurrency."
    return (
        f"Find what fails intermittently behind {where}: "
        f"{len(failed)} of {count_noun(sent, 'request')} got {got}, "
        f"and the same request is answered when it is sent again.{few}"
    )
