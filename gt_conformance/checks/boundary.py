"""The tenant's outer manners: browsers kept out, errors that say what is wrong."""

from collections.abc import Mapping
from typing import Any

from gt_conformance.checks import _requests as requests
from gt_conformance.checks._probe import Probe, said
from gt_conformance.checks._refusal import names_reason
from gt_conformance.checks._registry import check
from gt_conformance.exchange import Exchange, Request
from gt_conformance.tenant import Credential
from gt_conformance.vocabulary import Modality, Route

FOREIGN_ORIGIN = "https://gt-conformance.invalid"


@check(
    "tenant.browser_origin_refused",
    claim="The tenant does not invite foreign web pages to send a user's key.",
    remedy="Leave CORS headers off the tenant's API: keys are kept server-side.",
    source="GT API keys and access; Fetch standard, CORS protocol",
)
async def browser_origin_refused(probe: Probe) -> None:
    """No answer to a foreign Origin, preflight or real, reflects it with credentials; none should allow it at all."""
    origin = {"Origin": FOREIGN_ORIGIN}
    preflight = {
        **origin,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,content-type",
    }
    url = probe.url(Route.CHAT.path)
    asked = [
        Request("OPTIONS", url, None, headers=tuple(preflight.items())),
        requests.get(probe.tenant, "/v1/models", probe.credential.name, headers=origin),
        requests.get(probe.tenant, "/v1/models", None, headers=origin),
    ]
    for request in asked:
        exchange = await probe.send(request)
        expected = "a foreign Origin is not reflected together with Access-Control-Allow-Credentials: true"
        response = probe.answer(exchange, expected)
        allowed = response.header("access-control-allow-origin")
        credentials = (response.header("access-control-allow-credentials") or "").strip().lower() == "true"
        probe.must(
            not (allowed is not None and allowed.strip() == FOREIGN_ORIGIN and credentials),
            expected,
            f"{request.method} answers Access-Control-Allow-Origin: {allowed} with credentials",
            exchange,
        )
        probe.should(
            allowed is None or allowed.strip() not in {FOREIGN_ORIGIN, "*"},
            f"a foreign Origin is allowed: Access-Control-Allow-Origin: {allowed}",
            exchange,
        )


@check(
    "tenant.errors_shaped",
    claim="Bad requests are refused with a 4xx in JSON that names the reason, never a 5xx or a web page.",
    remedy="Have the tenant validate requests first and refuse in JSON: OpenAI's error object serves clients best.",
    source="OpenAI API reference, Error codes; RFC 9110, 15.5",
)
async def errors_shaped(probe: Probe) -> None:
    """Malformed JSON, an unknown model, method or route, no file: 4xx. Odd messages: never a 5xx or HTML."""
    tenant, key = probe.tenant, probe.credential.name
    json_type = (("Content-Type", "application/json"),)
    chat_url = probe.url(Route.CHAT.path)
    transcriber = _able(probe, Route.TRANSCRIPTIONS)
    cases = {
        "malformed JSON": Request("POST", chat_url, key, headers=json_type, body=b'{"model": '),
        "an unknown model": requests.chat(tenant, key, model=requests.MADE_UP_ID),
        "a wrong method (DELETE /v1/models)": Request("DELETE", probe.url("/v1/models"), key),
        "an unknown route": requests.get(tenant, "/v1/gt-conformance-no-such-route", key),
        "a multipart form without its file": requests.transcription(tenant, transcriber.name, with_file=False),
    }
    for case, request in cases.items():
        exchange = await probe.send(request)
        expected = f"{case} is refused with a 4xx in JSON"
        response = probe.answer(exchange, expected)
        if probe.must(response.refused, expected, said(response), exchange):
            names_reason(probe, exchange, response, expected)
    for case, body in _odd_bodies(probe).items():
        route = Route.EMBEDDINGS if "input" in body else Route.CHAT
        sender = _able(probe, route).name
        exchange = await probe.send(Request.of_json("POST", probe.url(route.path), sender, body))
        _never_breaks(probe, exchange, case)


def _odd_bodies(probe: Probe) -> Mapping[str, Mapping[str, Any]]:
    chat = probe.model(Modality.CHAT)
    return {
        "messages missing": {"model": chat},
        "messages empty": {"model": chat, "messages": []},
        "messages a string": {"model": chat, "messages": "hello"},
        "messages [{}]": {"model": chat, "messages": [{}]},
        "input []": {"model": probe.model(Modality.EMBEDDINGS), "input": []},
    }


def _never_breaks(probe: Probe, exchange: Exchange, case: str) -> None:
    expected = f"{case} gives no 5xx and no web page"
    response = probe.answer(exchange, expected)
    whole = response.status < 500 and not response.looks_like_html
    if probe.must(whole, expected, said(response), exchange):
        probe.should(response.refused, f"{case} is answered {response.status}; a 4xx would tell the caller", exchange)


def _able(probe: Probe, route: Route) -> Credential:
    able = [key for key in probe.tenant.live_credentials if key.may(route)]
    return min(able, key=lambda key: key.breadth, default=probe.credential)
