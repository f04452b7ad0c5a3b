"""An event loop in a thread of its own, for callers that have none: pytest, and whoever calls ``run``."""

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from contextlib import AbstractContextManager

from anyio.from_thread import BlockingPortal, start_blocking_portal


class Background:
    """Does one piece of work in a thread of its own, from when it is made until ``end``."""

    def __init__(self, new_loop: Callable[[], asyncio.AbstractEventLoop], work: Callable[[], Awaitable[None]]) -> None:
        self._manager: AbstractContextManager[BlockingPortal] = start_blocking_portal(
            "asyncio", {"loop_factory": new_loop}
        )
        self._portal = self._manager.__enter__()
        self._done: Future[None] = self._portal.start_task_soon(work)

    def end(self, cancel: Callable[[], None]) -> None:
        """Call ``cancel`` in the event loop, then wait for the work to end, and for the thread."""
        self._portal.call(cancel)
        self._done.exception()
        self._manager.__exit__(None, None, None)
