"""Keys: required, narrow, dead when rotated or revoked, kept apart from one another, never echoed."""

import re
from collections.abc import Collection, Container, Iterator, Sequence
from contextlib import suppress
from itertools import chain, count
from typing import TypeAlias

import anyio
import anyio.to_thread

from gt_conformance.checks import _requests as requests
from gt_conformance.checks._check import (
    ANY_LIVE_KEY,
    SEVERAL_KEYS,
    Context,
    Items,
    Parameters,
    check,
    narrowest_key,
    narrowest_reaching,
)
from gt_conformance.checks._declared import is_declared_narrow, is_swapped_opener
from gt_conformance.checks._preflight import KEY_REFUSED
from gt_conformance.checks._presets import expect_presets
from gt_conformance.checks._probe import Probe, StopCheck
from gt_conformance.checks._refusal import block_unanswered, expect_reason, expect_refusal, fail_refusal
from gt_conformance.checks._resources import READ_ONLY, unrelated_keys
from gt_conformance.checks._surfaces import (
    IN_CONVERSATION,
    NO_IDS,
    Address,
    Asking,
    Ids,
    Place,
    Surface,
    Tried,
    expect_shut,
    fail_unsteady,
    find_hole,
    hole,
    is_explained,
    keys_tried,
    places,
    plainly,
    real_ids,
    surface_of,
    surfaces,
    try_all,
    try_or_block,
)
from gt_conformance.checks._ways_in import LetIn, expect_no_way_in, takes_any_other_header, try_ways_in
from gt_conformance.checks._wording import describe, lets_in, name_large, normalized_reason
from gt_conformance.checks.boundary import (
    SCOPES_NOT_ENFORCED,
    ask_without_right,
    conversation_for,
    expect_closed,
    is_absent,
)
from gt_conformance.checks.names import expect_names, holds_name, join_some
from gt_conformance.errors import Blocked
from gt_conformance.exchange import Exchange, Presentation, Redactor, Request, Response, joined_texts
from gt_conformance.tenant import OTHER_TENANT, Credential
from gt_conformance.together import both, together
from gt_conformance.vocabulary import Actor, Modality, Purpose, Route, Severity

_PRESENTED = {
    Presentation.NONE: "without a key",
    Presentation.MADE_UP: "to any key",
}
_MISREAD = {
    Presentation.WITHOUT_SCHEME: "with the key but no Bearer before it",
    Presentation.BASIC: "with the key as Basic authentication",
    Presentation.ELSEWHERE: "with the key in the query string and in x-api-key",
    Presentation.MISSPELLED: "with a key of which only the first half is right",
    Presentation.ALTERED: "with a key of which only the first half and the end are right",
    Presentation.SHORTENED: "with a key that lacks its last character",
    Presentation.LENGTHENED: "with a key that has a character more at its end",
    Presentation.BEFORE_COLON: "with a key that has a colon and more at its end",
}
_NOT_WHOLE = (
    Presentation.MISSPELLED,
    Presentation.ALTERED,
    Presentation.SHORTENED,
    Presentation.LENGTHENED,
    Presentation.BEFORE_COLON,
)
"""Which keys are compared is one thing for all surfaces: these are tried in a chat alone."""
_COMPARE_WHOLE = "Have the tenant compare the whole key: its upper and lower case, and whatever follows it."
_LONGEST_REASON = 2_000
_ELSEWHERE = {
    Presentation.QUERY: "with the key in the query string",
    Presentation.OTHER_HEADER: "with the key in x-api-key or a header like it",
}
"""Both are tried together, and apart where that let somebody in."""
_MISREAD_AT_ALL = (Presentation.ELSEWHERE,)
"""How a real key is presented wrongly where things are read and where they are sent; in other ways in a chat alone."""


@check(
    "key.required",
    claim="No route answers without a valid bearer key, by whatever address it is reached.",
    remedy="Put authentication before every route and address of the tenant; take keys as Authorization: Bearer only.",
    source="GT API reference, Bearer authentication",
    clauses=("A1", "A2", "A3", "M7"),
    acts=Actor.TENANT,
    severity=Severity.CRITICAL,
    tenant_wide=ANY_LIVE_KEY,
    by_surface=True,
    refuses=True,
    last=True,
)
async def required(probe: Probe) -> None:
    """No key, an unknown one, another tenant's: refused at every surface, versioned and un-versioned, with real ids.

    No scheme, Basic, the query string, a key that is not wholly right: refused at some. A real key is shown
    wrongly where it would be let in if it were shown rightly: else its refusal proves nothing. So are headers that
    gateways trust, other spellings of a path, and cookies.
    """
    everywhere = places(probe.parameters)
    ids = await real_ids(probe, everywhere)
    asked: list[tuple[list[Place], str | None, Presentation]]
    unknown = _where_unknown(probe, everywhere)
    asked = [
        (everywhere, None, Presentation.NONE),
        (_streamed_instead(unknown, everywhere), None, Presentation.MADE_UP),
    ]
    states = list(_PRESENTED.values())
    if probe.tenant.other_tenant_key is not None:
        asked.append((unknown, OTHER_TENANT, Presentation.BEARER))
        states.append("with a key of another tenant")
    elif blocker := probe.tenant.blockers.get(OTHER_TENANT):
        probe.block_part("a key of another tenant", Blocked.by(blocker))
    misread = [
        ([(surface, Address.VERSIONED)], _narrowest_for(probe, surface.route).name, presentation)
        for surface in surfaces()
        if surface.id in {"models", "chat"} and not probe.parameters.keys
        for presentation in _MISREAD
        if surface.id == "chat" or presentation in _MISREAD_AT_ALL
    ]
    tries, let_in = await both(together(try_all(probe, *one, ids) for one in (*asked, *misread)), _ways_in(probe))
    for how, found in zip(states, tries, strict=False):
        await judge_all_dead(probe, found, how, ids)
    for ([(surface, at)], key, presentation), [tried] in zip(misread, tries[len(asked) :], strict=True):
        if presentation is Presentation.ELSEWHERE and tried.is_open:
            apart = [(await try_all(probe, [(surface, at)], key, one, ids), how) for one, how in _ELSEWHERE.items()]
            taken = [(one, how) for [one], how in apart if one.is_open]
            if await takes_any_other_header(probe):
                taken = [(one, how) for one, how in taken if how != _ELSEWHERE[Presentation.OTHER_HEADER]]
                if not taken:
                    continue
            for one, how in taken or [(tried, _MISREAD[presentation])]:
                await _judge_dead(probe, one, how, ids)
            continue
        remedy = _COMPARE_WHOLE if presentation in _NOT_WHOLE else None
        await _judge_dead(probe, tried, _MISREAD[presentation], ids, remedy=remedy)
    await expect_no_way_in(probe, let_in)
    _expect_nothing_listed(probe)


def _expect_nothing_listed(probe: Probe) -> None:
    """No refusal without a key, or with one that nobody has, lists published names: one may be any word."""
    published = {name for key in probe.tenant.live_credentials for name in key.models or ()}
    for exchange in probe.seen:
        response, request = exchange.response, exchange.request
        if request.key is not None or response is None or not response.refused:
            continue
        asked = request.fields.get("model")
        texts = [response.plain[:_LONGEST_REASON], *(value for _, value in response.headers)]
        held = sorted(name for name in published - {asked} if any(holds_name(text, name, ()) for text in texts))
        if len(held) >= _A_LIST:
            how = "with a key that nobody has" if request.presentation is Presentation.MADE_UP else "without a key"
            probe.fail(
                "nothing is listed without a valid key, in refusals either",
                f"{join_some(held)} in the refusal of {request.method} {request.path} {how}",
                probe.note(exchange),
                remedy="Have the tenant, and every gateway before it, refuse without a word of what is published.",
                cause="boundary:names in refusals",
            )
            return


_A_LIST = 2


async def _ways_in(probe: Probe) -> LetIn:
    return () if probe.parameters.keys else await try_ways_in(probe)


_SPEECH, BUT_SPEECH = ("speech",), ("transcriptions", "images")
"""The media at which, by the un-versioned address, a revoked key is tried, and a retired secret."""


def where_dead(probe: Probe, wanted: Sequence[Place], media: Container[str] = _SPEECH) -> list[Place]:
    """Where keys are tried that worked once, of these places; all of them are tried without a key.

    By the un-versioned address it is every surface in its plain form, of media these: one dead key tries what another
    does not. In a run of some runbooks, where the keys of others are no concern, it is the chat alone.
    """
    if probe.parameters.keys:
        return [(surface, at) for surface, at in wanted if surface.id == "chat"]
    return [
        (surface, at)
        for surface, at in wanted
        if at is Address.VERSIONED
        or not (surface.is_form or (surface.id in (*_SPEECH, *BUT_SPEECH) and surface.id not in media))
    ]


_LIKE_CHAT = ("models", "embeddings", "speech", "conversation_files", "file_status")
"""Where keys that never worked are not tried by the un-versioned address: a surface like each of these is."""


def _where_unknown(probe: Probe, wanted: Sequence[Place]) -> list[Place]:
    """Where keys are tried that never worked: in plain forms, un-versioned at one surface of each kind.

    A tenant that takes such a key takes any: that is the same at each surface of a kind. The chat among them is one in
    a conversation, whose owner may be taken for the caller.
    """
    where = [
        (surface, at)
        for surface, at in where_dead(probe, wanted)
        if not surface.is_form and (at is Address.VERSIONED or surface.id not in _LIKE_CHAT)
    ]
    if probe.parameters.keys:
        return where
    return [one for one in where if (one[0].id, one[1]) != _PLAIN] + in_conversation(wanted)


def _streamed_instead(where: Sequence[Place], wanted: Sequence[Place]) -> list[Place]:
    """The same with a streamed chat in place of the plain one, for which keys that are nearly right are tried."""
    streamed = [(surface, at) for surface, at in wanted if surface.id == "chat_stream" and at is Address.VERSIONED]
    return [*([one for one in where if one[0].id != "chat"] if streamed else where), *streamed]


_PLAIN = ("chat", Address.UNVERSIONED)


def in_conversation(wanted: Sequence[Place]) -> list[Place]:
    """Of these places the streamed chat in a conversation by the un-versioned address."""
    return [(surface, at) for surface, at in wanted if (surface.id, at) == IN_CONVERSATION]


async def _judge_dead(
    probe: Probe, tried: Tried, state: str, ids: Ids, beside: Collection[str] = (), *, remedy: str | None = None
) -> None:
    """What is asked for in that state of the key is refused, or not served there at all.

    What is open to weaker states as well is one hole: that to nobody's key explains that to a dead one.
    """
    tried = await plainly(probe, tried, KEY_REFUSED)
    if tried.is_absent:
        return
    what = f"{tried.surface.named(tried.address)} {state}"
    if not tried.is_open:
        with suppress(StopCheck):  # one that does not answer does not keep the others from being judged
            await _expect_dead(
                probe, tried.exchange, what, any_refusal=state in {*_MISREAD.values(), *_ELSEWHERE.values()}
            )
        return
    expected = f"{what} is refused with 401 or 403"
    if await fail_unsteady(probe, tried.exchange, expected):
        return
    if probe.check.id != "key.required" and await is_explained(probe, tried, what, ids):
        return
    at = Address.VERSIONED if tried.surface.id in beside else tried.address
    wider = await find_hole(probe, tried, ids)
    # A key that is compared in part is one hole, whichever part that is.
    cause = wider or hole(at, "with a key" if remedy is _COMPARE_WHOLE else state.partition(" of ")[0])
    probe.fail(expected, tried.found, tried.exchange, remedy=None if wider else remedy, cause=cause)


async def judge_all_dead(probe: Probe, found: Sequence[Tried], state: str, ids: Ids) -> None:
    """Each of these is refused in that state; what is open by both addresses is one hole."""
    versioned = {one.surface.id: one.is_open for one in found if one.address is Address.VERSIONED}
    beside = {one.surface.id for one in found if versioned.get(one.surface.id, True)}  # where it was not tried as well
    if versioned.get("chat_stream"):  # un-versioned, a chat in a conversation is a stream too
        beside.add(IN_CONVERSATION[0])
    for tried in found:
        await _judge_dead(probe, tried, state, ids, beside)


async def _expect_dead(probe: Probe, exchange: Exchange, what: str, *, any_refusal: bool = False) -> None:
    """Refused with 401 or 403, whatever is wrong with the key: no page tells the two apart.

    Another 4xx may be the absence of what was asked for, or an objection to the request: it tells nothing of the key,
    unless it speaks of it, or is what an unknown key gets where a live one is let in. With ``any_refusal`` the way in
    which the key was presented may be what it objects to: it let nobody in.
    """
    expected = f"{what} is refused with 401 or 403"
    response = probe.answer_or_refusal(exchange, expected)
    if block_unanswered(probe, exchange, what):
        return
    if response.status in KEY_REFUSED:
        expect_reason(probe, exchange, response)
    elif response.refused and (any_refusal or await _speaks_of_the_key(probe, response)):
        probe.advise(f"{what} should be refused with 401 or 403: {describe(response)}", exchange)
    elif response.refused:
        probe.block(
            f"{what} got {describe(response)}, which does not say that it is the key that is refused",
            "Have the tenant answer 401 or 403 where the key is refused, before it looks at the request.",
            because=name_large(response),
            exchange=exchange,
        )
    else:
        fail_refusal(probe, exchange, response, expected, "401")


_THE_KEY = re.compile(r"api.?key|authori[sz]ation header|bearer|credential|token is", re.IGNORECASE)


async def _speaks_of_the_key(probe: Probe, response: Response) -> bool:
    """Whether a 4xx is about the key: by its words, or since an unknown key gets it where a live one is let in."""
    if _THE_KEY.search(response.plain[:_LONGEST_REASON]):
        return True
    listing = requests.get(probe.tenant, "/v1/models", probe.credential.name)
    live, unknown = await probe.send_all([listing, requests.present(listing, Presentation.MADE_UP, None)])
    if live.response is None or not live.response.succeeded or unknown.response is None:
        return False
    told = [(one.status, normalized_reason(one)) for one in (response, unknown.response)]
    return told[0] == told[1]


def _narrowest_for(probe: Probe, route: Route | None) -> Credential:
    """The narrowest key that may use the route, or open conversations; where none is declared to, the check's own."""
    among = probe.parameters.keys
    if route is None:
        return narrowest_key(probe.tenant, lambda key: key.holds_conversations, among) or probe.credential
    return narrowest_reaching(probe.tenant, route, among, undeclared=True) or probe.credential


@check(
    "key.scope_enforced",
    claim="Each route refuses each key that lacks its scope, and lets in a key of a preset that grants it.",
    remedy="Have the tenant check the key's scopes on the route, or take the scope off the key.",
    source="GT API reference, Bearer authentication; GT API keys and access, Guided presets",
    clauses=("A2", "A5", "K11", "K12", "K13", "K14", "K15", "K16", "K25", "K5", "U2", "M5"),
    acts=Actor.TENANT,
    severity=Severity.CRITICAL,
    tenant_wide=SEVERAL_KEYS,
    by_surface=True,
    refuses=True,
)
async def scope_enforced(probe: Probe) -> None:
    """Every declared key on every route that its scopes do not cover: refused.

    So is opening a conversation with a name that is not on the key's allowlist: any key may open one with its own. What
    the preset of a key grants is open to it.
    """
    lacking = _lacking(probe)
    openers = [] if probe.tenant.read_only or probe.parameters.keys else _without_name(probe)
    asked, (elsewhere, (opened, unversioned)) = await both(
        together(_ask_without_scope(probe, route, key) for route, key in lacking),
        both(
            together(_ask_elsewhere(probe, surface, key) for surface, key in _elsewhere(probe)),
            both(
                probe.send_each([_opening(probe, key) for key in openers]),
                _ask_unversioned(probe, lacking, openers),
            ),
        ),
    )
    for (route, key), exchange in zip(lacking, asked, strict=True):
        if isinstance(exchange, Blocked):
            probe.block_part(f"{route.title} by the key {key.name}", exchange)
        else:
            await expect_closed(probe, exchange, route, key)
    for (surface, key), tries in zip(_elsewhere(probe), elsewhere, strict=True):
        await _expect_shut_elsewhere(probe, surface, key, tries)
    if probe.tenant.read_only and not probe.parameters.keys and _without_name(probe):
        probe.block(*READ_ONLY)
    for key, exchange in zip(openers, opened, strict=True):
        await _expect_no_conversation(probe, key, exchange)
    # Open by the versioned address it is the finding of that one.
    shut: set[tuple[Route | None, str]]
    shut = {(route, key.name) for (route, key), exchange in zip(lacking, asked, strict=True) if not _is_open(exchange)}
    shut |= set() if any(map(_is_open, opened)) else {(None, key.name) for key in openers}
    for key, why, found, ids in unversioned:
        for tried in found if not isinstance(found, Blocked) else ():
            if (tried.surface.route, key.name) in shut:
                what = f"{tried.surface.named(tried.address)} by the key {key.name}, {why},"
                await expect_shut(probe, tried, what, hole(Address.UNVERSIONED, "without the scope"), ids)
    await expect_presets(probe)
    if not probe.exchanges and not probe.blockers:
        raise Blocked(
            "no key is declared with scopes that leave a route out",
            "Declare purpose and scopes for the keys in the tenant file.",
            cause="undeclared",
        )


async def _ask_without_scope(probe: Probe, route: Route, key: Credential) -> Exchange | Blocked:
    try:
        exchange = await ask_without_right(probe, route, key)
        if await is_absent(probe, exchange):
            await _require_reached(probe, route)
    except Blocked as blocked:
        return blocked
    return exchange


def _lacking(probe: Probe) -> list[tuple[Route, Credential]]:
    """The routes that a key's scopes leave out, each with the key.

    In a run of some runbooks those that they use, less those that are tried where their clients call; where their keys
    may use all of these, the ones that they do not use.
    """
    lacking = [(route, key) for key in keys_tried(probe) for route in Route if _lacks(key, route)]
    if not probe.parameters.keys:
        return lacking
    elsewhere = {surface.route for surface, _ in _elsewhere(probe)}
    used = [(route, key) for route, key in lacking if route in probe.parameters.routes]
    return [(route, key) for route, key in used if route not in elsewhere] if used else lacking


def _elsewhere(probe: Probe) -> list[tuple[Surface, Credential]]:
    """Surfaces that a scope opens, each with a key without it, by the un-versioned address.

    It is the narrowest of a purpose, of one purpose after the other: an address may look at the keys of one alone. A
    read-only run leaves uploads out, which would create a file if they were taken; what is blocked there says so.
    """
    scoped = [
        (surface, surface.route)
        for surface, at in places(probe.parameters)
        if at is Address.UNVERSIONED
        and surface.route is not None
        and surface.route.scope
        and not (probe.tenant.read_only and surface.route is Route.DATASET_FILES)
    ]
    keys = sorted(keys_tried(probe), key=lambda key: key.breadth)
    found = [(surface, [key for key in keys if _lacks(key, route)]) for surface, route in scoped]
    if probe.parameters.keys:
        return [(surface, key) for surface, lacking in found for key in lacking[:1]]
    turn = count()
    narrowest = [
        (surface, list({key.purpose: key for key in reversed(lacking)}.values())) for surface, lacking in found
    ]
    return [(surface, of_each[-1 - next(turn) % len(of_each)]) for surface, of_each in narrowest if of_each]


async def _ask_elsewhere(probe: Probe, surface: Surface, key: Credential) -> list[Tried] | Blocked:
    """By the un-versioned address, and in a streamed chat; then the plain request, as it is asked of each such key."""
    wanted = [(surface, Address.UNVERSIONED)]
    if probe.parameters.keys or surface.route is None:
        return await try_or_block(probe, wanted, key.name)
    if surface.id != surface.route.value:
        wanted.append((surface, Address.VERSIONED))
    found = await try_or_block(probe, wanted, key.name)
    if isinstance(found, Blocked):
        return found
    try:
        plain = await ask_without_right(probe, surface.route, key)
    except Blocked as blocked:
        return blocked
    return [*found, Tried(_main_surface(surface.route), Address.VERSIONED, plain)]


async def _expect_shut_elsewhere(probe: Probe, surface: Surface, key: Credential, tries: list[Tried] | Blocked) -> None:
    """The key without the scope is refused there as well."""
    if isinstance(tries, Blocked):
        probe.block_part(f"{surface.title} by the key {key.name}", tries)
        return
    *found, plain = tries if len(tries) > 1 else (*tries, *tries)
    if any(one.is_open for one in found) and not await probe.is_as_declared(key):
        return
    is_versioned = any(one.address is Address.VERSIONED for one in found if one.is_open)
    route = surface.route
    if plain.is_open and route and await is_declared_narrow(probe, route, key, plain.exchange.request):
        return
    is_open = plain.is_open or (not is_versioned and await _is_open_in_that_form(probe, found))
    for tried in found:
        what = f"{surface.named(tried.address)} by the key {key.name}, whose scopes leave it out,"
        at = Address.VERSIONED if is_versioned else tried.address
        cause = SCOPES_NOT_ENFORCED if is_open else hole(at, "without the scope")
        await expect_shut(probe, tried, what, cause)


async def _is_open_in_that_form(probe: Probe, found: Sequence[Tried]) -> bool:
    """Whether what is open un-versioned, sent with what clients send besides, is open versioned when that is sent."""
    for tried in found:
        if tried.is_open and tried.surface.extras:
            asking = Asking(probe.tenant, probe.run_id, tried.exchange.request.key)
            request = requests.with_fields(tried.surface.request(asking), tried.surface.extras)
            return lets_in((await probe.send(request)).response)
    return False


_Unversioned: TypeAlias = tuple[Credential, str, list[Tried] | Blocked, Ids]
"""A key, what it lacks, and what came where it asked by the un-versioned address for these."""


async def _ask_unversioned(
    probe: Probe, lacking: Sequence[tuple[Route, Credential]], openers: Sequence[Credential]
) -> list[_Unversioned]:
    """What no scope opens, by the un-versioned address: a conversation, and an upload into one, a key without each.

    The conversation that is uploaded into is the one of the versioned request.
    """
    opening, uploading = ((surface_of(name), Address.UNVERSIONED) for name in ("conversation", "conversation_files"))
    without = [key for route, key in lacking if route is Route.CONVERSATION_FILES]
    if probe.parameters.keys or probe.tenant.read_only:
        return []
    asked: list[_Unversioned] = [
        (key, "which is not allowed the name", await try_or_block(probe, [opening], key.name), NO_IDS)
        for key in openers[:1]
    ]
    for key in sorted(without, key=lambda key: (key.purpose is not Purpose.INFERENCE, key.breadth))[:1]:
        with suppress(Blocked):
            ids = Ids(conversation=await conversation_for(probe, key))
            asked.append((key, "without the right", await try_or_block(probe, [uploading], key.name, ids), ids))
    return asked


def _is_open(exchange: Exchange | Blocked) -> bool:
    return isinstance(exchange, Blocked) or lets_in(exchange.response)


def _lacks(key: Credential, route: Route) -> bool:
    return key.may(route) is False


def _main_surface(route: Route | None) -> Surface:
    return next(surface for surface in surfaces() if surface.route is route)


async def _require_reached(probe: Probe, route: Route) -> None:
    """Raises Blocked unless a key with the right gets through: else the route is missing, and proves no scope."""
    key = narrowest_reaching(probe.tenant, route, undeclared=True)
    if key is None:
        raise Blocked(
            "it answers as a route that does not exist, and no key is declared to reach it",
            f"Add a live key that may use {route.title} to the tenant file.",
        )
    await probe.require_route(route, key.name)


def _without_name(probe: Probe) -> list[Credential]:
    """The narrowest key of each purpose that is not allowed the chat model: all that opening a conversation asks.

    An upload key is allowed no name.
    """
    narrowest: dict[Purpose | None, Credential] = {}
    for key in sorted(keys_tried(probe), key=lambda key: key.breadth):
        if key.purpose is Purpose.UPLOAD or key.may_use(probe.model(Modality.CHAT)) is False:
            narrowest.setdefault(key.purpose, key)
    return list(narrowest.values())


def _opening(probe: Probe, key: Credential) -> Request:
    """A conversation; of an upload key, which is allowed no name, with a raw model: its allowlist is another one."""
    raw = next(iter(probe.tenant.raw_models), None) if key.purpose is Purpose.UPLOAD else None
    return requests.conversation(probe.tenant, key.name, probe.run_id, model=raw)


async def _expect_no_conversation(probe: Probe, key: Credential, exchange: Exchange | Blocked) -> None:
    if isinstance(exchange, Blocked):
        probe.block_part(f"POST /v1/conversations by the key {key.name}", exchange)
        return
    what = f"POST /v1/conversations with a name that the key {key.name} may not use"
    response = exchange.response
    let_in = lets_in(response)
    if let_in and await is_swapped_opener(probe, key):
        return
    if not let_in or not await fail_unsteady(probe, exchange, f"{what} is refused with a 4xx"):
        expect_refusal(probe, exchange, what, reasoned=False, cause=OPENED_WITHOUT_A_NAME)


OPENED_WITHOUT_A_NAME = "scope:a conversation with a name that the key may not use"


@check(
    "key.never_echoed",
    claim="No answer of the tenant holds a secret.",
    remedy="Have the tenant leave keys out of answers, errors and headers; rotate the key that was echoed.",
    source="GT API reference, Bearer authentication",
    clauses=("A4",),
    acts=Actor.TENANT,
    severity=Severity.CRITICAL,
    tenant_wide=SEVERAL_KEYS,
    whole_run=True,
)
async def never_echoed(probe: Probe) -> None:
    """No response of the whole run, header or body, error or stream, holds a secret or a part of one, however encoded.

    Answers are searched a few at a time in a thread of their own, so that a long one keeps neither the run's time limit
    nor an interruption waiting.
    """
    seen = probe.seen
    for start in range(0, len(seen), _SEARCHED_TOGETHER):
        some = seen[start : start + _SEARCHED_TOGETHER]
        places = await anyio.to_thread.run_sync(_echoes, some, probe.redactor, abandon_on_cancel=True)
        for exchange, place in places:
            probe.note(exchange)
            probe.fail("no answer holds a secret", place, exchange)
    if not seen:
        raise Blocked("no answer was seen in this run", "Select something that sends requests.")


_SEARCHED_TOGETHER = 64


def _echoes(exchanges: Sequence[Exchange], redactor: Redactor) -> list[tuple[Exchange, str]]:
    answers = [(exchange, exchange.response) for exchange in exchanges if exchange.response is not None]
    # Nearly always there is nothing, which is soon known of all together.
    if not redactor.any_holds(text for _, response in answers for text in _texts_of(response)):
        return []
    found = ((exchange, _echo(response, redactor)) for exchange, response in answers)
    return [(exchange, place) for exchange, place in found if place is not None]


def _texts_of(response: Response) -> Iterator[str]:
    yield from chain.from_iterable(response.headers)
    yield from _spoken(response)


def _spoken(response: Response) -> Iterator[str]:
    """One after the other: an answer may be as large as is allowed, and each of them is a copy of it."""
    yield response.text
    yield from joined_texts(response.text)


def _echo(response: Response, redactor: Redactor) -> str | None:
    for name, value in response.headers:
        if (key := redactor.holds(value)) or (key := redactor.holds(name)):
            return f"the header {name} holds the secret of {key}"
    if key := next(filter(None, map(redactor.holds, _spoken(response))), None):
        return f"the body holds the secret of {key}"
    return None


@check(
    "key.isolation",
    claim="Other keys are untouched by this key's rotation or revocation, and see only their own names.",
    remedy="Have the tenant keep keys apart: what happens to one must not reach another.",
    source="GT API keys and access, Lifecycle and operations; GT API reference, List published models",
    clauses=("K23", "M1"),
    acts=Actor.TENANT,
    severity=Severity.CRITICAL,
)
async def isolation(probe: Probe) -> None:
    """A second credential, unlinked to this one, lists exactly its own names after a rotation or a revocation."""
    key = probe.credential
    # An upload key may be refused the list: Keys-And-Access gives it its dataset routes only.
    strangers = [
        other
        for other in unrelated_keys(probe, key)
        if other.models is not None and other.purpose is not Purpose.UPLOAD
    ]
    if not strangers:
        raise Blocked(
            f"no other live key, unlinked to {key.name} and with declared models, is there to compare with",
            "Add a second key with models: [...] to the tenant file.",
        )
    if key.retired_secret is None and not probe.tenant.revoked_credentials:
        raise Blocked(
            "nothing was rotated or revoked, so there is nothing that the other keys could have suffered from",
            f"Add a revoked key (revoked: true), or the retired secret of the key {key.name}, to the tenant file.",
        )
    for other in strangers[:2]:
        exchange = await probe.send(requests.get(probe.tenant, "/v1/models", other.name))
        expected = f"the key {other.name} works and lists exactly its own names"
        body = probe.json(exchange, "model-list", expected)
        await expect_names(probe, exchange, [entry["id"] for entry in body["data"]], other, expected)


@check(
    "key.dedicated",
    claim="This client has a key of its own.",
    remedy="Make a key for this client alone, and map the runbook to it in the tenant file.",
    source="GT API keys and access, Lifecycle and operations",
    clauses=("K24",),
    acts=Actor.SETUP,
    severity=Severity.MEDIUM,
    items=Items(parameters=lambda context: Parameters(runbook=context.runbook.id)),
)
async def dedicated(probe: Probe) -> None:
    """No other runbook is mapped to this key. Nothing is sent; a key that is shared is for the operator to change."""
    key, tenant = probe.credential, probe.tenant
    runbook = probe.parameters.runbook
    if runbook is None:
        raise ValueError("key.dedicated takes a runbook")
    mapped = tenant.runbooks.get(runbook)
    if mapped is None or mapped.key is None:
        raise Blocked(
            f"nothing says which key {runbook} uses",
            f"Add runbooks: {runbook}: {{key: ...}} to the tenant file.",
        )
    sharing = sorted(
        name
        for name, other in tenant.runbooks.items()
        if name != runbook and key.name in {other.key, other.extension_key}
    )
    if sharing:
        raise Blocked(
            f"the key {key.name} does not serve {runbook} alone: it also serves {', '.join(sharing)}",
            "Make a key for this client alone, and map the runbook to it in the tenant file.",
            cause=f"shared {key.name}",
        )


def _beyond(context: Context) -> tuple[Route, ...]:
    """The routes that the runbook's own key must not open: not native, and no extension that this key serves."""
    native, choice = context.runbook.native_routes(), context.choice
    return tuple(route for route in Route if route not in native and choice.extension.get(route) is not choice.own)


@check(
    "key.least_privilege",
    claim="The key opens nothing beyond what its runbook needs.",
    remedy="Take the scope or the allowlist entry off this key: it grants more than the runbook needs.",
    source="GT API reference, Bearer authentication",
    clauses=("A5",),
    acts=Actor.SETUP,
    severity=Severity.MEDIUM,
    items=Items(parameters=lambda context: Parameters(routes=_beyond(context))),
)
async def least_privilege(probe: Probe) -> None:
    """Every route that is neither native nor an extension of the runbook is refused to its credential.

    A key that carries more is the operator's to narrow: that blocks. One that is let in where its declared scopes leave
    the route out is the tenant's violation.
    """
    key = probe.credential
    if not probe.parameters.routes:
        raise Blocked(
            f"the key {key.name} serves every route of this runbook, so nothing is left to refuse",
            "Use keys of their own for uploads and conversations: extension_key in the tenant file.",
        )
    granted: list[Route] = []
    for route in probe.parameters.routes:
        try:
            exchange = await ask_without_right(probe, route, key)
        except Blocked as blocked:
            probe.block_part(route.title, blocked)
            continue
        if key.may(route) is not False and exchange.response is not None and exchange.response.succeeded:
            granted.append(route)
        else:
            await expect_closed(probe, exchange, route, key)
    if granted:
        scopes = ", ".join(dict.fromkeys(route.scope.value for route in granted if route.scope is not None))
        probe.block(
            f"the key {key.name} opens more than its runbook needs: {', '.join(route.title for route in granted)}",
            f"Take {scopes or 'the right'} off the key {key.name}, "
            "or map the runbook to a narrower key in the tenant file.",
            cause=f"wide {key.name}",
        )
