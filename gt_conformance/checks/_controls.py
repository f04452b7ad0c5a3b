"""Controls: before a credential is judged by, it must work where it should and be refused where nothing is.

Without them a wrong base URL would confirm every not_supported row.
"""

from gt_conformance.checks import _requests as requests
from gt_conformance.checks._probe import Probe, no_answer, said
from gt_conformance.checks._registry import Check
from gt_conformance.exchange import Exchange, NotJson, Response

KNOWN_ROUTE = "/v1/models"
NO_SUCH_ROUTE = "/v1/gt-conformance-no-such-route"
_NOT_THE_API = "Check base_url: it must be the tenant's API (https://<tenant-host>/api/tenant), not its web address."
_CATCH_ALL = (
    "Something before the tenant answers for every path (a proxy, a web application): route base_url to the API itself."
)


async def control(probe: Probe) -> None:
    """The credential lists models with 2xx JSON, and a route that cannot exist is refused with a 4xx."""
    key = probe.credential.name
    known = await probe.send(requests.get(probe.tenant, KNOWN_ROUTE, key))
    _known(probe, known)
    if known.response is None:
        return
    absent = await probe.send(requests.get(probe.tenant, NO_SUCH_ROUTE, key))
    expected = "a 4xx, since this route cannot exist: else a refusal proves nothing"
    if absent.response is None:
        probe.breach(expected, _gave(absent, no_answer(absent)), absent, remedy=_unreachable(absent))
    else:
        found = _gave(absent, said(absent.response))
        probe.must(absent.response.refused, expected, found, absent, remedy=_CATCH_ALL)


def _known(probe: Probe, exchange: Exchange) -> None:
    response = exchange.response
    expected = "2xx and the model list"
    if response is None:
        probe.breach(expected, _gave(exchange, no_answer(exchange)), exchange, remedy=_unreachable(exchange))
    elif not response.succeeded:
        probe.breach(expected, _gave(exchange, said(response)), exchange, remedy=_refused(probe, response))
    else:
        try:
            response.json()
        except NotJson as error:
            found = _gave(exchange, f"HTTP {response.status}, but {error}")
            probe.breach(expected, found, exchange, remedy=_NOT_THE_API)


def _gave(exchange: Exchange, what: str) -> str:
    return f"{exchange.request.method} {exchange.request.url} gave {what}"


def answers_as_an_api(response: Response | None) -> bool:
    """Whether what answered is the tenant's API at all: JSON, and not a proxy that reports it down."""
    if response is None or response.status >= 500:
        return False
    try:
        response.json()
    except NotJson:
        return False
    return True


CONTROL = Check(
    id="control",
    claim="The key works on a known route and is refused on one that cannot exist.",
    remedy="Check base_url and the key.",
    source="DESIGN: controls keep every verdict honest",
    run=control,
)


def _unreachable(exchange: Exchange) -> str:
    kind = exchange.failure.value if exchange.failure else ""
    return {
        "dns": "Check the host in base_url: no address was found for its name.",
        "tls": "Check port and certificate of the host; for a private CA, name its bundle as ca_file.",
        "connect": "Check the host and port in base_url, and whether the tenant is up and reachable from here.",
        "timeout": "Check whether the tenant is up; raise limits.timeout_s in the tenant file if it is slow.",
    }.get(kind, "Check base_url: what answers there does not speak HTTP as expected.")


def _refused(probe: Probe, response: Response) -> str:
    name = probe.credential.name
    if response.status in {401, 403}:
        return (
            f"Check the secret of the key {name}: the tenant does not take it. It may be revoked, or of another tenant."
        )
    if response.status in {502, 503, 504}:
        return "A proxy answers, but not the tenant behind it: check whether the tenant is up."
    if 300 <= response.status < 400:
        return "Set base_url to the address that is redirected to; redirects are not followed, so that keys stay put."
    return "Check base_url: it must be the tenant's API, https://<tenant-host>/api/tenant."
