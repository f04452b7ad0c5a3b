"""The preflight of a key: it must work on a known route and be refused on one that cannot exist.

Without it a wrong base URL would confirm every not_supported row.
"""

import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from http import HTTPStatus
from urllib.parse import urlsplit

from gt_conformance.checks import _requests as requests
from gt_conformance.checks._check import Check
from gt_conformance.checks._notes import Violation
from gt_conformance.checks._probe import LABEL_REMEDY, Probe
from gt_conformance.checks._refusal import NOT_REACHED
from gt_conformance.checks._wording import (
    PASS_ON_KEY,
    SEND_JSON,
    describe,
    describe_failure,
    describe_page,
    explain_answer,
    explain_html_page,
    extract_reason,
    format_status,
    holds_error,
    lets_in,
    says_no_key,
)
from gt_conformance.errors import Blocked
from gt_conformance.exchange import Exchange, NotJson, Presentation, Request, Response
from gt_conformance.together import together
from gt_conformance.vocabulary import Actor, Modality, Purpose, Route

KNOWN_ROUTE = "/v1/models"
KEY_REFUSED = frozenset({401, 403})
"""What a dead key is refused with: no page says which of the two."""
_OBJECTS = frozenset({406, 411, 412, 413, 415, 417, 422, 426, 428, 431, 451})
"""What objects to a request, and is no host's where the API is not."""
KEY_UNKNOWN = frozenset({400, 404})
"""What a tenant may say of a key that it does not know, as some gateways do; or else of an address."""
_FAILS = 500
_BEGINNING = 2_000
NO_SUCH_ROUTE = "/v1/gt-conformance-no-such-route"
_USUAL_PATH = "/api/tenant"
_NOT_THE_API = (
    "Check base_url: it must be the tenant's API (https://<tenant-host>/api/tenant), not its web address. If it is, a "
    "login page, a portal or a maintenance page answers in its place: have it let this machine's requests through."
)
MUST_BE_REFUSED = "a 4xx, since this route cannot exist: else a refusal proves nothing"
"""Where that fails it is no key's trouble, and one cause for all of them."""
_CATCH_ALL = (
    "Something before the tenant answers for every path (a proxy, a web application): route base_url to the API itself."
)


_SUCCESS_WITH_ERROR = (
    "Have the tenant, and every gateway before it, answer an error with its own status: clients take a 2xx for a "
    "success, whatever is inside."
)


async def preflight(probe: Probe) -> None:
    """The credential lists models with 2xx JSON, and a route that cannot exist is refused with a 4xx.

    That such a route is refused is asked once a run, by the first key; of another (``minimal``) where its list fails.
    """
    listing, no_such = (
        requests.get(probe.tenant, path, probe.credential.name) for path in (KNOWN_ROUTE, NO_SUCH_ROUTE)
    )
    if probe.parameters.minimal:
        known = await _send_steadily(probe, listing)
        if not _listing_violations(probe, known):
            return
    known, absent = await probe.send_all([listing, no_such])
    if not _is_failure(absent):
        known = await _send_steadily(probe, listing)
    if probe.parameters.minimal or not _is_failure(known):  # else nothing of the tenant may be there
        absent = await _send_steadily(probe, no_such)
    violations = _listing_violations(probe, known)
    if _is_not_found(known) and _is_not_found(absent) and await _answers_unversioned(probe):
        violations = [replace(item, remedy=_ROUTE_VERSIONED) for item in violations]
    if known.response is None and not only_listing_fails([None, absent.response]):
        probe.violations += violations
        return
    if violations and not await _key_is_recognized(probe, known, absent):
        probe.violations += violations
    if absent.response is None:
        found = _describe_answer(absent, describe_failure(absent))
        probe.fail(MUST_BE_REFUSED, found, absent, remedy=absent.remedy)
    else:
        found = _describe_answer(absent, describe(absent.response))
        remedy = explain_answer(absent, absent.response) if _is_failure(absent) else _CATCH_ALL
        if absent.response.succeeded and holds_error(absent.response):
            remedy = _SUCCESS_WITH_ERROR
        probe.must(absent.response.refused, MUST_BE_REFUSED, found, absent, remedy=remedy)


async def show_retired(probe: Probe) -> None:
    """Send the retired secret of a key that is refused: the run's end decides whether it is in the other's place."""
    if probe.credential.retired_secret is not None:
        listing = requests.get(probe.tenant, KNOWN_ROUTE, probe.credential.retired_name)
        with suppress(Blocked):  # why the key itself is refused is more
            await probe.send(replace(listing, refused=True))


def _is_not_found(exchange: Exchange) -> bool:
    return exchange.response is not None and exchange.response.status == HTTPStatus.NOT_FOUND


async def _answers_unversioned(probe: Probe) -> bool:
    """Whether the list is there without the version in its path: the API is on, and /v1 does not lead to it."""
    path = KNOWN_ROUTE.removeprefix("/v1")
    response = (await probe.send(requests.get(probe.tenant, path, probe.credential.name))).response
    return response is not None and response.succeeded and is_api_answer(response)


_ROUTE_VERSIONED = (
    "Have every gateway before the tenant lead /api/tenant/v1/* to the API as it leads the paths without /v1: the list "
    "of models is answered there alone. A rule may take /v1 off a path, or add it a second time."
)


async def _send_steadily(probe: Probe, request: Request) -> Exchange:
    """Send it, and more often where it fails inside the tenant: what fails now and then says nothing of a key.

    A 404 of the list is asked again as well, since only some instances may lack it: most often for the first key.
    """
    exchange = await probe.send(request)
    if request.path.endswith(KNOWN_ROUTE) and _is_not_found(exchange):
        tries = _STEADY_TRIES if probe.parameters.minimal else _MOST_TRIES
        others = await together(probe.send(request, again=again) for again in range(1, tries))
        told = [one for one in others if one.response is not None]
        listed = [one for one in told if one.response is not None and one.response.succeeded]
        refused = [one for one in told if one.response is not None and one.response.status in KEY_REFUSED]
        return next(iter((*listed, *refused)), exchange)
    for again in range(1, _STEADY_TRIES):
        if not _is_failure(exchange):
            break
        exchange = await probe.send(request, again=again)
    return exchange


_STEADY_TRIES, _MOST_TRIES = 3, 8


def _is_failure(exchange: Exchange) -> bool:
    return exchange.response is not None and exchange.response.status >= 500


def _listing_violations(probe: Probe, exchange: Exchange) -> list[Violation]:
    response = exchange.response
    if response is None:
        found, remedy = describe_failure(exchange), exchange.remedy
    elif not response.succeeded:
        found, remedy = describe(response), _remedy_refused(probe, response)
    elif response.miscoded:
        found, remedy = f"{format_status(response)}, but {response.miscoded}", LABEL_REMEDY
    else:
        try:
            response.json()
        except NotJson as error:
            what = f"it is {describe_page(response)}" if response.looks_like_html else error
            found, remedy = f"HTTP {response.status}, but {what}", _NOT_THE_API
            if response.media_type == "application/json" and '"data"' in response.plain:
                remedy = SEND_JSON
        else:
            return []
    acts = Actor.TENANT if response is not None and _fails_itself(response) else None
    return [Violation("2xx and the model list", _describe_answer(exchange, found), exchange.ref, remedy, acts=acts)]


async def _key_is_recognized(probe: Probe, known: Exchange, absent: Exchange) -> bool:
    """Whether the tenant knows the key although it does not list models to it.

    Where only the list is broken that is a finding of its own rows, and must not block the others. A key that may
    be one for uploads need not be shown the list, whatever status says so: its own routes are asked. The tenant then
    shows that it knows the key by refusing one that does not exist.
    A key that is refused the list, and let into a chat, is shown to work by that.
    """
    if only_listing_fails([known.response, absent.response]):
        return await _is_told_from_another(probe, absent)
    if known.response is None or not known.response.refused:
        return False
    if _is_key_refused(known) and not _is_key_refused(absent) and await _may_chat(probe, known.request):
        return True
    return probe.credential.purpose in {Purpose.UPLOAD, None} and await _is_known_to_uploads(probe)


async def _is_known_to_uploads(probe: Probe) -> bool:
    """Whether a file's state, or an upload that lacks its file, is refused to the key otherwise than to nobody's."""
    if await _is_told_from_another(probe, await _send_steadily(probe, _status(probe))):
        return True
    dataset = _dataset_of(probe)
    if dataset is None:
        return False
    return await _is_told_from_another(probe, await _send_steadily(probe, _upload_without_file(probe, dataset)))


async def _may_chat(probe: Probe, listing: Request) -> bool:
    """Whether the key is let into chats, with a name that it may use, and refused the list alone: each of them twice.

    Where instances refuse by turns, what one of them let in shows nothing.
    """
    key, tenant = probe.credential, probe.tenant
    if key.may(Route.CHAT) is False or not tenant.serves(Modality.CHAT):
        return False
    name = tenant.model(Modality.CHAT)
    model = name if key.may_use(name) is not False else min(key.models or (name,))
    chat = requests.valid(tenant, Route.CHAT, key.name, probe.run_id, model=model)
    if not lets_in((await probe.send(chat)).response):
        return False
    return _is_key_refused(await probe.send(listing, again=1)) and lets_in((await probe.send(chat, again=1)).response)


async def _is_told_from_another(probe: Probe, shown: Exchange) -> bool:
    """Whether the key is refused for something else than itself, where a key that nobody has is refused for itself."""
    if shown.response is None or not shown.response.refused or _is_key_refused(shown):
        return False
    return _is_key_refused(await _send_steadily(probe, requests.present(shown.request, Presentation.MADE_UP, None)))


def _is_key_refused(exchange: Exchange) -> bool:
    return exchange.response is not None and exchange.response.status in KEY_REFUSED


def _status(probe: Probe) -> Request:
    """A question for the state of a file that nobody has."""
    return requests.get(probe.tenant, requests.status_path(requests.MADE_UP_ID), probe.credential.name)


def _dataset_of(probe: Probe) -> str | None:
    """The dataset that the key is declared to write, if it is declared to upload."""
    if probe.credential.purpose is not Purpose.UPLOAD:
        return None
    return next(iter(probe.credential.datasets or ()), probe.tenant.dataset)


def _upload_without_file(probe: Probe, dataset: str) -> Request:
    """An upload that lacks its file and so creates nothing: a key that may write there is refused for that alone.

    For tenants that answer each key alike for a file that nobody has.
    """
    path = requests.dataset_path(dataset)
    whole = requests.upload(probe.tenant, path, probe.credential.name, probe.run_id, purpose="none")
    return replace(requests.without_fields(whole, {"file"}), creates=False)


def only_listing_fails(answers: Sequence[Response | None]) -> bool:
    """Whether, of a preflight's two answers, only the model list is wrong or missing, and not by refusing the key.

    Then the tenant itself answers, and it accepts the key.
    """
    known, absent = answers[0], answers[1] if len(answers) > 1 else None
    if absent is None or (known is not None and known.status in {absent.status, *KEY_REFUSED}):
        return False
    return absent.refused and absent.status not in KEY_REFUSED and is_api_answer(absent)


def fails_in_json(answers: Sequence[Response | None]) -> bool:
    """Whether an application answers all of them with a 5xx of its own: it may fail at this key's record alone."""
    return all(one is not None and _fails_itself(one) and extract_reason(one) != "" for one in answers)


def may_be_of_the_key(answers: Sequence[Response | None]) -> bool:
    """Whether an application says in JSON of the model list what may be of this key alone: another key shows it."""
    known = answers[0] if answers else None
    return known is not None and known.status in KEY_UNKNOWN and is_api_answer(known)


def _fails_itself(response: Response) -> bool:
    """Whether it is a 5xx of the tenant, and not of a proxy that does not reach it."""
    return response.status >= _FAILS and response.status not in NOT_REACHED


def _describe_answer(exchange: Exchange, what: str) -> str:
    return f"{exchange.request.method} {exchange.request.url} gave {what}"


def is_answered_by_the_api(answers: Sequence[Response | None]) -> bool:
    """Whether a preflight's answers come from the tenant's API at all, and from the right place in it."""
    known, absent = answers[0] if answers else None, answers[1] if len(answers) > 1 else None
    if known is None or absent is None or known.status in KEY_REFUSED:
        return any(is_api_answer(item) or _is_plain_refusal(item) for item in answers)
    # Where a route that cannot exist answers as the known one does, something else answers for every path.
    if absent.succeeded or absent.status == known.status:
        return False
    return any(is_api_answer(item) for item in answers)


def _is_plain_refusal(response: Response | None) -> bool:
    """Whether a key is refused in plain text, or with nothing, as a tenant may: another key shows who refuses."""
    return response is not None and response.status in KEY_REFUSED and not response.looks_like_html


def is_api_answer(response: Response | None) -> bool:
    """Whether an API answered: JSON, not a proxy that reports the API down, not a redirect."""
    if response is None or response.status >= 500 or 300 <= response.status < 400:
        return False
    try:
        response.json()
    except NotJson:
        return False
    return True


PREFLIGHT = Check(
    id="control",
    claim="The key works on a known route and is refused on one that cannot exist.",
    remedy="Check base_url and the key.",
    source="GT API reference, Bearer authentication",
    run=preflight,
)


def _remedy_failed(probe: Probe, response: Response) -> str:
    if response.status in NOT_REACHED:
        return "A proxy answers, but not the tenant behind it: check whether the tenant is up."
    key = probe.credential.name
    return f"The tenant fails at whatever the key {key} asks: look for these requests in the tenant's log."


_ONLY_WHERE_ASKED = (
    "Have the cache before the tenant answer 304 only to requests that name what they have; none of these does."
)
_SET_BASE_URL = "Set base_url to the address that is redirected to; redirects are not followed, so that keys stay put."
_LET_PAST_LOGIN = (
    "The redirect leads to another page than was asked for, as that of a login or a portal: have what is before the "
    "API let this machine's requests with a key through, or connect this machine as that page asks (VPN, network "
    "login). If the API moved, set base_url to its new address."
)
_WRITE_HTTPS = "Write https:// in base_url: the port speaks TLS alone."
_SAYS_HTTPS = re.compile(
    rb"(?i)plain HTTP (?:request was sent )?to an? (?:SSL-enabled|HTTPS)|HTTP request (?:was sent )?to (?:an )?HTTPS"
)
_TEMPORARY = frozenset({302, 303, 307})
_OF_LOGIN = re.compile(r"(?i)log-?[io]n|sign-?in|sso\b|auth|saml|oidc|portal|consent")


def _remedy_refused(probe: Probe, response: Response) -> str:
    if response.status >= _FAILS and not response.looks_like_html:
        return _remedy_failed(probe, response)
    name = probe.credential.name
    if response.looks_like_html and not 300 <= response.status < 400:
        return _WRITE_HTTPS if _wants_tls(response) else explain_html_page(response)
    # Where other keys work, the list is there: a tenant may say of a key that it does not know that nothing is.
    if response.status in KEY_REFUSED or (probe.parameters.minimal and response.status in KEY_UNKNOWN):
        wrong = f"Check the secret of the key {name}: the tenant does not take it."
        swapped = probe.credential.retired_secret is not None
        what = (
            "revoked, of another tenant, or swapped with its retired secret"
            if swapped
            else "revoked, or of another tenant"
        )
        return PASS_ON_KEY if says_no_key(response) else f"{wrong} It may be {what}."
    return _remedy_redirected(response) if 300 <= response.status < 400 else _remedy_unserved(probe, response)


def _remedy_redirected(response: Response) -> str:
    if response.status == HTTPStatus.NOT_MODIFIED:
        return _ONLY_WHERE_ASKED
    return _LET_PAST_LOGIN if _leads_elsewhere(response) else _SET_BASE_URL


def _leads_elsewhere(response: Response) -> bool:
    """Whether a redirect leads not to the same place under another address, but to a page: to log in, say."""
    location = response.header("location")
    if not location or (to := urlsplit(location)).path.rstrip("/").endswith(KNOWN_ROUTE):
        return False
    return response.status in _TEMPORARY or _OF_LOGIN.search(f"{to.netloc}{to.path}") is not None


def _wants_tls(response: Response) -> bool:
    """Whether a server says that plain HTTP came to its port for TLS, as nginx, Apache and Go's do."""
    return response.status == HTTPStatus.BAD_REQUEST and _SAYS_HTTPS.search(response.body[:_BEGINNING]) is not None


def _remedy_unserved(probe: Probe, response: Response) -> str:
    if _wants_tls(response):
        return _WRITE_HTTPS
    parts = urlsplit(probe.tenant.base_url)
    usual = f"{parts.scheme}://{parts.netloc}{_USUAL_PATH}"
    if response.status in _OBJECTS:  # an API answers, and says what it objects to
        return f"Have the tenant, and every gateway before it, accept what SDKs send: it answers {describe(response)}."
    if parts.path != _USUAL_PATH:
        return f"Check the path in base_url, {parts.path or '/'}: the tenant's API is usually at {usual}."
    return (
        f"Nothing of the GT API answers at {usual}: switch the API on for this tenant (the feature flag gtApiEnabled), "
        "or correct the host in base_url."
    )
