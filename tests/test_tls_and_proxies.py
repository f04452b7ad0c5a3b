"""TLS and the operator's proxy: each fault of a certificate or a proxy is named, with its own remedy."""

import select
import socket
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import trustme

from gt_conformance.exchange import Exchange, Failure
from gt_conformance.tenant import ClientCertificate
from gt_conformance.vocabulary import Outcome
from tests.loopback_http import (
    DEADLINE_S,
    QUICK,
    a_sender,
    a_tenant,
    listening,
    over_tls,
)
from tests.one_exchange import judged, sent, unknown


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
