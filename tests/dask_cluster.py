"""A scheduler and workers of Dask on loopback, as processes, started by the commands that people start them by."""

import json
import signal
import socket
import socketserver
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from distributed import Client

from tests.commands import DEADLINE_S, environment, until

DASK = Path(sys.executable).with_name("dask")


@dataclass
class Cluster:
    """A scheduler with workers of one thread each. A context manager; ``overheard`` is what the scheduler was sent."""

    folder: Path
    workers: int
    tls: Sequence[str] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    processes: list["subprocess.Popen[bytes]"] = field(default_factory=list)
    _stack: ExitStack = field(default_factory=ExitStack)

    def __enter__(self) -> Self:
        """Start them, without waiting for the workers."""
        self.folder.mkdir()
        described = self.folder / "scheduler.json"
        protocol = "tls" if self.tls else "tcp"
        self.scheduler = self._start(
            "scheduler",
            *("--protocol", protocol, "--host", "127.0.0.1", "--port", "0", "--no-show"),
            *("--scheduler-file", str(described)),
        )
        until(lambda: address_in(described) or self.scheduler.poll() is not None, seconds=DEADLINE_S)
        port = int(address_in(described).rpartition(":")[2])
        self._relay = self._stack.enter_context(Relay(port))
        self.address = f"{protocol}://127.0.0.1:{self._relay.port}"
        for number in range(self.workers):
            self.add_worker(f"worker-{number}")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End all of them."""
        for process in (*self.processes, self.scheduler):
            process.kill()
            process.wait(DEADLINE_S)
        self._stack.close()

    def add_worker(self, name: str) -> None:
        """Start another one. None is started again by itself: one that is killed is lost."""
        words = ("--name", name, "--nthreads", "1", "--no-nanny", "--memory-limit", "0", "--host", "127.0.0.1")
        folder = ("--local-directory", str(self.folder / name))
        self.processes.append(self._start("worker", self.address, *words, *folder))

    def kill(self, number: int) -> None:
        """Kill a worker as a machine that loses power does: it says nothing to anybody."""
        self.processes[number].send_signal(signal.SIGKILL)

    def under_way(self) -> int:
        """How many tasks the workers are doing."""
        with Client(self.address, set_as_default=False) as client:
            return sum(client.run(lambda dask_worker: dask_worker.state.executing_count).values())

    @property
    def overheard(self) -> bytes:
        """All that workers and clients sent to the scheduler and were answered."""
        return b"".join(self._relay.seen)

    def _start(self, kind: str, *words: str) -> "subprocess.Popen[bytes]":
        log = (self.folder / f"{kind}-{len(self.processes)}.log").open("wb")
        self._stack.callback(log.close)
        here = {"DASK_DISTRIBUTED__COMM__COMPRESSION": "None", "DASK_TEMPORARY_DIRECTORY": str(self.folder)}
        env = environment({**here, **self.env})
        line = [str(DASK), kind, *words, "--no-dashboard", *self.tls]
        return subprocess.Popen(line, env=env, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.folder)


def address_in(described: Path) -> str:
    """The address in a scheduler's file; empty while that is not written to its end."""
    try:
        return str(json.loads(described.read_text())["address"])
    except (OSError, ValueError):
        return ""


class Relay:
    """Listens on a port of its own, passes everything on to another, and keeps what passes."""

    def __init__(self, port: int) -> None:
        self.seen: list[bytes] = []
        seen = self.seen

        class Passing(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                with socket.create_connection(("127.0.0.1", port)) as further:
                    back = threading.Thread(target=pass_on, args=(further, self.request, seen), daemon=True)
                    back.start()
                    pass_on(self.request, further, seen)
                    back.join()

        class Server(socketserver.ThreadingTCPServer):
            daemon_threads = True
            block_on_close = False

            def handle_error(self, request: object, client_address: object) -> None:
                """What is on its way when the scheduler ends is lost."""

        self._server = Server(("127.0.0.1", 0), Passing)
        self.port = int(self._server.server_address[1])

    def __enter__(self) -> Self:
        """Listen."""
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop."""
        self._server.shutdown()
        self._server.server_close()


def pass_on(source: socket.socket, target: socket.socket, seen: list[bytes]) -> None:
    """Until one of them ends."""
    try:
        while found := source.recv(1 << 16):
            seen.append(found)
            target.sendall(found)
    except OSError:
        pass
    for one in (source, target):
        with suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)
