"""One request over a real socket to a server on loopback, and what it comes to."""

import asyncio
import socket
from typing import Any

import pytest

from gt_conformance.checks import CheckCall
from gt_conformance.exchange import Exchange
from gt_conformance.runner import HttpSender
from gt_conformance.session import Session
from gt_conformance.tenant import Limits, Tenant
from gt_conformance.vocabulary import Outcome
from tests.clocks import FakeClock
from tests.fake_tenant import plan_of, run
from tests.loopback_http import (
    QUICK,
    Handler,
    Server,
    a_request,
    a_sender,
    a_tenant,
    http,
    serving,
)


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


BUSY_ALWAYS = http(b"", "429 Too Many Requests")


def ended(handler: Handler, limits: Limits = QUICK) -> tuple[bytes, str]:
    """The body of an answer that did not come to its end, and how it ended."""
    exchange, _ = exchanged(handler, limits)
    response = exchange.response
    assert response is not None
    assert not response.complete
    assert exchange.attempts == ()
    return response.body, response.end


def sent(tenant: Tenant, sender: HttpSender | None = None, **facts: Any) -> Exchange:
    """What one request to the tenant comes to."""

    async def main() -> Exchange:
        used = sender or a_sender(tenant)
        try:
            return await used.send(a_request(tenant.base_url, **facts), "x1")
        finally:
            await used.close()

    return asyncio.run(main())


def unknown(monkeypatch: pytest.MonkeyPatch, trouble: Exception | None = None) -> None:
    """No name has an address."""

    def look_up(*_: object, **__: object) -> None:
        raise trouble or socket.gaierror(socket.EAI_NONAME, "unknown")

    monkeypatch.setattr("socket.getaddrinfo", look_up)


def judged(tenant: Tenant, sender: HttpSender | None = None) -> tuple[Session, tuple[Outcome, str]]:
    """The session after one check, and the outcome of that check."""
    call = CheckCall("models.exact_allowlist", "chat")
    runner = run(plan_of(tenant, call), sender or a_sender(tenant))
    result = runner.result(call)
    return runner, (result.outcome, result.reason)
