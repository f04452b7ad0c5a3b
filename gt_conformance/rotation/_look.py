"""One look at the tenant with one secret: what it sees, or how it is refused."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from gt_conformance import schema
from gt_conformance.errors import Blocked
from gt_conformance.exchange import Exchange, Failure, NotJson, Request, inert, shortened
from gt_conformance.runner import HttpSender
from gt_conformance.tenant import Tenant
from gt_conformance.vocabulary import Modality, Route

_LONGEST = 200
_TEXT = "The harbour froze in January."
_NO_VERDICT = frozenset({408, 425, 429})  # the tenant says: not now


@dataclass(frozen=True, slots=True)
class Look:
    """What a request with one secret gave. ``seen`` is what it was to see, None where it saw nothing usable.

    ``found`` says in a few words what came. ``sent`` and ``answered`` are moments of the monotonic clock.
    """

    exchange: Exchange | None
    sent: float
    answered: float
    found: str
    seen: tuple[str, ...] | int | None = None

    @property
    def status(self) -> int:
        """The status, 0 where nothing came."""
        return self.exchange.response.status if self.exchange and self.exchange.response else 0

    @property
    def taken(self) -> bool:
        """Whether the secret was let in: a 2xx, whatever it holds."""
        return 200 <= self.status < 300

    @property
    def dead(self) -> bool:
        """Whether the secret is unknown to the tenant, and it says so as it should: 401."""
        return self.status == 401

    @property
    def refused(self) -> bool:
        """Whether the tenant refused for good, be it with 401 or another 4xx."""
        return 400 <= self.status < 500 and self.status not in _NO_VERDICT

    @property
    def judged(self) -> bool:
        """Whether it says something about the tenant: an answer, or none within the time limit."""
        late = self.exchange is not None and self.exchange.failure is Failure.TIMEOUT
        return late or (self.status != 0 and self.status not in _NO_VERDICT)


class Looker:
    """Looks at a tenant over one sender; an async context manager. Keys are named, secrets are the sender's."""

    def __init__(self, tenant: Tenant) -> None:
        self._tenant = tenant
        self._sender = HttpSender(tenant)
        self._sent = 0

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._sender.close()

    async def names(self, key: str) -> Look:
        """The names that GET /v1/models lists to the key, sorted."""
        request = Request(Route.MODELS.method, self._tenant.base_url + Route.MODELS.path, key)
        return await self._look(request, "wire/model-list")

    async def dimension(self, key: str) -> Look:
        """The length of the vector that POST /v1/embeddings gives the key."""
        body = {"model": self._tenant.model(Modality.EMBEDDINGS), "input": [_TEXT], "encoding_format": "float"}
        address = self._tenant.base_url + Route.EMBEDDINGS.path
        return await self._look(Request.of_json(Route.EMBEDDINGS.method, address, key, body), "wire/embeddings")

    async def _look(self, request: Request, wire: str) -> Look:
        self._sent += 1
        sent = time.monotonic()
        try:
            exchange = await self._sender.send(request, f"x{self._sent:04d}")
        except Blocked as blocked:
            return Look(None, sent, time.monotonic(), blocked.reason)
        seen, found = _read(exchange, wire)
        return Look(exchange, sent, time.monotonic(), found, seen)


def _read(exchange: Exchange, wire: str) -> tuple[tuple[str, ...] | int | None, str]:
    response = exchange.response
    if response is None:
        return None, f"no answer: {exchange.detail}"
    found = f"HTTP {response.status}"
    if not response.succeeded:
        return None, found
    if not response.complete:
        return None, f"{found}, but {response.end}"
    try:
        body = response.json()
    except NotJson as error:
        return None, f"{found}, but {error}"
    errors = schema.load(wire).errors(body)
    if errors:
        return None, f"{found}, but {schema.spelled(errors[0].path)}: {errors[0].message}"
    return _seen(body["data"]), found


def _seen(data: Sequence[Any]) -> tuple[str, ...] | int | None:
    if data and "embedding" in data[0]:
        vector = data[0]["embedding"]
        # Base64 of float32 values, where a tenant does not heed encoding_format: four characters stand for three bytes.
        return len(vector) if isinstance(vector, list) else len(vector.rstrip("=")) * 3 // 16
    return tuple(sorted({entry["id"] for entry in data}))


def told(seen: tuple[str, ...] | int | None) -> str:
    """Names with commas between them, or a number of dimensions; shortened, and safe to show."""
    if isinstance(seen, int):
        return f"{seen} dimensions"
    return shortened(str(inert(", ".join(seen or ()))), _LONGEST) or "no names"
