"""Connections to the tenant or to a proxy, as httpcore uses them: asyncio's transports carry the bytes.

httpcore's own streams, anyio's, cost more than all else that HTTP costs, and do not say how far a request came.
"""

import asyncio
import select
import socket
import ssl
import time
from collections.abc import Iterable, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from enum import Enum, auto
from ipaddress import ip_address

import anyio
import httpcore
from httpcore import SOCKET_OPTION

_MOST_UNREAD = 64 * 1024
"""More of an answer is not taken from the network before what came was read."""
_MOST_UNWRITTEN = 64 * 1024
"""So much of a request is put together before it is written."""
_NEXT_ADDRESS_S = 0.25
"""How long one address of a host may be silent before the next is tried as well (RFC 8305)."""
_TO_BE_CLOSED_S = 1.0


class Step(Enum):
    """How far a request has come."""

    CONNECT = auto()
    PROXY_TLS = auto()
    TUNNEL = auto()
    TLS = auto()
    SENT = auto()


@dataclass
class Progress:
    """The step that a request has reached. On a connection that was kept, the first that happens is that it is sent.

    ``sent_at`` is the time.perf_counter() at which it was sent over a connection that was opened for it.
    """

    step: Step = Step.SENT
    sent_at: float | None = None

    @property
    def was_kept(self) -> bool:
        """Whether it went over a connection that was kept from an earlier request."""
        return self.step is Step.SENT and self.sent_at is None


PROGRESS: ContextVar[Progress] = ContextVar("PROGRESS")
"""That of the request that is being sent: httpcore uses its connections in the task that sends."""


class Network(httpcore.AsyncNetworkBackend):
    """What httpcore connects by.

    ``via_proxy`` says whether that is to a proxy, ``timeout_s`` how long it may take to open the way to the tenant.
    """

    def __init__(self, *, via_proxy: bool, timeout_s: float) -> None:
        self._via_proxy = via_proxy
        self._timeout_s = timeout_s
        self._open: set[_Stream] = set()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's own signatures, here and below
        local_address: str | None = None,
        socket_options: Iterable[SOCKET_OPTION] | None = None,
    ) -> "_Stream":
        """A connection to the first address of the host that answers."""
        del local_address, socket_options  # of which nothing here makes use
        PROGRESS.get().step = Step.CONNECT
        with anyio.move_on_after(timeout) as time_left:
            dialled = await _dial(host, port)
        if time_left.cancelled_caught:
            raise httpcore.ConnectTimeout
        stream = _Stream(self._open, self._timeout_s if self._via_proxy else None)
        try:
            await asyncio.get_running_loop().create_connection(lambda: stream, sock=dialled)
        except BaseException:
            dialled.close()
            raise
        return stream

    async def closed(self) -> None:
        """Wait until connections that are being closed are, but not long."""
        lost = [stream.lost for stream in self._open]
        if lost:
            await asyncio.wait(lost, timeout=_TO_BE_CLOSED_S)


async def _dial(host: str, port: int) -> socket.socket:
    """A socket that is connected to the first address of the host that answers."""
    addresses = await _addresses_of(host, port)
    if len(addresses) == 1:
        return await _connected(*addresses[0])
    found: list[socket.socket] = []
    errors: list[OSError] = []

    async def try_one(family: int, address: tuple[str, int], failed: anyio.Event) -> None:
        try:
            dialled = await _connected(family, address)
        except OSError as error:
            errors.append(error)
            failed.set()
            return
        found.append(dialled)
        group.cancel_scope.cancel()

    try:
        async with anyio.create_task_group() as group:
            for family, address in addresses:
                failed = anyio.Event()
                group.start_soon(try_one, family, address, failed)
                with anyio.move_on_after(_NEXT_ADDRESS_S):
                    await failed.wait()
    except BaseException:
        for dialled in found:
            dialled.close()
        raise
    for too_late in found[1:]:
        too_late.close()
    if not found:
        raise OSError("no address of the host can be reached") from ExceptionGroup("each address", errors)
    return found[0]


async def _addresses_of(host: str, port: int) -> Sequence[tuple[int, tuple[str, int]]]:
    """Each address of the host, in the system's order, but the second of another family than the first."""
    try:
        version = ip_address(host).version
    except ValueError:
        answers = await anyio.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    else:
        return [(socket.AF_INET6 if version == 6 else socket.AF_INET, (host, port))]
    found = list(dict.fromkeys((int(family), address) for family, _, _, _, address in answers))
    other = next((one for one in found if one[0] != found[0][0]), None)
    if other is not None:
        found.remove(other)
        found.insert(1, other)
    return found


async def _connected(family: int, address: tuple[str, int]) -> socket.socket:
    dialled = socket.socket(family, socket.SOCK_STREAM)
    try:
        dialled.settimeout(0)
        await asyncio.get_running_loop().sock_connect(dialled, address)
    except BaseException:
        dialled.close()
        raise
    return dialled


class _Stream(httpcore.AsyncNetworkStream, asyncio.Protocol):
    """One connection. ``to_proxy_s``: how long a proxy at its other end may take to open the way to the tenant."""

    def __init__(self, is_open: "set[_Stream]", to_proxy_s: float | None) -> None:
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._is_open = is_open
        self._to_proxy_s = to_proxy_s
        self._tunnel_opens_by: float | None = None
        self._secured = False
        self._unwritten = bytearray()
        self._arrived = bytearray()
        self._ended = False
        self._error: Exception | None = None
        self._is_full = False
        self._is_paused = False
        self._news: asyncio.Future[None] | None = None
        self.lost: asyncio.Future[None] = self._loop.create_future()

    # -- what the transport calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - for the type checker
        self._transport = transport
        self._is_open.add(self)

    def data_received(self, data: bytes) -> None:
        self._arrived += data
        if len(self._arrived) > _MOST_UNREAD and self._transport is not None and not self._is_paused:
            self._is_paused = True
            self._transport.pause_reading()
        self._tell()

    def eof_received(self) -> None:
        self._ended = True
        self._tell()

    def connection_lost(self, exc: Exception | None) -> None:
        self._ended = True
        self._error = self._error or exc
        self._is_full = False
        self._is_open.discard(self)
        if not self.lost.done():
            self.lost.set_result(None)
        self._tell()

    def pause_writing(self) -> None:
        self._is_full = True

    def resume_writing(self) -> None:
        self._is_full = False
        self._tell()

    def _tell(self) -> None:
        if self._news is not None and not self._news.done():
            self._news.set_result(None)

    async def _wait(self) -> None:
        self._news = self._loop.create_future()
        try:
            await self._news
        finally:
            self._news = None

    # -- what httpcore calls

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ASYNC109
        """Write, at once or with what follows without a pause. Raises WriteError where the other end has closed."""
        del timeout
        progress = PROGRESS.get()
        if self._to_proxy_s is not None:
            progress.step = Step.TUNNEL
            self._tunnel_opens_by = self._loop.time() + self._to_proxy_s
        elif progress.step is not Step.SENT:
            progress.step, progress.sent_at = Step.SENT, time.perf_counter()
        if self._ended:
            raise httpcore.WriteError  # there may be an answer all the same, for which httpcore looks then
        if not self._unwritten:
            self._loop.call_soon(self._flush)
        self._unwritten += buffer
        if len(self._unwritten) > _MOST_UNWRITTEN:
            self._flush()
        while self._is_full and not self._arrived and not self._ended:  # else there is an answer before all was sent
            await self._wait()

    def _flush(self) -> None:
        if self._unwritten and self._transport is not None and not self._ended:
            self._transport.write(bytes(self._unwritten))
        self._unwritten.clear()

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109
        """The next bytes; none at the end."""
        del timeout
        if self._tunnel_opens_by is not None:
            with anyio.move_on_after(self._tunnel_opens_by - self._loop.time()) as time_left:
                return await self._read(max_bytes)
            if time_left.cancelled_caught:
                raise httpcore.ReadTimeout
        return await self._read(max_bytes)

    async def _read(self, max_bytes: int) -> bytes:
        self._flush()
        while not self._arrived:
            if self._error is not None:
                raise self._error
            if self._ended:
                return b""
            await self._wait()
        found = bytes(self._arrived[:max_bytes])
        del self._arrived[:max_bytes]
        if self._is_paused and self._transport is not None:
            self._is_paused = False
            self._transport.resume_reading()
        return found

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109
    ) -> "_Stream":
        """Speak TLS from now on: to a proxy of that scheme, and then, through it, to the tenant."""
        to_proxy = self._to_proxy_s is not None and self._tunnel_opens_by is None
        PROGRESS.get().step = Step.PROXY_TLS if to_proxy else Step.TLS
        try:
            with anyio.move_on_after(timeout) as time_left:
                await self._secure(ssl_context, server_hostname)
        except BaseException:
            await self._give_up()
            raise
        if time_left.cancelled_caught:
            await self._give_up()
            raise httpcore.ConnectTimeout
        if not to_proxy:
            self._to_proxy_s = self._tunnel_opens_by = None
        return self

    async def _secure(self, tls: ssl.SSLContext, host: str | None) -> None:
        assert self._transport is not None, "only what is connected is secured"  # noqa: S101 - for the type checker
        self._transport = await self._loop.start_tls(self._transport, self, tls, server_hostname=host)
        if self._transport is None:
            raise ConnectionResetError

    async def _give_up(self) -> None:
        await self.aclose()
        self._is_open.discard(self)  # of an end during the handshake, nobody is told

    async def aclose(self) -> None:
        """Close it."""
        if self._transport is not None:
            self._transport.abort()

    def get_extra_info(self, info: str) -> object:
        """Whether something came that nobody asked for, or the other end has closed; the socket; what TLS agreed on."""
        if info == "is_readable":
            return self._ended or bool(self._arrived) or self._transport is None or self._has_news(self._transport)
        names = {"ssl_object": "ssl_object", "socket": "socket", "server_addr": "peername", "client_addr": "sockname"}
        return None if self._transport is None or info not in names else self._transport.get_extra_info(names[info])

    def _has_news(self, transport: asyncio.Transport) -> bool:
        """The event loop may not have had time to hear of it."""
        return _is_readable(transport.get_extra_info("socket").fileno())


def _is_readable(number: int) -> bool:
    """Whether something came on a file that nobody reads."""
    if not hasattr(select, "poll"):  # Windows
        return bool(select.select([number], [], [], 0)[0])
    poll = select.poll()
    poll.register(number, select.POLLIN)
    return bool(poll.poll(0))
