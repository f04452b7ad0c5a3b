"""Addresses: whether the documented base URL reaches the tenant's routes."""

from dataclasses import replace
from urllib.parse import urlsplit

from gt_conformance.checks import _requests as requests
from gt_conformance.checks._probe import Probe, said
from gt_conformance.checks._registry import check
from gt_conformance.exchange import Request
from gt_conformance.vocabulary import Modality, Route

_NO_SUCH = "/gt-conformance-no-such-route"


@check(
    "base_url.joins",
    claim="The address that this client builds from the documented base URL reaches the route.",
    remedy="Enter the base URL that works, or have the tenant route the un-versioned paths as well.",
    source="Measured clients: each joins its route to the base URL exactly as given",
)
async def joins(probe: Probe) -> None:
    """The client's own address gives what the versioned one gives."""
    route, base_path = probe.parameters.route, probe.parameters.base_path
    if route is None or base_path is None:
        raise ValueError("base_url.joins takes a route and a base path")
    path = base_path + route.path.removeprefix("/v1")
    versioned = urlsplit(probe.url(route.path))
    origin = f"{versioned.scheme}://{versioned.netloc}"
    expected = f"{route.method} {path} reaches {route.title} as {versioned.path} does"
    remedy = f"Set this client's base URL to {probe.tenant.base_url}/v1."
    if route is Route.IMAGES:
        await _by_refusal(probe, origin + path, origin + base_path + _NO_SUCH, expected, remedy)
        return
    request = _request(probe, route)
    there = probe.success(await probe.send(request), f"{route.title} answers with 2xx at its versioned address")
    exchange = await probe.send(replace(request, url=origin + path))
    here = probe.answer(exchange, expected)
    # A web page with 200 at the un-versioned address is no route: clients then show nothing, without an error.
    same = here.succeeded and here.media_type == there.media_type
    probe.must(same, expected, said(here), exchange, remedy=remedy)


async def _by_refusal(probe: Probe, documented: str, no_such: str, expected: str, remedy: str) -> None:
    # An image costs too much to draw twice: a request without a prompt tells a routed address from an absent one.
    request = Request.of_json(
        "POST", probe.url(Route.IMAGES.path), probe.credential.name, {"model": probe.model(Modality.IMAGE)}
    )
    there = probe.answer(await probe.send(request), expected)
    exchange = await probe.send(replace(request, url=documented))
    here = probe.answer(exchange, expected)
    absent = probe.answer(await probe.send(replace(request, url=no_such)), expected)
    if there.status == absent.status:
        probe.block(
            "a request without a prompt is refused as an unknown route is, so the two addresses cannot be told apart",
            "Draw one image at the documented address by hand.",
        )
        return
    probe.must(here.status == there.status, expected, said(here), exchange, remedy=remedy)


def _request(probe: Probe, route: Route) -> Request:
    # Of the embeddings' own checks: the same request is sent once.
    if route is Route.EMBEDDINGS:
        return requests.embeddings(probe.tenant, probe.credential.name)
    return requests.lawful(probe.tenant, route, probe.credential.name, probe.run_id)
