"""The validator: jsonschema's, with a few keywords read as the standard has them, or told closer to the slip.

Two verdicts differ from jsonschema's own: patterns mean what JSON Schema means by them, and formats are checked. The
other keywords here only say more, or say it once.
"""

import datetime as dt
import re
from collections.abc import Hashable, Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from jsonschema import Draft202012Validator, FormatChecker, validators
from jsonschema.exceptions import ValidationError

from gt_conformance.schema._breach import NEVER
from gt_conformance.schema._patterns import matches, unknown_keys
from gt_conformance.schema._showing import shown

_Errors = Iterator[ValidationError]
_Json = Mapping[str, Any]

FORMATS = FormatChecker(formats=())
"""The formats that a schema of ours may use. jsonschema checks most of its own only with further packages."""


_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_DATE_TIME = re.compile(_DATE.pattern + r"[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?([Zz]|[+-][0-9]{2}:[0-9]{2})")


@FORMATS.checks("date", raises=ValueError)
def _is_date(value: object) -> bool:
    return not isinstance(value, str) or bool(_DATE.fullmatch(value) and dt.date.fromisoformat(value))


@FORMATS.checks("date-time", raises=ValueError)
def _is_date_time(value: object) -> bool:
    return not isinstance(value, str) or bool(_DATE_TIME.fullmatch(value) and dt.datetime.fromisoformat(value.upper()))


@FORMATS.checks("uri", raises=ValueError)
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

    Whoever misspells a verdict is told so, and not also that ``steps`` are missing for the verdict it is not.
    """
    reason = ""
    if isinstance(test, dict) and isinstance(instance, dict):
        names = list(dict.fromkeys(_asked(test)))
        if any(_told_already(validator, name, test, instance, schema) for name in names):
            return
        reason = _state(names, instance)
    branch = "then" if validator.evolve(schema=test).is_valid(instance) else "else"
    if branch in schema:
        yield from _because(reason, validator.descend(instance, schema[branch], schema_path=branch))


def _asked(test: _Json) -> Iterator[str]:
    """The keys that a condition looks at."""
    yield from test.get("properties", ())
    yield from test.get("required", ())
    for part in (*test.get("anyOf", ()), *test.get("allOf", ())):
        yield from _asked(part)


def _told_already(validator: Draft202012Validator, name: str, test: _Json, instance: _Json, schema: _Json) -> bool:
    """Whether the condition asks for a word where there is none, or a wrong one: that is an error of its own."""
    word = test.get("properties", {}).get(name)
    if not isinstance(word, dict) or not word.keys() & {"const", "enum"}:
        return False
    if name not in instance:
        return name in schema.get("required", ())
    return not validator.evolve(schema=schema.get("properties", {}).get(name, True)).is_valid(instance[name])


def _state(names: Sequence[str], instance: _Json) -> str:
    """``'verdict' is 'native'``; ``'detail' and 'title' are left out``."""
    given = [f"{shown(name)} is {shown(instance[name])}" for name in names if name in instance]
    absent = [shown(name) for name in names if name not in instance]
    left_out = f"{' and '.join(absent)} {'is' if len(absent) == 1 else 'are'} left out" if absent else ""
    return " and ".join([*given, *filter(None, [left_out])])


def _dependent(validator: Draft202012Validator, dependent: _Json, instance: object, _: object) -> _Errors:
    """``dependentSchemas``: says which key a rule hangs on."""
    for name in dependent:
        if isinstance(instance, dict) and name in instance:
            found = validator.descend(instance, dependent[name], schema_path=name)
            yield from _because(f"{shown(name)} is given", found)


def _because(reason: str, found: _Errors) -> _Errors:
    """The errors, those about this very mapping with the reason as a note."""
    for error in found:
        if reason and len(error.path) <= 1:
            error.add_note(reason)
        yield error


Validator: type[Draft202012Validator] = validators.extend(  # type: ignore[no-untyped-call] # its stub has no types
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
