"""Faults of embeddings."""

import base64
import json
import math
import struct
from collections.abc import Callable
from itertools import count
from typing import Any

from ..edges import Answer, Asked, EdgeMaker, successes
from ._connections import torn
from ._fault import Area
from ._parts import EMBEDDINGS, INTERNAL, PROVIDER, amended, error, instead, page

fault = Area("embeddings")


def _as_base64(asked: Asked) -> bool:
    return EMBEDDINGS(asked) and asked.fields.get("encoding_format") == "base64"


def _of_tokens(asked: Asked) -> bool:
    given = asked.fields.get("input")
    return EMBEDDINGS(asked) and isinstance(given, list) and any(isinstance(item, list | int) for item in given)


def _floats(vector: str | list[float]) -> list[float]:
    if isinstance(vector, list):
        return vector
    data = base64.b64decode(vector)
    return list(struct.unpack(f"<{len(data) // 4}f", data))


def _packed(values: list[float], order: str = "<") -> str:
    return base64.b64encode(struct.pack(f"{order}{len(values)}f", *values)).decode()


def _vectors(change: Callable[[list[list[float]]], list[list[float]]], *, order: str = "<") -> Callable[[Any], object]:
    """A change to the vectors of an answer, whichever encoding they have."""

    def changed(body: Any) -> None:
        items = body["data"]
        vectors = change([_floats(item["embedding"]) for item in items])
        for item, vector in zip(items, vectors, strict=True):
            item["embedding"] = _packed(vector, order) if isinstance(item["embedding"], str) else vector

    return changed


def _drifting() -> EdgeMaker:
    """Each vector is turned a little further than the one before it."""
    turns = count(1)

    def turned(vectors: list[list[float]]) -> list[list[float]]:
        return [[math.sin(number + 7 * next(turns)) for number in range(len(vector))] for vector in vectors]

    return amended(EMBEDDINGS, _vectors(turned))


def _halved(right: Answer) -> Answer:
    return right.saying(right.body[: len(right.body) // 2])


def _not_a_number(right: Answer) -> Answer:
    """What Python's own JSON makes of it: NaN, which is no JSON."""
    body = json.loads(right.body)
    _vectors(lambda vectors: [[math.nan] * len(vector) for vector in vectors])(body)
    return right.saying(json.dumps(body).encode())


_UNREADABLE = (
    "embeddings.after_rotation embeddings.base64 embeddings.batch embeddings.model_is_published embeddings.token_ids"
)
"""The checks that read an answer."""
_FAILS = (
    "base_url.joins embeddings.after_rotation embeddings.base64 embeddings.batch "
    "embeddings.model_is_published embeddings.token_ids"
)
"""The checks that need embeddings to be answered at all."""


FAULTS = (
    fault(
        "embeddings-500",
        "Embeddings fail with 500.",
        instead(EMBEDDINGS, error(500, "upstream failed")),
        checks=_FAILS,
        places="embeddings items",
    ),
    fault(
        "embeddings-html",
        "Embeddings are answered with a web page and 200.",
        instead(EMBEDDINGS, page()),
        checks=_UNREADABLE,
        places="embeddings items",
    ),
    fault(
        "embeddings-half-json",
        "An embedding answer ends in the middle of its JSON.",
        successes(EMBEDDINGS, _halved),
        checks=_UNREADABLE,
        places="embeddings items",
    ),
    fault(
        "embeddings-cut-short",
        "The connection ends in the middle of an embedding answer.",
        torn(EMBEDDINGS, after=40),
        checks=_FAILS,
        places="embeddings items",
    ),
    fault(
        "embeddings-name-provider-model",
        "An embedding answer names the provider's model.",
        amended(EMBEDDINGS, lambda body: body.update(model=PROVIDER)),
        checks="embeddings.model_is_published",
        places="embeddings items",
    ),
    fault(
        "embeddings-name-internal-model",
        "An embedding answer names the internal id of the agent.",
        amended(EMBEDDINGS, lambda body: body.update(model=INTERNAL)),
        checks="embeddings.model_is_published tenant.no_raw_model_ids",
        places="embeddings items tenant",
    ),
    fault(
        "embeddings-all-alike",
        "Every text embeds to the same vector.",
        amended(EMBEDDINGS, _vectors(lambda vectors: [[1.0] * len(vector) for vector in vectors])),
        checks="embeddings.batch embeddings.token_ids",
        places="embeddings items",
    ),
    fault(
        "embeddings-never-alike",
        "The same text embeds to another vector each time.",
        _drifting(),
        checks="embeddings.base64 embeddings.batch",
        places="embeddings items",
    ),
    fault(
        "embeddings-swapped",
        "The vectors of a batch come back in another order than the texts.",
        amended(EMBEDDINGS, _vectors(lambda vectors: [*vectors[1:], vectors[0]])),
        checks="embeddings.batch",
        places="embeddings items",
    ),
    fault(
        "embeddings-of-two-lengths",
        "The vectors of a batch differ in length.",
        amended(EMBEDDINGS, _vectors(lambda vectors: [vector[: 64 - place] for place, vector in enumerate(vectors)])),
        checks="embeddings.after_rotation embeddings.batch",
        places="embeddings items",
    ),
    fault(
        "embeddings-one-missing",
        "The last text of a batch gets no vector.",
        amended(EMBEDDINGS, lambda body: body.update(data=body["data"][:-1])),
        checks="embeddings.base64 embeddings.batch embeddings.token_ids",
        places="embeddings items",
    ),
    fault(
        "embeddings-index-always-0",
        "Every vector of a batch has index 0.",
        amended(EMBEDDINGS, lambda body: [item.update(index=0) for item in body["data"]]),
        checks="embeddings.base64 embeddings.batch embeddings.token_ids",
        places="embeddings items",
    ),
    fault(
        "embeddings-not-finite",
        "A vector holds values that are no finite numbers.",
        successes(EMBEDDINGS, _not_a_number),
        checks="embeddings.after_rotation embeddings.base64 embeddings.batch embeddings.model_is_published",
        places="embeddings items",
    ),
    fault(
        "base64-big-endian",
        "Vectors as base64 have their bytes in the wrong order.",
        amended(_as_base64, _vectors(lambda vectors: vectors, order=">")),
        checks="embeddings.base64",
        places="embeddings",
    ),
    fault(
        "base64-half-length",
        "Vectors as base64 are half as long as those of numbers.",
        amended(_as_base64, _vectors(lambda vectors: [vector[:32] for vector in vectors])),
        checks="embeddings.base64",
        places="embeddings",
    ),
    fault(
        "base64-refused",
        "encoding_format base64 is refused.",
        instead(_as_base64, error(400, "encoding_format must be float.")),
        checks="embeddings.base64 embeddings.batch embeddings.model_is_published embeddings.token_ids",
        places="embeddings items",
    ),
    fault(
        "token-ids-refused",
        "Input as lists of token ids is refused.",
        instead(_of_tokens, error(422, "input: texts are expected.")),
        checks="embeddings.token_ids",
        places="embeddings",
    ),
    fault(
        "token-ids-all-alike",
        "Every list of token ids embeds to the same vector.",
        amended(_of_tokens, _vectors(lambda vectors: [[1.0] * len(vector) for vector in vectors])),
        checks="embeddings.token_ids",
        places="embeddings",
    ),
)
