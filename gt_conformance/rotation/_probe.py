"""The probes of a rotation: what each key lists and embeds before the command and after it, and how each secret fares.

A :class:`KeyProber` sends one request with one secret and gives an :class:`Observation`. :func:`probe_before` and
:func:`probe_after` make the observations that a rotation needs, and record a step for each with its remedy.
"""

import dataclasses
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from types import TracebackType
from typing import Any, Self

import anyio

from gt_conformance import schema
from gt_conformance.errors import Blocked
from gt_conformance.exchange import Exchange, Failure, NotJson, Request, inert, shortened
from gt_conformance.rotation._rotation import Lifetimes, Phase, Recorder, Target
from gt_conformance.runner import HttpSender
from gt_conformance.tenant import Credential, Secret, Tenant
from gt_conformance.vocabulary import Modality, Outcome, Route

_LONGEST = 200
_TEXT = "The harbour froze in January."
_NO_VERDICT = frozenset({408, 425, 429})  # the tenant says: not now
_FIRST_PAUSE_S = 0.05
_LONGEST_PAUSE_S = 2.0
_GROWTH = 1.5

_NOT_WORKING = "The command was not run: a key that does not work shows nothing after a rotation. Make it work first."
_OTHER = "Make it work, or remove it from the tenant file; otherwise it cannot be judged after the rotation."
_EMBEDS = "Check the key's inference:embed in the tenant file and in the tenant."
_DROP_OLD = "Have the tenant drop the old secret at once, from every cache as well."
_TAKE_NEW = "Check that the command prints the secret of this key, and that the tenant takes a new one at once."
_SAME = "Have the tenant keep the key's allowlists and its embedding model over a rotation."
_APART = "Have the tenant keep keys apart: what happens to one must not reach another."
_MAKE_IT_WORK = "Make it work; the next rotation can then show that it is left as it is."
_AGAIN = "Look again once the tenant answers: `gt-conformance run` with the old secret as retired_secret of the key."


@dataclass(frozen=True, slots=True)
class Observation:
    """What a request with one secret gave. ``seen`` is what was asked for, None where the answer is not usable.

    ``found`` describes the answer in a few words. ``sent`` and ``answered`` are moments of the monotonic clock.
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


class KeyProber:
    """Sends probes to a tenant; an async context manager. Keys are given by name, the sender has their secrets."""

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

    async def names(self, key: str) -> Observation:
        """The names that GET /v1/models lists to the key, sorted."""
        request = Request(Route.MODELS.method, self._tenant.base_url + Route.MODELS.path, key)
        return await self._observe(request, "wire/model-list")

    async def dimension(self, key: str) -> Observation:
        """The length of the vector that POST /v1/embeddings gives the key."""
        body = {"model": self._tenant.model(Modality.EMBEDDINGS), "input": [_TEXT], "encoding_format": "float"}
        address = self._tenant.base_url + Route.EMBEDDINGS.path
        return await self._observe(Request.of_json(Route.EMBEDDINGS.method, address, key, body), "wire/embeddings")

    async def _observe(self, request: Request, wire: str) -> Observation:
        self._sent += 1
        sent = time.monotonic()
        try:
            exchange = await self._sender.send(request, f"x{self._sent:04d}")
        except Blocked as blocked:
            return Observation(None, sent, time.monotonic(), blocked.reason)
        seen, found = _read(exchange, wire)
        return Observation(exchange, sent, time.monotonic(), found, seen)


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
        return None, f"{found}, but {schema.format_path(errors[0].path)}: {errors[0].message}"
    return _seen(body["data"]), found


def _seen(data: Sequence[Any]) -> tuple[str, ...] | int | None:
    if data and "embedding" in data[0]:
        vector = data[0]["embedding"]
        # Base64 of float32 values, where a tenant does not heed encoding_format: four characters stand for three bytes.
        return len(vector) if isinstance(vector, list) else len(vector.rstrip("=")) * 3 // 16
    return tuple(sorted({entry["id"] for entry in data}))


@dataclass(frozen=True, slots=True)
class PollResult:
    """The last observation. ``reached_s`` and ``taken_s`` are in seconds after the command's end.

    The first is when what was waited for was seen, None where it was not; the second when the secret was last let in
    before that.
    """

    last: Observation
    reached_s: float | None
    taken_s: float | None


async def _poll(
    ask: Callable[[], Awaitable[Observation]],
    reached: Callable[[Observation], bool],
    hopeless: Callable[[Observation], bool],
    *,
    ended_at: float,
    grace_s: float,
) -> PollResult:
    """Ask until it is reached, cannot be reached any more, or the grace period is over; once more at its very end."""
    taken_s: float | None = None
    pause = _FIRST_PAUSE_S
    while True:
        observation = await ask()
        if reached(observation):
            return PollResult(observation, observation.answered - ended_at, taken_s)
        if observation.taken:
            taken_s = observation.sent - ended_at
        left = ended_at + grace_s - time.monotonic()
        if left <= 0 or hopeless(observation):
            return PollResult(observation, None, taken_s)
        await anyio.sleep(min(pause, left))
        pause = min(pause * _GROWTH, _LONGEST_PAUSE_S)


@dataclass(frozen=True, slots=True)
class Baseline:
    """What each key saw: names by key, and the dimension of the rotated key's embeddings where that was probed."""

    names: Mapping[str, Observation]
    dimension: Observation | None


async def probe_before(target: Target, recorder: Recorder) -> Baseline:
    """Observe everything that the rotation must leave as it is, and record it."""
    key = target.credential.name
    baseline = await _observe_all(target.tenant, [target.credential, *target.others], embedding=_may_embed(target))

    def record(probe: str, name: str, observation: Observation, does: str, remedy: str) -> bool:
        if observation.seen is not None:
            text = f"{name} {does} {_describe(observation.seen)}"
            return recorder.record(Phase.BEFORE, probe, name, Outcome.CONFORMS, text, observation.exchange)
        text = f"{name} does not {'embed' if does == 'embeds with' else 'work'}: {observation.found}"
        return recorder.record(Phase.BEFORE, probe, name, Outcome.BLOCKED, text, observation.exchange, remedy=remedy)

    if record("key.works", key, baseline.names[key], "works, and lists", _NOT_WORKING):
        for other in target.others:
            record("other.names", other.name, baseline.names[other.name], "lists", _OTHER)
        if baseline.dimension is not None:
            record("key.embedding", key, baseline.dimension, "embeds with", _EMBEDS)
    return baseline


def _may_embed(target: Target) -> bool:
    """Whether the key is declared to embed with the tenant's name for it."""
    key = target.credential
    named = key.may_use(target.tenant.model(Modality.EMBEDDINGS)) is not False
    return key.may(Route.EMBEDDINGS) is True and named


async def _observe_all(tenant: Tenant, keys: list[Credential], *, embedding: bool) -> Baseline:
    """The names that these keys see, and the dimension of the first one's embeddings, asked at the same time."""
    found: dict[str, Observation] = {}
    embedded: list[Observation] = []
    async with KeyProber(tenant) as prober, anyio.create_task_group() as group:

        async def names(key: str) -> None:
            found[key] = await prober.names(key)

        async def dimension(key: str) -> None:
            embedded.append(await prober.dimension(key))

        for key in keys:
            group.start_soon(names, key.name)
        if embedding:
            group.start_soon(dimension, keys[0].name)
    return Baseline(found, embedded[0] if embedded else None)


async def probe_after(
    target: Target, new: Secret, baseline: Baseline, recorder: Recorder, *, ended_at: float, grace_s: float
) -> Lifetimes:
    """Record whether each promise of a rotation holds, and give when each secret was last or first taken."""
    key = target.credential
    rotated = dataclasses.replace(key, secret=new, retired_secret=key.secret)
    tenant = dataclasses.replace(target.tenant, credentials={**target.tenant.credentials, key.name: rotated})
    old, fresh = await _both(tenant, rotated.name, rotated.retired_name, ended_at, grace_s)
    dead = _record_old_secret(recorder, key.name, old, grace_s)
    works = _record_new_secret(recorder, key.name, fresh, grace_s)
    keys = [rotated, *target.others] if works else list(target.others)
    now = await _observe_all(tenant, keys, embedding=works and _may_embed(target))
    if works:
        _record_same(recorder, "key.names", key.name, baseline.names[key.name], now.names[key.name])
    if baseline.dimension is not None and now.dimension is not None:
        _record_same(recorder, "key.embedding", key.name, baseline.dimension, now.dimension)
    for other in target.others:
        _record_same(recorder, "other.names", other.name, baseline.names[other.name], now.names[other.name])
    if dead:
        # It may be dead in one place and alive in another's cache: one more observation, now that time has passed.
        async with KeyProber(tenant) as prober:
            _record_old_at_the_end(recorder, key.name, await prober.names(rotated.retired_name), ended_at)
    return Lifetimes(old.taken_s, old.reached_s, fresh.reached_s)


async def probe_after_failure(target: Target, recorder: Recorder) -> None:
    """Where the command gave no new secret: whether the old one still works."""
    async with KeyProber(target.tenant) as prober:
        _record_old_after_failure(recorder, target.credential.name, await prober.names(target.credential.name))


async def _both(tenant: Tenant, new: str, old: str, ended_at: float, grace_s: float) -> tuple[PollResult, PollResult]:
    found: dict[str, PollResult] = {}
    async with KeyProber(tenant) as prober, anyio.create_task_group() as group:

        async def watch(
            key: str, reached: Callable[[Observation], bool], hopeless: Callable[[Observation], bool]
        ) -> None:
            ask = partial(prober.names, key)
            found[key] = await _poll(ask, reached, hopeless, ended_at=ended_at, grace_s=grace_s)

        # A 403 will hardly turn into a 401; but a new secret may have a way to go until it is known everywhere.
        group.start_soon(watch, old, lambda found: found.dead, lambda found: found.refused)
        group.start_soon(watch, new, lambda found: found.seen is not None, lambda _: False)
    return found[old], found[new]


def _record_old_secret(recorder: Recorder, key: str, old: PollResult, grace_s: float) -> bool:
    """Dead within the grace, with the time it took; True where it is."""
    outcome, remedy = Outcome.CONFORMS, ""
    if old.reached_s is not None:
        text = f"the old secret is refused with 401, {old.reached_s:.2f} s after the command ended"
        if old.taken_s is not None:
            text += f"; at {old.taken_s:.2f} s it was still taken"
    elif old.last.taken:
        outcome, remedy = Outcome.VIOLATES, _DROP_OLD
        text = f"the old secret still works {grace_s:g} s after the command ended (--grace)"
    elif old.last.refused:
        outcome, remedy = Outcome.VIOLATES, _DROP_OLD
        text = f"the old secret is refused, but not with 401: {old.last.found}"
    else:
        outcome, remedy = Outcome.BLOCKED, _AGAIN
        text = f"it is unknown whether the old secret is dead: {old.last.found}"
    return recorder.record(Phase.AFTER, "old.dead", key, outcome, text, old.last.exchange, remedy=remedy)


def _record_new_secret(recorder: Recorder, key: str, new: PollResult, grace_s: float) -> bool:
    """Alive within the grace, with the time it took; True where it is."""
    outcome, remedy = Outcome.CONFORMS, ""
    if new.reached_s is not None:
        text = f"the new secret works, {new.reached_s:.2f} s after the command ended"
    else:
        outcome, remedy = (Outcome.VIOLATES, _TAKE_NEW) if new.last.judged else (Outcome.BLOCKED, _AGAIN)
        text = f"the new secret does not work {grace_s:g} s after the command ended (--grace): {new.last.found}"
    return recorder.record(Phase.AFTER, "new.works", key, outcome, text, new.last.exchange, remedy=remedy)


def _record_same(recorder: Recorder, probe: str, key: str, was: Observation, now: Observation) -> None:
    """What was seen before is seen now."""
    outcome, remedy = Outcome.CONFORMS, ""
    if was.seen is None:
        outcome, remedy = Outcome.BLOCKED, _MAKE_IT_WORK
        text = f"{key} has nothing to be compared with: before, it gave {was.found}"
    elif now.seen is None:
        outcome, remedy = (Outcome.VIOLATES, _APART) if now.judged else (Outcome.BLOCKED, _AGAIN)
        text = f"{key} worked before, and now gives {now.found}"
    elif now.seen != was.seen:
        outcome, remedy = Outcome.VIOLATES, _APART if probe == "other.names" else _SAME
        text = f"{key} {_changed(was.seen, now.seen)}"
    else:
        text = f"{key} {'embeds with' if isinstance(now.seen, int) else 'lists'} {_describe(now.seen)}, as before"
    recorder.record(Phase.AFTER, probe, key, outcome, text, now.exchange, remedy=remedy)


def _record_old_at_the_end(recorder: Recorder, key: str, observation: Observation, ended_at: float) -> None:
    """Dead once, dead for good."""
    at = f"{observation.answered - ended_at:.2f} s after the command ended"
    outcome, remedy, text = Outcome.CONFORMS, "", f"the old secret is still refused, {at}"
    if observation.taken:
        outcome, remedy, text = Outcome.VIOLATES, _DROP_OLD, f"the old secret was refused, and is taken again, {at}"
    elif not observation.dead:
        outcome, remedy = Outcome.BLOCKED, _AGAIN
        text = f"it is unknown whether the old secret is still dead: {observation.found}"
    recorder.record(Phase.AFTER, "old.stays_dead", key, outcome, text, observation.exchange, remedy=remedy)


def _record_old_after_failure(recorder: Recorder, key: str, observation: Observation) -> None:
    """What the old secret's state says about a command that gave no new one. Never more than blocked."""
    if observation.taken:
        text = "the old secret still works: the key does not seem to be rotated"
        remedy = "Correct the command, and rotate again."
    elif observation.refused:
        text = f"the old secret does not work any more ({observation.found}): the key was rotated or revoked"
        remedy = "Take the new secret from where the command stored it; else rotate the key by hand, at the tenant."
    else:
        text = f"it is unknown whether the old secret still works: {observation.found}"
        remedy = "Look again once the tenant answers."
    recorder.record(Phase.AFTER, "old.state", key, Outcome.BLOCKED, text, observation.exchange, remedy=remedy)


def _changed(was: tuple[str, ...] | int, now: tuple[str, ...] | int) -> str:
    if isinstance(was, int) or isinstance(now, int):
        return f"embeds with {_describe(now)}; before, with {_describe(was)}"
    gone, come = (tuple(sorted(set(one) - set(other))) for one, other in ((was, now), (now, was)))
    parts = [f"does not list any more: {_describe(gone)}"] if gone else []
    return "; ".join([*parts, f"lists now, and did not before: {_describe(come)}"] if come else parts)


def _describe(seen: tuple[str, ...] | int | None) -> str:
    """Names with commas between them, or a number of dimensions; shortened, and safe to show."""
    if isinstance(seen, int):
        return f"{seen} dimensions"
    return shortened(str(inert(", ".join(seen or ()))), _LONGEST) or "no names"
