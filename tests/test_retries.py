"""Requests that are tried again, where that is fair, after the pause that the tenant asks for."""

import asyncio
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gt_conformance.exchange import Exchange, Failure
from gt_conformance.runner._pacing import Patience
from gt_conformance.tenant import Limits
from tests.clocks import FakeClock
from tests.loopback_http import (
    QUICK,
    Server,
    a_request,
    a_sender,
    a_tenant,
    closes_after,
    http,
    in_turn,
    sends,
    serving,
)
from tests.one_exchange import BUSY_ALWAYS, exchanged

DOWN_FOR_NOW = http(b"", "503 Service Unavailable", Retry_After="0")

ASKED: dict[str, tuple[dict[str, str], float]] = {
    "seconds": ({"Retry_After": "3"}, 3),
    "a part of a second": ({"Retry_After": "0.3"}, 0.3),
    "none": ({"Retry_After": "0"}, 0),
    "less than none": ({"Retry_After": "-5"}, 0),
    "an hour": ({"Retry_After": "3600"}, 10),
    "for ever": ({"Retry_After": "inf"}, 10),
    "milliseconds": ({"Retry_After_Ms": "1500"}, 1.5),
    "milliseconds and seconds": ({"Retry_After": "2", "Retry_After_Ms": "1500"}, 1.5),
    "milliseconds that are none": ({"Retry_After": "2", "Retry_After_Ms": "soon"}, 2),
    "a date": ({"Retry_After": "Sun, 22 Nov 2026 02:00:07 GMT"}, 7),
    "a date in the form of RFC 850": ({"Retry_After": "Sunday, 22-Nov-26 02:00:07 GMT"}, 7),
    "a date in the form of asctime": ({"Retry_After": "Sun Nov 22 02:00:07 2026"}, 7),
    "a date by the tenant's clock": (
        {"Date": "Sun, 22 Nov 2026 09:30:00 GMT", "Retry_After": "Sun, 22 Nov 2026 09:30:04 GMT"},
        4,
    ),
    "a date in the past": ({"Retry_After": "Sat, 21 Nov 2026 02:00:00 GMT"}, 0),
    "a date far away": ({"Retry_After": "Fri, 31 Dec 9999 23:59:59 GMT"}, 10),
}

EVENLY_S = 61 / Limits().requests_per_minute
"""How long after one request the next one may start."""


@pytest.mark.parametrize("status", ["429 Too Many Requests", "503 Service Unavailable"], ids=["429", "503"])
@pytest.mark.parametrize(("headers", "pause"), ASKED.values(), ids=ASKED)
def test_a_busy_tenant_is_asked_again_when_it_says(headers: dict[str, str], pause: float, status: str) -> None:
    """The pause is what the tenant asks for, in each form of RFC 9110, up to ten seconds; it is recorded."""
    clock = FakeClock()
    exchange, server = exchanged(in_turn(http(b"", status, **headers), http()), clock=clock)
    assert exchange.response is not None
    assert exchange.response.status == 200
    assert len(server.received) == 2
    # A retry waits for its turn as any request does, where the tenant asked for less.
    assert sum(clock.pauses) == pytest.approx(max(pause, EVENLY_S))
    [attempt] = exchange.attempts
    assert attempt.result == f"HTTP {status[:3]}"
    assert attempt.waited_s == pytest.approx(pause)


@settings(max_examples=25)  # a server each
@given(
    asked=st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=40)
    | st.from_regex(r"[A-Z][a-z]{2}, \d{1,9} [A-Z][a-z]{2} \d{1,9} \d+:\d+:\d+ (GMT|[+-]\d{4,9})", fullmatch=True)
)
def test_no_retry_after_is_a_fault_of_the_suite(asked: str) -> None:
    """Whatever is in the header, the request is retried, after a pause between none and ten seconds."""
    clock = FakeClock()
    exchange, _ = exchanged(in_turn(http(b"", "503 Down", Retry_After=asked), http()), clock=clock)
    assert exchange.response is not None
    assert exchange.response.status == 200
    assert 0 <= clock.pauses[0] <= 10  # after a shorter one than requests are apart, it waits for its turn besides


@pytest.mark.parametrize(
    ("asked", "waits"), [("5", 5.0), ("0.1", 3.0), ("3600", 0.0)], ids=["a window", "a moment", "until tomorrow"]
)
def test_nothing_is_sent_while_the_tenant_puts_off_whatever_comes(asked: str, waits: float) -> None:
    """Its limit is used up: the others wait as well, so that none of them is put off until it counts as failed."""
    clock, answer = FakeClock(), http(b"", "429 Too Many Requests", Retry_After=asked)

    async def main() -> tuple[list[int], float]:
        async with serving(in_turn(*[answer] * 6, http())) as server:
            sender = a_sender(a_tenant(server.url, QUICK), clock)
            before = [await sender.send(a_request(server.url), ref) for ref in ("x1", "x2")]
            began = clock.time
            last = await sender.send(a_request(server.url), "x3")
            await sender.close()
        statuses = [one.response.status for one in (*before, last) if one.response is not None]
        return statuses, clock.time - began

    statuses, waited = asyncio.run(main())
    assert statuses == [429, 429, 200]
    assert waits <= waited + 0.001 <= waits + 0.5


def test_a_tenant_that_limits_its_rate_is_asked_more_slowly_after_each_lull() -> None:
    """What it allows in a second is known to nobody: requests start twice as far apart each time, a second at most."""
    clock, began, fast = FakeClock(), list[float](), replace(QUICK, requests_per_minute=60_000)
    answers = itertools.cycle([*[BUSY_ALWAYS] * 4, *[http()] * 4])

    async def limit(_: Server, __: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        began.append(clock.time)
        writer.write(next(answers))

    async def main() -> list[Exchange]:
        async with serving(limit) as server:
            sender = a_sender(a_tenant(server.url, fast), clock)
            exchanges = [await sender.send(a_request(server.url), f"x{number}") for number in range(40)]
            await sender.close()
            return exchanges

    answered = [one.response.status for one in asyncio.run(main()) if one.response is not None]
    assert len(answered) == 40
    between = [round(began[start + 1] - began[start], 2) for start in range(5, len(began) - 2, 8)]
    assert between[:6] == [0.05, 0.1, 0.2, 0.4, 0.8, 1.0]


def test_the_usual_pause_grows() -> None:
    """A tenant that asks for no pause is given a longer one before each further attempt."""
    clock = FakeClock()
    exchanged(sends(BUSY_ALWAYS), clock=clock)
    first, second = clock.pauses
    assert 0.25 <= first <= 1.25
    assert 0.5 <= second <= 1.5


AGAIN: dict[str, tuple[tuple[bytes, ...], int, list[str]]] = {
    "a 429 without Retry-After": ((BUSY_ALWAYS, http()), 200, ["HTTP 429"]),
    "a 429 with a date": ((http(b"", "429 X", Retry_After="Sun, 22 Nov 2026 02:00:00 GMT"), http()), 200, ["HTTP 429"]),
    "a 503 with Retry-After": ((DOWN_FOR_NOW, http()), 200, ["HTTP 503"]),
    "a lasting 429": ((BUSY_ALWAYS,) * 4, 429, ["HTTP 429", "HTTP 429"]),
    "a lasting 503": ((DOWN_FOR_NOW,) * 4, 503, ["HTTP 503", "HTTP 503"]),
    "a 429 and then a 500": ((BUSY_ALWAYS, http(b"", "500 Broken")), 500, ["HTTP 429"]),
    "a 503 without Retry-After": ((http(b"", "503 Down"),) * 2, 503, []),
    "a 500": ((http(b"", "500 Broken"),) * 2, 500, []),
    "a 500 with Retry-After": ((http(b"", "500 Broken", Retry_After="0"),) * 2, 500, []),
    "a 502": ((http(b"", "502 Bad Gateway"),) * 2, 502, []),
}


@pytest.mark.parametrize(("answers", "status", "attempts"), AGAIN.values(), ids=AGAIN)
def test_only_what_asks_for_it_is_tried_again(answers: tuple[bytes, ...], status: int, attempts: list[str]) -> None:
    """429, and 503 that says when, are tried again up to twice; any other answer is judged as it is."""
    exchange, server = exchanged(in_turn(*answers))
    assert exchange.response is not None
    assert exchange.response.status == status
    assert [attempt.result for attempt in exchange.attempts] == attempts
    assert len(server.received) == len(attempts) + 1


@pytest.mark.parametrize("creates", [False, True], ids=["reads", "creates"])
def test_a_refused_connection_is_tried_again_and_then_told(*, creates: bool) -> None:
    """Where nothing listens, three attempts fail to connect; nothing was sent that could have created something."""

    async def main() -> Exchange:
        async with serving(sends(http())) as server:
            url = server.url
        sender = a_sender(a_tenant(url, QUICK))
        exchange = await sender.send(a_request(url, creates=creates), "x1")
        await sender.close()
        return exchange

    exchange = asyncio.run(main())
    assert (exchange.response, exchange.failure) == (None, Failure.CONNECT)
    assert exchange.detail == "no connection (Connection refused)"
    assert [attempt.result for attempt in exchange.attempts] == [f"connect: {exchange.detail}"] * 2


@pytest.mark.parametrize(
    ("creates", "refused", "tries"),
    [(False, False, 3), (True, False, 1), (True, True, 3)],
    ids=["reads", "creates", "is-to-be-refused"],
)
def test_a_connection_closed_without_an_answer_is_tried_again_unless_it_creates(
    *, creates: bool, refused: bool, tries: int
) -> None:
    """What may have arrived and created something is not sent twice; what is to be refused creates nothing."""
    exchange, server = exchanged(closes_after(b""), creates=creates, refused=refused)
    assert (exchange.response, exchange.failure) == (None, Failure.CLOSED)
    assert exchange.detail == "the connection was closed without an answer"
    assert len(server.received) == len(exchange.attempts) + 1 == tries


def test_a_kept_connection_that_was_closed_is_replaced_whatever_is_sent() -> None:
    """A server may close what nobody uses, just as the next request comes: that one has not arrived."""

    async def close_at_the_second(server: Server, _: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(server.received) == 2:
            raise ConnectionResetError  # it is read, and not answered
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")

    async def main() -> tuple[list[Exchange], Server]:
        async with serving(close_at_the_second) as server:
            sender = a_sender(a_tenant(server.url, QUICK))
            try:
                sent = [await sender.send(a_request(server.url, creates=True), f"x{number}") for number in (1, 2)]
            finally:
                await sender.close()
            return sent, server

    sent, server = asyncio.run(main())
    assert [one.response and one.response.status for one in sent] == [200, 200]
    assert len(server.received) == 3


BUSY_FOR_NOW = http(b"", "429 Too Many Requests", Retry_After="2")


def asked_in_turn(busy: str, asked: Sequence[Mapping[str, str | None]], clock: FakeClock) -> list[Exchange]:
    """What comes of these requests, by path and key, where the tenant puts off what has that text in its head."""

    async def answer(server: Server, _: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(BUSY_FOR_NOW if busy.encode() in server.received[-1] else http())

    async def main() -> list[Exchange]:
        async with serving(answer) as server:
            sender = a_sender(a_tenant(server.url, replace(QUICK, requests_per_minute=60_000)), clock)
            requests = [
                a_request(server.url, url=f"{server.url}{one.get('path', '/v1/models')}", key=one.get("key", "chat"))
                for one in asked
            ]
            exchanges = [await sender.send(request, f"x{number}") for number, request in enumerate(requests)]
            await sender.close()
            return exchanges

    return asyncio.run(main())


def test_a_tenant_that_stays_busy_is_not_asked_again_for_ever() -> None:
    """After eight exchanges in a row that no further try helped, each is sent once."""
    exchanges = asked_in_turn("", [{"path": f"/v1/{number}s"} for number in range(10)], FakeClock())
    assert [len(one.attempts) for one in exchanges] == [*[2] * 8, 0, 0]


STUCK: dict[str, tuple[str, list[dict[str, str | None]]]] = {
    # what is in a request that is put off, and requests that have it
    "a route": ("/embeddings", [{"path": "/v1/embeddings"}] * 6),
    "by both addresses": ("/embeddings", [{"path": "/v1/embeddings"}, {"path": "/embeddings"}] * 3),
    "of any file": ("/files", [{"path": f"/v1/files/file-{number}{number}00a1b2c3d4e5f6"} for number in range(6)]),
    "for a key": ("Bearer", [{"path": "/v1/models"}] * 6),
}


@pytest.mark.parametrize(("busy", "asked"), STUCK.values(), ids=STUCK)
@pytest.mark.parametrize(("answered", "tries"), [(3, [2, 2, 2, 2, 0, 0]), (0, [2, 2, 2, 2, 2, 2])], ids=["one", "all"])
def test_what_stays_busy_while_others_are_answered_is_not_asked_again(
    busy: str, asked: list[dict[str, str | None]], answered: int, tries: list[int]
) -> None:
    """A route that is put off for ever is known as one where other things are answered meanwhile."""
    others: list[dict[str, str | None]] = [{"path": "/v1/models", "key": None}] * answered
    exchanges = asked_in_turn(busy, [one for each in asked for one in (each, *others)], FakeClock())
    assert [len(one.attempts) for one in exchanges if one.response and one.response.status == 429] == tries


def test_what_is_answered_again_is_tried_again() -> None:
    """Once a tenant gives an answer, it is asked as often as before."""

    async def main() -> list[int]:
        async with serving(in_turn(*[BUSY_ALWAYS] * 25, http(), BUSY_ALWAYS, http())) as server:
            sender = a_sender(a_tenant(server.url, QUICK))
            exchanges = [await sender.send(a_request(server.url), f"x{number}") for number in range(11)]
            await sender.close()
            return [len(exchange.attempts) for exchange in exchanges]

    assert asyncio.run(main()) == [*[2] * 8, 0, 0, 1]


def test_what_stays_busy_slows_nothing_else() -> None:
    """A route that answers nobody is no limit of the rate: once that is known, what is sent starts as before."""
    clock = FakeClock()
    busy: list[dict[str, str | None]] = [{"path": "/v1/embeddings"}]
    asked_in_turn("/embeddings", [*busy * 2, *[{}] * 8, *busy * 2, *[{}] * 20], clock)
    assert sum(clock.pauses[-20:]) < 0.1


LASTS: dict[str, tuple[float, float, bool, bool]] = {
    # the pause that the tenant asks for, how far apart the attempts are, and whether it is stuck and lost after twelve
    "longer than is asked for": (2.0, 1.0, True, True),
    "as long as is asked for": (60.0, 1.0, False, False),
    "less than any limit": (2.0, 0.5, True, False),
}


@pytest.mark.parametrize(("pause", "apart", "stuck", "lost"), LASTS.values(), ids=LASTS)
def test_what_is_put_off_is_known_by_how_long_it_lasts(pause: float, apart: float, *, stuck: bool, lost: bool) -> None:
    """A limit of the rate is waited for; an answer ends it at once."""
    patience = Patience()
    busy, other = (a_request("", url=f"http://tenant.test/v1/{name}") for name in ("embeddings", "models"))
    for number in range(12):
        patience.note(other, None, number * apart)
        patience.note(busy, pause, number * apart)
    assert (patience.is_stuck(busy), patience.is_lost(busy, 11 * apart)) == (stuck, lost)
    assert not patience.is_stuck(other)
    patience.note(busy, None, 12 * apart)
    assert not patience.is_stuck(busy)
    patience.note(busy, pause, 12 * apart)
    assert not patience.is_lost(busy, 12 * apart)
