"""A fleet of embedded tenants behind one port, each below a path of its own, as many as are asked for.

A tenant is put together when its first request comes, and forgotten when many others were asked for since: its secrets
are made from its id, so that it is the same tenant when it comes back, with nothing in it.
"""

import base64
import hashlib
import hmac
import json
import secrets as randoms
from collections import OrderedDict
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
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
_NOWHERE = "http://127.0.0.1:9"
"""Where nobody listens."""
_LIMITS = {"requests_per_minute": 60_000, "timeout_s": 60, "poll_timeout_s": 60, "max_requests": 1000}
"""A machine that judges many tenants and is all of them answers late."""


class EmbeddedFleet:
    """Conforming tenants at ``http://127.0.0.1:PORT/t/ID/api/tenant``. A context manager.

    ``ids`` are theirs. ``altered`` has the middleware of some of them, such as a fault's, ``middleware`` that of all.
    """

    def __init__(
        self,
        ids: Sequence[str],
        *,
        altered: Mapping[str, Sequence[MiddlewareFactory]] | None = None,
        middleware: Sequence[MiddlewareFactory] = (),
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        self.ids = tuple(ids)
        self._known = frozenset(self.ids)
        self._altered = altered or {}
        self._middleware = tuple(middleware)
        self._seed = randoms.token_bytes(32)
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

    def write(
        self,
        folder: Path,
        *,
        unreachable: Collection[str] = (),
        without_secrets: Collection[str] = (),
        limits: Mapping[str, object] | None = None,
        more: Mapping[str, object] | None = None,
    ) -> Path:
        """Write what an operator would: fleet.yaml, a template, a list in CSV and the secrets; gives the fleet file.

        ``unreachable`` tenants have an address at which nobody listens, others no secret. ``limits`` go into the
        template, ``more`` into the fleet file.
        """
        folder.mkdir(parents=True, exist_ok=True)
        for tenant in self.ids:
            if tenant not in without_secrets:
                _write_secrets(folder / "secrets" / tenant, self.secrets(tenant))
        document = _from_files(self.tenant_document("{id}"))
        origin = self.base_url("{id}").partition(_ROOT)[0]
        document["base_url"] = self.base_url("{id}").replace(origin, "{origin}")
        document["keys"] = {name: _from_files(entry) for name, entry in _keys_of(document).items()}
        document["limits"] = {**_LIMITS, **(limits or {})}
        lines = [f"{tenant},{_NOWHERE if tenant in unreachable else origin}" for tenant in self.ids]
        fleet = {"lists": [{"csv": "tenants.csv", "template": "tenant.yaml"}], **(more or {})}
        path = folder / "fleet.yaml"
        for name, text in {
            "tenants.csv": "\n".join(["id,origin", *lines]),
            "tenant.yaml": json.dumps(document, indent=1),
            path.name: json.dumps(fleet, indent=1),  # JSON is YAML
        }.items():
            (folder / name).write_text(text + "\n", encoding="utf-8")
        return path

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


def _keys_of(document: Mapping[str, object]) -> Mapping[str, Mapping[str, object]]:
    keys = document["keys"]
    assert isinstance(keys, Mapping), "a tenant file has keys"  # noqa: S101 - for the type checker
    return keys


def _from_files(entry: Mapping[str, object]) -> dict[str, object]:
    """The same with secrets that are read from files instead of variables."""
    found: dict[str, object] = {}
    for word, value in entry.items():
        if word.endswith("_env"):
            found[word.removesuffix("env") + "file"] = f"secrets/{{id}}/{value}"
        else:
            found[word] = value
    return found


def _write_secrets(folder: Path, secrets: Mapping[str, str]) -> None:
    folder.mkdir(parents=True)
    for variable, secret in secrets.items():
        (folder / variable).write_text(secret, encoding="utf-8")
