"""Published names: those of other keys, and internal ones, neither work nor show."""

import re
from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from functools import partial

from gt_conformance.checks import _requests as requests
from gt_conformance.checks._check import SEVERAL_KEYS, cannot_reach, check, narrowest_key
from gt_conformance.checks._probe import Probe
from gt_conformance.checks._resources import open_conversation
from gt_conformance.checks._surfaces import (
    NO_IDS,
    SURFACES,
    Address,
    Ids,
    Place,
    Tried,
    expect_shut,
    hole,
    places,
    surfaces,
    try_or_block,
)
from gt_conformance.checks.models import ids_in, is_declared_short, join_some, shown
from gt_conformance.errors import Blocked, name_finding
from gt_conformance.exchange import Exchange, joined_text
from gt_conformance.tenant import Credential, Tenant
from gt_conformance.together import together
from gt_conformance.vocabulary import Actor, Modality, Route, Severity

_TOLD_APART = (Route.CHAT, Route.EMBEDDINGS)
"""Where a run of some runbooks tries names that do not work: a tenant resolves those of media as it does these."""
_LONGEST_REASON = 2_000
_COMPARE_RESOLVED = (
    "Have the tenant look for the name that it resolves on the key's allowlist: a name in other case, with a space "
    "after it, or with a provider before it, passes by the allowlist."
)
_PROVIDER = "openai/"
"""Before a name: gateways that have several providers (LiteLLM) take such a part off a name before they resolve it."""
_LONGER = ":gt-conformance"
"""Behind a name that the key is allowed it makes one that nobody publishes, whether or not a colon ends names."""
_COMPARE_ALL_OF_IT = (
    "Have the tenant compare the whole name: one that only begins as a name on the key's allowlist is let in."
)
_CHECK_ALLOWLISTS = "Have the tenant check the key's allowlists on every inference route."
NAMES_OPEN = name_finding("names.not_allowlisted_refused", _CHECK_ALLOWLISTS)
"""The finding of names that work with keys which are not allowed them."""
NOT_ALLOWED_UNVERSIONED = hole(Address.UNVERSIONED, "with a name that names.not_allowlisted_refused refuses")
"""The cause where names of others are listed, or work, by the un-versioned address alone."""
_MOST_TRIED = 8
"""Of each kind, the names of others that a key is tried with on a route: a catalog may hold thousands."""
_HIDE_DATASETS = "Have the tenant leave internal identifiers of datasets out of bodies, headers and streams."
_NONE_DECLARED = (
    "no unpublished model is known",
    "Add unpublished_models: [...] to the tenant file: internal ids that must neither work nor show.",
)


@check(
    "names.unpublished_refused",
    claim="An unpublished name works nowhere.",
    remedy="Have the tenant resolve published names only: internal agent and provider model ids are never accepted.",
    source="GT published endpoints, Why this matters; GT API reference, Create a GT conversation",
    clauses=("M4", "M5", "M8", "A2"),
    acts=Actor.TENANT,
    severity=Severity.CRITICAL,
    tenant_wide=SEVERAL_KEYS,
    by_surface=True,
    refuses=True,
)
async def unpublished_refused(probe: Probe) -> None:
    """Each unpublished name is refused at every surface that takes one, by a key that may use it.

    Un-versioned, and in a streamed chat, the first of them alone: names are resolved in one place. A name that only
    begins like an allowed one is tried as well, since a surface, or a stream, may replace unknown names by its default.
    """
    names = probe.tenant.unpublished_models
    if not names:
        raise Blocked(*_NONE_DECLARED)
    asked = []
    for route, key in _keys_by_route(probe):
        for number, name in enumerate(_bounded(probe, names)):
            taking = _taking_names(probe, route, every=not number)
            longer = "" if probe.parameters.keys or route is Route.CHAT else longer_name(probe, key)
            elsewhere = [one for one in taking if longer and one[1] is Address.UNVERSIONED]
            asked.append((elsewhere, key, longer))
            # To embed, another key's name is tried there too: an allowlist that is not looked at shows by that one.
            spared = elsewhere if route in _TOLD_APART else []
            asked.append(([one for one in taking if one not in spared], key, name))
    asked += [
        ([*_taking_names(probe, route, every=False), *_streamed_elsewhere(probe)], key, name)
        for route, key in _keys_by_route(probe)
        if route is Route.CHAT and not probe.parameters.keys
        for name in [longer_name(probe, key)]
        if name
    ]
    opening = [(surface, Address.VERSIONED) for surface in surfaces(probe.parameters.routes) if surface.route is None]
    opener = _opener_of_own_names(probe)
    if opening and opener is not None and not probe.tenant.read_only:
        asked.append((opening, opener, names[0]))
    await _refuse_names(probe, asked)
    if not probe.parameters.keys and opener is not None and opener.may(Route.CHAT) is not False:
        await _refuse_in_conversation(probe, opener, names[0])


def _opener_of_own_names(probe: Probe) -> Credential | None:
    """The key that opens conversations by an internal id: first one that may use the tenant's chat model.

    What resolves an internal id may look for the alias behind it on the key's allowlist.
    """
    alias, only = probe.model(Modality.CHAT), probe.parameters.keys
    own = narrowest_key(probe.tenant, lambda key: key.holds_conversations and key.may_use(alias) is True, only)
    return own or narrowest_key(probe.tenant, lambda key: key.holds_conversations, only)


def longer_name(probe: Probe, key: Credential) -> str:
    """A name that nobody publishes, and that begins as one which the key is allowed; empty where it is allowed none."""
    name = probe.model(Modality.CHAT) if key.models is None else min(key.models, default="")
    return name and f"{name}{_LONGER}"


@check(
    "names.not_allowlisted_refused",
    claim="A published name outside a key's allowlist does not work with that key.",
    remedy=_CHECK_ALLOWLISTS,
    source="GT API reference, Bearer authentication; GT published endpoints, Two kinds of published inference names",
    clauses=("A6", "A7", "A2"),
    acts=Actor.TENANT,
    severity=Severity.CRITICAL,
    tenant_wide=SEVERAL_KEYS,
    by_surface=True,
    refuses=True,
)
async def not_allowlisted_refused(probe: Probe) -> None:
    """At every surface that takes a name (in a run of some runbooks, in chats): one of another key's alone.

    The further ones, which may be of the other kind (alias or raw model), at the plain address alone; of very many some
    of either kind.
    """
    published = frozenset().union(*(key.models or frozenset() for key in probe.tenant.live_credentials))
    asked = []
    for route, key in _keys_by_route(probe):
        if probe.parameters.keys and route is not Route.CHAT:
            continue
        foreign = sorted(name for name in published if key.may_use(name) is False)
        if not foreign:
            probe.block(
                f"no published name outside the allowlist of the key {key.name} is known for {route.title}",
                "Declare models for the keys of the tenant file, and add a key with another allowlist.",
            )
            continue
        for number, name in enumerate(_bounded(probe, _sampled(probe.tenant, foreign))):
            # Media resolve names as chats do: by the other address that of an unpublished one is tried there.
            every = not number and route in _TOLD_APART
            asked.append((_taking_names(probe, route, every=every), key, name))
            if number and route is Route.CHAT:
                # An alias and a raw model are resolved apart: whichever comes first, the other is tried elsewhere too.
                asked.append((_streamed_elsewhere(probe), key, name))
        if route is Route.CHAT and not probe.parameters.keys:
            # Names that are written otherwise, where allowlists are compared exactly and names are resolved loosely.
            plain = _taking_names(probe, route, every=False)
            respelled = (foreign[0].upper(), f"{foreign[0]} ", f"{_PROVIDER}{foreign[0]}")
            asked += [(plain, key, name) for name in respelled if name not in published]
    await _refuse_names(probe, asked)
    _expect_none_listed(probe, published)
    opener = narrowest_key(probe.tenant, lambda key: key.holds_conversations and key.may(Route.CHAT) is not False)
    foreign = sorted(name for name in published if opener is not None and opener.may_use(name) is False)
    if not probe.parameters.keys and opener is not None and foreign:
        # An alias and a raw model are resolved apart there too, of which the second is tried in a stream elsewhere.
        raw = [name for name in foreign if name in probe.tenant.raw_models and name != foreign[0]]
        for name, address in zip([foreign[0], *raw[:1]], Address, strict=False):
            await _refuse_in_conversation(probe, opener, name, address)


def _expect_none_listed(probe: Probe, published: AbstractSet[str]) -> None:
    """No refusal of a name lists others that the key is not allowed. One may be any word; a list is none by chance."""
    for exchange in [one for one in probe.seen if one.ref in probe.exchanges]:
        request, response = exchange.request, exchange.response
        key = probe.tenant.credentials.get(request.key or "")
        if key is None or response is None or not response.refused:
            continue
        texts = [response.plain[:_LONGEST_REASON], *(value for _, value in response.headers)]
        others = published - {str(request.fields.get("model")).strip().lower()}
        held = sorted(name for name in others if any(holds_name(text, name, ()) for text in texts))
        foreign = [name for name in held if key.may_use(name) is False and not _was_sent(exchange, name)]
        if len(held) >= _A_LIST and foreign:
            probe.fail(
                "the refusal of a name tells the key no other names than its own",
                f"{join_some(foreign)} in the refusal of {request.method} {request.path} to the key {key.name}",
                exchange,
                remedy=_REFUSE_WITHOUT_A_LIST,
                cause="names:in refusals",
                severity=Severity.HIGH,
            )
            return


_A_LIST = 2
_REFUSE_WITHOUT_A_LIST = (
    "Have the tenant, and every gateway before it, refuse a name without listing those that other keys may use."
)


async def _refuse_in_conversation(
    probe: Probe, opener: Credential, name: str, address: Address = Address.VERSIONED
) -> None:
    """A chat in a conversation takes no name that its key is not allowed, nor one that its key does not inherit.

    By the un-versioned address it is streamed.
    """
    if probe.tenant.read_only:
        return
    try:
        opened = await open_conversation(probe, opener)
    except Blocked as blocked:
        probe.block_part(f"a chat in a conversation of the key {opener.name}", blocked)
        return
    if opened.id is None:
        return  # that no conversation is opened is the finding of conversation.create
    chats = [surface for surface in SURFACES if surface.id == "conversation_chat"]
    asked = [([(surface, address) for surface in chats], opener, name)]
    await _refuse_names(probe, asked, Ids(conversation=opened.id))


@check(
    "tenant.no_raw_model_ids",
    claim="No answer of the tenant names an unpublished model, or a dataset by an internal identifier.",
    remedy="Have the tenant put the published name for internal and provider ids, in bodies, headers and streams.",
    source="GT API overview, Why this matters; GT published endpoints, Why this matters",
    clauses=("A10", "A11"),
    acts=Actor.TENANT,
    severity=Severity.HIGH,
    tenant_wide=SEVERAL_KEYS,
    whole_run=True,
)
async def no_raw_model_ids(probe: Probe) -> None:
    """No response of the whole run holds an unpublished name, unless the request itself had named it.

    Nor does any hold an internal identifier of a dataset, as far as the tenant file names some.
    """
    names, datasets = probe.tenant.unpublished_models, probe.tenant.internal_datasets
    expected = dict.fromkeys(names, "no answer names an unpublished model")
    expected |= dict.fromkeys(datasets, "no answer names a dataset by an internal identifier")
    longer = _names_around(probe, expected)
    for exchange in probe.seen:
        for name, promise in expected.items():
            place = _place_of(exchange, name, longer[name])
            if place is not None:
                probe.note(exchange)
                remedy = _HIDE_DATASETS if name in datasets else None
                probe.fail(promise, f"{name} is in {place}", exchange, remedy=remedy, cause=shown(name))
    if not names:
        probe.block(*_NONE_DECLARED)


def _names_around(probe: Probe, internal: Iterable[str]) -> dict[str, list[str]]:
    """The published names of which each of these is a part: they may show."""
    tenant, known = probe.tenant, set[str]()
    known.update(*(key.models or () for key in tenant.credentials.values()), map(tenant.model, Modality))
    known.update(*(ids_in(one) for one in probe.seen if one.request.path.endswith(Route.MODELS.path)))
    return {name: sorted(one for one in known if name in one and one != name) for name in internal}


def _place_of(exchange: Exchange, name: str, longer: Iterable[str]) -> str | None:
    response = exchange.response
    if response is None or _was_sent(exchange, name):
        return None
    for header, value in response.headers:
        if holds_name(value, name, longer) or holds_name(header, name, longer):
            return f"the header {header}"
    texts = (response.plain, joined_text(response))
    return "the body" if any(holds_name(text, name, longer) for text in texts) else None


def holds_name(text: str, name: str, longer: Iterable[str]) -> bool:
    """Whether a text holds a name as a word of its own. What is short is in many an id, and in base64, by chance."""
    if name not in text:
        return False
    for published in longer:
        text = text.replace(published, " ")
    within = r"0-9A-Za-z" if len(name) > _SHORT_NAME else r"0-9A-Za-z_+/=.\-"
    return re.search(rf"(?<![{within}]){re.escape(name)}(?![{within}])", text) is not None


_SHORT_NAME = 4


def _was_sent(exchange: Exchange, name: str) -> bool:
    # A refusal may repeat the name that the caller sent: that tells the caller nothing new.
    request = exchange.request
    sent = [request.url.encode(), request.body, *(part.content for part in request.parts)]
    return any(name.encode() in piece for piece in sent)


def _keys_by_route(probe: Probe) -> Iterable[tuple[Route, Credential]]:
    for route in probe.parameters.routes or Route:
        if route.modality is None or route.scope is None or (probe.parameters.keys and route not in _TOLD_APART):
            continue
        key = narrowest_key(probe.tenant, partial(Credential.may, route=route), probe.parameters.keys)
        if key is None:
            probe.block(
                f"no key declares {route.scope.value}, so {route.title} could not be tried",
                f"Add a key with scope {route.scope.value} to the tenant file.",
                cause=_why_no_key(probe.tenant, route),
            )
            continue
        yield route, key


def _bounded(probe: Probe, names: Sequence[str]) -> Sequence[str]:
    """These names; in a run of some runbooks the first of them alone."""
    return names[:1] if probe.parameters.keys else names


def _sampled(tenant: Tenant, names: Sequence[str]) -> Sequence[str]:
    """These names, in their order; of more than a run has requests for, some of each kind from among them all."""
    kinds = ([name for name in names if (name in tenant.raw_models) is raw] for raw in (False, True))
    some = {name for kind in kinds for name in kind[:: -(-len(kind) // _MOST_TRIED) or 1]}
    return [name for name in names if name in some]


def _why_no_key(tenant: Tenant, route: Route) -> str:
    """The cause: one for all where nothing is declared, one for each route that no key may use."""
    if all(key.scopes is None for key in tenant.live_credentials):
        return "undeclared"
    return f"no key for {route.value}" if cannot_reach(tenant, route) else ""


def _taking_names(probe: Probe, route: Route, *, every: bool) -> list[Place]:
    """The surfaces of an inference route: every one by both addresses, or the plain one alone."""
    if not every:
        return [(next(surface for surface in SURFACES if surface.route is route), Address.VERSIONED)]
    return [(surface, at) for surface, at in places(probe.parameters) if surface.route is route]


def _streamed_elsewhere(probe: Probe) -> list[Place]:
    """A streamed chat by the un-versioned address."""
    return [
        (surface, at)
        for surface, at in places(probe.parameters)
        if surface.id == "chat_stream" and at is Address.UNVERSIONED
    ]


_ANY_NAME = "names:any name works"
"""The cause of every name that works where what is no name at all works as well."""
_RESOLVE_NAMES = "Have the tenant resolve published names only, and check allowlists: it takes any name at all."


def _is_respelled(probe: Probe, name: str) -> bool:
    """Whether it is a published name of another key that is written otherwise: no key has it as it is."""
    known = (key.models or frozenset() for key in probe.tenant.live_credentials)
    return probe.check.id == "names.not_allowlisted_refused" and not any(name in names for names in known)


async def _takes_any_name(probe: Probe, key: Credential, tried: Iterable[Tried], ids: Ids) -> bool:
    """Whether the tenant takes what is no name at all where it took one of these, for the default one say."""
    where = next((one.surface, one.address) for one in tried if one.is_open)
    made_up = await try_or_block(probe, [where], key.name, ids, model=requests.MADE_UP_ID)
    return not isinstance(made_up, Blocked) and made_up[0].is_open


async def _with_twins(probe: Probe, tried: Sequence[Tried], key: Credential, name: str, ids: Ids) -> Sequence[Tried]:
    """These, and what became of the name at the versioned address where it was tried at the other alone, and works."""
    at_all = {(one.surface.id, one.address) for one in tried}
    unknown = [
        (one.surface, Address.VERSIONED)
        for one in tried
        if one.is_open and (one.surface.id, Address.VERSIONED) not in at_all
    ]
    twins = await try_or_block(probe, unknown, key.name, ids, model=name) if unknown else []
    return tried if isinstance(twins, Blocked) else [*tried, *twins]


async def _refuse_names(
    probe: Probe, asked: Sequence[tuple[Sequence[Place], Credential, str]], ids: Ids = NO_IDS
) -> None:
    """Each of these names is refused to its key at these surfaces."""
    found = await together(try_or_block(probe, at, key.name, ids, model=name) for at, key, name in asked)
    tries = [
        tried if isinstance(tried, Blocked) else await _with_twins(probe, tried, key, name, ids)
        for (_, key, name), tried in zip(asked, found, strict=True)
    ]
    open_versioned = {
        (name, key.name)
        for (_, key, name), tried in zip(asked, tries, strict=True)
        if not isinstance(tried, Blocked) and any(one.is_open and one.address is Address.VERSIONED for one in tried)
    }
    open_surfaces = {
        one.surface.id
        for tried in tries
        if not isinstance(tried, Blocked)
        for one in tried
        if one.is_open and one.address is Address.VERSIONED
    }
    for (wanted, key, name), tried in zip(asked, tries, strict=True):
        if isinstance(tried, Blocked):
            probe.block_part(f"{wanted[0][0].title} by the key {key.name}", tried)
            continue
        shut = {one.surface.id for one in tried if one.address is Address.VERSIONED and not one.is_open}
        is_open = any(one.is_open for one in tried)
        is_versioned = (name, key.name) in open_versioned
        is_published = probe.check.id == "names.not_allowlisted_refused"
        takes_any = is_open and await _takes_any_name(probe, key, tried, ids)
        if takes_any and _is_respelled(probe, name):
            continue  # that is the finding of names.unpublished_refused
        if is_open and is_published and await is_declared_short(probe, key, [name]):
            continue
        for one in tried:
            # Open un-versioned alone it is another hole than open everywhere, with whichever name that was seen.
            is_everywhere = is_versioned or one.surface.id in open_surfaces
            alone = one.address is Address.UNVERSIONED and (one.surface.id in shut or not is_everywhere)
            cause = _ANY_NAME if takes_any else ""
            cause = hole(one.address, f"with a name that {probe.check.id} refuses") if alone else cause
            remedy = _COMPARE_RESOLVED if _is_respelled(probe, name) else None
            if name.endswith(_LONGER) and is_open and not takes_any:
                remedy = _COMPARE_ALL_OF_IT
            elif cause == _ANY_NAME:
                remedy = _RESOLVE_NAMES
            await expect_shut(
                probe, one, f"the name {name} on {one.surface.named(one.address)}", cause, ids, remedy=remedy
            )
