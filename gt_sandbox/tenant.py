"""The embedded tenant: one GT deployment on loopback, with its keys, for as long as it runs."""

import importlib.metadata
from collections.abc import Mapping, Sequence
from types import MappingProxyType, TracebackType
from typing import Self

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gt_loopback import BackgroundServer
from gt_sandbox.accounts import (
    ADMIN_ROOT,
    DECLARED,
    DEDICATED,
    INTERNAL_DATASETS,
    INTERNAL_IDS,
    OTHER_TENANT,
    PRESETS,
    UNDECLARED,
    Ability,
    Accounts,
    Administration,
    Key,
    PresetKey,
    Secrets,
)
from gt_sandbox.app import BASE, build
from gt_sandbox.middleware import MiddlewareFactory

KEYS = (*DECLARED, *UNDECLARED)
"""Every key of a tenant, in the tenant file or not."""
_LIMITS = {"concurrency": 8, "requests_per_minute": 60_000, "timeout_s": 20, "poll_timeout_s": 20, "max_requests": 1000}


MARK = "X-GT-Conformance-Sandbox"
"""The header of every answer, with the version of this suite."""


class _Marked:
    """Adds the mark to each answer of an application, whatever wraps that."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._header = (MARK.lower().encode(), _version().encode())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def mark(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message.get("headers", ()), self._header]}
            await send(message)

        await self._app(scope, receive, mark)


def _version() -> str:
    try:
        return importlib.metadata.version("gt-conformance")
    except importlib.metadata.PackageNotFoundError:  # run from a copy that nobody installed
        return "unknown"


class Deployment:
    """A conforming tenant as an application, with state and secrets of its own, wherever it is served."""

    def __init__(
        self, *, middleware: Sequence[MiddlewareFactory] = (), marked: bool = True, secrets: Secrets | None = None
    ) -> None:
        self.secrets = secrets or Secrets(KEYS)
        accounts = Accounts(KEYS, self.secrets)
        self.administration = Administration(KEYS, self.secrets, accounts)
        self.app = build(accounts, beside=self.administration.routes())
        for make in reversed(middleware):
            self.app = make(self.secrets)(self.app)
        if marked:
            self.app = _Marked(self.app)


def document_at(base_url: str) -> dict[str, object]:
    """What a tenant file for a deployment at that address holds. It names the variables of secrets only."""
    return {
        "base_url": base_url,
        "models": {ability.value: "field-analyst" for ability in Ability},
        "raw_models": sorted({name for key in DECLARED for name in key.raw_models}),
        "unpublished_models": list(INTERNAL_IDS),
        "internal_datasets": list(INTERNAL_DATASETS),
        "other_tenant_key_env": OTHER_TENANT,
        "dataset": "scratch-briefs",
        "dataset_attached": True,
        "keys": {key.name: key.entry(_undeclared_links(key)) for key in DECLARED},
        "runbooks": {name: {"key": name} for name in DEDICATED},
        "limits": dict(_LIMITS),
    }


def _undeclared_links(key: Key) -> Sequence[Key]:
    return [linked for linked in UNDECLARED if linked.name in key.inherits]


class EmbeddedTenant:
    """A conforming tenant with state and secrets of its own. A context manager; may be started again once stopped.

    ``middleware`` makes what wraps the application, the first one outermost: it sees every request before
    authentication and every response on its way out. Every answer carries ``MARK``, so that nobody takes what is proved
    here for a proof about a tenant; it is left out (``marked=False``) only to try how a live tenant is dealt with.
    """

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        middleware: Sequence[MiddlewareFactory] = (),
        marked: bool = True,
    ) -> None:
        self._deployment = Deployment(middleware=middleware, marked=marked)
        self._host = host
        self._port = port
        self._server: BackgroundServer | None = None

    def start(self) -> None:
        """Listen. Raises OSError where the port is taken, RuntimeError where it listens already."""
        if self._server is not None:
            raise RuntimeError("The embedded tenant runs already.")
        server = BackgroundServer(self._deployment.app, self._host, self._port, name="embedded tenant")
        server.start()
        self._server = server

    def stop(self) -> None:
        """Stop, closing open connections. Does nothing where it does not run."""
        server, self._server = self._server, None
        if server is not None:
            server.stop()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def base_url(self) -> str:
        """``http://127.0.0.1:PORT/api/tenant``. Raises RuntimeError before the port is known."""
        return self._origin() + BASE

    @property
    def admin_url(self) -> str:
        """``http://127.0.0.1:PORT/sandbox``: below it, ``POST /keys/{name}/rotate`` rotates a key."""
        return self._origin() + ADMIN_ROOT

    @property
    def admin_token(self) -> str:
        """What opens the administration, as a bearer token; made for this instance."""
        return self._deployment.administration.token

    def _origin(self) -> str:
        port = self._server.port if self._server else self._port
        if not port:
            raise RuntimeError("The embedded tenant has no address before it is started.")
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"http://{host}:{port}"

    @property
    def secrets(self) -> Mapping[str, str]:
        """Environment variable to secret: what the tenant file's ``secret_env`` entries refer to."""
        return self._deployment.secrets

    @property
    def presets(self) -> Mapping[str, PresetKey]:
        """Preset of the key wizard to a key that shows what it grants, for people who try a client by hand."""
        named = {key.name: PresetKey(key.name, self.secrets[key.env]) for key in KEYS}
        return MappingProxyType({preset: named[name] for preset, name in PRESETS.items()})

    def tenant_document(self) -> dict[str, object]:
        """What a tenant file for it holds. It names the variables of secrets only."""
        return document_at(self.base_url)
