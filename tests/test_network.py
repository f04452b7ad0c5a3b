"""What a failed connection means: this machine's, something in front of the API, or the tenant's."""

import asyncio
import errno
import os
import resource
import socket
import threading
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gt_conformance.errors import Blocked
from gt_conformance.exchange import Exchange, Failure
from gt_conformance.runner import HttpSender
from gt_conformance.tenant import Tenant
from gt_conformance.vocabulary import Actor, Outcome
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
    sends,
    serving,
)
from tests.one_exchange import judged, sent, unknown

NOBODY = "http://127.0.0.1:9/api/tenant"


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
