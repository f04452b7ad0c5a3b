"""What a conversation key has from the keys that it is linked to: their names, scopes, datasets and rights."""

from collections.abc import Awaitable, Iterable, Sequence
from dataclasses import replace

from gt_conformance.checks import _requests as requests
from gt_conformance.checks._check import Context, Parameters, check, gt_extension
from gt_conformance.checks._declared import is_linked_elsewhere, require_purpose
from gt_conformance.checks._notes import StopCheck
from gt_conformance.checks._probe import Probe
from gt_conformance.checks._resources import upload_beside, upload_file
from gt_conformance.checks._wording import cause_of_answer, describe, explain_answer, is_of_model
from gt_conformance.checks.models import expect_names, ids_in
from gt_conformance.errors import Blocked
from gt_conformance.exchange import Exchange
from gt_conformance.tenant import Credential
from gt_conformance.together import together
from gt_conformance.vocabulary import Actor, Purpose, Route, Severity

_FAILS = 500


def _where_linked(context: Context) -> Iterable[Parameters]:
    key = context.choice.extension.get(Route.CONVERSATION_FILES)
    if key is not None and key.inherits:
        yield Parameters()


@check(
    "conversation.inherits",
    claim="A conversation key has the names, scopes and datasets of the keys that it is linked to, and no other names.",
    remedy="Have the tenant give a conversation key the allowlists and scopes of its linked keys, as they are now.",
    source="GT API keys and access, Why this matters; GT API keys and access, Key purposes; "
    "GT API reference, Run a chat completion; GT API reference, Upload into a conversation flow",
    clauses=("K4", "K5", "K6", "K18"),
    acts=Actor.TENANT,
    severity=Severity.HIGH,
    rows=gt_extension(Route.CONVERSATION_FILES, parameters=_where_linked),
    by_surface=True,
)
async def inherits(probe: Probe) -> None:
    """The names listed to both keys are the same; each inherited scope opens its route, and the dataset takes a file.

    The linked upload key uploads into the conversation itself, where the tenant file says that it may. What the linked
    key is refused as well is no inheritance; scopes that are not inherited are tried by key.scope_enforced.
    """
    await require_purpose(probe)
    linked = [probe.tenant.credentials[name] for name in probe.credential.inherits]
    live = [key for key in linked if not key.revoked]
    inference = [key for key in live if key.purpose is Purpose.INFERENCE]
    uploads = [key for key in live if key.purpose is Purpose.UPLOAD]
    await together(
        (
            _part(probe, "the inherited names", _expect_names(probe, inference)),
            _part(probe, "the inherited scopes", _expect_scopes(probe, inference)),
            _part(probe, "the inherited dataset", _expect_dataset(probe, uploads)),
            _part(probe, "the linked upload key's right", _expect_upload_right(probe, uploads)),
        )
    )


async def _part(probe: Probe, name: str, work: Awaitable[None]) -> None:
    """A part of a check that does not keep the others from being judged."""
    try:
        await work
    except Blocked as blocked:
        probe.block_part(name, blocked)
    except StopCheck:
        pass


async def _expect_names(probe: Probe, linked: Sequence[Credential]) -> None:
    """What is listed to the linked key is listed to this one, and nothing else.

    What the tenant file and the linked key's list do not agree on is the finding of that list.
    """
    if not linked:
        return
    key = probe.credential
    await together(probe.require_route(Route.MODELS, one.name) for one in (key, *linked))
    own, *others = await probe.send_all(
        [requests.get(probe.tenant, Route.MODELS.path, one.name) for one in (key, *linked)]
    )
    theirs = frozenset(name for exchange in others for name in ids_in(exchange))
    declared = key.models if key.models is not None else theirs
    names = " and ".join(one.name for one in linked)
    expected = f"the names of the linked key {names}, and no others: {', '.join(sorted(theirs)) or 'none'}"
    await expect_names(probe, own, ids_in(own), key, expected, allowed=theirs, unsure=theirs ^ declared)


async def _expect_scopes(probe: Probe, linked: Sequence[Credential]) -> None:
    """Each route that a linked key's scopes open is open to this one."""
    key = probe.credential
    if any(one.scopes is None for one in linked):
        raise Blocked(
            "the scopes of a linked key are not declared",
            f"Declare scopes for the keys {' and '.join(one.name for one in linked)} in the tenant file.",
            cause="undeclared",
        )
    routes = {
        route: other
        for other in linked
        for route in Route
        if route.modality is not None and key.may(route) and other.may(route) and _may_ask(probe, route, key, other)
    }
    asked = [requests.valid(probe.tenant, route, key.name, probe.run_id) for route in routes]
    for (route, other), exchange in zip(routes.items(), await probe.send_all(asked), strict=True):
        if exchange.response is not None and exchange.response.succeeded:
            continue
        if await is_linked_elsewhere(probe, key):
            return
        control = await probe.send(replace(exchange.request, key=other.name))
        await _expect_as_for(probe, route, exchange, control, other)


def _may_ask(probe: Probe, route: Route, *keys: Credential) -> bool:
    return route.modality is not None and all(probe.tenant.may_use(key, route.modality) for key in keys)


async def _expect_as_for(probe: Probe, route: Route, own: Exchange, control: Exchange, other: Credential) -> None:
    """What the linked key is granted, this one is granted. Where it is not either, that is another check's finding."""
    key = probe.credential
    if control.response is None or not control.response.succeeded:
        await probe.require_route(route, other.name)
        await probe.require_route(route, key.name)
        return
    expected = f"{route.title} is open to the key {key.name}, as to {other.name}, to which it is linked"
    response = probe.success(own, expected) if is_of_model(own.response) else probe.answer(own, expected)
    remedy = explain_answer(own, response) if response.status >= _FAILS else None
    probe.fail(expected, describe(response), own, remedy=remedy, cause=cause_of_answer(own))


async def _expect_dataset(probe: Probe, linked: Sequence[Credential]) -> None:
    """The dataset that the linked upload key may write takes a file of this one."""
    dataset, key = probe.tenant.dataset, probe.credential
    writers = [one for one in linked if dataset is not None and one.may(Route.DATASET_FILES) and one.may_write(dataset)]
    if not writers or dataset is None or not (key.may(Route.DATASET_FILES) and key.may_write(dataset)):
        return
    made = await upload_file(probe, key, Route.DATASET_FILES)
    if made.id is None and not (made.exchange.response is not None and made.exchange.response.succeeded):
        control = await upload_file(probe, writers[0], Route.DATASET_FILES)
        await _expect_as_for(probe, Route.DATASET_FILES, made.exchange, control.exchange, writers[0])


async def _expect_upload_right(probe: Probe, linked: Sequence[Credential]) -> None:
    """An upload key that carries the right to upload into conversations does so in the one of its linked key.

    A run of some runbooks leaves it out: their clients upload there with the conversation key.
    """
    if probe.parameters.keys:
        return
    for other in (one for one in linked if one.conversation_uploads):
        await probe.require("upload.conversation_ready")
        exchange = await upload_beside(probe, other)
        if (exchange.response is None or not exchange.response.succeeded) and not await probe.is_as_declared(other):
            continue
        probe.expect(
            exchange,
            f"the upload key {other.name} uploads into a conversation of {probe.credential.name}, its linked key",
            lambda response: response.succeeded,
            remedy="Have the tenant take conversation uploads of the linked upload key, whose right it is.",
        )
