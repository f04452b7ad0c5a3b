"""The proxy while it runs: where it listens, and what passed through it so far."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import TimeoutError as TooLong
from contextlib import suppress
from itertools import count
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

from starlette.types import Receive, Scope, Send

from gt_conformance.errors import InputError
from gt_conformance.loopback import BackgroundServer
from gt_conformance.proxy._forwarding import Forwarding
from gt_conformance.proxy._keys import StandIns
from gt_conformance.proxy._passage import Passage
from gt_conformance.tenant import Tenant

_LOOPBACK = frozenset({"127.0.0.1", "::1"})
_FIRST = 100_001
_CLOSING_S = 5.0


def exchange_numbers() -> Iterator[int]:
    """Numbers far from the lab's, which begin with 1: a run that has both shows one list of exchanges."""
    return count(_FIRST)


class RecordingProxy:
    """Passes on to one tenant, from loopback, what shows a stand-in for one of its keys, or no key. A context manager.

    Its address ends in the tenant's own path. ``numbers`` gives each exchange its number, also beyond this one proxy.
    """

    def __init__(
        self, tenant: Tenant, *, host: str = "127.0.0.1", port: int = 0, numbers: Iterator[int] | None = None
    ) -> None:
        if host not in _LOOPBACK:
            raise InputError.of(
                f"the recording proxy does not listen on {host}: whoever reaches it uses the tenant's keys.",
                hint="It listens on 127.0.0.1 or ::1 only.",
            )
        self._tenant = tenant
        self._host = host
        self._port = port
        self._numbers = numbers or exchange_numbers()
        self._stand_ins = StandIns({name: key.secret for name, key in tenant.credentials.items()})
        self._passed: list[Passage] = []
        self._server: BackgroundServer | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._forwarding: Forwarding | None = None

    def __enter__(self) -> Self:
        """Listen. Raises OSError where the port is taken."""
        server = BackgroundServer(self._serve, self._host, self._port, name="recording proxy", dated=False)
        server.start()
        self._server = server
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close every connection, on both sides."""
        if self._loop is not None and self._forwarding is not None:
            closing = asyncio.run_coroutine_threadsafe(self._forwarding.close(), self._loop)
            with suppress(TooLong):
                closing.result(_CLOSING_S)
        if self._server is not None:
            self._server.stop()

    @property
    def base_url(self) -> str:
        """Its own address with the tenant's path: ``http://127.0.0.1:PORT/api/tenant``."""
        return self.origin + urlsplit(self._tenant.base_url).path

    @property
    def origin(self) -> str:
        """Its own scheme, host and port. Raises RuntimeError where it does not listen."""
        if self._server is None:
            raise RuntimeError("The recording proxy has no address before it is started.")
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"http://{host}:{self._server.port}"

    def stand_in(self, key: str) -> str:
        """What a client is given in place of the key of that name. Raises KeyError."""
        return self._stand_ins.of(key)

    @property
    def stand_ins(self) -> Mapping[str, str]:
        """All of them, for a redactor."""
        return self._stand_ins.values()

    @property
    def passed(self) -> Sequence[Passage]:
        """What has passed and ended, in the order in which it ended; may be asked from any thread."""
        return tuple(self._passed)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._forwarding is None:
            self._loop = asyncio.get_running_loop()
            self._forwarding = Forwarding(
                self._tenant.base_url,
                self._stand_ins,
                ca_file=self._tenant.ca_file,
                most=self._tenant.limits.max_requests,
                refs=lambda: f"x{next(self._numbers)}",
                keep=self._passed.append,
            )
        await self._forwarding(scope, receive, send)
