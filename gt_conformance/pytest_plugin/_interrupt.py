"""Ctrl-C: handled once, for certain.

Python raises KeyboardInterrupt wherever the main thread happens to be, and some places swallow it (a callback of a
reporter, of the garbage collector). So the handler also ends the session and tells pytest to stop after this item.
"""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

import pytest

_LONGEST_S = 5.0
STOP = "interrupted"
"""Why pytest was told to stop."""


@contextmanager
def handle_interrupts(session: pytest.Session, end: Callable[[], None]) -> Iterator[None]:
    """While inside, SIGINT calls ``end`` in a thread of its own and stops the session. One that is ignored stays so."""
    before = signal.getsignal(signal.SIGINT)
    if before is signal.SIG_IGN or threading.current_thread() is not threading.main_thread():
        yield
        return
    ending = threading.Thread(target=end, daemon=True)

    def handle(number: int, frame: FrameType | None) -> None:
        del number, frame
        if not session.shouldstop:
            session.shouldstop = STOP
            ending.start()
        raise KeyboardInterrupt

    signal.signal(signal.SIGINT, handle)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
        if ending.is_alive():
            ending.join(_LONGEST_S)
