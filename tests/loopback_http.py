"""Servers on loopback that answer as a test says, and a sender to them that waits for nothing."""

import asyncio
import contextlib
import socket
import ssl
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from gt_conformance.exchange import Request
from gt_conformance.runner import HttpSender
from gt_conformance.tenant import Limits, Secret, Tenant
from tests.clocks import FakeClock
from tests.fake_tenant import key, tenant_of

SECRET = "gtak_4f9AbQ-x7Lm2_ZkR0vTn8sWc"
RETIRED = "gtak_Zz81kP-q3Wn5_TbV6yHj2dRe"
DEADLINE_S = 10.0
QUICK = Limits(timeout_s=5, max_response_bytes=64 * 1024)

Handler = Callable[["Server", asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@dataclass
class Server:
    """A server on loopback that does with each request what a test says, and keeps what it received."""

    handler: Handler
    url: str = ""
    received: list[bytes] = field(default_factory=list)
    busy: int = 0
    busiest: int = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection: each request of it, until either side closes."""
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = next(
                    (line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")), b":0"
                )
                body = await reader.readexactly(int(length.partition(b":")[2]))
                self.received.append(head + body)
                self.busy += 1
                self.busiest = max(self.busy, self.busiest)
                try:
                    await self.handler(self, reader, writer)
                    await writer.drain()
                finally:
                    self.busy -= 1
        writer.close()


@contextlib.asynccontextmanager
async def serving(
    handler: Handler, *, greeting: bytes = b"", tls: ssl.SSLContext | None = None
) -> AsyncIterator[Server]:
    """The server, while it listens; its connections begin with its greeting and end with it."""
    server = Server(handler)
    tasks: set[asyncio.Task[None]] = set()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        writer.write(greeting)
        try:
            await server.serve(reader, writer)
        except asyncio.CancelledError:
            writer.transport.abort()
        finally:
            tasks.discard(task)

    listening = await asyncio.start_server(connected, "127.0.0.1", 0, ssl=tls)
    port = listening.sockets[0].getsockname()[1]
    server.url = f"{'https' if tls else 'http'}://127.0.0.1:{port}/api/tenant"
    try:
        yield server
    finally:
        listening.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def sends(raw: bytes) -> Handler:
    """A handler that answers with these bytes."""

    async def handle(_: Server, __: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(raw)

    return handle


def closes_after(raw: bytes) -> Handler:
    """A handler that answers with these bytes and closes the connection."""

    async def handle(_: Server, __: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(raw)
        await writer.drain()
        writer.close()

    return handle


def holds_after(raw: bytes) -> Handler:
    """A handler that answers with these bytes and keeps the connection open without another."""

    async def handle(_: Server, __: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(raw)
        await asyncio.Event().wait()

    return handle


def repeats(head: bytes, piece: bytes) -> Handler:
    """A handler that answers with the head and then with the piece, without end."""

    async def handle(_: Server, __: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(head)
        while not writer.is_closing():
            writer.write(piece)
            await writer.drain()

    return handle


def in_turn(*answers: bytes) -> Handler:
    """A handler that gives one answer after the other."""
    left = list(answers)

    async def handle(_: Server, __: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(left.pop(0))

    return handle


def http(body: bytes = b"{}", status: str = "200 OK", **headers: str) -> bytes:
    """An answer with its length."""
    named = {"content_type": "application/json", "content_length": str(len(body))} | headers
    lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in named.items())
    return f"HTTP/1.1 {status}\r\n{lines}\r\n".encode() + body


def a_tenant(url: str, limits: Limits) -> Tenant:
    """The tenant at that address, with a current and a retired secret."""
    chat = replace(key("chat"), secret=Secret(SECRET), retired_secret=Secret(RETIRED))
    return tenant_of(chat, base_url=url, limits=limits)


def a_request(base_url: str, **facts: Any) -> Request:
    """A request of the key."""
    return Request(**({"method": "GET", "url": f"{base_url}/v1/models", "key": "chat"} | facts))


def a_sender(tenant: Tenant, clock: FakeClock | None = None, **environment: str) -> HttpSender:
    """A sender that waits for nothing, in an environment of its own."""
    return HttpSender(tenant, environment=environment, clock=(clock or FakeClock()).clock)


# -- servers in threads: over TLS, and for what a socket does that asyncio does not

Serve = Callable[[socket.socket], None]


@contextlib.contextmanager
def listening(serve: Serve) -> Iterator[int]:
    """A port on loopback; each connection to it is served in a thread of its own."""

    def each(connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            connection.settimeout(DEADLINE_S)
            serve(connection)

    def accept(listener: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=each, args=(listener.accept()[0],), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=accept, args=(listener,), daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
    thread.join(DEADLINE_S)


def over_tls(context: ssl.SSLContext, answer: bytes = http()) -> Serve:
    """A server that answers over TLS; it hangs up after its alerts were read, since a reset would discard them."""

    def serve(connection: socket.socket) -> None:
        with context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False) as wrapped:
            try:
                wrapped.do_handshake()
                while b"\r\n\r\n" not in wrapped.recv(65_536):
                    pass
                wrapped.sendall(answer)
                wrapped.unwrap()
            except ssl.SSLError:
                with socket.socket(fileno=wrapped.detach()) as raw:
                    raw.settimeout(DEADLINE_S)
                    while raw.recv(65_536):
                        pass

    return serve


def answering(raw: bytes) -> Serve:
    """A server that answers each request of a connection with these bytes."""

    def serve(connection: socket.socket) -> None:
        while connection.recv(65_536):
            connection.sendall(raw)

    return serve
