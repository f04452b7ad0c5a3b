"""The client: requests as httpx makes them, sent over httpcore's connections, and the answer while it arrives.

Of httpx, its requests are used and not its client, which reads the environment at any time, keeps cookies, and parses
the address of every redirect, also of those that nobody follows.
"""

import sys
from collections.abc import AsyncIterable, AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from functools import lru_cache
from importlib.util import find_spec
from typing import Any, Self
from urllib.parse import urlsplit

import anyio

if "httpx" not in sys.modules:
    # Its command line, which it imports where rich is installed, takes as long again as all the rest. None is how
    # Python is told that there is no such module, for which httpx is prepared.
    sys.modules["httpx._main"] = None  # type: ignore[assignment]
import httpx

if find_spec("sniffio") is None:
    # httpcore looks for it at each request, and not finding it takes longer than most requests on loopback do.
    sys.modules.setdefault("sniffio", None)  # type: ignore[arg-type]
import httpcore

from gt_conformance.exchange import FilePart
from gt_conformance.network._connections import Connections
from gt_conformance.network._environment import find_proxy, make_tls
from gt_conformance.network._failure import TROUBLE, Header, Way, diagnose, hanging_name_service, unsendable
from gt_conformance.network._streams import PROGRESS, Network, Progress, Step
from gt_conformance.tenant import Tenant, is_loopback

_NAME_LOOKUP_S = 2.0
"""After a connection timed out: how long a second look at the name service may take before it is the one at fault."""
_KEPT = 8
_KEPT_S = 5.0
"""How long a connection that nobody uses is kept: many servers close theirs a little later."""


class HttpClient:
    """A pool of connections to one tenant, direct or through the proxy that the environment names.

    The environment is read here and never again: whoever runs the tests may change it meanwhile, in another thread.
    Raises Blocked where a setting of the environment cannot be used.
    """

    def __init__(
        self, tenant: Tenant, environment: Mapping[str, str], *, connections: int | None, connect_timeout_s: float
    ) -> None:
        parts = urlsplit(tenant.base_url)
        secure, host = parts.scheme == "https", parts.hostname or ""
        self._origin = f"{parts.scheme}://{parts.netloc}"
        # A proxy may be between this machine and a tenant, never between this machine and itself.
        proxy = None if is_loopback(host) else find_proxy(environment, host, parts.port or 443)
        self._way = Way(proxy, connect_timeout_s, secure, tenant.client_certificate is not None)
        self._dialled = urlsplit(proxy.url if proxy else tenant.base_url)
        self._extensions = {"timeout": {"connect": connect_timeout_s}}
        self._network = Network(via_proxy=proxy is not None, timeout_s=connect_timeout_s)
        tls, kept = make_tls(tenant, environment) if secure else None, connections or _KEPT
        self._kept = kept
        self._pool: Connections | httpcore.AsyncHTTPProxy
        if proxy is None:
            self._pool = Connections(tls, self._network, kept=kept, kept_s=_KEPT_S)
        else:
            at = httpx.Proxy(proxy.url)
            self._pool = httpcore.AsyncHTTPProxy(
                _address(at.url),
                proxy_auth=at.raw_auth,
                proxy_ssl_context=make_tls(tenant, environment, to_proxy=True) if at.url.scheme == "https" else None,
                ssl_context=tls,
                max_connections=connections,
                max_keepalive_connections=kept,
                keepalive_expiry=_KEPT_S,
                network_backend=self._network,
            )

    async def close(self) -> None:
        """Close every connection."""
        await self._pool.aclose()
        await self._network.closed()

    def send(
        self,
        method: str,
        url: str,
        headers: Sequence[tuple[str, str]],
        body: bytes = b"",
        parts: Sequence[FilePart] = (),
    ) -> AbstractAsyncContextManager["Received"]:
        """The answer to a request, while it arrives. Raises NetworkFailure."""
        files = [
            (part.name, (part.filename, part.content, part.content_type))
            if part.content_type
            else (part.name, (part.filename, part.content))
            for part in parts
        ]
        in_chunks = any(name.lower() == "transfer-encoding" for name, _ in headers)
        content = _Chunked(body) if in_chunks else body or None
        return self._exchange(method, url, headers=headers, content=content, files=files or None)

    def forward(
        self, method: str, target: bytes, headers: Sequence[Header], body: AsyncIterable[bytes] | None
    ) -> AbstractAsyncContextManager["Received"]:
        """The answer to another program's request, which is passed on with its own path and headers, byte for byte."""
        stream = httpx.ByteStream(b"") if body is None else _Body(body)
        return self._exchange(
            method, self._origin, target=target, headers=headers, stream=stream, repeatable=body is None
        )

    @asynccontextmanager
    async def _exchange(
        self, method: str, url: str, *, target: bytes | None = None, repeatable: bool = True, **content: Any
    ) -> AsyncIterator["Received"]:
        try:
            made = httpx.Request(method, _parsed(url), **content)
        except (httpx.InvalidURL, ValueError) as error:
            raise unsendable() from error
        request = httpcore.Request(
            made.method,
            _address(made.url, target),
            headers=made.headers.raw,
            content=made.stream,
            extensions=self._extensions,
        )
        response, progress = await self._head(request, repeatable=repeatable)
        try:
            yield Received(response, self._way, progress)
        finally:
            with suppress(*TROUBLE):
                await response.aclose()

    async def _head(self, request: httpcore.Request, *, repeatable: bool) -> tuple[httpcore.Response, Progress]:
        """The answer once its head has come, and how far the request came. Raises NetworkFailure.

        A server may close a connection that nobody uses at any time (RFC 9112, 9.5), just as the next request is on its
        way. So what finds a connection that was kept closed goes over another one, as from browsers and SDKs.
        """
        kept = self._kept
        while True:
            progress = Progress()
            PROGRESS.set(progress)
            try:
                return await self._pool.handle_async_request(request), progress
            except TROUBLE as error:
                if repeatable and kept and progress.was_kept and _is_closed(error):
                    kept -= 1
                    continue
                timed_out = isinstance(error, httpcore.ConnectTimeout) and progress.step is Step.CONNECT
                if timed_out and await self._name_hangs():
                    raise hanging_name_service() from error
                raise diagnose(error, self._way, progress) from error

    async def _name_hangs(self) -> bool:
        """Whether the name service leaves a question about the host open: then no connection was even tried."""
        with anyio.move_on_after(_NAME_LOOKUP_S, shield=True) as scope, suppress(OSError, UnicodeError):
            await anyio.getaddrinfo(self._dialled.hostname, self._dialled.port or 443)
        return scope.cancelled_caught


class Received:
    """An answer whose head has arrived: its status, its raw headers, and its body, to be iterated."""

    def __init__(self, response: httpcore.Response, way: Way, progress: Progress) -> None:
        self.status = response.status
        self.headers: Sequence[Header] = response.headers
        self._pieces = aiter(response.aiter_stream())
        self._way = way
        self._progress = progress
        self.sent_at = progress.sent_at
        """The time.perf_counter() at which its request was sent over a connection that was opened for it; else None."""

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        """The next bytes of the body, as they come. Raises NetworkFailure where it breaks off."""
        try:
            return await anext(self._pieces)
        except TROUBLE as error:
            raise diagnose(error, self._way, self._progress) from error


def _is_closed(error: Exception) -> bool:
    """Whether the other side had closed the connection before a byte of its answer came."""
    disconnected = isinstance(error, httpcore.RemoteProtocolError) and "without sending" in str(error)
    return disconnected or isinstance(error, httpcore.ReadError | httpcore.WriteError | ConnectionError)


class _Chunked(httpx.AsyncByteStream):
    """A body as one piece, of which no length is given."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield self._body


class _Body(httpx.AsyncByteStream):
    def __init__(self, pieces: AsyncIterable[bytes]) -> None:
        self._pieces = pieces

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for piece in self._pieces:
            yield piece


@lru_cache(256)
def _parsed(url: str) -> httpx.URL:
    """The address: a run has few of them, and httpx reads one as long as it makes the rest of a request."""
    return httpx.URL(url)


def _address(url: httpx.URL, target: bytes | None = None) -> httpcore.URL:
    return httpcore.URL(
        scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path if target is None else target
    )
