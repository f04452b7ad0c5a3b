"""Which exchanges count for the tenant's speed, the numbers that each gives, and those of earlier runs.

One counts where it is a whole 2xx answer of a route, to a live key that presented itself as it should, of a request
that was not sent to be refused. Counted is its last try alone, from the moment when the request was sent: waiting for a
slot, for the rate, for a pause between tries and for a connection to be opened is no part of it.
"""

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import assert_never

from gt_conformance.exchange import Exchange, ExchangeRecord, Presentation, Times, recorded_times, times_of
from gt_conformance.tenant import Measure, Objective
from gt_conformance.vocabulary import Route


@dataclass(frozen=True, slots=True)
class Sample:
    """The times of one answer, in milliseconds since its request was sent; ``tokens_per_s`` where it counts tokens.

    ``began_ms`` and ``ended_ms`` are since the run began, with what is no part of the times.
    """

    route: Route
    streamed: bool
    began_ms: float
    ended_ms: float
    first_byte: float
    first_event: float | None
    total: float
    tokens_per_s: float | None

    def value(self, measure: Measure) -> float | None:
        """That measure of it; None where it has none. Tokens a second are those of streams: only there they show."""
        match measure:
            case Measure.FIRST_BYTE:
                return self.first_byte
            case Measure.FIRST_EVENT:
                return self.first_event
            case Measure.TOTAL:
                return self.total
            case Measure.TOKENS_PER_S:
                return self.tokens_per_s if self.streamed else None
        assert_never(measure)


@dataclass(frozen=True)
class Samples:
    """The samples of one run by reference, and the references on which each row of a runbook rests."""

    by_ref: Mapping[str, Sample]
    rows: Mapping[tuple[str, Route], Collection[str]]

    def of_row(self, runbook: str, route: Route) -> list[Sample]:
        """Those of a row's own route, of what its checks rest on."""
        found = (self.by_ref.get(ref) for ref in sorted(self.rows.get((runbook, route), ())))
        return [one for one in found if one is not None and one.route is route]

    def of_route(self, route: Route) -> list[Sample]:
        """Those of a route, whichever runbook asked."""
        return [one for one in self.by_ref.values() if one.route is route]

    def values(self, objective: Objective) -> list[float]:
        """The values that an objective is judged by."""
        return list(self._measured(objective).values())

    def worst(self, objective: Objective) -> str | None:
        """The reference of the slowest of these."""
        found = self._measured(objective)
        slowest = max if objective.measure.is_time else min
        return slowest(found, key=found.__getitem__) if found else None

    def _measured(self, objective: Objective) -> Mapping[str, float]:
        """The values of an objective by reference."""
        runbook, route = objective.runbook, objective.route
        refs = self.by_ref if runbook is None else self.rows.get((runbook, route), ())
        samples = {ref: one for ref in sorted(refs) if (one := self.by_ref.get(ref)) and one.route is route}
        return {ref: value for ref, one in samples.items() if (value := one.value(objective.measure)) is not None}


def sample_of(exchange: Exchange, base_url: str, live: Collection[str]) -> Sample | None:
    """The sample that an exchange of the run is; None where it does not count. ``live`` are the keys that must work."""
    request, response = exchange.request, exchange.response
    if request.refused or request.presentation is not Presentation.BEARER or request.key not in live:
        return None
    if response is None or not response.succeeded or not response.complete:
        return None
    return _sample(request.method, request.url, base_url, times_of(exchange))


def recorded_sample(record: ExchangeRecord, base_url: str, live: Collection[str]) -> Sample | None:
    """The same of a recorded exchange."""
    request, response = record["request"], record["response"]
    if record.get("to_be_refused") or request["presentation"] != Presentation.BEARER:
        return None
    if request["credential"] not in live or response is None or not response["complete"]:
        return None
    if not 200 <= response["status"] < 300:
        return None
    return _sample(request["method"], request["url"], base_url, recorded_times(record))


def _sample(method: str, url: str, base_url: str, times: Times | None) -> Sample | None:
    route = _route_at(method, url.removeprefix(base_url).partition("?")[0])
    if route is None or times is None or times.first_byte_ms is None:
        return None
    sent, event = times.connect_ms, times.first_event_ms
    return Sample(
        route,
        event is not None,
        times.started_ms,
        round(times.started_ms + times.total_ms, 1),
        round(times.first_byte_ms - sent, 1),
        None if event is None else round(event - sent, 1),
        round(times.total_ms - sent, 1),
        times.tokens_per_s,
    )


@lru_cache(1024)
def _route_at(method: str, path: str) -> Route | None:
    """The route of a path below the base URL, with /v1 or without, and by its alias."""
    versioned = path if path.startswith("/v1/") else f"/v1{path}"
    route = Route.at(versioned.replace("/v1/uploads/", "/v1/files/", 1))
    return route if route is not None and route.method == method else None


# -- earlier runs


@dataclass(frozen=True)
class PastRun:
    """The samples of an earlier run of the same tenant, and when it was."""

    day: str
    run: str
    samples: Samples


def _nothing(_: bool) -> Iterator[PastRun]:  # noqa: FBT001 - as the source of any past
    return iter(())


@dataclass
class Past:
    """The earlier runs of the tenant, the newest first.

    ``source`` gives them, by whether the tenant is the embedded one. ``used`` are those that were read: with them the
    record shows by what an objective was judged.
    """

    source: Callable[[bool], Iterator[PastRun]] = _nothing
    used: list[PastRun] = field(default_factory=list)
    _left: Iterator[PastRun] | None = None

    def run(self, number: int, *, embedded: bool) -> PastRun | None:
        """The run so far back, from 0; None where there is none."""
        if self._left is None:
            self._left = self.source(embedded)
        while len(self.used) <= number:
            following = next(self._left, None)
            if following is None:
                return None
            self.used.append(following)
        return self.used[number]


NO_PAST = Past()
