"""The makers of edges: each changes one kind of thing on its way in or out, and leaves the rest as it is."""

from collections.abc import Callable

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ._messages import Answer, Asked, answered, authorized, body_of, given, sent, taken
from ._types import Edge, EdgeMaker, Secrets


def answering(wanted: Callable[[Asked], bool], change: Callable[[Asked, Answer], Answer]) -> EdgeMaker:
    """Put another answer in place of the tenant's. Its length is always that of its body."""

    def edge(app: ASGIApp) -> ASGIApp:
        async def edged(scope: Scope, receive: Receive, send: Send) -> None:
            asked, receive = await _read(scope, receive)
            if not wanted(asked):
                await app(scope, receive, send)
                return
            await sent(change(asked, await taken(app, scope, receive)), send)

        return edged

    return lambda _: edge


def successes(wanted: Callable[[Asked], bool], change: Callable[[Answer], Answer]) -> EdgeMaker:
    """Change the 2xx answers of some routes; their refusals stay as they are."""
    return answering(wanted, lambda _, answer: change(answer) if answer.succeeded else answer)


def pieces(wanted: Callable[[Asked], bool], change: Callable[[bytes], bytes]) -> EdgeMaker:
    """Change each piece of a 2xx answer as it passes: an event of a stream, or a whole body."""

    def edge(app: ASGIApp) -> ASGIApp:
        async def edged(scope: Scope, receive: Receive, send: Send) -> None:
            asked, receive = await _read(scope, receive)
            succeeded = False

            async def passed(message: Message) -> None:
                nonlocal succeeded
                if message["type"] == "http.response.start":
                    succeeded = 200 <= message["status"] < 300
                    if succeeded:
                        headers = [item for item in message["headers"] if item[0] != b"content-length"]
                        message = {**message, "headers": headers}
                elif succeeded:
                    message = {**message, "body": change(message["body"])}
                await send(message)

            await app(scope, receive, passed if wanted(asked) else send)

        return edged

    return lambda _: edge


def refusals(change: Callable[[Asked, Answer], Answer]) -> EdgeMaker:
    """Change 4xx answers, wherever they come from; everything else passes as it comes."""

    def edge(app: ASGIApp) -> ASGIApp:
        async def edged(scope: Scope, receive: Receive, send: Send) -> None:
            held: list[Message] = []

            async def passed(message: Message) -> None:
                if message["type"] == "http.response.start" and message["status"] >= 400:
                    held.append(message)
                elif held:
                    answer = answered([*held, message])
                    await sent(change(Asked.of(scope), answer), send)
                else:
                    await send(message)

            await app(scope, receive, passed)

        return edged

    return lambda _: edge


def counting(seen: list[Asked]) -> EdgeMaker:
    """Note every request, and change nothing."""

    def edge(app: ASGIApp) -> ASGIApp:
        async def edged(scope: Scope, receive: Receive, send: Send) -> None:
            seen.append(Asked.of(scope))
            await app(scope, receive, send)

        return edged

    return lambda _: edge


def asking(wanted: Callable[[Asked], bool], change: Callable[[bytes], bytes]) -> EdgeMaker:
    """Change the body of a request on its way in."""

    def edge(app: ASGIApp) -> ASGIApp:
        async def edged(scope: Scope, receive: Receive, send: Send) -> None:
            if not wanted(Asked.of(scope)):
                await app(scope, receive, send)
                return
            body = change(await body_of(receive))
            headers = [item for item in scope["headers"] if item[0] != b"content-length"]
            length = (b"content-length", str(len(body)).encode())
            await app({**scope, "headers": [*headers, length]}, given(body, receive), send)

        return edged

    return lambda _: edge


def with_key(wanted: Callable[[Asked, Secrets], bool], key: str) -> EdgeMaker:
    """Take some requests as if they had been sent with another key, ``FULL`` say."""
    return as_key(lambda asked, secrets: key if wanted(asked, secrets) else None)


def as_key(chosen: Callable[[Asked, Secrets], str | None]) -> EdgeMaker:
    """Take requests as if they had been sent with the chosen key; as they are where none is chosen."""

    def made(secrets: Secrets) -> Edge:
        def edge(app: ASGIApp) -> ASGIApp:
            async def edged(scope: Scope, receive: Receive, send: Send) -> None:
                key = chosen(Asked.of(scope), secrets)
                if key is not None:
                    scope = authorized(scope, secrets[f"GT_EMBEDDED_{key}"])
                await app(scope, receive, send)

            return edged

        return edge

    return made


def moved(target: Callable[[Asked], str | None]) -> EdgeMaker:
    """Take requests as if they had been sent to another path; as they are where there is none."""

    def edge(app: ASGIApp) -> ASGIApp:
        async def edged(scope: Scope, receive: Receive, send: Send) -> None:
            path = target(Asked.of(scope))
            await app(scope if path is None else {**scope, "path": path, "raw_path": path.encode()}, receive, send)

        return edged

    return lambda _: edge


def live(asked: Asked, secrets: Secrets, *keys: str) -> bool:
    """Whether a request presents one of these keys, ``CHAT`` say; one of those that must work where none is named."""
    named = {f"GT_EMBEDDED_{key}" for key in keys}
    return any(
        secret == asked.secret and (variable in named if keys else not variable.endswith(("_OLD", "_GONE")))
        for variable, secret in secrets.items()
    )


async def _read(scope: Scope, receive: Receive) -> tuple[Asked, Receive]:
    body = await body_of(receive)
    return Asked.of(scope, body), given(body, receive)
