"""Connections that do not end as they should."""

from collections.abc import Callable

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ..edges import Asked, EdgeMaker, body_of, given


def torn(wanted: Callable[[Asked], bool], *, after: int) -> EdgeMaker:
    """The connection of a 2xx ends in the middle of the body, after so many bytes."""

    def edge(app: ASGIApp) -> ASGIApp:
        async def edged(scope: Scope, receive: Receive, send: Send) -> None:
            body = await body_of(receive)
            left, succeeded = after, False

            async def halved(message: Message) -> None:
                nonlocal left, succeeded
                if message["type"] == "http.response.start":
                    succeeded = 200 <= message["status"] < 300
                elif succeeded:
                    kept = message["body"][:left]
                    left -= len(kept)
                    message = {**message, "body": kept, "more_body": True}
                await send(message)

            cut = halved if wanted(Asked.of(scope, body)) else send
            await app(scope, given(body, receive), cut)

        return edged

    return lambda _: edge


def left_open(wanted: Callable[[Asked], bool]) -> EdgeMaker:
    """The connection of a stream stays open when all has been sent, until the client goes."""

    def edge(app: ASGIApp) -> ASGIApp:
        async def edged(scope: Scope, receive: Receive, send: Send) -> None:
            body = await body_of(receive)

            async def kept(message: Message) -> None:
                await send({**message, "more_body": True} if message["type"] == "http.response.body" else message)

            if not wanted(Asked.of(scope, body)):
                await app(scope, given(body, receive), send)
                return
            await app(scope, given(body, receive), kept)
            while (await receive())["type"] != "http.disconnect":
                pass

        return edged

    return lambda _: edge
