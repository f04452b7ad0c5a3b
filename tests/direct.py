"""Runs against an embedded tenant in this process without a socket between them: half the time of those over HTTP."""

from collections.abc import Callable

import httpx

from gt_conformance.network import HttpClient
from gt_conformance.runner import HttpSender, Sender
from gt_conformance.tenant import Tenant
from gt_sandbox import EmbeddedTenant


def direct(running: EmbeddedTenant, tenant: Tenant) -> Callable[[], Sender] | None:
    """What sends straight to the application of that tenant; None, for HTTP, where the address is another one."""
    if not tenant.base_url.startswith(running.base_url.removesuffix("/api/tenant") + "/"):
        return None

    def make() -> Sender:
        sender = HttpSender(tenant)
        client = sender._client  # noqa: SLF001 - the one thing that is replaced: all that client and sender do stays
        assert isinstance(client, HttpClient)
        client._transport = httpx.ASGITransport(app=running._deployment.app)  # type: ignore[assignment] # noqa: SLF001 - as above
        client._connect_timeout_s = tenant.limits.timeout_s  # noqa: SLF001 - nothing says when it is connected
        return sender

    return make
