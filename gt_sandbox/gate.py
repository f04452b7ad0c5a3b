"""The gate: what stands before every route. First the key, then the size of the body."""

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .accounts import Accounts, Caller
from .answers import Refusal, by_status, unauthorized

MAX_BODY = 25 * 1024 * 1024
"""The largest request body, in bytes."""


class Gate:
    """ASGI middleware: below ``base`` nothing is reached without a live key, not even a 404.

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
                scope["caller"] = self._admit(headers)
                _check_length(headers)
            except Refusal as refusal:
                await refusal.response()(scope, receive, send)
                return
        await self.app(scope, _Measured(receive), send)

    def _admit(self, headers: Headers) -> Caller:
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


class _Measured:
    """``receive`` with a count of the bytes that it has given out."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._seen = 0

    async def __call__(self) -> Message:
        message = await self._receive()
        self._seen += len(message.get("body", b""))
        if self._seen > MAX_BODY:
            raise by_status(413)
        return message
