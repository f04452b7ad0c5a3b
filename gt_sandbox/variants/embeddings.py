"""Embeddings: how long vectors are, how exact, and in which order."""

import base64
import math
import struct
from collections.abc import Callable, Sequence
from typing import Any

from ..edges import EdgeMaker
from ._parts import EMBEDDINGS, amended
from ._variant import Area

variant = Area("embeddings")
_FREE = "OpenAI API reference: a vector is a list of numbers, whose length depends on the model"


def _vectors(change: Callable[[Sequence[float]], Sequence[float]]) -> EdgeMaker:
    """Other vectors, in either encoding."""

    def changed(body: Any) -> None:
        for item in body["data"]:
            given = item["embedding"]
            if isinstance(given, str):
                packed = base64.b64decode(given)
                numbers = change(struct.unpack(f"<{len(packed) // 4}f", packed))
                item["embedding"] = base64.b64encode(struct.pack(f"<{len(numbers)}f", *numbers)).decode()
            else:
                item["embedding"] = list(change(given))

    return amended(EMBEDDINGS, changed)


def _wide(numbers: Sequence[float]) -> Sequence[float]:
    """1,536 numbers of length one."""
    times = 1536 // len(numbers)
    return [number / math.sqrt(times) for _ in range(times) for number in numbers]


def _plain(body: Any) -> None:
    for item in body["data"]:
        if isinstance(item["embedding"], str):
            packed = base64.b64decode(item["embedding"])
            item["embedding"] = list(struct.unpack(f"<{len(packed) // 4}f", packed))


VARIANTS = (
    variant("embeddings-1536", "Vectors have 1,536 numbers.", _vectors(_wide), lawful=_FREE),
    variant(
        "embeddings-not-of-length-one",
        "Vectors are of any length.",
        _vectors(lambda numbers: [7 * number for number in numbers]),
        lawful=_FREE,
    ),
    variant(
        "embeddings-rounded",
        "Vectors are rounded to four digits.",
        _vectors(lambda numbers: [round(number, 4) for number in numbers]),
        lawful=_FREE,
    ),
    variant(
        "embeddings-in-another-order",
        "The last vector comes first, under its index.",
        amended(EMBEDDINGS, lambda body: body["data"].reverse()),
        lawful="OpenAI API reference: index tells the place",
    ),
    variant(
        "embeddings-always-plain",
        "Numbers are answered where base64 was asked for.",
        amended(EMBEDDINGS, _plain),
        lawful="checks: base64, or plain floats",
    ),
)
