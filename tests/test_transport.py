"""Requests over real sockets: bounded in time, size and number, tried again only where that is fair."""

import asyncio
import base64
import bisect
import gzip
import itertools
import math
import ssl
import tracemalloc
import zlib
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gt_conformance.errors import Blocked
from gt_conformance.exchange import Exchange, Failure, FilePart, Presentation
from gt_conformance.runner import HttpSender, SharedBudget
from gt_conformance.runner._reading import Decoder, TooLarge
from gt_conformance.runner._sender import Pace
from gt_conformance.tenant import Limits, Secret
from tests.clocks import FakeClock
from tests.fake_tenant import key, tenant_of
from tests.loopback_http import (
    QUICK,
    RETIRED,
    SECRET,
    Handler,
    Server,
    a_request,
    a_sender,
    a_tenant,
    closes_after,
    holds_after,
    http,
    in_turn,
    repeats,
    sends,
    serving,
)

CHUNKED = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"


def chunked(data: bytes) -> bytes:
    """The data as one chunk."""
    return b"%x\r\n%s\r\n" % (len(data), data)


def exchanged(
    handler: Handler, limits: Limits = QUICK, clock: FakeClock | None = None, **facts: Any
) -> tuple[Exchange, Server]:
    """What one request to such a server comes to."""

    async def main() -> tuple[Exchange, Server]:
        async with serving(handler) as server:
            sender = a_sender(a_tenant(server.url, limits), clock)
            try:
                exchange = await sender.send(a_request(server.url, **facts), "x1")
            finally:
                await sender.close()
            return exchange, server

    return asyncio.run(main())


# -- an answer


def test_an_answer_is_kept_as_it_came() -> None:
    """Status, headers in lower case, body and its arrival are kept, with nothing tried again."""
    exchange, server = exchanged(sends(http(b'{"a": 1}', "201 Created", X_Gt="1")))
    response = exchange.response
    assert response is not None
    assert (exchange.ref, exchange.failure, exchange.attempts) == ("x1", None, ())
    assert (response.status, response.body, response.complete, response.end) == (201, b'{"a": 1}', True, "complete")
    assert ("x-gt", "1") in response.headers
    assert sum(arrival.size for arrival in response.arrivals) == 8
    assert 0 <= response.arrivals[0].at_ms <= exchange.elapsed_ms
    assert len(server.received) == 1


def test_a_request_is_sent_as_it_is() -> None:
    """Method, path, headers and body go out as the check made them, asking for no compression."""
    request: dict[str, Any] = {
        "method": "POST",
        "headers": (("Content-Type", "application/json"), ("X-A", "1")),
        "body": b'{"a":1}',
    }
    _, server = exchanged(sends(http()), **request)
    head, _, body = server.received[0].partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    assert lines[0] == b"POST /api/tenant/v1/models HTTP/1.1"
    assert {b"Content-Type: application/json", b"X-A: 1", b"Accept-Encoding: identity"} <= set(lines)
    assert body == b'{"a":1}'


def test_a_form_is_sent_with_its_files() -> None:
    """Each part of a form goes out with its name, and a file with its file name and type."""
    parts = (FilePart("file", b"RIFF", "a.wav", "audio/wav"), FilePart("model", b"field-analyst"))
    _, server = exchanged(sends(http()), method="POST", parts=parts)
    sent = server.received[0]
    assert b'name="file"; filename="a.wav"\r\nContent-Type: audio/wav\r\n\r\nRIFF\r\n' in sent
    assert b'name="model"\r\n\r\nfield-analyst\r\n' in sent


PRESENTED: dict[str, tuple[Presentation, str | None, bytes | None]] = {
    "bearer": (Presentation.BEARER, "chat", f"Bearer {SECRET}".encode()),
    "a retired secret": (Presentation.BEARER, "chat.old", f"Bearer {RETIRED}".encode()),
    "no key": (Presentation.BEARER, None, None),
    "none": (Presentation.NONE, "chat", None),
    "without a scheme": (Presentation.WITHOUT_SCHEME, "chat", SECRET.encode()),
    "Basic": (Presentation.BASIC, "chat", b"Basic " + base64.b64encode(f"{SECRET}:".encode())),
    "after another scheme": (Presentation.OTHER_SCHEME, "chat", f"Token {SECRET}".encode()),
    "in the query": (Presentation.QUERY, "chat", None),
}


@pytest.mark.parametrize(("presentation", "name", "authorization"), PRESENTED.values(), ids=PRESENTED)
def test_a_key_is_presented_as_the_request_says(
    presentation: Presentation, name: str | None, authorization: bytes | None
) -> None:
    """The secret stands where the presentation puts it, and nowhere else."""
    exchange, server = exchanged(sends(http()), key=name, presentation=presentation)
    lines = server.received[0].split(b"\r\n")
    wanted = [] if authorization is None else [b"Authorization: " + authorization]
    assert [line for line in lines if line.lower().startswith(b"authorization:")] == wanted
    in_query = presentation is Presentation.QUERY
    assert (SECRET.encode() in lines[0]) is in_query
    assert SECRET not in repr(exchange)


def test_a_made_up_key_is_nobodys() -> None:
    """The key that does not exist looks like a key and is none of the tenant's."""
    _, server = exchanged(sends(http()), key=None, presentation=Presentation.MADE_UP)
    sent = server.received[0]
    assert b"Authorization: Bearer gtak_" in sent
    assert SECRET.encode() not in sent


def test_an_odd_secret_is_whole_in_the_query() -> None:
    """A secret with characters of its own in an address reaches the tenant whole."""
    odd = "p&ss#w%rd+1=2?"

    async def main() -> bytes:
        async with serving(sends(http())) as server:
            tenant = tenant_of(replace(key("chat"), secret=Secret(odd)), base_url=server.url, limits=QUICK)
            sender = a_sender(tenant)
            await sender.send(a_request(server.url, presentation=Presentation.QUERY), "x1")
            await sender.close()
            return server.received[0]

    whole = quote(odd, safe="")
    assert f"?api_key={whole}&key={whole}&access_token={whole} HTTP".encode() in asyncio.run(main())


def test_no_cookie_goes_from_one_key_to_another() -> None:
    """What a tenant sets for one request is not sent with the next: it may be another key's, or none's."""

    async def main() -> list[bytes]:
        async with serving(sends(http(Set_Cookie="session=1; Path=/"))) as server:
            sender = a_sender(a_tenant(server.url, QUICK))
            for name in ("chat", None):
                await sender.send(a_request(server.url, key=name), "x1")
            await sender.close()
            return server.received

    assert not [sent for sent in asyncio.run(main()) if b"cookie" in sent.lower()]


# -- where requests may go

ELSEWHERE = [
    "https://evil.example/v1/models",
    "http://127.0.0.1:1/v1/models",
    "http://127.0.0.1.evil.example/",
    "{url}@evil.example/",
]


@pytest.mark.parametrize("url", ELSEWHERE)
def test_no_request_leaves_the_tenants_origin(url: str) -> None:
    """A request to another host, port or scheme is refused before anything is sent."""

    async def main() -> None:
        async with serving(sends(http())) as server:
            sender = a_sender(a_tenant(server.url, QUICK))
            origin = server.url.removesuffix("/api/tenant")
            try:
                for target in (url.format(url=origin), origin.replace("http:", "https:")):
                    with pytest.raises(ValueError, match="leaves the tenant's host"):
                        await sender.send(a_request("", url=target), "x1")
            finally:
                await sender.close()
            assert not server.received

    asyncio.run(main())


def test_a_redirect_is_not_followed() -> None:
    """A redirect is the answer; the address that it names is not called, the same host's neither."""

    async def main() -> tuple[Exchange, list[bytes], list[bytes]]:
        async with (
            serving(sends(http())) as other,
            serving(sends(http(b"", "307 Temporary Redirect", Location=f"{other.url}/v1/models"))) as server,
        ):
            sender = a_sender(a_tenant(server.url, QUICK))
            exchange = await sender.send(a_request(server.url), "x1")
            await sender.close()
            return exchange, server.received, other.received

    exchange, received, elsewhere = asyncio.run(main())
    assert exchange.response is not None
    assert exchange.response.status == 307
    assert (len(received), len(elsewhere)) == (1, 0)


@pytest.mark.parametrize("location", ["http://[", "https://:99999999/", "\t"], ids=["no host", "no port", "blank"])
def test_a_redirect_to_nowhere_is_an_answer_too(location: str) -> None:
    """A redirect whose address is no address is kept as the answer that it is."""
    exchange, _ = exchanged(sends(http(b"", "302 Found", Location=location)))
    assert exchange.response is not None
    assert exchange.response.status == 302


# -- tried again

BUSY_ALWAYS = http(b"", "429 Too Many Requests")
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


def test_a_tenant_that_stays_busy_is_not_asked_again_for_ever() -> None:
    """After eight exchanges in a row that no further try helped, each is sent once, until one is answered at once."""

    async def main() -> list[int]:
        async with serving(in_turn(*[BUSY_ALWAYS] * 25, http(), BUSY_ALWAYS, http())) as server:
            sender = a_sender(a_tenant(server.url, QUICK))
            exchanges = [await sender.send(a_request(server.url), f"x{number}") for number in range(11)]
            await sender.close()
            return [len(exchange.attempts) for exchange in exchanges]

    assert asyncio.run(main()) == [*[2] * 8, 0, 0, 1]


def test_what_is_no_http_is_said_so() -> None:
    """A server of another protocol is told apart from one that is down, and not tried again."""
    exchange, server = exchanged(sends(b"220 mail.example ESMTP\r\n\r\n"))
    assert (exchange.failure, exchange.detail) == (Failure.PROTOCOL, "what came back is not HTTP")
    assert "does not speak HTTP as expected" in exchange.remedy
    assert len(server.received) == 1


def test_plain_http_where_tls_is_expected_is_said_so() -> None:
    """A server that does not speak TLS at an https address is a failure of TLS, not tried again."""

    async def main() -> Exchange:
        async with serving(sends(http()), greeting=http(b"", "400 Bad Request")) as server:
            url = server.url.replace("http:", "https:")
            sender = a_sender(a_tenant(url, QUICK))
            exchange = await sender.send(a_request(url), "x1")
            await sender.close()
            return exchange

    exchange = asyncio.run(main())
    assert exchange.failure is Failure.TLS
    assert exchange.detail == "what answers does not speak TLS (WRONG_VERSION_NUMBER)"
    assert exchange.attempts == ()


CERTIFICATE = Path(__file__).with_name("loopback.pem")


def exchanged_over_tls(ca_file: str | None) -> Exchange:
    """What a request to a server comes to whose certificate is signed by nobody but itself."""
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(CERTIFICATE)

    async def main() -> Exchange:
        async with serving(sends(http()), tls=tls) as server:
            sender = a_sender(replace(a_tenant(server.url, QUICK), ca_file=ca_file))
            exchange = await sender.send(a_request(server.url), "x1")
            await sender.close()
            return exchange

    return asyncio.run(main())


def test_a_certificate_of_an_unknown_authority_is_refused() -> None:
    """Certificates are checked: a host whose certificate is signed by nobody known gets no key."""
    exchange = exchanged_over_tls(None)
    assert (exchange.response, exchange.failure) == (None, Failure.TLS)
    assert exchange.detail == (
        "the tenant's certificate comes from an authority that is not trusted here (self-signed certificate)"
    )
    assert "ca_file" in exchange.remedy


def test_a_private_authority_is_taken_from_the_tenant_file() -> None:
    """The bundle that the tenant file names is trusted for the tenant."""
    exchange = exchanged_over_tls(str(CERTIFICATE))
    assert exchange.response is not None
    assert exchange.response.status == 200


# -- bounds


def ended(handler: Handler, limits: Limits = QUICK) -> tuple[bytes, str]:
    """The body of an answer that did not come to its end, and how it ended."""
    exchange, _ = exchanged(handler, limits)
    response = exchange.response
    assert response is not None
    assert not response.complete
    assert exchange.attempts == ()
    return response.body, response.end


def test_a_body_cut_short_is_not_complete() -> None:
    """A connection that ends before the length that was promised leaves what came, and says that it ended."""
    body, end = ended(closes_after(http(b"{}", content_length="100")))
    assert body == b"{}"
    assert end.startswith("the connection ended before the body did")


def test_a_stream_cut_short_is_not_complete() -> None:
    """A chunked body without its last chunk leaves what came."""
    body, end = ended(closes_after(CHUNKED + chunked(b"data: 1\n\n")))
    assert body == b"data: 1\n\n"
    assert end.startswith("the connection ended before the body did")


TOO_LARGE = "the body exceeds 65536 bytes (limits.max_response_bytes)"
PLAIN_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\n\r\n"
GZIP_HEAD = b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\n\r\n"
EMPTY_BLOCK = zlib.compressobj(wbits=31)
ENDLESS: dict[str, Handler] = {
    "a body": repeats(PLAIN_HEAD, b"x" * 4_096),
    "a line of a stream": repeats(CHUNKED, chunked(b"x" * 4_096)),
    "what follows a gzip body": repeats(GZIP_HEAD + gzip.compress(b"{}"), b"x" * 4_096),
    "a gzip body of nothing": repeats(
        GZIP_HEAD + EMPTY_BLOCK.compress(b"") + EMPTY_BLOCK.flush(zlib.Z_FULL_FLUSH), b"\x00\x00\x00\xff\xff" * 800
    ),
}


@pytest.mark.parametrize("handler", ENDLESS.values(), ids=ENDLESS)
def test_a_body_without_end_is_not_read_on(handler: Handler) -> None:
    """However a body goes on for ever, no more of it is read than the limit."""
    body, end = ended(handler)
    assert end == TOO_LARGE
    assert len(body) <= QUICK.max_response_bytes


@pytest.mark.parametrize("line", [b"data:\n\n", b"data\n", b":\n\n"], ids=["events", "lines", "comments"])
def test_a_stream_of_too_many_lines_is_not_read_on(line: bytes) -> None:
    """However little a line holds, so many of them that reading them fills the memory are not read."""
    exchange, _ = exchanged(repeats(CHUNKED, chunked(line * 5_000)), replace(QUICK, max_response_bytes=1_000_000))
    assert exchange.response is not None
    assert exchange.response.end == "the stream has more than 40000 lines"
    assert len(exchange.response.events) <= 40_000 // line.count(b"\n")


def test_a_body_of_tiny_packets_has_few_arrivals() -> None:
    """A byte a packet does not make an entry for each byte: what came in one moment is one arrival."""

    async def drips(_: Server, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        del reader
        writer.write(http(b"x" * 2_000)[:-2_000])
        for __ in range(2_000):
            writer.write(b"x")
            await asyncio.sleep(0)

    exchange, _ = exchanged(drips)
    assert exchange.response is not None
    arrivals = exchange.response.arrivals
    assert sum(arrival.size for arrival in arrivals) == 2_000
    assert all(later.at_ms - earlier.at_ms >= 1 for earlier, later in itertools.pairwise(arrivals))


@pytest.mark.parametrize("encoding", ["gzip", "X-Gzip", "deflate"])
def test_a_small_body_does_not_unpack_to_fill_the_memory(encoding: str) -> None:
    """A compressed body is unpacked up to the limit, however little of it came."""
    bomb = (zlib.compress if encoding == "deflate" else gzip.compress)(bytes(20_000_000))
    body, end = ended(sends(http(bomb, Content_Encoding=encoding)))
    assert end == TOO_LARGE
    assert len(body) <= QUICK.max_response_bytes


def test_nothing_is_unpacked_beyond_the_limit() -> None:
    """Unpacking itself stops at the limit, not only what is kept of it."""
    bomb = gzip.compress(bytes(20_000_000))
    tracemalloc.start()
    try:
        with pytest.raises(TooLarge):
            Decoder("gzip", 1_024).decode(bomb)
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
def test_a_compressed_body_is_read(encoding: str) -> None:
    """A tenant that compresses though it was not asked to is read all the same."""
    packed = (zlib.compress if encoding == "deflate" else gzip.compress)(b'{"a": 1}')
    exchange, _ = exchanged(sends(http(packed, Content_Encoding=encoding)))
    assert exchange.response is not None
    assert exchange.response.json() == {"a": 1}


def test_a_body_that_is_not_compressed_as_it_says_is_told_so() -> None:
    """A body that calls itself gzip and is none ends the reading with that reason."""
    _, end = ended(sends(http(b"{}", Content_Encoding="gzip")))
    assert end == "the body is not compressed as its content-encoding says"


def test_a_body_of_exactly_the_limit_is_complete() -> None:
    """The limit itself is not too large."""
    exchange, _ = exchanged(sends(http(b"x" * QUICK.max_response_bytes)))
    assert exchange.response is not None
    assert exchange.response.complete


def test_headers_are_bounded() -> None:
    """No more than 64 KiB of headers are kept."""
    many: dict[str, Any] = {f"X-{number}": "v" * 1_000 for number in range(90)}
    exchange, _ = exchanged(sends(http(**many)))
    assert exchange.response is not None
    assert sum(len(name) + len(value) for name, value in exchange.response.headers) <= 64 * 1024


HALF_A_SECOND = Limits(timeout_s=0.5)


def test_a_slow_body_is_given_up_in_time() -> None:
    """A body that does not end in time leaves what came, and says how long was waited."""
    body, end = ended(holds_after(http(b"{", content_length="2")), HALF_A_SECOND)
    assert body == b"{"
    assert end == "the answer was not complete after 0.5 s (limits.timeout_s)"


def test_an_answer_that_never_comes_is_given_up_in_time() -> None:
    """Where nothing comes in time, that is a failure, not tried again."""
    exchange, server = exchanged(holds_after(b""), HALF_A_SECOND)
    assert (exchange.response, exchange.failure) == (None, Failure.TIMEOUT)
    assert "raise limits.timeout_s" in exchange.remedy
    assert exchange.detail == "nothing came within 0.5 s (limits.timeout_s)"
    assert len(server.received) == 1
    assert exchange.elapsed_ms >= 500


def test_a_stream_is_left_two_seconds_after_its_end() -> None:
    """A connection that stays open after [DONE] is waited for two seconds, and not for the whole timeout."""
    exchange, _ = exchanged(holds_after(CHUNKED + chunked(b"data: 1\n\ndata: [DO") + chunked(b"NE]\n\n")), Limits())
    response = exchange.response
    assert response is not None
    assert not response.complete
    assert response.end == "the connection was still open 2 s after [DONE]"
    assert 2_000 <= exchange.elapsed_ms < 1_000 * Limits().timeout_s


def test_a_stream_that_ends_after_its_end_is_complete() -> None:
    """A connection that ends with [DONE] is complete, and timed packet by packet."""
    exchange, _ = exchanged(sends(CHUNKED + chunked(b"data: 1\n\n") + chunked(b"data: [DONE]\n\n") + b"0\r\n\r\n"))
    response = exchange.response
    assert response is not None
    assert response.complete
    assert [event.data for event in response.events] == ["1", "[DONE]"]


def test_the_number_of_requests_is_bounded() -> None:
    """Past max_requests nothing is sent, and the check is blocked with what to raise."""

    async def main() -> tuple[Blocked, int]:
        async with serving(sends(http())) as server:
            sender = a_sender(a_tenant(server.url, Limits(max_requests=2)))
            for ref in ("x1", "x2"):
                await sender.send(a_request(server.url), ref)
            with pytest.raises(Blocked) as caught:
                await sender.send(a_request(server.url), "x3")
            await sender.close()
            return caught.value, len(server.received)

    blocked, received = asyncio.run(main())
    assert received == 2
    assert blocked.reason == "the run's limit of 2 requests was reached"
    assert blocked.remedy == "Raise limits.max_requests in the tenant file, or select fewer runbooks."


def test_the_number_of_refused_requests_is_bounded() -> None:
    """Past max_refusals nothing is sent that is to be refused, whatever else was refused; the rest goes on."""

    async def main() -> tuple[Blocked, int]:
        async with serving(sends(http(status="403 Forbidden"))) as server:
            sender = a_sender(a_tenant(server.url, Limits(max_refusals=2)))
            request = a_request(server.url)
            await sender.send(request, "x1")
            await sender.send(replace(request, refused=True), "x2")
            with pytest.raises(Blocked) as caught:
                await sender.send(replace(request, refused=True), "x3")
            await sender.send(request, "x4")
            await sender.close()
            return caught.value, len(server.received)

    blocked, received = asyncio.run(main())
    assert received == 3
    assert blocked.reason == "the run's limit of 2 refused requests was reached (limits.max_refusals)"
    assert "Raise limits.max_refusals" in blocked.remedy


def test_what_is_sent_to_be_refused_is_paced_alone() -> None:
    """Refusals start evenly at their own rate; other requests do not wait for them."""

    async def main(*, refused: bool) -> float:
        async with serving(sends(http(status="403 Forbidden"))) as server:
            clock = FakeClock()
            sender = a_sender(a_tenant(server.url, Limits(refusals_per_minute=6)), clock)
            started = clock.time
            for number in range(4):
                await sender.send(replace(a_request(server.url), refused=refused), f"x{number}")
            await sender.close()
            return clock.time - started

    assert asyncio.run(main(refused=True)) >= 30
    assert asyncio.run(main(refused=False)) < 1


def test_what_is_sent_to_be_refused_gives_way() -> None:
    """Where all slots are taken, requests that others wait for go before those that are sent to be refused."""

    async def main() -> list[str]:
        ended: list[str] = []
        async with serving(sends(http())) as server:
            sender = a_sender(a_tenant(server.url, Limits(concurrency=1)))

            async def send(ref: str, *, refused: bool) -> None:
                await sender.send(replace(a_request(server.url), refused=refused), ref)
                ended.append(ref)

            async with anyio.create_task_group() as group:
                for ref, refused in (("first", False), ("refused", True), ("second", False), ("third", False)):
                    group.start_soon(partial(send, ref, refused=refused))
            await sender.close()
        return ended

    assert asyncio.run(main()) == ["first", "second", "third", "refused"]


def test_what_is_sent_to_be_refused_has_some_of_the_slots() -> None:
    """Of several slots a part is for refusals, so that what is asked after them does not come when all is over."""

    async def main() -> list[str]:
        ended: list[str] = []
        async with serving(sends(http())) as server:
            sender = a_sender(a_tenant(server.url, Limits(concurrency=3)))

            async def send(ref: str) -> None:
                await sender.send(replace(a_request(server.url), refused=ref.startswith("refused")), ref)
                ended.append(ref)

            async with anyio.create_task_group() as group:
                for ref in [
                    *(f"early {n}" for n in range(3)),
                    "refused 1",
                    *(f"late {n}" for n in range(9)),
                    "refused 2",
                ]:
                    group.start_soon(send, ref)
            await sender.close()
        return ended

    ended = asyncio.run(main())
    assert ended.index("refused 1") < ended.index("late 3")


def test_the_answers_of_a_run_are_bounded_together() -> None:
    """Past max_run_bytes nothing is kept nor sent, however small each answer is; the check is blocked."""

    async def main() -> tuple[list[Blocked], int]:
        async with serving(sends(http(b"x" * 600))) as server:
            sender = a_sender(a_tenant(server.url, Limits(max_run_bytes=1_024)))
            await sender.send(a_request(server.url), "x1")
            blocks = []
            for ref in ("x2", "x3"):
                with pytest.raises(Blocked) as caught:
                    await sender.send(a_request(server.url), ref)
                blocks.append(caught.value)
            await sender.close()
            return blocks, len(server.received)

    blocks, received = asyncio.run(main())
    assert received == 2
    assert {block.reason for block in blocks} == {
        "the answers of this run exceed 1024 bytes in all (limits.max_run_bytes)"
    }
    assert all("raise limits.max_run_bytes" in block.remedy for block in blocks)


def starts_of(per_minute: int, waits: list[float], stall: float = 0.0) -> list[float]:
    """When requests start that ask one after the other, each so long after the last; ``stall``: how late each wakes."""
    pace, now, starts = Pace(per_minute), 50.0, []
    for wait in waits:
        now += wait
        while (pause := pace.wait(now)) > 0:
            now += pause + stall
        pace.start(now)
        starts.append(now)
    return starts


def fullest(starts: list[float], seconds: float) -> int:
    """The most starts in any window of so many seconds."""
    return max(bisect.bisect_left(starts, start + seconds) - index for index, start in enumerate(starts))


@given(
    per_minute=st.integers(1, 400),
    waits=st.lists(st.sampled_from([0.0, 0.0, 0.01, 0.4, 7.0, 59.0, 61.0, 300.0]), min_size=1, max_size=900),
    stall=st.sampled_from([0.0, 0.0, 0.003, 2.5, 30.0]),
)
def test_no_minute_holds_more_requests_than_the_limit(per_minute: int, waits: list[float], stall: float) -> None:
    """However requests arrive, and however late this machine wakes, no 60 seconds hold more than the limit."""
    starts = starts_of(per_minute, waits, stall)
    assert fullest(starts, 60) <= per_minute
    for seconds in (1, 5, 10, 30):
        # What a gateway sees that counts shorter windows: their share of the minute, and the one on the edge.
        assert fullest(starts, seconds) <= math.ceil(per_minute * seconds / 60)


@pytest.mark.parametrize(
    ("per_minute", "requests", "seconds"), [(300, 1, 0), (300, 40, 7.9), (300, 250, 50.6), (600, 300, 30.4)]
)
def test_pacing_takes_no_longer_than_it_must(per_minute: int, requests: int, seconds: float) -> None:
    """A run takes what even spacing needs."""
    starts = starts_of(per_minute, [0.0] * requests)
    assert starts[-1] - starts[0] == pytest.approx(seconds, abs=0.2)


def test_requests_and_retries_wait_for_their_turn() -> None:
    """Requests start by the pace, and each retry counts as one."""
    clock = FakeClock()
    sent: list[float] = []

    async def answers(_: Server, __: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        sent.append(clock.time)
        writer.write(http(b"", "429 Busy", Retry_After="0") if len(sent) % 2 else http())

    async def main() -> None:
        async with serving(answers) as server:
            sender = a_sender(a_tenant(server.url, Limits(requests_per_minute=10, concurrency=1)), clock)
            for number in range(12):
                await sender.send(a_request(server.url), f"x{number}")
            await sender.close()

    asyncio.run(main())
    assert len(sent) == 24
    assert fullest(sent, 60) == 10


@pytest.mark.parametrize(("per_minute", "concurrency"), [(10, 1), (12_000, 2)])
def test_senders_behind_one_gateway_share_its_budget(per_minute: int, concurrency: int) -> None:
    """Two tenants together start no more requests a minute, and have no more under way, than their gateway allows."""
    clock = FakeClock()
    starts: list[float] = []
    under_way: list[int] = [0]

    async def answers(_: Server, __: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        starts.append(clock.time)
        under_way.append(under_way[-1] + 1)
        await asyncio.sleep(0.001)
        under_way.append(under_way[-1] - 1)
        writer.write(http())

    async def main() -> None:
        async with serving(answers) as one, serving(answers) as other:
            shared = SharedBudget(per_minute, concurrency)

            async def send(server: Server) -> None:
                sender = HttpSender(a_tenant(server.url, Limits()), environment={}, clock=clock.clock, shared=shared)
                async with anyio.create_task_group() as group:
                    for number in range(12):
                        group.start_soon(sender.send, a_request(server.url), f"x{number}")
                await sender.close()

            async with anyio.create_task_group() as group:
                group.start_soon(send, one)
                group.start_soon(send, other)

    asyncio.run(main())
    assert len(starts) == 24
    assert fullest(starts, 60) <= per_minute
    assert max(under_way) == concurrency


def test_tries_count_as_requests() -> None:
    """A request that is tried again counts as often as it was sent."""

    async def main() -> int:
        async with serving(sends(BUSY_ALWAYS)) as server:
            sender = a_sender(a_tenant(server.url, Limits(max_requests=2)))
            with pytest.raises(Blocked):
                await sender.send(a_request(server.url), "x1")
            await sender.close()
            return len(server.received)

    assert asyncio.run(main()) == 2


def test_requests_under_way_are_bounded() -> None:
    """No more requests are under way at once than limits.concurrency."""
    full = asyncio.Event()

    async def together(server: Server, _: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # Answered only once as many are under way as may be: fewer would leave the test to its timeout.
        if server.busiest == 3:
            full.set()
        await full.wait()
        writer.write(http())

    async def main() -> int:
        async with serving(together) as server:
            sender = a_sender(a_tenant(server.url, Limits(concurrency=3, timeout_s=5)))
            await asyncio.gather(*(sender.send(a_request(server.url), f"x{number}") for number in range(9)))
            await sender.close()
            assert len(server.received) == 9
            return server.busiest

    assert asyncio.run(main()) == 3


def test_a_proxy_of_the_environment_never_sees_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy that the environment names stands before no tenant on this machine."""
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    exchange, server = exchanged(sends(http()))
    assert exchange.response is not None
    assert urlsplit(server.url).hostname == "127.0.0.1"
