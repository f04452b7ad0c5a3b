"""Where Prometheus reads the gauges: a loopback address, or one that the operator chose."""

from collections.abc import Awaitable, Callable, MutableMapping
from types import TracebackType
from typing import Any, Self

from gt_loopback import BackgroundServer

_Message = MutableMapping[str, Any]
_CONTENT_TYPE = b"text/plain; version=0.0.4; charset=utf-8"


class Endpoint:
    """Answers every request with what ``render`` gives, with 200: what is wrong with the tenant is in the gauges.

    A context manager. Nothing that is sent to it is read.
    """

    def __init__(self, render: Callable[[], str], host: str, port: int) -> None:
        """Raises OSError where the address is taken."""
        self._render = render
        self._host = host
        self._server = BackgroundServer(self._serve, host, port, name="endpoint of the gauges")

    @property
    def address(self) -> str:
        """``http://127.0.0.1:9469/metrics``."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"http://{host}:{self._server.port}/metrics"

    def __enter__(self) -> Self:
        """Listen."""
        self._server.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Close every connection."""
        self._server.stop()

    async def _serve(
        self,
        scope: MutableMapping[str, Any],
        receive: Callable[[], Awaitable[_Message]],
        send: Callable[[_Message], Awaitable[None]],
    ) -> None:
        del receive
        body = self._render().encode()
        headers = [(b"content-type", _CONTENT_TYPE), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})
