"""Faults: edges of the embedded tenant, each of which breaks one thing and leaves the rest as it is."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tests.commands import Fault, Secrets


@dataclass(frozen=True)
class Asked:
    """A request: what of it a fault may want to know."""

    method: str
    path: str
    headers: tuple[tuple[str, str], ...]

    @classmethod
    def of(cls, scope: Scope) -> "Asked":
        """The request of an ASGI scope."""
        headers = tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"])
        return cls(scope["method"], scope["path"], headers)

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


def answering(wanted: Callable[[Asked], bool], change: Callable[[Asked, Answer], Answer]) -> Fault:
    """Put another answer in place of the tenant's. Its length is always that of its body."""

    def edge(app: ASGIApp) -> ASGIApp:
        async def edged(scope: Scope, receive: Receive, send: Send) -> None:
            asked = Asked.of(scope)
            if not wanted(asked):
                await app(scope, receive, send)
                return
            await sent(change(asked, await taken(app, scope, receive)), send)

        return edged

    return lambda _: edge


def successes(wanted: Callable[[Asked], bool], change: Callable[[Answer], Answer]) -> Fault:
    """Change the 2xx answers of some routes; their refusals stay as they are."""
    return answering(wanted, lambda _, answer: change(answer) if answer.succeeded else answer)


def pieces(wanted: Callable[[Asked], bool], change: Callable[[bytes], bytes]) -> Fault:
    """Change each piece of a 2xx answer as it passes: an event of a stream, or a whole body."""

    def edge(app: ASGIApp) -> ASGIApp:
        async def edged(scope: Scope, receive: Receive, send: Send) -> None:
            succeeded = False

            async def passed(message: Message) -> None:
                nonlocal succeeded
                if message["type"] == "http.response.start":
                    succeeded = 200 <= message["status"] < 300
                    if succeeded:
                        headers = [item for item in message["headers"] if item[0] != b"content-length"]
                        message = {**message, "headers": headers}
                elif succeeded:
                    message = {**message, "body": change(message["body"])}
                await send(message)

            await app(scope, receive, passed if wanted(Asked.of(scope)) else send)

        return edged

    return lambda _: edge


def refusals(change: Callable[[Asked, Answer], Answer]) -> Fault:
    """Change 4xx answers, wherever they come from; everything else passes as it comes."""

    def edge(app: ASGIApp) -> ASGIApp:
        async def edged(scope: Scope, receive: Receive, send: Send) -> None:
            held: list[Message] = []

            async def passed(message: Message) -> None:
                if message["type"] == "http.response.start" and message["status"] >= 400:
                    held.append(message)
                elif held:
                    answer = answered([*held, message])
                    await sent(change(Asked.of(scope), answer), send)
                else:
                    await send(message)

            await app(scope, receive, passed)

        return edged

    return lambda _: edge


def counting(seen: list[Asked]) -> Fault:
    """Note every request, and change nothing."""

    def edge(app: ASGIApp) -> ASGIApp:
        async def edged(scope: Scope, receive: Receive, send: Send) -> None:
            seen.append(Asked.of(scope))
            await app(scope, receive, send)

        return edged

    return lambda _: edge


def asking(wanted: Callable[[Asked], bool], change: Callable[[bytes], bytes]) -> Fault:
    """Change the body of a request on its way in."""

    def edge(app: ASGIApp) -> ASGIApp:
        async def edged(scope: Scope, receive: Receive, send: Send) -> None:
            if not wanted(Asked.of(scope)):
                await app(scope, receive, send)
                return
            body = change(await body_of(receive))
            headers = [item for item in scope["headers"] if item[0] != b"content-length"]
            length = (b"content-length", str(len(body)).encode())
            await app({**scope, "headers": [*headers, length]}, given(body, receive), send)

        return edged

    return lambda _: edge


def with_key(wanted: Callable[[Asked, Secrets], bool], key: str) -> Fault:
    """Take some requests as if they had been sent with another key, ``FULL`` say."""

    def fault(secrets: Secrets) -> Callable[[ASGIApp], ASGIApp]:
        def edge(app: ASGIApp) -> ASGIApp:
            async def edged(scope: Scope, receive: Receive, send: Send) -> None:
                if wanted(Asked.of(scope), secrets):
                    scope = authorized(scope, secrets[f"GT_EMBEDDED_{key}"])
                await app(scope, receive, send)

            return edged

        return edge

    return fault


def live(asked: Asked, secrets: Secrets, *keys: str) -> bool:
    """Whether a request presents one of these keys, ``CHAT`` say; one of those that must work where none is named."""
    named = {f"GT_EMBEDDED_{key}" for key in keys}
    return any(
        secret == asked.secret and (variable in named if keys else not variable.endswith(("_OLD", "_GONE")))
        for variable, secret in secrets.items()
    )


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
