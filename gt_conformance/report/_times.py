"""How fast the tenant was, in words and numbers: beside each row, by route, over the nights, and as it was promised."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from gt_conformance.report._format import numbered
from gt_conformance.results import Record
from gt_conformance.results.record_types import NightRecord
from gt_conformance.results.run_types import ObjectiveRecord, PercentilesRecord, SeriesRecord
from gt_conformance.tenant import Measure
from gt_conformance.vocabulary import Outcome, Route

_WAYS = {"plain": "plain", "stream": "streamed"}
_STEP, _HEIGHT = 5, 24
_LEAST_NIGHTS = 2


def short_time(milliseconds: float) -> str:
    """``412 ms``, ``2.4 s``."""
    return f"{milliseconds:.0f} ms" if milliseconds < 1000 else f"{milliseconds / 1000:.1f} s"


def row_times(record: Record) -> Mapping[tuple[str, str], str]:
    """``12 answers, p95 412 ms; 6 streams, first event p95 180 ms``, by runbook and route: what its rows rest on."""
    books = record["times"]["runbooks"] if "times" in record else {}
    found: dict[tuple[str, str], list[str]] = {}
    for runbook, series in books.items():
        for one in series:
            found.setdefault((runbook, one["route"]), []).append(_in_short(one))
    return {place: "; ".join(texts) for place, texts in found.items()}


def _in_short(one: SeriesRecord) -> str:
    if "first_event_ms" in one:
        return f"{numbered(one['count'], 'stream')}, first event p95 {short_time(one['first_event_ms']['p95'])}"
    return f"{numbered(one['count'], 'answer')}, p95 {short_time(one['total_ms']['p95'])}"


def describe_chats(record: Record) -> str:
    """``34 plain chats: 95 % within 412 ms; 57 streamed: first event within 180 ms``; empty where none was timed."""
    if "times" not in record:
        return ""
    chats = {one["way"]: one for one in record["times"]["routes"] if one["route"] == Route.CHAT.value}
    parts = []
    if (plain := chats.get("plain")) is not None:
        parts.append(f"{numbered(plain['count'], 'plain chat')}, p95 {short_time(plain['total_ms']['p95'])}")
    if (streamed := chats.get("stream")) is not None and "first_event_ms" in streamed:
        first = short_time(streamed["first_event_ms"]["p95"])
        parts.append(f"{numbered(streamed['count'], 'streamed chat')}, p95 of the first event {first}")
    return "; ".join(parts)


# -- by route


@dataclass(frozen=True, slots=True)
class TimesLine:
    """One route, plain or streamed: how many answers, and its percentiles as text."""

    title: str
    way: str
    count: int
    first_byte: str
    first_event: str
    total: str
    rate: str


def times_lines(record: Record) -> list[TimesLine]:
    """The routes of a record; none where nothing was timed."""
    return [_line(one) for one in (record["times"]["routes"] if "times" in record else ())]


def _line(one: SeriesRecord) -> TimesLine:
    rate = one.get("tokens_per_s")
    return TimesLine(
        route_title(one["route"]),
        _WAYS.get(one["way"], one["way"]),
        one["count"],
        _three(one["first_byte_ms"]),
        _three(one["first_event_ms"]) if "first_event_ms" in one else "",
        _three(one["total_ms"]),
        "" if rate is None else f"{rate['p50']:.0f} ({rate['count']})",
    )


def _three(found: PercentilesRecord) -> str:
    return " · ".join(short_time(value) for value in (found["p50"], found["p95"], found["p99"]))


def route_title(route: str) -> str:
    """``POST /v1/chat/completions``; the text itself where it is no route."""
    return next((one.title for one in Route if one.value == route), route)


# -- what was promised


@dataclass(frozen=True, slots=True)
class PromiseLine:
    """One number of ``slo``: what was promised, what was found, over how many answers."""

    id: str
    limit: str
    found: str
    over: str
    outcome: str
    anchor: str


def promise_lines(record: Record) -> list[PromiseLine]:
    """The operator's objectives with what they came to; the outcome is that of the check, waivers included."""
    outcomes = {check["id"]: check["outcome"] for check in record["tenant_checks"]}
    objectives = record["slo"]["objectives"] if "slo" in record else ()
    return [_promise(one, outcomes.get(one["id"], one["outcome"])) for one in objectives]


def _promise(one: ObjectiveRecord, outcome: str) -> PromiseLine:
    measure = Measure(one["measure"])
    over = numbered(one["samples"], "answer")
    if one["earlier_runs"]:
        over += f", {one['samples'] - one['of_this_run']} of them of {numbered(one['earlier_runs'], 'earlier run')}"
    if outcome == Outcome.BLOCKED and one["needed"]:
        over += f"; {one['needed']} more are needed"
    bound = "at most" if measure.is_time else "at least"
    found = "nothing" if one["found"] is None else measure.describe(one["found"])
    limit = f"{bound} {measure.describe(one['limit'])}"
    return PromiseLine(one["id"], limit, found, over, outcome, f"tenant-{one['id']}")


# -- over the nights


@dataclass(frozen=True, slots=True)
class Course:
    """The 95th percentile of a route over the nights: pieces of a line in units of their own, and its words."""

    title: str
    way: str
    pieces: tuple[str, ...]
    last: tuple[float, float]
    width: int
    height: int
    words: str


def courses(history: Sequence[NightRecord], days: Sequence[str]) -> tuple[Course, ...]:
    """The course of each route that any two of these nights timed; ``days`` are all dates of the window."""
    place = {day: number for number, day in enumerate(days)}
    found: dict[tuple[str, str], list[tuple[int, str, float]]] = {}
    for night in history:
        for one in night.get("times", ()):
            if night["day"] in place:
                point = (place[night["day"]], night["day"], one["p95_ms"])
                found.setdefault((one["route"], one["way"]), []).append(point)
    order = [route.value for route in Route]
    listed = sorted(found, key=lambda key: (order.index(key[0]) if key[0] in order else len(order), key[1]))
    return tuple(_course(key, found[key], len(days)) for key in listed if len(found[key]) >= _LEAST_NIGHTS)


def _course(key: tuple[str, str], points: Sequence[tuple[int, str, float]], days: int) -> Course:
    top = max(value for _, _, value in points) or 1.0
    drawn = [(number * _STEP + 2, round(_HEIGHT - 2 - (_HEIGHT - 4) * value / top, 1)) for number, _, value in points]
    values = [value for _, _, value in points]
    what = "first event" if key[1] == "stream" else "whole answer"
    words = (
        f"p95 of the {what}: {short_time(min(values))} to {short_time(max(values))} in "
        f"{numbered(len(values), 'night')}, {short_time(values[-1])} on {points[-1][1]}"
    )
    pieces = tuple(_pieces([number for number, _, _ in points], drawn))
    return Course(route_title(key[0]), _WAYS.get(key[1], key[1]), pieces, drawn[-1], days * _STEP, _HEIGHT, words)


def _pieces(numbers: Sequence[int], drawn: Sequence[tuple[float, float]]) -> Iterator[str]:
    """The points of each piece of the line, which a night without a run ends."""
    piece: list[str] = []
    for position, (x, y) in enumerate(drawn):
        if piece and numbers[position] != numbers[position - 1] + 1:
            yield " ".join(piece)
            piece = []
        piece.append(f"{x},{y}")
    yield " ".join(piece)
