"""What faults are put together from: places in the API, wrong answers, changes to right ones."""

import json
from collections.abc import Callable, Mapping
from typing import Any

from starlette.types import ASGIApp

from ..app import BASE
from ..edges import Answer, Asked, Edge, EdgeMaker, Secrets, pieces, successes

JSON = "application/json"
PAGE = b"<!doctype html><html><body><h1>Welcome</h1></body></html>"
ALIAS = "field-analyst"
INTERNAL = "agent-7f3a"
PROVIDER = "provider-model-9"


def at(*paths: str, method: str | None = None) -> Callable[[Asked], bool]:
    """Whether a request goes to one of these routes, ``/models`` say, with /v1 before it or without."""
    places = {prefix + path for path in paths for prefix in (f"{BASE}/v1", BASE)}
    return lambda asked: asked.path in places and method in {None, asked.method}


CHAT = at("/chat/completions")
EMBEDDINGS = at("/embeddings")
MODELS = at("/models")
SPEECH = at("/audio/speech")
TRANSCRIPTIONS = at("/audio/transcriptions")
IMAGES = at("/images/generations")
CONVERSATIONS = at("/conversations")
CONVERSATION_FILES = at("/conversations/files")


def dataset_files(asked: Asked) -> bool:
    """Whether it is an upload to a dataset."""
    return "/datasets/" in asked.path and asked.path.endswith("/files")


def file_state(asked: Asked) -> bool:
    """Whether it asks for the state of a file."""
    return asked.method == "GET" and asked.path.startswith(f"{BASE}/v1/files/")


def upload(asked: Asked) -> bool:
    """Whether it uploads by a route of GT's own."""
    return CONVERSATION_FILES(asked) or dataset_files(asked)


def streamed(asked: Asked) -> bool:
    """Whether it asks for a chat as a stream."""
    return CHAT(asked) and asked.fields.get("stream") is True


def whole(asked: Asked) -> bool:
    """Whether it asks for a chat in one piece."""
    return CHAT(asked) and not asked.fields.get("stream")


def messages(asked: Asked) -> list[Mapping[str, Any]]:
    """The messages of a chat that are objects at all."""
    given = asked.fields.get("messages")
    return [message for message in given if isinstance(message, dict)] if isinstance(given, list) else []


def error(status: int, message: str, kind: str = "server_error") -> Answer:
    """OpenAI's error object."""
    body = {"error": {"message": message, "type": kind, "param": None, "code": None}}
    return answer(status, body)


def answer(status: int, body: object) -> Answer:
    """An answer in JSON."""
    return Answer(status, (("content-type", JSON),), json.dumps(body).encode())


def page(status: int = 200) -> Answer:
    """A web page."""
    return Answer(status, (("content-type", "text/html"),), PAGE)


def elsewhere(status: int = 307) -> Answer:
    """A redirect to another address of this machine, where nothing listens."""
    return Answer(status, (("location", "http://127.0.0.1:9/login"),), b"")


def instead(wanted: Callable[[Asked], bool], wrong: Answer) -> EdgeMaker:
    """This answer in place of every 2xx of a route."""
    return successes(wanted, lambda _: wrong)


def saying(wanted: Callable[[Asked], bool], body: object) -> EdgeMaker:
    """This JSON body in every 2xx of a route."""
    return successes(wanted, lambda right: right.saying(json.dumps(body).encode()))


def amended(wanted: Callable[[Asked], bool], change: Callable[[Any], object]) -> EdgeMaker:
    """The JSON body of every 2xx of a route, changed in place."""

    def changed(right: Answer) -> Answer:
        body = json.loads(right.body)
        change(body)
        return right.saying(json.dumps(body).encode())

    return successes(wanted, changed)


def replaced(wanted: Callable[[Asked], bool], old: bytes, new: bytes) -> EdgeMaker:
    """One text for another in whatever a route answers with 2xx, streams included."""
    return pieces(wanted, lambda piece: piece.replace(old, new))


def chunks(change: Callable[[Mapping[str, Any]], list[object]]) -> EdgeMaker:
    """Other chunks for each chunk of a chat's stream: one, several, or none. A text becomes an event as it stands."""

    def changed(piece: bytes) -> bytes:
        data = piece.removeprefix(b"data: ").strip()
        if not piece.startswith(b"data: {"):
            return piece
        return b"".join(_event(made) for made in change(json.loads(data)))

    return pieces(streamed, changed)


def together(*makers: EdgeMaker) -> EdgeMaker:
    """Several edges that make one fault; the first one outermost."""

    def made(secrets: Secrets) -> Edge:
        def edge(app: ASGIApp) -> ASGIApp:
            for make in reversed(makers):
                app = make(secrets)(app)
            return app

        return edge

    return made


def _event(made: object) -> bytes:
    text = made if isinstance(made, str) else json.dumps(made, separators=(",", ":"))
    return f"data: {text}\n\n".encode()
