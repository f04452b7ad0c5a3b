"""HTTP/1.1 to one host, directly or through a proxy, over connections that are kept and used again.

The only module that knows h11, which writes and reads the protocol; asyncio's transports carry the bytes. What users
are not served by is left out (HTTP/2, cookies, redirects, environment variables), so that a request costs little.
"""

import asyncio
import select
import socket
import ssl
from collections.abc import AsyncIterable, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from ipaddress import ip_address

import anyio
import h11

Header = tuple[bytes, bytes]

_LONGEST_HEAD = 100 * 1024
_MOST_UNREAD = 64 * 1024
"""More of an answer is not taken from the network before what came was read."""
_KEPT_S = 5.0
"""How long a connection that nobody uses is kept: many servers close theirs a little later."""
_NEXT_ADDRESS_S = 0.25
"""How long one address of a host may be silent before the next is tried as well (RFC 8305)."""
_SWITCHING = 101
_FINAL = 200


class HttpError(Exception):
    """Trouble with HTTP itself; trouble of the network and of TLS are OSErrors."""


class Unsendable(HttpError):
    """The request is not permitted in HTTP."""


class NotHttp(HttpError):
    """What came back is not HTTP."""


class Disconnected(HttpError):
    """The connection was closed before the end of the answer."""


class ConnectTimeout(HttpError):
    """No connection, or none with TLS, within the time for it."""


class TunnelTimeout(HttpError):
    """The proxy did not open the way within the time for it."""


class ProxyRefused(HttpError):
    """The proxy answered that it does not open the way."""

    def __init__(self, status: int) -> None:
        self.status = status
        super().__init__(status)


class Step(Enum):
    """How far a request has come."""

    CONNECT = auto()
    PROXY_TLS = auto()
    TUNNEL = auto()
    TLS = auto()
    SENT = auto()


@dataclass
class Progress:
    """The step that a request has reached. On a connection that was kept, the first that happens is that it is sent."""

    step: Step = Step.SENT


@dataclass(frozen=True)
class Peer:
    """A server to connect to, and how TLS is spoken to it, if at all."""

    host: str
    port: int
    tls: ssl.SSLContext | None

    @property
    def named(self) -> str:
        """The host as it stands in an address."""
        return f"[{self.host}]" if ":" in self.host else self.host


@dataclass(frozen=True)
class Message:
    """A request as it is written. A body that comes in pieces is sent as they come."""

    method: str
    target: bytes
    headers: Sequence[Header]
    body: bytes | AsyncIterable[bytes] = b""


class Answer:
    """An answer whose head has arrived, on a connection that is its own until it is closed."""

    def __init__(self, status: int, headers: Sequence[Header], connection: "_Connection", pool: "Pool") -> None:
        self.status = status
        self.headers = headers
        self._connection = connection
        self._pool = pool

    async def next_piece(self) -> bytes | None:
        """The next bytes of the body, as they come; None at its end."""
        return await self._connection.next_piece()

    def close(self) -> None:
        """Give the connection back; where the answer was not read to its end, it is closed."""
        self._pool.take_back(self._connection)


class Pool:
    """Connections to one tenant. ``kept`` is how many that nobody uses are kept."""

    def __init__(
        self, tenant: Peer, proxy: Peer | None, proxy_authorization: bytes | None, *, timeout_s: float, kept: int
    ) -> None:
        self._tenant = tenant
        self._proxy = proxy
        self._proxy_authorization = proxy_authorization
        self._timeout_s = timeout_s
        self._kept = kept
        self._idle: list[_Connection] = []
        self._open: set[_Connection] = set()

    async def send(self, message: Message, progress: Progress) -> Answer:
        """Send, and return once the head of the answer has come. Raises HttpError and OSError."""
        request = _head_of(message)
        connection = self._take() or await self._connect(progress)
        progress.step = Step.SENT
        try:
            head = await connection.send(request, message.body)
        except BaseException:
            self._drop(connection)
            raise
        return Answer(head.status_code, head.headers.raw_items(), connection, self)

    def take_back(self, connection: "_Connection") -> None:
        """A connection is not used any more."""
        if len(self._idle) < self._kept and connection.is_reusable():
            self._idle.append(connection)
        else:
            self._drop(connection)

    async def close(self) -> None:
        """Close every connection."""
        self._idle.clear()
        closed = [self._drop(connection) for connection in tuple(self._open)]
        if closed:
            await asyncio.wait(closed, timeout=1)

    def _take(self) -> "_Connection | None":
        while self._idle:
            connection = self._idle.pop()
            if connection.is_alive():
                return connection
            self._drop(connection)
        return None

    def _drop(self, connection: "_Connection") -> asyncio.Future[None]:
        self._open.discard(connection)
        return connection.abort()

    async def _connect(self, progress: Progress) -> "_Connection":
        first = self._proxy or self._tenant
        progress.step = Step.CONNECT
        with anyio.move_on_after(self._timeout_s) as time_left:
            dialled = await _dial(first.host, first.port)
        if time_left.cancelled_caught:
            raise ConnectTimeout
        connection = _Connection()
        self._open.add(connection)
        try:
            await connection.take(dialled)
            if first.tls is not None:
                progress.step = Step.PROXY_TLS if self._proxy else Step.TLS
                await self._secure(connection, first, first.tls)
            if self._proxy is not None:
                progress.step = Step.TUNNEL
                await self._open_tunnel(connection)
                if self._tenant.tls is not None:
                    progress.step = Step.TLS
                    await self._secure(connection, self._tenant, self._tenant.tls)
        except BaseException:
            self._drop(connection)
            raise
        return connection

    async def _secure(self, connection: "_Connection", peer: Peer, tls: ssl.SSLContext) -> None:
        with anyio.move_on_after(self._timeout_s) as time_left:
            await connection.secure(tls, peer.host)
        if time_left.cancelled_caught:
            raise ConnectTimeout

    async def _open_tunnel(self, connection: "_Connection") -> None:
        way = f"{self._tenant.named}:{self._tenant.port}".encode()
        headers = [(b"Host", way), (b"Accept", b"*/*")]
        if self._proxy_authorization is not None:
            headers.append((b"Proxy-Authorization", self._proxy_authorization))
        with anyio.move_on_after(self._timeout_s) as time_left:
            answer = await connection.send(_head_of(Message("CONNECT", way, headers)), b"")
        if time_left.cancelled_caught:
            raise TunnelTimeout
        if not _FINAL <= answer.status_code < _FINAL + 100:
            raise ProxyRefused(answer.status_code)


def _head_of(message: Message) -> h11.Request:
    try:
        return h11.Request(method=message.method, target=message.target, headers=list(message.headers))
    except h11.LocalProtocolError as error:
        raise Unsendable(str(error)) from error


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


class _Connection(asyncio.Protocol):
    """One connection, which carries one exchange after the other."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._http = h11.Connection(h11.CLIENT, max_incomplete_event_size=_LONGEST_HEAD)
        self._transport: asyncio.Transport | None = None
        self._arrived = bytearray()
        self._ended = False
        self._error: Exception | None = None
        self._is_full = False
        self._is_paused = False
        self._news: asyncio.Future[None] | None = None
        self._lost: asyncio.Future[None] = self._loop.create_future()
        self._idle_since = 0.0

    # -- what the transport calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - for the type checker
        self._transport = transport

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
        if not self._lost.done():
            self._lost.set_result(None)
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

    # -- from its start to its end

    async def take(self, dialled: socket.socket) -> None:
        """Go on with a socket that is connected."""
        try:
            await self._loop.create_connection(lambda: self, sock=dialled)
        except BaseException:
            dialled.close()
            raise

    async def secure(self, tls: ssl.SSLContext, host: str) -> None:
        """Speak TLS from now on."""
        assert self._transport is not None, "only what is connected is secured"  # noqa: S101 - for the type checker
        self._transport = await self._loop.start_tls(self._transport, self, tls, server_hostname=host)
        if self._transport is None:
            raise ConnectionResetError
        # What was said before, to a proxy, was another conversation.
        self._http = h11.Connection(h11.CLIENT, max_incomplete_event_size=_LONGEST_HEAD)

    def is_reusable(self) -> bool:
        """Whether the exchange came to its end, and another may follow."""
        http, transport = self._http, self._transport
        if self._ended or self._arrived or transport is None or transport.get_write_buffer_size():
            return False
        if (http.our_state, http.their_state) != (h11.DONE, h11.DONE) or http.trailing_data[0]:
            return False
        http.start_next_cycle()
        self._idle_since = self._loop.time()
        return True

    def is_alive(self) -> bool:
        """Whether it can still be used. What comes unasked is the end of the connection, or nothing that HTTP knows."""
        if self._ended or self._arrived or self._transport is None or self._loop.time() - self._idle_since > _KEPT_S:
            return False
        return not _is_readable(self._transport.get_extra_info("socket").fileno())

    def abort(self) -> asyncio.Future[None]:
        """Close it; the future is done once it is closed."""
        if self._transport is None:
            if not self._lost.done():
                self._lost.set_result(None)
        else:
            self._transport.abort()
        return self._lost

    # -- one exchange

    async def send(
        self, request: h11.Request, body: bytes | AsyncIterable[bytes]
    ) -> h11.Response | h11.InformationalResponse:
        """Send the request, and return the head of its answer."""
        try:
            head = self._http.send(request) or b""
            if isinstance(body, bytes):
                data = self._http.send(h11.Data(data=body)) if body else b""
                self._write(b"".join((head, data or b"", self._http.send(h11.EndOfMessage()) or b"")))
            else:
                self._write(head)
                await self._send_pieces(body)
        except h11.LocalProtocolError as error:
            raise Unsendable(str(error)) from error
        while True:
            event = await self._next_event()
            if isinstance(event, h11.Response):
                return event
            if not isinstance(event, h11.InformationalResponse):
                raise NotHttp
            if event.status_code == _SWITCHING:
                return event

    async def _send_pieces(self, pieces: AsyncIterable[bytes]) -> None:
        async for piece in pieces:
            self._write(self._http.send(h11.Data(data=piece)) or b"")
            while self._is_full:
                await self._wait()
            if self._ended:
                return  # there may be an answer all the same
        self._write(self._http.send(h11.EndOfMessage()) or b"")

    def _write(self, data: bytes) -> None:
        if data and self._transport is not None and not self._ended:
            self._transport.write(data)

    async def next_piece(self) -> bytes | None:
        """The next bytes of the body of an answer, as they come; None at its end."""
        event = await self._next_event()
        return bytes(event.data) if isinstance(event, h11.Data) else None

    async def _next_event(self) -> h11.Event | type[h11.PAUSED]:
        http = self._http
        while True:
            try:
                event = http.next_event()
            except h11.RemoteProtocolError as error:
                raise (Disconnected if http.trailing_data[1] else NotHttp)(str(error)) from error
            if event is not h11.NEED_DATA:
                return event  # type: ignore[return-value]  # h11's sentinels are types
            if self._arrived:
                http.receive_data(bytes(self._arrived))
                self._arrived.clear()
                if self._is_paused and self._transport is not None:
                    self._is_paused = False
                    self._transport.resume_reading()
            elif self._error is not None:
                raise self._error
            elif not self._ended:
                await self._wait()
            elif http.their_state is h11.SEND_RESPONSE:
                raise Disconnected
            else:
                http.receive_data(b"")


def _is_readable(number: int) -> bool:
    """Whether something came on a file that nobody reads."""
    if not hasattr(select, "poll"):  # Windows
        return bool(select.select([number], [], [], 0)[0])
    poll = select.poll()
    poll.register(number, select.POLLIN)
    return bool(poll.poll(0))
