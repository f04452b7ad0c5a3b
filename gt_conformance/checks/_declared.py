"""What the tenant file declares of a key, held against what the tenant shows: whose finding it is where they differ.

A right that the tenant gives to one key and keeps from others like it, or keeps from one and gives to another, is that
key's: its entry in the tenant file is out of date, or its secret is another key's. What the tenant does to all of them
alike, and what it does to a key beside the keys that it is linked to, is the tenant's. So is a route that is open to
the only key which is declared without it: what a tenant file closes, the tenant must close.
"""

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import replace

from gt_conformance.checks import _requests as requests
from gt_conformance.checks._notes import StopCheck
from gt_conformance.checks._preflight import KEY_REFUSED, NO_SUCH_ROUTE
from gt_conformance.checks._probe import Probe
from gt_conformance.checks._refusal import CLOSED
from gt_conformance.checks._resources import can_upload, model_for, open_conversation, unrelated_keys, upload_file
from gt_conformance.checks._wording import describe, lets_in, normalized_reason
from gt_conformance.errors import Blocked, Blocker
from gt_conformance.exchange import Exchange, NotJson, Request, Response
from gt_conformance.tenant import Credential
from gt_conformance.vocabulary import GRANTS, Actor, Modality, Purpose, Route

_MOST_ASKED = 8
_INFERENCE = tuple(route for route in Route if route.modality is not None and route.scope is not None)
_AFTER_ROTATION = ": its rotation may have lost it, which is to keep what the key may do"
_OPENS = "POST /v1/conversations"


def rights_of(key: str) -> str:
    """The cause of the finding that what is declared of the key is not so."""
    return f"rights {key}"


def blame_declaration(probe: Probe, key: Credential, found: str, remedy: str, exchange: Exchange | None = None) -> None:
    """Record that what is declared of the key is not so: one finding for each key, whatever shows it.

    ``exchange`` is the refusal that shows it, where the end of the run may find that the key was refused everything.
    """
    source = probe.tenant.source
    probe.block_by(
        Blocker(
            found,
            remedy,
            cause=rights_of(key.name),
            remedy_of_all=f"Check the secret of the key {key.name}, or correct what {source} declares of it.",
            exchange=exchange.ref if exchange is not None else "",
        )
    )


# -- a key is refused what is declared of it


async def require_right(probe: Probe, exchange: Exchange, route: Route, modality: Modality) -> None:
    """End the check, blocked, where the key is refused a route that is declared of it, and another key is let in.

    What a key inherits, or has from its preset, is the tenant's promise and not the operator's word; but a key that
    opens no conversation, where another one does, is no conversation key, and inherits nothing.
    """
    response, key = exchange.response, probe.credential
    if not _is_refused(response) or route.scope is None or key.may(route) is not True:
        return
    if key.preset is not None:
        if await is_of_another_preset(probe, key):
            probe.usable = False
            raise StopCheck
        return
    if key.inherits:
        await require_purpose(probe)
        await _require_inherited(probe, exchange.request, route)
        return
    alias = probe.model(modality)
    apart = [other for other in unrelated_keys(probe, key) if other.may_use(alias) is not False]
    for other in sorted(apart, key=lambda one: (one.may(route) is not True, one.breadth))[:_MOST_ASKED]:
        is_open = await _is_let_in(probe, replace(exchange.request, key=other.name))
        if is_open and not await _is_let_in_again(probe, exchange.request):
            probe.usable = False
            blame_declaration(
                probe,
                key,
                f"the key {key.name} has not the right that is declared of it: {route.title} is open to the key "
                f"{other.name}, and gives {key.name} {_described(response)}",
                f"Take {route.scope.value} off the scopes of the key {key.name} in the tenant file, or give it to the "
                f"key{_AFTER_ROTATION if key.retired_secret is not None else ''}.",
                exchange,
            )
            raise StopCheck
    if any(other.may(route) for other in apart):
        return
    first = next((one for one in Route if one.scope is not None and key.may(one)), route)
    if first is not route and not await probe.is_as_declared(key):  # no other key shows it there, one does elsewhere
        probe.usable = False
        raise StopCheck
    if _names_scope(response, route):
        probe.usable = False
        blame_declaration(probe, key, *_lacking(key, route, response))
        raise StopCheck


def _lacking(key: Credential, route: Route, response: Response | None) -> tuple[str, str]:
    """What is found, and what to do, where the tenant alone says that the key lacks a scope that is declared of it."""
    scope = "" if route.scope is None else route.scope.value
    before = " or had it before its rotation" if key.retired_secret is not None else ""
    found = f"{route.title} is declared of the key {key.name}, the tenant says that the key lacks the scope "
    found += f"({_described(response)}), and no other key shows which is so"
    remedy = f"Take {scope} off the scopes of the key {key.name} in the tenant file, or give it to the key; if the key "
    remedy += f"has it{before}, have the tenant let it in."
    return found, remedy


def _names_scope(response: Response | None, route: Route) -> bool:
    return response is not None and route.scope is not None and route.scope.value in normalized_reason(response)


async def _require_inherited(probe: Probe, request: Request, route: Route) -> None:
    """Raises Blocked, because of the finding, where a linked key is refused the route that is declared of it too."""
    for name in probe.credential.inherits:
        linked = probe.tenant.credentials.get(name)
        if linked is not None and linked.may(route) and not await _is_let_in(probe, replace(request, key=name)):
            await probe.require_route(route, name)


async def require_purpose(probe: Probe) -> None:
    """Raises Blocked, because of the finding, where the key is declared to open conversations and has no such right."""
    if not probe.credential.holds_conversations or probe.tenant.read_only:
        return
    try:
        await probe.require_route(Route.CONVERSATION_FILES)
    except Blocked as blocked:
        if blocked.blocker.acts is Actor.SETUP:
            raise


async def require_opener(probe: Probe, exchange: Exchange) -> None:
    """End the check, blocked, where the key is refused a conversation, and another one, declared alike, opens one."""
    key, response = probe.credential, exchange.response
    if not _is_refused(response):
        return
    declared = [other for other in unrelated_keys(probe, key) if other.holds_conversations]
    opens = await _first_opener(probe, declared)
    if opens is None and declared:  # then it is no trouble of this key alone
        return
    if key.may_use(probe.model(Modality.CHAT)) is False:
        found = f"the key {key.name} opens no conversation with a name that is declared of it: {_described(response)}"
        remedy = f"Correct the models of the key {key.name} in the tenant file."
        if response is not None and response.status in KEY_REFUSED:  # which may be about the name, or about the key
            remedy = f"Check the secret of the key {key.name}, or correct its purpose and models in the tenant file."
    elif opens is not None and _shows_a_right(probe, key, opens, response):
        found = f"the key {key.name}, which is declared to open conversations, may not: {_OPENS} is open to the key "
        found += f"{opens.name}, and gives {key.name} {_described(response)}"
        remedy = f"Check the secret of the key {key.name}, or correct its purpose in the tenant file."
    else:
        return
    probe.usable = False
    blame_declaration(probe, key, found, remedy, exchange)
    raise StopCheck


def _shows_a_right(probe: Probe, key: Credential, other: Credential, response: Response | None) -> bool:
    """Whether it is the key that is refused: what is merely not found may be the name, where the other has another."""
    refused = response is not None and response.status in KEY_REFUSED
    return refused or model_for(probe, key) == model_for(probe, other)


async def _first_opener(probe: Probe, keys: Iterable[Credential]) -> Credential | None:
    """The first of the keys that opens a conversation."""
    for key in keys:
        with suppress(Blocked):
            if (await open_conversation(probe, key)).id is not None:
                return key
    return None


async def require_uploader(probe: Probe, exchange: Exchange) -> None:
    """End the check, blocked, where a key that is declared to upload into the dataset may not, for all that shows.

    It is let into chats, which no upload key is; another key is let in; or there is no such dataset.
    """
    key, response = probe.credential, exchange.response
    if not _is_refused(response):
        return
    if key.inherits:
        await require_purpose(probe)
    refused = f"an upload gives {_described(response)}"
    remedy = f"Check the secret of the key {key.name}, or correct its purpose and scopes in the tenant file."
    found = ""
    if key.may(Route.CHAT) is False and await _is_let_in(
        probe, requests.valid(probe.tenant, Route.CHAT, key.name, probe.run_id)
    ):
        found = f"the secret of the key {key.name}, which is declared to upload, may be another key's: it opens "
        found += f"{Route.CHAT.title}, and {refused}"
    elif (other := await _other_uploader(probe, key)) is not None:
        if key.inherits:
            return  # what the linked key may do, this one is promised
        found = f"the key {key.name} has not the right that is declared of it: the key {other.name} uploads there, and "
        found += refused
    elif _names_scope(response, Route.DATASET_FILES):
        if key.inherits:
            await _require_inherited(probe, exchange.request, Route.DATASET_FILES)
        if key.inherits or key.preset is not None:
            return  # neither list is the operator's
        found, remedy = _lacking(key, Route.DATASET_FILES, response)
    if found:
        probe.usable = False
        blame_declaration(probe, key, found, remedy, exchange)
        raise StopCheck
    await _require_dataset(probe, exchange)


async def _other_uploader(probe: Probe, key: Credential) -> Credential | None:
    """Another key whose upload into the dataset is taken."""
    for other in probe.tenant.live_credentials:
        if other.name != key.name and can_upload(probe.tenant, other, Route.DATASET_FILES):
            with suppress(Blocked):
                if (await upload_file(probe, other, Route.DATASET_FILES)).id is not None:
                    return other
    return None


async def _require_dataset(probe: Probe, exchange: Exchange) -> None:
    """End the check, blocked, where the dataset is refused as one that nobody has, and the route is there.

    One with a slash in its name may not reach the route: it is refused as a path is that nothing serves.
    """
    response, key, dataset = exchange.response, probe.credential, probe.tenant.dataset
    if response is None or dataset is None or not _speaks_of_datasets(response):
        return
    made_up = requests.upload(probe.tenant, requests.dataset_path(requests.MADE_UP_ID), key.name, probe.run_id)
    unknown, absent = await probe.send_all([made_up, requests.get(probe.tenant, NO_SUCH_ROUTE, key.name)])
    words = _words(response).replace(dataset.lower(), "")
    is_unknown = words == _words(unknown.response).replace(requests.MADE_UP_ID, "")
    is_unrouted = words == _words(absent.response)
    if is_unknown is not is_unrouted and (is_unknown or "/" in dataset):
        probe.usable = False
        as_what = "one that nobody has takes none" if is_unknown else "a path that leads nowhere"
        probe.block(
            f"the dataset {dataset} takes no upload, as {as_what}: {describe(response)}",
            f"Correct dataset in the tenant file, or put {dataset} on the allowlist of the key {key.name}.",
            cause=f"dataset {dataset}",
            exchange=exchange,
        )
        raise StopCheck


def _speaks_of_datasets(response: Response) -> bool:
    return response.status == 404 or "dataset" in response.plain.lower()


# -- a key is let in where what is declared of it leaves the route out


async def is_declared_narrow(probe: Probe, route: Route, key: Credential, request: Request) -> bool:
    """Whether a right beyond what is declared of a key is the operator's to declare; then that is recorded.

    So it is where the tenant keeps each other key from the route for want of it, one of the same purpose among them; or
    where it refuses it to a key of which it is declared: the secrets are swapped. What a key has beyond the keys that
    it is linked to, it has from the tenant.
    """
    if route.scope is None:
        return False
    if key.preset is not None:
        return await is_of_another_preset(probe, key)
    linked = [probe.tenant.credentials[name] for name in key.inherits if name in probe.tenant.credentials]
    without = [one for one in linked if one.may(route) is False]
    if without and await is_linked_elsewhere(probe, key):
        return True
    if without:
        wide = [one for one in without if await _is_let_in(probe, replace(request, key=one.name))]
        return bool(wide) and await is_declared_narrow(probe, route, wide[0], replace(request, key=wide[0].name))
    if not (shown := await _shown_to_be_kept(probe, route, key, request)):
        return False
    blame_declaration(
        probe,
        key,
        f"{route.title} is open to the key {key.name}, whose declared scopes leave it out, {shown}",
        f"Declare {route.scope.value} of the key {key.name} in the tenant file, or take it off the key.",
    )
    return True


async def is_of_another_preset(probe: Probe, key: Credential) -> bool:
    """Whether a key of a preset may do just what another preset grants: it is of that one, which is recorded then."""
    if key.preset is None or key.scopes is None:
        return False
    shown = await _shown_rights(probe, key)
    for preset, grant in GRANTS.items():
        granted = {route for route in _INFERENCE if route.scope in (grant.scopes or ())}
        if grant.purpose is Purpose.INFERENCE and granted == shown and grant.scopes != key.scopes:
            blame_declaration(
                probe,
                key,
                f"the key {key.name} may do what the preset {preset} grants, and not what {key.preset} does",
                f"Correct the preset of the key {key.name} in the tenant file: it seems to be {preset}.",
            )
            return True
    return False


async def _shown_rights(probe: Probe, key: Credential) -> set[Route]:
    """The inference routes that let the key in."""
    asked = [requests.valid(probe.tenant, route, key.name, probe.run_id) for route in _INFERENCE]
    return {route for route, request in zip(_INFERENCE, asked, strict=True) if await _is_let_in(probe, request)}


async def _are_scopes_kept(probe: Probe, key: Credential, routes: Iterable[Route]) -> bool:
    """Whether one of these routes is refused to another key without its scope; also where there is none to ask.

    Where each of them is let in, the tenant keeps no scopes, and nothing shows whose rights a key has.
    """
    others = [
        requests.valid(probe.tenant, route, other.name, probe.run_id)
        for route in routes
        for other in probe.tenant.live_credentials
        if other.name != key.name and other.may(route) is False
    ]
    for request in others:
        if not await _is_let_in(probe, request):
            return True
    return not others


async def is_linked_elsewhere(probe: Probe, key: Credential) -> bool:
    """Whether a key that inherits may do just what another key may, to which it is not declared to be linked.

    Then that is recorded: its link is another one. Where it may do less than what it is linked to, its names must be
    the other key's as well: the tenant may have lost a right. A key whose list is another one it is not linked to.
    """
    known = [probe.tenant.credentials[name] for name in key.inherits if name in probe.tenant.credentials]
    declared = [one for one in known if one.purpose is Purpose.INFERENCE]
    linked = {route for route in _INFERENCE for one in declared if one.may(route)}
    if not declared or any(key.may(route) is None for route in _INFERENCE):
        return False  # what is unsure of the key is held against nobody
    shown = await _shown_rights(probe, key)
    if shown == linked or not await _are_scopes_kept(probe, key, shown - linked):
        return False
    for other in probe.tenant.live_credentials:
        may = {route for route in _INFERENCE if other.may(route)}
        if other.name in key.inherits or other.inherits or may != shown or other.purpose is not Purpose.INFERENCE:
            continue
        if not shown > linked and not await _lists_alike(probe, key, other, declared):
            continue
        if shown > linked and await _lists_otherwise(probe, key, other):
            continue
        blame_declaration(
            probe,
            key,
            f"the key {key.name} may do what the key {other.name} may, and not what it is declared to inherit from "
            f"{' and '.join(one.name for one in declared)}",
            f"Correct inherits of the key {key.name} in the tenant file: it seems to be linked to {other.name}.",
        )
        return True
    return False


async def _lists_alike(probe: Probe, key: Credential, other: Credential, declared: Sequence[Credential]) -> bool:
    """Whether the key is listed what the other one is, and not what those are to which it is declared to be linked."""
    own, theirs, *linked = [
        await _answer(probe, requests.get(probe.tenant, Route.MODELS.path, one.name)) for one in (key, other, *declared)
    ]
    if own is None or theirs is None or not own.succeeded:
        return False
    bodies = [one.plain for one in linked if one is not None and one.succeeded]
    return own.plain == theirs.plain and own.plain not in bodies


async def _lists_otherwise(probe: Probe, key: Credential, other: Credential) -> bool:
    """Whether the key is listed other names than the other one; not where one of the lists cannot be read."""
    lists = [await _answer(probe, requests.get(probe.tenant, Route.MODELS.path, one.name)) for one in (key, other)]
    own, theirs = ({*names_in(response)} for response in lists)
    return bool(own) and bool(theirs) and own != theirs


def names_in(response: Response | None) -> list[str]:
    """The names in a model list; none where the answer is no such list."""
    try:
        body = response.json() if response is not None and response.succeeded else None
    except NotJson:
        return []
    entries = body.get("data") if isinstance(body, dict) else None
    found = [entry.get("id") for entry in entries if isinstance(entry, dict)] if isinstance(entries, list) else []
    return [name for name in found if isinstance(name, str)]


async def _shown_to_be_kept(probe: Probe, route: Route, key: Credential, request: Request) -> str:
    """How the tenant shows that it keeps keys to their rights there, in words; empty where it does not."""
    lacking = [other for other in unrelated_keys(probe, key) if other.may(route) is False]
    answers = {other.name: await _answer(probe, replace(request, key=other.name)) for other in lacking}
    if any(answer is not None and answer.succeeded for answer in answers.values()):
        return ""
    alike = [other.name for other in lacking if _is_refused(answers[other.name]) and other.purpose is key.purpose]
    if alike and not key.inherits:
        return f"and closed to the key {alike[0]}"
    for other in probe.tenant.live_credentials:
        named = route.modality is None or probe.tenant.may_use(other, route.modality) is True
        if other.may(route) and named and _is_refused(await _answer(probe, replace(request, key=other.name))):
            return f"and closed to the key {other.name}, of which it is declared"
    return ""


async def is_of_another_dataset(probe: Probe, key: Credential) -> bool:
    """Whether a key that writes a dataset beyond its own is kept from its own one; then that is recorded."""
    for dataset in sorted(key.datasets or ()):
        path = requests.dataset_path(dataset)
        answer = await _answer(probe, requests.upload(probe.tenant, path, key.name, probe.run_id))
        if _is_refused(answer):
            blame_declaration(
                probe,
                key,
                f"the key {key.name} may not write {dataset}, which is declared of it, and writes another dataset",
                f"Correct the datasets of the key {key.name} in the tenant file.",
            )
            return True
    return False


def blame_missing_link(probe: Probe, key: Credential) -> bool:
    """Record that a key that opens a conversation is linked to none that is allowed any name; whether it is so."""
    linked = [probe.tenant.credentials[name] for name in key.inherits if name in probe.tenant.credentials]
    if (
        key.purpose is not Purpose.CONVERSATION
        or not linked
        or any(one.purpose is not Purpose.UPLOAD for one in linked)
    ):
        return False
    blame_declaration(
        probe,
        key,
        f"the key {key.name} opens conversations with {probe.model(Modality.CHAT)}, and is declared to inherit "
        f"from {' and '.join(one.name for one in linked)} alone, which gives it no name",
        f"Add the inference key that {key.name} is linked to in the tenant to its inherits in the tenant file.",
    )
    return True


# -- asking


async def _answer(probe: Probe, request: Request) -> Response | None:
    with suppress(Blocked):
        return (await probe.send(request)).response
    return None


async def _is_let_in(probe: Probe, request: Request) -> bool:
    response = await _answer(probe, request)
    return lets_in(response)


async def _is_let_in_again(probe: Probe, request: Request) -> bool:
    """Whether who was refused is let in when the same comes again: it is refused now and then, whoever asks."""
    return not request.creates and lets_in((await probe.send(request, again=1)).response)


def _is_refused(response: Response | None) -> bool:
    return response is not None and response.status in CLOSED and not response.looks_like_html


def _described(response: Response | None) -> str:
    return describe(response) if response is not None else ""


def _words(response: Response | None) -> str:
    return f"{response.status} {normalized_reason(response)}" if response is not None else ""
