"""A replay: the checks run again, and each request gets the answer that a record has for it. Nothing is sent.

Time is the recorded one: an answer takes as long as it took, and where nothing else is left to do, the loop's clock
goes on to the next moment that somebody waits for, at once.
"""

import asyncio
import json
import selectors
from collections import deque
from collections.abc import Mapping

import anyio

from gt_conformance.errors import Blocked
from gt_conformance.exchange import Exchange, ExchangeRecord, Redactor, Request, as_request_record, from_record
from gt_conformance.runner._sender import Sender
from gt_conformance.vocabulary import Actor

NOT_RECORDED = "not recorded"
"""The cause of what is blocked since the record does not hold an answer, or not all of it."""


class NotRecorded(Blocked):
    """The record does not hold what a check asks for."""

    def __init__(self, what: str) -> None:
        super().__init__(what, "", acts=Actor.HERE, cause=NOT_RECORDED)


class Replay(Sender):
    """Answers from the exchanges of a record: equal requests in the order in which they were sent."""

    def __init__(self, exchanges: Mapping[str, ExchangeRecord]) -> None:
        self._exchanges = exchanges
        self._redactor = Redactor({})  # the record was redacted, and the requests of a replay hold no secret
        self._left: dict[str, deque[str]] = {}
        for ref in sorted(exchanges, key=lambda ref: (len(ref), ref)):
            self._left.setdefault(_name(exchanges[ref]["request"]), deque()).append(ref)

    async def send(self, request: Request, ref: str) -> Exchange:
        """The recorded exchange, under the reference that it has in the record. Raises NotRecorded."""
        del ref
        left = self._left.get(_name(as_request_record(request, self._redactor)))
        if not left:
            raise NotRecorded("the record does not hold this request")
        recorded = left.popleft()
        exchange = from_record(self._exchanges[recorded], recorded, request)
        if exchange is None:
            raise NotRecorded("the record does not hold the whole answer")
        await anyio.sleep(exchange.elapsed_ms / 1000)
        return exchange

    async def close(self) -> None:
        """Nothing to close."""

    def new_loop(self) -> asyncio.AbstractEventLoop:
        """A loop that waits for nothing but for other threads."""
        return _TimelessLoop()


def _name(request: object) -> str:
    return json.dumps(request, sort_keys=True)


class _TimelessLoop(asyncio.SelectorEventLoop):
    """Its clock goes on by itself only as far as somebody waits for it."""

    def __init__(self) -> None:
        self.skipped_s = 0.0
        super().__init__(_Skipping(self))

    def time(self) -> float:
        """The loop's time, ahead of the machine's by what was not waited for."""
        return super().time() + self.skipped_s


class _Skipping(selectors.DefaultSelector):
    """Does not wait for a moment: it takes the loop there."""

    def __init__(self, loop: _TimelessLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """What is ready to be read or written."""
        if timeout is None or timeout <= 0:
            return super().select(timeout)
        ready = super().select(0)
        if not ready:
            self._loop.skipped_s += timeout
        return ready
