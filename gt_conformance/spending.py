"""What requests use at most, what they used, and what that costs.

At most: the limit on its answer that a request asks for, and its input. Used: what the tenant's ``usage`` states, where
that can be true; what states nothing counts as the most that it may have used, so that silence
lengthens no budget.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, assert_never
from urllib.parse import urlsplit

from gt_conformance.exchange import MOST_STATED, Exchange, Failure, FilePart, Request, Response
from gt_conformance.tenant import Price, Prices
from gt_conformance.vocabulary import Route

UNLIMITED = 4096
"""The tokens that the answer to a chat counts for at most where the chat names no limit: a short question is asked."""

_LIMITS = ("max_completion_tokens", "max_tokens", "max_output_tokens")
_LEAST_BYTES_PER_SECOND = 1000
"""Of audio whose length its header does not say: no format in use is denser."""
_NEVER_ARRIVED = frozenset({Failure.DNS, Failure.CONNECT, Failure.TLS, Failure.PROXY, Failure.HERE})
_WAV_RATE, _WAV_HEADER = slice(28, 32), 44


@dataclass(frozen=True, slots=True)
class Usage:
    """What is metered: tokens in and out, images, seconds of audio, characters to be spoken."""

    input_tokens: int = 0
    output_tokens: int = 0
    images: int = 0
    audio_s: float = 0.0
    characters: int = 0

    @property
    def tokens(self) -> int:
        """Both kinds of tokens."""
        return self.input_tokens + self.output_tokens

    def __add__(self, other: "Usage") -> "Usage":
        """Both together."""
        return Usage(**{one.name: getattr(self, one.name) + getattr(other, one.name) for one in fields(self)})


NOTHING = Usage()


def worst_case(request: Request) -> Usage:
    """The most that a request may use, as far as it says: what the tenant adds to a prompt is not known.

    A token is a byte at least, so that the bytes of a body are no fewer than its tokens.
    """
    route, body = _route_of(request), _body_of(request)
    match route:
        case Route.CHAT:
            asked = next((body[name] for name in _LIMITS if name in body), None)
            limit = min(_number_of(asked, UNLIMITED), MOST_STATED)
            return Usage(len(request.body), limit * _number_of(body.get("n"), 1))
        case Route.EMBEDDINGS:
            return Usage(len(request.body))
        case Route.TRANSCRIPTIONS:
            return Usage(audio_s=sum(map(_seconds_of, request.parts)))
        case Route.SPEECH:
            return Usage(characters=len(str(body.get("input", ""))))
        case Route.IMAGES:
            return Usage(images=_number_of(body.get("n"), 1))
        case None | Route.MODELS | Route.CONVERSATION_FILES | Route.DATASET_FILES | Route.FILE_STATUS:
            return NOTHING
        case _:
            assert_never(route)


def used_by(worst: Usage, response: Response | None, failure: Failure | None) -> tuple[Usage, bool]:
    """What one try of a request used, by its worst case and its end, and whether the tenant states so.

    A refusal uses nothing, nor does what never arrived. What failed there, and an answer that states no usage that can
    be true, counts as its worst case.
    """
    if worst == NOTHING or (response is None and failure in _NEVER_ARRIVED):
        return NOTHING, True
    if response is None:
        return worst, False
    if 300 <= response.status < 500:
        return NOTHING, True
    stated = response.stated if response.succeeded else None
    if stated is None:
        return worst, not worst.tokens and response.succeeded
    return Usage(stated.input, stated.output, worst.images, worst.audio_s, worst.characters), True


@dataclass(frozen=True)
class Cost:
    """The money for the three of a Spending; ``unpriced`` names what has no price."""

    currency: str
    used: float = 0.0
    counted: float = 0.0
    worst: float = 0.0
    unpriced: tuple[str, ...] = ()

    def __add__(self, other: "Cost") -> "Cost":
        """Both together, in one currency."""
        unpriced = tuple(dict.fromkeys((*self.unpriced, *other.unpriced)))
        used, counted, worst = self.used + other.used, self.counted + other.counted, self.worst + other.worst
        return Cost(self.currency, used, counted, worst, unpriced)


@dataclass(frozen=True)
class Spending:
    """What some exchanges used, as far as it is stated, and what they might have used at most (``worst``).

    ``counted`` is what counts against a budget: what is used, and the worst case of the ``unstated`` ones.
    """

    used: Usage = NOTHING
    counted: Usage = NOTHING
    worst: Usage = NOTHING
    unstated: int = 0
    cost: Cost | None = None

    def __add__(self, other: "Spending") -> "Spending":
        """Both together."""
        costs = [one for one in (self.cost, other.cost) if one is not None]
        cost = costs[0] + costs[1] if len(costs) > 1 else next(iter(costs), None)
        used, counted, worst = self.used + other.used, self.counted + other.counted, self.worst + other.worst
        return Spending(used, counted, worst, self.unstated + other.unstated, cost)


def measure_spending(exchanges: Iterable[Exchange], prices: Prices | None = None) -> Spending:
    """What these exchanges used, their earlier tries included."""
    total = Spending(cost=None if prices is None else Cost(prices.currency))
    for exchange in exchanges:
        worst = worst_case(exchange.request)
        for one, is_stated in _tries(exchange, worst):
            if one == NOTHING:
                continue
            used = one if is_stated else NOTHING
            cost = None if prices is None else _price(exchange.request, (used, one, worst), prices)
            total += Spending(used, one, worst, 0 if is_stated else 1, cost)
    return total


def _tries(exchange: Exchange, worst: Usage) -> Iterator[tuple[Usage, bool]]:
    """What each try of an exchange used; of an earlier one a few words are kept."""
    yield used_by(worst, exchange.response, exchange.failure)
    for attempt in exchange.attempts:
        if _may_have_used(attempt.result):
            yield worst, False


def _may_have_used(result: str) -> bool:
    """Whether an earlier try, of which a few words are kept, may have been carried out."""
    kind = result.partition(":")[0]
    return not (kind.startswith("HTTP 4") or kind in _NEVER_ARRIVED)


def _price(request: Request, parts: Sequence[Usage], prices: Prices) -> Cost:
    route = _route_of(request) or Route.CHAT
    model = str(_body_of(request).get("model", ""))
    price = prices.find(route, model)
    if price is None:
        return Cost(prices.currency, unpriced=(f"{route.value} of {model}",))
    used, counted, worst = (_sum(price, usage) for usage in parts)
    return Cost(prices.currency, used, counted, worst)


def _sum(price: Price, usage: Usage) -> float:
    """What that is at that price; a unit that the price does not name is free."""
    return (
        usage.input_tokens * (price.input_per_million or 0) / 1_000_000
        + usage.output_tokens * (price.output_per_million or 0) / 1_000_000
        + usage.images * (price.per_image or 0)
        + usage.audio_s * (price.per_audio_minute or 0) / 60
        + usage.characters * (price.per_1000_characters or 0) / 1_000
    )


# -- reading a request


def _route_of(request: Request) -> Route | None:
    """The route that a request uses up something on; of a surface that is none, a chat. None where it uses nothing."""
    if request.method != "POST":
        return None
    path = urlsplit(request.url).path.rstrip("/")
    found = next((route for route in _METERED if path.endswith(route.path.removeprefix("/v1"))), None)
    if found is not None or path.endswith("/files") or not request.body:
        return found
    return Route.CHAT if any(name in _body_of(request) for name in ("messages", "input", "prompt")) else None


_METERED = (Route.CHAT, Route.EMBEDDINGS, Route.TRANSCRIPTIONS, Route.SPEECH, Route.IMAGES)


def _body_of(request: Request) -> Mapping[str, Any]:
    if request.parts:
        return {part.name: part.content.decode(errors="replace") for part in request.parts if part.filename is None}
    return request.fields


def _number_of(value: object, other: int) -> int:
    """A number that a request names; ``other`` where it names none."""
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else other


def _seconds_of(part: FilePart) -> float:
    """How long the audio of a part is: by the rate in the header of a WAV file, else by the densest format."""
    if part.filename is None:
        return 0.0
    content = part.content
    rate = int.from_bytes(content[_WAV_RATE], "little") if content[:4] == b"RIFF" else 0
    return max(0, len(content) - _WAV_HEADER) / rate if rate else len(content) / _LEAST_BYTES_PER_SECOND
