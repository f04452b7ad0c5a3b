"""What is safe to validate: a value that holds nothing odd, as it is; and a copy of any.

jsonschema formats the value into each of its messages, even where nobody reads them. A megabyte in a deep document
would be formatted once a level, a number of 5,000 digits refuses to be formatted at all, and nesting can exhaust the
stack. So the copy's mappings and lists have a short repr, and it holds nothing that JSON cannot hold; whatever had to
be left out is reported.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from gt_conformance.schema._format import MAX_DEPTH, MAX_ERRORS, SchemaError, quote, quote_with_kind

_MAX_BITS = 1023
"""The greatest whole number that still converts to a float, which comparing and dividing need."""
_MOST_AT_A_LEVEL = 1_000_000
"""More is looked at one by one: what holds itself more than once would fill the memory."""
_NUMBERS = frozenset({int, float})
_FLAT = frozenset({str, bool, type(None)})


def is_plain(value: Any) -> bool:
    """Whether it is safe for a validator that formats nothing: only what JSON can hold, no deeper than ``MAX_DEPTH``.

    Nearly all that is validated is, and this is told in a tenth of the time that a copy takes. In doubt it is not.
    """
    level = [value]
    for _ in range(MAX_DEPTH + 1):
        below: list[Any] = []
        for item in level:
            kind = type(item)
            if kind is dict and all(type(key) is str for key in item):
                below += item.values()
            elif kind is list:
                if not (set(map(type, item)) == {float} and all(map(math.isfinite, item))):  # as a vector is
                    below += item
            elif kind not in _FLAT and not (kind in _NUMBERS and _is_plain_number(item)):
                return False
        if not below or len(below) > _MOST_AT_A_LEVEL:
            return not below
        level = below
    return False


def _is_plain_number(value: float) -> bool:
    return value.bit_length() <= _MAX_BITS if isinstance(value, int) else math.isfinite(value)


class _ShortRepr:
    __slots__ = ()

    def __repr__(self) -> str:
        return "..."


class _Mapping(_ShortRepr, dict[str, object]):
    __slots__ = ()


class _List(_ShortRepr, list[object]):
    __slots__ = ()


@dataclass(frozen=True, slots=True)
class SafeValue:
    """The copy of a value that is safe to validate, and what could not be copied."""

    value: object
    errors: tuple[SchemaError, ...]


def make_safe(value: object) -> SafeValue:
    """Copy the value. Raises RecursionError where it is nested deeper than ``MAX_DEPTH``."""
    copying = _Copying()
    copy = copying.of(value)
    return SafeValue(copy, tuple(copying.errors))


@dataclass(slots=True)
class _Copying:
    path: list[str | int] = field(default_factory=list)
    errors: list[SchemaError] = field(default_factory=list)

    def of(self, value: object) -> object:
        if isinstance(value, dict):
            return _Mapping(self._entries(value))
        if isinstance(value, list):
            return _List(self._items(value))
        if value is None or isinstance(value, (str, bool)):
            return value
        if isinstance(value, (int, float)):
            return self._number(value)
        self._refuse("type", f"{quote(value)} is nothing that JSON can hold.", value)
        return None

    def _entries(self, value: dict[object, object]) -> Iterator[tuple[str, object]]:
        for key, inner in value.items():
            if isinstance(key, str):
                yield key, self._below(key, inner)
            else:
                self._refuse("propertyNames", f"a key must be text, not {quote_with_kind(key)}.", key)

    def _items(self, value: list[object]) -> Iterator[object]:
        for index, inner in enumerate(value):
            yield self._below(index, inner)

    def _below(self, step: str | int, inner: object) -> object:
        if len(self.path) >= MAX_DEPTH:
            raise RecursionError
        self.path.append(step)
        copy = self.of(inner)
        self.path.pop()
        return copy

    def _number(self, value: float) -> float:
        if _is_plain_number(value):
            return value
        if isinstance(value, int):
            self._refuse("type", f"{quote(value)} is too great a number.", value)
        else:
            self._refuse("type", f"{quote(value)} is not a number that JSON can hold.", value)
        return 0

    def _refuse(self, keyword: str, message: str, value: object) -> None:
        if len(self.errors) < MAX_ERRORS:
            self.errors.append(SchemaError(tuple(self.path), message, keyword, value=value))
