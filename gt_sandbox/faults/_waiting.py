"""Answers that come late."""

import asyncio
from collections.abc import Callable

from starlette.types import ASGIApp, Receive, Scope, Send

from ..edges import Asked, EdgeMaker


def after(seconds: float, wanted: Callable[[Asked], bool]) -> EdgeMaker:
    """The tenant hears of some requests that many seconds later."""

    def edge(app: ASGIApp) -> ASGIApp:
        async def edged(scope: Scope, receive: Receive, send: Send) -> None:
            if wanted(Asked.of(scope)):
                await asyncio.sleep(seconds)
            await app(scope, receive, send)

        return edged

    return lambda _: edge
