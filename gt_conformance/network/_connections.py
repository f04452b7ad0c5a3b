"""Connections to the tenant itself that are kept and used again, each for one request at a time.

In the place of httpcore's pool, which at every request, and after it, looks at each connection and at its socket: that
cost as much as all else that httpcore does. How many are open at once is bounded by whoever sends.
"""

import ssl
from collections.abc import AsyncIterator
from typing import Any

import httpcore


class Connections:
    """Those to one origin; ``kept`` is how many that nobody uses are kept, ``kept_s`` how long."""

    def __init__(
        self,
        tls: ssl.SSLContext | None,
        network: httpcore.AsyncNetworkBackend,
        *,
        kept: int,
        kept_s: float,
    ) -> None:
        self._tls = tls
        self._network = network
        self._kept = kept
        self._kept_s = kept_s
        self._idle: list[httpcore.AsyncHTTPConnection] = []
        self._busy: set[httpcore.AsyncHTTPConnection] = set()

    async def handle_async_request(self, request: httpcore.Request) -> httpcore.Response:
        """The answer, once its head has come; with its end its connection is free again."""
        connection = await self._take() or self._make(request)
        self._busy.add(connection)
        try:
            response = await connection.handle_async_request(request)
        except BaseException as error:
            self._busy.discard(connection)
            await connection.aclose()
            if isinstance(error, Exception):  # and not the end of our patience
                await self._close_idle()  # which have waited for longer than this one: they may be closed as well
            raise
        response.stream = _Body(response.stream, connection, self)
        return response

    async def aclose(self) -> None:
        """Close every connection."""
        for connection in self._busy:
            await connection.aclose()
        await self._close_idle()

    async def _close_idle(self) -> None:
        idle, self._idle = self._idle, []
        for connection in idle:
            await connection.aclose()

    def give_back(self, connection: httpcore.AsyncHTTPConnection) -> bool:
        """A connection is not used any more; whether it is kept. One on which an answer broke off is closed already."""
        self._busy.discard(connection)
        keeps = connection.is_idle() and len(self._idle) < self._kept
        if keeps:
            self._idle.append(connection)
        return keeps

    async def _take(self) -> httpcore.AsyncHTTPConnection | None:
        while self._idle:
            connection = self._idle.pop()
            if not connection.has_expired():
                return connection
            await connection.aclose()
        return None

    def _make(self, request: httpcore.Request) -> httpcore.AsyncHTTPConnection:
        return httpcore.AsyncHTTPConnection(
            request.url.origin, self._tls, keepalive_expiry=self._kept_s, network_backend=self._network
        )


class _Body:
    """The body of an answer, with which its connection is given back."""

    def __init__(self, pieces: Any, connection: httpcore.AsyncHTTPConnection, connections: Connections) -> None:
        self._pieces = pieces
        self._connection = connection
        self._connections = connections

    def __aiter__(self) -> AsyncIterator[bytes]:
        return aiter(self._pieces)

    async def aclose(self) -> None:
        """Close it, and the connection where it was not read to its end."""
        await self._pieces.aclose()
        if not self._connections.give_back(self._connection):
            await self._connection.aclose()
