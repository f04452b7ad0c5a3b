"""The tokens that a run may use: what would pass them is not sent."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio

from gt_conformance.errors import Blocked, Blocker
from gt_conformance.exchange import Failure, Request, Response
from gt_conformance.spending import NOTHING, Usage, used_by, worst_case

_CAUSE = "max_tokens"
OUT_OF_TOKENS = Blocker("", "", cause=_CAUSE).finding
"""The finding of what is blocked because the run may use no more tokens."""


class Reservation:
    """What one request may use at most, and what it used: nothing until it is sent, and its worst until it ended."""

    def __init__(self, worst: Usage) -> None:
        self._worst = worst
        self.worst = worst.tokens
        self.used = 0

    def begin(self) -> None:
        """The request is being sent."""
        self.used = self.worst

    def settle(self, response: Response | None, failure: Failure | None) -> None:
        """The request has ended."""
        self.used = used_by(self._worst, response, failure)[0].tokens


class TokenBudget:
    """The tokens of one run. A request under way counts at its worst case, one that has ended with what it used.

    Where a request would fit but for those under way, it waits until they have ended: so what is sent does not hang on
    how many are under way at once.
    """

    def __init__(self, most: int | None) -> None:
        self._most = most
        self.used = 0
        self._reserved = 0
        self._changed = anyio.Event()

    @asynccontextmanager
    async def reserving(self, request: Request) -> AsyncIterator[Reservation]:
        """Inside, the request may be sent. Raises Blocked where it might pass the budget."""
        one = Reservation(NOTHING if self._most is None else worst_case(request))
        if self._most is not None and one.worst:
            await self._wait_for_room(one.worst, self._most)
        self._reserved += one.worst
        try:
            yield one
        finally:
            self._reserved -= one.worst
            self.used += one.used
            self._changed.set()
            self._changed = anyio.Event()

    async def _wait_for_room(self, worst: int, most: int) -> None:
        while self.used + self._reserved + worst > most:
            if self.used + worst > most:
                raise Blocked(
                    f"the run's budget of {most:,} tokens might be passed (limits.max_tokens)",
                    "Raise limits.max_tokens in the tenant file, or --max-tokens (gt-conformance plan says how many "
                    "tokens a run asks for at most), or select fewer runbooks.",
                    cause=_CAUSE,
                )
            await self._changed.wait()
