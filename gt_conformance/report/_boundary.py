"""The boundary in one picture: what can be asked for, by which address, with which key that must be refused.

Which cell an exchange is about follows from the exchange itself: its path, how its key was presented, and what the
tenant file declares of that key. What came of it follows from the checks that rest on it.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import NamedTuple

from gt_conformance.checks import SURFACES, Address, Surface
from gt_conformance.exchange import ExchangeRecord, Presentation
from gt_conformance.report._findings import Finding, Place, placed_checks
from gt_conformance.results import Record, findings_of, route_title
from gt_conformance.results.case_types import CheckRecord
from gt_conformance.results.run_types import CredentialRecord
from gt_conformance.tenant import OTHER_TENANT
from gt_conformance.vocabulary import CONVERSATION_HEADER, Outcome, Route

_RETIRED = ".old"
_ABSENT = frozenset({404, 405})
_MOST_IDS = 500
_ALIAS = "file_alias"
"""With the un-versioned addresses all that a tenant need not serve."""


class State(NamedTuple):
    """A credential that opens nothing: the head of a column, and its name in a sentence."""

    id: str
    title: str
    words: str


STATES = (
    State("none", "no key", "without a key"),
    State("unknown", "unknown key", "with a key that does not exist"),
    State("misread", "key in a wrong form", "with a key in a wrong form"),
    State("foreign", "key of another tenant", "with a key of another tenant"),
    State("retired", "retired secret", "with a retired secret"),
    State("revoked", "revoked key", "with a revoked key"),
    State("scope", "without the scope", "with a key without the scope"),
    State("name", "name not allowed", "with a name that is not on the key's allowlist"),
    State("owner", "another key's resource", "with a key that does not own it"),
)
"""Every state of a key that must be refused, from nobody's key to one that is only not the right one."""

NOT_TRIED = "not_run"
NOT_SERVED = "absent"
_MISREAD = frozenset(
    {
        Presentation.WITHOUT_SCHEME,
        Presentation.BASIC,
        Presentation.OTHER_SCHEME,
        Presentation.QUERY,
        Presentation.OTHER_HEADER,
        Presentation.IN_BODY,
        Presentation.ELSEWHERE,
        Presentation.MISSPELLED,
    }
)
_UNKNOWN = frozenset(
    {
        Presentation.MADE_UP,
        Presentation.ALTERED,
        Presentation.SHORTENED,
        Presentation.LENGTHENED,
        Presentation.BEFORE_COLON,
        Presentation.OTHER_END,
    }
)
_WORST_FIRST = (Outcome.VIOLATES, Outcome.BLOCKED, Outcome.WAIVED, Outcome.CONFORMS, NOT_SERVED, NOT_TRIED)
_WORDS = {
    Outcome.VIOLATES: "violates",
    Outcome.WAIVED: "waived",
    Outcome.BLOCKED: "blocked",
    Outcome.CONFORMS: "refused",
    NOT_SERVED: "not served there",
    NOT_TRIED: "not tried",
}


@dataclass(frozen=True, slots=True)
class Cell:
    """A surface by an address in a state of the key; ``anchor`` is what to read about it, where it was tried."""

    name: str
    outcome: str
    anchor: str | None


@dataclass(frozen=True, slots=True)
class Line:
    """A surface: for each state its cells, by each address."""

    title: str
    cells: tuple[tuple[Cell, ...], ...]


@dataclass(frozen=True, slots=True)
class Boundary:
    """The picture. ``states`` are those that were tried at all, ``untried`` the others."""

    states: tuple[State, ...]
    lines: tuple[Line, ...]
    untried: tuple[State, ...]

    @property
    def addresses(self) -> tuple[str, ...]:
        """How the halves of a cell are headed."""
        return tuple(_HEADS[address] for address in Address)


_HEADS = {Address.VERSIONED: "/v1", Address.UNVERSIONED: "no /v1"}


class _Key(NamedTuple):
    surface: str
    address: Address
    state: str


class _Seen(NamedTuple):
    """What one check makes of a cell, and where to read it."""

    outcome: str
    anchor: str
    label: str


def boundary(record: Record, findings: Mapping[str, Finding]) -> Boundary | None:
    """The boundary that a run tried; None where it tried none of it."""
    cells = dict(_placed(record))
    served = {key[:2] for ref, key in cells.items() if _status(record["exchanges"][ref]) not in {None, *_ABSENT}}
    seen: dict[_Key, _Seen] = {}
    for place, check in placed_checks(record):
        for ref in check["exchanges"]:
            if ref in cells:
                found = _judge(record["exchanges"][ref], ref, place, check, findings)
                optional = cells[ref].address is Address.UNVERSIONED or cells[ref].surface == _ALIAS
                if found.outcome == Outcome.CONFORMS and optional and cells[ref][:2] not in served:
                    found = found._replace(outcome=NOT_SERVED)
                known = seen.get(cells[ref])
                if known is None or _rank(found) < _rank(known):
                    seen[cells[ref]] = found
    tried = {key.state for key in seen}
    if not tried:
        return None
    states = tuple(state for state in STATES if state.id in tried)
    return Boundary(
        states,
        tuple(Line(_title(surface), tuple(_pair(surface, state, seen) for state in states)) for surface in SURFACES),
        tuple(state for state in STATES if state.id not in tried),
    )


def _rank(found: _Seen) -> int:
    return _WORST_FIRST.index(found.outcome)


def _pair(surface: Surface, state: State, seen: Mapping[_Key, _Seen]) -> tuple[Cell, ...]:
    def cell(address: Address) -> Cell:
        found = seen.get(_Key(surface.id, address, state.id), _Seen(NOT_TRIED, "", ""))
        label = f", finding {found.label}" if found.label else ""
        named = surface.named(address).rstrip(",")
        return Cell(f"{named} {state.words}: {_WORDS[found.outcome]}{label}", found.outcome, found.anchor or None)

    return tuple(cell(address) for address in Address)


def _title(surface: Surface) -> str:
    return surface.title.rstrip(",").replace(" /v1/", " /", 1)


def _status(exchange: ExchangeRecord) -> int | None:
    return exchange["response"]["status"] if exchange["response"] is not None else None


def _judge(
    exchange: ExchangeRecord, ref: str, place: Place, check: CheckRecord, findings: Mapping[str, Finding]
) -> _Seen:
    status = _status(exchange)
    named = [findings[name] for name in findings_of(check) if name in findings]
    first = named[0] if named else None
    if any(item["exchange"] == ref for item in check["breaches"]):
        own = next((one for one in named if ref in one.proofs), first)
        outcome = Outcome.WAIVED if check["outcome"] == Outcome.WAIVED else Outcome.VIOLATES
        return _Seen(outcome, own.anchor if own else place.anchor, own.label if own else "")
    refused = status is not None and 400 <= status < 500
    if refused or check["outcome"] == Outcome.CONFORMS:
        return _Seen(Outcome.CONFORMS, place.anchor, "")
    return _Seen(Outcome.BLOCKED, first.anchor if first else place.anchor, first.label if first else "")


# -- which cell an exchange is about


def _placed(record: Record) -> Iterator[tuple[str, _Key]]:
    base_url = record["run"]["tenant"]["base_url"]
    keys = {key["name"]: key for key in record["credentials"]}
    owners = _owners(record)
    for ref, exchange in record["exchanges"].items():
        found = _surface_of(exchange, base_url)
        if found is not None:
            surface, address = found
            state = _state_of(exchange, surface, keys, owners)
            if state is not None:
                yield ref, _Key(surface.id, address, state)


def _surface_of(exchange: ExchangeRecord, base_url: str) -> tuple[Surface, Address] | None:
    """The surface that the request is for, and by which address; None where it is for none of them."""
    request = exchange["request"]
    if not request["url"].startswith(f"{base_url}/"):
        return None
    path = request["url"].removeprefix(base_url)
    address = Address.VERSIONED if path.startswith("/v1/") else Address.UNVERSIONED
    versioned = route_title(request["method"], path if address is Address.VERSIONED else f"/v1{path}", "")
    forms = {surface.id: surface for surface in SURFACES if surface.title.startswith(versioned)}
    if versioned == Route.CHAT.title:
        in_conversation = _header(exchange, CONVERSATION_HEADER) is not None
        wanted = "conversation_chat" if in_conversation else "chat_stream" if _field(exchange, "stream") else "chat"
        return forms[wanted], address
    exact = [surface for surface in forms.values() if _path(surface.title) == _path(versioned)]
    return (exact[0], address) if exact else None


def _path(title: str) -> str:
    """The path with every named part alike: ``{file_id}`` of a route's title, ``{id}`` of a request's."""
    return "/".join("{}" if part.startswith("{") else part for part in title.split("/"))


def _state_of(
    exchange: ExchangeRecord, surface: Surface, keys: Mapping[str, CredentialRecord], owners: Mapping[str, str]
) -> str | None:
    """Why its key must be refused; None where it need not be, or where the tenant file does not say."""
    name, key = exchange["request"]["credential"], keys.get(exchange["request"]["credential"] or "")
    if key is None or key["revoked"]:
        return _dead(exchange["request"]["presentation"], name, key)
    presented = _dead(exchange["request"]["presentation"], "", None)
    return presented or _narrow(exchange, surface, key, owners)


def _dead(presented: str, name: str | None, key: CredentialRecord | None) -> str | None:
    """Why a key opens nothing at all, by how it was presented and by what it is."""
    states = {
        "misread": presented in _MISREAD,
        "unknown": presented in _UNKNOWN,
        "none": name is None,
        "foreign": name == OTHER_TENANT,
        "retired": bool(name) and str(name).endswith(_RETIRED),
        "revoked": key is not None,
    }
    return next((state for state, holds in states.items() if holds), None)


def _narrow(exchange: ExchangeRecord, surface: Surface, key: CredentialRecord, owners: Mapping[str, str]) -> str | None:
    """Why a live key may not have this: by its scopes, its names, or whose it is."""
    scope = surface.route.scope if surface.route is not None else None
    if scope is not None and key["scopes"] is not None and scope.value not in key["scopes"]:
        return "scope"
    model = _field(exchange, "model")
    if isinstance(model, str) and key["models"] is not None and model not in key["models"]:
        return "name"
    owner = next((owners[id_] for id_ in _ids(exchange) if id_ in owners), key["name"])
    return "owner" if owner != key["name"] else None


def _owners(record: Record) -> Mapping[str, str]:
    """Which key was the first to be given each id that a request names."""
    wanted = {id_ for exchange in record["exchanges"].values() for id_ in _ids(exchange)}
    owners: dict[str, str] = {}
    if len(wanted) > _MOST_IDS:
        return owners
    for exchange in record["exchanges"].values():
        request, response = exchange["request"], exchange["response"]
        if request["method"] != "POST" or request["credential"] is None or response is None:
            continue
        said = " ".join([response["body"]["text"], *(value for _, value in response["headers"])])
        for id_ in [one for one in wanted if one not in owners and one in said]:
            owners[id_] = request["credential"]
    return owners


def _ids(exchange: ExchangeRecord) -> list[str]:
    parts = exchange["request"]["url"].partition("?")[0].rsplit("/", 2)
    found = [parts[2]] if len(parts) > 2 and parts[1] in {"files", "uploads"} else []
    conversation = _header(exchange, CONVERSATION_HEADER)
    return [*found, conversation] if conversation else found


def _header(exchange: ExchangeRecord, name: str) -> str | None:
    headers = exchange["request"]["headers"]
    return next((value for key, value in headers if key.lower() == name.lower()), None)


def _field(exchange: ExchangeRecord, name: str) -> object:
    body = exchange["request"]["body"]
    if body["kind"] == "json":
        with suppress(ValueError, RecursionError):
            value = json.loads(body["text"])
            return value.get(name) if isinstance(value, dict) else None
    return None
