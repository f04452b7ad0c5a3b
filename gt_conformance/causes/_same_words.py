"""What fails in the same words, put together: which of it is one cause, by the words and by what they were said to."""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus

from gt_conformance.causes._failing import (
    ANSWER,
    CUT,
    OBJECTIONS,
    OF_BODIES,
    UNREADABLE,
    is_redirected,
    place_of,
    words_of,
)
from gt_conformance.checks import (
    KEY_REFUSED,
    PASS_ON_KEY,
    Violation,
    explain_answer,
    explain_silence,
    finding_of,
    says_foreign,
    says_no_key,
    says_off,
)
from gt_conformance.errors import Blocker
from gt_conformance.exchange import Exchange
from gt_conformance.vocabulary import CONVERSATION_HEADER

_GENERIC = frozenset(
    {
        "",
        "error",
        "bad request",
        "invalid request",
        "internal error",
        "internal server error",
        "server error",
        "forbidden",
        "unauthorized",
        "not found",
        "method not allowed",
        "unknown error",
    }
)
NOT_SERVED = frozenset({404, 405})
_PARTS = (re.compile(r"/audio/"), re.compile(r"^POST .*/files$"))
"""The routes that one part of the tenant serves: all audio, all uploads."""
REFUSED_ALIKE, OBJECTED_ALIKE = 3, 2
"""So many routes that are due are refused in the same words by one cause; two may have one each.

What objects to the request itself, in words of its own, is one cause at two routes: a firewall, a gateway's parser. So
is a right that one key lacks, as the words say, so is a key that is not taken, so is a part of the tenant that serves
all audio, or all uploads, and so is one that is switched off, as they say.
"""
OF_GT = re.compile(r"/(?:conversations|datasets|files|uploads)\b(?!/completions)")
"""The routes that OpenAI's API does not have."""


@dataclass(frozen=True)
class Failed:
    """A violation whose proof is a 5xx, no answer, a key that is not taken, a refusal not due, or a body cut short."""

    violation: Violation
    exchange: Exchange

    @property
    def place(self) -> str:
        """The route that failed, whichever address reached it."""
        return place_of(self.exchange)

    @property
    def words(self) -> str:
        """How it failed, without what differs from one failure to the next."""
        return words_of(self.exchange)


@dataclass(frozen=True)
class Cause:
    """The finding that a failure belongs to, and its remedy; ``blocker`` where it is no breach of the tenant's."""

    finding: str
    remedy: str
    blocker: Blocker | None = None

    @classmethod
    def by(cls, blocker: Blocker) -> "Cause":
        """What keeps from testing."""
        return cls(blocker.finding, blocker.remedy, blocker)


def causes_of(
    words: str, failures: Sequence[Failed], *, is_gt_closed: bool, is_of_keys: bool
) -> dict[tuple[str, str], Cause]:
    """By place: the failure of a route that should have answered explains all others there, and those in same words.

    Bodies that are cut short have one cause, wherever they are; a key that is never taken somewhere is a finding there.
    What fails at whatever some keys ask, and is answered to others, is one as well.
    """
    response = failures[0].exchange.response
    if words in _OF_BODY:
        cause = Cause(finding_of("", f"outage:{words}", shared=True), _OF_BODY[words])
        return {(words, one.place): cause for one in failures}
    answers = {one.place: one for one in failures if one.violation.finding.startswith(ANSWER)}
    finding = finding_of("", f"outage:{words}", shared=True)
    places, reason = ", ".join(answers), words.partition(" ")[2]
    if response is not None and response.refused:
        return _causes_of_refusals(words, failures, answers, is_gt_closed=is_gt_closed, is_of_keys=is_of_keys)
    is_specific = response is not None and (reason not in _GENERIC or _are_of_one_part(answers))
    if is_specific and reason in _GENERIC:  # as many say: elsewhere it is another's
        failures = [one for one in failures if one.place in answers]
    elif is_specific and answers and len({one.violation.finding for one in failures}) > 1:
        answers = {one.place: one for one in failures}
        places = ", ".join(answers)
    if len(answers) > (1 if is_specific or is_of_keys else 2):
        # Where so much fails that should answer, what fails in these words where it should refuse is part of it.
        remedy = f"Look in the tenant's log for what these have in common; they fail with the same message: {places}."
        if is_of_keys:
            remedy = (
                f"Look in the tenant's log for what fails for {_named_keys(answers.values())}, and for no other key: "
                f"{places}."
            )
        if is_redirected(failures[0].exchange):
            remedy = f"Have the tenant answer these itself, since redirects are not followed with a key: {places}."
        return {(words, one.place): Cause(finding, remedy) for one in failures}
    due = {one.violation.finding: one for one in failures if one.exchange.request.is_due}
    if not answers and len(due) == 1:
        answers = {one.place: one for one in due.values()}
    return {(words, place): _explained(one) for place, one in answers.items()}


def _causes_of_refusals(
    words: str,
    failures: Sequence[Failed],
    answers: Mapping[str, Failed],
    *,
    is_gt_closed: bool,
    is_of_keys: bool,
) -> dict[tuple[str, str], Cause]:
    """By place: what refuses several routes in the same words, and what that is, as far as these tell."""
    status, reason = int(words.partition(" ")[0]), words.partition(" ")[2]
    is_of_bodies = any(one.violation.finding in OF_BODIES for one in failures)
    objects = (status in OBJECTIONS or is_of_bodies) and reason not in _GENERIC
    answers = {one.place: one for one in failures} if objects else answers
    keys = {one.exchange.request.key for one in answers.values()}
    is_right = status in KEY_REFUSED and (is_of_keys or (len(keys) == 1 and reason not in _GENERIC))
    is_unserved = status in NOT_SERVED and _are_of_one_part(answers)
    is_of_method = status == HTTPStatus.METHOD_NOT_ALLOWED  # by what looks at the methods of all
    first = next(iter(failures)).exchange.response
    is_off = first is not None and says_off(first)
    is_foreign = _is_foreign(failures, answers)
    is_of_gt = is_gt_closed and all(OF_GT.search(place) for place in answers)
    is_of_conversations = _is_of_conversations(status, reason, answers.values())
    is_of_key = status == HTTPStatus.UNAUTHORIZED and reason not in _GENERIC
    is_part = is_unserved or is_off or is_of_gt or is_of_conversations
    is_one = objects or is_right or is_of_key or is_of_method or is_part or is_foreign
    if len(answers) < (OBJECTED_ALIKE if is_one else REFUSED_ALIKE):
        return _causes_of_alias(failures)
    finding = finding_of("", f"outage:{words}", shared=True)
    places = ", ".join(answers)
    remedy = (
        "Have the tenant, and every firewall before it, take these whatever their bodies hold (letters beyond ASCII, "
        f"code): some are refused with the same message, and others answered: {places}."
        if is_of_bodies
        else "Find what refuses these with the same message (a gateway, a missing component, a missing permission, a "
        f"provider behind the tenant): {places}."
    )
    if all(one.exchange.response is not None and says_no_key(one.exchange.response) for one in failures):
        remedy = f"{PASS_ON_KEY} It is missing in these: {places}."
    elif is_off:
        remedy = f"Enable in the tenant what its message says is disabled, for all that is refused with it: {places}."
    elif is_of_key:
        remedy = (
            "Find out why these refuse keys that the tenant takes elsewhere. A gateway may take the header "
            "Authorization off, they may look keys up in another place, or pass on what a provider behind the tenant "
            f"says of the tenant's own credential: {places}."
        )
    elif is_of_conversations and status == HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE:
        remedy = (
            f"Have the tenant, and every gateway before it, take requests with the header {CONVERSATION_HEADER}, which "
            f"are refused as too large: {places}."
        )
    elif is_of_conversations:
        remedy = (
            "Have the tenant keep each conversation that it opens, and know it for the key that opened it, on every "
            f"instance. What asks for one that was opened is refused as if there were none: {places}."
        )
    elif is_unserved:
        remedy = f"Have the tenant serve these routes; one component may be responsible for all of them: {places}."
    elif is_of_gt:
        remedy = (
            "Have the tenant open GT's own routes to the keys that may use them; one component may be responsible for "
            f"all of them. Everything that is asked of them is refused: {places}."
        )
    elif is_right and not is_foreign:
        refused = [one for one in failures if one.place in answers]
        rights = "its rights" if len({one.exchange.request.key for one in refused}) == 1 else "their rights"
        remedy = f"Have the tenant let {_named_keys(refused)} use these, or correct {rights}: {places}."
    return {(words, place): Cause(finding, remedy) for place in answers}


def _named_keys(failures: Iterable[Failed]) -> str:
    keys = sorted({str(one.exchange.request.key) for one in failures})
    return f"the key{'s' if len(keys) > 1 else ''} {', '.join(keys)}"


def _is_foreign(failures: Sequence[Failed], places: Collection[str]) -> bool:
    """Whether what is behind the tenant refuses a key at each of these places; each of several may lack a right."""
    response = failures[0].exchange.response
    if response is None or response.status not in {*KEY_REFUSED, *NOT_SERVED} or not says_foreign(response):
        return False
    at_each = [{one.exchange.request.key for one in failures if one.place == place} for place in places]
    return bool(at_each) and bool(set.intersection(*at_each))


def _are_of_one_part(places: Collection[str]) -> bool:
    return len(places) > 1 and any(all(part.search(place) for place in places) for part in _PARTS)


def _is_of_conversations(status: int, reason: str, failures: Iterable[Failed]) -> bool:
    """Whether what is refused names a conversation each time, and is not found, or is too large, for that."""
    is_named = all(CONVERSATION_HEADER in dict(one.exchange.request.headers) for one in failures)
    is_gone = status in {HTTPStatus.NOT_FOUND, HTTPStatus.GONE} and reason not in _GENERIC
    return is_named and (is_gone or status == HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)


def _causes_of_alias(failures: Sequence[Failed]) -> dict[tuple[str, str], Cause]:
    """What is refused at a route and at its alias, in the same words, is refused once; else nothing."""
    named = {one.violation.finding for one in failures}
    at_route = [one for one in failures if "/uploads/" not in one.exchange.request.path]
    if len(named) < OBJECTED_ALIKE or not at_route or len({one.place for one in failures}) > 1:
        return {}
    if not all(name.startswith(ANSWER) for name in named):
        return {}
    return {(at_route[0].words, at_route[0].place): _explained(at_route[0])}


def _explained(failure: Failed) -> Cause:
    exchange, response = failure.exchange, failure.exchange.response
    remedy = explain_silence(exchange) if response is None else explain_answer(exchange, response)
    return Cause(failure.violation.finding, remedy)


_SEND_WHOLE = (
    "Have the tenant, and every proxy before it, send each answer whole, and within limits.timeout_s: several routes "
    "send bodies that are cut short."
)
_OF_BODY = {
    CUT: _SEND_WHOLE,
    UNREADABLE: "Have the tenant, and every proxy before it, write JSON in UTF-8, with line ends and other control "
    "characters escaped: several routes send whole bodies that are not JSON.",
}
"""What to do about bodies that cannot be read, by how that is said."""
