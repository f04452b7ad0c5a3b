"""Connections: kept and used again only where that is safe, and what is written to them and read from them."""

import asyncio
import socket
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from gt_conformance.exchange import Exchange, FilePart
from gt_conformance.network import HttpClient
from gt_conformance.runner import HttpSender
from gt_conformance.tenant import Limits
from tests.loopback_http import (
    DEADLINE_S,
    QUICK,
    Handler,
    Server,
    a_request,
    a_sender,
    a_tenant,
    http,
    listening,
    sends,
    serving,
)

Use = Callable[[HttpSender, Server], Awaitable[Any]]


class Connections:
    """Counts the connections to a server."""

    def __init__(self, handler: Handler) -> None:
        self.seen: set[asyncio.StreamWriter] = set()
        self._handler = handler

    async def __call__(self, server: Server, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer as the handler does."""
        self.seen.add(writer)
        await self._handler(server, reader, writer)


def two_requests(
    handler: Handler, *, between: Callable[[], Awaitable[None]] | None = None
) -> tuple[list[Exchange], int]:
    """What two requests, one after the other, come to, and over how many connections they went."""
    counted = Connections(handler)

    async def main() -> list[Exchange]:
        async with serving(counted) as server:
            sender = a_sender(a_tenant(server.url, QUICK))
            try:
                first = await sender.send(a_request(server.url), "x1")
                if between is not None:
                    await between()
                return [first, await sender.send(a_request(server.url, url=f"{server.url}/v1/other"), "x2")]
            finally:
                await sender.close()

    return asyncio.run(main()), len(counted.seen)


def test_a_connection_is_used_again() -> None:
    """The second request goes over the connection of the first."""
    exchanges, connections = two_requests(sends(http()))
    assert [one.response is not None and one.response.status for one in exchanges] == [200, 200]
    assert connections == 1


CLOSED: dict[str, bytes] = {
    "said": http(connection="close"),
    "an old protocol": b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\n{}",
}


@pytest.mark.parametrize("answer", CLOSED.values(), ids=CLOSED)
def test_a_connection_that_is_to_close_is_not_used_again(answer: bytes) -> None:
    """What the tenant will close is closed here, and the next request has a connection of its own."""
    exchanges, connections = two_requests(sends(answer))
    assert all(one.response is not None and not one.attempts for one in exchanges)
    assert connections == 2


def test_a_connection_that_was_closed_unsaid_costs_no_attempt() -> None:
    """A tenant may close a connection that nobody uses: the next request notices before it is sent."""
    closed = asyncio.Event()

    async def answer_and_close(_: Server, __: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(http())
        await writer.drain()
        asyncio.get_running_loop().call_soon(close, writer)

    def close(writer: asyncio.StreamWriter) -> None:
        writer.transport.abort()
        closed.set()

    async def until_closed() -> None:
        await closed.wait()
        await asyncio.sleep(0)

    exchanges, connections = two_requests(answer_and_close, between=until_closed)
    assert all(one.response is not None and not one.attempts for one in exchanges)
    assert connections == 2


def test_a_connection_that_was_closed_just_now_is_not_used() -> None:
    """The end of a connection is seen where the event loop had no time yet to hear of it."""
    close, closed = threading.Event(), threading.Event()

    def answer_then_close(connection: socket.socket) -> None:
        connection.recv(65_536)
        connection.sendall(http())
        if not closed.is_set():
            close.wait(DEADLINE_S)
            connection.close()
            closed.set()

    async def main(port: int) -> list[int]:
        url = f"http://127.0.0.1:{port}/api/tenant"
        client = HttpClient(a_tenant(url, QUICK), {}, connections=1, connect_timeout_s=5)
        statuses = []
        for _ in range(2):
            async with client.send("GET", f"{url}/v1/models", ()) as received:
                assert [piece async for piece in received]
                statuses.append(received.status)
            close.set()
            closed.wait(DEADLINE_S)  # in the loop's own thread: nothing else goes on here
        await client.close()
        return statuses

    with listening(answer_then_close) as port:
        assert asyncio.run(main(port)) == [200, 200]


def test_an_interim_answer_is_not_the_answer() -> None:
    """100 Continue and early hints are passed over."""
    interim = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
    exchanges, connections = two_requests(sends(interim + http(status="201 Created")))
    assert [one.response is not None and one.response.status for one in exchanges] == [201, 201]
    assert connections == 1


def test_an_answer_before_all_was_sent_is_the_answer() -> None:
    """A tenant that refuses an upload without reading it is heard."""

    async def main() -> Exchange:
        async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(http(status="413 Content Too Large"))
            await writer.drain()
            await over.wait()
            writer.transport.abort()

        over = asyncio.Event()
        listening = await asyncio.start_server(refuse, "127.0.0.1", 0)
        url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}/api/tenant"
        sender = a_sender(a_tenant(url, QUICK))
        try:
            return await sender.send(a_request(url, method="POST", body=b"x" * 32_000_000), "x1")
        finally:
            over.set()
            await sender.close()
            listening.close()

    response = asyncio.run(main()).response
    assert response is not None
    assert response.status == 413


def test_what_nobody_reads_does_not_fill_the_memory() -> None:
    """A tenant can send no more than a little of a body before it is read."""
    size, piece = 64_000_000, b"x" * 64_000

    async def main() -> int:
        sent = 0

        async def pour(_: Server, __: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal sent
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
            while sent < size:
                writer.write(piece)
                await writer.drain()
                sent += len(piece)

        async with serving(pour) as server:
            client = HttpClient(a_tenant(server.url, Limits()), {}, connections=1, connect_timeout_s=5)
            async with client.send("GET", f"{server.url}/v1/models", ()):
                for _ in range(5_000):
                    await asyncio.sleep(0)
            await client.close()
        return sent

    assert asyncio.run(main()) < size / 2


# -- what is written

ADDRESSES: dict[str, tuple[str, bytes]] = {
    "as it is": ("/v1/a-b_c.d~e/f;g,h=i:j@k", b"/v1/a-b_c.d~e/f;g,h=i:j@k"),
    "a space, another alphabet": ("/v1/a b/ä", b"/v1/a%20b/%C3%A4"),
    "escaped already": ("/v1/%2Fa%20b", b"/v1/%2Fa%20b"),
    "dots for segments": ("/v1/x/../y/./z", b"/v1/y/z"),
    "dots that climb out": ("/../../../../v1", b"/v1"),
    "a question": ("/v1/a?b=c d&e={f}?", b"/v1/a?b=c%20d&e={f}?"),
    "what no server sees": ("/v1/a#b", b"/v1/a"),
}


@pytest.mark.parametrize(("path", "target"), ADDRESSES.values(), ids=ADDRESSES)
def test_an_address_is_written_as_http_wants_it(path: str, target: bytes) -> None:
    """What does not fit into an address is escaped; segments of dots are none."""
    request = sent(url="{base}" + path)
    written = request.split(b" ")[1]
    climbed = written if path.startswith("/..") else written.removeprefix(b"/api/tenant")
    assert climbed == target


def test_a_form_says_no_more_than_it_means() -> None:
    """A file name with quotes and line breaks stays a file name; one without a type gets that of its ending."""
    parts = (FilePart("file", b"%PDF", 'a"b\r\nX: y\\.pdf'), FilePart("other", b"?", ".unknown"))
    request = sent(method="POST", parts=parts)
    assert (
        b'name="file"; filename="a%22b%0D%0AX: y\\\\.pdf"\r\nContent-Type: application/pdf\r\n\r\n%PDF\r\n' in request
    )
    assert b'filename=".unknown"\r\nContent-Type: application/octet-stream\r\n\r\n?\r\n' in request


@pytest.mark.parametrize(("method", "length"), [("GET", None), ("DELETE", None), ("POST", b"0"), ("PUT", b"0")])
def test_nothing_has_a_length_where_something_may_be(method: str, length: bytes | None) -> None:
    """A request that may have a body says that it has none."""
    head = sent(method=method).lower()
    assert (b"content-length: 0" in head) is (length is not None)


def sent(url: str = "{base}/v1/models", **facts: Any) -> bytes:
    """A request, as it arrives."""

    async def main() -> bytes:
        async with serving(sends(http())) as server:
            sender = a_sender(a_tenant(server.url, QUICK))
            await sender.send(a_request(server.url, url=url.replace("{base}", server.url), **facts), "x1")
            await sender.close()
            return server.received[0]

    return asyncio.run(main())
