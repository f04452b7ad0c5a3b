"""Passing on: raw bytes both ways, nothing decoded, nothing added, and an end on one side is one on the other."""

import json
import ssl
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import aclosing
from urllib.parse import urlsplit

import anyio
import httpx
from starlette.types import Receive, Scope, Send

from gt_conformance.exchange import Failure
from gt_conformance.proxy._keys import Presented, StandIns
from gt_conformance.proxy._passage import COMPLETE, Passage, Recording

_CONNECT_TIMEOUT_S = 10.0
_OF_ONE_CONNECTION = frozenset(
    {
        b"connection",
        b"expect",  # answered by whoever listens
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    }
)
"""Headers about one connection, which each side of the proxy has for itself (RFC 9110, section 7.6.1)."""

_GONE = "the client closed the connection"
_STOPPED = "the proxy was stopped before the answer ended"


class BrokenOff(Exception):
    """The tenant's answer ended before it was whole: the client's connection ends in the same way."""


class _ClientGone(Exception):
    """The client closed its connection while it was sending. Never leaves this module."""


class Forwarding:
    """An ASGI application that passes each request on to one origin, and hands what passed to ``keep``.

    ``most`` is the number of requests after which it passes on no more. ``refs`` gives each exchange its name.
    """

    def __init__(
        self,
        base_url: str,
        stand_ins: StandIns,
        *,
        ca_file: str | None,
        most: int,
        refs: Callable[[], str],
        keep: Callable[[Passage], None],
    ) -> None:
        parts = urlsplit(base_url)
        self._origin = f"{parts.scheme}://{parts.netloc}"
        self._host = parts.netloc.encode("latin-1")
        self._stand_ins = stand_ins
        self._left = most
        self._refs = refs
        self._keep = keep
        loopback = parts.scheme == "http"
        self._client = httpx.AsyncClient(
            verify=ssl.create_default_context(cafile=ca_file) if ca_file else not loopback,
            follow_redirects=False,
            trust_env=not loopback,  # a proxy of the environment may stand before a tenant, never before this machine
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=8),
        )

    async def close(self) -> None:
        """Close every connection to the tenant."""
        await self._client.aclose()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass one request on. Raises BrokenOff, at which the server hangs up, where the answer breaks off."""
        target = scope["raw_path"] + (b"?" + scope["query_string"] if scope["query_string"] else b"")
        shown = self._stand_ins.presented(scope["headers"])
        recording = Recording(
            self._refs(),
            scope["method"],
            self._origin + target.decode("latin-1"),
            _readable(item for item in scope["headers"] if item[0] != b"authorization"),
            shown.key,
            shown.presentation,
        )
        if not shown.ours:
            await self._answer(recording, send, 401, "This proxy passes on the key of the run, and no other.")
        elif self._left <= 0:
            await self._answer(recording, send, 429, "This run's limit of requests was reached.")
        else:
            self._left -= 1
            upload = _Upload(receive, recording)
            await self._pass_on(receive, send, recording, upload, self._request(scope, target, shown, upload))

    def _request(self, scope: Scope, target: bytes, shown: Presented, upload: "_Upload") -> httpx.Request:
        given: list[tuple[bytes, bytes]] = scope["headers"]
        names = {name for name, _ in given}
        ours = _of_this_connection(given) | {b"host", b"authorization"}
        headers = [(b"host", self._host), *((name, value) for name, value in given if name not in ours)]
        if shown.authorization is not None:
            headers.append((b"authorization", shown.authorization))
        if b"transfer-encoding" in names:
            headers.append((b"transfer-encoding", b"chunked"))
        if not names & {b"transfer-encoding", b"content-length"}:
            upload.whole.set()
        # Made by hand: httpx's client would add headers of its own, and write the path in its own way.
        return httpx.Request(
            scope["method"],
            self._origin,
            headers=headers,
            stream=httpx.ByteStream(b"") if upload.whole.is_set() else upload,
            extensions={"target": target, "timeout": {"connect": _CONNECT_TIMEOUT_S}},
        )

    async def _pass_on(
        self, receive: Receive, send: Send, recording: Recording, upload: "_Upload", request: httpx.Request
    ) -> None:
        end, failure, unreached = _STOPPED, Failure.CLOSED, False
        try:
            async with anyio.create_task_group() as group:

                async def watch() -> None:
                    nonlocal end
                    await upload.whole.wait()
                    while (await receive())["type"] != "http.disconnect":
                        pass
                    # Once all of the answer was handed on, an end of the connection is only that.
                    if not recording.whole:
                        end = _GONE
                        group.cancel_scope.cancel()

                group.start_soon(watch)
                try:
                    await self._exchange(send, recording, request)
                    end = COMPLETE
                except _ClientGone:
                    end = _GONE
                except httpx.HTTPError as error:
                    unreached = isinstance(error, httpx.ConnectError | httpx.ConnectTimeout)
                    failure = Failure.CONNECT if unreached else Failure.CLOSED
                    end = f"{type(error).__name__}: {error}"
                group.cancel_scope.cancel()
        finally:
            self._keep(recording.ended(end, failure))
        if unreached:
            await self._tell(send, 502, "The tenant cannot be reached.")
        elif end not in {COMPLETE, _GONE}:
            raise BrokenOff(end)

    async def _exchange(self, send: Send, recording: Recording, request: httpx.Request) -> None:
        response = await self._client.send(request, stream=True)
        async with aclosing(response):
            headers = [(name.lower(), value) for name, value in response.headers.raw]
            recording.began(response.status_code, _readable(headers))
            ours = _of_this_connection(headers)
            kept = [item for item in response.headers.raw if item[0].lower() not in ours]
            await send({"type": "http.response.start", "status": response.status_code, "headers": kept})
            async for piece in response.aiter_raw():
                recording.take(piece)
                await send({"type": "http.response.body", "body": piece, "more_body": True})
            recording.whole = True
            await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _answer(self, recording: Recording, send: Send, status: int, message: str) -> None:
        """Refuse a request here, as the API would, and keep that."""
        recording.answered_here = True
        body = await self._tell(send, status, message)
        recording.began(status, (("content-type", "application/json"),))
        recording.take(body)
        self._keep(recording.ended())

    @staticmethod
    async def _tell(send: Send, status: int, message: str) -> bytes:
        error = {"message": message, "type": "invalid_request_error", "param": None, "code": None}
        body = json.dumps({"error": error}).encode()
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body, "more_body": False})
        return body


class _Upload(httpx.AsyncByteStream):
    """The body of a request while the client sends it; ``whole`` is set once all of it has passed."""

    def __init__(self, receive: Receive, recording: Recording) -> None:
        self._receive = receive
        self._recording = recording
        self.whole = anyio.Event()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """The pieces as they come."""
        more = True
        while more:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise _ClientGone
            piece, more = message["body"], message["more_body"]
            self._recording.sent.take(piece)
            if piece:
                yield piece
        self.whole.set()


def _of_this_connection(headers: Iterable[tuple[bytes, bytes]]) -> frozenset[bytes]:
    """The headers that are not passed on: those of every connection, and those that Connection names."""
    named = (value.lower().split(b",") for name, value in headers if name == b"connection")
    return _OF_ONE_CONNECTION | {part.strip() for parts in named for part in parts}


def _readable(headers: Iterable[tuple[bytes, bytes]]) -> tuple[tuple[str, str], ...]:
    return tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in headers)
