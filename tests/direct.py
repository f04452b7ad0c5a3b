"""Runs against an embedded tenant in this process without a socket between them: half the time of those over HTTP."""

from collections.abc import AsyncIterator, Callable

import httpx

from gt_conformance.network import HttpClient
from gt_conformance.network._http1 import Header, Message, Progress
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
        transport = httpx.ASGITransport(app=running._app)  # noqa: SLF001 - as above
        client._pool = Direct(transport, running.base_url.removesuffix("/api/tenant"))  # type: ignore[assignment] # noqa: SLF001 - as above
        return sender

    return make


class Direct:
    """In the place of connections: what is sent goes to an application."""

    def __init__(self, transport: httpx.ASGITransport, origin: str) -> None:
        self._transport = transport
        self._origin = origin

    async def send(self, message: Message, _: Progress) -> "Answered":
        """The answer of the application."""
        assert isinstance(message.body, bytes)
        url = httpx.URL(self._origin, raw_path=message.target)
        body = httpx.ByteStream(message.body)
        request = httpx.Request(message.method, url, headers=list(message.headers), stream=body)
        return Answered(await self._transport.handle_async_request(request))

    async def close(self) -> None:
        """There is nothing to close."""


class Answered:
    """An answer of an application, in the place of one that comes over a connection."""

    def __init__(self, response: httpx.Response) -> None:
        self.status = response.status_code
        self.headers: list[Header] = response.headers.raw
        self._pieces: AsyncIterator[bytes] = aiter(response.aiter_raw())

    async def next_piece(self) -> bytes | None:
        """The next bytes of its body; None at its end."""
        return await anext(self._pieces, None)

    def close(self) -> None:
        """There is nothing to give back."""
