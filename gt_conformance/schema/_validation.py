"""What a schema refuses about a value, and why: jsonschema's validator, with messages of our own.

A few keywords are read as the standard has them, or reported closer to the slip: patterns mean what JSON Schema means
by them, and formats are checked. Each error is explained in a sentence, without those that only follow from another.
"""

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator, FormatChecker, validators
from jsonschema.exceptions import ValidationError
from referencing import Registry
from referencing.exceptions import Unresolvable
from referencing.jsonschema import DRAFT202012, SchemaRegistry

from gt_conformance.schema._acceptance import FORMATS, read_schemas
from gt_conformance.schema._explanation import NEVER, SchemaViolation, explain, matches, unknown_keys
from gt_conformance.schema._format import MAX_ERRORS, SchemaError, nearest, quote

# -- the keywords

_Errors = Iterator[ValidationError]
_Json = Mapping[str, Any]

_FORMATS = FormatChecker(formats=())
"""jsonschema checks most formats of its own only with further packages."""


def _add_format(name: str, has: Callable[[str], bool]) -> None:
    _FORMATS.checks(name, raises=ValueError)(lambda value: not isinstance(value, str) or has(value))


for _name, _has in FORMATS.items():
    _add_format(_name, _has)


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
    resources = [(uri, DRAFT202012.create_resource(contents)) for uri, contents in read_schemas(folder).items()]
    return registry.with_resources(resources).crawl()
