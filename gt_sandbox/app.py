"""The application: authentication and size limit first, then the routes; every error leaves as JSON."""

from collections.abc import Awaitable, Callable, Iterable

from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gt_sandbox import embeddings, media
from gt_sandbox.accounts import PUBLISHED, Accounts, Caller
from gt_sandbox.chat import Chat
from gt_sandbox.conversations import Conversations, Uploads
from gt_sandbox.protocol import Refusal, by_status, unauthorized

BASE = "/api/tenant"
"""The path of the tenant's base URL."""

Handler = Callable[[Request, Caller], Awaitable[Response]]


def build(accounts: Accounts, *, beside: Iterable[Route] = ()) -> ASGIApp:
    """A tenant without any state yet; ``beside`` are routes outside the API, which need no key of it."""
    table = _table()  # one for both addresses, which reach the same conversations and files
    routes = [
        Route(prefix + path, _endpoint(handler), methods=[method])
        for prefix in (f"{BASE}/v1", BASE)
        for method, path, handler in table
    ]
    app = Starlette(
        routes=[*routes, *beside],
        middleware=[Middleware(AuthMiddleware, accounts=accounts, base=BASE)],
        exception_handlers={HTTPException: _refuse_for_framework},
    )
    app.router.redirect_slashes = False
    return app


def _table() -> list[tuple[str, str, Handler]]:
    conversations = Conversations()
    uploads = Uploads(conversations)
    return [
        ("GET", "/models", _models),
        ("POST", "/chat/completions", Chat(conversations, uploads).complete),
        ("POST", "/embeddings", embeddings.create),
        ("POST", "/audio/transcriptions", media.transcribe),
        ("POST", "/audio/speech", media.speak),
        ("POST", "/images/generations", media.draw),
        ("POST", "/conversations", conversations.create),
        ("POST", "/conversations/files", uploads.to_conversation),
        ("POST", "/datasets/{id}/files", uploads.to_dataset),
        ("GET", "/files/{id}", uploads.status),
        ("GET", "/uploads/{id}", uploads.status),
    ]


async def _models(_: Request, caller: Caller) -> Response:
    data = [PUBLISHED[name].listing() for name in caller.models]
    return JSONResponse({"object": "list", "data": data})


def _endpoint(handler: Handler) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        try:
            return await handler(request, request.scope["caller"])
        except Refusal as refusal:
            return refusal.response()
        except HTTPException:
            raise
        except Exception:  # noqa: BLE001 - a crash must leave as JSON, and its details must not leave at all
            return by_status(500).response()

    return endpoint


async def _refuse_for_framework(_: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        return by_status(500).response()
    headers = {name: ", ".join(sorted(value.split(", "))) for name, value in (error.headers or {}).items()}
    return by_status(error.status_code, headers).response()  # sorted: Starlette keeps the methods of Allow in a set


MAX_BODY = 25 * 1024 * 1024
"""The largest request body, in bytes."""


class AuthMiddleware:
    """Below ``base`` nothing is reached without a live key, not even a 404.

    The caller goes into the scope as ``caller``. A body that grows too large while it is read raises
    :class:`Refusal` from ``receive``, thus inside the route that reads it.
    """

    def __init__(self, app: ASGIApp, accounts: Accounts, base: str) -> None:
        self.app = app
        self._accounts = accounts
        self._base = base

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the request through, or answer it here."""
        path = scope["path"]
        if path == self._base or path.startswith(self._base + "/"):
            headers = Headers(scope=scope)
            try:
                scope["caller"] = self._authenticate(headers)
                _check_length(headers)
            except Refusal as refusal:
                await refusal.response()(scope, receive, send)
                return
        await self.app(scope, _LimitedReceive(receive), send)

    def _authenticate(self, headers: Headers) -> Caller:
        values = headers.getlist("authorization")
        if not values:
            raise unauthorized("No API key: send it as 'Authorization: Bearer <key>'.")
        scheme, _, secret = values[0].partition(" ")
        caller = self._accounts.caller(secret) if len(values) == 1 and scheme.lower() == "bearer" else None
        if caller is None:
            raise unauthorized("The API key is malformed, unknown or no longer valid.")
        return caller


def _check_length(headers: Headers) -> None:
    length = headers.get("content-length", "0")
    if not length.isdecimal() or int(length) > MAX_BODY:
        raise by_status(413)


class _LimitedReceive:
    """``receive``, which refuses a body once it has grown too large."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._received = 0

    async def __call__(self) -> Message:
        message = await self._receive()
        self._received += len(message.get("body", b""))
        if self._received > MAX_BODY:
            raise by_status(413)
        return message
