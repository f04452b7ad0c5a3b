"""Requests over real sockets: what is sent and received, where requests may go, and what an answer may take."""

import asyncio
import base64
import gzip
import itertools
import ssl
import tracemalloc
import zlib
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import pytest

from gt_conformance.exchange import Exchange, Failure, FilePart, Presentation
from gt_conformance.runner._reading import Decoder, TooLarge
from gt_conformance.tenant import Limits, Secret
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
    repeats,
    sends,
    serving,
)
from tests.one_exchange import ended, exchanged

CHUNKED = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"


def chunked(data: bytes) -> bytes:
    """The data as one chunk."""
    return b"%x\r\n%s\r\n" % (len(data), data)


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


def test_a_proxy_of_the_environment_never_sees_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy that the environment names stands before no tenant on this machine."""
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    exchange, server = exchanged(sends(http()))
    assert exchange.response is not None
    assert urlsplit(server.url).hostname == "127.0.0.1"
