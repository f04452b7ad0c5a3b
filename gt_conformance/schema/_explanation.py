"""What a violation of a schema means, in a plain sentence: one function a keyword.

A schema that allows several forms (``anyOf``, ``oneOf``) refuses a slip in one of them once for each. The author knows
which form was meant, and only needs to hear about that one.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import groupby, islice
from typing import Any

from jsonschema.exceptions import ValidationError

from gt_conformance.schema._format import SchemaError, count_noun, join_values, nearest, quote, quote_with_kind

NEVER = "false"
"""The keyword of a place where the schema is just ``false``: nothing is allowed there."""


@dataclass(frozen=True, slots=True)
class SchemaViolation:
    """One keyword of a schema that a value breaks.

    ``rule`` is the keyword's value and ``schema`` what contains it; ``where`` names the condition that the rule hangs
    on. ``names_key`` says that ``value`` is itself a key, of the mapping at ``path``. ``forms`` holds, for an
    ``anyOf`` or ``oneOf``, what each form refuses.
    """

    keyword: str
    rule: Any
    value: Any
    schema: Any
    path: tuple[str | int, ...]
    where: str
    names_key: bool
    forms: tuple[tuple["SchemaViolation", ...], ...]

    @staticmethod
    def of(error: ValidationError) -> "SchemaViolation":
        """The violation that jsonschema's error tells of, with those inside it."""
        return SchemaViolation(
            keyword=error.validator if isinstance(error.validator, str) else NEVER,
            rule=error.validator_value,
            value=error.instance,
            schema=error.schema,
            path=tuple(error.absolute_path),
            where="".join(f" where {reason}" for reason in getattr(error, "__notes__", ())[:1]),
            names_key=list(error.absolute_schema_path)[-2:-1] == ["propertyNames"],
            forms=tuple(_refused_forms(error)),
        )

    def of_the_whole(self, parent: "SchemaViolation") -> bool:
        """Whether it is about the parent's value itself, not about something inside it."""
        return self.path == parent.path


def _refused_forms(error: ValidationError) -> Iterator[tuple[SchemaViolation, ...]]:
    for _, inner in groupby(error.context, key=lambda one: one.relative_schema_path[0]):
        yield tuple(SchemaViolation.of(one) for one in inner)


_Errors = Iterator[SchemaError]

_TYPES = {
    "string": "text",
    "number": "a number",
    "integer": "a whole number",
    "boolean": "true or false",
    "null": "null",
    "array": "a list",
    "object": "a mapping",
}

_FORMATS = {
    "date": "a date (YYYY-MM-DD)",
    "date-time": "a time with its zone (YYYY-MM-DDThh:mm:ssZ)",
    "uri": "an absolute address",
}


def explain(violation: SchemaViolation) -> _Errors:
    """The errors that the author has to fix: several where jsonschema counts several slips as one."""
    if violation.keyword in _PREDICATES:
        yield _at(violation, f"{_PREDICATES[violation.keyword](violation.rule, violation.value)}{violation.where}.")
    else:
        yield from _EXPLANATIONS.get(violation.keyword, _other)(violation)


def _at(
    violation: SchemaViolation, finding: str, allowed: tuple[object, ...] = (), hint: str | None = None
) -> SchemaError:
    """An error about the value of the violation."""
    if violation.names_key:
        finding = f"as a key, {finding}"
    key = violation.value if violation.names_key else None
    return SchemaError(violation.path, finding, violation.keyword, allowed, violation.value, key, hint)


def _at_key(
    violation: SchemaViolation, key: str, finding: str, allowed: tuple[object, ...] = (), hint: str | None = None
) -> SchemaError:
    """An error about a key of the mapping of the violation."""
    return SchemaError(violation.path, finding, violation.keyword, allowed, violation.value.get(key), key, hint)


def _type(violation: SchemaViolation) -> _Errors:
    yield _wrong_type(violation, [violation.rule] if isinstance(violation.rule, str) else violation.rule)


def _wrong_type(violation: SchemaViolation, types: list[str]) -> SchemaError:
    words = " or ".join(_TYPES.get(kind, kind) for kind in types)
    return _at(violation, f"must be {words}, not {quote_with_kind(violation.value)}{violation.where}.", tuple(types))


def _enum(violation: SchemaViolation) -> _Errors:
    yield _wrong_word(violation, violation.rule, [])


def _wrong_word(violation: SchemaViolation, words: list[object], types: list[str]) -> SchemaError:
    near = nearest(violation.value, words)
    end = f": did you mean {quote(near)}?" if near else "."
    finding = f"{quote(violation.value)} is not allowed here{violation.where}{end}"
    also = "".join(f", or {_TYPES.get(kind, kind)}" for kind in types)
    return _at(violation, finding, tuple(words), f"Allowed: {join_values(words)}{also}.")


def _const(violation: SchemaViolation) -> _Errors:
    yield _at(
        violation, f"must be {quote(violation.rule)}, not {quote(violation.value)}{violation.where}.", (violation.rule,)
    )


def _required(violation: SchemaViolation) -> _Errors:
    reason = f": it is needed{violation.where}" if violation.where else ""
    for key in violation.rule:
        if key not in violation.value:
            yield _at_key(violation, key, f"the key {quote(key)} is missing{reason}.")


def _dependent_required(violation: SchemaViolation) -> _Errors:
    for given, needed in violation.rule.items():
        for key in needed if given in violation.value else ():
            if key not in violation.value:
                reason = f"it is needed where {quote(given)} is given"
                yield _at_key(violation, key, f"the key {quote(key)} is missing: {reason}.")


def _unknown_keys(violation: SchemaViolation) -> _Errors:
    allowed = tuple(violation.schema.get("properties", ()))
    patterns = tuple(violation.schema.get("patternProperties", ()))
    right = join_values([*allowed, *(f"keys that match {pattern}" for pattern in patterns)])
    for key in unknown_keys(violation.value, violation.schema):
        if patterns and not allowed:
            near = next((form for form in _plainer(key) if any(matches(one, form) for one in patterns)), None)
            meant = f": did you mean {quote(near)}?" if near else "."
            yield _at_key(violation, key, f"the key {quote(key)} does not match {' or '.join(patterns)}{meant}")
            continue
        near = nearest(key, allowed)
        finding = f"unknown key {quote(key)}{f': did you mean {quote(near)}?' if near else '.'}"
        yield _at_key(violation, key, finding, allowed, f"Allowed here: {right or 'nothing'}.")


def _plainer(key: str) -> Iterator[str]:
    """A key in small letters, with dashes for what the pattern of a name may not take."""
    small = key.strip().lower()
    yield from (re.sub(f"[^{kept}]+", "-", small).strip("-") for kept in ("a-z0-9_-", "a-z0-9-"))


def _never(violation: SchemaViolation) -> _Errors:
    *path, last = violation.path or ("",)
    if isinstance(last, str) and last:
        finding = f"the key {quote(last)} does not belong here{violation.where}."
        yield SchemaError(tuple(path), finding, NEVER, value=violation.value, key=last)
    else:
        yield _at(violation, f"nothing is allowed here{violation.where}.")


def _pattern(violation: SchemaViolation) -> _Errors:
    if violation.rule == r"\S":
        yield _at(violation, f"must not be blank{violation.where}.")
        return
    examples = join_values(islice((one for one in violation.schema.get("examples", ()) if isinstance(one, str)), 2))
    finding = f"{quote(violation.value)} does not match {violation.rule}{violation.where}."
    yield _at(violation, finding, hint=f"For example: {examples}." if examples else None)


def _missing_keys(violation: SchemaViolation) -> list[list[str]]:
    """Where every form lacks nothing but keys of this mapping: which ones each lacks. Empty otherwise."""
    if not all(one.keyword == "required" and one.of_the_whole(violation) for form in violation.forms for one in form):
        return []
    return [[key for key in form[0].rule if key not in violation.value] for form in violation.forms]


def _allowed_kinds(violation: SchemaViolation) -> tuple[list[str], list[object]] | None:
    """Where every form refuses the value as a whole: the types, and the very values, that would do."""
    types: list[str] = []
    values: list[object] = []
    for form in violation.forms:
        one = form[0]
        if len(form) > 1 or not one.of_the_whole(violation):
            return None
        match one.keyword:
            case "type":
                types += [one.rule] if isinstance(one.rule, str) else one.rule
            case "enum":
                values += one.rule
            case "const":
                values.append(one.rule)
            case _:
                return None
    return types, values


def _closest_form(violation: SchemaViolation) -> tuple[SchemaViolation, ...]:
    """What is wrong with the form that the value comes closest to.

    One of its type comes before others, then one whose fixed words (``role: user``) it has, then one with fewer
    errors. (jsonschema's own best_match goes by depth, and cannot tell forms apart by their fixed words.)
    """

    def distance(form: tuple[SchemaViolation, ...]) -> tuple[bool, int, int]:
        another_type = any(one.keyword == "type" and one.of_the_whole(violation) for one in form)
        return another_type, sum(one.keyword in {"const", "enum"} for one in form), len(form)

    return min(violation.forms, key=distance)


def _any_of(violation: SchemaViolation) -> _Errors:
    if not violation.forms:
        yield from _too_many_forms(violation)
    elif choice := _missing_keys(violation):
        names = ", ".join(" and ".join(quote(key) for key in keys) for keys in choice)
        allowed = tuple(key for keys in choice for key in keys)
        yield _at(violation, f"one of these keys is missing: {names}{violation.where}.", allowed)
    elif kinds := _allowed_kinds(violation):
        types, words = kinds
        yield _wrong_word(violation, words, types) if words else _wrong_type(violation, types)
    else:
        for inner in _closest_form(violation):
            yield from explain(inner)


def _too_many_forms(violation: SchemaViolation) -> _Errors:
    """``oneOf``, where more than one form fits."""
    named = dict.fromkeys(key for form in violation.rule if isinstance(form, dict) for key in form.get("required", ()))
    given = [key for key in named if isinstance(violation.value, dict) and key in violation.value]
    rule = (
        f"only one of these keys may be given: {join_values(given)}" if len(given) > 1 else "fits several forms at once"
    )
    yield _at(violation, f"{rule}{violation.where}.", tuple(given))


def _other(violation: SchemaViolation) -> _Errors:
    yield _at(
        violation, f"{quote(violation.value)} does not fit the schema's rule {violation.keyword}{violation.where}."
    )


def _size(limit: int, size: int, noun: str) -> str:
    if limit > size:
        return "must not be empty" if limit == 1 else f"must hold at least {count_noun(limit, noun)}, not {size}"
    return f"must hold at most {count_noun(limit, noun)}, not {size}" if limit else f"must be empty, not hold {size}"


def _length(limit: int, text: str) -> str:
    if limit == 1 and not text:
        return "must not be empty"
    return (
        f"must be at {'least' if limit > len(text) else 'most'} {count_noun(limit, 'character')} long, not {len(text)}"
    )


_PREDICATES: dict[str, Callable[[Any, Any], str]] = {
    "minItems": lambda limit, value: _size(limit, len(value), "item"),
    "maxItems": lambda limit, value: _size(limit, len(value), "item"),
    "minProperties": lambda limit, value: _size(limit, len(value), "key"),
    "maxProperties": lambda limit, value: _size(limit, len(value), "key"),
    "minLength": _length,
    "maxLength": _length,
    "minimum": lambda limit, value: f"must be at least {quote(limit)}, not {quote(value)}",
    "maximum": lambda limit, value: f"must be at most {quote(limit)}, not {quote(value)}",
    "exclusiveMinimum": lambda limit, value: f"must be more than {quote(limit)}, not {quote(value)}",
    "exclusiveMaximum": lambda limit, value: f"must be less than {quote(limit)}, not {quote(value)}",
    "multipleOf": lambda factor, value: f"must be a multiple of {quote(factor)}, not {quote(value)}",
    "uniqueItems": lambda _, value: f"{quote(value)} is already in this list",
    "format": lambda name, value: f"{quote(value)} is not {_FORMATS.get(name, name)}",
}

_EXPLANATIONS: dict[str, Callable[[SchemaViolation], _Errors]] = {
    "type": _type,
    "enum": _enum,
    "const": _const,
    "required": _required,
    "dependentRequired": _dependent_required,
    "additionalProperties": _unknown_keys,
    NEVER: _never,
    "pattern": _pattern,
    "anyOf": _any_of,
    "oneOf": _any_of,
}


# -- patterns
#
# In Python ``$`` also matches before a line break at the end, ``\d`` and ``\w`` take the digits and letters of every
# script, and ``\s`` takes a few more characters, and one less. In JSON Schema, whose patterns are JavaScript's, they do
# not: an id cannot end in a line break, nor a year be written in Arabic digits.

_TOKEN = re.compile(r"\\.|\[(?:\\.|[^\]\\])*\]|\$")
_SPACE = r"\t\n\v\f\r \u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000\ufeff"
_MEANING = {"$": r"\Z", r"\d": "[0-9]", r"\w": "[A-Za-z0-9_]", r"\s": f"[{_SPACE}]", r"\S": f"[^{_SPACE}]"}


def matches(pattern: str, text: str) -> bool:
    """Whether the pattern matches anywhere in the text."""
    return _compiled(pattern).search(text) is not None


def unknown_keys(instance: Mapping[str, Any], schema: Mapping[str, Any]) -> list[str]:
    """The keys that neither ``properties`` nor ``patternProperties`` of the schema name."""
    named, patterns = schema.get("properties", {}), schema.get("patternProperties", {})
    return [name for name in instance if name not in named and not any(matches(each, name) for each in patterns)]


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(_TOKEN.sub(_python, pattern))


def _python(match: re.Match[str]) -> str:
    token = match[0]
    if token.startswith("["):
        if r"\S" in token:  # beside \s, for any character: there is no other way to write that
            return token
        return token.replace(r"\d", "0-9").replace(r"\w", "A-Za-z0-9_").replace(r"\s", _SPACE)
    return _MEANING.get(token, token)
