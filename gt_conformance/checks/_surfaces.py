"""The boundary as tables: what can be asked for, by which address, in which state of the key.

The checks of keys and names take their requests from here, so that a new surface is tried in every state at once.
"""

from collections.abc import Awaitable, Callable, Container, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, TypeAlias
from urllib.parse import urlsplit

from gt_conformance.checks import _requests as requests
from gt_conformance.checks._check import Parameters
from gt_conformance.checks._probe import Probe
from gt_conformance.checks._refusal import expect_refusal
from gt_conformance.checks._resources import Created, model_for, open_conversation, upload_file, upload_route
from gt_conformance.checks._wording import describe, lets_in
from gt_conformance.errors import Blocked, name_finding
from gt_conformance.exchange import Exchange, Presentation, Request, Response
from gt_conformance.runbook import ClientProfile, Runbook
from gt_conformance.tenant import Credential, Tenant
from gt_conformance.together import together
from gt_conformance.vocabulary import Route, Verdict

ABSENT = frozenset({404, 405, 410, 501})
"""What a path that is not served is answered with."""
_PUT_OFF = frozenset({429, 503})


class Address(StrEnum):
    """By which URL a surface is reached: GT's own, or the one that clients build from the documented base URL."""

    VERSIONED = "versioned"
    UNVERSIONED = "un-versioned"


@dataclass(frozen=True)
class Ids:
    """Real ids where the run could make some, else ids that nothing has; and a name for chats in the conversation."""

    conversation: str = requests.MADE_UP_ID
    file: str = requests.MADE_UP_ID
    model: str | None = None


NO_IDS = Ids()


@dataclass(frozen=True)
class Asking:
    """What a request for a surface is made from; without a model its own published name."""

    tenant: Tenant
    run_id: str
    key: str | None
    ids: Ids = NO_IDS
    model: str | None = None


@dataclass(frozen=True)
class Surface:
    """Something that a key opens. ``route`` is the mapped route that it belongs to; opening a conversation has none."""

    id: str
    title: str
    route: Route | None
    make: Callable[[Asking], Request]
    extras: Mapping[str, Any] = field(default_factory=dict, hash=False)
    """What clients send besides: it goes with the request where they call, at the un-versioned address."""

    @property
    def is_inference(self) -> bool:
        """Whether clients call it with OpenAI's own requests."""
        return self.route is not None and self.route.promised is Verdict.NATIVE

    @property
    def is_form(self) -> bool:
        """Whether it is another one in another form: streamed, in a conversation, by an alias."""
        return self.id in _FORMS

    def request(self, asking: Asking, address: Address = Address.VERSIONED) -> Request:
        """The request for it that a key with the right would send."""
        request = self.make(asking)
        if address is Address.UNVERSIONED and self.extras:
            request = requests.with_fields(request, self.extras)
        return at_address(request, asking.tenant, address)

    def named(self, address: Address) -> str:
        """In words: ``POST /v1/chat/completions, streamed``; un-versioned without the version."""
        if address is Address.VERSIONED:
            return self.title
        return self.title.replace(" /v1/", " /", 1)


def at_address(request: Request, tenant: Tenant, address: Address) -> Request:
    """The same request by that address."""
    if address is Address.VERSIONED:
        return request
    return replace(request, url=tenant.base_url + request.url.removeprefix(f"{tenant.base_url}/v1"))


_DOCUMENTED_BASE = "https://<tenant-host>/api/tenant"


def base_path(tenant: Tenant, book: Runbook, client: ClientProfile) -> str:
    """The path to which this client joins its routes, from the documented base URL on this tenant's host."""
    own = urlsplit(tenant.base_url).path
    if book.base_url.startswith(_DOCUMENTED_BASE):
        path = own + book.base_url.removeprefix(_DOCUMENTED_BASE)
    else:
        path = urlsplit(book.base_url).path
    return path if client.joins == "verbatim" or path.endswith("/v1") else f"{path}/v1"


def at_path(probe: Probe, request: Request, route: Route, base_path: str | None) -> Request:
    """The same request at the address that a client builds which joins the route to this path; None leaves it."""
    if base_path is None:
        return request
    versioned = urlsplit(probe.url(route.path))
    return replace(request, url=f"{versioned.scheme}://{versioned.netloc}{base_path}{route.path.removeprefix('/v1')}")


def _of(route: Route) -> Callable[[Asking], Request]:
    def make(asking: Asking) -> Request:
        return requests.valid(
            asking.tenant,
            route,
            asking.key,
            asking.run_id,
            file_id=asking.ids.file,
            conversation_id=asking.ids.conversation,
            model=asking.model,
        )

    return make


def _streamed(asking: Asking) -> Request:
    return requests.chat(asking.tenant, asking.key, model=asking.model, fields={"stream": True})


def _opened(asking: Asking) -> Request:
    # Read-only, with a name that nobody publishes: who is let in opens nothing, and is refused for another reason.
    model = asking.model or (requests.MADE_UP_ID if asking.tenant.read_only else None)
    return requests.conversation(asking.tenant, asking.key, asking.run_id, model=model)


def _continued(asking: Asking) -> Request:
    # By a name that its owner may use: who is taken for the owner is refused another one for that alone.
    model = asking.model or asking.ids.model
    return requests.chat(asking.tenant, asking.key, model=model, conversation=asking.ids.conversation)


def _alias(asking: Asking) -> Request:
    return requests.get(asking.tenant, requests.alias_path(asking.ids.file), asking.key)


_TOOL = {
    "type": "function",
    "function": {"name": "read_clock", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}},
}
_OF_CHATS = {
    "tools": [_TOOL],
    "tool_choice": "auto",
    "max_tokens": 16,
    "temperature": 0.2,
    "seed": 7,
    "user": "gt-conformance",
    "response_format": {"type": "text"},
}
_OF_STREAMS = {**_OF_CHATS, "stream_options": {"include_usage": True}}
_OF_EMBEDDINGS = {"encoding_format": "base64", "user": "gt-conformance"}
_OF_FORMS = {"response_format": "json", "language": "en"}
_OF_SPEECH = {"voice": "alloy", "response_format": "wav"}
_OF_IMAGES = {"size": "1024x1024", "n": 1, "response_format": "b64_json"}

SURFACES = (
    Surface("models", Route.MODELS.title, Route.MODELS, _of(Route.MODELS)),
    Surface("chat", Route.CHAT.title, Route.CHAT, _of(Route.CHAT), _OF_CHATS),
    Surface("chat_stream", f"{Route.CHAT.title}, streamed,", Route.CHAT, _streamed, _OF_STREAMS),
    Surface("embeddings", Route.EMBEDDINGS.title, Route.EMBEDDINGS, _of(Route.EMBEDDINGS), _OF_EMBEDDINGS),
    Surface("transcriptions", Route.TRANSCRIPTIONS.title, Route.TRANSCRIPTIONS, _of(Route.TRANSCRIPTIONS), _OF_FORMS),
    Surface("speech", Route.SPEECH.title, Route.SPEECH, _of(Route.SPEECH), _OF_SPEECH),
    Surface("images", Route.IMAGES.title, Route.IMAGES, _of(Route.IMAGES), _OF_IMAGES),
    Surface("conversation", "POST /v1/conversations", None, _opened),
    Surface(
        "conversation_chat",
        f"{Route.CHAT.title} in a conversation",
        Route.CONVERSATION_FILES,
        _continued,
        {"stream": True, **_OF_STREAMS},
    ),
    Surface(
        "conversation_files", Route.CONVERSATION_FILES.title, Route.CONVERSATION_FILES, _of(Route.CONVERSATION_FILES)
    ),
    Surface("dataset_files", Route.DATASET_FILES.title, Route.DATASET_FILES, _of(Route.DATASET_FILES)),
    Surface("file_status", Route.FILE_STATUS.title, Route.FILE_STATUS, _of(Route.FILE_STATUS)),
    Surface("file_alias", "GET /v1/uploads/{id}", Route.FILE_STATUS, _alias),
)
"""Every surface. One is added by a line here."""


_FORMS = ("chat_stream", "conversation_chat", "file_alias")
WITHOUT_A_KEY = "without a key"
TO_ANY_KEY = "to any key"
"""The state of a key that nobody looked at."""
AUTHENTICATE = (
    "Put authentication before every route and address of the tenant; take keys as Authorization: Bearer only."
)
IN_CONVERSATION = ("conversation_chat", Address.UNVERSIONED)
"""By the un-versioned address a chat in a conversation is streamed: it is what most may let in otherwise."""


def surface_of(name: str) -> Surface:
    """The surface of that id."""
    return next(surface for surface in SURFACES if surface.id == name)


def surfaces(routes: Sequence[Route] = ()) -> tuple[Surface, ...]:
    """Those of these routes, all of them where none is named; conversations belong to the routes that need one."""
    conversing = not routes or Route.CONVERSATION_FILES in routes
    return tuple(
        surface
        for surface in SURFACES
        if (surface.route is None and conversing) or (surface.route is not None and surface.route in (routes or Route))
    )


Place: TypeAlias = tuple[Surface, Address]
"""A surface by an address."""


def places(bounds: Parameters) -> list[Place]:
    """Every surface by every address; in a run of some runbooks what they use, plainly, by the addresses they call.

    GT's own routes are called in GT's way by all of them: by the versioned address.
    """
    every = [(surface, at) for at in Address for surface in surfaces(bounds.routes)]
    if not bounds.keys:
        return every
    plain = [(surface, at) for surface, at in every if not surface.is_form]
    return [
        (surface, at)
        for surface, at in plain
        if at in (bounds.addresses if surface.is_inference else (Address.VERSIONED,))
    ]


def keys_tried(probe: Probe) -> tuple[Credential, ...]:
    """The live keys whose boundary is tried: all, or in a run of some runbooks those that they use."""
    named = probe.parameters.keys
    return tuple(key for key in probe.tenant.live_credentials if not named or key.name in named)


async def real_ids(probe: Probe, wanted: Sequence[Place], of: Credential | None = None) -> Ids:
    """Ids of a conversation and a file of this run, where its keys can make them: a hole may open to real ids only.

    Only what these places name is made, by the keys whose boundary is tried where they can, a file of the dataset
    rather than one of a conversation: more may see it, and so may whoever a hole takes strangers for. What a retired
    secret is tried with is made by its own key (``of``) where that can: what is another's would be refused to a live
    key as well.
    """
    named = {surface.route for surface, _ in wanted}
    tenant = probe.tenant
    narrowest = sorted(tenant.live_credentials, key=lambda key: key.breadth)
    holders = [key for key in narrowest if key.holds_conversations and Route.CONVERSATION_FILES in named]
    uploaders = [key for key in narrowest if upload_route(tenant, key) and Route.FILE_STATUS in named]
    uploaders.sort(key=lambda key: upload_route(tenant, key) is not Route.DATASET_FILES)
    (conversation, owner), (file, _) = await together(
        (_first_id(probe, holders, open_conversation, of), _first_id(probe, uploaders, _upload, of))
    )
    return Ids(conversation, file, model_for(probe, owner) if owner is not None else None)


async def _first_id(
    probe: Probe,
    able: Sequence[Credential],
    make: Callable[[Probe, Credential], Awaitable[Created]],
    of: Credential | None,
) -> tuple[str, Credential | None]:
    """The id of what this key makes, else the first that can, and that key; an id of nothing where none could."""
    tried = keys_tried(probe)
    for key in sorted(able, key=lambda key: (key != of, key not in tried)):
        with suppress(Blocked):
            made = await make(probe, key)
            if made.id is not None:
                return made.id, key
    return requests.MADE_UP_ID, None


async def _upload(probe: Probe, key: Credential) -> Created:
    route = upload_route(probe.tenant, key)
    assert route is not None, "only keys that upload somewhere are asked to"  # noqa: S101 - for the type checker
    return await upload_file(probe, key, route)


def is_redirect(response: Response) -> bool:
    """Whether it sends the client to another address, by which nothing is served at this one."""
    return response.status in _REDIRECTS


_REDIRECTS = frozenset({301, 302, 303, 307, 308})


@dataclass(frozen=True)
class Tried:
    """A surface that was asked for at an address, and what came."""

    surface: Surface
    address: Address
    exchange: Exchange

    @property
    def is_open(self) -> bool:
        """Whether it was answered with a success, and not with the page that a web application has for every path."""
        response = self.exchange.response
        return lets_in(response) and not self.is_absent

    @property
    def is_absent(self) -> bool:
        """Whether it may not be served there at all: the un-versioned twins and the alias need not be.

        A twin that redirects is not served either: what the versioned address opens is tried there.
        """
        response = self.exchange.response
        if response is None:
            return False
        if self.address is Address.UNVERSIONED:
            return response.status in ABSENT or response.looks_like_html or is_redirect(response)
        return self.surface.id == "file_alias" and response.status in ABSENT

    @property
    def found(self) -> str:
        """What came, with what was sent besides, which may be why."""
        answered = describe(self.exchange.response) if self.exchange.response else ""
        sent = ", ".join(self.surface.extras) if self.address is Address.UNVERSIONED else ""
        return f"{answered} (sent with {sent})" if sent else answered


async def plainly(probe: Probe, tried: Tried, refusals: Container[int]) -> Tried:
    """The same without what clients send besides, where that was answered neither with a success nor with a refusal.

    What a tenant makes of a field, before it looks at the key, is no finding of keys.
    """
    response = tried.exchange.response
    besides = tried.surface.extras if tried.address is Address.UNVERSIONED else {}
    if not besides or tried.is_open or tried.is_absent or response is None or response.status in refusals:
        return tried
    if tried.exchange.attempts and response.status in _PUT_OFF:  # as often as it was asked
        return tried
    return replace(tried, exchange=await probe.send(requests.without_fields(tried.exchange.request, besides)))


async def try_all(
    probe: Probe,
    wanted: Iterable[Place],
    key: str | None,
    presentation: Presentation = Presentation.BEARER,
    ids: Ids = NO_IDS,
    *,
    model: str | None = None,
) -> list[Tried]:
    """Ask for all of them at once with that key, presented so; with that model where one is named."""
    pairs = list(wanted)
    asking = Asking(probe.tenant, probe.run_id, key, ids, model)
    made = [requests.present(surface.request(asking, at), presentation, key) for surface, at in pairs]
    exchanges = await probe.send_all(made)
    return [Tried(surface, at, exchange) for (surface, at), exchange in zip(pairs, exchanges, strict=True)]


async def try_or_block(
    probe: Probe, wanted: Iterable[Place], key: str, ids: Ids = NO_IDS, *, model: str | None = None
) -> list[Tried] | Blocked:
    """The same with the key as a bearer key; where it could not be asked, why: that is a part of the check."""
    try:
        return await try_all(probe, wanted, key, ids=ids, model=model)
    except Blocked as blocked:
        return blocked


_NOBODYS = ((Presentation.NONE, WITHOUT_A_KEY), (Presentation.MADE_UP, TO_ANY_KEY))


async def find_hole(probe: Probe, tried: Tried, ids: Ids) -> str | None:
    """The cause of the hole by which what is open to a key is open to anybody there; None where it is to keys only.

    Open by both addresses it is one hole. The requests are those of ``key.required``, so they are sent once.
    """
    asked = [(tried.surface, at) for at in dict.fromkeys((Address.VERSIONED, tried.address))]
    if (tried.surface.id, tried.address) == IN_CONVERSATION:  # a stream there: is it so of any stream?
        asked.insert(0, (surface_of("chat_stream"), Address.VERSIONED))
    for presentation, words in _NOBODYS:
        for surface, at in asked:
            [other] = await try_all(probe, [(surface, at)], None, presentation, ids)
            if other.is_open:
                return hole(at, words)
    return None


async def find_hole_behind(probe: Probe, route: Route, exchange: Exchange) -> str | None:
    """The cause of the hole by which a route that is open to a key without the right is open to anybody, once a run.

    What names something is asked for as it was, since its id is what shows that it is open.
    """

    async def make() -> tuple[str | None, Sequence[Exchange]]:
        if route.modality is not None:
            surface = next(one for one in SURFACES if one.route is route)
            return await find_hole(probe, Tried(surface, Address.VERSIONED, exchange), NO_IDS), ()
        for presentation, words in _NOBODYS:
            other = await probe.send(requests.present(exchange.request, presentation, None))
            if other.response is not None and lets_in(other.response):
                return hole(Address.VERSIONED, words), (other,)
        return None, ()

    return await probe.shared(("open to anybody", route), make)


async def expect_shut(
    probe: Probe, tried: Tried, what: str, cause: str, ids: Ids = NO_IDS, *, remedy: str | None = None
) -> None:
    """What is asked for is refused, or not served at that address; ``cause`` tells what is open where it is not."""
    tried = await plainly(probe, tried, _CLIENT_ERRORS)
    if tried.is_absent:
        return
    if not tried.is_open:
        expect_refusal(probe, tried.exchange, what, statuses=_CLIENT_ERRORS, reasoned=False)
        return
    expected = f"{what} is refused"
    if await fail_unsteady(probe, tried.exchange, expected) or await is_explained(probe, tried, what, ids):
        return
    probe.fail(expected, tried.found, tried.exchange, remedy=remedy, cause=cause)


_CLIENT_ERRORS = range(400, 500)
_REPEATS = 6
_REFUSED = frozenset({401, 403, 404})
LET_IN_BY_TURNS = "instances:differ"
_DECIDE_ALIKE = (
    "Have every instance of the tenant behind its load balancer, and every cache, decide alike: "
    "the same request is now let in and now refused."
)


async def fail_unsteady(probe: Probe, exchange: Exchange, expected: str) -> bool:
    """Whether what was let in is refused when it is sent again: one instance of several does not refuse.

    That is recorded, as one finding for all that such an instance lets in, whatever the boundary that it does not keep.
    Where something is let in at each time, nothing more is sent again.
    """
    response = exchange.response
    if any(violation.remedy != _DECIDE_ALIKE for violation in probe.violations):
        return False
    for again in range(1, _REPEATS + 1):
        repeated = (await probe.send(exchange.request, again=again)).response
        if response is not None and repeated is not None and repeated.status in _REFUSED and not lets_in(repeated):
            found = f"{describe(response)}, and {describe(repeated)} when it was sent again"
            probe.fail(expected, found, exchange, remedy=_DECIDE_ALIKE, cause=LET_IN_BY_TURNS)
            return True
    return False


async def is_explained(probe: Probe, tried: Tried, what: str, ids: Ids) -> bool:
    """Whether what is open is open there to weaker states of the key as well: then it is blocked by that hole."""
    cause = await find_hole(probe, tried, ids)
    if cause is None:
        return False
    because = name_finding(cause.partition(":")[0], cause)
    probe.block(f"{what} is answered, as it is to anybody: that is a hole of its own", "", because=because)
    return True


async def is_open_elsewhere(probe: Probe, tried: Tried, what: str, ids: Ids) -> bool:
    """Whether what is refused as not found is so to a key that nobody looked at; then it is blocked by that hole.

    A chat in a conversation is refused for the conversation alone where chats are open to anybody, and what is another
    key's wherever any key is taken, or none is asked for.
    """
    response = tried.exchange.response
    if response is None or response.status != _NOT_FOUND:
        return False
    cause = None
    if tried.surface.id == IN_CONVERSATION[0]:
        plain = surface_of("chat_stream" if tried.address is Address.UNVERSIONED else "chat")
        cause = await find_hole(probe, replace(tried, surface=plain), ids)
    if cause is None:
        listing = replace(tried, surface=surface_of("models"), address=Address.VERSIONED)
        cause = await find_hole(probe, listing, ids)
    if cause is None:
        return False
    because = name_finding(cause.partition(":")[0], cause)
    probe.block(f"{what} is not found, and nobody looked at the key: that is a hole of its own", "", because=because)
    return True


_NOT_FOUND = 404


WITHOUT_SCOPE = "without the scope"
"""The state of a key that is let in where its scopes leave the route out."""


def hole(address: Address, state: str) -> str:
    """The cause of every finding about what is open at that address to keys of that state."""
    return f"boundary:{address} {state}"
