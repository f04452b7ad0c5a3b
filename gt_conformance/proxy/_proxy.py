"""The recording proxy: where it listens, whose key it puts in, and how it passes a request on.

Raw bytes both ways, nothing decoded, nothing added, and an end on one side is one on the other.
"""

import asyncio
import json
import os
import secrets
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import TimeoutError as TooLong
from contextlib import suppress
from dataclasses import dataclass
from itertools import count
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

import anyio
from starlette.types import Receive, Scope, Send

from gt_conformance.errors import Blocked, InputError
from gt_conformance.exchange import Failure, Presentation
from gt_conformance.network import CONNECT_TIMEOUT_S, Header, HttpClient, NetworkFailure
from gt_conformance.proxy._recording import COMPLETE, ProxiedExchange, Recording
from gt_conformance.tenant import Secret, Tenant
from gt_loopback import BackgroundServer

_LOOPBACK = frozenset({"127.0.0.1", "::1"})
_FIRST = 100_001
_CLOSING_S = 5.0


def exchange_numbers() -> Iterator[int]:
    """Numbers far from the runner's, which begin with 1: a run that has both shows one list of exchanges."""
    return count(_FIRST)


class RecordingProxy:
    """Passes on to one tenant, from loopback, what shows a stand-in for one of its keys, or no key. A context manager.

    Its address ends in the tenant's own path. ``numbers`` gives each exchange its number, also beyond this one proxy.
    """

    def __init__(
        self, tenant: Tenant, *, host: str = "127.0.0.1", port: int = 0, numbers: Iterator[int] | None = None
    ) -> None:
        if host not in _LOOPBACK:
            raise InputError.of(
                f"the recording proxy does not listen on {host}: whoever reaches it uses the tenant's keys.",
                hint="It listens on 127.0.0.1 or ::1 only.",
            )
        self._tenant = tenant
        self._host = host
        self._port = port
        self._numbers = numbers or exchange_numbers()
        self._stand_ins = _StandIns(
            {name: key.secret for name, key in tenant.credentials.items() if key.secret is not None}
        )
        self._exchanges: list[ProxiedExchange] = []
        self._server: BackgroundServer | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        try:
            # Made here, where the environment is still its caller's: it is read once, and not in the server's thread.
            client = HttpClient(tenant, dict(os.environ), connections=None, connect_timeout_s=CONNECT_TIMEOUT_S)
        except Blocked as blocked:
            raise InputError.of(f"{blocked.reason}.", hint=blocked.remedy) from None
        self._forwarding = _Forwarding(
            tenant.base_url,
            client,
            self._stand_ins,
            most=tenant.limits.max_requests,
            refs=lambda: f"x{next(self._numbers)}",
            keep=self._exchanges.append,
        )

    def __enter__(self) -> Self:
        """Listen. Raises OSError where the port is taken."""
        server = BackgroundServer(self._serve, self._host, self._port, name="recording proxy", dated=False)
        server.start()
        self._server = server
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close every connection, on both sides."""
        if self._loop is not None:
            closing = asyncio.run_coroutine_threadsafe(self._forwarding.close(), self._loop)
            with suppress(TooLong):
                closing.result(_CLOSING_S)
        if self._server is not None:
            self._server.stop()

    @property
    def base_url(self) -> str:
        """Its own address with the tenant's path: ``http://127.0.0.1:PORT/api/tenant``."""
        return self.origin + urlsplit(self._tenant.base_url).path

    @property
    def origin(self) -> str:
        """Its own scheme, host and port. Raises RuntimeError where it does not listen."""
        if self._server is None:
            raise RuntimeError("The recording proxy has no address before it is started.")
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"http://{host}:{self._server.port}"

    def stand_in(self, key: str) -> str:
        """What a client is given in place of the key of that name. Raises KeyError."""
        return self._stand_ins.of(key)

    @property
    def stand_ins(self) -> Mapping[str, str]:
        """All of them, for a redactor."""
        return self._stand_ins.values()

    @property
    def exchanges(self) -> Sequence[ProxiedExchange]:
        """The exchanges that have ended, in that order; may be read from any thread."""
        return tuple(self._exchanges)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._loop = asyncio.get_running_loop()
        await self._forwarding(scope, receive, send)


# -- whose key: a client is given a stand-in, and only the proxy knows what it stands for

_SCHEME = b"bearer "


@dataclass(frozen=True)
class _Presented:
    """How a request shows a key. ``authorization`` is what the tenant is sent in its place; None sends none."""

    key: str | None
    presentation: Presentation
    authorization: bytes | None
    ours: bool = True


class _StandIns:
    """For each key of the run a made-up one of the same look. A real key never leaves this process for a client."""

    def __init__(self, keys: Mapping[str, Secret]) -> None:
        self._keys = keys
        self._stand_ins = {name: "gtak_" + secrets.token_urlsafe(30) for name in keys}
        self._names = {stand_in.encode(): name for name, stand_in in self._stand_ins.items()}

    def of(self, key: str) -> str:
        """The stand-in for the key of that name. Raises KeyError."""
        return self._stand_ins[key]

    def values(self) -> Mapping[str, str]:
        """Every stand-in, by the name under which a redactor shows it."""
        return {f"stand-in for {name}": value for name, value in self._stand_ins.items()}

    def presented(self, headers: Sequence[Header]) -> _Presented:
        """What key a request shows, and what to send for it. Only a stand-in, as a bearer, is one of ours."""
        shown = [value for name, value in headers if name == b"authorization"]
        if not shown:
            return _Presented(None, Presentation.NONE, None)
        name = self._names.get(shown[0][len(_SCHEME) :].strip()) if shown[0].lower().startswith(_SCHEME) else None
        if name is None or len(shown) > 1:
            return _Presented(None, Presentation.MADE_UP, None, ours=False)
        return _Presented(name, Presentation.BEARER, b"Bearer " + self._keys[name].reveal().encode())


# -- passing on

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

_UNREACHED = frozenset({Failure.DNS, Failure.CONNECT, Failure.TLS, Failure.PROXY, Failure.HERE})
_GONE = "the client closed the connection"
_STOPPED = "the proxy was stopped before the answer ended"


class _BrokenOff(Exception):
    """The tenant's answer ended before it was whole: the client's connection ends in the same way."""


class _ClientGone(Exception):
    """The client closed its connection while it was sending. Never leaves this module."""


class _Forwarding:
    """An ASGI application that passes each request on to one origin, and hands what passed to ``keep``.

    ``most`` is the number of requests after which it passes on no more. ``refs`` gives each exchange its name.
    """

    def __init__(
        self,
        base_url: str,
        client: HttpClient,
        stand_ins: _StandIns,
        *,
        most: int,
        refs: Callable[[], str],
        keep: Callable[[ProxiedExchange], None],
    ) -> None:
        parts = urlsplit(base_url)
        self._origin = f"{parts.scheme}://{parts.netloc}"
        self._host = parts.netloc.encode("latin-1")
        self._client = client
        self._stand_ins = stand_ins
        self._left = most
        self._refs = refs
        self._keep = keep

    async def close(self) -> None:
        """Close every connection to the tenant."""
        await self._client.close()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass one request on. Raises _BrokenOff, at which the server hangs up, where the answer breaks off."""
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
            headers = self._headers(scope["headers"], shown, upload)
            await self._pass_on(receive, send, recording, upload, _Forwarded(scope["method"], target, headers))

    def _headers(self, given: Sequence[Header], shown: _Presented, upload: "_Upload") -> list[Header]:
        names = {name for name, _ in given}
        ours = _of_this_connection(given) | {b"host", b"authorization"}
        headers = [(b"host", self._host), *((name, value) for name, value in given if name not in ours)]
        if shown.authorization is not None:
            headers.append((b"authorization", shown.authorization))
        if b"transfer-encoding" in names:
            headers.append((b"transfer-encoding", b"chunked"))
        if not names & {b"transfer-encoding", b"content-length"}:
            upload.whole.set()
        return headers

    async def _pass_on(
        self, receive: Receive, send: Send, recording: Recording, upload: "_Upload", forwarded: "_Forwarded"
    ) -> None:
        end, failure, remedy, unreached = _STOPPED, Failure.CLOSED, "", ""
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
                    await self._exchange(send, recording, upload, forwarded)
                    end = COMPLETE
                except _ClientGone:
                    end = _GONE
                except NetworkFailure as error:
                    end, failure, remedy = error.detail, error.failure, error.remedy
                    if not recording.begun and failure in _UNREACHED:
                        unreached = f"The tenant cannot be reached: {error.detail}."
                group.cancel_scope.cancel()
        finally:
            self._keep(recording.ended(end, failure, remedy))
        if unreached:
            await self._tell(send, 502, unreached)
        elif end not in {COMPLETE, _GONE}:
            raise _BrokenOff(end)

    async def _exchange(self, send: Send, recording: Recording, upload: "_Upload", forwarded: "_Forwarded") -> None:
        body = None if upload.whole.is_set() else upload
        async with self._client.forward(forwarded.method, forwarded.target, forwarded.headers, body) as received:
            headers = [(name.lower(), value) for name, value in received.headers]
            recording.began(received.status, _readable(headers))
            ours = _of_this_connection(headers)
            kept = [item for item in received.headers if item[0].lower() not in ours]
            await send({"type": "http.response.start", "status": received.status, "headers": kept})
            async for piece in received:
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


@dataclass(frozen=True)
class _Forwarded:
    """A request as it is passed on, but for its body."""

    method: str
    target: bytes
    headers: Sequence[Header]


class _Upload:
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


def _of_this_connection(headers: Iterable[Header]) -> frozenset[bytes]:
    """The headers that are not passed on: those of every connection, and those that Connection names."""
    named = (value.lower().split(b",") for name, value in headers if name == b"connection")
    return _OF_ONE_CONNECTION | {part.strip() for parts in named for part in parts}


def _readable(headers: Iterable[Header]) -> tuple[tuple[str, str], ...]:
    return tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in headers)
