"""Which exchanges the document holds, each once, and how they read."""

import html
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from gt_conformance.report._findings import Place, placed_checks
from gt_conformance.results import Record
from gt_conformance.vocabulary import Outcome

_ROOM_FOR_FAILING = 2_000_000
_ROOM_FOR_CONFORMING = 700_000
"""Characters, escaped: the whole document stays under 5 MB with every row violating, under 2 MB with none."""

_CONTROLS = 6
_KINDS = {"json": "JSON", "text": "text", "events": "server-sent events", "multipart": "multipart form"}
_PRESENTED = {
    "made_up": "a key that does not exist",
    "without_scheme": "key {key} without Bearer",
    "basic": "key {key} as Basic",
    "query": "key {key} in the address",
}


@dataclass(frozen=True, slots=True)
class Exhibit:
    """One exchange as text. ``proves`` names the checks that rest on it, each with the first place that has it."""

    ref: str
    title: str
    result: str
    key: str
    elapsed_ms: float
    request: str
    request_size: str
    response: str
    response_size: str
    notes: tuple[str, ...]
    curl: str
    failing: bool
    proves: tuple[tuple[str, Place], ...]


@dataclass(frozen=True, slots=True)
class Evidence:
    """The exhibits by reference, and how many exchanges stand in results.json only."""

    exhibits: Mapping[str, Exhibit]
    left_out: int
    shared: Mapping[str, int]

    def telling(self, check: Mapping[str, Any]) -> str | None:
        """The exchange that stands for a check that conforms."""
        return _telling(check, self.shared)


def evidence(record: Record) -> Evidence:
    """What failing and blocked checks refer to, then one exchange for each check that conforms, as room allows."""
    exchanges = record["exchanges"]
    proves: dict[str, dict[str, Place]] = {}
    for place, check in placed_checks(record):
        for ref in check["exchanges"]:
            proves.setdefault(ref, {}).setdefault(check["id"], place)
    shared = {ref: len(checks) for ref, checks in proves.items()}
    failing = _fitting(_wanted_failing(record), exchanges, _ROOM_FOR_FAILING)
    others = (ref for ref in _wanted_conforming(record, shared) if ref not in failing)
    conforming = _fitting(others, exchanges, _ROOM_FOR_CONFORMING)
    base_url = record["run"]["tenant"]["base_url"]
    shown = {
        ref: _exhibit(ref, exchanges[ref], base_url, failing=ref in failing, proves=proves.get(ref, {}))
        for ref in sorted({**failing, **conforming}, key=lambda ref: (len(ref), ref))
    }
    return Evidence(shown, len(exchanges) - len(shown), shared)


def _telling(check: Mapping[str, Any], shared: Mapping[str, int]) -> str | None:
    # The one that fewest other checks rest on; of those the last, where a poll has ended.
    return min(reversed(check["exchanges"]), key=lambda ref: shared.get(ref, 0), default=None)


def _wanted_failing(record: Record) -> Iterator[str]:
    if record["run"]["refusal"] is not None:  # its controls belong to no check
        yield from list(record["exchanges"])[:_CONTROLS]
    checks = [check for _, check in placed_checks(record) if check["outcome"] != Outcome.CONFORMS]
    for check in checks:  # what proves a breach goes before what surrounds it
        yield from (item["exchange"] for item in check["breaches"] if item["exchange"])
    for check in checks:
        yield from check["exchanges"]


def _wanted_conforming(record: Record, shared: Mapping[str, int]) -> Iterator[str]:
    for _, check in placed_checks(record):
        if check["outcome"] == Outcome.CONFORMS:
            yield from (item["exchange"] for item in check["advisories"] if item["exchange"])
            ref = _telling(check, shared)
            if ref is not None:
                yield ref


def _fitting(wanted: Iterable[str], exchanges: Mapping[str, Any], room: int) -> dict[str, None]:
    chosen: dict[str, None] = {}
    for ref in wanted:
        if ref not in chosen and ref in exchanges:
            room -= _weight(exchanges[ref])
            if room < 0:
                break
            chosen[ref] = None
    return chosen


def _weight(exchange: Mapping[str, Any]) -> int:
    texts = [exchange["curl"], exchange["request"]["body"]["text"]]
    if exchange["response"] is not None:
        texts += [exchange["response"]["body"]["text"], *(value for _, value in exchange["response"]["headers"])]
    return 1_000 + sum(len(html.escape(text)) for text in texts)


def _exhibit(
    ref: str, exchange: Mapping[str, Any], base_url: str, *, failing: bool, proves: Mapping[str, Place]
) -> Exhibit:
    request, response = exchange["request"], exchange["response"]
    failure = exchange.get("failure")
    notes = [
        f"Try {n}: {item['result']}, then a pause of {item['waited_s']} s."
        for n, item in enumerate(exchange.get("attempts", ()), 1)
    ]
    if failure is not None:
        notes.append(f"No answer: {failure['detail']}.")
    elif response is not None and not response["complete"]:
        notes.append(f"The answer was cut short: {response['end']}.")
    return Exhibit(
        ref=ref,
        title=f"{request['method']} {request['url'].removeprefix(base_url) or '/'}",
        result=f"HTTP {response['status']}" if response is not None else "no answer",
        key=_key(request),
        elapsed_ms=exchange["elapsed_ms"],
        request=_message(f"{request['method']} {request['url']}", request),
        request_size=_size(request["body"]),
        response=_message(f"HTTP {response['status']}", response) if response is not None else "",
        response_size=_size(response["body"]) if response is not None else "",
        notes=tuple(notes),
        curl=exchange["curl"],
        failing=failing,
        proves=tuple(proves.items()),
    )


def _key(request: Mapping[str, Any]) -> str:
    if request["credential"] is None and request["presentation"] != "made_up":
        return "no key"
    return _PRESENTED.get(request["presentation"], "key {key}").replace("{key}", str(request["credential"]))


def _message(first: str, message: Mapping[str, Any]) -> str:
    lines = [first, *(f"{name}: {value}" for name, value in message["headers"])]
    text = message["body"]["text"]
    return "\n".join([*lines, "", text] if text else lines)


def _size(body: Mapping[str, Any]) -> str:
    if body["kind"] == "empty":
        return "no body"
    return f"{body['bytes']:,} bytes, {_KINDS.get(body['kind'], body['kind'])}"
