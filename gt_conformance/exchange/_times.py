"""When an exchange happened: its start, its first byte, its first event, its end, and how fast its tokens came.

Each number is rounded as the record has it, so that what is computed of a record is what was computed in the run.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from gt_conformance.exchange._exchange import Exchange, Response
from gt_conformance.exchange._sse import ServerSentEvent

_ONE_MOMENT_MS = 1.0
"""What arrives within it arrives at once: so a body is read."""
_MOST_EVENTS = 1_000
"""How many events, from either end, are searched for the first and the last that say something."""
_SAYS = ("content", "reasoning", "reasoning_content", "tool_calls", "refusal")


@dataclass(frozen=True, slots=True)
class Times:
    """Milliseconds since the request began; ``started_ms`` since the run did.

    ``connect_ms`` is what passed before the request was sent, where a connection was opened for it. ``first_event_ms``
    is of streams only. ``tokens`` and ``tokens_per_s`` are of the completion, as the tenant counts it.
    """

    started_ms: float
    total_ms: float
    first_byte_ms: float | None = None
    first_event_ms: float | None = None
    connect_ms: float = 0.0
    tokens: int = 0
    tokens_per_s: float | None = None


def times_of(exchange: Exchange) -> Times | None:
    """The times of an exchange; None where nobody timed it, as those of real clients."""
    if exchange.started_ms is None:
        return None
    started_ms, total_ms = round(exchange.started_ms, 1), round(exchange.elapsed_ms, 1)
    response = exchange.response
    if response is None or response.head_ms is None:
        return Times(started_ms, total_ms)
    return Times(
        started_ms,
        total_ms,
        round(response.head_ms, 1),
        _first_event(response),
        round(response.connect_ms, 1),
        0 if response.stated is None else response.stated.output,
        _rate(response, exchange.elapsed_ms - response.connect_ms),
    )


def _first_event(response: Response) -> float | None:
    if response.media_type != "text/event-stream":
        return None
    return next((round(event.at_ms, 1) for event in response.events if event.data), None)


def _rate(response: Response, elapsed_ms: float) -> float | None:
    """Tokens a second while they came: of a stream from the first event that says something to the last.

    Where all came at one moment, over the whole time of the answer, which is what whoever asked has waited for.
    """
    stated, came_ms = response.stated, 0.0
    tokens = 0 if stated is None else stated.output
    if response.media_type == "text/event-stream":
        first, last = _spoken(response.events), _spoken(reversed(response.events))
        if first is not None and last is not None:
            came_ms = last.at_ms - first.at_ms
            if stated is not None and "reasoning" not in first.data:  # it is counted, and did not come
                tokens -= stated.reasoning
    if tokens > 1 and came_ms > _ONE_MOMENT_MS:
        return round((tokens - 1) * 1000 / came_ms, 1)
    return round(tokens * 1000 / elapsed_ms, 1) if tokens and elapsed_ms > 0 else None


def _spoken(events: Iterable[ServerSentEvent]) -> ServerSentEvent | None:
    """The first of these events whose delta says something."""
    for _, event in zip(range(_MOST_EVENTS), events, strict=False):
        if '"delta"' in event.data and _says_something(event.data):
            return event
    return None


def _says_something(data: str) -> bool:
    try:
        body: Any = json.loads(data)
    except (ValueError, RecursionError):
        return False
    choices = body.get("choices") if isinstance(body, dict) else None
    deltas = [one.get("delta") for one in choices if isinstance(one, dict)] if isinstance(choices, list) else []
    return any(isinstance(delta, dict) and any(delta.get(name) for name in _SAYS) for delta in deltas)
