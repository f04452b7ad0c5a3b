"""The application: which route leads where, and how every error leaves as JSON."""

from collections.abc import Awaitable, Callable, Iterable

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from . import audio, embeddings, images
from .accounts import Accounts, Caller
from .answers import Refusal, by_status
from .chat import Chat
from .conversations import Conversations
from .gate import Gate
from .names import PUBLISHED
from .uploads import Uploads

BASE = "/api/tenant"
"""The path of the tenant's base URL."""

Handler = Callable[[Request, Caller], Awaitable[Response]]


def build(accounts: Accounts, *, beside: Iterable[Route] = ()) -> ASGIApp:
    """A tenant without any state yet, behind its gate; ``beside`` are routes that stand outside the API."""
    routes = [
        Route(prefix + path, _endpoint(handler), methods=[method])
        for prefix in (f"{BASE}/v1", BASE)
        for method, path, handler in _table()
    ]
    app = Starlette(
        routes=[*routes, *beside],
        middleware=[Middleware(Gate, accounts=accounts, base=BASE)],
        exception_handlers={HTTPException: _refused_by_framework},
    )
    app.router.redirect_slashes = False
    return app


def _table() -> list[tuple[str, str, Handler]]:
    conversations = Conversations()
    uploads = Uploads(conversations)
    return [
        ("GET", "/models", _models),
        ("POST", "/chat/completions", Chat(conversations).complete),
        ("POST", "/embeddings", embeddings.create),
        ("POST", "/audio/transcriptions", audio.transcribe),
        ("POST", "/audio/speech", audio.speak),
        ("POST", "/images/generations", images.create),
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


async def _refused_by_framework(_: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        return by_status(500).response()
    headers = {name: ", ".join(sorted(value.split(", "))) for name, value in (error.headers or {}).items()}
    return by_status(error.status_code, headers).response()  # sorted: Starlette keeps the methods of Allow in a set
