"""The validator: jsonschema's, with a few keywords read as the standard has them, or reported closer to the slip.

Three things happen to a value. It is copied, so that it is safe to validate: jsonschema formats the value into each of
its messages, even where nobody reads them. A megabyte in a deep document would be formatted once a level, a number of
5,000 digits refuses to be formatted at all, and nesting can exhaust the stack. So the copy's mappings and lists have a
short repr, and it holds nothing that JSON cannot hold; whatever had to be left out is reported. Then jsonschema judges
it, with two verdicts of ours: patterns mean what JSON Schema means by them, and formats are checked. Last, each error
is explained in a sentence, without those that only follow from another.
"""

import datetime as dt
import json
import math
import re
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from jsonschema import Draft202012Validator, FormatChecker, validators
from jsonschema.exceptions import ValidationError
from referencing import Registry, Resource
from referencing.exceptions import Unresolvable
from referencing.jsonschema import DRAFT202012, SchemaRegistry

from gt_conformance.errors import InputError, Location
from gt_conformance.schema._explanation import NEVER, SchemaViolation, explain, matches, unknown_keys
from gt_conformance.schema._format import MAX_DEPTH, MAX_ERRORS, SchemaError, nearest, quote, quote_with_kind

# -- the value


_MAX_BITS = 1023
"""The greatest whole number that still converts to a float, which comparing and dividing need."""


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
        if isinstance(value, int):
            if value.bit_length() <= _MAX_BITS:
                return value
            self._refuse("type", f"{quote(value)} is too great a number.", value)
        elif math.isfinite(value):
            return value
        else:
            self._refuse("type", f"{quote(value)} is no number that JSON can hold.", value)
        return 0

    def _refuse(self, keyword: str, message: str, value: object) -> None:
        if len(self.errors) < MAX_ERRORS:
            self.errors.append(SchemaError(tuple(self.path), message, keyword, value=value))


# -- the keywords

_Errors = Iterator[ValidationError]
_Json = Mapping[str, Any]

_FORMATS = FormatChecker(formats=())
"""The formats that a schema of ours may use. jsonschema checks most of its own only with further packages."""


_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_DATE_TIME = re.compile(_DATE.pattern + r"[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?([Zz]|[+-][0-9]{2}:[0-9]{2})")


@_FORMATS.checks("date", raises=ValueError)
def _is_date(value: object) -> bool:
    return not isinstance(value, str) or bool(_DATE.fullmatch(value) and dt.date.fromisoformat(value))


@_FORMATS.checks("date-time", raises=ValueError)
def _is_date_time(value: object) -> bool:
    return not isinstance(value, str) or bool(_DATE_TIME.fullmatch(value) and dt.datetime.fromisoformat(value.upper()))


@_FORMATS.checks("uri", raises=ValueError)
def _is_uri(value: object) -> bool:
    if not isinstance(value, str):
        return True
    parts = urlsplit(value)
    return bool(re.fullmatch(r"[!-~]+", value) and parts.scheme and (parts.netloc or parts.path))


def _pattern(_: Draft202012Validator, pattern: str, instance: object, __: object) -> _Errors:
    if isinstance(instance, str) and not matches(pattern, instance):
        yield ValidationError("does not match")


def _pattern_properties(validator: Draft202012Validator, rules: _Json, instance: object, _: object) -> _Errors:
    if not isinstance(instance, dict):
        return
    for pattern, rule in rules.items():
        for name, inner in instance.items():
            if matches(pattern, name):
                yield from validator.descend(inner, rule, path=name, schema_path=pattern)


def _additional(validator: Draft202012Validator, rule: object, instance: object, schema: _Json) -> _Errors:
    """As jsonschema's, with patterns read as above; one error for all unknown keys, where none is allowed."""
    if not isinstance(instance, dict):
        return
    names = unknown_keys(instance, schema)
    if isinstance(rule, dict):
        for name in names:
            yield from validator.descend(instance[name], rule, path=name)
    elif rule is False and names:
        yield ValidationError("unknown keys")


def _unique_items(_: Draft202012Validator, wanted: object, instance: object, __: object) -> _Errors:
    """An error at each repetition, in linear time: jsonschema compares mappings pair by pair."""
    if not wanted or not isinstance(instance, list):
        return
    seen: set[Hashable] = set()
    for index, item in enumerate(instance):
        mark = _fingerprint(item)
        if mark in seen:
            yield ValidationError("repeated", path=(index,), instance=item)
        seen.add(mark)


def _fingerprint(value: object) -> Hashable:
    """Equal for what JSON calls equal: 1 and 1.0 are, 1 and true are not."""
    if isinstance(value, dict):
        return "object", frozenset((key, _fingerprint(inner)) for key, inner in value.items())
    if isinstance(value, list):
        return "array", tuple(_fingerprint(inner) for inner in value)
    return "boolean" if isinstance(value, bool) else "scalar", value


def _properties(validator: Draft202012Validator, properties: _Json, instance: object, _: object) -> _Errors:
    """As jsonschema's, but says which key may not be there: its error about ``false`` has no path."""
    if not isinstance(instance, dict):
        return
    for name, rule in properties.items():
        if name not in instance:
            continue
        if rule is False:
            yield ValidationError("not allowed", validator=NEVER, path=(name,), instance=instance[name])
        else:
            yield from validator.descend(instance[name], rule, path=name, schema_path=name)


def _conditional(validator: Draft202012Validator, test: Any, instance: object, schema: _Json) -> _Errors:
    """``if``: says what a rule of ``then`` or ``else`` hangs on, and keeps silent where that is itself at fault.

    An error about a misspelt verdict does not also say that ``steps`` are missing for the verdict it is not.
    """
    reason = ""
    if isinstance(test, dict) and isinstance(instance, dict):
        names = list(dict.fromkeys(_keys_of_condition(test)))
        if any(_is_reported(validator, name, test, instance, schema) for name in names):
            return
        reason = _state(names, instance)
    branch = "then" if validator.evolve(schema=test).is_valid(instance) else "else"
    if branch in schema:
        yield from _because(reason, validator.descend(instance, schema[branch], schema_path=branch))


def _keys_of_condition(test: _Json) -> Iterator[str]:
    """The keys that a condition looks at."""
    yield from test.get("properties", ())
    yield from test.get("required", ())
    for part in (*test.get("anyOf", ()), *test.get("allOf", ())):
        yield from _keys_of_condition(part)


def _is_reported(validator: Draft202012Validator, name: str, test: _Json, instance: _Json, schema: _Json) -> bool:
    """Whether the condition asks for a word where there is none, or a wrong one: that is an error of its own."""
    word = test.get("properties", {}).get(name)
    if not isinstance(word, dict) or not word.keys() & {"const", "enum"}:
        return False
    if name not in instance:
        return name in schema.get("required", ())
    return not validator.evolve(schema=schema.get("properties", {}).get(name, True)).is_valid(instance[name])


def _state(names: Sequence[str], instance: _Json) -> str:
    """``'verdict' is 'native'``; ``'detail' and 'title' are left out``."""
    given = [f"{quote(name)} is {quote(instance[name])}" for name in names if name in instance]
    absent = [quote(name) for name in names if name not in instance]
    left_out = f"{' and '.join(absent)} {'is' if len(absent) == 1 else 'are'} left out" if absent else ""
    return " and ".join([*given, *filter(None, [left_out])])


def _dependent(validator: Draft202012Validator, dependent: _Json, instance: object, _: object) -> _Errors:
    """``dependentSchemas``: says which key a rule hangs on."""
    for name in dependent:
        if isinstance(instance, dict) and name in instance:
            found = validator.descend(instance, dependent[name], schema_path=name)
            yield from _because(f"{quote(name)} is given", found)


def _because(reason: str, found: _Errors) -> _Errors:
    """The errors, those about this very mapping with the reason as a note."""
    for error in found:
        if reason and len(error.path) <= 1:
            error.add_note(reason)
        yield error


_Validator: type[Draft202012Validator] = validators.extend(  # type: ignore[no-untyped-call] # its stub has no types
    Draft202012Validator,
    {
        "pattern": _pattern,
        "patternProperties": _pattern_properties,
        "additionalProperties": _additional,
        "uniqueItems": _unique_items,
        "properties": _properties,
        "if": _conditional,
        "dependentSchemas": _dependent,
    },
)


# -- the errors

_DIALECT = "https://json-schema.org/draft/2020-12/schema"


def errors(folder: Path, uri: str, value: object) -> list[SchemaError]:
    """What the schema at the address refuses about the value, which must be guarded."""
    validator = _Validator({"$ref": uri}, registry=_registry(folder), format_checker=_FORMATS)
    found: dict[object, SchemaError] = {}  # by message: `required` lists all of its missing keys for each of them
    try:
        for error in _explain_all(validator.iter_errors(value)):
            found[error.path, error.key, error.finding] = error
            if len(found) == MAX_ERRORS:
                return [*found.values(), SchemaError((), f"more than {MAX_ERRORS:,} errors; these are some.", "limit")]
    except Unresolvable as error:
        raise LookupError(f"{uri} leads to {error.ref}, which no schema in {folder} defines") from error
    return list(found.values())


def without_consequences(found: Iterable[SchemaError]) -> tuple[SchemaError, ...]:
    """The errors without those that only follow from another.

    A value of the wrong type, or an empty text, breaks further rules by that; a misspelled key is a missing one too.
    """
    errors = tuple(found)
    mistyped = {(error.path, error.key) for error in errors if error.keyword == "type"}
    empty = {error.path for error in errors if error.keyword == "minLength"}
    meant = {
        (error.path, nearest(error.key, error.allowed)) for error in errors if error.keyword == "additionalProperties"
    }

    def follows(error: SchemaError) -> bool:
        match error.keyword:
            case "required":
                return (error.path, error.key) in meant
            case "anyOf" | "oneOf" if any((error.path, word) in meant for word in error.allowed):
                return True
            case "pattern" | "format" if error.path in empty:
                return True
            case "type":
                return False
        return (error.path, error.key) in mistyped

    return tuple(error for error in errors if not follows(error))


def _explain_all(found: Iterable[ValidationError]) -> Iterator[SchemaError]:
    for error in found:
        yield from explain(SchemaViolation.of(error))


@cache
def _registry(folder: Path) -> SchemaRegistry:
    registry: SchemaRegistry = Registry()
    return registry.with_resources(_resource(path, folder) for path in sorted(folder.rglob("*.schema.json"))).crawl()


def _resource(path: Path, folder: Path) -> tuple[str, Resource[Any]]:
    """The schema of a file, with the address that it is known by."""
    uri = f"gt-conformance:{path.relative_to(folder).as_posix()}"
    try:
        contents = json.loads(path.read_bytes())
    except ValueError as error:
        raise InputError.of(f"this schema is not JSON: {error}.", where=Location(str(path))) from error
    # The dialect is taken out once it is known: jsonschema would leave our validator for its own wherever it is.
    if not isinstance(contents, dict) or contents.pop("$schema", None) != _DIALECT or contents.get("$id") != uri:
        raise InputError.of(
            "this schema does not say what it is.",
            where=Location(str(path)),
            hint=f'It must hold "$schema": "{_DIALECT}" and "$id": "{uri}".',
        )
    return uri, DRAFT202012.create_resource(contents)
