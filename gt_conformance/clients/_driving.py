"""Driving in the background of a run: one runbook after the other, and every one of them has a result in the end."""

import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress

from gt_conformance.clients._judging import Judged, judge, not_driven
from gt_conformance.clients._manifest import Client, Manifest
from gt_conformance.clients._session import Stage
from gt_conformance.runbook import Runbook
from gt_conformance.tenant import Choice
from gt_conformance.vocabulary import Route

_PATIENCE_S = 30.0
_WAKE_S = 0.5
_AGAIN = "Run it again."


class Driving:
    """Drives the clients of these runbooks, once ``ready`` has given no reason against it.

    ``ready`` is asked in the thread, and may wait: for the checks, whose requests go first. ``routes`` are those that
    are selected, by runbook.
    """

    def __init__(
        self,
        stage: Stage,
        wanted: Sequence[tuple[Runbook, Manifest, tuple[Client, ...]]],
        choices: Mapping[str, Choice],
        ready: Callable[[], tuple[str, str] | None],
        routes: Mapping[str, Collection[Route]],
    ) -> None:
        self._stage = stage
        self._wanted = wanted
        self._choices = choices
        self._ready = ready
        self._routes = routes
        self._results: dict[str, Future[Judged]] = {book.id: Future() for book, _, _ in wanted}
        self._thread = threading.Thread(target=self._drive_all, name="clients", daemon=True)
        self.faults: list[str] = []

    def drives(self, runbook: str) -> bool:
        """Whether clients of that runbook are to be driven."""
        return runbook in self._results

    def start(self) -> None:
        """Begin, in a thread of its own."""
        self._thread.start()

    def result(self, runbook: str) -> Judged:
        """The result of a runbook; waits for it."""
        while True:
            # In slices: a signal that comes just before an unlimited wait is handled only when that wait ends.
            with suppress(TimeoutError):
                return self._results[runbook].result(_WAKE_S)

    def results(self) -> tuple[Judged, ...]:
        """All results, in the order of the runbooks; waits for them."""
        return tuple(self.result(runbook) for runbook in self._results)

    def stop(self) -> None:
        """End what runs; what has no result yet is blocked. Safe to call again."""
        self._stage.stopped.set()
        if self._thread.is_alive():
            self._thread.join(_PATIENCE_S)
        self._settle("the run ended before its clients were driven", _AGAIN)

    def _drive_all(self) -> None:
        try:
            why_not = self._ready()
            if why_not is not None:
                self._settle(*why_not)
            for book, manifest, clients in self._wanted:
                if self._stage.stopped.is_set() or why_not is not None:
                    break
                driven = self._stage.drive(manifest, clients, book, self._choices[book.id], self._routes[book.id])
                self._results[book.id].set_result(judge(book, driven, self._stage.tenant))
        except Exception as error:  # noqa: BLE001 - whoever waits for a result would wait for ever
            self.faults.append(f"{type(error).__name__}: {error}")
            self._settle(
                f"driving stopped ({type(error).__name__}): this is a fault of the suite",
                "Report it with the end of results.json (suite_errors).",
            )

    def _settle(self, reason: str, remedy: str) -> None:
        for book, _, _ in self._wanted:
            if not self._results[book.id].done():
                self._results[book.id].set_result(not_driven(book, reason, remedy))
