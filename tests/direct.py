"""Runs against an embedded tenant in this process without a socket between them: half the time of those over HTTP.

No run waits between attempts or for its turn, by a clock that goes on at once by as much as is waited for; and what a
check waits for (a file that is being processed) takes it a tenth of the time.
"""

import time
from collections.abc import AsyncIterable, Callable, Iterable
from typing import Any

import httpcore
import httpx
import pytest

from gt_conformance import Record, results
from gt_conformance.exchange import Redactor
from gt_conformance.network import HttpClient
from gt_conformance.network._streams import PROGRESS, Step
from gt_conformance.planning import Plan
from gt_conformance.runner import HttpSender, Sender
from gt_conformance.session import Session
from gt_conformance.tenant import Tenant
from gt_sandbox import EmbeddedTenant
from tests.clocks import FakeClock, hurried


def judge(planned: Plan, running: EmbeddedTenant) -> Record:
    """What ``gt_conformance.run`` records, for tests that look at outcomes and findings.

    A quarter of a run's time is left out, which makes no difference to them: nothing that is recorded is searched for
    secrets, and the record is not sealed with digests.
    """
    with hurried(), Session(planned, sender=direct(running, planned.tenant)) as session:
        for case in planned.cases:
            session.judgement(case)
    with pytest.MonkeyPatch.context() as here:
        here.setattr(session._runner, "_redactor", _Unsearched({}))  # noqa: SLF001 - by which alone a record is searched
        here.setattr(results, "seal", lambda record: record)
        record = session.record()
    assert not record["suite_errors"], record["suite_errors"][0]
    return record


class _Unsearched(Redactor):
    """Takes it for granted that nothing holds a secret."""

    def value(self, value: Any) -> Any:
        return value

    def values(self, values: list[Any]) -> list[Any]:
        return values

    def any_holds(self, texts: Iterable[str]) -> bool:  # noqa: ARG002 - as of what it replaces
        return False


def direct(running: EmbeddedTenant, tenant: Tenant) -> Callable[[], Sender] | None:
    """What sends straight to the application of that tenant; None, for HTTP, where the address is another one."""
    if not tenant.base_url.startswith(running.base_url.removesuffix("/api/tenant") + "/"):
        return None

    def make() -> Sender:
        sender = HttpSender(tenant, clock=FakeClock().clock)
        client = sender._client  # noqa: SLF001 - the one thing that is replaced: all that client and sender do stays
        assert isinstance(client, HttpClient)
        client._pool = Direct(httpx.ASGITransport(app=running._deployment.app))  # type: ignore[assignment] # noqa: SLF001 - as above
        return sender

    return make


class Silence(Exception):
    """Middleware raises it where no answer is to come; ``error`` is what then is raised instead of one."""

    def __init__(self, error: httpcore.NetworkError | httpcore.ProtocolError | httpcore.TimeoutException) -> None:
        self.error = error
        super().__init__(error)


class Direct:
    """In the place of connections: what is sent goes to an application."""

    def __init__(self, transport: httpx.ASGITransport) -> None:
        self._transport = transport

    async def handle_async_request(self, request: httpcore.Request) -> httpcore.Response:
        """The answer of the application."""
        at = request.url
        url = httpx.URL(scheme=at.scheme.decode(), host=at.host.decode(), port=at.port, raw_path=at.target)
        assert isinstance(request.stream, AsyncIterable)
        body = httpx.ByteStream(b"".join([piece async for piece in request.stream]))
        made = httpx.Request(request.method.decode(), url, headers=request.headers, stream=body)
        try:
            response = await self._transport.handle_async_request(made)
        except Silence as silence:
            PROGRESS.get().step, PROGRESS.get().sent_at = Step.SENT, time.perf_counter()
            raise silence.error from silence
        return httpcore.Response(response.status_code, headers=response.headers.raw, content=response.stream)

    async def aclose(self) -> None:
        """There is nothing to close."""
