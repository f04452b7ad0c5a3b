"""Presets of GT's key wizard: a key that was made from one may do all that it says."""

from gt_conformance.checks import _requests as requests
from gt_conformance.checks._declared import is_of_another_preset
from gt_conformance.checks._probe import Probe
from gt_conformance.checks._resources import open_conversation, upload_file
from gt_conformance.checks._surfaces import keys_tried
from gt_conformance.checks._wording import cause_of_answer, describe
from gt_conformance.errors import Blocked
from gt_conformance.exchange import Exchange
from gt_conformance.tenant import Credential
from gt_conformance.together import together
from gt_conformance.vocabulary import Modality, Preset, Route, Severity

_REFUSED = frozenset({401, 403, 404})
_REMEDY = (
    "Have the tenant grant what the preset says; where the key was changed since, drop its preset in the tenant file."
)


async def expect_presets(probe: Probe) -> None:
    """Each key of a preset is let in where the preset says so; that it is let in nowhere else is its scopes' matter.

    Another answer than a refusal is no question of keys, and the finding of the route's own checks.
    """
    asked = [(key, route) for key in keys_tried(probe) for route in Route if _is_asked(probe, key, route)]
    found = await together(_ask(probe, key, route) for key, route in asked)
    for (key, route), exchange in zip(asked, found, strict=True):
        what = f"the preset {key.preset} lets the key {key.name} reach {route.title}"
        if isinstance(exchange, Blocked):
            probe.block_part(what, exchange)
        elif exchange.response is not None and exchange.response.status in _REFUSED:
            if await is_of_another_preset(probe, key):
                continue
            cause = cause_of_answer(exchange)
            probe.fail(what, describe(exchange.response), exchange, remedy=_REMEDY, cause=cause, severity=Severity.HIGH)


def _is_asked(probe: Probe, key: Credential, route: Route) -> bool:
    """Whether the preset grants the route, and the key is declared to have the name or the dataset that it takes."""
    tenant = probe.tenant
    match route:
        case Route.CONVERSATION_FILES:
            named = key.preset is Preset.CONVERSATION_APP and tenant.may_use(key, Modality.CHAT)
            return bool(named) and not tenant.read_only
        case Route.DATASET_FILES:
            writable = tenant.dataset is not None and key.may_write(tenant.dataset)
            return key.preset is Preset.DATASET_UPLOAD and bool(writable) and not tenant.read_only
        case _ if route.modality is not None and key.preset is not None:
            return key.may(route) is True and tenant.may_use(key, route.modality) is True
        case _:
            return False


async def _ask(probe: Probe, key: Credential, route: Route) -> Exchange | Blocked:
    """What is asked of the route anyway; opening a conversation, where the preset is for an application."""
    try:
        if route is Route.CONVERSATION_FILES:
            return (await open_conversation(probe, key)).exchange
        if route is Route.DATASET_FILES:
            return (await upload_file(probe, key, route)).exchange
        return await probe.send(requests.valid(probe.tenant, route, key.name, probe.run_id))
    except Blocked as blocked:
        return blocked
