"""What turns a request into an exchange: over HTTP, or rehearsed without a socket."""

from typing import Protocol

from gt_conformance.exchange import Exchange, Request


class Sender(Protocol):
    """Sends requests for the lab."""

    async def send(self, request: Request, ref: str) -> Exchange:
        """The exchange, whatever came of it. Raises Blocked where a limit of the run forbids sending."""

    async def close(self) -> None:
        """Let go of connections."""
