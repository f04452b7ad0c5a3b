"""Headers taken off requests, and put on."""

from collections.abc import Callable

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ..edges import Asked, EdgeMaker

HEADER = "x-gt-conversation-id"


def without(wanted: Callable[[Asked], bool], header: str) -> EdgeMaker:
    """The tenant does not see this header of some requests."""

    def edge(app: ASGIApp) -> ASGIApp:
        async def edged(scope: Scope, receive: Receive, send: Send) -> None:
            if wanted(Asked.of(scope)):
                scope = {**scope, "headers": [item for item in scope["headers"] if item[0] != header.encode()]}
            await app(scope, receive, send)

        return edged

    return lambda _: edge


def last_conversation(wanted: Callable[[Asked], bool], *, whatever: Callable[[str], bool]) -> EdgeMaker:
    """Requests go to the conversation that their key opened last, where ``whatever`` holds of the id that they name."""

    def edge(app: ASGIApp) -> ASGIApp:
        opened: dict[str, bytes] = {}

        async def edged(scope: Scope, receive: Receive, send: Send) -> None:
            asked = Asked.of(scope)

            async def noted(message: Message) -> None:
                if message["type"] == "http.response.start" and asked.path.endswith("/conversations"):
                    headers = dict(message["headers"])
                    if HEADER.encode() in headers:
                        opened[asked.secret] = headers[HEADER.encode()]
                await send(message)

            last = opened.get(asked.secret)
            if last is not None and wanted(asked) and whatever(asked.header(HEADER)):
                headers = [item for item in scope["headers"] if item[0] != HEADER.encode()]
                scope = {**scope, "headers": [*headers, (HEADER.encode(), last)]}
            await app(scope, receive, noted)

        return edged

    return lambda _: edge
