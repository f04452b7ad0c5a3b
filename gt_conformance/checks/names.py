"""Names: the unpublished and the not allowed neither work nor show."""

from collections.abc import Iterable

from gt_conformance.checks import _requests as requests
from gt_conformance.checks._probe import Probe
from gt_conformance.checks._refusal import refused
from gt_conformance.checks._registry import check
from gt_conformance.errors import Blocked
from gt_conformance.exchange import Exchange, joined_text
from gt_conformance.tenant import Credential
from gt_conformance.vocabulary import Route

_PUBLISHED = "GT published endpoints; GT API reference, List published models"
_NONE_DECLARED = (
    "the tenant file declares no unpublished model",
    "Add unpublished_models: [...] to the tenant file: internal ids that must neither work nor show.",
)


@check(
    "names.unpublished_refused",
    claim="An unpublished name works nowhere.",
    remedy="Have the tenant resolve published names only: internal agent and provider model ids are never accepted.",
    source=_PUBLISHED,
)
async def unpublished_refused(probe: Probe) -> None:
    """Each unpublished name is refused on every inference route, by a key that may use the route."""
    names = probe.tenant.unpublished_models
    if not names:
        raise Blocked(*_NONE_DECLARED)
    for route, key in _keys_by_route(probe):
        for name in names:
            await _refuse_name(probe, route, key, name)


@check(
    "names.not_allowlisted_refused",
    claim="A published name outside a key's allowlist does not work with that key.",
    remedy="Have the tenant check the key's allowlists on every inference route.",
    source=_PUBLISHED,
)
async def not_allowlisted_refused(probe: Probe) -> None:
    """On every inference route: a name that another key may use, and this one may not, is refused."""
    published = frozenset().union(*(key.models or frozenset() for key in probe.tenant.live_credentials))
    for route, key in _keys_by_route(probe):
        foreign = sorted(published - key.models) if key.models is not None else []
        if not foreign:
            probe.block(
                f"no published name outside the allowlist of the key {key.name} is known for {route.title}",
                "Declare models for the keys of the tenant file, and add a key with another allowlist.",
            )
            continue
        await _refuse_name(probe, route, key, foreign[0])


@check(
    "tenant.no_raw_model_ids",
    claim="No answer of the tenant names an unpublished model.",
    remedy="Have the tenant put the published name for internal and provider ids, in bodies, headers and streams.",
    source=_PUBLISHED,
    whole_run=True,
)
async def no_raw_model_ids(probe: Probe) -> None:
    """No response of the whole run holds an unpublished name, unless the request itself had named it."""
    names = probe.tenant.unpublished_models
    if not names:
        raise Blocked(*_NONE_DECLARED)
    for exchange in probe.seen:
        for name in names:
            place = _named(exchange, name)
            if place is not None:
                probe.note(exchange)
                probe.fail("no answer names an unpublished model", f"{name} stands in {place}", exchange)


def _named(exchange: Exchange, name: str) -> str | None:
    response = exchange.response
    if response is None or _asked_for(exchange, name):
        return None
    for header, value in response.headers:
        if name in value or name in header:
            return f"the header {header}"
    return "the body" if name in response.plain or name in joined_text(response) else None


def _asked_for(exchange: Exchange, name: str) -> bool:
    # A refusal may repeat the name that the caller sent: that tells the caller nothing new.
    request = exchange.request
    sent = [request.url.encode(), request.body, *(part.content for part in request.parts)]
    return any(name.encode() in piece for piece in sent)


def _keys_by_route(probe: Probe) -> Iterable[tuple[Route, Credential]]:
    for route in Route:
        if route.modality is None or route.scope is None:
            continue
        able = [key for key in probe.tenant.live_credentials if key.may(route)]
        if not able:
            probe.block(
                f"no key declares {route.scope.value}, so {route.title} could not be tried",
                f"Add a key with scope {route.scope.value} to the tenant file.",
            )
            continue
        yield route, min(able, key=lambda key: key.breadth)


async def _refuse_name(probe: Probe, route: Route, key: Credential, name: str) -> None:
    request = requests.lawful(probe.tenant, route, key.name, probe.run_id, model=name)
    try:
        exchange = await probe.send(request)
    except Blocked as blocked:
        probe.block(f"{route.title} by the key {key.name}: {blocked.reason}", blocked.remedy)
        return
    refused(probe, exchange, f"the name {name} on {route.title}", statuses=range(400, 500), reasoned=False)
