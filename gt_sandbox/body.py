"""Request bodies: JSON objects read field by field, each wrong one refused with a 400 that names it."""

import json
import math
from collections.abc import Collection, Mapping

from starlette.requests import Request

from .answers import Refusal, invalid


class Body:
    """The fields of a request. ``null`` counts as absent, and unknown fields are left alone, as OpenAI does."""

    def __init__(self, fields: Mapping[str, object]) -> None:
        self._fields = fields

    @classmethod
    async def read(cls, request: Request) -> "Body":
        """The JSON object in the request's body."""
        return cls(_parse(await request.body()))

    def get(self, name: str) -> object:
        """The field as it came; ``None`` where it is absent."""
        return self._fields.get(name)

    def text(self, name: str) -> str:
        """A string that must be there and hold something."""
        value = self.optional_text(name)
        if not value:
            raise invalid(name, f"'{name}' must be a non-empty string.")
        return value

    def optional_text(self, name: str) -> str | None:
        """A string, if it is there."""
        value = self.get(name)
        if value is not None and not isinstance(value, str):
            raise invalid(name, f"'{name}' must be a string.")
        return value

    def choice(self, name: str, allowed: Collection[str], default: str) -> str:
        """One of a few words."""
        value = self.optional_text(name) or default
        if value not in allowed:
            raise invalid(name, f"'{name}' must be one of: {', '.join(sorted(allowed))}.")
        return value

    def number(self, name: str, low: float, high: float) -> float | None:
        """A number in a range, if it is there."""
        value = self.get(name)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
            raise invalid(name, f"'{name}' must be a number from {low:g} to {high:g}.")
        return value

    def integer(self, name: str, low: int | None = None, high: int | None = None) -> int | None:
        """A whole number in a range, if it is there."""
        value = self.get(name)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int):
            raise invalid(name, f"'{name}' must be a whole number.")
        if (low is not None and value < low) or (high is not None and value > high):
            limits = f"at least {low}" if high is None else f"from {low} to {high}" if low != high else f"{low}"
            raise invalid(name, f"'{name}' must be {limits}.")
        return value

    def flag(self, name: str) -> bool:
        """True or false; absent is false."""
        value = self.get(name)
        if value is not None and not isinstance(value, bool):
            raise invalid(name, f"'{name}' must be true or false.")
        return bool(value)

    def mapping(self, name: str) -> "Body":
        """An object inside; empty where it is absent."""
        value = self.get(name)
        if value is not None and not isinstance(value, dict):
            raise invalid(name, f"'{name}' must be an object.")
        return Body(value or {})


def _parse(raw: bytes) -> Mapping[str, object]:
    try:
        value = json.loads(raw.decode(), parse_constant=_finite, parse_float=_finite)
        if b"\\u" in raw:
            json.dumps(value, ensure_ascii=False).encode()  # a lone surrogate cannot be encoded
    except (ValueError, RecursionError):
        raise Refusal(400, "The body is not valid JSON.", code="invalid_json") from None
    if not isinstance(value, dict):
        raise Refusal(400, "The body must be a JSON object.", code="invalid_json")
    return value


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(text)
    return value
