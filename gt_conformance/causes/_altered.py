"""What several routes give in a form that no client can read, or redirect, is the doing of something before them all.

A gateway that writes keys in another case, numbers as text, answers as web pages, or sends everybody to a login, breaks
each route in another way, and is one cause. So is one mistake of type that is met in chats and in their streams.
"""

import re
from codecs import BOM_UTF8
from collections import defaultdict
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace

from gt_conformance.causes._failing import CUT, is_cut, words_of
from gt_conformance.causes._mixing import route_of
from gt_conformance.causes._outage import UNSTEADY
from gt_conformance.checks import CheckResult, Violation, finding_of, holds_error, normalized_reason
from gt_conformance.exchange import Exchange, NotJson

_SEVERAL = 3
"""So many routes are altered by one cause; two may have a mistake each, unless it is the same one."""
_UNREADABLE = ("shape~", "body~", "needs~", "empty~")
"""How the ids of findings begin about answers that lack what a client reads; some of streams and sounds follow."""
_WITH_THEM = ("audio~", "chat.streams~", "chat.streamed_tools~")
_MISSING = re.compile(r"the key '(?P<key>[^']+)' is missing")
_TYPES = re.compile(r"must be (?:an? )?(?:whole )?(?P<due>[a-z]+)\b.*?, not (?:the |an? )?(?P<given>[a-z]+)")
_NAMED = re.compile(r"^model is '(?P<name>[^']+)'$")
_SAYS_MARK = re.compile(r"\bBOM\b|\bef bb bf\b")
"""What is found where a mark is what is wrong: else it is before an answer that is wrong in another way as well."""
_BODY = "body~"
_ESCAPED = finding_of("", "chat:escaped", shared=True)
_MEDIA_CUT = frozenset(finding_of("", cause, shared=True) for cause in ("audio:cut", "image:cut"))
_CUT_ALIKE = 2
_MARKED_ALIKE = 2
_ID = re.compile(r"[^/]*\d[^/]*")


@dataclass(frozen=True)
class Cause:
    """The finding that these become, and its remedy."""

    finding: str
    remedy: str


@dataclass(frozen=True)
class Altered:
    """Findings, and what each of them becomes; and the answers that are altered as those are that prove them."""

    causes: Mapping[str, Cause]
    answers: Mapping[str, str]

    def amend(self, result: CheckResult) -> CheckResult:
        """The result with each of these under its cause; so is what one of these answers keeps from being judged."""
        violations = tuple(map(self._amend, result.violations))
        met = next((self.answers[ref] for ref in result.exchanges if ref in self.answers), "")
        blockers = tuple(
            replace(item, because=self.causes[item.because].finding if item.because in self.causes else item.because)
            if item.because
            else replace(item, because=met)
            for item in result.blockers
        )
        return result.amended(violations, blockers)

    def _amend(self, violation: Violation) -> Violation:
        cause = self.causes.get(violation.finding)
        return violation if cause is None else replace(violation, finding=cause.finding, remedy=cause.remedy)


def find_altered(results: Iterable[CheckResult], exchanges: Mapping[str, Exchange]) -> Altered | None:
    """Which findings they are; None where each is one for itself."""
    held = list(results)
    found = [
        (violation, exchange)
        for result in held
        for violation in result.violations
        if (exchange := exchanges.get(violation.exchange or "")) is not None and exchange.request.is_due
    ]
    causes = _errors_in_successes(found) or _redirected(found) or _unreadable(found)
    if not causes and (escaped := _escaped(held, exchanges)) is not None:
        return escaped
    if not causes:
        if (of_names := _of_names(found, exchanges)) is not None:
            return of_names
        causes = _cut_short(found) or _marked(found) or _written_otherwise(found)
        causes = causes or _of_one_type(found)
        return Altered(causes, {}) if causes else None
    routes = {route_of(one): causes[item.finding].finding for item, one in found if item.finding in causes}
    answers = {
        one.ref: routes[route_of(one)]
        for one in exchanges.values()
        if route_of(one) in routes and one.request.is_due and one.response is not None and one.response.status < 400
    }
    return Altered(causes, answers)


_Found = Iterable[tuple[Violation, Exchange]]


def _errors_in_successes(found: _Found) -> dict[str, Cause]:
    """One error in the successes of several routes: something takes its status from it, whichever check meets that."""
    by_reason: dict[str, list[tuple[Violation, Exchange]]] = defaultdict(list)
    for item, one in found:
        is_steady = item.finding != UNSTEADY
        if is_steady and one.response is not None and one.response.succeeded and holds_error(one.response):
            by_reason[normalized_reason(one.response)].append((item, one))
    causes: dict[str, Cause] = {}
    for reason, several in by_reason.items():
        routes = _routes(several)
        if len(routes) >= _SEVERAL:
            remedy = (
                "Have the tenant, and every gateway before it, answer an error with its own status, since clients take "
                f"a 2xx for a success: {', '.join(routes)}. Then find the cause of the error itself: {reason!r}."
            )
            cause = Cause(finding_of("", f"answers:error in successes {reason}", shared=True), remedy)
            causes |= {item.finding: cause for item, _ in several}
    return causes


def _marked(found: _Found) -> dict[str, Cause]:
    """What begins with a byte order mark on several routes: sounds and streams are broken by it, and JSON is not."""
    known = [
        (item, one)
        for item, one in found
        if one.response is not None and one.response.body.startswith(BOM_UTF8) and _SAYS_MARK.search(item.found)
    ]
    routes = _routes(known)
    if len(routes) < _MARKED_ALIKE:
        return {}
    remedy = (
        "Find what puts a byte order mark (EF BB BF) before each answer, and have it leave them as they are: "
        f"{', '.join(routes)}."
    )
    return dict.fromkeys(
        (item.finding for item, _ in known), Cause(finding_of("", "answers:byte order mark", shared=True), remedy)
    )


def _redirected(found: _Found) -> dict[str, Cause]:
    """By where they lead: everybody is sent there, whatever is asked for."""
    by_target: dict[str, list[tuple[Violation, Exchange]]] = defaultdict(list)
    for item, exchange in found:
        is_steady = item.finding != UNSTEADY
        if is_steady and exchange.response is not None and 300 <= exchange.response.status < 400:
            by_target[exchange.response.header("location") or ""].append((item, exchange))
    causes: dict[str, Cause] = {}
    for several in by_target.values():
        routes = _routes(several)
        if len(routes) >= _SEVERAL:
            remedy = (
                "Have the tenant answer these itself, and no login or other page before it: each of them is redirected "
                f"to the same place: {', '.join(routes)}."
            )
            cause = Cause(finding_of("", "answers:redirected", shared=True), remedy)
            causes |= {item.finding: cause for item, _ in several}
    return causes


def _unreadable(found: _Found) -> dict[str, Cause]:
    known = [
        (item, exchange)
        for item, exchange in found
        if exchange.response is not None and exchange.response.succeeded and item.finding.startswith(_UNREADABLE)
    ]
    routes = _routes(known)
    if len(routes) < _SEVERAL or len({item.finding for item, _ in known}) == 1:
        return {}
    first = known[0][0].found
    remedy = (
        "Find what alters the answers of several routes on their way (a gateway, a filter, another version of the "
        f"API): {', '.join(routes)}. Of the first: {first.removesuffix('.')}."
    )
    cause = Cause(finding_of("", "answers:altered", shared=True), remedy)
    return {item.finding: cause for item, _ in found if item.finding.startswith((*_UNREADABLE, *_WITH_THEM))}


def _escaped(results: Iterable[CheckResult], exchanges: Mapping[str, Exchange]) -> Altered | None:
    """What comes escaped for a web page, where that is a finding: JSON and tool calls in it are not the model's."""
    held = list(results)
    shown = next((item for result in held for item in result.violations if item.finding == _ESCAPED), None)
    if shown is None:
        return None
    succeeded = (one for one in exchanges.values() if one.response is not None and one.response.succeeded)
    answers = {one.ref: _ESCAPED for one in succeeded if one.response and b"&quot;" in one.response.body}
    blocked = (item for result in held if answers.keys() & set(result.exchanges) for item in result.blockers)
    cause = Cause(_ESCAPED, shown.remedy or "")
    return Altered({item.finding: cause for item in blocked if not item.because}, answers)


def _cut_short(found: _Found) -> dict[str, Cause]:
    """What is cut short on several routes, whatever it is: JSON, sounds, images."""
    known = [
        (item, one)
        for item, one in found
        if item.finding in _MEDIA_CUT or (item.finding.startswith(_BODY) and is_cut(one) and words_of(one) == CUT)
    ]
    places = _routes(known)
    if len(places) < _CUT_ALIKE:
        return {}
    remedy = (
        "Have the tenant, and every proxy before it, send each answer whole, whatever its size: what several routes "
        f"send is cut short, {', '.join(places)}."
    )
    return dict.fromkeys(
        (item.finding for item, _ in known), Cause(finding_of("", f"outage:{CUT}", shared=True), remedy)
    )


def _of_names(found: _Found, exchanges: Mapping[str, Exchange]) -> Altered | None:
    """A name that is no published one, in answers, their texts and lists alike: one thing writes it."""
    said = {given["name"] for item, _ in found if (given := _NAMED.search(item.found)) is not None}
    listed = {item.finding: name for item, one in found for name in said if _lists(one, name)}
    if not listed:
        return None
    name = next(iter(listed.values()))
    cause = Cause(
        finding_of("", "answers:other names", shared=True),
        f"Find what puts {name!r} in place of published names (a filter, a gateway, the tenant's list of agents): it "
        "is in model lists as in the `model` of answers.",
    )
    in_texts = {
        one.ref
        for one in exchanges.values()
        if one.response is not None and one.response.succeeded and one.response.body.count(name.encode()) > 1
    }
    same = {item.finding for item, one in found if one.ref in in_texts or f"model is {name!r}" == item.found}
    return Altered(dict.fromkeys([*listed, *same], cause), dict.fromkeys(in_texts, cause.finding))


def _lists(exchange: Exchange, name: str) -> bool:
    response = exchange.response
    if not exchange.request.path.endswith("/models") or response is None or not response.succeeded:
        return False
    with suppress(NotJson, LookupError, TypeError):
        return any(one["id"] == name for one in response.json()["data"])
    return False


def _written_otherwise(found: _Found) -> dict[str, Cause]:
    """What lacks a key, or says nothing, where its keys are in another writing: `toolCalls` for `tool_calls`."""
    written: dict[str, str] = {}
    shown: set[str] = set()
    for item, one in found:
        if one.response is None or not item.finding.startswith((*_UNREADABLE, *_WITH_THEM)):
            continue
        keys = {given: due for given, due in _IN_CAMEL_CASE.items() if f'"{given}":'.encode() in one.response.body}
        written |= keys
        shown |= {item.finding} if keys else set()
    if len(shown) < _MARKED_ALIKE:
        return {}
    named = ", ".join(f"{due} is written {given}" for given, due in sorted(written.items()))
    remedy = f"Find what writes the keys of answers in another way (a serializer, a gateway): {named}."
    return dict.fromkeys(shown, Cause(finding_of("", "answers:keys written otherwise", shared=True), remedy))


_IN_CAMEL_CASE = {
    "finishReason": "finish_reason",
    "toolCalls": "tool_calls",
    "totalTokens": "total_tokens",
    "b64Json": "b64_json",
}
"""Keys of answers as many serializers write them, and as clients read them."""


def _of_one_type(found: _Found) -> dict[str, Cause]:
    """Values of one type where another is due, in several places; else keys that are missing."""
    by_types: dict[tuple[str, str], dict[str, Violation]] = defaultdict(dict)
    for item, _ in found:
        types = _TYPES.search(item.found) if item.finding.startswith((*_UNREADABLE, *_WITH_THEM)) else None
        if types is not None:
            by_types[types["due"], types["given"]].setdefault(item.finding, item)
    causes: dict[str, Cause] = {}
    for (due, given), items in by_types.items():
        if (due, given) == ("text", "number"):
            items |= {item.finding: item for item, one in found if _is_unknown_number(one)}
        if len(items) > 1:
            finding = finding_of("", f"answers:{given} for {due}", shared=True)
            first = next(iter(items.values())).found
            remedy = (
                "Have the tenant answer in OpenAI's shape. In several places it returns values of type "
                f"{given} where type {due} is expected: {first}"
            )
            causes |= dict.fromkeys(items, Cause(finding, remedy))
    return causes or _without_keys(found)


def _is_unknown_number(exchange: Exchange) -> bool:
    """Whether nobody knows the number that was given as an id, so that it is asked for by that."""
    is_refused = exchange.response is not None and exchange.response.refused
    return is_refused and exchange.request.path.rpartition("/")[2].isdigit()


def _without_keys(found: _Found) -> dict[str, Cause]:
    """Keys that are missing, where one of them is in several places: what is empty may be left out wherever it is."""
    lacking: dict[str, tuple[str, str]] = {}
    for item, _ in found:
        missing = _MISSING.search(item.found) if item.finding.startswith((*_UNREADABLE, *_WITH_THEM)) else None
        if missing is not None:
            lacking.setdefault(item.finding, (missing["key"], item.found.removesuffix(".")))
    names = [name for name, _ in lacking.values()]
    if len(set(names)) == len(names):
        return {}
    texts = "; ".join(dict.fromkeys(text for _, text in lacking.values()))
    remedy = (
        "Have the tenant, and every proxy before it, return each field that clients read, even if its value is 0, "
        f"empty or null: in several places {texts}."
    )
    return dict.fromkeys(lacking, Cause(finding_of("", "answers:keys missing", shared=True), remedy))


def _routes(found: _Found) -> list[str]:
    """The routes that were asked, each once, by any address."""
    asked = (f"{one.request.method} {_ID.sub('{id}', route_of(one))}" for _, one in found)
    return list(dict.fromkeys(asked))
