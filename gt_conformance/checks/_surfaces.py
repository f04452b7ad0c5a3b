"""The boundary as tables: what can be asked for, by which address, in which state of the key.

The checks of keys and names take their requests from here, so that a new surface is tried in every state at once.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from gt_conformance.checks import _requests as requests
from gt_conformance.checks._probe import Probe, describe, expect_refusal
from gt_conformance.checks._resources import open_conversation, upload_file
from gt_conformance.errors import Blocked, name_finding
from gt_conformance.exchange import Exchange, Presentation, Request
from gt_conformance.tenant import Tenant
from gt_conformance.vocabulary import Route

ABSENT = frozenset({404, 405})
"""What a path that is not served is answered with."""


class Address(StrEnum):
    """By which URL a surface is reached: GT's own, or the one that clients build from the documented base URL."""

    VERSIONED = "versioned"
    UNVERSIONED = "un-versioned"


@dataclass(frozen=True)
class Ids:
    """Real ids where the run could make some, else ids that nothing has."""

    conversation: str = requests.MADE_UP_ID
    file: str = requests.MADE_UP_ID


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

    def request(self, asking: Asking, address: Address = Address.VERSIONED) -> Request:
        """The request for it that a key with the right would send."""
        return at_address(self.make(asking), asking.tenant, address)

    def named(self, address: Address) -> str:
        """In words: ``POST /v1/chat/completions, streamed``; un-versioned without the version."""
        return self.title if address is Address.VERSIONED else self.title.replace(" /v1/", " /", 1)


def at_address(request: Request, tenant: Tenant, address: Address) -> Request:
    """The same request by that address."""
    if address is Address.VERSIONED:
        return request
    return replace(request, url=tenant.base_url + request.url.removeprefix(f"{tenant.base_url}/v1"))


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
    return requests.conversation(asking.tenant, asking.key, asking.run_id, model=asking.model)


def _continued(asking: Asking) -> Request:
    return requests.chat(asking.tenant, asking.key, model=asking.model, conversation=asking.ids.conversation)


def _alias(asking: Asking) -> Request:
    return requests.get(asking.tenant, requests.alias_path(asking.ids.file), asking.key)


SURFACES = (
    Surface("models", Route.MODELS.title, Route.MODELS, _of(Route.MODELS)),
    Surface("chat", Route.CHAT.title, Route.CHAT, _of(Route.CHAT)),
    Surface("chat_stream", f"{Route.CHAT.title}, streamed,", Route.CHAT, _streamed),
    Surface("embeddings", Route.EMBEDDINGS.title, Route.EMBEDDINGS, _of(Route.EMBEDDINGS)),
    Surface("transcriptions", Route.TRANSCRIPTIONS.title, Route.TRANSCRIPTIONS, _of(Route.TRANSCRIPTIONS)),
    Surface("speech", Route.SPEECH.title, Route.SPEECH, _of(Route.SPEECH)),
    Surface("images", Route.IMAGES.title, Route.IMAGES, _of(Route.IMAGES)),
    Surface("conversation", "POST /v1/conversations", None, _opened),
    Surface("conversation_chat", f"{Route.CHAT.title} in a conversation", Route.CONVERSATION_FILES, _continued),
    Surface(
        "conversation_files", Route.CONVERSATION_FILES.title, Route.CONVERSATION_FILES, _of(Route.CONVERSATION_FILES)
    ),
    Surface("dataset_files", Route.DATASET_FILES.title, Route.DATASET_FILES, _of(Route.DATASET_FILES)),
    Surface("file_status", Route.FILE_STATUS.title, Route.FILE_STATUS, _of(Route.FILE_STATUS)),
    Surface("file_alias", "GET /v1/uploads/{id}", Route.FILE_STATUS, _alias),
)
"""Every surface. One is added by a line here."""


def surfaces(routes: Sequence[Route] = ()) -> tuple[Surface, ...]:
    """Those of these routes, all of them where none is named; conversations belong to the routes that need one."""
    conversing = not routes or Route.CONVERSATION_FILES in routes
    return tuple(
        surface
        for surface in SURFACES
        if (surface.route is None and conversing) or (surface.route is not None and surface.route in (routes or Route))
    )


async def real_ids(probe: Probe) -> Ids:
    """Ids of a conversation and a file of this run, where its keys can make them: a hole may open to real ids only."""
    ids = Ids()
    for key in sorted(probe.tenant.live_credentials, key=lambda key: key.breadth):
        if key.holds_conversations and ids.conversation == requests.MADE_UP_ID:
            try:
                made = await open_conversation(probe, key)
            except Blocked:
                continue
            ids = replace(ids, conversation=made.id or ids.conversation)
    for key in sorted(probe.tenant.live_credentials, key=lambda key: key.breadth):
        route = Route.DATASET_FILES if key.may(Route.DATASET_FILES) and probe.tenant.dataset else None
        route = route or (Route.CONVERSATION_FILES if key.holds_conversations else None)
        if route is not None and ids.file == requests.MADE_UP_ID:
            try:
                made = await upload_file(probe, key, route)
            except Blocked:
                continue
            ids = replace(ids, file=made.id or ids.file)
    return ids


@dataclass(frozen=True)
class Tried:
    """A surface that was asked for at an address, and what came."""

    surface: Surface
    address: Address
    exchange: Exchange

    @property
    def is_open(self) -> bool:
        """Whether it was answered with a success."""
        return self.exchange.response is not None and self.exchange.response.succeeded

    @property
    def is_absent(self) -> bool:
        """Whether it may not be served there at all: the un-versioned twins and the alias need not be."""
        optional = self.address is Address.UNVERSIONED or self.surface.id == "file_alias"
        return optional and self.exchange.response is not None and self.exchange.response.status in ABSENT


async def try_all(
    probe: Probe,
    wanted: Iterable[tuple[Surface, Address]],
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
    probe: Probe, wanted: Iterable[tuple[Surface, Address]], key: str, ids: Ids = NO_IDS, *, model: str | None = None
) -> list[Tried] | Blocked:
    """The same with the key as a bearer key; where it could not be asked, why: that is a part of the check."""
    try:
        return await try_all(probe, wanted, key, ids=ids, model=model)
    except Blocked as blocked:
        return blocked


async def find_hole(probe: Probe, tried: Tried, ids: Ids) -> str | None:
    """The cause of the hole by which what is open to a key is open to anybody there; None where it is to keys only.

    Open by both addresses it is one hole. The requests are those of ``key.required``, so they are sent once.
    """
    for presentation, words in ((Presentation.NONE, "without a key"), (Presentation.MADE_UP, "to any key")):
        for at in dict.fromkeys((Address.VERSIONED, tried.address)):
            [other] = await try_all(probe, [(tried.surface, at)], None, presentation, ids)
            if other.is_open:
                return hole(at, words)
    return None


async def expect_shut(probe: Probe, tried: Tried, what: str, cause: str, ids: Ids = NO_IDS) -> None:
    """What is asked for is refused, or not served at that address; ``cause`` tells what is open where it is not."""
    if tried.is_absent:
        return
    if not tried.is_open:
        expect_refusal(probe, tried.exchange, what, statuses=range(400, 500), reasoned=False)
        return
    if await is_explained(probe, tried, what, ids):
        return
    found = describe(tried.exchange.response) if tried.exchange.response else ""
    probe.fail(f"{what} is refused", found, tried.exchange, cause=cause)


async def is_explained(probe: Probe, tried: Tried, what: str, ids: Ids) -> bool:
    """Whether what is open is open there to weaker states of the key as well: then it is blocked by that hole."""
    cause = await find_hole(probe, tried, ids)
    if cause is None:
        return False
    because = name_finding(cause.partition(":")[0], cause)
    probe.block(f"{what} is answered, as it is to anybody: that is a hole of its own", "", because=because)
    return True


def hole(address: Address, state: str) -> str:
    """The cause of every finding about what is open at that address to keys of that state."""
    return f"boundary:{address} {state}"
