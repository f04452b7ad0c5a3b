"""Samples: the smallest value that fits a JSON Schema, filled from words at hand where it can be."""

import re
from collections.abc import Iterable, Mapping, Sequence

_FORMATS = {
    "date": "2026-01-01",
    "date-time": "2026-01-01T00:00:00Z",
    "time": "00:00:00Z",
    "email": "someone@example.org",
    "uri": "https://example.org/",
    "uuid": "00000000-0000-4000-8000-000000000000",
    "ipv4": "192.0.2.1",
    "hostname": "example.org",
}
_ATTEMPTS = ("a", "A", "abc", "ABC", "0", "00", "000", "1", "2026-01-01", "a-1", "A1", "ABC-123")
_NUMBER = re.compile(r"\d{1,9}(\.\d{1,6})?")
_DEEPEST = 16
_MOST_PARTS = 5_000
_LARGEST = 1e15

Schema = Mapping[str, object]


class Sample:
    """Makes values for one schema. Each text takes the next hint, and the last hint serves from then on."""

    def __init__(self, root: object, hints: Sequence[str] = ()) -> None:
        self._root = root
        self._hints = list(hints)
        self._next = 0
        self._parts = 0

    def value(self) -> object:
        """A value that fits the schema."""
        return self._any(self._root, 0)

    def _any(self, given: object, depth: int) -> object:
        schema = self._flat(given, depth)
        if "const" in schema:
            return schema["const"]
        options = schema.get("enum")
        if isinstance(options, list) and options:
            return next((option for option in options if option in self._hints), options[0])
        kind = _kind(schema)
        if kind == "null" or depth > _DEEPEST or self._parts > _MOST_PARTS:
            return None
        if kind in {"object", "array"}:
            return self._object(schema, depth) if kind == "object" else self._array(schema, depth)
        return self._scalar(kind, schema)

    def _flat(self, given: object, depth: int) -> Schema:
        """The schema with its $ref, allOf and first usable anyOf or oneOf taken in; empty once there are too many."""
        self._parts += 1
        if depth > _DEEPEST or self._parts > _MOST_PARTS:
            return {}
        schema: dict[str, object] = dict(given) if isinstance(given, dict) else {}
        parts: list[object] = list(_items(schema.pop("allOf", None)))
        reference = schema.pop("$ref", None)
        if isinstance(reference, str):
            parts.append(self._target(reference))
        for word in ("anyOf", "oneOf"):
            branches = [self._flat(part, depth + 1) for part in _items(schema.pop(word, None))]
            parts += [part for part in branches if part.get("type") != "null"][:1] or branches[:1]
        for part in parts:
            schema = _merged(schema, self._flat(part, depth + 1))
        return schema

    def _target(self, reference: str) -> object:
        found = self._root
        for step in reference.removeprefix("#").split("/")[1:]:
            found = found.get(step.replace("~1", "/").replace("~0", "~")) if isinstance(found, dict) else None
        return found

    def _object(self, schema: Schema, depth: int) -> dict[str, object]:
        properties = schema.get("properties")
        known = properties if isinstance(properties, dict) else {}
        required = [name for name in _items(schema.get("required")) if isinstance(name, str)]
        return {name: self._any(known.get(name), depth + 1) for name in required or known}

    def _array(self, schema: Schema, depth: int) -> list[object]:
        first = list(_items(schema.get("prefixItems")))
        least, most = (_bound(schema.get(word)) for word in ("minItems", "maxItems"))
        count = max(int(least or 0), len(first), 1)
        count = min(count, 64 if most is None else int(most))
        return [self._any(first[at] if at < len(first) else schema.get("items"), depth + 1) for at in range(count)]

    def _scalar(self, kind: str, schema: Schema) -> object:
        if kind in {"integer", "number"}:
            return self._number(schema, whole=kind == "integer")
        return True if kind == "boolean" else self._text(schema)

    def _number(self, schema: Schema, *, whole: bool) -> int | float:
        low, high = (_bound(schema.get(word)) for word in ("minimum", "maximum"))
        above, below = (_bound(schema.get(word)) for word in ("exclusiveMinimum", "exclusiveMaximum"))
        step = _bound(schema.get("multipleOf")) or (1 if whole else None)
        tries = [*(float(hint) for hint in self._hints if _NUMBER.fullmatch(hint)), 0.0]
        for edge in (edge for edge in (low, above, high, below) if edge is not None):
            nearest = edge // step * step if step else edge
            tries += [nearest, nearest + (step or 1), nearest - (step or 1)]
        if above is not None and below is not None:
            tries.append((above + below) / 2)
        for made in tries:
            reaches = (low is None or made >= low) and (above is None or made > above)
            stays = (high is None or made <= high) and (below is None or made < below)
            if reaches and stays and (step is None or made % step == 0) and (made.is_integer() or not whole):
                return int(made) if made.is_integer() else made
        return 0

    def _text(self, schema: Schema) -> str:
        made = _FORMATS.get(str(schema.get("format"))) or self._hint()
        pattern = schema.get("pattern")
        if isinstance(pattern, str):
            made = next((text for text in (made, *self._hints, *_ATTEMPTS) if _fits(pattern, text)), made)
        least, most = (_bound(schema.get(word)) for word in ("minLength", "maxLength"))
        made = made.ljust(min(int(least or 0), 4096), "x")
        return made if most is None else made[: int(most)]

    def _hint(self) -> str:
        if not self._hints:
            return "none"
        hint = self._hints[min(self._next, len(self._hints) - 1)]
        self._next += 1
        return hint


def _kind(schema: Schema) -> str:
    kinds = schema.get("type")
    if isinstance(kinds, list):
        return next((kind for kind in kinds if isinstance(kind, str) and kind != "null"), "null")
    if isinstance(kinds, str):
        return kinds
    return "object" if "properties" in schema else "array" if "items" in schema else "string"


def _merged(one: Mapping[str, object], other: Mapping[str, object]) -> dict[str, object]:
    merged = {**other, **one}
    for word in ("properties", "required"):
        mine, theirs = one.get(word), other.get(word)
        if isinstance(mine, dict) and isinstance(theirs, dict):
            merged[word] = {**theirs, **mine}
        elif isinstance(mine, list) and isinstance(theirs, list):
            merged[word] = [*theirs, *mine]
    return merged


def _items(given: object) -> Iterable[object]:
    return given if isinstance(given, list) else ()


def _bound(given: object) -> float | None:
    number = isinstance(given, int | float) and not isinstance(given, bool) and abs(given) < _LARGEST
    return float(given) if isinstance(given, int | float) and number else None


def _fits(pattern: str, text: str) -> bool:
    try:
        return re.search(pattern, text) is not None
    except re.error:
        return False
