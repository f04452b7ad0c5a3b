"""A proxy on loopback that passes nothing on: it notes which hosts a client tries to reach, and refuses."""

import socketserver
import threading
from collections.abc import Mapping
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

_LONGEST_LINE = 4_096
_MOST_HOSTS = 50
_PATIENCE_S = 5.0
_REFUSAL = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class Sink:
    """Listens while it is entered; ``hosts`` are those that were asked for, each once, in their order."""

    def __init__(self) -> None:
        self._hosts: dict[str, None] = {}
        self._server = _Server(("127.0.0.1", 0), _handler(self._hosts))
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), name="sink", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(_PATIENCE_S)

    @property
    def hosts(self) -> tuple[str, ...]:
        """The hosts, without their ports."""
        return tuple(self._hosts)

    @property
    def environment(self) -> Mapping[str, str]:
        """The variables by which most programs take it for their proxy, for all but this machine."""
        address = f"http://127.0.0.1:{self._server.server_address[1]}"
        proxies = {
            name: address for kind in ("HTTP", "HTTPS", "ALL") for name in (f"{kind}_PROXY", f"{kind}_proxy".lower())
        }
        none = dict.fromkeys(("NO_PROXY", "no_proxy"), "127.0.0.1,localhost,::1")
        return {**proxies, **none, "NODE_USE_ENV_PROXY": "1"}


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    block_on_close = False


def _handler(hosts: dict[str, None]) -> type[socketserver.BaseRequestHandler]:
    class Refusing(socketserver.StreamRequestHandler):
        timeout = _PATIENCE_S

        def handle(self) -> None:
            words = self.rfile.readline(_LONGEST_LINE).decode("latin-1").split()
            if len(words) > 1:
                # CONNECT names host and port, every other method a whole URL.
                target = words[1] if "://" in words[1] else f"//{words[1]}"
                host = urlsplit(target).hostname
                if host and len(hosts) < _MOST_HOSTS:
                    hosts.setdefault(host)
            while self.rfile.readline(_LONGEST_LINE).strip():
                pass
            self.wfile.write(_REFUSAL)

    return Refusing
