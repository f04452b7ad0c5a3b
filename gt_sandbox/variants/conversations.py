"""Variants of conversations: where their ids are placed, what opening one returns."""

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import anyio
from starlette.types import Message

from gt_sandbox.middleware import (
    CHAT,
    CONVERSATION_FILES,
    CONVERSATION_HEADER,
    CONVERSATIONS,
    Call,
    MiddlewareFactory,
    Predicate,
    Request,
    Response,
    Secrets,
    change_responses,
    change_successes,
    combine,
    drop_header,
    error_response,
    has_role,
    per_call,
    replace_json,
    with_request_header,
    with_secrets,
)
from gt_sandbox.variants._variant import variant

UNDOCUMENTED = "GT API reference: where an id is placed is not documented"
CREATION = "GT API reference: 200, 201 or 202 on creation"

Placement = Callable[[object, dict[str, Any]], dict[str, Any]]
"""From an id and the other fields of a body: the body with the id in another place."""


def move_id(place: Placement) -> Callable[[Any], object]:
    """Change a body so that the id is in that place."""
    return lambda body: place(body["id"], {name: value for name, value in body.items() if name != "id"})


def _move_conversation_id(place: Placement) -> MiddlewareFactory:
    """The id of a new conversation in that place of the body alone."""
    return combine(drop_header(CONVERSATION_HEADER, CONVERSATIONS), replace_json(CONVERSATIONS, move_id(place)))


def set_status(wanted: Predicate, status: int) -> MiddlewareFactory:
    """Another 2xx for every 2xx of a route."""
    return change_successes(wanted, lambda response: replace(response, status=status))


def _wait_for_results(_: Secrets) -> MiddlewareFactory:
    """A chat behind a stored tool call is refused where it has no result of a tool."""
    waiting: set[str] = set()

    async def take(call: Call) -> None:
        conversation = call.request.header(CONVERSATION_HEADER)
        if not CHAT(call.request) or not conversation:
            await call.forward()
        elif conversation in waiting and not has_role("tool")(call.request):
            await call.respond(error_response(400, "A message with 'tool_calls' must be followed by results."))
        else:
            response = await call.response()
            if _HAS_CALLS.search(response.body):
                waiting.add(conversation)
            await call.respond(response)

    return per_call(take)


_HAS_CALLS = re.compile(rb'"tool_calls":\s*\[\s*\{')


def _lock_turns(_: Secrets) -> MiddlewareFactory:
    """One request at a time in each conversation, each of which takes a moment."""
    busy: set[tuple[str, str]] = set()

    async def take(call: Call) -> None:
        turn = (call.request.secret, call.request.header(CONVERSATION_HEADER))
        if not turn[1]:
            await call.forward()
        elif turn in busy:
            await call.respond(error_response(409, "Another turn of this conversation is under way."))
        else:
            busy.add(turn)
            try:
                response = await call.response()
                await anyio.sleep(_MOMENT_S)
            finally:
                busy.discard(turn)
            await call.respond(response)

    return per_call(take)


_MOMENT_S = 0.02


def _start_afresh_elsewhere(_: Secrets) -> MiddlewareFactory:
    """A chat under an id that its key did not open is answered as one without a conversation."""
    opened: set[tuple[str, str]] = set()

    async def drop_foreign(call: Call) -> None:
        request = call.request

        async def send(message: Message) -> None:
            if message["type"] == "http.response.start" and CONVERSATIONS(request):
                named = dict(message["headers"]).get(CONVERSATION_HEADER.encode(), b"").decode()
                opened.add((request.secret, named))
            await call.send(message)

        known = (request.secret, request.header(CONVERSATION_HEADER)) in opened
        scope = None if known or not CHAT(request) else with_request_header(call.scope, CONVERSATION_HEADER, None)
        await call.forward(scope, send=send)

    return per_call(drop_foreign)


def _open_at_most(most: int) -> MiddlewareFactory:
    """A key has at most so many conversations."""

    def make(_: Secrets) -> MiddlewareFactory:
        opened: Counter[str] = Counter()

        def count(request: Request, response: Response) -> Response:
            opened[request.secret] += response.succeeded
            if not response.succeeded or opened[request.secret] <= most:
                return response
            return error_response(409, "The limit of open conversations is reached.", "invalid_request_error")

        return change_responses(CONVERSATIONS, count)

    return with_secrets(make)


def _appear_late(status: int) -> MiddlewareFactory:
    """The first chat and the first upload of a conversation do not find it: another instance opened it."""
    refusal = error_response(status, "There is no such conversation.", "invalid_request_error")

    def make(_: Secrets) -> MiddlewareFactory:
        asked: set[tuple[str, str]] = set()

        async def hide(call: Call) -> None:
            named = (call.request.header(CONVERSATION_HEADER), call.request.path)
            if named[0] and named not in asked and (CHAT(call.request) or CONVERSATION_FILES(call.request)):
                asked.add(named)
                await call.respond(refusal)
            else:
                await call.forward()

        return per_call(hide)

    return with_secrets(make)


def _change_ids(shape: Callable[[int], object]) -> MiddlewareFactory:
    """Ids of conversations of another shape, in bodies and in headers of requests and responses."""

    def make(_: Secrets) -> MiddlewareFactory:
        shown: dict[str, object] = {}
        own: dict[str, str] = {}

        def show(conversation: str) -> object:
            if conversation not in shown:
                shown[conversation] = shape(len(shown) + 1)
                own[str(shown[conversation])] = conversation
            return shown[conversation]

        async def change(call: Call) -> None:
            named = call.request.header(CONVERSATION_HEADER)
            scope = with_request_header(call.scope, CONVERSATION_HEADER, own.get(named, named) if named else None)
            if CONVERSATIONS(call.request):
                response = await call.response(scope)
                if response.succeeded:
                    body = response.json
                    new = show(body["id"])
                    response = response.with_json({**body, "id": new}).with_header(CONVERSATION_HEADER, str(new))
                await call.respond(response)
                return

            async def send(message: Message) -> None:
                if message["type"] == "http.response.start":
                    headers = [
                        (name, str(shown.get(value.decode("latin-1"), value.decode("latin-1"))).encode("latin-1"))
                        if name == CONVERSATION_HEADER.encode()
                        else (name, value)
                        for name, value in message["headers"]
                    ]
                    message = {**message, "headers": headers}
                await call.send(message)

            await call.forward(scope, send=send)

        return per_call(change)

    return with_secrets(make)


def _keep_one_open(_: Secrets) -> MiddlewareFactory:
    """Whoever opens a conversation closes the one before it."""
    last: dict[str, str] = {}
    closed: set[str] = set()
    refusal = error_response(410, "This conversation was closed: another one was opened.", "invalid_request_error")

    def keep(request: Request, response: Response) -> Response:
        if request.header(CONVERSATION_HEADER) in closed:
            return refusal
        if CONVERSATIONS(request) and response.succeeded:
            if request.secret in last:
                closed.add(last[request.secret])
            last[request.secret] = response.json["id"]
        return response

    return change_responses(lambda request: CONVERSATIONS(request) or bool(request.header(CONVERSATION_HEADER)), keep)


VARIANTS = (
    variant(
        "conversations-appear-late",
        "A conversation is there a moment after it was opened, and not at once.",
        _appear_late(404),
        permitted_by="checks: no page says from when on a new conversation is there; this is advised",
        alters="unknown-conversations",
    ),
    variant(
        "conversations-appear-late-403",
        "A conversation belongs to its key a moment after it was opened: until then it is refused with 403.",
        _appear_late(403),
        permitted_by="checks: no page says from when on a new conversation is there; this is advised",
        alters="unknown-conversations",
    ),
    variant(
        "conversations-limited",
        "A key has one conversation, and gets 409 where it opens another.",
        _open_at_most(1),
        permitted_by="checks: no page says how many conversations a key may have",
        lacks="a limit on what the tenant keeps is reached",
    ),
    variant(
        "conversations-one-at-a-time",
        "A key has one open conversation: an older one is closed, and answered with 410, once another is opened.",
        with_secrets(_keep_one_open),
        permitted_by="checks: no page says how many conversations a key may have",
        alters="unknown-conversations",
        lacks="the tenant keeps fewer conversations of a key open than a run needs",
    ),
    variant(
        "conversations-one-turn-at-a-time",
        "A request in a conversation that another one has under way is answered with 409, until that one is over.",
        with_secrets(_lock_turns),
        permitted_by="checks: no page says that a conversation takes two requests at once",
    ),
    variant(
        "conversation-ids-long",
        "Ids of conversations are signed, and have a thousand characters.",
        _change_ids(lambda number: f"c{number}." + "Qx3_-" * 200),
        permitted_by="GT API reference: the shape of an id is not documented",
        alters="conversation-id unknown-conversations",
    ),
    variant(
        "unknown-conversations-403",
        "A conversation that a key did not open is refused with 403.",
        change_responses(
            lambda request: bool(request.header(CONVERSATION_HEADER)),
            lambda _, response: (
                error_response(403, "This key may not use the conversation.", "permission_error")
                if response.status == 404
                else response
            ),
        ),
        permitted_by="GT API reference: no status of a refusal is documented",
        alters="unknown-conversations",
    ),
    variant(
        "unknown-conversations-begin-afresh",
        "A chat under an id that its key did not open is answered as one without a conversation.",
        with_secrets(_start_afresh_elsewhere),
        permitted_by="checks: no page says what an unknown conversation gets, as long as nothing is read there",
        alters="unknown-conversations",
    ),
    variant(
        "conversation-id-in-header",
        "A new conversation's id is in the header alone.",
        replace_json(CONVERSATIONS, move_id(lambda _, rest: rest)),
        permitted_by=UNDOCUMENTED,
        alters="conversation-id",
    ),
    variant(
        "conversation-id-named",
        "A new conversation's id is under conversation_id, and in no header.",
        _move_conversation_id(lambda made, rest: {"conversation_id": made, **rest}),
        permitted_by=UNDOCUMENTED,
        alters="conversation-id",
    ),
    variant(
        "conversation-id-in-data",
        "A new conversation is inside data.",
        _move_conversation_id(lambda made, rest: {"object": "result", "data": {"id": made, **rest}}),
        permitted_by=UNDOCUMENTED,
        alters="conversation-id",
    ),
    variant(
        "conversation-id-within",
        "A new conversation is inside conversation, and the request has an id of its own.",
        _move_conversation_id(lambda made, rest: {"id": "req_1", "conversation": {"id": made, **rest}}),
        permitted_by=UNDOCUMENTED,
        alters="conversation-id",
    ),
    variant(
        "conversation-id-not-returned",
        "Chats and uploads do not return the conversation's header.",
        drop_header(CONVERSATION_HEADER, lambda request: CHAT(request) or CONVERSATION_FILES(request)),
        permitted_by="GT API reference: the header carries on what the caller sends",
    ),
    variant(
        "conversations-wait-for-results",
        "Behind a tool call that has no result yet, a conversation takes nothing else, as some models' servers do.",
        with_secrets(_wait_for_results),
        permitted_by="OpenAI API reference: tool calls are followed by their results",
    ),
    variant(
        "conversations-200",
        "A new conversation is answered with 200.",
        set_status(CONVERSATIONS, 200),
        permitted_by=CREATION,
        alters="conversation-status",
    ),
    variant(
        "conversations-202",
        "A new conversation is answered with 202.",
        set_status(CONVERSATIONS, 202),
        permitted_by=CREATION,
        alters="conversation-status",
    ),
)
