"""GT uploads: accepted, processed to ready, seen by their owner alone."""

from collections.abc import Sequence
from dataclasses import dataclass

import anyio

from gt_conformance.checks import _envelope as envelope
from gt_conformance.checks import _requests as requests
from gt_conformance.checks._holdings import (
    a_conversation_of_another,
    can_upload,
    id_of,
    opened,
    others,
    status_path,
    uploaded,
)
from gt_conformance.checks._probe import Probe, no_answer, said
from gt_conformance.checks._registry import check
from gt_conformance.errors import Blocked
from gt_conformance.exchange import Exchange, NotJson, Response
from gt_conformance.tenant import Credential
from gt_conformance.vocabulary import Route

_ACCEPTED = "the upload is accepted with 2xx and a file id"
_STATUS = "GET /v1/files/{id} answers with a processing state"
_READY = frozenset({"ready"})
_FAILED = frozenset({"failed"})
_FIRST_PAUSE_S = 0.2
_LONGEST_PAUSE_S = 5.0
_STRANGERS = 2


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


@check(
    "upload.needs_conversation",
    claim="A conversation upload needs a conversation of the same key.",
    remedy="Have the tenant refuse conversation uploads that name no conversation, an unknown one, or a foreign one.",
    source="GT API reference, Upload into a conversation flow",
    creates=True,
)
async def needs_conversation(probe: Probe) -> None:
    """Refused with 4xx: without the header, with an unknown id, with a conversation of another key."""
    key = probe.credential
    own = await opened(probe, key)
    id_of(probe, own, "POST /v1/conversations gives 2xx and a conversation id")
    cases: dict[str, str | None] = {"without X-GT-Conversation-Id": None, "with an unknown id": requests.MADE_UP_ID}
    try:
        cases["with another key's conversation"], _ = await a_conversation_of_another(probe, key)
    except Blocked as blocked:
        probe.block(blocked.reason, blocked.remedy)
    for case, conversation_id in cases.items():
        exchange = await probe.send(
            requests.upload(
                probe.tenant, "/v1/conversations/files", key.name, probe.run_id, conversation_id=conversation_id
            )
        )
        expected = f"a conversation upload {case} is refused with a 4xx"
        response = probe.answer(exchange, expected)
        probe.must(response.refused, expected, said(response), exchange)


@check(
    "upload.conversation_ready",
    claim="A file uploaded into a conversation is processed to ready.",
    remedy="Check the tenant's document processing, and that the key's linked upload key allows conversation uploads.",
    source="GT API reference, Upload into a conversation flow; Poll file processing status",
    creates=True,
)
async def conversation_ready(probe: Probe) -> None:
    """A tiny text file is accepted with a file id and polls to ready in time."""
    await _becomes_ready(probe, Route.CONVERSATION_FILES)


@check(
    "upload.dataset_ready",
    claim="A file uploaded into the dataset is processed to ready.",
    remedy="Check the tenant's document processing, and that the key has datasets:write for this dataset.",
    source="GT API reference, Upload into a dataset target; Poll file processing status",
    creates=True,
)
async def dataset_ready(probe: Probe) -> None:
    """The same, into the tenant file's dataset and nowhere else."""
    if probe.tenant.dataset is None:
        raise Blocked(
            "the tenant file names no dataset, and uploads go to a named one only",
            "Add dataset: NAME to the tenant file: a scratch dataset that may receive tiny files.",
        )
    await _becomes_ready(probe, Route.DATASET_FILES)


@check(
    "files.status",
    claim="The state of an upload can be asked for from the first moment.",
    remedy="Have the tenant answer GET /v1/files/{id} once the upload is accepted, and refuse unknown ids with a 4xx.",
    source="GT API reference, Poll file processing status",
    creates=True,
)
async def status(probe: Probe) -> None:
    """Each poll answers with a state; an unknown id is 4xx; /v1/uploads/{id} should agree."""
    key = probe.credential
    file_id = await _a_file(probe, key)
    polled = await _poll(probe, key, file_id)
    for exchange in polled.exchanges:
        probe.json(exchange, "file-status", _STATUS)
    unknown = await probe.send(requests.get(probe.tenant, status_path(requests.MADE_UP_ID), key.name))
    expected = "the state of an unknown file id is refused with a 4xx"
    response = probe.answer(unknown, expected)
    probe.must(response.refused, expected, said(response), unknown)
    alias = await probe.send(requests.get(probe.tenant, status_path(file_id, alias=True), key.name))
    same = alias.response is not None and alias.response.succeeded and _state_in(alias.response) is not None
    probe.should(same, "GET /v1/uploads/{id}, the documented alias, does not answer as GET /v1/files/{id} does", alias)


@check(
    "files.isolated",
    claim="The state of an upload is shown to its own key only.",
    remedy="Have the tenant refuse GET /v1/files/{id} to keys that did not upload the file.",
    source="GT API reference, Poll file processing status; GT API keys and access",
    creates=True,
)
async def isolated(probe: Probe) -> None:
    """A file's state is refused to a credential that has nothing to do with its uploader."""
    key = probe.credential
    strangers = others(probe, key)
    if not strangers:
        raise Blocked(
            f"every other key of the tenant file is linked to {key.name}, or there is none",
            "Add another live key to the tenant file.",
        )
    file_id = await _a_file(probe, key)
    tried, blocks = 0, []
    for stranger in strangers:
        try:
            exchange = await probe.send(requests.get(probe.tenant, status_path(file_id), stranger.name))
        except Blocked as blocked:
            blocks.append(blocked)  # a key in trouble of its own: another one may do
            continue
        expected = f"the file's state is refused to the key {stranger.name} with a 4xx"
        response = probe.answer(exchange, expected)
        probe.must(response.refused, expected, said(response), exchange)
        tried += 1
        if tried == _STRANGERS:
            break
    if not tried:
        raise blocks[0]


async def _a_file(probe: Probe, key: Credential) -> str:
    # That an upload fails is the finding of the upload's own rows: nothing was told of the file's state.
    made = await uploaded(probe, key, _upload_route(probe, key))
    if made.id is None:
        raise Blocked(
            f"there is no file whose state could be asked for: the upload by the key {key.name} gave "
            f"{_outcome(made.exchange)}",
            "Mend uploads for this key first; then run again.",
        )
    return made.id


async def _becomes_ready(probe: Probe, route: Route) -> None:
    made = await uploaded(probe, probe.credential, route)
    file_id = id_of(probe, made, _ACCEPTED)
    polled = await _poll(probe, probe.credential, file_id)
    if _state_in(polled.last.response) is None:
        # Nor is it the upload's fault that its state is not told.
        raise Blocked(
            f"whether the file became ready could not be told: GET /v1/files/{{id}} gave {_outcome(polled.last)}",
            "Mend GET /v1/files/{id} for this key first; then run again.",
        )
    seen = " → ".join(polled.states)
    expected = f"the file becomes ready within {probe.tenant.limits.poll_timeout_s:g} s (poll_timeout_s)"
    if polled.states[-1] in _FAILED:
        probe.fail(expected, f"processing failed: {seen} after {polled.waited_s:.1f} s", polled.last)
    elif polled.states[-1] not in _READY:
        probe.fail(expected, f"still {polled.states[-1]} after {polled.waited_s:.0f} s: {seen}", polled.last)


async def _poll(probe: Probe, key: Credential, file_id: str) -> Polled:
    """Ask for the state until it is final, with growing pauses; done once a run for each file."""

    async def make() -> tuple[Polled, Sequence[Exchange]]:
        states: list[str] = []
        exchanges: list[Exchange] = []
        started = anyio.current_time()
        deadline = started + probe.tenant.limits.poll_timeout_s
        pause = _FIRST_PAUSE_S
        while True:
            request = requests.get(probe.tenant, status_path(file_id), key.name)
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
        return no_answer(exchange)
    return f"{said(response)} without an id or a state" if response.succeeded else said(response)


def _state_in(response: Response | None) -> str | None:
    if response is None or not response.succeeded:
        return None
    try:
        return envelope.state(response.json())
    except NotJson:
        return None


def _upload_route(probe: Probe, key: Credential) -> Route:
    return Route.DATASET_FILES if can_upload(probe, key, Route.DATASET_FILES) else Route.CONVERSATION_FILES
