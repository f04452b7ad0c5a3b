"""What is known of a watched tenant: the last round, what changed over the rounds; all of it as gauges, served."""

import threading
from collections import deque
from collections.abc import Awaitable, Callable, Collection, Iterator, MutableMapping
from dataclasses import dataclass, field
from itertools import pairwise
from types import TracebackType
from typing import Any, Self

from gt_conformance import __version__
from gt_conformance.report import Gauge, format_gauges
from gt_conformance.results.run_types import TenantAddress
from gt_conformance.vocabulary import Outcome
from gt_conformance.watch._round import MOST_REQUESTS, Observation, Round
from gt_loopback import BackgroundServer

WINDOW = 10
"""Over so many results of a check it is seen whether it flaps."""
FLAPPING, STEADY = 3, 1
"""It flaps from so many changes on, and is steady again once there are no more than that."""
_SHOWN = (Outcome.CONFORMS, Outcome.VIOLATES, Outcome.BLOCKED)


@dataclass
class _Past:
    """Whether a check conformed in its last rounds. What this machine kept from being tested is none of them."""

    conformed: deque[bool] = field(default_factory=lambda: deque(maxlen=WINDOW))
    flaps: bool = False

    @property
    def changes(self) -> int:
        """How often it changed."""
        return sum(before != after for before, after in pairwise(self.conformed))

    def add(self, *, conforms: bool) -> None:
        """The result of another round."""
        self.conformed.append(conforms)
        self.flaps = self.changes > STEADY if self.flaps else self.changes >= FLAPPING


class Watched:
    """One tenant over the rounds. Written by one thread, rendered by any."""

    def __init__(self, tenant: TenantAddress) -> None:
        self._tenant = tenant
        self._lock = threading.Lock()
        self._last: dict[tuple[str, str], Observation] = {}
        self._past: dict[tuple[str, str], _Past] = {}
        self._round: Round | None = None
        self._sent = self._unsent = self._troubled = 0
        self._is_sent = False
        self._budget: tuple[int, int | None] = (0, None)

    def is_flapping(self, one: Observation) -> bool:
        """Whether the check of an observation flaps by now."""
        return one.name in self._past and self._past[one.name].flaps

    def add(self, found: Round) -> None:
        """A round was carried out."""
        with self._lock:
            self._round, self._is_sent, self._tenant = found, True, found.tenant
            self._sent += 1
            for one in found.observations:
                if one.cut_short:  # what was known of it before is still known
                    continue
                self._last[one.name] = one
                past = self._past.setdefault(one.name, _Past())
                if not one.says_nothing:
                    past.add(conforms=one.outcome is Outcome.CONFORMS)

    def add_unsent(self, *, by_budget: bool) -> None:
        """A round was not sent: it might have passed the budget, or this machine could not send it."""
        with self._lock:
            self._is_sent = False
            self._unsent += by_budget
            self._troubled += not by_budget

    def forget_others(self, keys: Collection[str]) -> None:
        """The tenant file has these keys by now: what was found with others is nobody's concern any more."""
        with self._lock:
            for name in [name for name in self._last if name[1] not in keys]:
                del self._last[name], self._past[name]

    def note_tokens(self, used: int, left: int | None) -> None:
        """What the rounds of the last 24 hours have used, and what is left of the budget."""
        with self._lock:
            self._budget = used, left

    def render(self) -> str:
        """The gauges as text. There are some before the first round, too."""
        with self._lock:
            return format_gauges([(self._tenant, list(self._gauges()))])

    def _gauges(self) -> Iterator[Gauge]:
        found = self._round
        yield (
            "watch_info",
            "The version that watches, and the most requests of a round.",
            [({"version": __version__, "requests": str(MOST_REQUESTS)}, 1)],
        )
        yield (
            "watch_rounds",
            "Rounds by what became of them, since the watch began.",
            [
                ({"outcome": "sent"}, self._sent),
                ({"outcome": "over_budget"}, self._unsent),
                ({"outcome": "failed_here"}, self._troubled),
            ],
        )
        yield "watch_round_sent", "1 where the last round was sent.", [({}, self._is_sent)]
        used, left = self._budget
        yield "watch_tokens_used", "Tokens that the rounds of the last 24 hours count for.", [({}, used)]
        if left is not None:
            yield "watch_tokens_left", "Tokens that are left of the budget of 24 hours.", [({}, left)]
            over = self._unsent > 0 and not self._is_sent
            yield "watch_budget_exhausted", "1 where the last round was not sent because of the budget.", [({}, over)]
        if found is not None:
            yield from _of_round(found)
            yield from self._of_checks()

    def _of_checks(self) -> Iterator[Gauge]:
        items = [({"check": name[0], "key": name[1]}, one, self._past[name]) for name, one in self._last.items()]
        yield (
            "watch_check",
            "1 for what a check last came to, 0 for the others.",
            [
                ({**labels, "outcome": outcome.value}, one.outcome is outcome)
                for labels, one, _ in items
                for outcome in _SHOWN
            ],
        )
        yield (
            "watch_changes",
            f"How often a check changed in its last {WINDOW} results.",
            [(labels, past.changes) for labels, _, past in items],
        )
        flaps = f"1 from {FLAPPING} changes in the last {WINDOW} results on, until there is at most {STEADY}."
        yield "watch_flapping", flaps, [(labels, past.flaps) for labels, _, past in items]
        yield (
            "watch_answer_seconds",
            "How long the last answer took that a check asked for.",
            [(labels, one.seconds) for labels, one, _ in items if one.seconds is not None],
        )
        yield (
            "watch_first_event_seconds",
            "How long the first piece of the last stream took.",
            [(labels, one.first_event_s) for labels, one, _ in items if one.first_event_s is not None],
        )


def _of_round(found: Round) -> Iterator[Gauge]:
    said = [one for one in found.observations if not one.says_nothing]
    up = float("nan") if found.observations and not said else float(found.refusal is None)
    yield (
        "watch_up",
        "1 where the tenant answers as the API and a key works, NaN where this machine cannot tell.",
        [({}, up)],
    )
    yield "watch_requests", "Requests of the last round that was sent.", [({}, found.requests)]
    yield "watch_tokens", "Tokens that the last round that was sent counts for.", [({}, found.tokens)]
    yield "watch_round_seconds", "How long the last round took that was sent.", [({}, found.seconds)]
    started = found.started.timestamp()
    yield (
        "watch_round_timestamp_seconds",
        "When the last round began that was sent, in seconds since 1970.",
        [({}, started)],
    )
    yield "watch_suite_faults", "Faults of the suite itself in the last round that was sent.", [({}, len(found.faults))]


# -- where Prometheus reads them


_Message = MutableMapping[str, Any]
_CONTENT_TYPE = b"text/plain; version=0.0.4; charset=utf-8"


class Endpoint:
    """Answers every request with what ``render`` gives, with 200: what is wrong with the tenant is in the gauges.

    A context manager. Nothing that is sent to it is read.
    """

    def __init__(self, render: Callable[[], str], host: str, port: int) -> None:
        """Raises OSError where the address is taken."""
        self._render = render
        self._host = host
        self._server = BackgroundServer(self._serve, host, port, name="endpoint of the gauges")

    @property
    def address(self) -> str:
        """``http://127.0.0.1:9469/metrics``."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"http://{host}:{self._server.port}/metrics"

    def __enter__(self) -> Self:
        """Listen."""
        self._server.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Close every connection."""
        self._server.stop()

    async def _serve(
        self,
        scope: MutableMapping[str, Any],
        receive: Callable[[], Awaitable[_Message]],
        send: Callable[[_Message], Awaitable[None]],
    ) -> None:
        del receive
        body = self._render().encode()
        headers = [(b"content-type", _CONTENT_TYPE), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})
