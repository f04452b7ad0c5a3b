"""Requests and answers as values, and back: what an edge reads and writes."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send


@dataclass(frozen=True)
class Asked:
    """A request: what of it an edge may want to know."""

    method: str
    path: str
    headers: tuple[tuple[str, str], ...]
    query: str = ""
    body: bytes = b""

    @classmethod
    def of(cls, scope: Scope, body: bytes = b"") -> "Asked":
        """The request of an ASGI scope, with its body where that has been read."""
        headers = tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"])
        return cls(scope["method"], scope["path"], headers, scope["query_string"].decode("latin-1"), body)

    @cached_property
    def fields(self) -> Mapping[str, Any]:
        """The JSON object in its body; empty where it holds none."""
        try:
            value = json.loads(self.body)
        except ValueError:
            return {}
        return value if isinstance(value, dict) else {}

    def header(self, name: str) -> str:
        """The first value of a header; empty where it is not there."""
        return next((value for key, value in self.headers if key == name), "")

    @property
    def secret(self) -> str:
        """What is presented as a bearer key; empty where nothing is."""
        scheme, _, secret = self.header("authorization").partition(" ")
        return secret if scheme == "Bearer" else ""


@dataclass(frozen=True)
class Answer:
    """A whole answer."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes

    @property
    def succeeded(self) -> bool:
        """A 2xx."""
        return 200 <= self.status < 300

    def saying(self, body: bytes, kind: str | None = None) -> "Answer":
        """The same with another body, and with another content type where one is given."""
        if kind is not None:
            kept = tuple(item for item in self.headers if item[0] != "content-type")
            return replace(self, body=body, headers=(*kept, ("content-type", kind)))
        return replace(self, body=body)


def is_at(*ends: str) -> Callable[[Asked], bool]:
    """Whether a request goes to a path with one of these ends."""
    return lambda asked: asked.path.endswith(ends)


def authorized(scope: Scope, secret: str) -> Scope:
    """The same request with that key."""
    headers = [item for item in scope["headers"] if item[0] != b"authorization"]
    return {**scope, "headers": [*headers, (b"authorization", f"Bearer {secret}".encode())]}


async def body_of(receive: Receive) -> bytes:
    """The whole body of a request."""
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    return body


def given(body: bytes, receive: Receive) -> Receive:
    """A ``receive`` that gives this body, and then waits for the client to go, as a server's does."""
    messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def one() -> Message:
        return messages.pop() if messages else await receive()

    return one


async def taken(app: ASGIApp, scope: Scope, receive: Receive) -> Answer:
    """The tenant's whole answer, instead of sending it."""
    messages: list[Message] = []

    async def kept(message: Message) -> None:
        messages.append(message)

    await app(scope, receive, kept)
    return answered(messages)


def answered(messages: Sequence[Message]) -> Answer:
    """The answer that these messages make."""
    start, *rest = messages
    headers = tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in start["headers"])
    return Answer(start["status"], headers, b"".join(message.get("body", b"") for message in rest))


async def sent(answer: Answer, send: Send) -> None:
    """Send an answer, with the length that it has."""
    headers = [
        (name.encode("latin-1"), value.encode("latin-1")) for name, value in answer.headers if name != "content-length"
    ]
    length = (b"content-length", str(len(answer.body)).encode())
    await send({"type": "http.response.start", "status": answer.status, "headers": [*headers, length]})
    await send({"type": "http.response.body", "body": answer.body})
