"""Which credential proves which row: the named one, else the narrowest that covers what is needed."""

import difflib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import assert_never

from gt_conformance.errors import Blocker
from gt_conformance.tenant._tenant import Credential, KeyMapping, Tenant
from gt_conformance.vocabulary import Modality, Purpose, Route, Verdict

CONVERSATION_PRESET = "conversation-app"
"""The preset whose one key chats, holds conversations and uploads."""

GT_ROUTES = tuple(route for route in Route if route.promised is Verdict.GT_EXTENSION)


@dataclass(frozen=True)
class Choice:
    """The credentials of one runbook.

    ``inference`` maps each of the six OpenAI routes that are native to its credential, ``extension`` each of the three
    GT routes; a route that no key covers is absent, and ``missing`` says for it what to add. ``own`` is the runbook's
    credential for everything that must be refused. ``note`` says when no single key covered all native rows.
    """

    own: Credential | None
    inference: Mapping[Route, Credential]
    extension: Mapping[Route, Credential]
    missing: Mapping[Route, str]
    note: str | None = None


def choose(tenant: Tenant, runbook: str, native: Collection[Route], preset: str = "") -> Choice:
    """The credentials that this runbook's rows take: the mapped ones, else the narrowest that cover what is needed.

    A runbook whose preset is a conversation key takes one for everything, where the tenant has one that covers it.
    """
    mapping = tenant.runbooks.get(runbook, KeyMapping())
    of_preset = [
        key
        for key in tenant.live_credentials
        if preset == CONVERSATION_PRESET and key.holds_conversations and _covers(key, tenant, native)
    ]
    note = None
    if mapping.key is not None:
        named = tenant.credentials[mapping.key]
        own: Credential | None = named
        inference = {route: named for route in native if _covers(named, tenant, [route])}
    else:
        own = _narrowest(of_preset) or _narrowest(_covering(tenant, native))
        if own is not None:
            inference = dict.fromkeys(native, own)
        else:
            inference = {route: key for route in native if (key := _narrowest(_covering(tenant, [route])))}
            own = inference.get(Route.CHAT) or next(iter(inference.values()), None)
            note = _split_note(inference)
    extension = _extension(tenant, mapping, own if own in of_preset else None)
    missing = _what_to_add(tenant, [route for route in native if route not in inference], mapping.key, runbook)
    of_gt = [route for route in GT_ROUTES if route not in extension]
    missing |= _what_to_add(tenant, of_gt, mapping.extension_key, runbook)
    return Choice(own, inference, extension, missing, note)


def _covering(tenant: Tenant, routes: Collection[Route]) -> Iterable[Credential]:
    return (key for key in tenant.live_credentials if _covers(key, tenant, routes))


def _covers(key: Credential, tenant: Tenant, routes: Collection[Route]) -> bool:
    return all(key.may(route) is not False and _is_allowed_the_name(key, tenant, route) for route in routes)


def _is_allowed_the_name(key: Credential, tenant: Tenant, route: Route) -> bool:
    if route is Route.MODELS:
        # Any valid key may list; only one that is published the client's name proves that the list holds it.
        return key.purpose is not Purpose.UPLOAD and key.may_use(tenant.model(Modality.CHAT)) is not False
    return route.modality is None or tenant.may_use(key, route.modality) is not False


def _converses(key: Credential, tenant: Tenant) -> bool:
    return key.holds_conversations is not False and tenant.may_use(key, Modality.CHAT) is not False


def _writes(key: Credential, tenant: Tenant) -> bool:
    return (
        tenant.dataset is not None
        and key.may(Route.DATASET_FILES) is not False
        and key.may_write(tenant.dataset) is not False
    )


def _narrowest(keys: Iterable[Credential]) -> Credential | None:
    return min(keys, key=lambda key: key.breadth, default=None)


def _extension(tenant: Tenant, mapping: KeyMapping, preferred: Credential | None) -> dict[Route, Credential]:
    candidates = tenant.live_credentials
    if mapping.extension_key is not None:
        candidates = (tenant.credentials[mapping.extension_key],)
    converses = _narrowest(key for key in candidates if _converses(key, tenant))
    writes = _narrowest(key for key in candidates if _writes(key, tenant))
    if preferred is not None and preferred in candidates:
        converses = preferred if _converses(preferred, tenant) else converses
        writes = preferred if _writes(preferred, tenant) else writes

    def serves(route: Route) -> Credential | None:
        match route:
            case Route.CONVERSATION_FILES:
                return converses
            case Route.DATASET_FILES:
                return writes
            case Route.FILE_STATUS:
                return writes or converses
            case Route.MODELS | Route.CHAT | Route.EMBEDDINGS | Route.TRANSCRIPTIONS | Route.SPEECH | Route.IMAGES:
                return None
            case _:
                assert_never(route)

    return {route: key for route in GT_ROUTES if (key := serves(route)) is not None}


def _split_note(inference: Mapping[Route, Credential]) -> str | None:
    if len({key.name for key in inference.values()}) < 2:
        return None
    parts = ", ".join(f"{route.value} by {key.name}" for route, key in inference.items())
    return f"No single key covers all native rows, so each takes the narrowest that covers it: {parts}."


def find_undeclared_name(tenant: Tenant, modality: Modality) -> Blocker | None:
    """Why no key can ask a model for it: no name is declared, or no key is declared to be allowed it, and what to do.

    None where a key can, or where nothing says so.
    """
    if not tenant.serves(modality):
        return Blocker(
            f"the tenant file names no model for {modality.value}",
            f"Add {modality.value}: NAME to {tenant.where_models_are}. Where the tenant has no such model, accept that "
            "this is not tested (gt-conformance accept).",
            cause=f"model for {modality.value}",
        )
    alias = tenant.model(modality)
    live = [key for key in tenant.live_credentials if key.purpose is not Purpose.UPLOAD]
    if not live or any(key.may_use(alias) is not False for key in live):
        return None
    near = nearest_name(alias, {name for key in live for name in key.models or ()})
    suggestion = f"Did you mean {near}? " if near else ""
    shown = _shown(alias)
    return Blocker(
        f"no key is declared to be allowed the name {shown}",
        f"{suggestion}Correct {tenant.where_models_are}, or add {shown} to the models of a key.",
        cause=f"name {alias}",
    )


def _shown(name: str) -> str:
    """The name; in quotes where blanks around it would not be seen."""
    return name if name == name.strip() else repr(name)


def _near_names(tenant: Tenant, route: Route) -> str:
    """The slip where a key would reach the route but for a name that is nearly the one which is wanted; else empty."""
    alias = tenant.model(route.modality or Modality.CHAT)
    for key in tenant.live_credentials:
        reaches = key.holds_conversations if route is Route.CONVERSATION_FILES else key.may(route)
        near = nearest_name(alias, key.models or ())
        if reaches and near is not None and near != alias:
            place = tenant.where_name_is(near, key)
            return f"Did you mean {_shown(alias)} by {near}, which the key {key.name} may use? Correct {place}."
    return ""


def nearest_name(name: str, known: Collection[str]) -> str | None:
    """The known name that was meant, whatever its case; None where none is near."""
    folded = {one.strip().casefold(): one for one in sorted(known)}
    return next((folded[one] for one in difflib.get_close_matches(name.strip().casefold(), folded, n=1)), None)


def _what_to_add(tenant: Tenant, routes: Sequence[Route], named: str | None, runbook: str) -> dict[Route, str]:
    """What lets the runbook reach each of these: one thing for all of them, where the tenant file names the key."""
    if named is None:
        return {route: _key_to_add(tenant, route) for route in routes}
    slips = {route: slip for route in routes if (slip := _slip_of_dataset(tenant, route)) is not None}
    needed = [route for route in routes if route not in slips]
    if len(needed) > 1:  # who may upload may ask for the state of a file
        needed = [route for route in needed if route is not Route.FILE_STATUS]
    lacking = "; ".join(_wanted(tenant, route) for route in needed)
    remedy = f"The tenant file maps {runbook} to the key {named}, which is not declared to have it: it needs {lacking}."
    return {route: slips.get(route, remedy) for route in routes}


def _key_to_add(tenant: Tenant, route: Route) -> str:
    if (slip := _slip_of_dataset(tenant, route)) is not None:
        return slip
    slip = "" if route in {Route.DATASET_FILES, Route.FILE_STATUS} else _near_names(tenant, route)
    add = f"a live key to the tenant file with {_wanted(tenant, route)}."
    return f"{slip} Else add {add}" if slip else f"Add {add}"


def _slip_of_dataset(tenant: Tenant, route: Route) -> str | None:
    """What to do where it is the dataset that is wrong, and no key; None where it is not."""
    if route is not Route.DATASET_FILES:
        return None
    if tenant.dataset is None:
        return "Add dataset: NAME to the tenant file, a scratch dataset that may receive tiny files."
    known = {name for key in tenant.live_credentials for name in key.datasets or ()}
    if tenant.dataset not in known and (near := nearest_name(tenant.dataset, known)) is not None:
        return f"Did you mean {near}? Correct dataset in the tenant file: no key is declared to write there."
    return None


def _wanted(tenant: Tenant, route: Route) -> str:
    """What a key must have for the route, in words."""
    match route:
        case Route.CONVERSATION_FILES:
            return f"purpose conversation, allowed {tenant.model(Modality.CHAT)}"
        case Route.DATASET_FILES:
            return f"purpose upload, scope datasets:write and dataset {tenant.dataset}"
        case Route.FILE_STATUS:
            return "the right to upload (purpose upload or conversation)"
        case Route.MODELS:
            return f"access to the tenant's models, allowed {tenant.model(Modality.CHAT)}"
        case Route.CHAT | Route.EMBEDDINGS | Route.TRANSCRIPTIONS | Route.SPEECH | Route.IMAGES:
            return f"scope {route.scope or ''}, allowed {tenant.model(route.modality or Modality.CHAT)}"
        case _:
            assert_never(route)
