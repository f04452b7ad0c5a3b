"""A tenant that answers the same request in another form when it comes again is several, or became another.

A deployment in the middle of a run, or one instance of several, breaks whatever is asked of it: in other words wherever
a check meets it, and none of these is the cause. At the end of a run what was answered well is asked for again, and
what was answered in a wrong form: where either gets another form then, what is wrong in that form is one finding.
"""

import re
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from http import HTTPStatus
from itertools import chain
from typing import Any

from gt_conformance.causes._failing import is_failure
from gt_conformance.causes._outage import UNSTEADY
from gt_conformance.checks import (
    ANSWER_DIFFERENTLY,
    KNOWN_ROUTE,
    CheckResult,
    Violation,
    finding_of,
    is_audio_type,
    is_whole_sound,
    normalized_reason,
    place_asked,
    renamed_in,
    without_ids,
)
from gt_conformance.exchange import Exchange, NotJson, Request, Response
from gt_conformance.together import together

_SEVERAL = 2
_GOOD, _WRONG, _TIMES = 6, 4, 3
"""So many good answers are asked for again, once, and so many wrong ones so often; none of them creates anything."""
_KEYS = frozenset(
    {
        *("id", "object", "created", "model", "usage", "prompt_tokens", "completion_tokens", "total_tokens"),
        *("choices", "index", "message", "delta", "finish_reason", "data", "embedding", "text", "status"),
    }
)
"""What an answer has each time, or never: what else it holds may differ from one answer to the next."""
_OF_KEYS = frozenset({401, 403})
"""What is refused so at the end, though the key still lists its names, is refused to that key at that route."""
_OUTAGE = "outage~"
_OF_INSTANCES = "instances~"
"""How the ids of findings begin that say already that instances differ."""
_OF_NAMES = "model~"
"""How the ids of findings begin about the model that an answer names, to whomever it was given."""
_EVENTS = "text/event-stream"
_MODEL = re.compile(r'"model"\s*:\s*"([^"]{1,200})"')
_NAMES = {str: "text", int: "a number", float: "a number", bool: "true or false"}
_FINDING = finding_of("", ANSWER_DIFFERENTLY, shared=True)

Form = frozenset[str]


@dataclass(frozen=True)
class _Difference:
    """What the wrong form of an answer has, and what it lacks."""

    has: Form
    lacks: Form
    text: str

    def is_in(self, form: Form) -> bool:
        """Whether a form is wrong in this way."""
        return bool(self.has & form) if self.has else not self.lacks & form


@dataclass(frozen=True)
class Changed:
    """In which ways answers differ from one time to the next, and what to do about it."""

    differences: Sequence[_Difference]
    exchanges: Mapping[str, Exchange]
    finding: str
    remedy: str
    renamed: Mapping[str, str]
    """Findings that became this one, wherever they are met."""

    def amend(self, result: CheckResult) -> CheckResult:
        """The result with what is wrong in such a way under that finding, and what rests on it because of that."""
        violations = tuple(map(self._amend, result.violations))
        return result.amended(violations, renamed_in(result.blockers, self.renamed))

    def explains(self, violation: Violation) -> bool:
        """Whether the answer that a violation rests on is wrong in such a way."""
        form = _form_of_proof(violation, self.exchanges)
        return form is not None and any(one.is_in(form) for one in self.differences)

    def _amend(self, violation: Violation) -> Violation:
        if not self.explains(violation):
            return violation
        return replace(violation, finding=self.finding, remedy=self.remedy)


async def find_changed(
    results: Iterable[CheckResult],
    exchanges: Mapping[str, Exchange],
    send_again: Callable[[Exchange, int], Awaitable[Exchange]],
) -> Changed | None:
    """In which ways they differ; None where each answer that is asked for again comes in the form that it had."""
    violating = [result.violations for result in results if result.violations]
    found = list(chain.from_iterable(violating))
    proofs = {item.exchange: item for item in found if _form_of_proof(item, exchanges) is not None}
    if not proofs:
        return None
    # A single check says what is wrong there, whatever else may differ: only that is asked for again.
    good = _answered_well(proofs, exchanges) if len(violating) >= _SEVERAL else []
    again = await together(send_again(one, 0) for one in good)
    compared = [_compare(one, other) for one, other in zip(good, again, strict=True)]
    for one in _answered_wrong(proofs, exchanges):
        for number in range(_TIMES):
            compared.append(_compare(await send_again(one, number), one))
            if compared[-1] is not None:
                break
    differences = [one for one in compared if one is not None]
    changed = Changed(differences, exchanges, _FINDING, "", {})
    explained = [item for item in found if changed.explains(item)]
    if not explained or _is_of_states(explained, exchanges):
        return None
    remedy = (
        "Find what changed while the run was under way, or which instance differs from the others (a deployment, a "
        f"restart, a backend): {differences[0].text}. Then run again."
    )
    if _is_of_keys(differences):
        remedy = (
            "Find why the tenant stops serving a key while the run is under way (a lock after refused requests, a "
            f"cache, a rotation): {differences[0].text}. Then run again."
        )
    outage = next((item for item in explained if item.finding.startswith(_OUTAGE)), None)
    outage = outage or next((item for item in found if item.finding == UNSTEADY), None)  # it breaks more than forms
    if outage is not None:  # what fails from some time on, or now and then, has its words already
        changed, remedy = replace(changed, finding=outage.finding), outage.remedy or remedy
    others = {item.finding for item in found if not changed.explains(item)}
    renamed = {item.finding: changed.finding for item in explained if item.finding not in others}
    return replace(changed, remedy=remedy, renamed=renamed)


def _is_of_keys(differences: Iterable[_Difference]) -> bool:
    """Whether what was answered before is refused later, and nothing else differs."""
    has = [one for difference in differences for one in difference.has]
    return bool(has) and all(one.startswith(tuple(f"HTTP {status} " for status in _OF_KEYS)) for one in has)


def _is_of_states(explained: Sequence[Violation], exchanges: Mapping[str, Exchange]) -> bool:
    """Whether it is a single finding about states of files, which may differ from one time to the next."""
    asked = (exchanges[item.exchange or ""].request for item in explained)
    return len({item.finding for item in explained}) == 1 and all(map(_asks_for_state, asked))


def _asks_for_state(request: Request) -> bool:
    return request.method == "GET" and not request.path.endswith(KNOWN_ROUTE)


def _compare(good: Exchange, wrong: Exchange) -> _Difference | None:
    """How both answers to a request differ in form; None where they do not, or where that says nothing."""
    here, there = form_of(good), form_of(wrong)
    if here is None or there is None or here == there or good.response is None or not good.response.succeeded:
        return None
    if wrong.response is not None and wrong.response.status == HTTPStatus.TOO_MANY_REQUESTS:
        return None  # a limit, which has a finding of its own
    first, second = sorted((good, wrong), key=lambda one: one.started_ms or 0.0)
    asked = f"{good.request.method} {without_ids(good.request.path)}"
    text = (
        f"{asked} got {_describe(first, second)} at one time, and {_describe(second, first)} when the same request was "
        "sent again"
    )
    return _Difference(there - here, here - there, text)


def _answered_well(proofs: Mapping[str | None, Violation], exchanges: Mapping[str, Exchange]) -> Sequence[Exchange]:
    """The first of each place that a violation is about, by each address, plain and streamed, and in no violation.

    And before these, of a key that is refused there, the first that was answered to that key.
    """
    proven = [exchanges[ref] for ref in proofs if ref is not None]
    places = set(map(place_asked, proven))
    refused = {(place_asked(one), one.request.key) for one in proven if _is_key_refused(one)}
    of_keys: dict[tuple[str, str | None], Exchange] = {}
    first: dict[tuple[str, bool, bool], Exchange] = {}
    for one in sorted(exchanges.values(), key=lambda one: one.started_ms or 0.0):
        if place_asked(one) in places and one.ref not in proofs and _is_repeatable(one):
            is_stream = one.response is not None and one.response.media_type == _EVENTS
            first.setdefault((place_asked(one), "/v1/" in one.request.path, is_stream), one)
            if (place_asked(one), one.request.key) in refused:
                of_keys.setdefault((place_asked(one), one.request.key), one)
    return list({one.ref: one for one in (*of_keys.values(), *first.values())}.values())[:_GOOD]


def _is_key_refused(exchange: Exchange) -> bool:
    return exchange.response is not None and exchange.response.status in _OF_KEYS


def _answered_wrong(proofs: Mapping[str | None, Violation], exchanges: Mapping[str, Exchange]) -> Sequence[Exchange]:
    """One for each finding: a success that is wrong in some way."""
    first: dict[str, Exchange] = {}
    for ref, item in proofs.items():
        if ref is not None and _is_repeatable(exchanges[ref]):
            first.setdefault(item.finding, exchanges[ref])
    return list({one.ref: one for one in first.values()}.values())[:_WRONG]


def _is_repeatable(exchange: Exchange) -> bool:
    request, response = exchange.request, exchange.response
    return request.is_due and not request.creates and response is not None and response.succeeded


def _form_of_proof(violation: Violation, exchanges: Mapping[str, Exchange]) -> Form | None:
    """The form of the answer that a violation rests on; None where it says nothing of how the tenant answers.

    What lets in or refuses where the other is due is about keys, unless it fails.
    """
    exchange = exchanges.get(violation.exchange or "")
    if exchange is None or violation.finding == UNSTEADY or violation.finding.startswith(_OF_INSTANCES):
        return None
    is_said = exchange.request.is_due or is_failure(exchange) or violation.finding.startswith(_OF_NAMES)
    return form_of(exchange) if is_said else None


def form_of(exchange: Exchange) -> Form | None:
    """What clients may expect of the answer each time: its kind, the keys of its JSON, its model; None without one."""
    response = exchange.response
    if response is None:
        return None
    if not response.succeeded:
        return frozenset({f"HTTP {response.status} {normalized_reason(response)}"})
    return frozenset({response.media_type, *_features(response)})


def _features(response: Response) -> Iterator[str]:
    if is_audio_type(response.media_type):
        yield "a whole sound" if is_whole_sound(response) else "a sound that is cut short, or none"
    elif response.media_type == _EVENTS:
        yield from {f"model {found}" for found in _MODEL.findall(response.text)}
    elif "json" in response.media_type:
        try:
            body = response.json()
        except NotJson:
            yield "no JSON"
        else:
            yield from _of_value(body, "")
            if isinstance(body, dict) and isinstance(body.get("model"), str):
                yield f"model {body['model']}"


def _of_value(value: Any, path: str) -> Iterator[str]:
    if isinstance(value, dict):
        for key in value.keys() & _KEYS:
            yield f"with '{path}{key}'"
            yield from _of_value(value[key], f"{path}{key}.")
    elif isinstance(value, list):
        for item in value[:1]:
            yield from _of_value(item, path)
    else:
        yield f"'{path.removesuffix('.')}' as {_NAMES.get(type(value), 'null')}"


def _describe(one: Exchange, other: Exchange) -> str:
    """How it was answered, in a few words, with what the other answer has not."""
    response = one.response
    if response is None or not response.succeeded:
        return "no answer" if response is None else f"HTTP {response.status}"
    here, there = form_of(one) or frozenset(), form_of(other) or frozenset()
    differs = sorted(here - there)
    lacks = [f"without {one.removeprefix('with ')}" for one in sorted(there - here) if one.startswith("with ")]
    shown = [one for one in differs if "/" in one or one.startswith("model ")] or differs or lacks
    return f"HTTP {response.status} ({shown[0]})" if shown else f"HTTP {response.status}"
