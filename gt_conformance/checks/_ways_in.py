"""Ways past a check of keys that gateways are known for: headers that they trust, spellings of a path, sessions.

Only an answer that lets somebody in counts: a tenant may refuse such a request with whatever it likes.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from http import HTTPStatus
from urllib.parse import quote

from gt_conformance.checks import _requests as requests
from gt_conformance.checks._probe import Probe
from gt_conformance.checks._surfaces import (
    NO_IDS,
    Address,
    Asking,
    Surface,
    Tried,
    fail_unsteady,
    hole,
    is_explained,
    surface_of,
    surfaces,
)
from gt_conformance.checks._wording import describe
from gt_conformance.checks.models import ids_in
from gt_conformance.exchange import Exchange, NotJson, Presentation, Request, in_other_headers
from gt_conformance.tenant import Tenant
from gt_conformance.vocabulary import Modality

_MADE_UP_ELSEWHERE = "with a made-up key in x-api-key"
_TRUSTED: tuple[tuple[str, tuple[tuple[str, str], ...]], ...] = (
    (
        "with an internal client address in X-Forwarded-For",
        (("X-Forwarded-For", "127.0.0.1"), ("X-Real-IP", "127.0.0.1"), ("Forwarded", "for=127.0.0.1")),
    ),
    ("with a user in X-Forwarded-User", (("X-Forwarded-User", "admin"), ("X-Remote-User", "admin"))),
    ("with an Origin", (("Origin", "https://gt-conformance.invalid"),)),
    ("with Accept: text/event-stream", (("Accept", "text/event-stream"),)),
    ("with the User-Agent of OpenAI's SDK", (("User-Agent", "OpenAI/Python 1.99.0"), ("X-Stainless-Lang", "python"))),
    (_MADE_UP_ELSEWHERE, tuple(one for one in in_other_headers(requests.MADE_UP_ID) if one[0] != "cookie")),
    ("with a made-up session cookie", (("Cookie", f"session={requests.MADE_UP_ID}"),)),
    ("with a body in chunks (Transfer-Encoding)", (("Transfer-Encoding", "chunked"),)),
    ("with another method in X-HTTP-Method-Override", (("X-HTTP-Method-Override", "HEAD"),)),
)
"""Headers that open nothing, in words. They are sent together, and alone only where that let somebody in."""
_OF_ONE = "for the details of one model"
"""OpenAI's GET /v1/models/{model}: no page names it, but many servers have it, and it needs a key as well."""
_NO_TOKEN = ("with Bearer and no key after it", (("Authorization", "Bearer"),))
_DEFAULT_KEY = ("with LiteLLM's example key sk-1234", (("Authorization", "Bearer sk-1234"),))
"""It goes with the headers to chats alone, so that they come without any key as well."""
_SPELLINGS: Mapping[str, Mapping[str, str]] = {
    "models": {
        "with a double slash": "//v1/models",
        "with a slash at its end": "/v1/models/",
        "in capitals": "/V1/models",
        "with a parameter after a semicolon": "/v1/models;v=1",
        "with the ending of a file": "/v1/models.json",
        "with an encoded letter": "/v1/%6dodels",
        "with a dot at its end": "/v1/models.",
        "below a public path, with encoded dots that lead up again": "/health/%2e%2e/v1/models",
    },
    "chat": {
        "with a double slash": "//chat/completions",
        "with a parameter after a semicolon": "/chat/completions;v=1",
    },
}
"""Other spellings of a surface's path, in words: of the list's versioned path, and of the one where clients chat.

A gateway lets some of them through as another path, or as a file, and what is behind it takes them for the path.
"""
_MOST_NAMES = 2
_METHODS = ("HEAD", "OPTIONS")
"""What frameworks answer by the route of another method, and gateways let through for probes and browsers."""
_TRIED_AT = ("models", "chat")


@dataclass(frozen=True)
class _Way:
    """A request without a key, in words, and the surface that it is for."""

    words: str
    surface: Surface
    request: Request
    disguised: bool = False


LetIn = Sequence[tuple[_Way, Exchange]]


async def try_ways_in(probe: Probe) -> LetIn:
    """What is let in without a key by a header that the tenant trusts, another method or spelling, or a session."""
    plain = [(surface, _without_key(probe, surface)) for surface in surfaces() if surface.id in _TRIED_AT]
    names = _other_names(probe.tenant)
    ways = [
        _Way("with what proves nothing", surface, _disguised(probe, surface), disguised=True) for surface, _ in plain
    ]
    (models, listing), (chat, _) = plain
    ways.append(_Way(_NO_TOKEN[0], models, _with(listing, _NO_TOKEN[1])))
    ways += [_Way(f"by the method {method}", models, replace(listing, method=method)) for method in _METHODS]
    ways.append(_Way(_OF_ONE, models, replace(listing, url=_address_of_one(probe.tenant))))
    ways += [_Way(f"with the model {name}", chat, _without_key(probe, chat, name)) for name in names[1:]]
    ways += [
        _Way(words, surface, replace(request, url=probe.tenant.base_url + path))
        for surface, request in plain
        for words, path in _SPELLINGS[surface.id].items()
    ]
    if cookies := _cookies(probe.seen):
        ways.append(_Way("with the cookie of an earlier answer", models, _with(listing, (("Cookie", cookies),))))
    return await _let_in(probe, ways)


async def takes_any_other_header(probe: Probe) -> bool:
    """Whether a made-up key in x-api-key or the like is let in: then so is a real one, and that is one hole."""
    models = surface_of(_TRIED_AT[0])
    words, sent = next(one for one in _TRUSTED if one[0] == _MADE_UP_ELSEWHERE)
    return bool(await _let_in(probe, [_Way(words, models, _with(_without_key(probe, models), sent))]))


def disguised_listing(probe: Probe) -> Request:
    """The list, asked for without a key, with a foreign Origin and whatever else opens nothing."""
    return _disguised(probe, surface_of(_TRIED_AT[0]))


def _disguised(probe: Probe, surface: Surface) -> Request:
    """What is sent without a key, with all headers that open nothing; for a chat with a default key besides."""
    headers = tuple(header for _, sent in _TRUSTED for header in sent)
    names = _other_names(probe.tenant)
    request = _without_key(probe, surface, names[0] if names else None)
    return _with(request, headers if surface.id == _TRIED_AT[0] else (*headers, *_DEFAULT_KEY[1]))


async def expect_no_way_in(probe: Probe, let_in: LetIn) -> None:
    """Nobody is: of what was disguised in several ways at once, which of them it was is asked one by one."""
    names = _other_names(probe.tenant)
    for way, exchange in let_in:
        alone: LetIn = ()
        if way.disguised:
            request = _without_key(probe, way.surface)
            apart = [_Way(words, way.surface, _with(request, sent)) for words, sent in (*_TRUSTED, _DEFAULT_KEY)]
            if names:
                named = _without_key(probe, way.surface, names[0])
                apart.append(_Way(f"with the model {names[0]}", way.surface, named))
            alone = await _let_in(probe, apart)
        await _record(probe, *(alone[0] if len(alone) == 1 else (way, exchange)))


def _without_key(probe: Probe, surface: Surface, model: str | None = None) -> Request:
    asking = Asking(probe.tenant, probe.run_id, None, model=model)
    return requests.present(surface.request(asking), Presentation.NONE, None)


def _other_names(tenant: Tenant) -> list[str]:
    """Published names other than that of the tenant's chats: first those that are known to be of the other kind."""
    published = {name for key in tenant.live_credentials for name in key.models or ()}
    others = published - {tenant.model(Modality.CHAT)}
    return sorted(others, key=lambda name: (name not in tenant.raw_models, name))[:_MOST_NAMES]


def _with(request: Request, headers: tuple[tuple[str, str], ...]) -> Request:
    return replace(request, headers=(*request.headers, *headers))


def _cookies(seen: Iterable[Exchange]) -> str:
    """The cookies that the last answer to a key set, as a client would send them back; empty if none did."""
    for exchange in reversed(list(seen)):
        response = exchange.response
        if response is None or not response.succeeded or exchange.request.key is None:
            continue
        pairs = [value.partition(";")[0] for name, value in response.headers if name.lower() == "set-cookie"]
        if pairs:
            return "; ".join(pairs)
    return ""


async def _let_in(probe: Probe, ways: Sequence[_Way]) -> LetIn:
    """Those of these that were answered as a key is: a web page at a path that is no route is none of the API's."""
    exchanges = await probe.send_all([way.request for way in ways])
    return [(way, exchange) for way, exchange in zip(ways, exchanges, strict=True) if _is_open(way, exchange)]


def _is_open(way: _Way, exchange: Exchange) -> bool:
    response = exchange.response
    if response is None or response.status != HTTPStatus.OK:
        return False
    if way.request.method == "HEAD":  # the head of an answer that a key is given
        return "json" in response.media_type and (response.header("content-length") or "0") not in {"0", "2"}
    if way.surface.id == "models":
        return bool(ids_in(exchange)) or (way.words == _OF_ONE and _describes_a_name(exchange))
    return not response.looks_like_html


def _address_of_one(tenant: Tenant) -> str:
    return f"{tenant.base_url}/v1/models/{quote(tenant.model(Modality.CHAT), safe='')}"


def _describes_a_name(exchange: Exchange) -> bool:
    try:
        body = exchange.response.json() if exchange.response is not None else None
    except NotJson:
        return False
    return isinstance(body, dict) and isinstance(body.get("id"), str) and "error" not in body


async def _record(probe: Probe, way: _Way, exchange: Exchange) -> None:
    what = f"{way.request.method} {way.request.path} without a key, {way.words},"
    expected = f"{what} is refused"
    if await fail_unsteady(probe, exchange, expected) or await is_explained(
        probe, Tried(way.surface, Address.VERSIONED, exchange), what, NO_IDS
    ):
        return
    probe.fail(
        expected,
        describe(exchange.response) if exchange.response else "",
        exchange,
        remedy=f"Have the tenant ask for the key before every route; a request {way.words} is let in without one.",
        cause=hole(Address.VERSIONED, f"without a key, {way.words}"),
    )
