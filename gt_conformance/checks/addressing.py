"""The address that a client builds from its base URL: it reaches the route, which is the same as the versioned one."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

from gt_conformance import schema
from gt_conformance.checks import _requests as requests
from gt_conformance.checks._capability import (
    TRIES,
    finish_reasons,
    is_empty,
    names_fact,
    said_in,
)
from gt_conformance.checks._check import Context, Parameters, Rows, check
from gt_conformance.checks._completion import (
    choices_in,
    error_inside,
)
from gt_conformance.checks._notes import StopCheck
from gt_conformance.checks._preflight import KEY_REFUSED, NO_SUCH_ROUTE
from gt_conformance.checks._probe import Probe
from gt_conformance.checks._surfaces import Address, at_path, base_path, hole, surface_of, try_all
from gt_conformance.checks._vectors import NEAR, cosine, in_order, least_cosine
from gt_conformance.checks._wording import (
    ANSWER_DIFFERENTLY,
    EMBED_DIFFERENTLY,
    NOW_AND_THEN,
    describe,
    describe_failure,
    explain_html_page,
    normalized_reason,
)
from gt_conformance.checks._words import is_cut_off, word_of
from gt_conformance.checks.embeddings_many import many
from gt_conformance.checks.media import is_audio_type, is_whole_sound, speech_as_asked, transcription_as_asked
from gt_conformance.checks.models import join_some, shown
from gt_conformance.checks.names import NOT_ALLOWED_UNVERSIONED
from gt_conformance.errors import Blocked, name_finding
from gt_conformance.exchange import Exchange, NotJson, Presentation, Request, Response, shortened
from gt_conformance.runbook import Runbook
from gt_conformance.tenant import Tenant
from gt_conformance.vocabulary import Actor, Modality, Route, Severity, Verdict

UNROUTED = "base_url:un-versioned paths"
"""The cause of all that fails because clients join their routes to a base URL without a version."""
_SAME_VECTOR = 0.99
_AGAIN = 2
_OTHER_FORM = "another form: encoding_format does not arrive"


_Twin = tuple[Request, Response]
"""A request at one of two addresses, and what it was answered there."""


def _base_paths(context: Context) -> Iterator[Parameters]:
    for client in context.clients:
        path = base_path(context.tenant, context.runbook, client)
        asked = client.embeddings.encoding_format if client.embeddings else ""
        form = "none" if context.route is not Route.EMBEDDINGS else "base64" if asked == "base64" else "float"
        common = Parameters(route=context.route, base_path=path, encoding_format=form)
        profile = client.embeddings if context.route is Route.EMBEDDINGS else None
        if profile is None or profile.batch or not (profile.string or profile.fields):
            yield common  # a list of one is sent like a list of many, which shows more
        else:
            form = profile.encoding_format
            yield replace(common, encoding_format=form, batch=False, string=profile.string, fields=profile.fields)


def addresses_of(tenant: Tenant, book: Runbook) -> tuple[Address, ...]:
    """The addresses at which this runbook's clients call: with the version or without it."""
    paths = {base_path(tenant, book, client) for client in book.clients}
    return tuple(at for at in Address if any(path.endswith("/v1") == (at is Address.VERSIONED) for path in paths))


@check(
    "base_url.joins",
    claim="The address that this client builds from the documented base URL reaches the route.",
    remedy="Enter the base URL that works, or have the tenant route the un-versioned paths as well.",
    source="GT API overview, Quickstart bundle; "
    "GT API reference, List published models; "
    "measured clients: each joins its route to the base URL exactly as given",
    clauses=("R1", "C2", "E2", "M1"),
    acts=Actor.TENANT,
    severity=Severity.HIGH,
    rows=Rows(Verdict.NATIVE, tuple(Route), _base_paths, any_key=True),
)
async def joins(probe: Probe) -> None:
    """The client's own address gives what the versioned one gives, and names the same models.

    Embeddings are asked for as clients ask: many texts, or one with the client's own fields where it sends them one by
    one, as base64 if it does so. Both give the same vectors.
    """
    route, base_path = probe.parameters.route, probe.parameters.base_path
    if route is None or base_path is None:
        raise ValueError("base_url.joins takes a route and a base path")
    request = requests.valid(probe.tenant, route, probe.credential.name, probe.run_id)
    elsewhere = at_path(probe, request, route, base_path)
    expected = f"{route.method} {elsewhere.path} reaches {route.title} as {request.path} does"
    remedy = (
        f"Set this client's base URL to {probe.tenant.base_url}/v1. Name it in the tenant file, too "
        "(runbooks: ID: {base_url: ...}): the runbook is then judged with it."
    )
    if route is Route.IMAGES:
        await _compare_refusals(probe, elsewhere.url, expected, remedy)
        return
    await probe.require_route(route)
    if elsewhere != request:
        request = await _as_sdks_ask(probe, route, request)
        elsewhere = at_path(probe, request, route, base_path)
    there = probe.success(await probe.send(request), f"{route.title} answers with 2xx at its versioned address")
    exchange = await probe.send(elsewhere)
    here = _reached(probe, exchange, expected, remedy)
    if there.looks_like_html and not here.looks_like_html:
        raise Blocked(f"{request.path} answers with a web page this time", explain_html_page(there))
    # A web page with 200 at the un-versioned address is no route: clients then show nothing, without an error.
    same = here.succeeded and _is_of_one_kind(here.media_type, there.media_type)
    if not same and await _is_open_to_anybody(probe, exchange, elsewhere.path):
        return
    twins = ((elsewhere, here), (request, there))
    if not same and here.succeeded and _holds_the_same(route, here, there):
        probe.fail(
            f"{elsewhere.path} answers as {there.media_type or 'no type'}, as {request.path} does",
            f"HTTP {here.status} as {here.media_type or 'no type'}, with the same in it",
            exchange,
            remedy="Have the tenant answer with the same Content-Type at both addresses: clients read answers by it.",
            cause="base_url:content type",
        )
    elif probe.must(same, expected, describe(here), exchange, remedy=remedy, cause=UNROUTED):
        await _expect_alike(probe, route, exchange, twins)


def _holds_the_same(route: Route, *answers: Response) -> bool:
    """Whether each of these holds what an answer of the route does, whatever they call it."""
    holds, _ = _HOLDS.get(route, (_has_data, ""))
    return all(map(holds, answers))


async def _expect_alike(probe: Probe, route: Route, exchange: Exchange, twins: tuple["_Twin", "_Twin"]) -> None:
    """What both addresses give has the same names, vectors, text and substance."""
    (elsewhere, here), (request, there) = twins
    names, known = _names_in(here), _names_in(there)
    # An answer may call the model as it likes, or not at all; one that says the published name here says it there.
    differ = (
        names != known
        if route is Route.MODELS
        else names and names.isdisjoint(known) and request.fields.get("model") in known
    )
    await _require_list(probe, needed=bool(differ) and route is Route.MODELS)
    expected = f"{elsewhere.path} names the models that {request.path} names: {join_some(sorted(known)) or 'none'}"
    probe.must(
        not differ,
        expected,
        join_some(sorted(names)) or "none",
        exchange,
        remedy="Have the tenant list and name the models of the key alike at both addresses.",
        cause=_cause_of_names(probe, route, names, known),
    )
    if route is Route.EMBEDDINGS:
        await _expect_vectors(probe, exchange, there, twins)
    if route is Route.CHAT and _completes(here):
        await _expect_text(probe, elsewhere, there)
    holds, what = _HOLDS.get(route, (None, ""))
    if holds is not None and holds(there) and not holds(here):
        comes = await _changes(probe, twins, lambda one, other: holds(one) is holds(other))
        probe.fail(
            f"{elsewhere.path} gives {what}, as {request.path} does",
            f"HTTP {here.status} without {what}",
            exchange,
            remedy=f"Find what fails intermittently behind the tenant's address (an instance, a backend, a limit): "
            f"the same request gets {what} at one time and none at another."
            if comes
            else "Have the tenant answer alike at both addresses: what one of them gives, the other gives.",
            cause=NOW_AND_THEN if comes else "base_url:nothing in it",
        )


async def _require_list(probe: Probe, *, needed: bool) -> None:
    """Raises Blocked where the versioned list is needed, and is not what it should be: that is the finding."""
    for check_id in ("models.contains_alias", "models.exact_allowlist") if needed else ():
        await probe.require_like(check_id, conforming=True)


def _is_of_one_kind(here: str, there: str) -> bool:
    """Whether both content types are the same, or of sounds: no page says in which format a tenant speaks each time."""
    return here == there or (is_audio_type(here) and is_audio_type(there))


def _cause_of_names(probe: Probe, route: Route, names: set[str], known: set[str]) -> str:
    """Why a list, or an answer, names other models there: an internal id shows, others' names do, or it is neither."""
    internal = sorted(names.intersection(probe.tenant.unpublished_models))
    if internal:
        return shown(internal[0])
    return NOT_ALLOWED_UNVERSIONED if route is Route.MODELS and names > known else "base_url:other names"


async def _is_open_to_anybody(probe: Probe, exchange: Exchange, path: str) -> bool:
    """Whether the key is refused where chats need none: whoever comes is taken for one key, and that is the finding."""
    if exchange.response is None or exchange.response.status not in KEY_REFUSED:
        return False
    chats = [(surface_of("chat"), at) for at in (Address.UNVERSIONED, Address.VERSIONED)]
    here, there = await try_all(probe, chats, None, Presentation.NONE)
    if there.is_open or not here.is_open:
        return False
    cause = hole(Address.UNVERSIONED, "without a key")
    refused = f"{path} refuses the key {probe.credential.name}, and chats need none at that address"
    probe.block(f"{refused}: that is a hole of its own", "", because=name_finding(cause.partition(":")[0], cause))
    return True


async def _expect_text(probe: Probe, elsewhere: Request, there: Response) -> None:
    """The word that was asked for comes whole, or another text does, if it comes whole at the versioned address."""
    key = probe.credential.name

    def is_lost(one: Exchange) -> bool:
        said = said_in(one.response)
        empty = is_empty(one.response) and not finish_reasons(one.response) & {"length", "content_filter"}
        return empty or is_cut_off(said, probe.run_id, key)

    if not names_fact(said_in(there), word_of(probe.run_id, key)):
        return
    exchange = await probe.send(elsewhere)
    for number in range(TRIES):
        exchange = await probe.send(elsewhere, again=number)
        if not is_lost(exchange):
            return
    probe.fail(
        f"{elsewhere.path} gives the whole text of an answer, as {urlsplit(probe.url(Route.CHAT.path)).path} does",
        f"in {TRIES} answers {shortened(said_in(exchange.response), 80)!r}",
        exchange,
        remedy="Have the tenant answer alike at both addresses: what one of them gives, the other gives.",
        cause="base_url:nothing in it",
    )


def _fields_of(response: Response) -> Mapping[str, Any]:
    try:
        body = response.json()
    except NotJson:
        return {}
    return body if isinstance(body, dict) else {}


def _completes(response: Response) -> bool:
    body = _fields_of(response)
    return any(choices_in(body)) and not error_inside(body) and not schema.load("wire/chat-completion").errors(body)


def _has_data(response: Response) -> bool:
    return isinstance(_fields_of(response).get("data"), list)


def _has_text(response: Response) -> bool:
    return isinstance(_fields_of(response).get("text"), str)


_HOLDS: Mapping[Route, tuple[Callable[[Response], bool], str]] = {
    Route.CHAT: (_completes, "a completion"),
    Route.TRANSCRIPTIONS: (_has_text, "a text"),
    Route.SPEECH: (is_whole_sound, "a sound"),
}
"""What an answer holds, whatever the model says."""


async def _as_sdks_ask(probe: Probe, route: Route, request: Request) -> Request:
    """The request as OpenAI's SDKs send it, where the versioned address takes it so; else the plain one."""
    if route is Route.EMBEDDINGS:
        return await _as_sdks_embed(probe, request)
    made = _AS_ASKED.get(route)
    if made is None:
        return request
    response = (await probe.send(made(probe))).response
    return made(probe) if response is not None and response.succeeded else request


_AS_ASKED = {Route.SPEECH: speech_as_asked, Route.TRANSCRIPTIONS: transcription_as_asked}


async def _as_sdks_embed(probe: Probe, request: Request) -> Request:
    """As many texts as the client sends, in its form, as far as the versioned address takes them."""
    texts, form = requests.texts(probe.run_id, probe.credential.name), probe.parameters.encoding_format
    forms: list[Any] = [texts]
    if not probe.parameters.batch:
        forms.insert(0, texts[0] if probe.parameters.string else texts[:1])
    fields = probe.parameters.fields
    tried = [
        requests.embeddings(probe.tenant, probe.credential.name, one, encoding_format=form, fields=fields)
        for one in forms
    ]
    if probe.parameters.batch:
        tried.insert(0, many(probe, form))
    for several in tried:
        response = (await probe.send(several)).response
        if response is not None and response.succeeded and response.complete:
            return several
    return request


async def _changes(probe: Probe, twins: Iterable[_Twin], is_same: Callable[[Response, Response], bool]) -> bool:
    """Whether one of these requests, each with what it was answered, gets another answer when it comes again.

    Then it is no address that differs from the other, but one time from another, at whichever address.
    """
    for request, response in twins:
        for number in range(_AGAIN):  # at once, one after the other: by turns, each might meet an instance of its own
            again = (await probe.send(request, again=number)).response
            if again is not None and again.succeeded and not is_same(response, again):
                return True
    return False


async def _expect_vectors(probe: Probe, exchange: Exchange, there: Response, twins: Sequence[_Twin]) -> None:
    """The vectors are those of the versioned address, as many and in the same form.

    Where that one gives equal texts different vectors, as here the first and the last are, nothing can be compared.
    """
    known, found = _vectors_in(there), _vectors_in(exchange.response)
    how = _difference(known, found)
    if not how:
        return
    versioned = twins[-1][0].path
    cause, remedy = (
        "base_url:other vectors",
        "Have the tenant serve both addresses by one model, and pass the whole request on at both.",
    )
    if await _changes(probe, twins, lambda one, other: not _difference(_vectors_in(one), _vectors_in(other))):
        cause = ANSWER_DIFFERENTLY if how == _OTHER_FORM else EMBED_DIFFERENTLY
        remedy = (
            "Have every instance of the tenant behind its load balancer answer alike: the same request to "
            f"{Route.EMBEDDINGS.path} gets other vectors, or vectors in another form, when it comes again."
        )
    expected = f"{exchange.request.path} gives the vectors that {versioned} gives, in their form"
    probe.fail(expected, how, exchange, remedy=remedy, cause=cause)


def _difference(known: list[Any], found: list[Any]) -> str:
    """How the vectors that were found differ from those that are known; empty where they do not, or nobody can say."""
    if not known or known == found or not _is_alike(known[0], known[-1], NEAR):
        return ""
    least = NEAR  # how far apart two vectors of one text are by this model, is not known of a single one
    if len(known) > 1:
        least = least_cosine(requests.floats(known[0]), requests.floats(known[-1]), _SAME_VECTOR)
    if len(found) != len(known):
        return f"{len(found)} for {len(known)} texts"
    if [type(one) for one in found] != [type(one) for one in known]:
        return _OTHER_FORM
    alike = (_is_alike(one, other, least) for one, other in zip(found, known, strict=True))
    return "" if all(alike) else "other vectors for the same texts"


def _vectors_in(response: Response | None) -> list[Any]:
    """The vectors of an answer as they came, in their order; none where it holds none."""
    try:
        return [item["embedding"] for item in in_order(response.json()["data"])] if response else []
    except (NotJson, LookupError, TypeError, AttributeError):
        return []


def _is_alike(one: Any, other: Any, least: float) -> bool:
    """Whether two vectors are of one text and model, as far as they can be read at all: by their cosine, at least."""
    try:
        here, there = requests.floats(one), requests.floats(other)
    except (ValueError, TypeError):
        return False
    return len(here) == len(there) and cosine(here, there) > least


def _names_in(response: Response) -> set[str]:
    """The models that an answer names: in a list, or as the one that answers."""
    try:
        body = response.json()
    except NotJson:
        return set()
    if not isinstance(body, dict):
        return set()
    listed = body.get("data")
    items = [item for item in listed if isinstance(item, dict)] if isinstance(listed, list) else []
    named = [body.get("model"), *(item.get("id") for item in items)]
    return {name for name in named if isinstance(name, str)}


_OBJECTIONS = frozenset({400, 422})
"""With what a routed path objects to a request without a prompt; one that is not routed has another word for it."""


def _known_refusals(probe: Probe) -> list[int]:
    """With what the tenant refused a route that cannot exist so far: its preflight has asked for one."""
    path = urlsplit(probe.url(NO_SUCH_ROUTE)).path
    return [one.response.status for one in probe.seen if one.request.path == path and one.response is not None]


def _reached(probe: Probe, exchange: Exchange, expected: str, remedy: str) -> Response:
    """What comes from the un-versioned address; where nothing comes, the route is not there, and the check ends."""
    if exchange.response is None:
        probe.fail(expected, describe_failure(exchange), exchange, remedy=remedy, cause=UNROUTED)
        raise StopCheck
    return probe.answer_or_refusal(exchange, expected)


async def _expect_drawn(probe: Probe, documented: str, expected: str, remedy: str) -> None:
    key = probe.credential.name
    request = replace(requests.image(probe.tenant, key, requests.drawn(probe.run_id, key)), url=documented)
    exchange = await probe.send(request)
    drawn = _reached(probe, exchange, expected, remedy)
    probe.must(drawn.succeeded, expected, describe(drawn), exchange, remedy=remedy, cause=UNROUTED)


async def _compare_refusals(probe: Probe, documented: str, expected: str, remedy: str) -> None:
    # An image costs too much to draw twice: a request without a prompt tells a routed address from an absent one.
    request = Request.of_json("POST", documented, probe.credential.name, {"model": probe.model(Modality.IMAGE)})
    exchange = await probe.send(request)
    here = _reached(probe, exchange, expected, remedy)
    if here.status in _OBJECTIONS and all(here.status != status for status in _known_refusals(probe)):
        return
    unrouted = documented.removesuffix(Route.IMAGES.path.removeprefix("/v1")) + NO_SUCH_ROUTE.removeprefix("/v1")
    addresses = (probe.url(Route.IMAGES.path), unrouted)
    asked = await probe.send_all([replace(request, url=address) for address in addresses])
    there, absent = (probe.answer_or_refusal(one, expected) for one in asked)
    if not there.refused and not there.succeeded:
        await probe.require_route(Route.IMAGES)
        fails, alike, other = ((one.status, normalized_reason(one)) for one in (there, here, absent))
        if fails == alike and fails != other:  # the same part of the tenant is at both, and not where nothing is
            probe.advise(f"an image without a prompt should be refused with a 4xx: {describe(there)}", asked[0])
            return
        probe.fail_answer(expected, asked[0], there)
        return
    # What is refused in the words of an unknown route is no route, though the statuses may be alike.
    versioned, own, unknown = ((one.status, normalized_reason(one)) for one in (there, here, absent))
    same = here.status == there.status and own != unknown
    if not same and await _is_open_to_anybody(probe, exchange, exchange.request.path):
        return
    if not same:
        await probe.require_route(Route.IMAGES)
    if versioned == unknown:
        # All refusals are alike here: only an image that is drawn tells the two addresses apart.
        await _expect_drawn(probe, documented, expected, remedy)
        return
    probe.must(same, expected, describe(here), exchange, remedy=remedy, cause=UNROUTED)
