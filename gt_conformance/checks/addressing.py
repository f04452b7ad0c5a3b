"""Addresses: whether the documented base URL reaches the tenant's routes."""

from dataclasses import replace
from urllib.parse import urlsplit

from gt_conformance.checks import _requests as requests
from gt_conformance.checks._probe import Halted, Probe, said
from gt_conformance.checks._registry import check
from gt_conformance.exchange import Exchange, Request, Response
from gt_conformance.vocabulary import Route

_NO_SUCH = "/gt-conformance-no-such-route"


@check(
    "base_url.joins",
    claim="The address that this client builds from the documented base URL reaches the route.",
    remedy="Enter the base URL that works, or have the tenant route the un-versioned paths as well.",
    source="Measured clients: each joins its route to the base URL exactly as given",
)
async def joins(probe: Probe) -> None:
    """The client's own address gives what the versioned one gives."""
    route = probe.parameters.route
    if route is None or probe.parameters.base_path is None:
        raise ValueError("base_url.joins takes a route and a base path")
    path = probe.parameters.base_path + route.path.removeprefix("/v1")
    documented = origin(probe) + path
    versioned = probe.url(route.path)
    working = probe.tenant.base_url + "/v1"
    expected = f"{route.method} {path} reaches {route.title} as {urlsplit(versioned).path} does"
    remedy = f"Set this client's base URL to {working}."
    if route is Route.IMAGES:
        await _by_refusal(probe, documented, versioned, expected, remedy)
        return
    request = _request(probe, route)
    if documented == versioned:
        probe.success(await probe.send(request), expected)
        return
    there = await probe.send(_at(request, versioned))
    probe.success(there, f"{route.title} answers with 2xx at its versioned address")
    here = await probe.send(_at(request, documented))
    response = probe.answer(here, expected)
    probe.must(response.succeeded and _same_kind(response, there), expected, said(response), here, remedy=remedy)


async def _by_refusal(probe: Probe, documented: str, versioned: str, expected: str, remedy: str) -> None:
    # An image costs too much to draw twice: a request without a prompt tells a routed address from an absent one.
    body = {"model": probe.tenant.model(Route.IMAGES.modality) if Route.IMAGES.modality else ""}
    key = probe.credential.name
    there = probe.answer(await probe.send(Request.of_json("POST", versioned, key, body)), expected)
    here_exchange = await probe.send(Request.of_json("POST", documented, key, body))
    here = probe.answer(here_exchange, expected)
    absent_exchange = await probe.send(
        Request.of_json("POST", origin(probe) + (probe.parameters.base_path or "") + _NO_SUCH, key, body)
    )
    absent = probe.answer(absent_exchange, expected)
    if here.status == there.status and here.status != absent.status:
        return
    if there.status == absent.status:
        probe.cannot(
            "a request without a prompt is refused as an unknown route is, so the two addresses cannot be told apart",
            "Draw one image at the documented address by hand.",
        )
        raise Halted
    probe.breach(expected, said(here), here_exchange, remedy=remedy)


def origin(probe: Probe) -> str:
    """The scheme, host and port of the tenant."""
    parts = urlsplit(probe.tenant.base_url)
    return f"{parts.scheme}://{parts.netloc}"


def _request(probe: Probe, route: Route) -> Request:
    if route is Route.EMBEDDINGS:
        return requests.embeddings(probe.tenant, probe.credential.name, list(requests.TEXTS))
    return requests.lawful(probe.tenant, route, probe.credential.name, probe.run_id)


def _at(request: Request, url: str) -> Request:
    return replace(request, url=url)


def _same_kind(here: Response, there: Exchange) -> bool:
    # A web page with 200 at the un-versioned address is no route: clients then show nothing, without an error.
    return there.response is not None and here.media_type == there.response.media_type
