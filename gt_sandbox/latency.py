"""Latency: how long a chat takes is drawn, from a seed where it is to repeat."""

import asyncio
import time
from collections.abc import Callable

from starlette.types import Message

from gt_sandbox.middleware import Call, MiddlewareFactory, Predicate, is_stream, per_call

Draw = Callable[[], float]
"""Seconds until a stream says its first word, or a plain answer begins."""


def delay_answers(wanted: Predicate, draw: Draw) -> MiddlewareFactory:
    """Hold back each 2xx until so long after its request: of a stream what follows its head, else all of it.

    The head of a stream is sent at once. What the tenant itself takes is a part of that time.
    """

    @per_call
    async def delay(call: Call) -> None:
        held, came = is_stream(call.request), time.perf_counter()
        succeeded = begun = False

        async def send(message: Message) -> None:
            nonlocal succeeded, begun
            starts = message["type"] == "http.response.start"
            if starts:
                succeeded = 200 <= message["status"] < 300
            if succeeded and not begun and starts is not held:
                begun = True
                await asyncio.sleep(max(0.0, came + draw() - time.perf_counter()))
            await call.send(message)

        await call.forward(send=send if wanted(call.request) else None)

    return delay
