"""Scopes: each route refuses the keys that lack its scope, and a client's key opens what its client needs."""

from collections.abc import Iterable, Sequence
from contextlib import suppress
from itertools import count
from typing import TypeAlias

from gt_conformance.checks import _requests as requests
from gt_conformance.checks._check import (
    SEVERAL_KEYS,
    Context,
    Items,
    Parameters,
    check,
    narrowest_reaching,
)
from gt_conformance.checks._declared import blame_missing_link, is_declared_narrow
from gt_conformance.checks._presets import expect_presets
from gt_conformance.checks._probe import Probe
from gt_conformance.checks._refusal import expect_refusal
from gt_conformance.checks._resources import READ_ONLY
from gt_conformance.checks._surfaces import (
    AUTHENTICATE,
    NO_IDS,
    WITHOUT_SCOPE,
    Address,
    Asking,
    Ids,
    Surface,
    Tried,
    expect_shut,
    fail_unsteady,
    find_hole,
    hole,
    keys_tried,
    places,
    surface_of,
    surfaces,
    try_or_block,
)
from gt_conformance.checks._wording import lets_in
from gt_conformance.checks.boundary import (
    SCOPES_NOT_ENFORCED,
    ask_without_right,
    conversation_for,
    expect_closed,
    is_absent,
)
from gt_conformance.errors import Blocked
from gt_conformance.exchange import Exchange, Request
from gt_conformance.tenant import Credential
from gt_conformance.together import both, together
from gt_conformance.vocabulary import Actor, Modality, Purpose, Route, Severity


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
                await _expect_shut_unversioned(probe, tried, f"by the key {key.name}, {why},", ids)
    await expect_presets(probe)
    if not probe.exchanges and not probe.blockers:
        raise Blocked(
            "no key is declared with scopes that leave a route out",
            "Declare purpose and scopes for the keys in the tenant file.",
            cause="undeclared",
        )


async def _ask_without_scope(probe: Probe, route: Route, key: Credential) -> Exchange | Blocked:
    exchange = await _ask_without_right(probe, route, key)
    try:
        if isinstance(exchange, Exchange) and await is_absent(probe, exchange):
            await _require_reached(probe, route)
    except Blocked as blocked:
        return blocked
    return exchange


async def _ask_without_right(probe: Probe, route: Route, key: Credential) -> Exchange | Blocked:
    try:
        return await ask_without_right(probe, route, key)
    except Blocked as blocked:
        return blocked


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

    It is the narrowest of a purpose, of one purpose after the other: an address may look at the keys of one alone. Of
    embeddings it is an inference key where one lacks that scope, as keys of chats do: it is let in for what it is. A
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
    chosen = [(surface, of_each[-1 - next(turn) % len(of_each)], of_each) for surface, of_each in narrowest if of_each]
    return [
        (surface, next((key for key in of_each if _is_likelier(surface, key)), in_turn))
        for surface, in_turn, of_each in chosen
    ]


def _is_likelier(surface: Surface, key: Credential) -> bool:
    return surface.route is Route.EMBEDDINGS and key.purpose is Purpose.INFERENCE


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
        cause = SCOPES_NOT_ENFORCED if is_open else hole(at, WITHOUT_SCOPE)
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
    # One that opens conversations with its own names is refused for the name alone, and not for what it is.
    likeliest = sorted(openers, key=lambda key: key.purpose is not Purpose.CONVERSATION)[:1]
    asked: list[_Unversioned] = [
        (key, "which is not allowed the name", await try_or_block(probe, [opening], key.name), NO_IDS)
        for key in likeliest
    ]
    for key in sorted(without, key=lambda key: (key.purpose is not Purpose.INFERENCE, key.breadth))[:1]:
        with suppress(Blocked):
            ids = Ids(conversation=await conversation_for(probe, key))
            asked.append((key, "without the right", await try_or_block(probe, [uploading], key.name, ids), ids))
    return asked


async def _expect_shut_unversioned(probe: Probe, tried: Tried, how: str, ids: Ids) -> None:
    """What no scope opens is refused by the un-versioned address. A name that opens versioned too is that finding."""
    what = f"{tried.surface.named(tried.address)} {how}"
    cause, remedy = hole(Address.UNVERSIONED, WITHOUT_SCOPE), None
    name = tried.exchange.request.fields.get("model")
    key = probe.tenant.credentials.get(tried.exchange.request.key or "")
    is_opened = tried.is_open and tried.surface.id == "conversation"
    if is_opened and key is not None and blame_missing_link(probe, key):
        return
    if is_opened and isinstance(name, str):
        asking = Asking(probe.tenant, probe.run_id, tried.exchange.request.key, model=name)
        if lets_in((await probe.send(tried.surface.request(asking))).response):
            cause, remedy = OPENED_WITHOUT_A_NAME, _LOOK_FOR_THE_NAME
    await expect_shut(probe, tried, what, cause, ids, remedy=remedy)


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
    """A conversation with a name that the key is not allowed: another than un-versioned, if one is known.

    It is a raw model where one is known, since the allowlist of these is another one. An upload key is allowed no name.
    """
    if key.purpose is Purpose.UPLOAD:
        named: Iterable[str] = probe.tenant.raw_models
    else:
        published = frozenset().union(*(one.models or () for one in probe.tenant.live_credentials))
        foreign = [name for name in published - {probe.model(Modality.CHAT)} if key.may_use(name) is False]
        named = sorted(foreign, key=lambda name: (name not in probe.tenant.raw_models, name))
    return requests.conversation(probe.tenant, key.name, probe.run_id, model=next(iter(named), None))


async def _expect_no_conversation(probe: Probe, key: Credential, exchange: Exchange | Blocked) -> None:
    if isinstance(exchange, Blocked):
        probe.block_part(f"POST /v1/conversations by the key {key.name}", exchange)
        return
    what = f"POST /v1/conversations with a name that the key {key.name} may not use"
    response = exchange.response
    let_in = lets_in(response)
    if let_in and blame_missing_link(probe, key):
        return
    if not let_in or not await fail_unsteady(probe, exchange, f"{what} is refused with a 4xx"):
        tried = Tried(surface_of("conversation"), Address.VERSIONED, exchange)
        to_anybody = await find_hole(probe, tried, NO_IDS) if let_in else None
        remedy, cause = (AUTHENTICATE, to_anybody) if to_anybody else (_LOOK_FOR_THE_NAME, OPENED_WITHOUT_A_NAME)
        expect_refusal(probe, exchange, what, reasoned=False, remedy=remedy, cause=cause)


OPENED_WITHOUT_A_NAME = "scope:a conversation with a name that the key may not use"
_LOOK_FOR_THE_NAME = (
    "Have the tenant look for the name, alias or raw model, on the key's allowlist before it opens a conversation."
)


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
    asked = await together(_ask_without_right(probe, route, key) for route in probe.parameters.routes)
    for route, exchange in zip(probe.parameters.routes, asked, strict=True):
        if isinstance(exchange, Blocked):
            probe.block_part(route.title, exchange)
        elif key.may(route) is not False and exchange.response is not None and exchange.response.succeeded:
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
