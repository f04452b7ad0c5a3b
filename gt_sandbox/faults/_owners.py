"""Who made what: for tenants that forget it."""

import json
from collections.abc import Callable

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ..edges import Asked, Edge, EdgeMaker, Secrets, live


def as_owner(named: Callable[[Asked], str], *keys: str) -> EdgeMaker:
    """A request that names a file or a conversation is taken as if its owner had sent it.

    So it is for these live keys (``APP``, ``PARTNER``); for every live key where none is named.
    """

    def made(secrets: Secrets) -> Edge:
        owners: dict[str, bytes] = {}

        def edge(app: ASGIApp) -> ASGIApp:
            async def edged(scope: Scope, receive: Receive, send: Send) -> None:
                key = dict(scope["headers"]).get(b"authorization", b"")
                asked = Asked.of(scope)

                async def noted(message: Message) -> None:
                    body = message.get("body", b"")
                    if b'"object":"file"' in body or b'"object":"conversation"' in body:
                        owners.setdefault(json.loads(body)["id"], key)
                    await send(message)

                owner = owners.get(named(asked))
                if owner and live(asked, secrets, *keys):
                    headers = [item for item in scope["headers"] if item[0] != b"authorization"]
                    scope = {**scope, "headers": [*headers, (b"authorization", owner)]}
                await app(scope, receive, noted)

            return edged

        return edge

    return made
