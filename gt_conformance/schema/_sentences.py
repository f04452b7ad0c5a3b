"""What a breach of a schema means, in a plain sentence: one function a keyword."""

from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

from gt_conformance.schema import _forms
from gt_conformance.schema._breach import NEVER, Breach
from gt_conformance.schema._error import SchemaError
from gt_conformance.schema._patterns import unknown_keys
from gt_conformance.schema._showing import counted, described, listed, nearest, shown

_Told = Iterator[SchemaError]

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


def told(breach: Breach) -> _Told:
    """The errors that the author has to mend: several where jsonschema counts several slips as one."""
    if breach.keyword in _PREDICATES:
        yield _at(breach, f"{_PREDICATES[breach.keyword](breach.rule, breach.value)}{breach.where}.")
    else:
        yield from _TELLERS.get(breach.keyword, _other)(breach)


def _at(breach: Breach, finding: str, allowed: tuple[object, ...] = (), hint: str | None = None) -> SchemaError:
    """An error about the value of the breach."""
    if breach.names_key:
        finding = f"as a key, {finding}"
    key = breach.value if breach.names_key else None
    return SchemaError(breach.path, finding, breach.keyword, allowed, breach.value, key, hint)


def _at_key(
    breach: Breach, key: str, finding: str, allowed: tuple[object, ...] = (), hint: str | None = None
) -> SchemaError:
    """An error about a key of the mapping of the breach."""
    return SchemaError(breach.path, finding, breach.keyword, allowed, breach.value.get(key), key, hint)


def _type(breach: Breach) -> _Told:
    yield _wrong_type(breach, [breach.rule] if isinstance(breach.rule, str) else breach.rule)


def _wrong_type(breach: Breach, types: list[str]) -> SchemaError:
    words = " or ".join(_TYPES.get(kind, kind) for kind in types)
    return _at(breach, f"must be {words}, not {described(breach.value)}{breach.where}.", tuple(types))


def _enum(breach: Breach) -> _Told:
    yield _wrong_word(breach, breach.rule, [])


def _wrong_word(breach: Breach, words: list[object], types: list[str]) -> SchemaError:
    near = nearest(breach.value, words)
    finding = (
        f"{shown(breach.value)} is not allowed here{breach.where}{f': did you mean {shown(near)}?' if near else '.'}"
    )
    also = "".join(f", or {_TYPES.get(kind, kind)}" for kind in types)
    return _at(breach, finding, tuple(words), f"Allowed: {listed(words)}{also}.")


def _const(breach: Breach) -> _Told:
    yield _at(breach, f"must be {shown(breach.rule)}, not {shown(breach.value)}{breach.where}.", (breach.rule,))


def _required(breach: Breach) -> _Told:
    reason = f": it is needed{breach.where}" if breach.where else ""
    for key in breach.rule:
        if key not in breach.value:
            yield _at_key(breach, key, f"the key {shown(key)} is missing{reason}.")


def _dependent_required(breach: Breach) -> _Told:
    for given, needed in breach.rule.items():
        for key in needed if given in breach.value else ():
            if key not in breach.value:
                reason = f"it is needed where {shown(given)} is given"
                yield _at_key(breach, key, f"the key {shown(key)} is missing: {reason}.")


def _unknown_keys(breach: Breach) -> _Told:
    allowed = tuple(breach.schema.get("properties", ()))
    patterns = tuple(breach.schema.get("patternProperties", ()))
    right = listed([*allowed, *(f"keys that match {pattern}" for pattern in patterns)])
    for key in unknown_keys(breach.value, breach.schema):
        if patterns and not allowed:
            yield _at_key(breach, key, f"the key {shown(key)} does not match {' or '.join(patterns)}.")
            continue
        near = nearest(key, allowed)
        finding = f"unknown key {shown(key)}{f': did you mean {shown(near)}?' if near else '.'}"
        yield _at_key(breach, key, finding, allowed, f"Allowed here: {right or 'nothing'}.")


def _never(breach: Breach) -> _Told:
    *path, last = breach.path or ("",)
    if isinstance(last, str) and last:
        finding = f"the key {shown(last)} does not belong here{breach.where}."
        yield SchemaError(tuple(path), finding, NEVER, value=breach.value, key=last)
    else:
        yield _at(breach, f"nothing may stand here{breach.where}.")


def _pattern(breach: Breach) -> _Told:
    if breach.rule == r"\S":
        yield _at(breach, f"must not be blank{breach.where}.")
        return
    examples = listed(islice((one for one in breach.schema.get("examples", ()) if isinstance(one, str)), 2))
    finding = f"{shown(breach.value)} does not match {breach.rule}{breach.where}."
    yield _at(breach, finding, hint=f"For example: {examples}." if examples else None)


def _any_of(breach: Breach) -> _Told:
    if not breach.forms:
        yield from _too_many_forms(breach)
    elif choice := _forms.keys_missing(breach):
        names = ", ".join(" and ".join(shown(key) for key in keys) for keys in choice)
        allowed = tuple(key for keys in choice for key in keys)
        yield _at(breach, f"one of these keys is missing: {names}{breach.where}.", allowed)
    elif kinds := _forms.kinds(breach):
        types, words = kinds
        yield _wrong_word(breach, words, types) if words else _wrong_type(breach, types)
    else:
        for inner in _forms.closest(breach):
            yield from told(inner)


def _too_many_forms(breach: Breach) -> _Told:
    """``oneOf``, where more than one form fits."""
    named = dict.fromkeys(key for form in breach.rule if isinstance(form, dict) for key in form.get("required", ()))
    given = [key for key in named if isinstance(breach.value, dict) and key in breach.value]
    rule = f"only one of these keys may be given: {listed(given)}" if len(given) > 1 else "fits several forms at once"
    yield _at(breach, f"{rule}{breach.where}.", tuple(given))


def _other(breach: Breach) -> _Told:
    yield _at(breach, f"{shown(breach.value)} does not fit the schema's rule {breach.keyword}{breach.where}.")


def _size(limit: int, size: int, noun: str) -> str:
    if limit > size:
        return "must not be empty" if limit == 1 else f"must hold at least {counted(limit, noun)}, not {size}"
    return f"must hold at most {counted(limit, noun)}, not {size}" if limit else f"must be empty, not hold {size}"


def _length(limit: int, text: str) -> str:
    if limit == 1 and not text:
        return "must not be empty"
    return f"must be at {'least' if limit > len(text) else 'most'} {counted(limit, 'character')} long, not {len(text)}"


_PREDICATES: dict[str, Callable[[Any, Any], str]] = {
    "minItems": lambda limit, value: _size(limit, len(value), "item"),
    "maxItems": lambda limit, value: _size(limit, len(value), "item"),
    "minProperties": lambda limit, value: _size(limit, len(value), "key"),
    "maxProperties": lambda limit, value: _size(limit, len(value), "key"),
    "minLength": _length,
    "maxLength": _length,
    "minimum": lambda limit, value: f"must be at least {shown(limit)}, not {shown(value)}",
    "maximum": lambda limit, value: f"must be at most {shown(limit)}, not {shown(value)}",
    "exclusiveMinimum": lambda limit, value: f"must be more than {shown(limit)}, not {shown(value)}",
    "exclusiveMaximum": lambda limit, value: f"must be less than {shown(limit)}, not {shown(value)}",
    "multipleOf": lambda factor, value: f"must be a multiple of {shown(factor)}, not {shown(value)}",
    "uniqueItems": lambda _, value: f"{shown(value)} stands in this list already",
    "format": lambda name, value: f"{shown(value)} is not {_FORMATS.get(name, name)}",
}

_TELLERS: dict[str, Callable[[Breach], _Told]] = {
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
