"""What variants are put together from: places in the API, and changes to right answers that leave them right."""

import json
from collections.abc import Callable
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ..app import BASE
from ..conversations import HEADER
from ..edges import Answer, Asked, EdgeMaker, answering, body_of, given, pieces, sent

Wanted = Callable[[Asked], bool]
Chunk = dict[str, Any]


def at(path: str, method: str = "POST") -> Wanted:
    """Whether a request goes to this route, ``/models`` say, with /v1 before it or without."""
    return lambda asked: asked.method == method and asked.path in {f"{BASE}/v1{path}", f"{BASE}{path}"}


MODELS = at("/models", "GET")
CHAT = at("/chat/completions")
EMBEDDINGS = at("/embeddings")
TRANSCRIPTIONS = at("/audio/transcriptions")
SPEECH = at("/audio/speech")
IMAGES = at("/images/generations")
CONVERSATIONS = at("/conversations")
CONVERSATION_FILES = at("/conversations/files")


def anywhere(_: Asked) -> bool:
    """Every request."""
    return True


def uploads(asked: Asked) -> bool:
    """Whether it uploads by a route of GT's own."""
    return CONVERSATION_FILES(asked) or ("/datasets/" in asked.path and asked.path.endswith("/files"))


def file_states(asked: Asked) -> bool:
    """Whether it asks for the state of a file."""
    return asked.method == "GET" and asked.path.startswith((f"{BASE}/v1/files/", f"{BASE}/v1/uploads/"))


def streamed(asked: Asked) -> bool:
    """Whether it asks for a chat as a stream."""
    return CHAT(asked) and asked.fields.get("stream") is True


def whole(asked: Asked) -> bool:
    """Whether it asks for a chat in one piece."""
    return CHAT(asked) and not asked.fields.get("stream")


def framed_freely(asked: Asked) -> bool:
    """Whether it asks for a stream and reads any lawful framing: Dify, which alone names a user, does not."""
    return streamed(asked) and "user" not in asked.fields


def reshaped(wanted: Wanted, change: Callable[[Any], object]) -> EdgeMaker:
    """Another value in the place of the JSON object of every 2xx of a route; what is no JSON stays as it is."""

    def changed(_: Asked, answer: Answer) -> Answer:
        if not answer.succeeded:
            return answer
        body = json_in(answer)
        return answer if body is None else answer.saying(json.dumps(change(body)).encode())

    return answering(lambda asked: wanted(asked) and not streamed(asked), changed)


def amended(wanted: Wanted, change: Callable[[Any], object]) -> EdgeMaker:
    """The same, changed in place."""

    def changed(body: Any) -> object:
        change(body)
        return body

    return reshaped(wanted, changed)


def json_in(answer: Answer) -> Any:
    """The JSON object in an answer; None where it holds none."""
    try:
        body = json.loads(answer.body)
    except ValueError:
        return None
    return body if isinstance(body, dict) else None


def chunks(change: Callable[[Chunk], list[Chunk]]) -> EdgeMaker:
    """Other chunks for each chunk of a chat's stream: one, several, or none."""

    def changed(one: bytes) -> bytes:
        if not one.startswith(b"data: {"):
            return one
        return b"".join(event(made) for made in change(json.loads(one.removeprefix(b"data: "))))

    return events(streamed, changed)


def events(wanted: Wanted, change: Callable[[bytes], bytes]) -> EdgeMaker:
    """Change each event of a stream, with the empty line that ends it; a piece may hold several."""
    return pieces(wanted, lambda piece: b"".join(change(one + b"\n\n") for one in piece.split(b"\n\n")[:-1]))


def event(chunk: Chunk) -> bytes:
    """A chunk as an event."""
    return b"data: " + json.dumps(chunk, separators=(",", ":")).encode() + b"\n\n"


def delta_of(chunk: Chunk) -> dict[str, Any]:
    """The delta of a chunk's only choice; an empty one where it has no choice."""
    return chunk["choices"][0]["delta"] if chunk["choices"] else {}


def headed(change: Callable[[dict[str, str]], dict[str, str]], wanted: Wanted = anywhere) -> EdgeMaker:
    """Other headers on every answer, streams as well. Their names are in lower case, and each stands once."""

    def edge(app: ASGIApp) -> ASGIApp:
        async def edged(scope: Scope, receive: Receive, send: Send) -> None:
            async def passed(message: Message) -> None:
                if message["type"] == "http.response.start":
                    given_headers = {
                        name.decode("latin-1"): value.decode("latin-1") for name, value in message["headers"]
                    }
                    changed = change(given_headers).items()
                    headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in changed]
                    message = {**message, "headers": headers}
                await send(message)

            await app(scope, receive, passed if wanted(Asked.of(scope)) else send)

        return edged

    return lambda _: edge


def with_status(wanted: Wanted, status: int) -> EdgeMaker:
    """Another 2xx for every 2xx of a route."""
    return answering(
        wanted,
        lambda _, answer: Answer(status, answer.headers, answer.body) if answer.succeeded else answer,
    )


def refusing(wanted: Wanted, param: str, message: str) -> EdgeMaker:
    """Refuse some requests with a 400 that names the field."""
    body = {
        "error": {"message": message, "type": "invalid_request_error", "param": param, "code": "unsupported_parameter"}
    }
    refusal = Answer(400, (("content-type", "application/json"),), json.dumps(body).encode())

    def edge(app: ASGIApp) -> ASGIApp:
        async def edged(scope: Scope, receive: Receive, send: Send) -> None:
            body = await body_of(receive)
            if wanted(Asked.of(scope, body)):
                await sent(refusal, send)
            else:
                await app(scope, given(body, receive), send)

        return edged

    return lambda _: edge


def without_header(name: str, wanted: Wanted) -> EdgeMaker:
    """The answers of a route without a header."""
    return headed(lambda headers: {key: value for key, value in headers.items() if key != name}, wanted)


CONVERSATION_HEADER = HEADER.lower()
"""Where a conversation's id travels, as headers are compared."""
