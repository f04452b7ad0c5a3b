"""Where GT's ids stand, what they look like, and what creation is answered with."""

import json
from collections.abc import Callable
from itertools import count
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ..app import BASE
from ..edges import Answer, Asked, Edge, EdgeMaker, answered, sent
from ._parts import (
    CHAT,
    CONVERSATION_FILES,
    CONVERSATION_HEADER,
    CONVERSATIONS,
    amended,
    file_states,
    json_in,
    reshaped,
    uploads,
    with_status,
    without_header,
)
from ._variant import Area

variant = Area("ids")
_UNDOCUMENTED = "GT API reference: where an id stands is not documented"
_SHAPE = "GT API reference: the shape of an id is not documented"
_CREATION = "GT API reference: 200, 201 or 202 on creation"
_CONVERSATION_PLACES = "conversation-id-in-header conversation-id-named conversation-id-in-data conversation-id-within"
_FILE_PLACES = "file-id-named file-id-of-upload file-id-within file-id-in-data"


def _both(*makers: EdgeMaker) -> EdgeMaker:
    """One edge of several, the first outermost."""

    def made(secrets: Any) -> Edge:
        def edge(app: ASGIApp) -> ASGIApp:
            for make in reversed(makers):
                app = make(secrets)(app)
            return app

        return edge

    return made


def _elsewhere(place: Callable[[object, dict[str, Any]], dict[str, Any]]) -> Callable[[Any], object]:
    """A body whose id stands in another place: told from the id and the rest."""
    return lambda body: place(body["id"], {name: value for name, value in body.items() if name != "id"})


def _conversation(place: Callable[[object, dict[str, Any]], dict[str, Any]]) -> EdgeMaker:
    """The id of a new conversation in that place of the body alone."""
    return _both(without_header(CONVERSATION_HEADER, CONVERSATIONS), reshaped(CONVERSATIONS, _elsewhere(place)))


def _file(place: Callable[[object, dict[str, Any]], dict[str, Any]]) -> EdgeMaker:
    """The id of a new file in that place."""
    return reshaped(uploads, _elsewhere(place))


def _shown(shape: Callable[[int], object]) -> EdgeMaker:
    """Ids of files of another shape: shown so in answers, and taken so in paths."""

    def made(_: object) -> Edge:
        numbers, shown, real = count(4001), {}, {}

        def known(own: str) -> object:
            if own not in shown:
                shown[own] = shape(next(numbers))
                real[str(shown[own])] = own
            return shown[own]

        def edge(app: ASGIApp) -> ASGIApp:
            async def edged(scope: Scope, receive: Receive, send: Send) -> None:
                asked = Asked.of(scope)
                if not (uploads(asked) or file_states(asked)):
                    await app(scope, receive, send)
                    return
                messages: list[Message] = []

                async def kept(message: Message) -> None:
                    messages.append(message)

                await app({**scope, "path": _with_own(asked.path, real)}, receive, kept)
                answer = answered(messages)
                body = json_in(answer) if answer.succeeded else None
                await sent(answer if body is None else _with_id(answer, body, known(body["id"])), send)

            return edged

        return edge

    return made


def _with_own(path: str, real: dict[str, str]) -> str:
    for folder in (f"{BASE}/v1/files/", f"{BASE}/v1/uploads/"):
        if path.startswith(folder):
            asked = path.removeprefix(folder)
            return folder + real.get(asked, asked)
    return path


def _with_id(answer: Answer, body: dict[str, Any], shown: object) -> Answer:
    return answer.saying(json.dumps({**body, "id": shown}).encode())


VARIANTS = (
    variant(
        "file-ids-as-numbers",
        "Files have numbers for ids.",
        _shown(lambda number: number),
        lawful=_SHAPE,
        conflicts="file-ids-with-slashes",
    ),
    variant(
        "file-ids-with-slashes",
        "Ids of files hold slashes, which paths take encoded.",
        _shown(lambda number: f"2026/11/{number}"),
        lawful=_SHAPE + "; RFC 3986, 2.1",
        conflicts="file-ids-as-numbers",
    ),
    variant(
        "conversation-id-in-header",
        "A new conversation's id stands in the header alone.",
        reshaped(CONVERSATIONS, _elsewhere(lambda _, rest: rest)),
        lawful=_UNDOCUMENTED,
        conflicts=_CONVERSATION_PLACES,
    ),
    variant(
        "conversation-id-named",
        "A new conversation's id stands under conversation_id, and in no header.",
        _conversation(lambda made, rest: {"conversation_id": made, **rest}),
        lawful=_UNDOCUMENTED,
        conflicts=_CONVERSATION_PLACES,
    ),
    variant(
        "conversation-id-in-data",
        "A new conversation stands inside data.",
        _conversation(lambda made, rest: {"object": "result", "data": {"id": made, **rest}}),
        lawful=_UNDOCUMENTED,
        conflicts=_CONVERSATION_PLACES,
    ),
    variant(
        "conversation-id-within",
        "A new conversation stands inside conversation, and the request has an id of its own.",
        _conversation(lambda made, rest: {"id": "req_1", "conversation": {"id": made, **rest}}),
        lawful=_UNDOCUMENTED,
        conflicts=_CONVERSATION_PLACES,
    ),
    variant(
        "conversation-id-not-returned",
        "Chats and uploads do not return the conversation's header.",
        without_header(CONVERSATION_HEADER, lambda asked: CHAT(asked) or CONVERSATION_FILES(asked)),
        lawful="GT API reference: the header carries on what the caller sends",
    ),
    variant(
        "file-id-named",
        "A new file's id stands under file_id.",
        _file(lambda made, rest: {"file_id": made, **rest}),
        lawful=_UNDOCUMENTED,
        conflicts=_FILE_PLACES,
    ),
    variant(
        "file-id-of-upload",
        "A new file's id stands under upload_id.",
        _file(lambda made, rest: {"upload_id": made, **rest}),
        lawful=_UNDOCUMENTED,
        conflicts=_FILE_PLACES,
    ),
    variant(
        "file-id-within",
        "A new file stands inside file.",
        _file(lambda made, rest: {"file": {"id": made, **rest}, "dataset": "ds_1"}),
        lawful=_UNDOCUMENTED,
        conflicts=_FILE_PLACES,
    ),
    variant(
        "file-id-in-data",
        "A new file stands inside data.",
        _file(lambda made, rest: {"success": True, "data": {"file_id": made, **rest}}),
        lawful=_UNDOCUMENTED,
        conflicts=_FILE_PLACES,
    ),
    variant(
        "conversations-200",
        "A new conversation is answered with 200.",
        with_status(CONVERSATIONS, 200),
        lawful=_CREATION,
        conflicts="conversations-202",
    ),
    variant(
        "conversations-202",
        "A new conversation is answered with 202.",
        with_status(CONVERSATIONS, 202),
        lawful=_CREATION,
        conflicts="conversations-200",
    ),
    variant(
        "uploads-200",
        "An upload is answered with 200.",
        with_status(uploads, 200),
        lawful=_CREATION,
        conflicts="uploads-201",
    ),
    variant(
        "uploads-201",
        "An upload is answered with 201.",
        with_status(uploads, 201),
        lawful=_CREATION,
        conflicts="uploads-200",
    ),
    variant(
        "file-names-hidden",
        "An accepted file is told by its id alone.",
        amended(uploads, lambda body: [body.pop(name, None) for name in ("filename", "bytes", "created_at", "object")]),
        lawful="GT API reference: no field of an accepted file is documented",
    ),
)
