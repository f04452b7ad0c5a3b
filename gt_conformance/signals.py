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
Handlers = dict[signal.Signals, Handler | int | signal.Handlers | None]
"""What each of them does, as the signal module says it."""


@contextmanager
def handling(handler: Handler) -> Iterator[Handlers]:
    """While inside, the handler gets these signals. Only the main thread can have it so; in others nothing changes.

    The value is what is put back at the end.
    """
    before: Handlers = {}
    if threading.current_thread() is threading.main_thread():
        numbers = [number for number in TERMINATING if signal.getsignal(number) is not signal.SIG_IGN]
        before = {number: signal.signal(number, handler) for number in numbers}
    try:
        yield before
    finally:
        for number, old in before.items():
            signal.signal(number, old)


def raise_interrupts() -> None:
    """From now on each of them raises KeyboardInterrupt in the main thread, as Ctrl-C does."""
    for number in TERMINATING:
        if signal.getsignal(number) in {signal.SIG_DFL, signal.default_int_handler}:
            signal.signal(number, _interrupt)


def ignore_in_place_of_interrupt(before: Handlers) -> None:
    """Put back at the end of ``handling``: nothing where ``raise_interrupts`` had raised, anything else as it was."""
    before.update({number: signal.SIG_IGN for number, old in before.items() if old is _interrupt})


def _interrupt(number: int, frame: FrameType | None) -> None:
    del number, frame
    raise KeyboardInterrupt


def ignore() -> None:
    """From now on none of them does anything: the command has its result, and only has to end."""
    for number in TERMINATING:
        signal.signal(number, signal.SIG_IGN)
