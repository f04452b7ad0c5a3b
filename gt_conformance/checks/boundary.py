"""The boundary: routes that a key may not use, surfaces that are not GT's, browsers, and how errors are shaped."""

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any, assert_never

from gt_conformance import schema
from gt_conformance.checks import _requests as requests
from gt_conformance.checks._check import (
    ADD_INFERENCE_KEY,
    ADD_UPLOAD_KEY,
    ANY_LIVE_KEY,
    Context,
    NarrowestKey,
    Parameters,
    Rows,
    check,
    gt_extension,
    narrowest_key,
    narrowest_reaching,
    native,
)
from gt_conformance.checks._declared import is_declared_narrow, is_of_another_dataset
from gt_conformance.checks._preflight import NO_SUCH_ROUTE
from gt_conformance.checks._probe import Probe, response_if_any
from gt_conformance.checks._refusal import CLOSED, expect_reason, expect_refusal
from gt_conformance.checks._resources import (
    CONVERSATIONS_OPEN,
    FILES_OPEN,
    KEEP_CONVERSATIONS,
    KEEP_FILES,
    READ_ONLY,
    find_conversation,
    find_foreign_conversation,
    find_foreign_conversation_file,
    find_foreign_file,
    is_open_to_strangers,
    unrelated_keys,
)
from gt_conformance.checks._surfaces import (
    AUTHENTICATE,
    SURFACES,
    Address,
    Tried,
    at_address,
    expect_shut,
    fail_unsteady,
    find_hole_behind,
    hole,
    surface_of,
)
from gt_conformance.checks._ways_in import disguised_listing
from gt_conformance.checks._wording import (
    describe,
    describe_error,
    describe_exchange,
    describe_failure,
    extract_reason,
    lets_in,
)
from gt_conformance.checks.models import published_names
from gt_conformance.checks.names import longer_name
from gt_conformance.errors import Blocked
from gt_conformance.exchange import Exchange, NotJson, Request, Response
from gt_conformance.tenant import Credential, Tenant
from gt_conformance.vocabulary import CONVERSATION_HEADER, Actor, Modality, RemarkKind, Route, Severity, Verdict

FOREIGN_ORIGIN = "https://gt-conformance.invalid"
_STRANGERS = 2
_NO_ROUTE = frozenset({404, 405})
_CREATING = frozenset({Route.CONVERSATION_FILES, Route.DATASET_FILES})
_ALIKE = frozenset({Route.CHAT, Route.EMBEDDINGS, Route.TRANSCRIPTIONS, Route.SPEECH, Route.IMAGES})
"""Where a key without the right asks for what another key was answered, word for word; of media one key does."""
SCOPES_NOT_ENFORCED = "scope:not enforced"
"""The one cause of every 2xx to a key whose declared scopes leave the route out, whichever check meets it."""
CACHED = "cache:without the key"
CACHE_BY_KEY = (
    "Have the tenant check the key before it looks into its cache: what another key was answered, "
    "word for word, is answered to whoever asks for the same."
)
ENFORCE_SCOPES = "Have the tenant check the key's scopes on every route; if the key carries more, declare it."


@check(
    "route.refused",
    claim="A route that the runbook says is not_supported is not a hole.",
    remedy=ENFORCE_SCOPES,
    source="GT API reference, Bearer authentication; the runbook's route mapping",
    clauses=("A5",),
    acts=Actor.TENANT,
    severity=Severity.CRITICAL,
    rows=Rows(Verdict.NOT_SUPPORTED, tuple(Route), lambda context: (Parameters(route=context.route),)),
    by_surface=True,
    refuses=True,
)
async def route_refused(probe: Probe) -> None:
    """Refused to a key whose declared scopes leave it out. Else open is granted, a remark; it breaks down for nobody.

    What not_supported says is that the client does not use the route: a scope that the operator gave breaks nothing.
    """
    route, key = probe.parameters.route, probe.credential
    if route is None:
        raise ValueError("route.refused takes a route")
    if key.may(route) is False:
        await expect_closed(probe, await ask_without_right(probe, route, key), route, key)
        return
    exchange = await probe.send(_any_request_by(probe, route, key))
    response = exchange.response
    if response is None:
        probe.block(describe_failure(exchange), exchange.remedy, acts=Actor.TENANT)
    elif response.succeeded:
        why = "its scopes are not declared" if key.may(route) is None else "it is declared to have the right"
        probe.remark(RemarkKind.GRANTED, f"{route.title} is open to the key {key.name}: {why}", exchange)
    elif await is_absent(probe, exchange):
        probe.remark(RemarkKind.ABSENT, f"the tenant has no {route.title}", exchange)
    else:
        probe.should(
            response.refused and not response.looks_like_html,
            f"{route.title}, which this runbook does not use, gives {describe(response)}",
            exchange,
        )


async def expect_closed(probe: Probe, exchange: Exchange, route: Route, key: Credential) -> None:
    """A route that the key's declared scopes leave out is refused to it. A 2xx is one finding, whatever meets it."""
    what = f"{route.title} by the key {key.name}"
    response = exchange.response
    if response is not None and lets_in(response):
        expected = f"{what} is refused: its declared scopes leave it out"
        if key.scopes is None and (other := await _refused_to(probe, route, key)):
            probe.block(
                f"{what} is answered, and refused to the key {other.name}: that it is not a key of purpose "
                f"{key.purpose} explains it, and its scopes are not declared",
                f"Correct the purpose of the key {key.name} in the tenant file, or declare its scopes.",
                cause=f"rights {key.name}",
            )
        elif await probe.is_as_declared(key) and not await fail_unsteady(probe, exchange, expected):
            remedy, cause, found = ENFORCE_SCOPES, SCOPES_NOT_ENFORCED, describe(response)
            if to_anybody := await find_hole_behind(probe, route, exchange):
                remedy, cause, found = AUTHENTICATE, to_anybody, f"{found}, as to anybody"
            elif route is Route.FILE_STATUS and await _is_open_to_all(probe, exchange, key):
                remedy, cause = KEEP_FILES, FILES_OPEN
            elif route is Route.CONVERSATION_FILES and await _are_conversations_open(probe):
                remedy, cause = KEEP_CONVERSATIONS, CONVERSATIONS_OPEN
            elif await _comes_of_a_cache(probe, route, key, exchange.request):
                remedy, cause = CACHE_BY_KEY, CACHED
            elif await is_declared_narrow(probe, route, key, exchange.request):
                return
            probe.fail(expected, found, exchange, remedy=remedy, cause=cause)
    elif await is_absent(probe, exchange):
        probe.remark(RemarkKind.ABSENT, f"the tenant has no {route.title}", exchange)
    else:
        expect_refusal(probe, exchange, what)


async def _is_open_to_all(probe: Probe, exchange: Exchange, key: Credential) -> bool:
    """Whether the file's state is told to others too that have files of their own: then it is no matter of scopes."""
    with suppress(Blocked):
        _, owner = await find_foreign_file(probe, key)
        path = exchange.request.url.removeprefix(probe.tenant.base_url)
        return await is_open_to_strangers(probe, path, owner)
    return False


async def _are_conversations_open(probe: Probe) -> bool:
    """Whether a key that may upload into its own conversations alone does so into others': no matter of scopes either.

    One that takes uploads into a conversation which nobody opened looks at none.
    """
    key = narrowest_key(probe.tenant, lambda one: one.holds_conversations and one.may(Route.CONVERSATION_FILES))
    if key is None or probe.tenant.read_only:
        return False
    path = Route.CONVERSATION_FILES.path
    with suppress(Blocked):
        foreign, _ = await find_foreign_conversation(probe, key)
        into = [
            requests.upload(probe.tenant, path, key.name, probe.run_id, conversation_id=one)
            for one in (foreign, requests.MADE_UP_ID)
        ]
        other, unknown = await probe.send_all(into)
        return lets_in(other.response) and not lets_in(unknown.response)
    return False


async def _comes_of_a_cache(probe: Probe, route: Route, key: Credential, asked: Request) -> bool:
    """Whether the key is refused there what no other key was answered, also after it was let in."""
    if route not in _ALIKE or asked in _forms_of(probe, route, key):
        return False
    own = replace(requests.valid(probe.tenant, route, key.name, probe.run_id), url=asked.url)
    if not _is_refused((await probe.send(own)).response):
        return False
    return _is_refused((await probe.send(own, again=1)).response)


def _is_refused(response: Response | None) -> bool:
    return response is not None and response.refused


async def _refused_to(probe: Probe, route: Route, key: Credential) -> Credential | None:
    """Another live key that is declared without the route, and is refused there: the tenant keeps keys to theirs."""
    for other in probe.tenant.live_credentials:
        if other.name == key.name or other.may(route) is not False:
            continue
        with suppress(Blocked):
            response = (await probe.send(await request_by(probe, route, other))).response
            if response is not None and response.status in CLOSED and not response.looks_like_html:
                return other
    return None


async def is_absent(probe: Probe, exchange: Exchange) -> bool:
    """Whether the answer is the one that a route which cannot exist gets: it refuses everybody, and shows no scope."""
    response = exchange.response
    if response is None or response.status not in _NO_ROUTE or exchange.request.key is None:
        return False
    made_up = await probe.send(_no_such_route(probe, exchange.request.key), control=True)
    return made_up.response is not None and _wording(exchange) == _wording(made_up)


def _no_such_route(probe: Probe, key: str) -> Request:
    """A route that cannot exist, which the preflight of the first key that works has asked for already."""
    asked = (one for one in probe.seen if one.request.url == probe.url(NO_SUCH_ROUTE))
    found = (one.request for one in asked if one.response is not None and one.response.status in _NO_ROUTE)
    return next(found, requests.get(probe.tenant, NO_SUCH_ROUTE, key))


def _wording(exchange: Exchange) -> tuple[int, str]:
    response = exchange.response
    if response is None:
        return 0, ""
    text = extract_reason(response) or response.plain
    return response.status, text.replace(exchange.request.path, "").replace(exchange.request.method, "")


def _any_request_by(probe: Probe, route: Route, key: Credential) -> Request:
    """What the key would send, with made-up ids: for a route of which nothing is promised but that it holds."""
    if probe.tenant.read_only and route in _CREATING:
        raise Blocked(*READ_ONLY)
    return requests.valid(probe.tenant, route, key.name, probe.run_id)


async def request_by(probe: Probe, route: Route, key: Credential) -> Request:
    """What a key with the right would send, with the real ids of another key. Raises Blocked without them."""
    ids: dict[str, str] = {}
    match route:
        case Route.FILE_STATUS:
            # The narrowest key is refused a dataset's file, the others one of a conversation.
            narrowest = key == narrowest_key(probe.tenant, lambda other: other.may(route) is False)
            found = None if narrowest else await find_foreign_conversation_file(probe, key)
            ids["file_id"], _ = found or await find_foreign_file(probe, key)
        case Route.CONVERSATION_FILES:
            ids["conversation_id"] = await conversation_for(probe, key)
        case Route.DATASET_FILES:
            if probe.tenant.read_only:
                raise Blocked(*READ_ONLY)
            if probe.tenant.dataset is None:
                raise Blocked(
                    "a refusal looks like an absence without a real dataset, and none is named",
                    "Add dataset: NAME to the tenant file.",
                    cause="dataset",
                )
        case Route.CHAT | Route.EMBEDDINGS:
            return _in_another_form(probe, route, key) or await _answered_to_another(probe, route, key)
        case Route.TRANSCRIPTIONS | Route.SPEECH | Route.IMAGES:
            if key == narrowest_key(probe.tenant, lambda other: other.may(route) is False):
                return await _answered_to_another(probe, route, key)
            return _in_another_form(probe, route, key) or requests.valid(probe.tenant, route, key.name, probe.run_id)
        case Route.MODELS:
            pass
        case _:
            assert_never(route)
    return requests.valid(probe.tenant, route, key.name, probe.run_id, **ids)


async def conversation_for(probe: Probe, key: Credential) -> str:
    """A conversation into which the key may not upload for want of the right, and for no other reason.

    One of a key that inherits from it, where there is one: who keeps conversations apart does not refuse that.
    """
    heirs = [other for other in probe.tenant.live_credentials if key.name in other.inherits]
    conversation, _ = await find_conversation(probe, [*heirs, *unrelated_keys(probe, key)])
    return conversation


async def ask_without_right(probe: Probe, route: Route, key: Credential) -> Exchange:
    """What ``request_by`` gives is asked; plainly, where the tenant objects to its form and not to the key.

    Raises Blocked where that cannot be.
    """
    request = await request_by(probe, route, key)
    exchange = await probe.send(request)
    response = exchange.response
    is_form = request in _forms_of(probe, route, key)
    if not is_form or response is None or lets_in(response) or response.status in CLOSED:
        return exchange
    return await probe.send(requests.valid(probe.tenant, route, key.name, probe.run_id))


def _in_another_form(probe: Probe, route: Route, key: Credential) -> Request | None:
    """The form in which this key asks, where others ask plainly: each of several keys without a right takes its own.

    A tenant may look at the key in one form of a route and not in another. None for the narrowest of these keys, and in
    a run of some runbooks.
    """
    without = [one for one in probe.tenant.live_credentials if one.may(route) is False]
    without.sort(key=lambda one: one.breadth)
    forms = _forms_of(probe, route, key)
    if probe.parameters.keys or key not in without[1:] or not forms:
        return None
    return forms[without[1:].index(key) % len(forms)]


def _forms_of(probe: Probe, route: Route, key: Credential) -> list[Request]:
    """The forms of an inference route besides the plain one: with what clients send besides, and each kind of input."""
    if route.modality is None:
        return []
    extras = next((surface.extras for surface in SURFACES if surface.route is route and surface.extras), {})
    forms = [requests.with_fields(requests.valid(probe.tenant, route, key.name, probe.run_id), extras)]
    if route is Route.EMBEDDINGS:
        texts = requests.texts(probe.run_id, key.name)
        given: tuple[object, ...] = (texts[0], [[9906, 11, 1917]], texts)
        forms += [requests.embeddings(probe.tenant, key.name, one) for one in given]
    return forms


async def _answered_to_another(probe: Probe, route: Route, key: Credential) -> Request:
    """What a key with the right was answered to before, word for word: no cache may give it to this key.

    A run of some runbooks asks in words of its own: what other keys may do is no concern of theirs.
    """
    other = narrowest_reaching(probe.tenant, route, probe.parameters.keys)
    if other is None or (probe.parameters.keys and other.name not in probe.parameters.keys):
        return requests.valid(probe.tenant, route, key.name, probe.run_id)
    request = requests.valid(probe.tenant, route, other.name, probe.run_id)
    with suppress(Blocked):
        await probe.send(request, control=True)
    return replace(request, key=key.name)


@check(
    "vendor.files_refused",
    claim="OpenAI's own file upload does not map to GT's: nothing that is sent there lands in a dataset.",
    remedy="Have the tenant keep files of POST /v1/files out of datasets and conversations, or not serve the route.",
    source="GT client runbooks (dify), Not supported in this product",
    clauses=("R3",),
    acts=Actor.TENANT,
    severity=Severity.LOW,
    rows=gt_extension(Route.CONVERSATION_FILES, Route.DATASET_FILES, any_key=True),
    of_all=True,
    creates=True,
    refuses=True,
)
async def files_refused(probe: Probe) -> None:
    """POST /v1/files with a file and a purpose; an answer that places the file in a dataset or conversation is wrong.

    A tenant may have the route for other ends; a 4xx is what tells users best.
    """
    request = requests.upload(probe.tenant, "/v1/files", probe.credential.name, probe.run_id, purpose="assistants")
    exchange = await probe.send(request)
    _expect_apart(probe, exchange, "POST /v1/files", ("dataset_id", "dataset", *_CONVERSATIONS))


@check(
    "vendor.assistants_refused",
    claim="OpenAI's assistants and threads do not map to GT's conversations.",
    remedy="Have the tenant keep assistants and threads apart from GT's conversations, or not serve the routes.",
    source="GT client runbooks (dify), Not supported in this product",
    clauses=("R4",),
    acts=Actor.TENANT,
    severity=Severity.LOW,
    rows=gt_extension(Route.CONVERSATION_FILES),
    of_all=True,
    creates=True,
    refuses=True,
)
async def assistants_refused(probe: Probe) -> None:
    """POST /v1/assistants and POST /v1/threads; an answer that gives a GT conversation is wrong.

    A tenant may have the routes for other ends; a 4xx is what tells users best.
    """
    key = probe.credential.name
    name = f"gt-conformance-{probe.run_id}"
    bodies: dict[str, dict[str, Any]] = {
        "/v1/assistants": {"model": probe.model(Modality.CHAT), "name": name},
        "/v1/threads": {"metadata": {"name": name}},
    }
    asked = [Request.of_json("POST", probe.url(path), key, body, creates=True) for path, body in bodies.items()]
    for path, exchange in zip(bodies, await probe.send_all(asked), strict=True):
        _expect_apart(probe, exchange, f"POST {path}", _CONVERSATIONS)


_CONVERSATIONS = ("conversation_id", "conversation")


def _expect_apart(probe: Probe, exchange: Exchange, what: str, places: tuple[str, ...]) -> None:
    """A surface of OpenAI's that is no GT surface: refused, or at least not one of GT's under another name."""
    response = exchange.response
    if response is None or not response.succeeded:
        refused = response is not None and response.refused
        text = f"{what} should be refused with a 4xx, since it is not a GT surface: {describe_exchange(exchange)}"
        probe.should(refused, text, exchange)
        return
    try:
        body = response.json()
    except NotJson:
        body = None
    named = [place for place in places if isinstance(body, dict) and body.get(place)]
    if response.header(CONVERSATION_HEADER):
        named.append(CONVERSATION_HEADER)
    expected = f"{what} does not lead into GT's datasets and conversations"
    if probe.must(not named, expected, f"HTTP {response.status} with {', '.join(named)}", exchange):
        answered = f"{what} is answered {response.status}, though it is not a GT surface: a 4xx tells users"
        probe.advise(answered, exchange)


def _where_responses(context: Context) -> Iterable[Parameters]:
    if any(client.default_surface == "/responses" for client in context.clients):
        yield Parameters()


@check(
    "vendor.responses_refused",
    claim="OpenAI's responses, which this client uses by default, name no model that is not published.",
    remedy="Have the tenant put the published name into `model`, or not serve POST /v1/responses.",
    source="GT API overview, Why this matters; OpenAI API reference, Create a model response",
    clauses=("A11",),
    acts=Actor.TENANT,
    severity=Severity.LOW,
    rows=native(Route.CHAT, parameters=_where_responses, any_key=True),
)
async def responses_refused(probe: Probe) -> None:
    """POST /v1/responses: a 4xx is best; an answer names a published model, and should have OpenAI's shape."""
    request = {"model": probe.model(Modality.CHAT), "input": "Say ok.", "max_output_tokens": 16, "store": False}
    exchange = await probe.send(Request.of_json("POST", probe.url("/v1/responses"), probe.credential.name, request))
    response = exchange.response
    if response is None or not response.succeeded:
        refused = response is not None and response.refused
        text = f"POST /v1/responses should be refused with a 4xx: {describe_exchange(exchange)}"
        probe.should(refused, text, exchange)
        return
    try:
        body = response.json()
    except NotJson as error:
        probe.advise(f"POST /v1/responses is answered {response.status}, but {error}", exchange)
        return
    rules = schema.load("wire/response")
    for deviation in (*rules.errors(body), *rules.errors(body, at="#/$defs/published")):
        probe.advise(f"OpenAI's published shape of a response: {describe_error(deviation)}", exchange)
    named = body.get("model") if isinstance(body, dict) else None
    if isinstance(named, str) and named:
        published = await published_names(probe)
        expected = f"a response names a published model of the key: {', '.join(sorted(published))}"
        probe.must(named in published, expected, f"model is {named!r}", exchange)


_DATASET_WRITER = NarrowestKey(
    "that may upload to datasets", lambda _, key: key.may(Route.DATASET_FILES), ADD_UPLOAD_KEY
)


@check(
    "dataset.not_allowlisted_refused",
    claim="An upload to a dataset outside the key's allowlist is refused.",
    remedy="Have the tenant refuse uploads to datasets that are not on the key's allowlist.",
    source="GT API reference, Upload into a dataset target",
    clauses=("K17", "A2"),
    acts=Actor.TENANT,
    severity=Severity.CRITICAL,
    rows=gt_extension(Route.DATASET_FILES),
    tenant_wide=_DATASET_WRITER,
    by_surface=True,
    creates=True,
    refuses=True,
)
async def dataset_not_allowlisted_refused(probe: Probe) -> None:
    """A tiny upload to a real dataset that the key may not reach is refused with a 4xx, by either address.

    Once a run a key that no row asks with tries it as well: a conversation key of another pair, say.
    """
    key, tenant = probe.credential, probe.tenant
    foreign = _datasets_of_others(tenant, key)
    target = foreign[0] if foreign else requests.MADE_UP_ID
    request = _upload_into(probe, key, target)
    # Whose dataset it is, is one thing for all keys: the narrowest one tries the other address.
    narrowest = narrowest_key(tenant, lambda other: other.may(Route.DATASET_FILES))
    once = key == narrowest and not probe.parameters.keys
    others = _by_others(probe) if once else []
    twins = [at_address(request, tenant, Address.UNVERSIONED)] if once and foreign else []
    exchange, *tried = await probe.send_all([request, *(_upload_into(probe, *one) for one in others), *twins])
    if exchange.response is not None and exchange.response.succeeded and await is_of_another_dataset(probe, key):
        return
    expect_refusal(probe, exchange, f"an upload to the dataset {target}", statuses=range(400, 500), reasoned=False)
    for (writer, dataset), other in zip(others, tried, strict=False):
        await _expect_refused_to(probe, writer, dataset, other)
    for twin in tried[len(others) :] if not probe.violations else ():
        what = f"an upload to the dataset {target} by the un-versioned address"
        one = Tried(surface_of("dataset_files"), Address.UNVERSIONED, twin)
        await expect_shut(probe, one, what, hole(Address.UNVERSIONED, "into a dataset that it may not write"))
    if not foreign and not probe.violations:
        own = sorted(_datasets_of(key).intersection(tenant.other_datasets))
        remedy = (
            f"Name one in other_datasets that the key {key.name} may not write: {own[0]} is declared to be its own."
            if own
            else "Name one in other_datasets of the tenant file, and the key's own under datasets."
        )
        probe.block(
            "a made-up dataset was refused, which may be its absence: no real one outside the key's allowlist is known",
            remedy,
        )


def _datasets_of(key: Credential) -> frozenset[str]:
    """Those that the key may write, as far as that is known."""
    return (key.datasets or frozenset()) | key.unsure.datasets


def _datasets_of_others(tenant: Tenant, key: Credential) -> list[str]:
    """Real datasets that the key may not write; first those that begin as one of its own, which a prefix lets in."""
    known = {*([tenant.dataset] if tenant.dataset else []), *tenant.other_datasets}
    for other in tenant.live_credentials:
        known |= other.datasets or frozenset()
    own = _datasets_of(key)
    foreign = known - own if key.datasets is not None else set(tenant.other_datasets)
    return sorted(foreign, key=lambda name: (not name.startswith(tuple(own)), name))


def _by_others(probe: Probe) -> list[tuple[Credential, str]]:
    """The narrowest key with which no row tries an upload, and a dataset that it may not write; empty if none is so."""
    tenant = probe.tenant
    writers = [
        one
        for one in tenant.live_credentials
        if one.may(Route.DATASET_FILES) and one.datasets is not None and not probe.has_planned(probe.check.id, one.name)
    ]
    writers.sort(key=lambda one: one.breadth)
    return [(one, dataset) for one in writers for dataset in _datasets_of_others(tenant, one)[:1]][:1]


async def _expect_refused_to(probe: Probe, writer: Credential, dataset: str, exchange: Exchange) -> None:
    """The upload of that key into a dataset that it may not write is refused with a 4xx."""
    response = exchange.response
    is_open = lets_in(response)
    if is_open and await is_of_another_dataset(probe, writer):
        return
    what = f"an upload to the dataset {dataset} by the key {writer.name}"
    if response is not None and is_open and await _is_open_without_scope(probe, dataset):
        found = f"{describe(response)}, and a key that may not upload at all is let in too"
        cause = SCOPES_NOT_ENFORCED
        probe.fail(f"{what} is refused with a 4xx", found, exchange, remedy=ENFORCE_SCOPES, cause=cause)
    else:
        expect_refusal(probe, exchange, what, statuses=range(400, 500), reasoned=False)


async def _is_open_without_scope(probe: Probe, dataset: str) -> bool:
    """Whether a key that may write no dataset is let in too: then scopes are not looked at, nor allowlists."""
    without = [one for one in probe.tenant.live_credentials if one.may(Route.DATASET_FILES) is False]
    if not without:
        return False
    tried = await probe.send(_upload_into(probe, min(without, key=lambda one: one.breadth), dataset))
    return lets_in(tried.response)


def _upload_into(probe: Probe, key: Credential, dataset: str) -> Request:
    return requests.upload(probe.tenant, requests.dataset_path(dataset), key.name, probe.run_id)


@check(
    "tenant.browser_origin_refused",
    claim="The tenant should not invite foreign web pages to send a user's key.",
    remedy="Leave CORS headers off the tenant's API: keys are kept server-side.",
    source="GT API keys and access; Fetch standard, CORS protocol",
    only_advises=True,
    acts=Actor.TENANT,
    severity=Severity.MEDIUM,
    tenant_wide=ANY_LIVE_KEY,
    by_surface=True,
    of_all=True,
)
async def browser_origin_refused(probe: Probe) -> None:
    """No answer to a foreign Origin, preflight or real, should allow it. No page promises that: it is advised."""
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
        disguised_listing(probe),
    ]
    asked = asked[:1] if probe.parameters.keys else asked
    for request, exchange in zip(asked, await probe.send_all(asked), strict=True):
        response = response_if_any(probe, exchange, f"{request.method} with a foreign Origin")
        if response is None:
            continue
        allowed = response.header("access-control-allow-origin")
        credentials = (response.header("access-control-allow-credentials") or "").strip().lower() == "true"
        with_credentials = " with credentials" if credentials else ""
        probe.should(
            allowed is None or allowed.strip() not in {FOREIGN_ORIGIN, "*"},
            f"a foreign Origin is allowed: Access-Control-Allow-Origin: {allowed}{with_credentials}",
            exchange,
        )


_CHAT_KEY = NarrowestKey("that may chat", lambda _, key: key.may(Route.CHAT) is not False, ADD_INFERENCE_KEY)


@check(
    "tenant.errors_shaped",
    claim="Bad requests should be refused with a 4xx in JSON that names the reason.",
    remedy="Have the tenant validate requests first and refuse in JSON: OpenAI's error object serves clients best.",
    source="OpenAI API reference, Error codes; RFC 9110, 15.5",
    only_advises=True,
    acts=Actor.TENANT,
    severity=Severity.MEDIUM,
    tenant_wide=_CHAT_KEY,
    by_surface=True,
    refuses=True,
)
async def errors_shaped(probe: Probe) -> None:
    """Malformed JSON, an unknown model, method or route, odd messages, no file: a 4xx, in JSON where it was read.

    No page says how a tenant refuses: all of it is advised. That an unknown name works is the finding of names.*.
    """
    tenant, key = probe.tenant, probe.credential.name
    no_such = {"an unknown route": _no_such_route(probe, key)}
    if probe.parameters.keys:
        await _judge_shapes(probe, {}, no_such, {})
        return
    json_type = (("Content-Type", "application/json"),)
    chat_url = probe.url(Route.CHAT.path)
    transcriber = _narrowest_for(probe, Route.TRANSCRIPTIONS)
    unknown = longer_name(probe, probe.credential) or requests.MADE_UP_ID  # as names.unpublished_refused asks for it
    read = {
        "malformed JSON": Request("POST", chat_url, key, headers=json_type, body=b'{"model": '),
        "an unknown model": requests.valid(tenant, Route.CHAT, key, probe.run_id, model=unknown),
        "a multipart form without its file": requests.transcription(tenant, transcriber.name, with_file=False),
    }
    unread = {
        "a wrong method (DELETE /v1/models)": Request("DELETE", probe.url("/v1/models"), key),
        **no_such,
    }
    await _judge_shapes(probe, read, unread, _odd_bodies(probe))


async def _judge_shapes(
    probe: Probe,
    read: Mapping[str, Request],
    unread: Mapping[str, Request],
    odd: Mapping[str, Mapping[str, Any]],
) -> None:
    """Each of these is refused with a 4xx, in JSON where the tenant reads it."""
    plain = {**read, **unread}
    exchanges = await probe.send_all([*plain.values(), *(_odd_request(probe, body) for body in odd.values())])
    for case, exchange in zip(plain, exchanges, strict=False):
        response = response_if_any(probe, exchange, case)
        if response is None:
            continue
        if not response.refused:
            probe.advise(f"{case} should be refused with a 4xx: {describe(response)}", exchange)
        elif case in read:
            # What a tenant does not read it may refuse in plain text.
            expect_reason(probe, exchange, response)
    for case, exchange in zip(odd, exchanges[len(plain) :], strict=True):
        response = response_if_any(probe, exchange, case)
        refused = response is None or response.refused
        probe.should(refused, f"{case} should be refused with a 4xx: {describe_exchange(exchange)}", exchange)


def _odd_request(probe: Probe, body: Mapping[str, Any]) -> Request:
    route = Route.EMBEDDINGS if "input" in body else Route.CHAT
    return Request.of_json("POST", probe.url(route.path), _narrowest_for(probe, route).name, body)


def _odd_bodies(probe: Probe) -> Mapping[str, Mapping[str, Any]]:
    chat = probe.model(Modality.CHAT)
    return {
        "messages empty": {"model": chat, "messages": []},
        "messages [{}]": {"model": chat, "messages": [{}]},
        "input []": {"model": probe.model(Modality.EMBEDDINGS), "input": []},
    }


def _narrowest_for(probe: Probe, route: Route) -> Credential:
    return narrowest_key(probe.tenant, lambda key: key.may(route)) or probe.credential
