"""The list of models: a key is shown its own published names and no others, and what follows where it is not."""

import re
from collections import Counter
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from contextlib import suppress

from gt_conformance.checks import _requests as requests
from gt_conformance.checks._check import check, native
from gt_conformance.checks._declared import blame_declaration, names_in, require_right
from gt_conformance.checks._notes import StopCheck
from gt_conformance.checks._probe import Probe
from gt_conformance.checks._wording import describe
from gt_conformance.errors import Blocked, Blocker
from gt_conformance.exchange import Exchange, Response, shortened
from gt_conformance.schema import count_noun
from gt_conformance.tenant import Credential, nearest_name
from gt_conformance.vocabulary import Actor, Fact, Modality, Purpose, Route, Severity

_REFUSED_NAME = frozenset({400, 403, 404, 422})
_FORBIDDEN = 403
_MOST_NAMES = 5
_LONGEST_REASON = 2_000
NOT_LISTED = "names:not listed"
OTHERS_LISTED = "names:others in their place"
NOT_ALLOWED = "names:not allowed"
LIST_OWN = (
    "Have the tenant list to each key its own names: the list lacks some of them and holds others in their place. "
    "Compare the key's allowlists in the tenant with its models in the tenant file."
)
_NAME_PUBLISHED = "Have the tenant put the published name wherever the internal id shows, in its list of models first."
_MOST_TRIED = 8
"""Of the names that a list lacks, or has too many, so many are tried: a catalog may hold thousands."""
_LISTED = "GET /v1/models lists the published names that the key may use"


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
        exchange=exchange,
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
    cause, remedy = (OTHERS_LISTED, LIST_OWN) if missing and not internal else (NOT_ALLOWED, None)
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
    exchange: Exchange | None = None
    for route in tried:
        exchange = await probe.send(requests.valid(probe.tenant, route, key.name, probe.run_id, model=name))
        if exchange.response is None or exchange.response.status not in _REFUSED_NAME:
            return False
    if exchange is None:
        return False
    source, near = probe.tenant.source, nearest_name(name, listed)
    suggestion = f"Did you mean {near}? " if near else ""
    instead = f", and the tenant lists {join_some(listed)}" if listed else ""
    found = f"{name}, which {source} declares for the key {key.name}, is neither listed nor works{instead}"
    remedy = f"{suggestion}Have {name} published to the key {key.name}, or correct the key's models in {source}."
    if name in await listed_to_others(probe) or (listed and not near):
        blame_declaration(probe, key, found, remedy)
    else:
        probe.block(found, remedy, cause=f"name {name}", exchange=exchange)
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
