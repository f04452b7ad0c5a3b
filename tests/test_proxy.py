"""The recording proxy: bytes pass unchanged both ways, an end on one side is one on the other, keys are stand-ins."""

import contextlib
import hashlib
import http.client
import json
import socket
import ssl
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
import trustme

from gt_conformance.errors import InputError
from gt_conformance.exchange import Failure, Presentation, Redactor, as_record
from gt_conformance.proxy import ProxiedExchange, RecordingProxy
from gt_conformance.tenant import Tenant, TenantKind, from_mapping
from tests.loopback_http import listening, over_tls

SECRET = "gtak_the-real-key-of-this-run-0123456789"
DEADLINE_S = 10.0
MEGABYTE = 1 << 20

Handler = Callable[[socket.socket], None]


@dataclass
class Upstream:
    """A tenant of scripted bytes: ``handle`` is given the connection once a head was read."""

    handle: Handler
    heads: list[bytes] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    hung_up: threading.Event = field(default_factory=threading.Event)

    def serve(self, listener: socket.socket) -> None:
        """Serve one connection after the other, until the listener is closed."""
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listener.accept()
                with connection, contextlib.suppress(OSError):
                    connection.settimeout(DEADLINE_S)
                    head = b""
                    while b"\r\n\r\n" not in head:
                        piece = connection.recv(1)
                        if not piece:
                            break
                        head += piece
                    if head:
                        self.heads.append(head)
                        self.handle(connection)


@contextlib.contextmanager
def proxied(handle: Handler, **more: Any) -> Iterator[tuple[Upstream, RecordingProxy]]:
    """A scripted tenant with the proxy before it; ``more`` goes into the tenant file."""
    upstream = Upstream(handle)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=upstream.serve, args=(listener,), daemon=True)
        thread.start()
        with RecordingProxy(tenant(listener.getsockname()[1], **more)) as proxy:
            yield upstream, proxy
        listener.shutdown(socket.SHUT_RDWR)
    thread.join(DEADLINE_S)


def tenant(port: int, **more: Any) -> Tenant:
    """A tenant file of that address with one key."""
    document: dict[str, Any] = {
        "base_url": f"http://127.0.0.1:{port}/api/tenant",
        "models": {"chat": "field-analyst"},
        "keys": {"chat": {"secret_env": "KEY", "scopes": ["inference:chat"]}},
    }
    return from_mapping(document | more, {"KEY": SECRET}, kind=TenantKind.LIVE, name="a scripted tenant")


def connected(proxy: RecordingProxy) -> socket.socket:
    """A client's connection to the proxy."""
    port = int(proxy.origin.rpartition(":")[2])
    return socket.create_connection(("127.0.0.1", port), timeout=DEADLINE_S)


def request(proxy: RecordingProxy, method: str, path: str, *headers: str, key: bool = True) -> bytes:
    """The head of a request as a client sends it."""
    lines = [f"{method} /api/tenant{path} HTTP/1.1", f"Host: {proxy.origin.rpartition('/')[2]}", *headers]
    lines += [f"Authorization: Bearer {proxy.stand_in('chat')}"] if key else []
    return "\r\n".join([*lines, "", ""]).encode()


def everything(connection: socket.socket) -> bytes:
    """What comes until the other side hangs up."""
    data = b""
    while piece := connection.recv(65_536):
        data += piece
    return data


def body_of(answer: bytes) -> bytes:
    """The body of an answer that may be chunked."""
    head, _, body = answer.partition(b"\r\n\r\n")
    if b"transfer-encoding: chunked" not in head.lower():
        return body
    whole = b""
    while body:
        size, _, body = body.partition(b"\r\n")
        length = int(size, 16)
        whole, body = whole + body[:length], body[length + 2 :]
    return whole


def passed(proxy: RecordingProxy, count: int = 1) -> list[ProxiedExchange]:
    """What has passed, once there are so many."""
    deadline = time.monotonic() + DEADLINE_S
    while len(proxy.exchanges) < count and time.monotonic() < deadline:
        time.sleep(0.01)
    assert len(proxy.exchanges) == count
    return list(proxy.exchanges)


def answering(text: bytes) -> Handler:
    """Answers with these bytes, and hangs up."""
    return lambda connection: connection.sendall(text)


STREAM = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\nX-Own: yes\r\n\r\n"
    b'10\r\ndata: {"a": 1}\n\n\r\n7\r\n: \xe2\x82\xac\n\n\r\n0\r\n\r\n'
)
STREAMED = b'data: {"a": 1}\n\n: \xe2\x82\xac\n\n'


def test_a_stream_passes_unchanged_and_its_headers_with_it() -> None:
    """Events arrive byte for byte, with the tenant's own headers and none of the proxy's."""
    with proxied(answering(STREAM)) as (_, proxy), connected(proxy) as client:
        client.sendall(request(proxy, "GET", "/v1/models", "Connection: close"))
        answer = everything(client)
        assert body_of(answer) == STREAMED
        names = {line.partition(b":")[0].lower() for line in answer.partition(b"\r\n\r\n")[0].split(b"\r\n")[1:]}
        assert names == {b"content-type", b"transfer-encoding", b"x-own", b"connection"}
        response = passed(proxy)[0].exchange.response
        assert response is not None
        assert (response.body, response.complete) == (STREAMED, True)


def test_what_the_client_sends_reaches_the_tenant_as_it_is() -> None:
    """Path, query, headers and body are the client's own; only the host and the key are put in."""

    def handle(connection: socket.socket) -> None:
        upstream.bodies.append(connection.recv(65_536))
        connection.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")

    with proxied(handle) as (upstream, proxy), connected(proxy) as client:
        own = ("User-Agent: Some/1", "X-Stainless-Lang: python", "Content-Length: 4", "Connection: close")
        client.sendall(request(proxy, "POST", "/chat%2Fx/completions?a=%20b", *own) + b"\x00\xff{}")
        everything(client)
        lines = upstream.heads[0].decode().split("\r\n")
        assert lines[0] == "POST /api/tenant/chat%2Fx/completions?a=%20b HTTP/1.1"
        assert {line.lower() for line in lines[1:] if line} == {
            f"host: 127.0.0.1:{proxy._tenant.base_url.split(':')[2].split('/')[0]}",  # noqa: SLF001 - its address
            "user-agent: some/1",
            "x-stainless-lang: python",
            "content-length: 4",
            f"authorization: bearer {SECRET}".lower(),
        }
        assert upstream.bodies == [b"\x00\xff{}"]


def test_a_chunked_upload_stays_chunked_and_is_not_waited_for() -> None:
    """The tenant gets the first piece while the client still holds back the second."""
    first = threading.Event()

    def handle(connection: socket.socket) -> None:
        upstream.bodies.append(connection.recv(65_536))
        first.set()
        upstream.bodies.append(connection.recv(65_536))
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")

    with proxied(handle) as (upstream, proxy), connected(proxy) as client:
        client.sendall(request(proxy, "POST", "/v1/audio", "Transfer-Encoding: chunked", "Connection: close"))
        client.sendall(b"3\r\none\r\n")
        assert first.wait(DEADLINE_S)
        client.sendall(b"3\r\ntwo\r\n0\r\n\r\n")
        assert everything(client).endswith(b"{}")
        assert b"transfer-encoding: chunked" in upstream.heads[0].lower()
        assert b"".join(upstream.bodies).replace(b"\r\n", b"").startswith(b"3one3two")


def test_a_form_is_recorded_by_its_parts() -> None:
    """A multipart upload passes as it is, and the record names its file rather than showing its bytes."""
    form = (
        b'--mark\r\nContent-Disposition: form-data; name="model"\r\n\r\nalias\r\n'
        b'--mark\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\nContent-Type: audio/wav\r\n\r\n'
        b"RIFF\x00\x01\r\n--mark--\r\n"
    )

    def handle(connection: socket.socket) -> None:
        upstream.bodies.append(connection.recv(65_536))
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    with proxied(handle) as (upstream, proxy), connected(proxy) as client:
        head = ("Content-Type: multipart/form-data; boundary=mark", f"Content-Length: {len(form)}", "Connection: close")
        client.sendall(request(proxy, "POST", "/v1/audio/transcriptions", *head) + form)
        everything(client)
        assert upstream.bodies == [form]
        record = as_record(passed(proxy)[0].exchange, Redactor({"chat": SECRET}))
        assert record["request"]["body"]["text"] == "model: alias\nfile: file a.wav (6 bytes, audio/wav)"


def test_fifty_megabytes_pass_in_constant_memory() -> None:
    """An upload of 50 MB takes a fraction of that in memory, arrives whole, and is recorded shortened."""
    size = 50 * MEGABYTE
    digest = hashlib.sha256()

    def handle(connection: socket.socket) -> None:
        left = size
        while left:
            piece = connection.recv(65_536)
            digest.update(piece)
            left -= len(piece)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")

    with proxied(handle) as (_, proxy), connected(proxy) as client:
        tracemalloc.start()
        client.sendall(request(proxy, "POST", "/v1/datasets/a/files", f"Content-Length: {size}", "Connection: close"))
        piece = bytes(range(256)) * 4096
        sent = hashlib.sha256()
        for _ in range(50):
            client.sendall(piece)
            sent.update(piece)
        assert everything(client).endswith(b"{}")
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert digest.hexdigest() == sent.hexdigest()
        assert most < 10 * MEGABYTE
        recorded = passed(proxy)[0].exchange.request
        assert recorded.size == size
        assert len(recorded.body) < MEGABYTE
        shown = as_record(passed(proxy)[0].exchange, Redactor({}))["request"]["body"]
        assert (shown["bytes"], shown["text"].endswith(f"[{size} bytes in all]")) == (size, True)


def test_a_slow_reader_slows_the_tenant_down() -> None:
    """What the client does not read is not piled up: the tenant cannot send far ahead."""
    sent = 0

    def handle(connection: socket.socket) -> None:
        nonlocal sent
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (64 * MEGABYTE))
        connection.settimeout(0.5)
        with contextlib.suppress(TimeoutError):
            while sent < 64 * MEGABYTE:
                sent += connection.send(bytes(65_536))
        upstream.hung_up.set()

    with proxied(handle) as (upstream, proxy), connected(proxy) as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
        client.sendall(request(proxy, "GET", "/v1/models"))
        client.recv(1024)
        assert upstream.hung_up.wait(DEADLINE_S)
        assert sent < 32 * MEGABYTE


def test_a_client_that_hangs_up_ends_the_request_upstream() -> None:
    """The tenant sees the connection close while it still streams, and the record says why."""

    def handle(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n")
        if connection.recv(1) == b"":
            upstream.hung_up.set()

    with proxied(handle) as (upstream, proxy):
        with connected(proxy) as client:
            client.sendall(request(proxy, "GET", "/v1/models"))
            while b"one" not in client.recv(1024):
                pass
        assert upstream.hung_up.wait(DEADLINE_S)
        response = passed(proxy)[0].exchange.response
        assert response is not None
        assert (response.complete, response.end) == (False, "the client closed the connection")


def test_an_answer_that_breaks_off_breaks_off_for_the_client() -> None:
    """Half an answer is no whole one on the other side: the client's connection ends without the last chunk."""
    half = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n"
    with proxied(answering(half)) as (_, proxy), connected(proxy) as client:
        client.sendall(request(proxy, "GET", "/v1/models"))
        answer = everything(client)
        assert answer.endswith(b"3\r\none\r\n")
        response = passed(proxy)[0].exchange.response
        assert response is not None
        assert not response.complete


def test_a_redirect_is_the_clients_own_business() -> None:
    """It is passed on, never followed: the key stays with the tenant."""
    answer = b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:9/else\r\nContent-Length: 0\r\n\r\n"
    with proxied(answering(answer)) as (upstream, proxy), connected(proxy) as client:
        client.sendall(request(proxy, "GET", "/v1/models", "Connection: close"))
        assert everything(client).startswith(b"HTTP/1.1 302")
        assert len(upstream.heads) == 1


@pytest.mark.parametrize("shown", ["Bearer gtak_somebody-elses-key", "Basic dXNlcjpwYXNz", f"Bearer {SECRET}"])
def test_a_foreign_key_is_refused_by_the_proxy(shown: str) -> None:
    """Even the real key is foreign to a client, which is given a stand-in: nothing reaches the tenant."""
    with proxied(answering(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")) as (upstream, proxy):
        with connected(proxy) as client:
            client.sendall(
                request(proxy, "GET", "/v1/models", f"Authorization: {shown}", "Connection: close", key=False)
            )
            answer = everything(client)
        assert answer.startswith(b"HTTP/1.1 401")
        assert "no other" in json.loads(body_of(answer))["error"]["message"]
        assert upstream.heads == []
        passage = passed(proxy)[0]
        assert (passage.answered_here, passage.exchange.request.presentation) == (True, Presentation.MADE_UP)


def test_a_request_without_a_key_passes_without_one() -> None:
    """A client's discovery may show no key; the proxy adds none."""
    with proxied(answering(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n")) as (upstream, proxy):
        with connected(proxy) as client:
            client.sendall(request(proxy, "GET", "/props", "Connection: close", key=False))
            everything(client)
        assert b"authorization" not in upstream.heads[0].lower()
        assert passed(proxy)[0].exchange.request.key is None


def test_the_record_holds_neither_the_key_nor_its_stand_in() -> None:
    """Both are secrets: the record names the key, as the runner's records do."""
    with proxied(answering(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")) as (_, proxy):
        with connected(proxy) as client:
            client.sendall(request(proxy, "GET", "/v1/models", "Connection: close"))
            everything(client)
        text = json.dumps(as_record(passed(proxy)[0].exchange, Redactor({"chat": SECRET, **proxy.stand_ins})))
        assert SECRET not in text
        assert proxy.stand_in("chat") not in text
        assert "Bearer $GT_KEY_CHAT" in text


@pytest.mark.parametrize(
    "location",
    [b"myapp:callback", b"about:blank", b"mailto:ops@acme.example", b"urn:a:b", b"http://[broken", b"\x01://"],
)
def test_a_redirect_to_anywhere_passes(location: bytes) -> None:
    """A redirect reaches the client as it is, whatever it names."""
    answer = b"HTTP/1.1 302 Found\r\nLocation: %s\r\nContent-Length: 0\r\n\r\n" % location
    with proxied(answering(answer)) as (_, proxy), connected(proxy) as client:
        client.sendall(request(proxy, "GET", "/v1/models", "Connection: close"))
        received = everything(client)
        assert received.startswith(b"HTTP/1.1 302 ")
        assert b"ocation: " + location in received
        response = passed(proxy)[0].exchange.response
        assert response is not None
        assert (response.status, response.header("location")) == (302, location.decode("latin-1"))


def test_a_tenant_that_asks_for_a_client_certificate_is_named(tmp_path: Path) -> None:
    """What fails on the way to the tenant is a 502 that says what failed, and recorded as such."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    context.verify_mode = ssl.CERT_REQUIRED
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    authority.configure_trust(context)
    with listening(over_tls(context)) as port:
        behind = replace(
            tenant(port), base_url=f"https://127.0.0.1:{port}/api/tenant", ca_file=str(tmp_path / "ca.pem")
        )
        with RecordingProxy(behind) as proxy, connected(proxy) as client:
            client.sendall(request(proxy, "GET", "/v1/models", "Connection: close"))
            received = everything(client)
            [recorded] = passed(proxy)
    assert received.startswith(b"HTTP/1.1 502 ")
    assert recorded.exchange.failure is Failure.TLS
    assert recorded.exchange.detail.encode() in received


def test_an_unreachable_tenant_is_a_502_and_recorded_as_none() -> None:
    """The client is told in JSON; the record says that nothing answered."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with RecordingProxy(tenant(port)) as proxy:
        connection = http.client.HTTPConnection(proxy.origin.removeprefix("http://"), timeout=DEADLINE_S)
        connection.request("GET", "/api/tenant/v1/models")
        answer = connection.getresponse()
        assert (answer.status, json.loads(answer.read())["error"]["message"]) == (
            502,
            "The tenant cannot be reached: no connection (Connection refused).",
        )
        connection.close()
        exchange = passed(proxy)[0].exchange
        assert (exchange.response, exchange.failure) == (None, "connect")


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "localhost.example"])  # noqa: S104 - must be refused
def test_it_listens_on_loopback_only(host: str) -> None:
    """Whoever reaches it uses the tenant's keys."""
    with pytest.raises(InputError, match="does not listen"):
        RecordingProxy(tenant(9), host=host)


def test_the_limit_of_requests_holds_for_clients_too() -> None:
    """A client in a loop costs no more than limits.max_requests."""
    answer = answering(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    with proxied(answer, limits={"max_requests": 1}) as (upstream, proxy):
        answers = []
        for _ in range(2):
            with connected(proxy) as client:
                client.sendall(request(proxy, "GET", "/v1/models", "Connection: close"))
                answers.append(everything(client).split()[1])
        assert answers == [b"200", b"429"]
        assert len(upstream.heads) == 1
