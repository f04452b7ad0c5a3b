"""A fleet of embedded tenants behind one port, each below a path of its own, as many as are asked for.

A tenant is put together when its first request comes, and forgotten when many others were asked for since: its secrets
are made from its id, so that it is the same tenant when it comes back, with nothing in it.
"""

import base64
import hashlib
import hmac
import secrets as randoms
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Self

from starlette.types import ASGIApp, Receive, Scope, Send

from gt_loopback import BackgroundServer
from gt_sandbox.accounts import Secrets
from gt_sandbox.app import BASE
from gt_sandbox.middleware import MiddlewareFactory
from gt_sandbox.protocol import not_found
from gt_sandbox.tenant import KEYS, Deployment, document_at

_ROOT = "/t/"
_MOST_KEPT = 512
"""Far more than anybody judges at once."""


class EmbeddedFleet:
    """Conforming tenants at ``http://127.0.0.1:PORT/t/ID/api/tenant``. A context manager.

    ``ids`` are theirs. ``altered`` has the middleware of some of them, such as a fault's, ``middleware`` that of all.
    The secrets are made from ``seed``, so that another process can make them too.
    """

    def __init__(
        self,
        ids: Sequence[str],
        *,
        altered: Mapping[str, Sequence[MiddlewareFactory]] | None = None,
        middleware: Sequence[MiddlewareFactory] = (),
        host: str = "127.0.0.1",
        port: int = 0,
        seed: bytes | None = None,
    ) -> None:
        self.ids = tuple(ids)
        self._known = frozenset(self.ids)
        self._altered = altered or {}
        self._middleware = tuple(middleware)
        self._seed = seed or randoms.token_bytes(32)
        self._kept: OrderedDict[str, ASGIApp] = OrderedDict()
        self._host = host
        self._server = BackgroundServer(self._serve, host, port, name="fleet of embedded tenants")

    def __enter__(self) -> Self:
        """Listen."""
        self._server.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop, closing open connections."""
        self._server.stop()

    def base_url(self, tenant: str) -> str:
        """The base URL of a tenant; of ``{id}`` that of a template."""
        return f"http://{self._host}:{self._server.port}{_ROOT}{tenant}{BASE}"

    def secrets(self, tenant: str) -> Mapping[str, str]:
        """Environment variable to secret, as the tenant file's entries name them."""
        return Secrets(KEYS, lambda variable: self._secret(tenant, variable))

    def tenant_document(self, tenant: str) -> dict[str, object]:
        """What a tenant file for it holds; of ``{id}`` what a template for all of them does."""
        return document_at(self.base_url(tenant))

    def _secret(self, tenant: str, variable: str) -> str:
        digest = hmac.digest(self._seed, f"{tenant} {variable}".encode(), hashlib.sha256)
        return "gtak_" + base64.urlsafe_b64encode(digest).decode().rstrip("=")

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        tenant, slash, rest = scope["path"].removeprefix(_ROOT).partition("/")
        if tenant not in self._known:
            await not_found("There is no such tenant.").response()(scope, receive, send)
            return
        raw = scope["raw_path"][len(_ROOT) + len(tenant) :]
        await self._app(tenant)({**scope, "path": slash + rest, "raw_path": raw}, receive, send)

    def _app(self, tenant: str) -> ASGIApp:
        app = self._kept.get(tenant)
        if app is None:
            secrets = Secrets(KEYS, lambda variable: self._secret(tenant, variable))
            middleware = (*self._middleware, *self._altered.get(tenant, ()))
            app = self._kept[tenant] = Deployment(middleware=middleware, secrets=secrets).app
            if len(self._kept) > _MOST_KEPT:
                self._kept.popitem(last=False)
        self._kept.move_to_end(tenant)
        return app
