"""JSON that is written differently and says the same."""

import json
from collections.abc import Callable
from typing import Any

from ..edges import Answer, EdgeMaker, answering
from ._parts import anywhere, json_in, reshaped, streamed
from ._variant import Area

variant = Area("json")
_TEXTS = "json-indented json-escaped"


def _written(write: Callable[[Any], str]) -> EdgeMaker:
    """Whole JSON answers, refusals as well, written another way."""

    def changed(answer: Answer) -> Answer:
        body = json_in(answer)
        return answer if body is None else answer.saying(write(body).encode())

    return answering(lambda asked: not streamed(asked), lambda _, answer: changed(answer))


def _escaped(body: Any) -> str:
    """Every letter of every string as an escape, and slashes as well."""

    def string(text: str) -> str:
        return '"' + "".join("\\/" if letter == "/" else _escape(letter) for letter in text) + '"'

    def value(item: Any) -> str:
        if isinstance(item, str):
            return string(item)
        if isinstance(item, dict):
            return "{" + ",".join(f"{string(key)}:{value(inner)}" for key, inner in item.items()) + "}"
        if isinstance(item, list):
            return "[" + ",".join(map(value, item)) + "]"
        return json.dumps(item)

    return value(body)


def _escape(letter: str) -> str:
    return "".join(f"\\u{int.from_bytes(pair, 'big'):04x}" for pair in _pairs(letter.encode("utf-16-be")))


def _pairs(text: bytes) -> list[bytes]:
    return [text[at : at + 2] for at in range(0, len(text), 2)]


def _reversed(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _reversed(item) for key, item in reversed(value.items())}
    return [_reversed(item) for item in value] if isinstance(value, list) else value


def _extra(body: Any) -> object:
    return {
        **body,
        "request_id": "req_1",
        "x_gt": {"region": "eu", "cost": 0.0001, "tags": ["a", None]},
        "warnings": [],
    }


VARIANTS = (
    variant(
        "extra-fields",
        "Every answer holds fields that nobody asked for.",
        reshaped(anywhere, _extra),
        lawful="GT API reference: extra fields anywhere",
    ),
    variant(
        "json-in-another-order",
        "The fields of every object stand in another order.",
        reshaped(anywhere, _reversed),
        lawful="RFC 8259, 4: an object is unordered",
    ),
    variant(
        "json-indented",
        "JSON is indented, and ends in a line end.",
        _written(lambda body: "\n" + json.dumps(body, indent=4) + "\r\n"),
        lawful="RFC 8259, 2: white space between tokens",
        conflicts=_TEXTS,
    ),
    variant(
        "json-escaped",
        "Every letter of JSON strings is escaped.",
        _written(_escaped),
        lawful="RFC 8259, 7: any character may be escaped",
        conflicts=_TEXTS,
    ),
)
