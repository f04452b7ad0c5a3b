"""Meters: whether the usage that answers state is possible for what was sent, from the exchanges of the whole run."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from gt_conformance import schema
from gt_conformance.checks._check import SEVERAL_KEYS, check
from gt_conformance.checks._completion import bodies_in
from gt_conformance.checks._probe import Probe
from gt_conformance.exchange import Exchange, Response, joined_text
from gt_conformance.vocabulary import CONVERSATION_HEADER, Actor, Route, Severity

_CHARACTERS_PER_TOKEN = 40
"""More characters to a token than any tokenizer reaches on English text: their longest tokens are shorter."""
_LONGER = 10
_PUT_OFF = "HTTP 429"
_APART = 2
_FAR_APART = 5
_LIKE = 4
"""Prompts are of like length where one has at most so many times the characters of the other."""
"""More than the words of the two shortest prompts of a run differ by, plain and streamed."""


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

    A completion is no longer than its limit, not empty where there is text, and has tokens for it; a prompt has tokens
    for its text, more for one that is ten times as long; the same chat counts alike, plain and streamed, and so does
    one of like length.
    """
    readings = [reading for exchange in probe.seen if (reading := _read(exchange)) is not None]
    for reading in readings:
        for text in _doubts(reading):
            probe.advise(text, probe.note(reading.exchange))
    _compare_lengths(probe, readings)
    _compare_ways(probe, readings)
    _compare_streams(probe, readings)


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
    def is_streamed(self) -> bool:
        """Whether it asked for a stream."""
        return bool(self.body.get("stream"))

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
    body, usage = request.fields, next(iter(_usages(response)), None)
    if usage is None or not isinstance(body.get("messages"), list):  # what is no chat may be answered, by a cache say
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
    if completion and reading.exchange.response is not None:
        said = joined_text(reading.exchange.response)
        if completion * _CHARACTERS_PER_TOKEN < len(said):
            yield "usage: too few completion tokens for the text that was answered"
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


def _compare_streams(probe: Probe, readings: list[Reading]) -> None:
    """The shortest plain prompt of a key against its shortest streamed one: both are a line, and count like one."""
    single = [one for one in readings if one.prompt and not one.is_in_conversation and "tools" not in one.body]
    for key in dict.fromkeys(one.exchange.request.key for one in single):
        of_key = [one for one in single if one.exchange.request.key == key]
        whole = [one for one in of_key if not one.is_streamed]
        streamed = [one for one in of_key if one.is_streamed]
        if not whole or not streamed:
            continue
        pair = [min(some, key=lambda one: one.characters) for some in (whole, streamed)]
        low, high = sorted(one.characters for one in pair)
        if high > _LIKE * low:
            continue
        low, high = sorted(one.prompt or 0 for one in pair)
        if high > _FAR_APART * low:
            counts = f"{pair[0].prompt} tokens plain and as {pair[1].prompt} streamed"
            probe.advise(f"usage: prompts of like length count as {counts}", probe.note(pair[1].exchange))


@check(
    "usage.bursts",
    claim="The tenant takes as many requests as this run sends at once without putting any off.",
    remedy="Raise the rate limits of the keys that agents use: they send bursts, for as long as they work.",
    source="GT client runbooks (cline-roo), GT extensions and caveats; "
    "GT client runbooks (openclaw), GT extensions and caveats",
    acts=Actor.SETUP,
    severity=Severity.LOW,
    only_advises=True,
    tenant_wide=SEVERAL_KEYS,
    whole_run=True,
)
async def bursts(probe: Probe) -> None:
    """Nothing is sent: which requests of the run were put off with 429, by key. No page says how many must be taken."""
    by_key: dict[str | None, list[Exchange]] = {}
    for exchange in probe.seen:
        by_key.setdefault(exchange.request.key, []).append(exchange)
    for key, sent in by_key.items():
        late = [one for one in sent if any(attempt.result == _PUT_OFF for attempt in one.attempts)]
        if late:
            which = f"with the key {key}" if key else "without a key"
            text = f"{len(late)} of {schema.count_noun(len(sent), 'request')} {which} were put off with 429"
            probe.advise(text, late[0])
