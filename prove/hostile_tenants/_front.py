"""The front: a raw server before the embedded tenant, which passes requests on or misbehaves, byte by byte.

It runs in another process than the run that it attacks, and outside every library that knows HTTP: what it sends is
what its behaviour writes, valid or not. Below it is what behaviours are written with.
"""

import asyncio
import json
import socket
import struct
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Self

_READ = 64 * 1024
_RST = struct.pack("ii", 1, 0)


@dataclass(frozen=True)
class Request:
    """A request as it came: its head to the empty line, and its body."""

    method: str
    path: str
    head: bytes
    body: bytes

    @property
    def key(self) -> str:
        """What is presented as the authorization; empty where nothing is."""
        lines = self.head.decode("latin-1").split("\r\n")
        return next((line.partition(":")[2].strip() for line in lines if line.lower().startswith("authorization:")), "")


@dataclass(frozen=True)
class Response:
    """The tenant's whole answer: its status line and headers to the empty line, and its body."""

    head: bytes
    body: bytes


@dataclass(frozen=True)
class Connection:
    """The connection to the run, and the way to the tenant behind. ``elsewhere`` is an address nobody may call."""

    writer: asyncio.StreamWriter
    tenant_port: int
    elsewhere: str

    async def send(self, data: bytes) -> None:
        """Send bytes. Raises ConnectionError once the run has hung up."""
        self.writer.write(data)
        await self.writer.drain()

    async def end(self) -> None:
        """Close the sending half, and keep the other."""
        with suppress(OSError):
            self.writer.write_eof()

    def reset(self) -> None:
        """End the connection with a reset."""
        self.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RST)
        self.writer.transport.abort()

    async def tenant(self, request: Request) -> Response:
        """What the embedded tenant answers, instead of sending it."""
        pieces = bytearray()
        await self._ask(request, pieces.extend)
        head, _, body = bytes(pieces).partition(b"\r\n\r\n")
        return Response(head + b"\r\n\r\n", body)

    async def pass_on(self, request: Request) -> None:
        """Send on what the embedded tenant answers, as it comes; the end of the connection is its end."""
        await self._ask(request, self.writer.write)
        await self.writer.drain()

    async def _ask(self, request: Request, take: Callable[[bytes], object]) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.tenant_port)
        try:
            # Of HTTP/1.0 the answer ends where its connection does.
            writer.write(request.head.replace(b" HTTP/1.1\r\n", b" HTTP/1.0\r\n", 1) + request.body)
            while data := await reader.read(_READ):
                take(data)
        finally:
            writer.close()


Behaviour = Callable[[Request, Connection], Awaitable[None]]


@dataclass(frozen=True)
class Hostile:
    """A hostile tenant: what it does, and to which requests. The others reach the tenant behind it."""

    name: str
    description: str
    act: Behaviour
    wanted: Callable[[Request], bool]


class Front:
    """A listening front of one hostile tenant, in a thread of its own; a context manager. Counts its attacks."""

    def __init__(self, hostile: Hostile, tenant_port: int, elsewhere: str) -> None:
        self._hostile = hostile
        self._tenant_port = tenant_port
        self._elsewhere = elsewhere
        self._loop = asyncio.new_event_loop()
        self._listening = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._over = asyncio.Event()
        self.port = 0
        self.attacks = 0

    def __enter__(self) -> Self:
        self._thread.start()
        self._listening.wait()
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join()

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.set_exception_handler(lambda *_: None)  # a connection that ends badly is what this is about
        self._loop.run_until_complete(self._listen())
        self._loop.close()

    async def _listen(self) -> None:
        tasks: set[asyncio.Task[None]] = set()

        async def met(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            if task is not None:
                tasks.add(task)
            with suppress(OSError, asyncio.IncompleteReadError):
                await self._meet(reader, writer)
            writer.close()

        server = await asyncio.start_server(met, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        self._listening.set()
        await self._over.wait()
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _meet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        method, target, _ = head.split(b" ", 2)
        lengths = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
        body = await reader.readexactly(int(lengths[0].partition(b":")[2])) if lengths else b""
        # One request a connection, unless the behaviour itself leaves more behind.
        head = head.replace(b"\r\nConnection: keep-alive\r\n", b"\r\nConnection: close\r\n")
        request = Request(method.decode("latin-1"), target.decode("latin-1").partition("?")[0], head, body)
        connection = Connection(writer, self._tenant_port, self._elsewhere)
        if self._hostile.wanted(request):
            self.attacks += 1
            await self._hostile.act(request, connection)
        else:
            await connection.pass_on(request)


class Elsewhere:
    """A host that nobody may call: a listening socket that counts who does. A context manager."""

    def __init__(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._count, daemon=True)
        self.callers = 0

    @property
    def address(self) -> str:
        """Its origin, under another name than the tenant's."""
        return f"http://localhost:{self._socket.getsockname()[1]}"

    def _count(self) -> None:
        with suppress(OSError):  # closed
            while True:
                caller, _ = self._socket.accept()
                self.callers += 1
                caller.close()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(OSError):  # elsewhere than on Linux, what only listens cannot be shut down
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join()


# --- what behaviours are written with

MEBIBYTE = 1024 * 1024
JSON, EVENTS = "application/json", "text/event-stream"


def is_any(_: Request) -> bool:
    """Every request, the controls' as well."""
    return True


def is_after_preflight(request: Request) -> bool:
    """Every request but those by which a key is controlled: they pass, so that all the rest is tried."""
    return not request.path.endswith(("/v1/models", "/v1/gt-conformance-no-such-route"))


def is_at(*ends: str) -> Callable[[Request], bool]:
    """Requests to a path with one of these ends."""
    return lambda request: request.path.endswith(ends)


def is_stream(request: Request) -> bool:
    """Chats that ask for a stream."""
    return request.path.endswith("/chat/completions") and b'"stream":true' in request.body


def head_bytes(status: str = "200 OK", *headers: str, kind: str = JSON) -> bytes:
    """A status line and headers, to the empty line."""
    return "\r\n".join([f"HTTP/1.1 {status}", f"Content-Type: {kind}", *headers, "", ""]).encode("latin-1")


def response_bytes(body: bytes, status: str = "200 OK", *headers: str, kind: str = JSON) -> bytes:
    """A whole answer with its length."""
    return head_bytes(status, f"Content-Length: {len(body)}", *headers, kind=kind) + body


def chunk_bytes(data: bytes) -> bytes:
    """One piece of a chunked body."""
    return b"%x\r\n%s\r\n" % (len(data), data)


def send_bytes(data: bytes) -> Behaviour:
    """Send these bytes and close."""

    async def act(_: Request, connection: Connection) -> None:
        await connection.send(data)

    return act


def send_forever(opening: bytes, pieces: Callable[[], Iterable[bytes]], pause_s: float = 0.0) -> Behaviour:
    """Send an opening, and then pieces until the run hangs up, with a pause after each."""

    async def act(_: Request, connection: Connection) -> None:
        await connection.send(opening)
        async for piece in _paced(pieces(), pause_s):
            await connection.send(piece)
        await wait_until_closed()

    return act


def change_json(change: Callable[[Any], Any]) -> Behaviour:
    """Put another JSON value in place of the one that the tenant answers; its status stays, what is no JSON passes."""

    async def act(request: Request, connection: Connection) -> None:
        answer = await connection.tenant(request)
        try:
            value = json.loads(answer.body)
        except ValueError:
            await connection.send(answer.head + answer.body)
            return
        changed = change(value)
        body = changed if isinstance(changed, bytes) else json.dumps(changed).encode()
        await connection.send(response_bytes(body, answer.head.split(b"\r\n")[0].decode("latin-1").partition(" ")[2]))

    return act


async def wait_until_closed() -> None:
    """Wait until the front is closed."""
    await asyncio.Event().wait()


async def _paced(pieces: Iterable[bytes], pause_s: float) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece
        await asyncio.sleep(pause_s)
