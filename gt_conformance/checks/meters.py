"""Meters: whether the usage that answers state is possible for what was sent, from the exchanges of the whole run."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from gt_conformance.checks._check import SEVERAL_KEYS, check
from gt_conformance.checks._completion import bodies_in
from gt_conformance.checks._probe import Probe
from gt_conformance.exchange import Exchange, Response, parse_json
from gt_conformance.vocabulary import CONVERSATION_HEADER, Actor, Route, Severity

_CHARACTERS_PER_TOKEN = 40
"""More characters to a token than any tokenizer reaches on English text: their longest tokens are shorter."""
_LONGER = 10
_APART = 2


@check(
    "usage.plausible",
    claim="The tokens that answers state are possible for what was asked.",
    remedy="Have the tenant pass on the usage that the model's server counts, for plain and streamed chats alike.",
    source="OpenAI API reference, the usage object",
    acts=Actor.TENANT,
    severity=Severity.LOW,
    only_advises=True,
    tenant_wide=SEVERAL_KEYS,
    whole_run=True,
)
async def plausible(probe: Probe) -> None:
    """Nothing is sent: the usage in every chat of the run is compared with its request and with the others.

    A completion is no longer than its limit, and not empty where there is text; a prompt has tokens for its text, more
    for one that is ten times as long; the same chat counts alike, plain and streamed.
    """
    readings = [reading for exchange in probe.seen if (reading := _read(exchange)) is not None]
    for reading in readings:
        for text in _doubts(reading):
            probe.advise(text, probe.note(reading.exchange))
    _compare_lengths(probe, readings)
    _compare_ways(probe, readings)


@dataclass(frozen=True)
class Reading:
    """One chat of the run: what was asked, and what its answer counts."""

    exchange: Exchange
    body: Mapping[str, Any]
    prompt: int | None
    completion: int | None

    @property
    def characters(self) -> int:
        """Those of its messages' texts."""
        messages = self.body["messages"]
        return sum(len(one["content"]) for one in messages if isinstance(one.get("content"), str))

    @property
    def limit(self) -> int | None:
        """The limit on the completion's tokens that was asked for."""
        return next((self.body[name] for name in ("max_completion_tokens", "max_tokens") if name in self.body), None)

    @property
    def is_in_conversation(self) -> bool:
        """Whether it names a GT conversation."""
        return CONVERSATION_HEADER in dict(self.exchange.request.headers)

    @property
    def asked(self) -> tuple[str | None, str]:
        """The key, and what it asked for, streamed or not: the same is counted alike."""
        way = {"stream", "stream_options"}
        return self.exchange.request.key, str(sorted((k, str(v)) for k, v in self.body.items() if k not in way))


def _read(exchange: Exchange) -> Reading | None:
    """What is metered of an exchange; None where it is no answered chat, or its answer states no usage."""
    response = exchange.response
    request = exchange.request
    if response is None or not response.succeeded or not request.body or not request.path.endswith(_CHAT_PATH):
        return None
    body = parse_json(exchange.request.body.decode(errors="replace"))
    usage = next(iter(_usages(response)), None)
    if usage is None:
        return None
    return Reading(exchange, body, _count(usage.get("prompt_tokens")), _count(usage.get("completion_tokens")))


_CHAT_PATH = Route.CHAT.path.removeprefix("/v1")


def _usages(response: Response) -> Iterator[Mapping[str, Any]]:
    """The usage that an answer states, of a stream the last one first."""
    for body in reversed(bodies_in(response)):
        if isinstance(body.get("usage"), dict):
            yield body["usage"]


def _count(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _doubts(reading: Reading) -> Iterator[str]:
    limit, prompt, completion = reading.limit, reading.prompt, reading.completion
    if limit is not None and completion is not None and completion > limit:
        yield "usage: more completion tokens than the limit that was asked for allows"
    if completion is not None and completion <= 0:
        yield "usage: no completion tokens for an answer"
    if prompt is not None and prompt * _CHARACTERS_PER_TOKEN < reading.characters:
        yield "usage: too few prompt tokens for the text that was sent"


def _compare_lengths(probe: Probe, readings: list[Reading]) -> None:
    """The longest prompt against the shortest of the same key, where one is far longer."""
    by_length = sorted((one for one in readings if one.prompt is not None), key=lambda one: one.characters)
    if not by_length:
        return
    short, long = by_length[0], by_length[-1]
    grows = (long.prompt or 0) > (short.prompt or 0)
    if long.characters > _LONGER * max(1, short.characters):
        text = "usage: prompt tokens do not grow with the prompt"
        probe.should(grows, f"{text}: {long.characters} characters count as {long.prompt}", probe.note(long.exchange))


def _compare_ways(probe: Probe, readings: list[Reading]) -> None:
    """The same chat, plain and streamed: its prompt has as many tokens, within a factor of two.

    One in a conversation is left out: what was said there before counts as well.
    """
    first: dict[object, Reading] = {}
    for reading in (one for one in readings if one.prompt and not one.is_in_conversation):
        other = first.setdefault(reading.asked, reading)
        low, high = sorted((reading.prompt or 0, other.prompt or 0))
        if high > _APART * low:
            text = f"usage: the same prompt counts as {low} and as {high} tokens, plain and streamed"
            probe.advise(text, probe.note(reading.exchange))
