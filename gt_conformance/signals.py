"""The signals by which people and programs end a command. One that is ignored, as under ``nohup``, stays ignored."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

TERMINATING = tuple(
    signal.Signals[name] for name in ("SIGINT", "SIGTERM", "SIGHUP") if name in signal.Signals.__members__
)
"""Ctrl-C; what ``timeout`` and a cancelled CI job send; a terminal that is closed. Windows has no SIGHUP."""

Handler = Callable[[int, FrameType | None], None]


@contextmanager
def handling(handler: Handler) -> Iterator[None]:
    """While inside, the handler gets these signals. Only the main thread can have it so; in others nothing changes."""
    before = {}
    if threading.current_thread() is threading.main_thread():
        numbers = [number for number in TERMINATING if signal.getsignal(number) is not signal.SIG_IGN]
        before = {number: signal.signal(number, handler) for number in numbers}
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)


def raise_interrupts() -> None:
    """From now on each of them raises KeyboardInterrupt in the main thread, as Ctrl-C does."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        del number, frame
        raise KeyboardInterrupt

    for number in TERMINATING:
        if signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, interrupt)


def ignore() -> None:
    """From now on none of them does anything: the command has its result, and only has to end."""
    for number in TERMINATING:
        signal.signal(number, signal.SIG_IGN)
