"""The routes that GT adds: conversations are opened and carried on, files are uploaded, processed and kept apart."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import anyio

from gt_conformance.checks import _requests as requests
from gt_conformance.checks._capability import (
    ISOLATION,
    PLANTED,
    QUESTION,
    TRIES,
    Ability,
    complete,
    fact_of,
    names_fact,
    remark_late,
    require_ability,
    tell,
)
from gt_conformance.checks._check import (
    ADD_UPLOAD_KEY,
    MINIMAL,
    Items,
    NarrowestKey,
    RunbookKey,
    check,
    gt_extension,
)
from gt_conformance.checks._completion import plain_chat, text_in
from gt_conformance.checks._probe import Probe, describe, describe_failure, expect_refusal
from gt_conformance.checks._resources import (
    OPENED,
    can_upload,
    expect_id,
    find_foreign_conversation,
    open_conversation,
    state_in,
    unrelated_keys,
    upload_file,
    writes_dataset,
)
from gt_conformance.checks._surfaces import Ids, expect_shut, hole, places, try_or_block
from gt_conformance.checks.names import require_published
from gt_conformance.errors import Blocked
from gt_conformance.exchange import Exchange, NotJson, Response, shortened
from gt_conformance.tenant import Credential, Tenant
from gt_conformance.together import together
from gt_conformance.vocabulary import CONVERSATION_HEADER, Actor, Fact, Modality, Route, Severity

_ACCEPTED = "the upload is accepted with 2xx and a file id"
_STATUS = "GET /v1/files/{id} answers with a processing state"
_READY = frozenset({"ready"})
_FAILED = frozenset({"failed"})
_FIRST_PAUSE_S = 0.2
_LONGEST_PAUSE_S = 5.0
_STRANGERS = 2


# -- conversations


@check(
    "conversation.create",
    claim="A conversation can be opened, and a chat carries it on.",
    remedy="Use a key with purpose conversation that is allowed the model, linked to an inference and an upload key.",
    source="GT API reference, Create a GT conversation; GT API keys and access, Key purposes",
    clauses=("V1", "V3", "V4", "K3"),
    acts=Actor.TENANT,
    severity=Severity.HIGH,
    opens=Route.CONVERSATION_FILES,
    rows=gt_extension(Route.CONVERSATION_FILES),
    shows=(Fact.CONVERSATION_KEY,),
    creates=True,
)
async def create(probe: Probe) -> None:
    """2xx and an id, in the body or in X-GT-Conversation-Id; a following chat accepts it."""
    opened = await open_conversation(probe, probe.credential)
    if probe.parameters.minimal:
        await require_published(probe, opened.exchange, Modality.CHAT)
    conversation_id = expect_id(probe, opened, OPENED)
    if probe.parameters.minimal:
        return
    # Where chat fails without a conversation as well, that says nothing of the id.
    await probe.require_route(Route.CHAT)
    await complete(
        probe, plain_chat(probe, conversation=conversation_id), "a chat with the new X-GT-Conversation-Id completes"
    )


@check(
    "conversation.continuity",
    claim="A conversation continues: the next turn knows what the user wrote in the turn before.",
    remedy="Have the tenant store the turns of a conversation and give them to the model under X-GT-Conversation-Id.",
    source="GT API reference, Run a chat completion; GT API reference, Conversation continuity header",
    clauses=("C3", "C5"),
    acts=Actor.TENANT,
    severity=Severity.HIGH,
    rests_on=("conversation.create",),
    items=Items(RunbookKey(Route.CONVERSATION_FILES)),
    creates=True,
)
async def continuity(probe: Probe) -> None:
    """A fact of the first chat is known to the second under the same id, and not without the header."""
    await probe.require_route(Route.CHAT)
    conversation_id = expect_id(probe, await open_conversation(probe, probe.credential), OPENED)
    fact = fact_of(probe, "continuity")
    first, _ = await complete(
        probe,
        plain_chat(probe, tell(fact), conversation=conversation_id),
        "the first chat of the conversation completes",
    )
    returned = first.response.header(CONVERSATION_HEADER) if first.response else None
    probe.must(
        returned in {None, conversation_id},
        "the conversation id stays the same",
        f"it became {shortened(returned or '', 60)}",
        first,
    )
    probe.stop_if_failed()
    await _expect_recall(probe, fact, conversation_id)
    alone, choice = await complete(probe, plain_chat(probe, QUESTION), "the same question without the header completes")
    # A tenant may go on in the key's last conversation, which need not be this one.
    told = (fact, fact_of(probe, ISOLATION), fact_of(probe, PLANTED))
    knows = any(names_fact(text_in(choice["message"]), one) for one in told)
    probe.must(not knows, "without the header the chat is stateless", "it knows a code word of a conversation", alone)


async def _expect_recall(probe: Probe, fact: str, conversation_id: str) -> None:
    """The model is asked several times; where it never knows, it is the tenant that forgets if the model can recall."""
    asked: Exchange | None = None
    for number in range(TRIES):
        asked, choice = await complete(
            probe,
            plain_chat(probe, QUESTION, conversation=conversation_id),
            "the second chat of the conversation completes",
            first=number * TRIES,
        )
        probe.stop_if_failed()
        if names_fact(text_in(choice["message"]), fact):
            remark_late(probe, "recalled the fact", number, asked)
            return
    await require_ability(probe, Ability.RECALL)
    probe.fail(f"the second chat knows the code word ({fact})", f"{TRIES} answers without it", asked)


@check(
    "conversation.same_key",
    claim="One key opens a conversation, chats in it and uploads to it.",
    remedy="Link the conversation key to an inference key and an upload key that allows conversation uploads.",
    source="GT API keys and access, Key purposes",
    clauses=("K3", "K5"),
    acts=Actor.TENANT,
    severity=Severity.HIGH,
    rests_on=("conversation.create",),
    items=Items(RunbookKey(Route.CONVERSATION_FILES)),
    creates=True,
)
async def same_key(probe: Probe) -> None:
    """The same credential creates, chats and uploads."""
    await probe.require_route(Route.CHAT)
    key = probe.credential
    conversation_id = expect_id(probe, await open_conversation(probe, key), OPENED)
    await complete(
        probe, plain_chat(probe, conversation=conversation_id), "the key that opened the conversation chats in it"
    )
    made = await upload_file(probe, key, Route.CONVERSATION_FILES)
    expect_id(probe, made, "the key that opened the conversation uploads to it: 2xx and a file id")


# -- uploads


@dataclass(frozen=True)
class Polled:
    """The polls of one file, to its end or to the deadline: the states in order of first sight."""

    states: tuple[str, ...]
    exchanges: tuple[Exchange, ...]
    waited_s: float

    @property
    def last(self) -> Exchange:
        """The poll that ended it."""
        return self.exchanges[-1]


def _can_upload_somewhere(tenant: Tenant, key: Credential) -> bool:
    writes = tenant.dataset is not None and key.may(Route.DATASET_FILES) and key.may_write(tenant.dataset) is not False
    return bool(writes or key.holds_conversations)


_UPLOADER = NarrowestKey("that can upload", _can_upload_somewhere, ADD_UPLOAD_KEY)


@check(
    "upload.needs_conversation",
    claim="A conversation upload needs a conversation of the same key.",
    remedy="Have the tenant refuse conversation uploads that name no conversation, an unknown one, or a foreign one.",
    source="GT API reference, Upload into a conversation flow; GT API reference, Bearer authentication",
    clauses=("U1", "A8"),
    acts=Actor.TENANT,
    severity=Severity.CRITICAL,
    rests_on=("conversation.create",),
    rows=gt_extension(Route.CONVERSATION_FILES),
    creates=True,
    refuses=True,
)
async def needs_conversation(probe: Probe) -> None:
    """Refused with 4xx: without the header, with an unknown id, with a conversation of another key."""
    key = probe.credential
    own = await open_conversation(probe, key)
    expect_id(probe, own, OPENED)
    cases: dict[str, str | None] = {"without X-GT-Conversation-Id": None, "with an unknown id": requests.MADE_UP_ID}
    try:
        cases["with another key's conversation"], _ = await find_foreign_conversation(probe, key)
    except Blocked as blocked:
        probe.block(blocked.reason, blocked.remedy)
    path = Route.CONVERSATION_FILES.path
    asked = [
        requests.upload(probe.tenant, path, key.name, probe.run_id, conversation_id=conversation_id)
        for conversation_id in cases.values()
    ]
    for case, exchange in zip(cases, await probe.send_all(asked), strict=True):
        what = f"a conversation upload {case}"
        expect_refusal(probe, exchange, what, statuses=range(400, 500), reasoned=False)


@check(
    "upload.conversation_ready",
    claim="A file uploaded into a conversation is processed to ready.",
    remedy="Check the tenant's document processing, and that the key's linked upload key allows conversation uploads.",
    source="GT API reference, Upload into a conversation flow; "
    "GT API reference, Poll file processing status; "
    "GT API keys and access, Key purposes",
    clauses=("K3", "F1", "F5"),
    acts=Actor.TENANT,
    severity=Severity.HIGH,
    rests_on=("conversation.create",),
    rows=gt_extension(Route.CONVERSATION_FILES),
    creates=True,
)
async def conversation_ready(probe: Probe) -> None:
    """A tiny text file is accepted with a file id and polls to ready in time."""
    if probe.parameters.minimal:
        expect_id(probe, await upload_file(probe, probe.credential, Route.CONVERSATION_FILES), _ACCEPTED)
        return
    await _expect_ready(probe, Route.CONVERSATION_FILES)


@check(
    "upload.dataset_ready",
    claim="A file uploaded into the dataset is processed to ready.",
    remedy="Check the tenant's document processing, and that the key has datasets:write for this dataset.",
    source="GT API reference, Upload into a dataset target; "
    "GT API reference, Poll file processing status; "
    "GT API keys and access, Key purposes",
    clauses=("K2", "U5", "F1", "F5"),
    acts=Actor.TENANT,
    severity=Severity.HIGH,
    opens=Route.DATASET_FILES,
    rows=gt_extension(Route.DATASET_FILES),
    shows=(Fact.UPLOAD_KEY, Fact.DATASET_ALLOWLISTED),
    creates=True,
)
async def dataset_ready(probe: Probe) -> None:
    """The same, into the tenant file's dataset and nowhere else."""
    if probe.tenant.dataset is None:
        raise Blocked(
            "no dataset is named, and uploads go to a named one only",
            "Add dataset: NAME to the tenant file: a scratch dataset that may receive tiny files.",
            cause="dataset",
        )
    if probe.parameters.minimal:
        expect_id(probe, await upload_file(probe, probe.credential, Route.DATASET_FILES), _ACCEPTED)
        return
    await _expect_ready(probe, Route.DATASET_FILES)


@check(
    "files.status",
    claim="The state of an upload can be asked for from the first moment.",
    remedy="Have the tenant answer GET /v1/files/{id} once the upload is accepted, and refuse unknown ids with a 4xx.",
    source="GT API reference, Poll file processing status",
    clauses=("F1",),
    acts=Actor.TENANT,
    severity=Severity.HIGH,
    opens=Route.FILE_STATUS,
    rows=gt_extension(Route.FILE_STATUS),
    creates=True,
)
async def status(probe: Probe) -> None:
    """Each poll answers with a state; an unknown id is 4xx; /v1/uploads/{id} should agree."""
    key = probe.credential
    file_id = await _file_id(probe, key)
    if probe.parameters.minimal:
        first = await probe.send(requests.get(probe.tenant, requests.status_path(file_id), key.name))
        probe.json(first, "file-status", _STATUS)
        return
    polled = await _poll(probe, key, file_id)
    for exchange in polled.exchanges:
        probe.json(exchange, "file-status", _STATUS)
    unknown = await probe.send(requests.get(probe.tenant, requests.status_path(requests.MADE_UP_ID), key.name))
    refused = unknown.response is not None and unknown.response.refused
    probe.should(refused, "the state of an unknown file id should be refused with a 4xx", unknown)
    alias = await probe.send(requests.get(probe.tenant, requests.alias_path(file_id), key.name))
    same = alias.response is not None and alias.response.succeeded and _state_in(alias.response) is not None
    probe.should(same, "GET /v1/uploads/{id}, the documented alias, does not answer as GET /v1/files/{id} does", alias)


@check(
    "files.isolated",
    claim="The state of an upload is not visible to keys that share neither its dataset nor its conversation.",
    remedy="Have the tenant refuse GET /v1/files/{id} to keys without the file's dataset or conversation.",
    source="GT API reference, Bearer authentication",
    clauses=("F4", "A2"),
    acts=Actor.TENANT,
    severity=Severity.CRITICAL,
    rows=gt_extension(Route.FILE_STATUS),
    tenant_wide=_UPLOADER,
    by_surface=True,
    creates=True,
    refuses=True,
)
async def isolated(probe: Probe) -> None:
    """A file's state is refused to keys that share neither link nor dataset with its uploader, the likeliest first."""
    key = probe.credential
    strangers = _strangers(probe, key)
    if not strangers:
        raise Blocked(
            f"every other key is linked to {key.name}, may write the same dataset, or there is none",
            "Add another live key to the tenant file, with datasets: [...] of its own if it uploads.",
        )
    # What its own uploader is not shown says nothing when it is not shown to others.
    await probe.require_route(Route.FILE_STATUS)
    file_id = await _file_id(probe, key)
    ids = Ids(file=file_id)
    asked = places(replace(probe.parameters, routes=(Route.FILE_STATUS,)))
    most = 1 if probe.parameters.keys else _STRANGERS
    tried, blocks = 0, []
    while strangers and tried < most:
        some, strangers = strangers[: most - tried], strangers[most - tried :]
        for stranger, found in zip(
            some, await together(try_or_block(probe, asked, stranger.name, ids) for stranger in some), strict=True
        ):
            if isinstance(found, Blocked):
                blocks.append(found)  # a key in trouble of its own: another one may do
                continue
            tried += 1
            plain = found[0].is_open
            for one in found:
                what = f"the file's state, asked for by the key {stranger.name} at {one.surface.named(one.address)},"
                cause = hole(one.address, f"of another: {one.surface.id}") if one.is_open and not plain else ""
                await expect_shut(probe, one, what, cause, ids)
    if not tried:
        raise blocks[0]


def _strangers(probe: Probe, key: Credential) -> list[Credential]:
    """The keys that scopes, allowlists and links keep from this one's files; first those that see files of their own.

    Two upload keys of one dataset may both poll its files.
    """
    to_dataset = _upload_route(probe, key) is Route.DATASET_FILES
    apart = [other for other in unrelated_keys(probe, key) if not (to_dataset and writes_dataset(probe, other))]
    return sorted(apart, key=lambda other: other.may(Route.FILE_STATUS) is not True)


async def _file_id(probe: Probe, key: Credential) -> str:
    # That an upload fails is a finding of the upload's own rows, and says nothing of a file's state.
    route = _upload_route(probe, key)
    await probe.require_route(route, key.name)
    if route is Route.CONVERSATION_FILES:
        await probe.require("upload.conversation_ready", key.name, MINIMAL)
    made = await upload_file(probe, key, route)
    return expect_id(probe, made, _ACCEPTED)


async def _expect_ready(probe: Probe, route: Route) -> None:
    made = await upload_file(probe, probe.credential, route)
    file_id = expect_id(probe, made, _ACCEPTED)
    polled = await _poll(probe, probe.credential, file_id)
    if _state_in(polled.last.response) is None:
        # Nor is it the upload's fault that its state cannot be read.
        await probe.require_route(Route.FILE_STATUS)
        raise Blocked(
            f"whether the file became ready is unknown: GET /v1/files/{{id}} gave {_outcome(polled.last)}",
            "Fix GET /v1/files/{id} for this key first, then run again.",
        )
    seen = " → ".join(polled.states)
    expected = f"the file becomes ready within {probe.tenant.limits.poll_timeout_s:g} s (poll_timeout_s)"
    if polled.states[-1] in _FAILED:
        found = f"processing failed: {seen} after {polled.waited_s:.1f} s"
        probe.fail(expected, found, polled.last, cause="processing:failed")
    elif polled.states[-1] not in _READY:
        found = f"still {polled.states[-1]} after {polled.waited_s:.0f} s: {seen}"
        probe.fail(expected, found, polled.last, cause="processing:not ready")


async def _poll(probe: Probe, key: Credential, file_id: str) -> Polled:
    """Ask for the state until it is final, with growing pauses; done once a run for each file."""

    async def make() -> tuple[Polled, Sequence[Exchange]]:
        states: list[str] = []
        exchanges: list[Exchange] = []
        started = anyio.current_time()
        deadline = started + probe.tenant.limits.poll_timeout_s
        pause = _FIRST_PAUSE_S
        while True:
            request = requests.get(probe.tenant, requests.status_path(file_id), key.name)
            exchange = await probe.send(request, again=len(exchanges))
            exchanges.append(exchange)
            state = _state_in(exchange.response)
            if state is not None and state not in states[-1:]:
                states.append(state)
            now = anyio.current_time()
            if state is None or state in _READY | _FAILED or now >= deadline:
                return Polled(tuple(states), tuple(exchanges), now - started), exchanges
            await anyio.sleep(min(pause, deadline - now))
            pause = min(pause * 1.6, _LONGEST_PAUSE_S)

    return await probe.shared(("polls", key.name, file_id), make)


def _outcome(exchange: Exchange) -> str:
    response = exchange.response
    if response is None:
        return describe_failure(exchange)
    return f"{describe(response)} without an id or a state" if response.succeeded else describe(response)


def _state_in(response: Response | None) -> str | None:
    if response is None or not response.succeeded:
        return None
    try:
        return state_in(response.json())
    except NotJson:
        return None


def _upload_route(probe: Probe, key: Credential) -> Route:
    return Route.DATASET_FILES if can_upload(probe, key, Route.DATASET_FILES) else Route.CONVERSATION_FILES
