"""What several checks need created once: a conversation of a key, a file of a key. Named after the run, and tiny.

Where GT's answers hold their ids and states is not documented, so every usual place is read.
"""

import re
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import anyio

from gt_conformance.checks import _requests as requests
from gt_conformance.checks._check import require_model
from gt_conformance.checks._notes import StopCheck
from gt_conformance.checks._probe import Probe
from gt_conformance.checks._uploads import Kind
from gt_conformance.checks._wording import SEND_JSON, describe
from gt_conformance.errors import Blocked
from gt_conformance.exchange import Exchange, NotJson, Request, Response
from gt_conformance.tenant import Credential, Tenant
from gt_conformance.vocabulary import CONVERSATION_HEADER, Modality, Purpose, Route

OPENED = "POST /v1/conversations gives 2xx and a conversation id"
"""What opening a conversation must give."""
OPEN_ANEW = (
    "Have the tenant, and every cache before it, open another conversation each time that it is asked to: an earlier "
    "one is given again."
)

READ_ONLY = (
    "the run is read-only, and this creates something in the tenant",
    "Set read_only: false in the tenant file if the run may create a tiny, named file or conversation.",
)

_GIVE_ID = (
    "Have the tenant answer with JSON that holds the id of what it has created: callers ask for a file, and carry on a "
    "conversation, by that id."
)
_LONGEST_ID = 2_048
"""Characters; servers take lines and headers of 8,000 bytes. Signed tokens serve as ids, and are long."""
_MAY_APPEAR = frozenset({403, 404, 410})
"""How what does not exist yet is refused: as what never existed is, or as what belongs to others."""
_APPEARS_S = (0.3, 0.9, 1.8)
"""The pauses before a conversation that was not found is asked for again."""


@dataclass(frozen=True)
class Created:
    """Something created in the tenant: its id, or None with the exchange that shows why not."""

    id: str | None
    exchange: Exchange


async def open_conversation(probe: Probe, key: Credential, *, titled: bool = True) -> Created:
    """A GT conversation of that key, created once a run, a failure as well; one without a title is another one."""
    _may_create(probe)
    require_model(probe.tenant, Modality.CHAT)

    async def make() -> tuple[Created, Sequence[Exchange]]:
        model = model_for(probe, key)
        request = requests.conversation(probe.tenant, key.name, probe.run_id, model=model, titled=titled)
        exchange = await probe.send(request, control=True)
        return Created(created_conversation(exchange.response), exchange), [exchange]

    return await probe.shared(("conversation", key.name, titled), make)


async def upload_file(
    probe: Probe, key: Credential, route: Route, kind: Kind = Kind.TEXT, *, plainly: bool = False
) -> Created:
    """A small file of that key, uploaded once a run into its conversation or into the tenant file's dataset."""
    _may_create(probe)

    async def make() -> tuple[Created, Sequence[Exchange]]:
        exchanges = []
        conversation_id = None
        if route is Route.CONVERSATION_FILES:
            conversation = await open_conversation(probe, key)
            exchanges.append(conversation.exchange)
            if conversation.id is None:
                return conversation, exchanges
            conversation_id = conversation.id
        path = upload_path(probe.tenant, route)
        request = requests.upload(
            probe.tenant, path, key.name, probe.run_id, kind=kind, conversation_id=conversation_id, plainly=plainly
        )
        if conversation_id is None:
            sent = [await probe.send(request, control=True)]
        else:
            sent = await until_known(lambda number: probe.send(request, again=number, control=True))
        return Created(_created_file(sent[-1].response), sent[-1]), [*exchanges, *sent]

    return await probe.shared(("file", key.name, route, kind, plainly), make)


async def upload_beside(probe: Probe, other: Credential) -> Exchange:
    """A small text of another key, a linked upload key, into the conversation of the check's key."""
    conversation = await open_conversation(probe, probe.credential)
    path = upload_path(probe.tenant, Route.CONVERSATION_FILES)
    return await probe.send(
        requests.upload(probe.tenant, path, other.name, probe.run_id, conversation_id=conversation.id)
    )


async def until_known(ask: Callable[[int], Awaitable[Exchange]]) -> list[Exchange]:
    """What a new conversation answers, asked again for some seconds while it is not found.

    What one instance made is seen by the next a moment later. ``ask`` is given the number of the attempt, from 0 on.
    """
    exchanges = [await ask(0)]
    for number, pause in enumerate(_APPEARS_S, start=1):
        response = exchanges[-1].response
        if not is_unknown(response):
            break
        await anyio.sleep(pause)
        exchanges.append(await ask(number))
    return exchanges


def is_unknown(response: Response | None) -> bool:
    """Whether the tenant does not know a conversation or a file, or not yet, or shows it to nobody yet."""
    return response is not None and response.status in _MAY_APPEAR


def upload_path(tenant: Tenant, route: Route) -> str:
    """Where files go by that route: into a conversation, or into the tenant file's dataset."""
    return route.path if route is Route.CONVERSATION_FILES else requests.dataset_path(tenant.dataset or "")


async def find_foreign_file(probe: Probe, key: Credential) -> tuple[str, Credential]:
    """The real id of a file that a key other than this one uploaded, linked to it neither by an entry nor by a dataset.

    Raises Blocked.
    """
    blocker = Blocked(
        "a refusal looks like an absence without a real file, and no other key could upload one",
        "Add a live key with purpose upload and its dataset to the tenant file.",
        cause=probe.tenant.cause_without(Purpose.UPLOAD) and probe.tenant.cause_without(Purpose.CONVERSATION),
    )
    for other in unrelated_keys(probe, key):
        for route in (Route.DATASET_FILES, Route.CONVERSATION_FILES):
            if not can_upload(probe.tenant, other, route) or (
                route is Route.DATASET_FILES and writes_dataset(probe, key)
            ):
                continue
            try:
                made = await upload_file(probe, other, route)
                if made.id is not None:
                    return made.id, other
                await probe.require_route(route, other.name)
                if route is Route.CONVERSATION_FILES:
                    await probe.require("upload.conversation_ready", other.name)
            except Blocked as blocked:
                blocker = blocked  # that key has a problem of its own: another one may do
    raise blocker


async def find_foreign_conversation_file(probe: Probe, key: Credential) -> tuple[str, Credential] | None:
    """The same of a file in a conversation, of the key that uploads into one in any case; None where that is no other.

    A file in a conversation has another way to its owner than one in a dataset: what keeps one keeps not the other.
    """
    tenant = probe.tenant
    owner = next((one for one in tenant.live_credentials if can_upload(tenant, one, Route.CONVERSATION_FILES)), None)
    if owner is None or owner not in unrelated_keys(probe, key):
        return None
    with suppress(Blocked):
        made = await upload_file(probe, owner, Route.CONVERSATION_FILES)
        if made.id is not None:
            return made.id, owner
    return None


async def find_foreign_conversation(probe: Probe, key: Credential) -> tuple[str, Credential]:
    """The real id of a conversation that a key other than this one, and not linked to it, opened. Raises Blocked."""
    return await find_conversation(probe, unrelated_keys(probe, key))


async def find_conversation(probe: Probe, owners: Iterable[Credential]) -> tuple[str, Credential]:
    """The id of a conversation that the first of these keys opened that may open one. Raises Blocked."""
    blocker = Blocked(
        "a refusal looks like an absence without a real conversation, and no other key could open one",
        "Add another live key with purpose conversation to the tenant file.",
        cause=probe.tenant.cause_without(Purpose.CONVERSATION),
    )
    for other in owners:
        if not other.holds_conversations:
            continue
        try:
            made = await open_conversation(probe, other)
            if made.id is not None:
                return made.id, other
            await probe.require_route(Route.CONVERSATION_FILES, other.name)
        except Blocked as blocked:
            blocker = blocked
    raise blocker


def unrelated_keys(probe: Probe, key: Credential) -> list[Credential]:
    """The live credentials that have nothing to do with this one: neither inherits from the other."""
    return [
        other
        for other in probe.tenant.live_credentials
        if other.name != key.name
        and other.secret != key.secret
        and other.name not in key.inherits
        and key.name not in other.inherits
        and not set(other.inherits) & set(key.inherits)
    ]


CONVERSATIONS_OPEN = "conversations:open to uploads of others"
"""The one cause of every upload that another key's conversation takes, whatever right that key has."""
READ_BY_OTHERS = "conversation:read by others"
KEEP_FROM_OTHERS = (
    "Have the tenant take X-GT-Conversation-Id from the key that opened the conversation alone, everywhere."
)
KEEP_CONVERSATIONS = "Have the tenant take uploads into a conversation from the key that opened it alone."
FILES_OPEN = "files:open to others"
"""The cause of all that is shown of a file to those who neither uploaded it nor share anything with who did."""
KEEP_FILES = "Have the tenant refuse GET /v1/files/{id} to keys without the file's dataset or conversation."


async def is_open_to_strangers(probe: Probe, status_path: str, owner: Credential) -> bool:
    """Whether a key with files of its own, unrelated to the owner, is told the state of that file as well."""
    for other in unrelated_keys(probe, owner):
        if other.may(Route.FILE_STATUS) and not writes_dataset(probe, other):
            with suppress(Blocked):
                request = requests.get(probe.tenant, status_path, other.name)
                answered = (await probe.send(request)).response
                return answered is not None and answered.succeeded
    return False


def writes_dataset(probe: Probe, key: Credential) -> bool:
    """Whether the key may write the tenant file's dataset, or may for all that is declared: it then sees its files."""
    dataset = probe.tenant.dataset
    return dataset is not None and key.may(Route.DATASET_FILES) is not False and key.may_write(dataset) is not False


def can_upload(tenant: Tenant, key: Credential, route: Route) -> bool:
    """Whether the tenant file declares that this key may upload there."""
    if route is Route.CONVERSATION_FILES:
        return key.holds_conversations is True
    dataset = tenant.dataset
    return dataset is not None and key.may(Route.DATASET_FILES) is True and key.may_write(dataset) is not False


def upload_route(tenant: Tenant, key: Credential) -> Route | None:
    """Where this key may upload: into the tenant file's dataset, else into a conversation; None where nowhere."""
    routes = (Route.DATASET_FILES, Route.CONVERSATION_FILES)
    return next((route for route in routes if can_upload(tenant, key, route)), None)


def expect_id(probe: Probe, made: Created, expected: str) -> str:
    """The id of what was created; where there is none, that is the violation, and the check ends."""
    response = probe.success(made.exchange, expected)
    if made.id is None:
        try:
            if isinstance(body := response.json(), str):
                probe.expect_json_once(made.exchange, body, expected)
            found, remedy = f"{describe(response)} without an id", _GIVE_ID
        except NotJson as error:
            found, remedy = f"HTTP {response.status}, but {error}", SEND_JSON if response.body else _GIVE_ID
        probe.usable = False
        probe.fail(expected, found, made.exchange, remedy=remedy, cause="shape:created:id")
        raise StopCheck
    return made.id


def _may_create(probe: Probe) -> None:
    if probe.tenant.read_only:
        raise Blocked(*READ_ONLY)


def model_for(probe: Probe, key: Credential) -> str:
    """The name by which the key opens conversations and chats in them: that of the chats where it may use that.

    What is refused for its name says nothing of whose conversation it is.
    """
    chat = probe.model(Modality.CHAT)
    return chat if key.may_use(chat) is not False or not key.models else min(key.models)


def id_in_header(response: Response | None) -> str:
    """The conversation that an answer names in its header; empty where it names none."""
    return (response.header(CONVERSATION_HEADER) or "").strip() if response is not None else ""


NAMED_IN_BODY = ("conversation_id", "conversation", "thread_id", "session_id")
"""Where other APIs name a conversation (OpenAI's Responses, Dify, LangGraph): a tenant may read some of them too."""


def conversation_named_by(request: Request) -> str | None:
    """The conversation that a chat names, in its header or in its body; None where it names none."""
    named: str | None = request.fields.get(NAMED_IN_BODY[0])
    return dict(request.headers).get(CONVERSATION_HEADER) or named


async def open_another(probe: Probe, model: str, number: int) -> str | None:
    """The id of one more conversation of the same key, in which nothing was said yet; None where there is none."""
    opening = requests.conversation(probe.tenant, probe.credential.name, probe.run_id, model=model, titled=False)
    return created_conversation((await probe.send(opening, again=number, control=True)).response)


def created_conversation(response: Response | None) -> str | None:
    """The id of the conversation that was opened; None where none was, or none that can be named."""
    if response is None or not response.succeeded:
        return None
    found = (id_in_header(response), conversation_id_in(_body(response)))
    return next((one for one in map(_usable, found) if one is not None and one.isascii()), None)


def created_id(exchange: Exchange) -> str | None:
    """The id of the conversation that was opened, or the file that was uploaded; None where it is neither."""
    if exchange.request.path.endswith("/conversations"):
        return created_conversation(exchange.response)
    return _created_file(exchange.response) if _UPLOAD.search(exchange.request.path) else None


def given_to_another(seen: Iterable[Exchange]) -> Iterator[Exchange]:
    """What was created for one request and answered to another: by its file's name, or its title, which is not its own.

    One key gives its conversations one title. A tenant may call a file otherwise than it was sent, or know it already.
    """
    made = [one for one in seen if one.request.creates]
    titles: dict[str | None, frozenset[object]] = {}
    for one in made:
        titles[one.request.key] = titles.get(one.request.key, frozenset()) | {one.request.fields.get("title")}
    files = {one.ref: frozenset(part.filename for part in one.request.parts if part.filename) for one in made}
    sent = frozenset().union(*titles.values(), *files.values()) - {None}
    alike: dict[bytes, set[object]] = {}
    for part in (part for one in made for part in one.request.parts if part.filename):
        alike.setdefault(part.content, set()).add(part.filename)
    for one in made:
        named, own = _names_in(one.response), files[one.ref] | titles[one.request.key]
        own = own.union(*(alike[part.content] for part in one.request.parts if part.filename))
        if created_id(one) is not None and named & sent and named.isdisjoint(own):
            yield one


def _names_in(response: Response | None) -> frozenset[object]:
    body = _body(response) if response is not None else None
    within = [body.get(place) for place in (*_ENVELOPES, *_NAMES)] if isinstance(body, dict) else []
    places = [body, *within]
    found = (place.get(name) for place in places if isinstance(place, dict) for name in _STATED)
    return frozenset(name for name in found if isinstance(name, str))


_STATED = ("filename", "file_name", "original_filename", "name", "title")
OF_ANOTHER = "ids:of another request"
OWN_IDS = (
    "Have the tenant, and every cache or pool of connections before it, answer each upload and each new conversation "
    "with its own id: some get that of another request."
)
FILES_GIVEN_AGAIN = "ids:/files given again"
NEW_FILE_IDS = (
    "Have the tenant, and every cache before it, give each file that is uploaded an id of its own: an earlier one is "
    "given again."
)


def files_given_again(seen: Iterable[Exchange]) -> Iterator[Exchange]:
    """The uploads that are answered with the id of another file: a tenant may know a file of the same content."""
    known: dict[str, tuple[bytes, ...]] = {}
    for one in seen:
        content = tuple(part.content for part in one.request.parts if part.filename)
        given = created_id(one) if one.request.creates and content else None
        if given is not None and known.setdefault(given, content) != content:
            yield one


_UPLOAD = re.compile(r"/(?:conversations|datasets/[^/]+)/files\Z")


def _created_file(response: Response | None) -> str | None:
    if response is None or not response.succeeded:
        return None
    return _usable(file_id_in(_body(response)))


def _usable(found: str | None) -> str | None:
    # An id travels in a path or a header from now on: one that cannot is no id. A path takes any letter, encoded.
    return found if found and len(found) <= _LONGEST_ID and found.isprintable() and _is_text(found) else None


def _is_text(found: str) -> bool:
    """Whether UTF-8 can write it: JSON escapes may be halves of letters."""
    try:
        found.encode()
    except UnicodeEncodeError:
        return False
    return True


def _body(response: Response) -> object:
    try:
        return response.json()
    except NotJson:
        return None


# -- where answers hold ids and states

_NAMES = ("file", "files", "upload", "uploads", "document", "documents")
_ENVELOPES = ("data", "result")
_HOLDERS = (
    *((name,) for name in _NAMES),
    *((outer, name) for outer in _ENVELOPES for name in (*_NAMES, "attributes")),
    *((outer,) for outer in _ENVELOPES),
    (),
)
"""What a body may hold a file in, the most specific first; at last the body itself."""
_FILE_IDS = ("file_id", "upload_id", "document_id", "id")
_CONVERSATION = (("conversation_id",), ("conversation", "conversation_id"), ("conversation", "id"))


def conversation_id_in(body: Any) -> str | None:
    """The conversation id in a body, the most specific place first; lists in it may hold what was said."""
    places = (*_CONVERSATION, ("data", "conversation_id"), ("data", "id"), ("id",))
    return _first(_ids_in(_only(body), places, lists=False))


def file_id_in(body: Any) -> str | None:
    """The file id in a body, the most specific place first."""
    names = [(name,) for name in _FILE_IDS]
    return _first(_ids_in(_only(body), names[:1])) or _first(
        value for holder in _held(body) for value in _ids_in(holder, names)
    )


def dataset_id_in(body: Any) -> str | None:
    """The id of the dataset that a file is in, where a body names one."""
    names = (("dataset_id",), ("conversation_dataset_id",), ("dataset", "id"), ("dataset", "dataset_id"), ("dataset",))
    return _first(value for holder in _held(body) for value in _ids_in(holder, names))


def state_in(body: Any) -> str | None:
    """The processing state in a body as it is written. Inner ones first: an envelope may say ``success`` of itself.

    It is a word, or an object that has it.
    """
    names = ("processing_status", "processing_state", "indexing_status", "processing", "status", "state")
    words = ((), ("state",), ("status",), ("phase",), ("name",), ("value",), ("code",))
    named = (value for holder in _held(body) for value in _values(holder, [(name,) for name in names]))
    found = _first(word for value in named if value is not None for word in _values(value, words))
    return found.strip() if found else None


def _held(body: Any) -> Iterator[Any]:
    """What a body may hold a file in, where it is there, in the order of ``_HOLDERS``."""
    return (holder for holder in _values(_only(body), _HOLDERS) if isinstance(holder, Mapping))


def _ids_in(body: Any, places: Sequence[tuple[str, ...]], *, lists: bool = True) -> Iterator[Any]:
    """What is at these places, a number as its digits."""
    for value in _values(body, places, lists=lists):
        yield str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _values(body: Any, places: Sequence[tuple[str, ...]], *, lists: bool = True) -> Iterator[Any]:
    """What is at these places in turn; on the way, a list of one is read as what is in it."""
    for place in places:
        value = body
        for name in place:
            value = value.get(name) if isinstance(value, Mapping) else None
            value = _only(value) if lists else value
        yield value


def _first(values: Iterable[Any]) -> str | None:
    return next((value for value in values if isinstance(value, str) and value.strip()), None)


def _only(value: Any) -> Any:
    return value[0] if isinstance(value, list) and len(value) == 1 else value
