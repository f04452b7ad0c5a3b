"""Signals that end a run: Ctrl-C, and what ``timeout``, a cancelled CI job or a closed terminal send.

Python raises KeyboardInterrupt wherever the main thread happens to be, and some places swallow it (a callback of a
reporter, of the garbage collector). So the handler also ends the session and makes pytest stop after this item.
"""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from types import FrameType
from typing import Protocol

from gt_conformance import signals

_LONGEST_S = 5.0
STOP = "interrupted"
"""Why pytest stops."""


class Stoppable(Protocol):
    """What runs the items: pytest's session. It stops where it is told why."""

    shouldstop: bool | str


class Interrupts:
    """What a signal does to a run, from its beginning until its reports are written.

    Before the items it raises KeyboardInterrupt, or is put off where requests are being sent already; while they run it
    ends the session besides; once the reports are being written it does nothing any more, so that they are written
    whole. A signal that is ignored stays so.
    """

    def __init__(self) -> None:
        self._handling = ExitStack()
        self._before: signals.Handlers = {}
        self._session: Stoppable | None = None
        self._end: Callable[[str], None] | None = None
        self._ending: threading.Thread | None = None
        self._is_installed = False
        self._is_finishing = False
        self._is_deferring = False
        self._deferred: int | None = None

    def install(self) -> None:
        """Handle the signals from now on. Safe to call again."""
        if self._is_installed:
            return
        self._is_installed = True
        self._before = self._handling.enter_context(signals.handling(self._handle))

    def restore(self) -> None:
        """Handle them as before; once the reports are written, nothing interrupts the command itself either."""
        if self._is_finishing:
            signals.ignore_in_place_of_interrupt(self._before)
        self._handling.close()

    def finish(self) -> None:
        """From now on reports are written, which no signal interrupts."""
        self._is_finishing = True

    @contextmanager
    def ending(self, session: Stoppable, end: Callable[[str], None]) -> Iterator[None]:
        """While inside, a signal calls ``end`` with its name, in a thread of its own, and stops the session."""
        self._session, self._end = session, end
        try:
            yield
        finally:
            self._session = self._end = None
            if self._ending is not None:
                self._ending.join(_LONGEST_S)

    @contextmanager
    def deferred(self) -> Iterator[None]:
        """While inside, a signal is only remembered; it is handled at the end."""
        self.defer()
        try:
            yield
        finally:
            number = self._undefer()
        if number is not None:
            self._handle(number, None)

    def defer(self) -> None:
        """From now on a signal is only remembered, until a ``deferred`` ends, or all is restored."""
        self._is_deferring = True

    def _undefer(self) -> int | None:
        self._is_deferring = False
        number, self._deferred = self._deferred, None
        return number

    def _handle(self, number: int, frame: FrameType | None) -> None:
        del frame
        if self._is_finishing:
            return
        if self._is_deferring:
            self._deferred = number
            return
        if self._session is not None and self._end is not None and not self._session.shouldstop:
            self._session.shouldstop = STOP
            self._ending = threading.Thread(target=self._end, args=(signal.Signals(number).name,), daemon=True)
            self._ending.start()
        raise KeyboardInterrupt
