"""Published names: the key's own are listed and nothing else is; the others neither work nor show."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from contextlib import suppress
from functools import partial

from gt_conformance.checks import _requests as requests
from gt_conformance.checks._check import SEVERAL_KEYS, cannot_reach, check, narrowest_key, native
from gt_conformance.checks._declared import blame_declaration, names_in, require_right
from gt_conformance.checks._probe import Probe, StopCheck
from gt_conformance.checks._resources import open_conversation
from gt_conformance.checks._surfaces import (
    NO_IDS,
    SURFACES,
    Address,
    Ids,
    Place,
    expect_shut,
    hole,
    places,
    surfaces,
    try_or_block,
)
from gt_conformance.checks._wording import describe
from gt_conformance.errors import Blocked, Blocker, name_finding
from gt_conformance.exchange import Exchange, Response, joined_text, shortened
from gt_conformance.schema import count_noun
from gt_conformance.tenant import Credential, Tenant, nearest_name
from gt_conformance.together import together
from gt_conformance.vocabulary import Actor, Fact, Modality, Purpose, Route, Severity

_REFUSED_NAME = frozenset({400, 403, 404, 422})
_FORBIDDEN = 403
_TOLD_APART = (Route.CHAT, Route.EMBEDDINGS)
"""Where a run of some runbooks tries names that do not work: a tenant resolves those of media as it does these."""
_MOST_NAMES = 5
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
NOT_LISTED = "names:not listed"
OTHERS_LISTED = "names:others in their place"
LIST_OWN = (
    "Have the tenant list to each key its own names: the list lacks some of them and holds others in their place. "
    "Compare the key's allowlists in the tenant with its models in the tenant file."
)
_NAME_PUBLISHED = "Have the tenant put the published name wherever the internal id shows, in its list of models first."
_CHECK_ALLOWLISTS = "Have the tenant check the key's allowlists on every inference route."
NAMES_OPEN = name_finding("names.not_allowlisted_refused", _CHECK_ALLOWLISTS)
"""The finding of names that work with keys which are not allowed them."""
NOT_ALLOWED_UNVERSIONED = hole(Address.UNVERSIONED, "with a name that names.not_allowlisted_refused refuses")
"""The cause where names of others are listed, or work, by the un-versioned address alone."""
_MOST_TRIED = 8
"""Of each kind, the names of others that a key is tried with on a route: a catalog may hold thousands."""
_LISTED = "GET /v1/models lists the published names that the key may use"
_PUBLISHED = "GT published endpoints; GT API reference, List published models"
_HIDE_DATASETS = "Have the tenant leave internal identifiers of datasets out of bodies, headers and streams."
_NONE_DECLARED = (
    "no unpublished model is known",
    "Add unpublished_models: [...] to the tenant file: internal ids that must neither work nor show.",
)


@check(
    "models.contains_alias",
    claim="The model list holds the published name that the client is set up with.",
    remedy="Publish the name in the tenant's published endpoints, and put it on the allowlist of this key.",
    source="GT API reference, List published models; "
    "GT API keys and access, Key purposes; "
    "OpenAI API reference, List models",
    clauses=("M2", "K1"),
    acts=Actor.TENANT,
    severity=Severity.HIGH,
    opens=Route.MODELS,
    rows=native(Route.MODELS),
    shows=(Fact.ALIAS_PUBLISHED,),
)
async def contains_alias(probe: Probe) -> None:
    """A JSON list whose entries have string ids, and the alias of the tenant file among them."""
    exchange, ids = await list_models(probe)
    alias = probe.model(Modality.CHAT)
    if probe.parameters.minimal or alias in ids:
        return
    # A name that works and is not listed is the tenant's doing; one that does not work either was never published.
    if probe.credential.may(Route.CHAT) is not False:
        await probe.require_route(Route.CHAT)
    elif probe.credential.may_use(alias) is None:
        raise Blocked(
            f"the key {probe.credential.name} may not be allowed the name {alias}: its models are not declared",
            f"Add models: [...] to the key {probe.credential.name} in the tenant file.",
        )
    found = f"{count_noun(len(ids), 'name')} without {alias}"
    cause, remedy = _cause_of_missing(probe, probe.credential, ids)
    probe.fail(f"{_LISTED}, {alias} among them", found, exchange, cause=cause, remedy=remedy)


def _cause_of_missing(probe: Probe, key: Credential, listed: Sequence[str]) -> tuple[str, str | None]:
    """Why names of the key are missing: others stand in their place, which is one slip, or nothing does."""
    extra = sorted(set(listed) - key.models - key.unsure.models) if key.models is not None else []
    internal = _internal(probe, extra)
    if internal and internal == extra:
        return shown(internal[0]), _NAME_PUBLISHED
    return (OTHERS_LISTED, LIST_OWN) if extra and not internal else (NOT_LISTED, None)


async def require_published(probe: Probe, exchange: Exchange, modality: Modality) -> None:
    """End the check, blocked, where a refusal is due to a name that the tenant does not list to this key.

    Such a name is mistyped, or not published to the key: the operator's to correct. So is a scope that the tenant file
    declares of this key and the tenant does not know, while it lets another key through.
    """
    response = exchange.response
    if response is None or response.status not in _REFUSED_NAME or response.looks_like_html:
        return
    asked = exchange.request.fields.get("model")
    key, alias = probe.credential, asked if isinstance(asked, str) else probe.model(modality)
    listed = ids_in(await probe.send(requests.get(probe.tenant, "/v1/models", key.name)))
    if not listed or alias in listed:
        _block_unable(probe, response, modality, listed)
        if probe.check.opens is not None:
            await require_right(probe, exchange, probe.check.opens, modality)
        return
    others = await listed_to_others(probe)
    near = nearest_name(alias, listed) or nearest_name(alias, others)
    remedy = f"Correct {probe.tenant.where_name_is(alias, key)}, or have the name published to the key."
    if alias in others and key.models is None:
        remedy = f"Add models: [...] to the key {key.name} in {probe.tenant.source}, so that another key is used."
    elif near and near != alias:
        remedy = f"Did you mean {near}? {remedy}"
    probe.usable = False
    probe.block(
        f"the name {alias} is not among those that the tenant lists to the key {key.name}: "
        f"{join_some(listed)} ({describe(response)})",
        remedy,
        cause=f"name {alias}",
    )
    raise StopCheck


def _block_unable(probe: Probe, response: Response, modality: Modality, listed: Sequence[str]) -> None:
    """End the check, blocked, where a name of its own for this modality is refused as a model that cannot do it.

    A name that the tenant lists works for what it is: that it is asked for something else is the operator's choice.
    """
    alias, others = probe.model(modality), [name for name in listed if name != probe.model(modality)]
    if modality is Modality.CHAT or alias == probe.model(Modality.CHAT) or response.status == _FORBIDDEN:
        return
    if not re.search(r"\b(?:model|alias|agent)\b", response.plain[:_LONGEST_REASON], re.IGNORECASE):
        return
    probe.usable = False
    probe.block(
        f"the name {alias}, which {probe.tenant.where_models_are} gives for {modality.value}, is listed to the key "
        f"{probe.credential.name} and refused there: {describe(response)}",
        f"Name a model that can do it in {probe.tenant.where_models_are}"
        f"{f': {join_some(others)}, say' if others else ''}, or give the agent {alias} one in the tenant.",
        cause=f"unable {alias} {modality.value}",
    )
    raise StopCheck


async def listed_to_others(probe: Probe) -> list[str]:
    """The names that the tenant lists to its other keys: whichever key meets a mistyped name, the right one is told."""
    names: list[str] = []
    for key in probe.tenant.live_credentials:
        with suppress(Blocked):
            names += ids_in(await probe.send(requests.get(probe.tenant, "/v1/models", key.name)))
    return names


def ids_in(exchange: Exchange) -> list[str]:
    """The names in a model list; none where the answer is no such list."""
    return names_in(exchange.response)


def join_some(names: Sequence[str]) -> str:
    """The first names, and how many more there are."""
    more = f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
    return ", ".join(shortened(name, 60) for name in names[:_MOST_NAMES]) + more


@check(
    "models.exact_allowlist",
    claim="The model list equals the key's allowlist: no name is missing, and none is there that should not be.",
    remedy="Compare the key's allowlists in the tenant with its models in the tenant file; correct the wrong one.",
    source="GT API reference, List published models; GT published endpoints, Why this matters",
    clauses=("M1", "M2", "M3"),
    acts=Actor.TENANT,
    severity=Severity.HIGH,
    rests_on=("models.contains_alias",),
    rows=native(Route.MODELS),
)
async def exact_allowlist(probe: Probe) -> None:
    """The listed ids equal the declared allowlist as sets, and none is listed twice."""
    allowlist = probe.credential.models
    if allowlist is None:
        raise Blocked.by(
            Blocker(
                f"no allowlist is declared for the key {probe.credential.name}",
                f"Add models: [...] to the key {probe.credential.name} in the tenant file.",
                cause="no allowlists",
                remedy_of_all="Add models: [...] to each key in the tenant file.",
            )
        )
    exchange, ids = await list_models(probe)
    expected = f"exactly the key's allowlist: {', '.join(sorted(allowlist)) or 'nothing'}"
    await expect_names(probe, exchange, ids, probe.credential, expected)
    twice = sorted(name for name, count in Counter(ids).items() if count > 1)
    probe.should(not twice, f"each name should be listed once; more than once: {', '.join(twice[:10])}", exchange)


async def expect_names(
    probe: Probe,
    exchange: Exchange,
    listed: Sequence[str],
    key: Credential,
    expected: str,
    *,
    allowed: frozenset[str] | None = None,
    unsure: frozenset[str] = frozenset(),
) -> None:
    """The names listed are the key's, or those allowed. What is missing, and what is too many, is one finding for all.

    Those that are ``unsure``, by the tenant file or here, may be listed or not.
    """
    allowed = (key.models or frozenset()) if allowed is None else allowed
    unsure |= key.unsure.models
    missing, extra = sorted(allowed - unsure - set(listed)), sorted(set(listed) - allowed - unsure)
    if missing and not await probe.is_as_declared(key):
        return
    tried = missing[:_MOST_TRIED]
    unknown = [name for name in tried if await is_unknown(probe, key, name, extra)]
    unknown = missing if tried and unknown == tried else unknown  # of many, a sample tells
    if unknown:
        # What is listed in their place is what they should be called: the same slip.
        missing, extra = [name for name in missing if name not in unknown], _internal(probe, extra)
    cause, remedy = _cause_of_missing(probe, key, listed) if missing else ("", None)
    probe.must(not missing, expected, f"not listed: {join_some(missing)}", exchange, cause=cause, remedy=remedy)
    internal = _internal(probe, extra)
    for name in internal:
        probe.fail(expected, f"listed, though it is internal: {name}", exchange, cause=shown(name))
    extra = [name for name in extra if name not in internal]
    if extra and not missing and await is_declared_short(probe, key, extra):
        return
    found = f"listed though not allowed: {join_some(extra)}"
    cause, remedy = (OTHERS_LISTED, LIST_OWN) if missing and not internal else ("names:not allowed", None)
    probe.must(not extra, expected, found, exchange, cause=cause, remedy=remedy)


def _internal(probe: Probe, names: Sequence[str]) -> list[str]:
    return [name for name in names if name in probe.tenant.unpublished_models]


async def is_declared_short(probe: Probe, key: Credential, extra: Sequence[str]) -> bool:
    """Whether these names, beyond the key's declared allowlist, are the operator's to add to it: then that is recorded.

    So they are where the tenant lists them to the key and lets it use them, while it keeps another key to what is
    declared of that one: it enforces allowlists, and the tenant file is behind. What a key has beyond the keys that it
    is linked to, it has from the tenant.
    """
    with suppress(Blocked):
        listed = set(ids_in(await probe.send(requests.get(probe.tenant, "/v1/models", key.name))))
        if await _exceeds_links(probe, key, listed, extra):
            return False
        if set(extra) <= listed and await _all_work(probe, key, extra) and await _another_is_kept(probe, key, listed):
            it = "it" if len(extra) == 1 else "them"
            blame_declaration(
                probe,
                key,
                f"the tenant lists {join_some(extra)} to the key {key.name} and lets it use {it}, and "
                f"{probe.tenant.source} does not declare {it} of the key",
                f"Add {join_some(extra)} to the models of the key {key.name} in the tenant file, "
                "or take it off the key's allowlist in the tenant.",
            )
            return True
    return False


async def _exceeds_links(probe: Probe, key: Credential, listed: AbstractSet[str], extra: Sequence[str]) -> bool:
    """Whether these names are listed to no key that this one is linked to, and no key has the same that it may be."""
    keys = [one for one in probe.tenant.live_credentials if one.purpose is Purpose.INFERENCE]
    linked = [one for one in keys if one.name in key.inherits]
    if not linked:
        return False
    exchanges = await probe.send_all([requests.get(probe.tenant, Route.MODELS.path, one.name) for one in keys])
    lists = {one.name: set(ids_in(exchange)) for one, exchange in zip(keys, exchanges, strict=True)}
    theirs = [lists[one.name] for one in linked]
    return all(theirs) and not any(theirs_of & set(extra) for theirs_of in theirs) and listed not in lists.values()


async def _all_work(probe: Probe, key: Credential, names: Sequence[str]) -> bool:
    """Whether the key may use all of them, or a sample where they are many."""
    route = next((one for one in (Route.CHAT, Route.EMBEDDINGS) if key.may(one) is not False), None)
    if route is None:
        return False
    tried = names[:_MOST_TRIED]
    wanted = [requests.valid(probe.tenant, route, key.name, probe.run_id, model=name) for name in tried]
    answered = [exchange.response for exchange in await probe.send_all(wanted)]
    return all(response is not None and response.succeeded for response in answered)


async def _another_is_kept(probe: Probe, key: Credential, listed: AbstractSet[str]) -> bool:
    """Whether the tenant lists to some other key just the names that are declared of it, and these are not all.

    Nor are they those that it lists to this key: it may list the same to everybody.
    """
    live = probe.tenant.live_credentials
    published = frozenset().union(*(one.models or frozenset() for one in live))
    for other in live:
        if other.name == key.name or not other.models or other.models == published or other.inherits:
            continue
        with suppress(Blocked):
            exchange = await probe.send(requests.get(probe.tenant, "/v1/models", other.name))
            if set(ids_in(exchange)) == other.models != listed:
                return True
    return False


def shown(name: str) -> str:
    """The cause of findings about an internal name that shows, wherever it does."""
    return f"internal:{name}"


def unpublished_in(route: Route) -> str:
    """The cause of findings about answers of a route that name a model which nobody publishes, wherever they do."""
    return f"model:{route.value}"


async def is_unknown(probe: Probe, key: Credential, name: str, listed: Sequence[str]) -> bool:
    """Whether a name of the tenant file is unknown to the tenant; then that is recorded as the operator's to correct.

    A name that is neither listed nor works was never published: what the tenant file declares is wrong. What is listed
    beyond what is declared may be what was meant.
    """
    tried = [route for route in (Route.CHAT, Route.EMBEDDINGS) if key.may(route)]
    for route in tried:
        request = requests.valid(probe.tenant, route, key.name, probe.run_id, model=name)
        response = (await probe.send(request)).response
        if response is None or response.status not in _REFUSED_NAME:
            return False
    if not tried:
        return False
    source, near = probe.tenant.source, nearest_name(name, listed)
    suggestion = f"Did you mean {near}? " if near else ""
    instead = f", and the tenant lists {join_some(listed)}" if listed else ""
    found = f"{name}, which {source} declares for the key {key.name}, is neither listed nor works{instead}"
    remedy = f"{suggestion}Have {name} published to the key {key.name}, or correct the key's models in {source}."
    if name in await listed_to_others(probe) or (listed and not near):
        blame_declaration(probe, key, found, remedy)
    else:
        probe.block(found, remedy, cause=f"name {name}")
    return True


async def list_models(probe: Probe) -> tuple[Exchange, list[str]]:
    """The ids that the probe's credential is shown."""
    exchange = await probe.send(requests.get(probe.tenant, "/v1/models", probe.credential.name))
    body = probe.json(exchange, "model-list", _LISTED)
    return exchange, [entry["id"] for entry in body["data"]]


async def expect_listing(probe: Probe, expected: str, *, again: int) -> None:
    """The key lists models as it did before. A list that failed before as well is the finding of another check."""
    request = requests.get(probe.tenant, "/v1/models", probe.credential.name)
    before = (await probe.send(request)).response
    after = await probe.send(request, again=again, control=True)
    response = probe.answer(after, expected)
    as_before = before is not None and response.status == before.status
    probe.must(response.succeeded or as_before, expected, describe(response), after)


async def published_names(probe: Probe) -> frozenset[str]:
    """The names that the credential may see in answers: its allowlist, else what the tenant lists to it."""
    if probe.credential.models is not None:
        return probe.credential.models | probe.credential.unsure.models
    violations = len(probe.violations)
    try:
        _, ids = await list_models(probe)
    except StopCheck:
        # A model list that fails is the finding of another check; here it leaves nothing to compare with.
        del probe.violations[violations:]
        raise Blocked(
            "the key's names are unknown: none are declared, and GET /v1/models does not list them",
            f"Add models: [...] to the key {probe.credential.name} in the tenant file.",
        ) from None
    return frozenset(ids)


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

    Un-versioned, and in a streamed chat, the first of them alone: names are resolved in one place. So is one that only
    begins as a name that the key is allowed.
    """
    names = probe.tenant.unpublished_models
    if not names:
        raise Blocked(*_NONE_DECLARED)
    asked = [
        (_taking_names(probe, route, every=not number), key, name)
        for route, key in _keys_by_route(probe)
        for number, name in enumerate(_bounded(probe, names))
    ]
    asked += [
        (_taking_names(probe, route, every=False), key, name)
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
        # An alias and a raw model are resolved apart there too.
        raw = [name for name in foreign if name in probe.tenant.raw_models and name != foreign[0]]
        for name in [foreign[0], *raw[:1]]:
            await _refuse_in_conversation(probe, opener, name)


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


async def _refuse_in_conversation(probe: Probe, opener: Credential, name: str) -> None:
    """A chat in a conversation takes no name that its key is not allowed, nor one that its key does not inherit."""
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
    asked = [([(surface, Address.VERSIONED) for surface in chats], opener, name)]
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


async def _takes_any_name(probe: Probe, key: Credential) -> bool:
    """Whether the tenant takes what is no name at all, for the default one say."""
    made_up = requests.chat(probe.tenant, key.name, model=requests.MADE_UP_ID)
    response = (await probe.send(made_up)).response
    return response is not None and response.succeeded


async def _refuse_names(
    probe: Probe, asked: Sequence[tuple[Sequence[Place], Credential, str]], ids: Ids = NO_IDS
) -> None:
    """Each of these names is refused to its key at these surfaces."""
    tries = await together(try_or_block(probe, at, key.name, ids, model=name) for at, key, name in asked)
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
        takes_any = is_open and key.may(Route.CHAT) is not False and await _takes_any_name(probe, key)
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
