"""What a rotation asks the tenant: one request with one secret, and what its answer shows.

A :class:`KeyProber` sends and gives an :class:`Observation`; it judges nothing. A :class:`Spot` is a surface at an
address, from the table that the checks take their requests from.
"""

import dataclasses
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

import anyio

from gt_conformance import schema
from gt_conformance.checks import (
    QUESTION,
    Address,
    Asking,
    Ids,
    Surface,
    created_conversation,
    in_order,
    requests,
    tell,
    text_in,
)
from gt_conformance.errors import Blocked
from gt_conformance.exchange import Exchange, Failure, FilePart, NotJson, Presentation, Request
from gt_conformance.runner import HttpSender
from gt_conformance.tenant import Limits, Tenant
from gt_conformance.together import together
from gt_conformance.vocabulary import Route

_T = TypeVar("_T")
_NO_VERDICT = frozenset({408, 425, 429})
"""The tenant says: not now."""
_KEY_REFUSED = frozenset({401, 403})
"""No page says which of the two a dead key gets."""


@dataclass(frozen=True)
class Spot:
    """A surface at an address: one place at which a secret can be let in."""

    surface: Surface
    address: Address = Address.VERSIONED

    def __str__(self) -> str:
        """``POST /v1/chat/completions, streamed``."""
        return self.surface.named(self.address).rstrip(",")


@dataclass(frozen=True)
class Observation(Generic[_T]):
    """What a request with one secret gave. ``seen`` is what was asked for, None where the answer is not usable.

    ``found`` describes the answer in a few words. ``sent`` and ``answered`` are moments of the monotonic clock.
    """

    exchange: Exchange | None
    sent: float
    answered: float
    found: str
    seen: _T | None = None

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
        """Whether the secret itself is refused: 401 or 403."""
        return self.status in _KEY_REFUSED

    @property
    def refused(self) -> bool:
        """Whether the tenant refused for good, be it for the key or for another reason."""
        return 400 <= self.status < 500 and self.status not in _NO_VERDICT

    @property
    def judged(self) -> bool:
        """Whether it says something about the tenant: an answer, or none within the time limit."""
        late = self.exchange is not None and self.exchange.failure is Failure.TIMEOUT
        return late or (self.status != 0 and self.status not in _NO_VERDICT)


class KeyProber:
    """Sends probes to a tenant; an async context manager. Keys are given by name, the sender has their secrets.

    ``run_id`` names whatever is created. ``sent`` counts the requests.
    """

    def __init__(self, tenant: Tenant, run_id: str) -> None:
        self._tenant = tenant
        self._run_id = run_id
        self._sender = HttpSender(tenant)
        self.sent = 0

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._sender.close()

    async def names(self, key: str) -> Observation[tuple[str, ...]]:
        """The names that GET /v1/models lists to the key, sorted."""
        request = requests.get(self._tenant, Route.MODELS.path, key)
        return await self._read(request, "wire/model-list", _names_in)

    async def vector(self, key: str, phase: str) -> Observation[tuple[float, ...]]:
        """The vector of a text of this rotation. It is embedded beside another, so that no request is like another."""
        texts = [requests.texts(self._run_id, None)[0], requests.texts(f"{self._run_id} {phase}", None)[0]]
        request = requests.embeddings(self._tenant, key, texts, encoding_format="float")
        return await self._read(request, "wire/embeddings", _vector_in)

    async def open_conversation(self, key: str) -> Observation[str]:
        """The id of a new conversation, named after this rotation."""
        request = requests.conversation(self._tenant, key, self._run_id)
        observation = await self._observe(request)
        made = created_conversation(observation.exchange.response if observation.exchange else None)
        return dataclasses.replace(observation, seen=made)

    async def tell(self, key: str, conversation: str, word: str) -> Observation[str]:
        """The answer to being told a code word in a conversation."""
        return await self._chat(key, conversation, tell(word))

    async def recall(self, key: str, conversation: str) -> Observation[str]:
        """The answer to being asked for the code word of a conversation."""
        return await self._chat(key, conversation, QUESTION)

    async def _chat(self, key: str, conversation: str, prompt: str) -> Observation[str]:
        request = requests.chat(self._tenant, key, prompt, conversation=conversation)
        return await self._read(request, "wire/chat-completion", lambda body: text_in(body["choices"][0]["message"]))

    async def upload_nothing(self, key: str, dataset: str) -> Observation[None]:
        """An upload without its file, which stores nothing: refused for the file where the key may upload there."""
        url = self._tenant.base_url + requests.dataset_path(dataset)
        return await self._observe(Request("POST", url, key, parts=(FilePart("purpose", b"gt-conformance"),)))

    async def upload(self, key: str, dataset: str) -> Observation[None]:
        """An upload of a tiny file, named after this rotation."""
        return await self._observe(requests.upload(self._tenant, requests.dataset_path(dataset), key, self._run_id))

    async def ask(self, spot: Spot, key: str | None, ids: Ids, *, refused: bool = False) -> Observation[None]:
        """What a key gets there; without one, what a made-up key gets. ``refused``: it is asked to be refused."""
        asking = Asking(self._tenant, self._run_id, key, ids)
        request = spot.surface.request(asking, spot.address)
        if key is None:
            request = requests.present(request, Presentation.MADE_UP, None)
        return await self._observe(dataclasses.replace(request, refused=refused))

    async def _read(self, request: Request, wire: str, pick: Callable[[Any], _T]) -> Observation[_T]:
        observation = await self._observe(request)
        if observation.exchange is None or not observation.taken:
            return dataclasses.replace(observation)
        problem, body = _body_of(observation.exchange, wire)
        if problem:
            return dataclasses.replace(observation, found=f"{observation.found}, but {problem}")
        return dataclasses.replace(observation, seen=pick(body))

    async def _observe(self, request: Request) -> Observation[Any]:
        self.sent += 1
        asked = time.monotonic()
        try:
            exchange = await self._sender.send(request, f"x{self.sent:04d}")
        except Blocked as blocked:
            return Observation(None, asked, time.monotonic(), blocked.reason)
        answered = time.monotonic()
        found = f"HTTP {exchange.response.status}" if exchange.response else f"no answer: {exchange.detail}"
        # Waiting for a slot, for the rate or before another attempt is ours: the secret travelled after that.
        return Observation(exchange, max(asked, answered - exchange.elapsed_ms / 1000), answered, found)


def less(limits: Limits, sent: int) -> Limits:
    """The limits that are left once so many requests were sent."""
    return dataclasses.replace(limits, max_requests=max(1, limits.max_requests - sent))


def _body_of(exchange: Exchange, wire: str) -> tuple[str, Any]:
    response = exchange.response
    if response is None or not response.complete:
        return (response.end if response else "nothing came"), None
    try:
        body = response.json()
    except NotJson as error:
        return str(error), None
    errors = schema.load(wire).errors(body)
    return (f"{schema.format_path(errors[0].path)}: {errors[0].message}" if errors else ""), body


def _names_in(body: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(sorted({entry["id"] for entry in body["data"]}))


def _vector_in(body: Mapping[str, Any]) -> tuple[float, ...]:
    try:
        return tuple(requests.floats(in_order(body["data"])[0]["embedding"]))
    except (ValueError, LookupError):
        return ()


# -- how long a secret lives


_FIRST_PAUSE_S = 0.05
_LONGEST_PAUSE_S = 2.0
_GROWTH = 1.5
_MOST_PAUSES = 16
"""About how many of the longest pauses a grace period holds: a long one is looked at more seldom, not more often."""


@dataclass(frozen=True)
class Watched:
    """What became of a secret at one place: the last observation, and two times in seconds after the command's end.

    ``reached_s`` is when what was waited for was seen, None where it was not; ``taken_s`` when the secret was last let
    in before that.
    """

    last: Observation[Any]
    reached_s: float | None = None
    taken_s: float | None = None


@dataclass(frozen=True)
class Deadline:
    """The grace period of a rotation: when the command ended, and for how long the old secret may live after it."""

    ended_at: float
    grace_s: float

    def after(self, moment: float) -> float:
        """Seconds from the command's end to that moment."""
        return moment - self.ended_at

    @property
    def left_s(self) -> float:
        """Seconds until it is over; not positive once it is."""
        return self.ended_at + self.grace_s - time.monotonic()


@dataclass(frozen=True)
class Goal:
    """What is waited for at each place, and when it cannot come any more."""

    reached: Callable[[Observation[Any]], bool]
    hopeless: Callable[[Observation[Any]], bool] = lambda _: False


DEAD = Goal(lambda seen: seen.dead, lambda seen: seen.refused)
"""The secret itself is refused. Another 4xx, which says nothing of the secret, will hardly turn into that."""
TAKEN = Goal(lambda seen: seen.taken)
"""The secret is let in: a new one may have a way to go until it is known everywhere."""
USABLE = Goal(lambda seen: seen.seen is not None)
"""The answer holds what was asked for."""


async def watch(
    places: Iterable[Spot],
    ask: Callable[[Spot], Awaitable[Observation[Any]]],
    goal: Goal,
    deadline: Deadline,
) -> Mapping[Spot, Watched]:
    """Ask at all places together, one round after the other; a place that has shown the goal is asked no more.

    It ends with the grace period, after one more round at its very end.
    """
    pending = list(places)
    found: dict[Spot, Watched] = {}
    taken: dict[Spot, float] = {}
    pause = _FIRST_PAUSE_S
    longest = max(_LONGEST_PAUSE_S, deadline.grace_s / _MOST_PAUSES)
    while pending:
        for spot, seen in zip(pending, await together(map(ask, pending)), strict=True):
            reached = goal.reached(seen)
            if seen.taken and not reached:
                taken[spot] = deadline.after(seen.sent)
            found[spot] = Watched(seen, deadline.after(seen.answered) if reached else None, taken.get(spot))
        pending = [spot for spot in pending if found[spot].reached_s is None and not goal.hopeless(found[spot].last)]
        left = deadline.left_s
        if left <= 0:
            break
        if pending:
            await anyio.sleep(min(pause, left))
            pause = min(pause * _GROWTH, longest)
    return found
