"""The way to the tenant: trouble on this machine, the operator's proxy, TLS, client certificates, each told apart."""

import asyncio
import errno
import os
import resource
import select
import socket
import ssl
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import trustme
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gt_conformance.checks import CheckCall
from gt_conformance.errors import Blocked
from gt_conformance.exchange import Exchange, Failure
from gt_conformance.runner import HttpSender
from gt_conformance.session import Session
from gt_conformance.tenant import ClientCertificate, Tenant
from gt_conformance.vocabulary import Actor, Outcome
from tests.fake_tenant import plan_of, run
from tests.loopback_http import (
    DEADLINE_S,
    QUICK,
    Server,
    a_request,
    a_sender,
    a_tenant,
    answering,
    http,
    listening,
    over_tls,
    sends,
    serving,
)

NOBODY = "http://127.0.0.1:9/api/tenant"


def sent(tenant: Tenant, sender: HttpSender | None = None, **facts: Any) -> Exchange:
    """What one request to the tenant comes to."""

    async def main() -> Exchange:
        used = sender or a_sender(tenant)
        try:
            return await used.send(a_request(tenant.base_url, **facts), "x1")
        finally:
            await used.close()

    return asyncio.run(main())


def blocked(tenant: Tenant, **facts: Any) -> Blocked:
    """Why a request to the tenant is blocked."""
    with pytest.raises(Blocked) as caught:
        sent(tenant, **facts)
    return caught.value


# -- redirects to anywhere


@settings(max_examples=60)
@given(location=st.binary(max_size=60).map(lambda raw: bytes(b for b in raw if b not in b"\0\t\n\v\f\r ")))
@example(location=b"myapp:callback")
@example(location=b"about:blank")
@example(location=b"mailto:ops@acme.example")
@example(location=b"urn:isbn:0451450523")
@example(location=b"http://[broken")
@example(location=b"https://acme.example:99999/")
@example(location=b"https://\x01\x7f/")
@example(location=b"//\xff\xfe")
@example(location=b"http://" + b"a" * 70_000)
def test_a_redirect_to_anywhere_is_an_answer(location: bytes) -> None:
    """Whatever a redirect names, it is a response with that header; nobody parses it, and nobody follows it."""

    async def main() -> tuple[Exchange, Server]:
        head = b"HTTP/1.1 302 Found\r\nLocation: %s\r\nContent-Length: 0\r\n\r\n" % location
        async with serving(sends(head)) as server:
            sender = a_sender(a_tenant(server.url, QUICK))
            exchange = await sender.send(a_request(server.url), "x1")
            await sender.close()
            return exchange, server

    exchange, server = asyncio.run(main())
    assert exchange.response is not None
    assert (exchange.response.status, exchange.response.complete) == (302, True)
    if len(location) < 65_536:
        assert exchange.response.header("location") in {
            location.decode("latin-1"),
            location.decode("utf-8", errors="replace"),
        }
    assert len(server.received) == 1


UNSENDABLE: dict[str, dict[str, Any]] = {
    "an address with a line break": {"url": "{base}/v1/files/a\nb"},
    "an address without end": {"url": "{base}/v1/files/" + "a" * 70_000},
    "a header with a line break": {"headers": (("X-Id", "a\r\nb"),)},
    "a header beyond ASCII": {"headers": (("X-Id", "\ud800"),)},
}


@pytest.mark.parametrize("facts", UNSENDABLE.values(), ids=UNSENDABLE)
def test_a_request_that_cannot_be_sent_is_no_fault_of_the_suite(facts: dict[str, Any]) -> None:
    """An id that the tenant gave, and that fits into no address or header, fails the exchange."""

    async def main() -> Exchange:
        async with serving(sends(http())) as server:
            sender = a_sender(a_tenant(server.url, QUICK))
            given = {**facts, "url": facts.get("url", "{base}/v1/models").replace("{base}", server.url)}
            exchange = await sender.send(a_request(server.url, **given), "x1")
            await sender.close()
            assert not server.received
            return exchange

    exchange = asyncio.run(main())
    assert exchange.failure is Failure.PROTOCOL
    assert exchange.detail.startswith("the request cannot be sent")


# -- trouble on this machine


@pytest.fixture
def failing_connections(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Makes every connection fail with that error of the system."""

    def fail(code: int) -> None:
        async def refuse(*_: object) -> None:
            raise OSError(code, "the system's own words")

        monkeypatch.setattr("asyncio.selector_events.BaseSelectorEventLoop.sock_connect", refuse)

    return fail


HERE: Mapping[int, str] = {
    errno.EMFILE: "ulimit -n",
    errno.ENFILE: "fs.file-max",
    errno.ENOMEM: "limits.concurrency",
    errno.ENOBUFS: "limits.concurrency",
    errno.EADDRNOTAVAIL: "limits.concurrency",
    errno.ENETDOWN: "network",
    errno.ENETUNREACH: "VPN",
    errno.EAFNOSUPPORT: "IP version",
    errno.EACCES: "firewall",
    errno.EPERM: "firewall",
}


@pytest.mark.parametrize(("code", "remedy"), HERE.items(), ids=map(errno.errorcode.__getitem__, HERE))
def test_trouble_on_this_machine_blocks(failing_connections: Callable[[int], None], code: int, remedy: str) -> None:
    """An error that this machine raises by itself is never the tenant's: the request is blocked, with what to do."""
    failing_connections(code)
    found = blocked(a_tenant(NOBODY, QUICK))
    assert found.reason.startswith("on this machine: ")
    assert f"({errno.errorcode[code]})" in found.reason
    assert remedy in found.remedy


@pytest.mark.parametrize(
    "code", [errno.ECONNREFUSED, errno.ECONNRESET, errno.ETIMEDOUT, errno.EHOSTUNREACH], ids=errno.errorcode.get
)
def test_a_refused_connection_is_no_trouble_on_this_machine(
    failing_connections: Callable[[int], None], code: int
) -> None:
    """What another machine causes is a failure to reach the tenant."""
    failing_connections(code)
    exchange = sent(a_tenant(NOBODY, QUICK))
    assert exchange.failure is Failure.CONNECT
    assert exchange.detail == f"no connection ({os.strerror(code)})"
    assert len(exchange.attempts) == 2


def test_one_address_that_answers_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where this machine has no route to one address of the host and another refuses, the host is reached."""
    codes = [errno.ENETUNREACH, errno.ECONNREFUSED] * 3

    async def refuse(*_: object) -> None:
        raise OSError(codes.pop(0), "the system's own words")

    addresses = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (f"127.0.0.{n}", 9)) for n in (1, 2)]
    looked_up = socket.getaddrinfo

    def look_up(host: Any, *more: Any, **named: Any) -> Any:
        return addresses if host in {"localhost", b"localhost"} else looked_up(host, *more, **named)

    monkeypatch.setattr("socket.getaddrinfo", look_up)
    monkeypatch.setattr("asyncio.selector_events.BaseSelectorEventLoop.sock_connect", refuse)
    assert sent(a_tenant("http://localhost:9/api/tenant", QUICK)).failure is Failure.CONNECT


def test_a_silent_address_keeps_nobody_from_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where one address of the host does not answer, the next is tried meanwhile."""
    connect = asyncio.selector_events.BaseSelectorEventLoop.sock_connect
    silent, looked_up = "127.0.0.2", socket.getaddrinfo

    async def connects(loop: Any, sock: socket.socket, address: tuple[str, int]) -> None:
        if address[0] == silent:
            await asyncio.Event().wait()
        await connect(loop, sock, address)

    def look_up(host: Any, *more: Any, **named: Any) -> Any:
        if host not in {"localhost", b"localhost"}:
            return looked_up(host, *more, **named)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (one, more[0])) for one in (silent, "127.0.0.1")]

    async def main() -> Exchange:
        async with serving(sends(http())) as server:
            monkeypatch.setattr("socket.getaddrinfo", look_up)
            monkeypatch.setattr("asyncio.selector_events.BaseSelectorEventLoop.sock_connect", connects)
            url = server.url.replace("127.0.0.1", "localhost")
            sender = a_sender(a_tenant(url, QUICK))
            exchange = await sender.send(a_request(url), "x1")
            await sender.close()
            return exchange

    exchange = asyncio.run(main())
    assert exchange.response is not None
    assert not exchange.attempts


def test_a_process_that_may_open_no_more_files_blocks() -> None:
    """With as many files open as the system permits, the request is blocked; afterwards it is sent."""

    async def main() -> tuple[Blocked, Exchange]:
        async with serving(sends(http())) as server:
            sender = a_sender(a_tenant(server.url, QUICK))
            soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
            lowest = os.dup(0)
            os.close(lowest)
            resource.setrlimit(resource.RLIMIT_NOFILE, (lowest, hard))
            try:
                with pytest.raises(Blocked) as caught:
                    await sender.send(a_request(server.url), "x1")
            finally:
                resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
            exchange = await sender.send(a_request(server.url), "x2")
            await sender.close()
            return caught.value, exchange

    found, exchange = asyncio.run(main())
    assert found.reason == "on this machine: this process may open no more files (EMFILE)"
    assert exchange.response is not None


@pytest.mark.parametrize("code", ["EAI_AGAIN", "EAI_FAIL", "EAI_SYSTEM"])
def test_a_name_service_that_fails_blocks(monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    """A name service that does not answer is asked three times; it is this machine's, and never the tenant's fault."""
    asked = []

    def look_up(*names: object, **_: object) -> None:
        asked.append(names)
        raise socket.gaierror(getattr(socket, code), "the system's own words")

    monkeypatch.setattr("socket.getaddrinfo", look_up)
    found = blocked(a_tenant("http://localhost:9/api/tenant", QUICK))
    assert found.reason == f"on this machine: the name service does not answer ({code})"
    assert "resolv.conf" in found.remedy
    assert len(asked) == 3


def test_a_name_service_that_comes_back_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that could not be looked up for a moment is looked up again, like a connection."""
    failures = [socket.gaierror(socket.EAI_AGAIN, "later")]
    looked_up = socket.getaddrinfo

    def look_up(host: Any, *more: Any, **named: Any) -> Any:
        if failures and host in {"localhost", b"localhost"}:
            raise failures.pop()
        return looked_up("127.0.0.1", *more, **named)

    async def main() -> Exchange:
        async with serving(sends(http())) as server:
            monkeypatch.setattr("socket.getaddrinfo", look_up)
            url = server.url.replace("127.0.0.1", "localhost")
            sender = a_sender(a_tenant(url, QUICK))
            exchange = await sender.send(a_request(url), "x1")
            await sender.close()
            return exchange

    exchange = asyncio.run(main())
    assert exchange.response is not None
    assert [attempt.result for attempt in exchange.attempts] == [
        "here: on this machine: the name service does not answer (EAI_AGAIN)"
    ]


def unknown(monkeypatch: pytest.MonkeyPatch, trouble: Exception | None = None) -> None:
    """No name has an address."""

    def look_up(*_: object, **__: object) -> None:
        raise trouble or socket.gaierror(socket.EAI_NONAME, "unknown")

    monkeypatch.setattr("socket.getaddrinfo", look_up)


@pytest.mark.parametrize(
    "trouble",
    [socket.gaierror(socket.EAI_NONAME, "unknown"), UnicodeError("label too long")],
    ids=["unknown", "no name"],
)
def test_a_name_without_an_address_is_the_base_urls(monkeypatch: pytest.MonkeyPatch, trouble: Exception) -> None:
    """A name that has no address is a failure of its own, not retried: base_url is wrong."""
    unknown(monkeypatch, trouble)
    exchange = sent(a_tenant("http://localhost:9/api/tenant", QUICK))
    assert (exchange.failure, exchange.detail) == (Failure.DNS, "the host's name has no address")
    assert "base_url" in exchange.remedy
    assert "set HTTPS_PROXY" in exchange.remedy
    assert not exchange.attempts


def test_a_name_service_that_hangs_is_told_from_a_slow_tenant(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the connection times out because no name is looked up, the name service is at fault."""
    over = threading.Event()

    def look_up(*_: object, **__: object) -> None:
        over.wait(DEADLINE_S)
        raise socket.gaierror(socket.EAI_NONAME, "too late")

    monkeypatch.setattr("socket.getaddrinfo", look_up)
    monkeypatch.setattr("gt_conformance.network._client._NAME_LOOKUP_S", 0.05)
    monkeypatch.setattr("gt_conformance.runner._sender.CONNECT_TIMEOUT_S", 0.05)

    async def main() -> None:
        sender = a_sender(a_tenant("http://localhost:9/api/tenant", QUICK))
        try:
            with pytest.raises(Blocked, match="the name service does not answer"):
                await sender.send(a_request("http://localhost:9/api/tenant"), "x1")
        finally:
            over.set()
            await sender.close()

    asyncio.run(main())


def test_trouble_on_this_machine_violates_nothing(failing_connections: Callable[[int], None]) -> None:
    """A run on a machine without a route blocks its checks, with the machine named; the tenant broke no promise."""
    failing_connections(errno.ENETUNREACH)
    result = judged(a_tenant(NOBODY, QUICK))[1]
    assert result[0] is Outcome.BLOCKED
    assert "on this machine: there is no route" in result[1]


def judged(tenant: Tenant, sender: HttpSender | None = None) -> tuple[Session, tuple[Outcome, str]]:
    """The session after one check, and the outcome of that check."""
    call = CheckCall("models.exact_allowlist", "chat")
    runner = run(plan_of(tenant, call), sender or a_sender(tenant))
    result = runner.result(call)
    return runner, (result.outcome, result.reason)


# -- something in front of the API

PAGE = b"<!DOCTYPE html><html><head><title>Request blocked</title></head></html>"


@pytest.mark.parametrize(
    ("status", "remedy"),
    [
        ("403 Forbidden", "have it let this machine's requests through"),
        ("401 Unauthorized", "have it let this machine's requests through"),
        ("400 Bad Request", "set client_cert in the tenant file"),
        ("503 Service Unavailable", "check whether the tenant behind it is up"),
    ],
)
def test_a_web_page_that_refuses_is_not_about_the_secret(status: str, remedy: str) -> None:
    """A firewall's or a gateway's page says nothing about the key; the remedy is about whatever stands in front."""
    with listening(answering(http(PAGE, status, Content_Type="text/html"))) as port:
        runner, (outcome, reason) = judged(a_tenant(f"http://127.0.0.1:{port}/api/tenant", QUICK))
    assert outcome is Outcome.BLOCKED
    assert f"HTTP {status[:3]} with an HTML page" in reason
    assert runner.refusal is not None
    assert runner.refusal.remedy.startswith("The HTML page comes from something in front of the API")
    assert remedy in runner.refusal.remedy
    assert "secret" not in runner.refusal.remedy


def test_a_json_refusal_is_about_the_secret() -> None:
    """The API's own refusal of the key still says to check the secret."""
    with listening(answering(http(b'{"error": {"message": "unknown key"}}', "401 Unauthorized"))) as port:
        runner, _ = judged(a_tenant(f"http://127.0.0.1:{port}/api/tenant", QUICK))
    assert runner.refusal is not None
    assert runner.refusal.remedy.startswith("Check the secret of the key chat")


# -- the environment


class Untouchable(dict[str, str]):
    """An environment that nobody may read."""

    def __getitem__(self, name: str) -> str:
        raise AssertionError(f"{name} was read from the environment")

    def get(self, name: str, default: Any = None) -> Any:
        """Nobody asks."""
        raise AssertionError(f"{name} was read from the environment ({default})")

    def items(self) -> Any:
        """Nobody asks."""
        raise AssertionError("the environment was read")


def test_the_environment_is_read_when_the_sender_is_made_and_never_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is changed in the environment during a run, in another thread, is not looked at."""

    async def main() -> Exchange:
        async with serving(sends(http())) as server:
            sender = HttpSender(a_tenant(server.url, QUICK))
            with monkeypatch.context() as patch:
                patch.setattr("os.environ", Untouchable())
                exchange = await sender.send(a_request(server.url), "x1")
                await sender.close()
            return exchange

    assert asyncio.run(main()).response is not None


UNUSABLE: dict[str, tuple[dict[str, str], str]] = {
    "a SOCKS proxy": ({"HTTPS_PROXY": "socks5://proxy:1080"}, "HTTPS_PROXY does not hold the URL of an HTTP proxy"),
    "no proxy's address": ({"https_proxy": "http://[proxy"}, "https_proxy does not hold the URL of an HTTP proxy"),
    "a proxy's port that cannot be": (
        {"HTTPS_PROXY": "http://127.0.0.1:99999"},
        "HTTPS_PROXY does not hold the URL of an HTTP proxy",
    ),
    "a proxy's port of 0": ({"HTTPS_PROXY": "http://proxy:0"}, "HTTPS_PROXY does not hold the URL of an HTTP proxy"),
    "a proxy that is a space": ({"HTTPS_PROXY": " "}, "HTTPS_PROXY does not hold the URL of an HTTP proxy"),
    "a proxy for all": ({"ALL_PROXY": "proxy:port"}, "ALL_PROXY does not hold the URL of an HTTP proxy"),
    "no bundle": ({"SSL_CERT_FILE": "/nowhere.pem"}, "SSL_CERT_FILE names /nowhere.pem, which cannot be used"),
    "an empty bundle": ({"SSL_CERT_FILE": os.devnull}, f"SSL_CERT_FILE names {os.devnull}, which cannot be used"),
}


@pytest.mark.parametrize(("environment", "reason"), UNUSABLE.values(), ids=UNUSABLE)
def test_a_setting_that_cannot_be_used_blocks_and_is_named(environment: dict[str, str], reason: str) -> None:
    """A wrong setting of the environment is trouble on this machine; it breaks off nothing."""
    tenant = a_tenant("https://tenant.test/api/tenant", QUICK)
    with pytest.raises(Blocked) as caught:
        sent(tenant, a_sender(tenant, None, **environment))
    assert caught.value.reason.startswith(f"on this machine: the environment variable {reason}")
    assert caught.value.blocker.acts is Actor.HERE


# -- TLS


@dataclass
class Certificates:
    """A private authority, and what it has issued."""

    folder: Path
    ca: trustme.CA = field(default_factory=trustme.CA)

    @property
    def ca_file(self) -> str:
        """Its own certificate, as the tenant file names it."""
        return self._written("ca.pem", self.ca.cert_pem.bytes())

    def server(self, *names: str, **facts: Any) -> ssl.SSLContext:
        """What a server needs that is called so."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.ca.issue_cert(*(names or ("127.0.0.1", "tenant.test")), **facts).configure_cert(context)
        return context

    def client(self, name: str = "client", issuer: trustme.CA | None = None) -> ClientCertificate:
        """A client's certificate, its key in the same file."""
        issued = (issuer or self.ca).issue_cert("operator@acme.example")
        return ClientCertificate(self._written(f"{name}.pem", issued.private_key_and_cert_chain_pem.bytes()))

    def _written(self, name: str, data: bytes) -> str:
        path = self.folder / name
        path.write_bytes(data)
        return str(path)


@pytest.fixture
def certificates(tmp_path: Path) -> Certificates:
    """An authority of this test."""
    return Certificates(tmp_path)


def over_https(context: ssl.SSLContext, **facts: Any) -> Exchange:
    """What a request to such a server comes to."""
    with listening(over_tls(context)) as port:
        return sent(replace(a_tenant(f"https://127.0.0.1:{port}/api/tenant", QUICK), **facts))


NOW = datetime.now(UTC)
CERTIFICATES: dict[str, tuple[tuple[str, ...], dict[str, Any], str, str]] = {
    "expired": (
        (),
        {"not_before": NOW - timedelta(days=9), "not_after": NOW - timedelta(days=2)},
        "has expired (certificate has expired; the clock here says",
        "Renew the certificate",
    ),
    "not valid yet": (
        (),
        {"not_before": NOW + timedelta(days=2), "not_after": NOW + timedelta(days=9)},
        "is not valid yet (certificate is not yet valid; the clock here says",
        "Check the clock",
    ),
    "for another host": (("other.test",), {}, "is for another host (IP address mismatch", "Set base_url to the host"),
}


@pytest.mark.parametrize(("names", "facts", "detail", "remedy"), CERTIFICATES.values(), ids=CERTIFICATES)
def test_each_fault_of_a_certificate_has_its_own_remedy(
    certificates: Certificates, names: tuple[str, ...], facts: dict[str, Any], detail: str, remedy: str
) -> None:
    """An expired certificate, an early one and another host's are told apart, and from a private authority."""
    exchange = over_https(certificates.server(*names, **facts), ca_file=certificates.ca_file)
    assert exchange.failure is Failure.TLS
    assert exchange.detail.startswith(f"the tenant's certificate {detail}")
    assert exchange.remedy.startswith(remedy)
    assert "ca_file" not in exchange.remedy


def test_a_private_authority_is_asked_for(certificates: Certificates) -> None:
    """A certificate of an authority that nobody knows asks for its bundle; named, it is accepted."""
    exchange = over_https(certificates.server())
    assert exchange.detail.startswith("the tenant's certificate comes from an authority that is not trusted here")
    assert "ca_file" in exchange.remedy
    assert over_https(certificates.server(), ca_file=certificates.ca_file).response is not None


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=["TLS 1.2", "TLS 1.3"])
def test_a_tenant_that_asks_for_a_client_certificate_gets_it(
    certificates: Certificates, version: ssl.TLSVersion
) -> None:
    """Without client_cert the failure says what to set; with a strange one, that it is refused; else it answers."""
    context = certificates.server()
    context.minimum_version = context.maximum_version = version
    context.verify_mode = ssl.CERT_REQUIRED
    certificates.ca.configure_trust(context)
    ca_file = certificates.ca_file
    without = over_https(context, ca_file=ca_file)
    assert without.failure is Failure.TLS
    assert "client_cert" in without.remedy
    if version is ssl.TLSVersion.TLSv1_3:
        assert without.detail.startswith("the tenant asks for a client certificate (")
    strange = over_https(context, ca_file=ca_file, client_certificate=certificates.client("strange", trustme.CA()))
    assert strange.detail.startswith("the tenant refuses the client certificate (")
    assert over_https(context, ca_file=ca_file, client_certificate=certificates.client()).response is not None


def test_a_handshake_that_just_ends_mentions_the_client_certificate(certificates: Certificates) -> None:
    """A server that hangs up in the handshake may have missed a certificate; one that was sent is not asked for."""
    with listening(lambda connection: [connection.recv(65_536)].clear()) as port:
        tenant = a_tenant(f"https://127.0.0.1:{port}/api/tenant", QUICK)
        exchange = sent(tenant)
        shown = sent(replace(tenant, client_certificate=certificates.client()))
    for each in (exchange, shown):
        assert (each.failure, each.detail) == (Failure.CONNECT, "the connection ended during the TLS handshake")
        assert len(each.attempts) == 2
    assert "client_cert" in exchange.remedy
    assert "client_cert" not in shown.remedy


def test_a_missing_client_certificate_makes_the_tenant_unreachable(certificates: Certificates) -> None:
    """A whole run without it ends at its first request, with what to set, and no fault of the suite."""
    context = certificates.server()
    context.verify_mode = ssl.CERT_REQUIRED
    certificates.ca.configure_trust(context)
    with listening(over_tls(context)) as port:
        tenant = replace(a_tenant(f"https://127.0.0.1:{port}/api/tenant", QUICK), ca_file=certificates.ca_file)
        runner, (outcome, reason) = judged(tenant)
    assert outcome is Outcome.BLOCKED
    assert "the tenant asks for a client certificate" in reason
    assert runner.refusal is not None
    assert "client_cert" in runner.refusal.remedy
    assert not runner.suite_errors


# -- a proxy


@dataclass
class ConnectProxy:
    """A proxy that opens connections to one port, whatever host is asked for, or answers with ``refusal``."""

    target: int
    refusal: bytes = b""
    heads: list[bytes] = field(default_factory=list)

    def serve(self, connection: socket.socket) -> None:
        """One connection."""
        head = b""
        while b"\r\n\r\n" not in head:
            piece = connection.recv(65_536)
            if not piece:
                return
            head += piece
        self.heads.append(head)
        if self.refusal:
            connection.sendall(self.refusal)
            return
        with socket.create_connection(("127.0.0.1", self.target)) as onward:
            connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            ends = {connection: onward, onward: connection}
            while True:
                ready, _, _ = select.select(list(ends), [], [], DEADLINE_S)
                for end in ready:
                    piece = end.recv(65_536)
                    if not piece:
                        return
                    if isinstance(end, ssl.SSLSocket):
                        piece += end.recv(end.pending()) if end.pending() else b""
                    ends[end].sendall(piece)

    def serve_over_tls(self, context: ssl.SSLContext) -> Callable[[socket.socket], None]:
        """The same, where TLS is spoken to the proxy itself."""

        def serve(connection: socket.socket) -> None:
            with context.wrap_socket(connection, server_side=True) as wrapped:
                self.serve(wrapped)

        return serve


def through(
    certificates: Certificates, refusal: bytes = b"", host: str = "tenant.test", **environment: str
) -> tuple[Exchange, ConnectProxy]:
    """What a request through the proxy comes to; ``{proxy}`` in the environment is its address."""
    with listening(over_tls(certificates.server())) as port:
        proxy = ConnectProxy(port, refusal)
        with listening(proxy.serve) as at:
            tenant = replace(a_tenant(f"https://{host}/api/tenant", QUICK), ca_file=certificates.ca_file)
            given = {name: value.replace("{proxy}", f"127.0.0.1:{at}") for name, value in environment.items()}
            return sent(tenant, a_sender(tenant, None, **given)), proxy


NAMED: dict[str, dict[str, str]] = {
    "HTTPS_PROXY": {"HTTPS_PROXY": "http://{proxy}"},
    "https_proxy": {"https_proxy": "http://{proxy}", "HTTPS_PROXY": "http://127.0.0.1:9"},
    "ALL_PROXY": {"ALL_PROXY": "{proxy}", "HTTP_PROXY": "http://127.0.0.1:9"},
    "NO_PROXY names others": {
        "HTTPS_PROXY": "http://{proxy}",
        "NO_PROXY": "acme.example, est,10.0.0.0/8,tenant.test:8443",
    },
}


@pytest.mark.parametrize("environment", NAMED.values(), ids=NAMED)
def test_a_proxy_of_the_environment_is_used(certificates: Certificates, environment: dict[str, str]) -> None:
    """The request goes through the proxy, which opens the way to the tenant and sees nothing of what goes through."""
    exchange, proxy = through(certificates, b"", **environment)
    assert exchange.response is not None
    [head] = proxy.heads
    assert head.startswith(b"CONNECT tenant.test:443 HTTP/1.1\r\n")
    assert b"authorization" not in head.lower()


def test_a_proxy_to_which_tls_is_spoken_is_used(certificates: Certificates) -> None:
    """TLS to the tenant goes through TLS to the proxy, which gets no client certificate."""
    at_tenant = certificates.server()
    at_tenant.load_verify_locations(certificates.ca_file)
    at_tenant.verify_mode = ssl.CERT_REQUIRED
    with listening(over_tls(at_tenant)) as port:
        proxy = ConnectProxy(port)
        with listening(proxy.serve_over_tls(certificates.server())) as at:
            tenant = replace(
                a_tenant("https://tenant.test/api/tenant", QUICK),
                ca_file=certificates.ca_file,
                client_certificate=certificates.client(),
            )
            exchange = sent(tenant, a_sender(tenant, HTTPS_PROXY=f"https://127.0.0.1:{at}"))
    assert exchange.response is not None
    assert proxy.heads[0].startswith(b"CONNECT tenant.test:443 HTTP/1.1\r\n")


@pytest.mark.parametrize("no_proxy", ["*", "tenant.test", ".test", "x, *.test", "TENANT.test:443"])
def test_a_host_that_no_proxy_names_is_reached_without_one(
    certificates: Certificates, monkeypatch: pytest.MonkeyPatch, no_proxy: str
) -> None:
    """NO_PROXY goes before HTTPS_PROXY, in all its forms."""
    unknown(monkeypatch)
    exchange, proxy = through(certificates, HTTPS_PROXY="http://{proxy}", NO_PROXY=no_proxy)
    assert exchange.failure is Failure.DNS
    assert not proxy.heads


def test_credentials_of_the_proxy_are_sent_to_it_and_never_shown(certificates: Certificates) -> None:
    """A user and a password in the proxy's address go to the proxy; a failure shows the address without them."""
    exchange, proxy = through(certificates, HTTPS_PROXY="http://me:s3cret@{proxy}")
    assert exchange.response is not None
    assert b"Proxy-Authorization: Basic bWU6czNjcmV0" in proxy.heads[0]
    refused, _ = through(
        certificates, b"HTTP/1.1 407 Who\r\nContent-Length: 0\r\n\r\n", HTTPS_PROXY="http://me:s3cret@{proxy}"
    )
    assert "s3cret" not in repr(refused)
    assert refused.detail.endswith("does not take the credentials in its URL (407)")
    assert "Correct USER and PASSWORD" in refused.remedy
    assert "the proxy http://127.0.0.1:" in refused.detail


REFUSALS: dict[str, tuple[bytes, str, str]] = {
    "no credentials": (b"407 Proxy Authentication Required", "asks for credentials (407)", "USER:PASSWORD@"),
    "no credentials that it takes": (b"407 NTLM", "asks for credentials (407)", "takes NTLM or Kerberos alone"),
    "forbidden": (b"403 Forbidden", "forbids the connection to the tenant (403)", "allow the tenant's host"),
    "no way on": (b"502 Bad Gateway", "opens no connection to the tenant (HTTP 502)", "base_url"),
}


@pytest.mark.parametrize(("status", "detail", "remedy"), REFUSALS.values(), ids=REFUSALS)
def test_a_proxy_that_refuses_is_named(certificates: Certificates, status: bytes, detail: str, remedy: str) -> None:
    """What the proxy answers itself is the proxy's: it is named, with what to do."""
    exchange, _ = through(
        certificates, b"HTTP/1.1 %s\r\nContent-Length: 0\r\n\r\n" % status, HTTPS_PROXY="http://{proxy}"
    )
    assert exchange.failure is Failure.PROXY
    assert exchange.detail.startswith("the proxy http://127.0.0.1:")
    assert exchange.detail.endswith(f" (HTTPS_PROXY) {detail}")
    assert remedy in exchange.remedy


def test_a_proxy_that_is_down_is_named() -> None:
    """A proxy that refuses the connection, has no address, or speaks no HTTP is named, and not the tenant."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        down = f"127.0.0.1:{listener.getsockname()[1]}"
    tenant = a_tenant("https://tenant.test/api/tenant", QUICK)
    exchange = sent(tenant, a_sender(tenant, HTTPS_PROXY=f"http://{down}"))
    assert exchange.failure is Failure.PROXY
    assert exchange.detail == f"the proxy http://{down} (HTTPS_PROXY) cannot be reached (Connection refused)"
    with listening(lambda connection: connection.sendall(b"220 mail.example ESMTP\r\n")) as port:
        exchange = sent(tenant, a_sender(tenant, HTTPS_PROXY=f"http://127.0.0.1:{port}"))
    assert exchange.failure is Failure.PROXY
    assert exchange.detail.endswith("does not answer as an HTTP proxy")


def test_a_proxy_whose_name_is_unknown_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """The name that has no address is the proxy's."""
    unknown(monkeypatch)
    tenant = a_tenant("https://tenant.test/api/tenant", QUICK)
    exchange = sent(tenant, a_sender(tenant, HTTPS_PROXY="http://proxy.test:3128"))
    assert exchange.failure is Failure.PROXY
    assert exchange.detail == "the proxy http://proxy.test:3128 (HTTPS_PROXY) has no address: its name is unknown"


def test_a_proxy_that_never_opens_the_way_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy that takes the request and says nothing is given up before the tenant's own time limit."""
    monkeypatch.setattr("gt_conformance.runner._sender.CONNECT_TIMEOUT_S", 0.2)
    tenant = a_tenant("https://tenant.test/api/tenant", QUICK)
    over = threading.Event()
    with listening(lambda _: [over.wait(DEADLINE_S)].clear()) as port:
        exchange = sent(tenant, a_sender(tenant, HTTPS_PROXY=f"http://127.0.0.1:{port}"))
        over.set()
    assert exchange.failure is Failure.PROXY
    assert exchange.detail.endswith("did not open the connection within 0.2 s")


def test_a_failure_behind_the_proxy_is_the_tenants(certificates: Certificates) -> None:
    """A certificate for another host that came through the proxy is told as the tenant's."""
    exchange, proxy = through(certificates, host="other.test", HTTPS_PROXY="http://{proxy}")
    assert len(proxy.heads) == 1
    assert exchange.failure is Failure.TLS
    assert exchange.detail.startswith("the tenant's certificate is for another host (Hostname mismatch")


def test_a_run_behind_a_proxy_that_is_down_violates_nothing() -> None:
    """The run ends at its first request with the proxy named; the tenant broke no promise."""
    tenant = a_tenant("https://tenant.test/api/tenant", QUICK)
    runner, (outcome, reason) = judged(tenant, a_sender(tenant, HTTPS_PROXY="http://127.0.0.1:9"))
    assert outcome is Outcome.BLOCKED
    assert "the proxy http://127.0.0.1:9 (HTTPS_PROXY) cannot be reached" in reason
    assert runner.refusal is not None
    assert "HTTPS_PROXY" in runner.refusal.remedy
