"""How the bytes of an answer travel: packed, parted, gathered; and what becomes of the connection."""

import zlib
from collections.abc import Callable

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ..edges import Asked, EdgeMaker, body_of, given
from ._parts import Wanted, anywhere, headed, streamed
from ._variant import Area

variant = Area("packets")
_STREAMS = "stream-one-byte-a-packet stream-in-one-piece stream-in-pairs"
_CODINGS = "gzip deflate"


def _packed(coding: str, wbits: int) -> EdgeMaker:
    """Every answer compressed, each piece of it flushed when it is sent."""

    def edge(app: ASGIApp) -> ASGIApp:
        async def edged(scope: Scope, receive: Receive, send: Send) -> None:
            packer = zlib.compressobj(wbits=wbits)

            async def packing(message: Message) -> None:
                if message["type"] == "http.response.start":
                    headers = [item for item in message["headers"] if item[0] != b"content-length"]
                    message = {**message, "headers": [*headers, (b"content-encoding", coding.encode())]}
                else:
                    last = not message.get("more_body", False)
                    packed = packer.compress(message.get("body", b""))
                    packed += packer.flush(zlib.Z_FINISH if last else zlib.Z_SYNC_FLUSH)
                    message = {**message, "body": packed}
                await send(message)

            await app(scope, receive, packing)

        return edged

    return lambda _: edge


def _cut(wanted: Wanted, size: int) -> EdgeMaker:
    """Bodies in packets of so many bytes."""

    def edge(app: ASGIApp) -> ASGIApp:
        async def edged(scope: Scope, receive: Receive, send: Send) -> None:
            body = await body_of(receive)

            async def cutting(message: Message) -> None:
                data = message.get("body", b"")
                if message["type"] != "http.response.body" or len(data) <= size:
                    await send(message)
                    return
                for at in range(0, len(data), size):
                    await send({"type": "http.response.body", "body": data[at : at + size], "more_body": True})
                await send({**message, "body": b""})

            await app(scope, given(body, receive), cutting if wanted(Asked.of(scope, body)) else send)

        return edged

    return lambda _: edge


def _gathered(enough: Callable[[list[bytes]], bool]) -> EdgeMaker:
    """Several events of a stream in one packet: sent when there are enough of them, and at the end."""

    def edge(app: ASGIApp) -> ASGIApp:
        async def edged(scope: Scope, receive: Receive, send: Send) -> None:
            body = await body_of(receive)
            held: list[bytes] = []

            async def gathering(message: Message) -> None:
                if message["type"] != "http.response.body":
                    await send(message)
                    return
                held.append(message.get("body", b""))
                if enough(held) or not message.get("more_body", False):
                    await send({**message, "body": b"".join(held)})
                    held.clear()

            await app(scope, given(body, receive), gathering if streamed(Asked.of(scope, body)) else send)

        return edged

    return lambda _: edge


def _closed() -> EdgeMaker:
    """The connection closed after each answer; the request is read to its end first, as RFC 9112 advises."""

    def edge(app: ASGIApp) -> ASGIApp:
        async def edged(scope: Scope, receive: Receive, send: Send) -> None:
            body = await body_of(receive)
            await app(scope, given(body, receive), send)

        return edged

    return lambda secrets: lambda app: edge(headed(lambda headers: {**headers, "connection": "close"})(secrets)(app))


def _unmeasured(headers: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name.lower() != "content-length"}


VARIANTS = (
    variant(
        "stream-in-pairs",
        "Two events of a stream travel in one packet.",
        _gathered(lambda held: len(held) == 2),
        lawful="RFC 9293: TCP keeps no bounds of messages",
        conflicts=_STREAMS,
    ),
    variant(
        "stream-in-one-piece",
        "A proxy holds a stream back until its end.",
        _gathered(lambda _: False),
        lawful="checks: chunks spread over time are a should",
        conflicts=_STREAMS + " slow-streams",
    ),
    variant(
        "stream-one-byte-a-packet",
        "Streams travel a byte a packet.",
        _cut(streamed, 1),
        lawful="RFC 9293: TCP keeps no bounds of messages",
        conflicts=_STREAMS,
    ),
    variant(
        "tiny-packets",
        "Bodies travel in packets of a few bytes.",
        _cut(lambda asked: not streamed(asked), 24),
        lawful="RFC 9293: TCP keeps no bounds of messages",
    ),
    variant(
        "gzip",
        "Every answer is compressed with gzip.",
        _packed("gzip", 16 + zlib.MAX_WBITS),
        lawful="RFC 9110, 12.5.3: a server should, not must, heed Accept-Encoding",
        conflicts=_CODINGS,
    ),
    variant(
        "deflate",
        "Every answer is compressed with deflate.",
        _packed("deflate", zlib.MAX_WBITS),
        lawful="RFC 9110, 12.5.3: a server should, not must, heed Accept-Encoding",
        conflicts=_CODINGS,
    ),
    variant(
        "no-lengths",
        "No answer tells its length; all come in chunks.",
        headed(_unmeasured, anywhere),
        lawful="RFC 9112, 7.1: chunked transfer coding",
    ),
    variant(
        "closed-connections",
        "The connection is closed after each answer.",
        _closed(),
        lawful="RFC 9112, 9.6: Tear-down",
    ),
)
