"""Keys: required, narrow, dead when revoked, never echoed."""

import anyio
import anyio.to_thread

from gt_conformance.checks import _requests as requests
from gt_conformance.checks._holdings import READ_ONLY
from gt_conformance.checks._probe import Probe, said
from gt_conformance.checks._refusal import names_reason, refused
from gt_conformance.checks._registry import check
from gt_conformance.checks.discovery import still_lists
from gt_conformance.checks.refusals import lawful_request
from gt_conformance.errors import Blocked
from gt_conformance.exchange import Exchange, Presentation, Redactor, Request, joined_texts
from gt_conformance.tenant import Credential
from gt_conformance.vocabulary import Purpose, Route

_AUTHENTICATION = "GT API reference, Bearer authentication: no route is public"
_UNAUTHENTICATED = frozenset({401, 403})
_PRESENTED = {
    Presentation.NONE: "without a key",
    Presentation.MADE_UP: "with a key that does not exist",
    Presentation.WITHOUT_SCHEME: "with the key but no Bearer before it",
    Presentation.BASIC: "with the key as Basic authentication",
    Presentation.QUERY: "with the key in the query string",
}


@check(
    "key.required",
    claim="No route answers without a valid bearer key.",
    remedy="Put authentication before every route of the tenant, and take the key from Authorization: Bearer only.",
    source=_AUTHENTICATION,
)
async def required(probe: Probe) -> None:
    """No key, an unknown key, no scheme, Basic, the query string: each 401 or 403 on every route.

    A real key is shown wrongly where it would be let in if it were shown rightly: else its refusal proves nothing.
    """
    for name, route, request in _every_route(probe, None):
        for presentation, how in _PRESENTED.items():
            with_key = presentation not in {Presentation.NONE, Presentation.MADE_UP}
            key = _able(probe, route).name if with_key else None
            exchange = await probe.send(requests.shown_as(request, presentation, key))
            expected = f"{name} {how} is refused with 401 or 403"
            response = probe.answer(exchange, expected)
            probe.must(response.status in _UNAUTHENTICATED, expected, said(response), exchange)


def _able(probe: Probe, route: Route | None) -> Credential:
    """The narrowest key that may use the route, or open conversations; where none is declared to, the check's own."""
    able = [
        key
        for key in probe.tenant.live_credentials
        if (key.holds_conversations if route is None else key.may(route))
        and (route is None or route.modality is None or key.may_use(probe.model(route.modality)) is not False)
    ]
    return min(able, key=lambda key: key.breadth, default=probe.credential)


@check(
    "key.scope_enforced",
    claim="Each route refuses each key that lacks its scope.",
    remedy="Have the tenant check the key's scopes on the route, or take the scope off the key.",
    source="GT API keys and access; GT API reference",
)
async def scope_enforced(probe: Probe) -> None:
    """Every declared key on every route that its scopes do not cover: refused.

    So is opening a conversation to a key of each purpose that has no conversation access.
    """
    for key in probe.tenant.live_credentials:
        for route in Route:
            if key.may(route) is not False:
                continue
            try:
                exchange = await probe.send(await lawful_request(probe, route, key))
            except Blocked as blocked:
                probe.block(f"{route.title} by the key {key.name}: {blocked.reason}", blocked.remedy)
                continue
            refused(probe, exchange, f"{route.title} by the key {key.name}")
    for key in _without_conversations(probe):
        await _opens_no_conversation(probe, key)
    if not probe.exchanges and not probe.blockers:
        raise Blocked(
            "no key of the tenant file declares scopes that leave a route out",
            "Declare purpose and scopes for the keys in the tenant file.",
        )


def _without_conversations(probe: Probe) -> list[Credential]:
    """The narrowest key of each purpose that opens no conversations: it is the purpose that decides."""
    narrowest: dict[Purpose | None, Credential] = {}
    for key in sorted(probe.tenant.live_credentials, key=lambda key: key.breadth):
        if key.holds_conversations is False:
            narrowest.setdefault(key.purpose, key)
    return list(narrowest.values())


async def _opens_no_conversation(probe: Probe, key: Credential) -> None:
    if probe.tenant.read_only:
        probe.block(*READ_ONLY)
        return
    try:
        exchange = await probe.send(requests.conversation(probe.tenant, key.name, probe.run_id))
    except Blocked as blocked:
        probe.block(f"POST /v1/conversations by the key {key.name}: {blocked.reason}", blocked.remedy)
        return
    refused(probe, exchange, f"POST /v1/conversations by the key {key.name}")


@check(
    "key.revocation",
    claim="A revoked key is dead on every route, and the others go on working.",
    remedy="Have the tenant drop revoked keys at once, from every cache as well.",
    source="GT API keys and access: callers fail closed after revocation",
)
async def revocation(probe: Probe) -> None:
    """Each revoked key is refused with 401 on every route; a live one still lists models."""
    revoked = probe.tenant.revoked_credentials
    if not revoked:
        raise Blocked(
            "the tenant file holds no revoked key",
            "Revoke a spare key and add it to the tenant file with revoked: true.",
        )
    for key in revoked:
        for name, _, request in _every_route(probe, key.name):
            exchange = await probe.send(request)
            expected = f"{name} with the revoked key {key.name} is refused with 401"
            response = probe.answer(exchange, expected)
            if probe.must(response.status == 401, expected, said(response), exchange):
                names_reason(probe, exchange, response, expected)
    await still_lists(probe, f"the key {probe.credential.name} goes on working", again=2)


@check(
    "key.never_echoed",
    claim="No answer of the tenant holds a secret.",
    remedy="Have the tenant leave keys out of answers, errors and headers; rotate the key that was echoed.",
    source="GT API reference, Bearer authentication: keys are shown once",
    whole_run=True,
)
async def never_echoed(probe: Probe) -> None:
    """No response of the whole run, header or body, error or stream, holds a secret or a part of one, however encoded.

    Each answer is searched in a thread of its own, so that a long one keeps neither the run's time limit nor an
    interruption waiting.
    """
    redactor = Redactor({name: secret.reveal() for name, secret in probe.tenant.secrets().items()})
    for exchange in probe.seen:
        place = await anyio.to_thread.run_sync(_echo, exchange, redactor, abandon_on_cancel=True)
        if place is not None:
            probe.note(exchange)
            probe.fail("no answer holds a secret", place, exchange)
    if not probe.seen:
        raise Blocked("no answer was seen in this run", "Select something that sends requests.")


def _echo(exchange: Exchange, redactor: Redactor) -> str | None:
    response = exchange.response
    if response is None:
        return None
    for name, value in response.headers:
        if (key := redactor.holds(value)) or (key := redactor.holds(name)):
            return f"the header {name} holds the secret of {key}"
    if key := next(filter(None, map(redactor.holds, (response.text, *joined_texts(response.text)))), None):
        return f"the body holds the secret of {key}"
    return None


def _every_route(probe: Probe, key: str | None) -> list[tuple[str, Route | None, Request]]:
    """Each mapped route with a request that it would take, and POST /v1/conversations, which is none of the nine."""
    routes = [(route.title, route, requests.lawful(probe.tenant, route, key, probe.run_id)) for route in Route]
    conversation = requests.conversation(probe.tenant, key, probe.run_id)
    return [*routes, ("POST /v1/conversations", None, conversation)]
