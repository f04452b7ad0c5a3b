"""Middleware between the network and the embedded tenant, which may change any request and response.

The tenant behind it knows nothing of it. A fault is middleware that breaks one thing; a variant is middleware that
changes what clients must tolerate. Both are put together from the parts below.
"""

import asyncio
import base64
import json
import re
import struct
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gt_sandbox.app import BASE
from gt_sandbox.conversations import HEADER

Secrets = Mapping[str, str]
"""Environment variable (``GT_EMBEDDED_CHAT``) to secret, of the running tenant: always the current secrets."""

Middleware = Callable[[ASGIApp], ASGIApp]
"""Wraps an application."""

MiddlewareFactory = Callable[[Secrets], Middleware]
"""Makes middleware for one tenant. Two tenants never share middleware, so that it may keep state."""

JSON = "application/json"
CONVERSATION_HEADER = HEADER.lower()


# --- requests and responses as values


@dataclass(frozen=True)
class Request:
    """A request: what of it middleware may want to know."""

    method: str
    path: str
    headers: tuple[tuple[str, str], ...]
    query: str = ""
    body: bytes = b""

    @classmethod
    def of(cls, scope: Scope, body: bytes = b"") -> "Request":
        """The request of an ASGI scope, with its body if that has been read."""
        return cls(
            scope["method"], scope["path"], _decode(scope["headers"]), scope["query_string"].decode("latin-1"), body
        )

    @cached_property
    def fields(self) -> Mapping[str, Any]:
        """The JSON object in its body; empty if there is none."""
        try:
            value = json.loads(self.body)
        except ValueError:
            return {}
        return value if isinstance(value, dict) else {}

    @property
    def messages(self) -> list[Mapping[str, Any]]:
        """The messages of a chat, as far as they are objects."""
        value = self.fields.get("messages")
        return [message for message in value if isinstance(message, dict)] if isinstance(value, list) else []

    def header(self, name: str) -> str:
        """The first value of a header; empty if it is absent."""
        return next((value for key, value in self.headers if key == name), "")

    @property
    def secret(self) -> str:
        """The bearer key; empty if there is none."""
        scheme, _, secret = self.header("authorization").partition(" ")
        return secret if scheme == "Bearer" else ""


@dataclass(frozen=True)
class Response:
    """A whole response."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes

    @classmethod
    def of(cls, messages: Sequence[Message]) -> "Response":
        """The response that these ASGI messages make."""
        start, *rest = messages
        return cls(start["status"], _decode(start["headers"]), b"".join(message.get("body", b"") for message in rest))

    @property
    def succeeded(self) -> bool:
        """Whether it is a 2xx."""
        return 200 <= self.status < 300

    @property
    def json(self) -> Any:
        """The JSON object in its body; None if there is none."""
        try:
            value = json.loads(self.body)
        except ValueError:
            return None
        return value if isinstance(value, dict) else None

    def with_body(self, body: bytes, content_type: str | None = None) -> "Response":
        """The same with another body, and with another content type if one is given."""
        made = replace(self, body=body)
        return made if content_type is None else made.with_header("content-type", content_type)

    def with_json(self, body: object) -> "Response":
        """The same with this JSON body."""
        return self.with_body(json.dumps(body).encode())

    def with_header(self, name: str, value: str | None) -> "Response":
        """The same with this header, and without it where the value is None."""
        kept = tuple(item for item in self.headers if item[0] != name)
        return replace(self, headers=kept if value is None else (*kept, (name, value)))


def json_response(status: int, body: object) -> Response:
    """A response in JSON."""
    return Response(status, (("content-type", JSON),), json.dumps(body).encode())


def error_response(
    status: int, message: str, kind: str = "server_error", *, param: str | None = None, code: str | None = None
) -> Response:
    """OpenAI's error object."""
    return json_response(status, {"error": {"message": message, "type": kind, "param": param, "code": code}})


def with_request_header(scope: Scope, name: str, value: str | None) -> Scope:
    """The same request with this header, and without it where the value is None."""
    headers = [item for item in scope["headers"] if item[0] != name.encode()]
    return {**scope, "headers": headers if value is None else [*headers, (name.encode(), value.encode("latin-1"))]}


async def read_body(receive: Receive) -> bytes:
    """The whole body of a request."""
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    return body


def replay_body(body: bytes, receive: Receive) -> Receive:
    """A ``receive`` that gives this body, and then waits for the client to disconnect, as a server's does."""
    messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive_one() -> Message:
        return messages.pop() if messages else await receive()

    return receive_one


def _decode(headers: Sequence[tuple[bytes, bytes]]) -> tuple[tuple[str, str], ...]:
    return tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in headers)


def _encode(headers: Sequence[tuple[str, str]]) -> list[tuple[bytes, bytes]]:
    return [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers]


# --- one request on its way through


@dataclass(frozen=True)
class Call:
    """A request on its way in, with its body read, and the application that it is for."""

    request: Request
    app: ASGIApp
    scope: Scope
    receive: Receive
    send: Send

    async def forward(self, scope: Scope | None = None, *, send: Send | None = None) -> None:
        """Have the application respond: to another scope, or through another ``send``, if one is given."""
        await self.app(scope or self.scope, self.receive, send or self.send)

    async def response(self, scope: Scope | None = None) -> Response:
        """The application's whole response, which is not sent."""
        messages: list[Message] = []

        async def keep(message: Message) -> None:
            messages.append(message)

        await self.forward(scope, send=keep)
        return Response.of(messages)

    async def respond(self, response: Response) -> None:
        """Send a response. Its length is always that of its body."""
        headers = [item for item in response.headers if item[0] != "content-length"]
        length = ("content-length", str(len(response.body)))
        start = {"type": "http.response.start", "status": response.status, "headers": _encode([*headers, length])}
        await self.send(start)
        await self.send({"type": "http.response.body", "body": response.body})


def per_call(handle: Callable[[Call], Awaitable[None]]) -> MiddlewareFactory:
    """Middleware that handles each request on its own."""

    def wrap(app: ASGIApp) -> ASGIApp:
        async def call(scope: Scope, receive: Receive, send: Send) -> None:
            body = await read_body(receive)
            await handle(Call(Request.of(scope, body), app, scope, replay_body(body, receive), send))

        return call

    return lambda _: wrap


def combine(*factories: MiddlewareFactory) -> MiddlewareFactory:
    """Several as one; the first is outermost."""

    def make(secrets: Secrets) -> Middleware:
        def wrap(app: ASGIApp) -> ASGIApp:
            for factory in reversed(factories):
                app = factory(secrets)(app)
            return app

        return wrap

    return make


def with_secrets(make: Callable[[Secrets], MiddlewareFactory]) -> MiddlewareFactory:
    """Middleware that is made anew for each tenant, from its secrets or with state of its own."""
    return lambda secrets: make(secrets)(secrets)


# --- which requests


Predicate = Callable[[Request], bool]


def is_any(_: Request) -> bool:
    """Every request."""
    return True


def is_at(*ends: str) -> Predicate:
    """Whether a request goes to a path with one of these ends."""
    return lambda request: request.path.endswith(ends)


def is_route(*paths: str, method: str | None = None) -> Predicate:
    """Whether a request goes to one of these routes, ``/models`` say, with /v1 before it or without."""
    places = {prefix + path for path in paths for prefix in (f"{BASE}/v1", BASE)}
    return lambda request: request.path in places and method in {None, request.method}


CHAT = is_route("/chat/completions")
EMBEDDINGS = is_route("/embeddings")
MODELS = is_route("/models")
SPEECH = is_route("/audio/speech")
TRANSCRIPTIONS = is_route("/audio/transcriptions")
IMAGES = is_route("/images/generations")
CONVERSATIONS = is_route("/conversations")
CONVERSATION_FILES = is_route("/conversations/files")


def is_dataset_upload(request: Request) -> bool:
    """Whether it uploads to a dataset."""
    return "/datasets/" in request.path and request.path.endswith("/files")


def is_upload(request: Request) -> bool:
    """Whether it uploads by a route of GT's own."""
    return CONVERSATION_FILES(request) or is_dataset_upload(request)


def has_file(ending: str) -> Predicate:
    """Whether a request uploads a file whose name ends so."""
    return lambda request: is_upload(request) and f'{ending}"'.encode() in request.body


def is_file_state(request: Request) -> bool:
    """Whether it asks for the state of a file."""
    return request.method == "GET" and request.path.startswith((f"{BASE}/v1/files/", f"{BASE}/v1/uploads/"))


def is_stream(request: Request) -> bool:
    """Whether it asks for a chat as a stream."""
    return CHAT(request) and request.fields.get("stream") is True


def is_whole_chat(request: Request) -> bool:
    """Whether it asks for a chat in one piece."""
    return CHAT(request) and not request.fields.get("stream")


def has_field(*names: str) -> Predicate:
    """Whether it is a chat with one of these fields."""
    return lambda request: CHAT(request) and any(name in request.fields for name in names)


def has_role(role: str) -> Predicate:
    """Whether it is a chat with a message of this role."""
    return lambda request: CHAT(request) and any(message.get("role") == role for message in request.messages)


def is_live(request: Request, secrets: Secrets, *keys: str) -> bool:
    """Whether it has one of these keys, ``CHAT`` say; one of those that must work if none is named."""
    named = {f"GT_EMBEDDED_{key}" for key in keys}
    dead = ("_OLD", "_GONE", "_OTHER_TENANT")
    return any(
        secret == request.secret and (variable in named if keys else not variable.endswith(dead))
        for variable, secret in secrets.items()
    )


# --- changing requests


def record_requests(into: list[Request]) -> MiddlewareFactory:
    """Record every request, and change nothing."""

    @per_call
    async def record(call: Call) -> None:
        into.append(call.request)
        await call.forward()

    return record


def change_requests(wanted: Predicate, change: Callable[[bytes], bytes]) -> MiddlewareFactory:
    """Change the body of some requests."""

    @per_call
    async def change_request(call: Call) -> None:
        if not wanted(call.request):
            await call.forward()
            return
        body = change(call.request.body)
        scope = with_request_header(call.scope, "content-length", str(len(body)))
        await replace(call, receive=replay_body(body, call.receive)).forward(scope)

    return change_request


STATEMENT = re.compile(rb"is called [a-z0-9-]+")
"""What an uploaded file states, as far as nobody can know it without that file."""


def hide_statements(wanted: Predicate) -> MiddlewareFactory:
    """Some uploads state nothing any more; they keep their size."""
    return change_requests(wanted, lambda body: STATEMENT.sub(lambda found: b"x" * len(found[0]), body))


def change_scopes(change: Callable[[Scope, Request], Scope]) -> MiddlewareFactory:
    """Change what requests ask for: their path, or their headers."""

    @per_call
    async def change_scope(call: Call) -> None:
        await call.forward(change(call.scope, call.request))

    return change_scope


def use_key(choose: Callable[[Request, Secrets], str | None]) -> MiddlewareFactory:
    """Take requests as if they had been sent with the key that is chosen, ``FULL`` say; None leaves a request as is."""

    def make(secrets: Secrets) -> MiddlewareFactory:
        def change(scope: Scope, request: Request) -> Scope:
            key = choose(request, secrets)
            return scope if key is None else with_bearer(scope, secrets[f"GT_EMBEDDED_{key}"])

        return change_scopes(change)

    return with_secrets(make)


def with_bearer(scope: Scope, secret: str) -> Scope:
    """The same request with this key."""
    return with_request_header(scope, "authorization", f"Bearer {secret}")


def reroute(target: Callable[[Request], str | None]) -> MiddlewareFactory:
    """Take requests as if they had been sent to another path; None leaves a request as it is."""

    def change(scope: Scope, request: Request) -> Scope:
        path = target(request)
        return scope if path is None else {**scope, "path": path, "raw_path": path.encode()}

    return change_scopes(change)


def delay(seconds: float, wanted: Predicate) -> MiddlewareFactory:
    """The tenant gets some requests that many seconds later."""

    @per_call
    async def wait(call: Call) -> None:
        if wanted(call.request):
            await asyncio.sleep(seconds)
        await call.forward()

    return wait


# --- changing responses


def change_responses(wanted: Predicate, change: Callable[[Request, Response], Response]) -> MiddlewareFactory:
    """Put another response in place of the tenant's; a stream is gathered first."""

    @per_call
    async def change_response(call: Call) -> None:
        if wanted(call.request):
            await call.respond(change(call.request, await call.response()))
        else:
            await call.forward()

    return change_response


def change_successes(wanted: Predicate, change: Callable[[Response], Response]) -> MiddlewareFactory:
    """Change the 2xx responses of some routes; their refusals stay as they are."""
    return change_responses(wanted, lambda _, response: change(response) if response.succeeded else response)


def change_refusals(change: Callable[[Request, Response], Response]) -> MiddlewareFactory:
    """Change 4xx and 5xx responses of every route; everything else passes as it comes."""

    @per_call
    async def change_refusal(call: Call) -> None:
        held: list[Message] = []

        async def send(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] >= 400:
                held.append(message)
            elif held:
                await call.respond(change(call.request, Response.of([*held, message])))
            else:
                await call.send(message)

        await call.forward(send=send)

    return change_refusal


def change_pieces(wanted: Predicate, change: Callable[[bytes], bytes]) -> MiddlewareFactory:
    """Change each piece of a 2xx response as it passes: an event of a stream, or a whole body."""

    @per_call
    async def change_each(call: Call) -> None:
        succeeded = False

        async def send(message: Message) -> None:
            nonlocal succeeded
            if message["type"] == "http.response.start":
                succeeded = 200 <= message["status"] < 300
                if succeeded:
                    headers = [item for item in message["headers"] if item[0] != b"content-length"]
                    message = {**message, "headers": headers}
            elif succeeded:
                message = {**message, "body": change(message["body"])}
            await call.send(message)

        await call.forward(send=send if wanted(call.request) else None)

    return change_each


def change_headers(change: Callable[[dict[str, str]], dict[str, str]], wanted: Predicate = is_any) -> MiddlewareFactory:
    """Change the headers of every response, streams included. Names are in lower case, and each occurs once."""

    @per_call
    async def change_each(call: Call) -> None:
        async def send(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = change(dict(_decode(message["headers"])))
                message = {**message, "headers": _encode([*headers.items()])}
            await call.send(message)

        await call.forward(send=send if wanted(call.request) else None)

    return change_each


def drop_header(name: str, wanted: Predicate) -> MiddlewareFactory:
    """Leave a header out of some responses."""
    return change_headers(lambda headers: {key: value for key, value in headers.items() if key.lower() != name}, wanted)


def refuse(wanted: Predicate, refusal: Response) -> MiddlewareFactory:
    """Refuse some requests before the tenant sees them."""

    @per_call
    async def refuse_some(call: Call) -> None:
        if wanted(call.request):
            await call.respond(refusal)
        else:
            await call.forward()

    return refuse_some


def respond_with(wanted: Predicate, response: Response) -> MiddlewareFactory:
    """Put this response in place of every 2xx of a route."""
    return change_successes(wanted, lambda _: response)


def replace_json(wanted: Predicate, change: Callable[[Any], object]) -> MiddlewareFactory:
    """Put another value in place of the JSON object of every 2xx that is no stream; what is no JSON stays as it is."""

    def change_body(response: Response) -> Response:
        body = response.json
        return response if body is None else response.with_json(change(body))

    return change_successes(lambda request: wanted(request) and not is_stream(request), change_body)


def change_json(wanted: Predicate, change: Callable[[Any], object]) -> MiddlewareFactory:
    """Change the JSON object of every 2xx that is no stream in place."""

    def change_body(body: Any) -> object:
        change(body)
        return body

    return replace_json(wanted, change_body)


def change_events(wanted: Predicate, change: Callable[[bytes], bytes]) -> MiddlewareFactory:
    """Change each event of a stream, with the empty line that ends it; a piece may hold several."""
    return change_pieces(wanted, lambda piece: b"".join(change(one + b"\n\n") for one in piece.split(b"\n\n")[:-1]))


def change_chunks(change: Callable[[Any], Sequence[object]]) -> MiddlewareFactory:
    """Put other chunks in place of each chunk of a stream: one, several, or none. A text is sent as it is."""

    def change_event(event: bytes) -> bytes:
        if not event.startswith(b"data: {"):
            return event
        return b"".join(map(_event, change(json.loads(event.removeprefix(b"data: ")))))

    return change_events(is_stream, change_event)


def _event(chunk: object) -> bytes:
    text = chunk if isinstance(chunk, str) else json.dumps(chunk, separators=(",", ":"))
    return f"data: {text}\n\n".encode()


def change_choice(change: Callable[[Any], object]) -> Callable[[Any], object]:
    """A change to the only choice of a chat."""
    return lambda body: change(body["choices"][0])


def change_vectors(
    wanted: Predicate, change: Callable[[list[list[float]]], Sequence[Sequence[float]]], *, order: str = "<"
) -> MiddlewareFactory:
    """Change the vectors of embeddings, each in the encoding that it has; ``order`` is that of bytes in base64."""

    def change_body(body: Any) -> None:
        items = body["data"]
        vectors = change([unpack_vector(item["embedding"]) for item in items])
        for item, vector in zip(items, vectors, strict=True):
            item["embedding"] = _pack(vector, order) if isinstance(item["embedding"], str) else list(vector)

    return change_json(wanted, change_body)


def unpack_vector(vector: str | list[float]) -> list[float]:
    """The numbers of an embedding, whichever encoding it has."""
    if isinstance(vector, list):
        return vector
    packed = base64.b64decode(vector)
    return list(struct.unpack(f"<{len(packed) // 4}f", packed))


def _pack(vector: Sequence[float], order: str) -> str:
    return base64.b64encode(struct.pack(f"{order}{len(vector)}f", *vector)).decode()


def change_file_states(named: Predicate, change: Callable[[Request, Response], Response]) -> MiddlewareFactory:
    """Change what is answered about the state of those files that came by some uploads."""

    def make(_: Secrets) -> MiddlewareFactory:
        ids: set[str] = set()

        async def change_state(call: Call) -> None:
            request = call.request
            if is_upload(request) or is_file_state(request):
                response = await call.response()
                if is_upload(request) and response.succeeded and named(request):
                    ids.add(response.json["id"])
                if is_file_state(request) and request.path.rpartition("/")[2] in ids:
                    response = change(request, response)
                await call.respond(response)
            else:
                await call.forward()

        return per_call(change_state)

    return with_secrets(make)
