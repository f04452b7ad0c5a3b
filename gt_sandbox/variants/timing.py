"""Answers that take their time, or ask to be asked again."""

import asyncio
import json

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ..edges import Answer, Asked, Edge, EdgeMaker, body_of, given, sent
from ._parts import Wanted, anywhere, streamed
from ._variant import Area

variant = Area("timing")


def _after(seconds: float, wanted: Wanted) -> EdgeMaker:
    """Requests heard that many seconds later."""

    def edge(app: ASGIApp) -> ASGIApp:
        async def edged(scope: Scope, receive: Receive, send: Send) -> None:
            if wanted(Asked.of(scope)):
                await asyncio.sleep(seconds)
            await app(scope, receive, send)

        return edged

    return lambda _: edge


def _paced(seconds: float) -> EdgeMaker:
    """That many seconds before each event of a stream."""

    def edge(app: ASGIApp) -> ASGIApp:
        async def edged(scope: Scope, receive: Receive, send: Send) -> None:
            body = await body_of(receive)

            async def slowly(message: Message) -> None:
                await asyncio.sleep(seconds)
                await send(message)

            await app(scope, given(body, receive), slowly if streamed(Asked.of(scope, body)) else send)

        return edged

    return lambda _: edge


def _at_first(status: int, every: int) -> EdgeMaker:
    """One request in so many is refused for the moment, and taken when it comes again at once."""
    body = json.dumps({"error": {"message": "Try again.", "type": "busy", "param": None, "code": None}}).encode()
    refusal = Answer(status, (("content-type", "application/json"), ("retry-after", "0")), body)

    def made(_: object) -> Edge:
        known: set[object] = set()

        def edge(app: ASGIApp) -> ASGIApp:
            async def edged(scope: Scope, receive: Receive, send: Send) -> None:
                sent_body = await body_of(receive)
                asked = Asked.of(scope, sent_body)
                # A form is parted by another text each time that it is sent.
                form = asked.header("content-type").startswith("multipart/")
                request = (asked.method, asked.path, asked.header("authorization"), None if form else sent_body)
                busy = request not in known and len(known) % every == every - 1
                known.add(request)
                if busy:
                    await sent(refusal, send)
                else:
                    await app(scope, given(sent_body, receive), send)

            return edged

        return edge

    return made


VARIANTS = (
    variant(
        "slow-answers",
        "Every answer takes a twentieth of a second more.",
        _after(0.05, anywhere),
        lawful="GT API reference: no time is promised",
    ),
    variant(
        "slow-streams",
        "Events of a stream are a fiftieth of a second apart.",
        _paced(0.02),
        lawful="GT API reference: no time is promised",
        conflicts="stream-in-one-piece",
    ),
    variant(
        "transient-429",
        "One request in seven is too many, and taken when it comes again.",
        _at_first(429, 7),
        lawful="RFC 6585, 4; OpenAI API reference, Rate limits",
    ),
    variant(
        "transient-503",
        "One request in eleven finds the tenant busy for a moment.",
        _at_first(503, 11),
        lawful="RFC 9110, 15.6.4: Retry-After",
    ),
)
