"""Vectors of one text: whether two are by one model, and a sketch of one that a record can keep."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from gt_conformance.checks._requests import SAME_IN_EACH_RUN, floats
from gt_conformance.exchange import Exchange, NotJson, Presentation
from gt_conformance.vocabulary import Route

SAME = 0.99
"""The least cosine of two vectors of one text by one model, asked at different times: machines round differently."""
NEAR = 0.9
"""The least cosine of two vectors of one text by a model that rounds coarsely, or looks at all texts of a request."""
_ONE_TEXT = 0.99999
"""The least cosine of two vectors that are one but for rounding."""
_ROUNDING = 0.02
"""By so much the lengths of a vector may differ that was rounded, or made anew."""
_TIMES = 10
"""By so much two vectors of one text may differ more than two others did: chance has it so."""
_ALIKE = 0.9
"""The least share of signs that agree in them: those of two models agree in about half."""
_MOST = 16_384
"""Dimensions; longer ones are sketched up to there."""


def cosine(one: Sequence[float], other: Sequence[float]) -> float:
    """The cosine of two vectors of one length; 0 where one has none."""
    product = math.hypot(*one) * math.hypot(*other)
    return sum(a * b for a, b in zip(one, other, strict=True)) / product if product else 0.0


def least_cosine(one: Sequence[float], again: Sequence[float], usual: float) -> float:
    """The least cosine of two vectors of one text by the model that gave it these two.

    No page says that a model rounds alike each time: it is lower than usual where these are that far apart.
    """
    return max(NEAR, min(usual, 1 - _TIMES * (1 - cosine(one, again)))) if len(one) == len(again) else usual


def tell_apart(one: Sequence[float], other: Sequence[float]) -> str:
    """By which figures two vectors of one length differ."""
    return f"cosine {cosine(one, other):.4f}, lengths {math.hypot(*one):.3g} and {math.hypot(*other):.3g}"


def is_same(one: Sequence[float], other: Sequence[float]) -> bool:
    """Whether both are vectors of one text: machines round differently."""
    return len(one) == len(other) and cosine(one, other) > _ONE_TEXT


def agree(one: Sequence[float], other: Sequence[float], least: float) -> bool:
    """Whether two vectors of one length are of one text, and scaled alike."""
    return cosine(one, other) > least and scaled_alike(one, other, least)


def scaled_alike(one: Sequence[float], other: Sequence[float], usual: float) -> bool:
    """Whether two vectors are as long as each other, as far as those of one text are whose cosine is the usual."""
    return math.isclose(math.hypot(*one), math.hypot(*other), rel_tol=max(_ROUNDING, 1 - usual))


def is_numbered(items: Sequence[Mapping[str, Any]]) -> bool:
    """Whether each has an index of its own: then that says which input it belongs to."""
    indexes: list[Any] = [item.get("index") for item in items]
    return all(isinstance(index, int) for index in indexes) and sorted(indexes) == list(range(len(items)))


def in_order(items: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The items of an embedding list in the order of the inputs; as they come where their indexes do not tell."""
    return sorted(items, key=lambda item: int(item["index"])) if is_numbered(items) else list(items)


@dataclass(frozen=True, slots=True)
class Sketch:
    """What a record keeps of the vector of a fixed text: its length, and the sign of each number, as hexadecimal."""

    model: str
    length: int
    signs: str

    @classmethod
    def of(cls, model: str, vector: Sequence[float]) -> Self:
        """The sketch of a vector that this name gave."""
        bits = "".join("1" if number > 0 else "0" for number in vector[:_MOST])
        return cls(model, len(vector), f"{int(bits, 2):0{(len(bits) + 3) // 4}x}" if bits else "")

    def is_like(self, other: "Sketch") -> bool:
        """Whether the same model may have made both."""
        if self.length != other.length or len(self.signs) != len(other.signs):
            return False
        bits = min(self.length, _MOST)
        return 1 - (int(self.signs or "0", 16) ^ int(other.signs or "0", 16)).bit_count() / max(bits, 1) >= _ALIKE


@dataclass(frozen=True, slots=True)
class Earlier:
    """What an earlier run saw with one secret: when it ran, and the sketches of vectors by published name."""

    date: str
    sketches: Mapping[str, Sketch]


def sketches(exchanges: Iterable[Exchange], key: str) -> Iterator[Sketch]:
    """The sketches of what these exchanges gave a key for the text that every run embeds."""
    found: dict[str, Sketch] = {}
    for exchange in exchanges:
        request = exchange.request
        if request.key == key and request.presentation is Presentation.BEARER and request.body:
            model, vector = _embedded(exchange)
            if vector:
                found.setdefault(model, Sketch.of(model, vector))
    yield from found.values()


def _embedded(exchange: Exchange) -> tuple[str, Sequence[float]]:
    """The name that was asked and the vector of that text; none where it was not asked for, or did not come."""
    response = exchange.response
    if not exchange.request.path.endswith(Route.EMBEDDINGS.path) or response is None or not response.succeeded:
        return "", ()
    try:
        asked = exchange.request.fields
        if "dimensions" in asked:
            return "", ()
        at = asked["input"].index(SAME_IN_EACH_RUN)
        return str(asked["model"]), floats(in_order(response.json()["data"])[at]["embedding"])
    except (ValueError, LookupError, TypeError, AttributeError, NotJson):
        return "", ()
