"""An ASGI application served on this machine: Uvicorn in a background thread, up at once, down at once, silent.

It knows nothing of the GT API. The embedded tenant listens by it, and so does the proxy that records real clients; it
is a package of its own so that neither of them has to know the other's.
"""

import asyncio
import errno
import os
import socket
import threading
from contextlib import suppress

from starlette.types import ASGIApp
from uvicorn.config import Config
from uvicorn.server import Server

__all__ = ["BackgroundServer"]

_START_DEADLINE_S = 10.0
_STOP_DEADLINE_S = 5.0
_CANCEL_DEADLINE_S = 0.1
_PORT_IS_AT_FAULT = {errno.EADDRINUSE, errno.EACCES}


class BackgroundServer:
    """One application behind one listening socket, served by a thread of its own.

    ``name`` names what is served, in errors and as the name of the thread. ``dated`` adds a Date to every response.
    """

    def __init__(self, app: ASGIApp, host: str, port: int, *, name: str, dated: bool = True) -> None:
        self._name = name
        self._socket = _listen(host, port)
        self.port: int = self._socket.getsockname()[1]
        config = Config(
            app,
            interface="asgi3",
            loop="asyncio",
            http="h11",
            ws="none",
            lifespan="off",
            log_config=None,
            log_level="critical",
            access_log=False,
            server_header=False,
            date_header=dated,
            proxy_headers=False,
            timeout_keep_alive=75,  # longer than any client's own: else a reused connection may just be closing
        )
        self._server = _ImmediateServer(config)
        self._thread = threading.Thread(target=self._run, name=f"{name.replace(' ', '-')}-{self.port}", daemon=True)

    def start(self) -> None:
        """Return once it listens. Raises OSError if it does not start to."""
        self._thread.start()
        self._server.ready.wait(_START_DEADLINE_S)
        if not self._server.started:
            raise OSError(f"The {self._name} did not start listening on port {self.port}.")

    def stop(self) -> None:
        """Close the socket and every connection, and return once the thread has ended."""
        self._server.request_stop()
        self._thread.join(_STOP_DEADLINE_S)

    def _run(self) -> None:
        try:
            asyncio.run(self._server.serve(sockets=[self._socket]))
        finally:
            self._server.ready.set()
            self._socket.close()


class _ImmediateServer(Server):
    """Uvicorn's server, without its waits: for the next tick before stopping, and for clients to hang up."""

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self.ready = threading.Event()
        self._stopping = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None

    def request_stop(self) -> None:
        """Safe from any thread."""
        self.should_exit = True
        if self._loop is not None:
            with suppress(RuntimeError):  # the loop may have ended by itself
                self._loop.call_soon_threadsafe(self._stopping.set)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._loop = asyncio.get_running_loop()
        self.ready.set()

    async def main_loop(self) -> None:
        while not await self.on_tick(0):  # keeps the Date header fresh
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), 1)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:  # noqa: ARG002 - uvicorn's signature
        listeners = [listener for server in self.servers for listener in server.sockets]
        with suppress(NotImplementedError):  # Windows, whose loop has no readers
            for listener in listeners:
                asyncio.get_running_loop().remove_reader(listener)
        await _run_pending()  # what has just been accepted becomes a connection: Python 3.12 would lose it otherwise
        for server in self.servers:
            server.close()
        connections = tuple(self.server_state.connections)
        for connection in connections:
            connection.transport.close()
        await _run_pending()
        for connection in connections:
            connection.transport.abort()  # where the other side does not read what is still to be sent
        await _run_pending()
        tasks = tuple(self.server_state.tasks)  # whose client is gone by now: none can answer with a last 500
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=_CANCEL_DEADLINE_S)


async def _run_pending() -> None:
    """Let the loop run what is due, and what follows from it."""
    for _ in range(8):
        await asyncio.sleep(0)


def _listen(host: str, port: int) -> socket.socket:
    """Bind in the caller's thread, so that a taken port is an error there and the port is known at once."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)  # asyncio sets TCP_NODELAY if it sees TCP
    try:
        if os.name == "posix":
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(128)
    except OSError as error:
        listener.close()
        advice = "; choose another port, or 0 for a free one" if error.errno in _PORT_IS_AT_FAULT else ""
        message = f"cannot listen on {host}:{port}: {error.strerror or error}{advice}"
        raise OSError(error.errno, message) from error
    return listener
