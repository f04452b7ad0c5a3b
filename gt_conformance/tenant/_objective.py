"""What the operator promises of the tenant's speed: ``slo`` in the tenant file, one objective for each number."""

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, assert_never

from gt_conformance.vocabulary import Route

_ROUTES = {route.value for route in Route}
_KEY = re.compile(r"(first_byte|first_event|total|tokens_per_s)_p(\d{1,2})(?:_ms)?")


class Measure(StrEnum):
    """What is measured of an answer."""

    FIRST_BYTE = "first_byte"
    """Milliseconds until its head came."""
    FIRST_EVENT = "first_event"
    """Milliseconds until the first event of a stream."""
    TOTAL = "total"
    """Milliseconds until its end."""
    TOKENS_PER_S = "tokens_per_s"
    """Tokens a second of a stream, while they came."""

    @property
    def is_time(self) -> bool:
        """Whether less is better."""
        return self is not Measure.TOKENS_PER_S

    def describe(self, value: float) -> str:
        """``1,240 ms``, ``14.2 tokens a second``."""
        if math.isnan(value):
            return "what the tenant file says"
        return f"{value:,.0f} ms" if self.is_time else f"{value:,.1f} tokens a second"


@dataclass(frozen=True, slots=True)
class Objective:
    """One number that the operator promises: a percentile of a measure of a route, for all runbooks or for one."""

    route: Route
    measure: Measure
    percentile: int
    limit: float
    runbook: str | None = None

    @property
    def id(self) -> str:
        """The id of the check that judges it: ``slo.chat.first_event_p95``, ``slo.dify.chat.total_p95``."""
        of = f"{self.runbook}." if self.runbook else ""
        return f"slo.{of}{self.route.value}.{self.measure.value}_p{self.percentile}"

    @property
    def key(self) -> str:
        """Where the tenant file has it: ``slo.chat.first_event_p95_ms``."""
        return f"{self.id}_ms" if self.measure.is_time else self.id

    @property
    def words(self) -> str:
        """What is promised, as a sentence."""
        of = f" of the rows of {self.runbook}" if self.runbook else ""
        at = f"{self.route.title}{of}"
        limit = self.measure.describe(self.limit)
        match self.measure:
            case Measure.FIRST_BYTE:
                return f"{self.percentile} of 100 answers of {at} begin within {limit}."
            case Measure.FIRST_EVENT:
                return f"{self.percentile} of 100 streams of {at} have their first event within {limit}."
            case Measure.TOTAL:
                return f"{self.percentile} of 100 answers of {at} are complete within {limit}."
            case Measure.TOKENS_PER_S:
                return f"{100 - self.percentile} of 100 streams of {at} give at least {limit}."
        assert_never(self.measure)


def read_objectives(value: Mapping[str, Any]) -> tuple[Objective, ...]:
    """The objectives of a tenant file, whose value holds to the schema."""
    return tuple(_read(value.get("slo", {})))


def _read(slo: Mapping[str, Any]) -> Iterator[Objective]:
    for name, entry in slo.items():
        if name in _ROUTES:
            yield from _of_route(Route(name), entry, None)
            continue
        # What stands at a runbook directly is promised of its chats.
        for inner, value in entry.items():
            if inner in _ROUTES:
                yield from _of_route(Route(inner), value, name)
            else:
                yield from _of_route(Route.CHAT, {inner: value}, name)


def _of_route(route: Route, entry: Mapping[str, float], runbook: str | None) -> Iterator[Objective]:
    for key, limit in entry.items():
        if (match := _KEY.fullmatch(key)) is not None:
            yield Objective(route, Measure(match[1]), int(match[2]), limit, runbook)


def objective_of_id(check: str) -> Objective | None:
    """The objective that a check of this id judges, without its number; None where there can be none."""
    family, *of, route, key = check.split(".") if check.count(".") in {2, 3} else ("", "", "")
    match = _KEY.fullmatch(key)
    if family != "slo" or match is None or route not in _ROUTES or key.endswith("_ms"):
        return None
    return Objective(Route(route), Measure(match[1]), int(match[2]), float("nan"), of[0] if of else None)
