"""The record's types and results.schema.json say the same, so that neither can drift from the other."""

import copy
import json
import types
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal, NotRequired, Required, get_args, get_origin, get_type_hints, is_typeddict

import pytest

from gt_conformance import resources
from gt_conformance.results import Record

SCHEMA: dict[str, Any] = json.loads((resources.schemas_dir() / "results.schema.json").read_text("utf-8"))
SCALARS: Mapping[str, type] = {"string": str, "integer": int, "number": float, "boolean": bool}


def differences(schema: Mapping[str, Any], node: Mapping[str, Any], hint: Any, where: str = "record") -> Iterator[str]:
    """Where a type and its part of the schema differ: keys, whether they are required, and what they hold."""
    node = resolved(schema, node)
    if get_origin(hint) in {Required, NotRequired}:
        (hint,) = get_args(hint)
    options = [option for option in node.get("oneOf", [node]) if option != {"type": "null"}]
    optional = len(options) < len(node.get("oneOf", [node])) or "null" in node.get("type", ())
    if get_origin(hint) is types.UnionType:
        (hint,) = (part for part in get_args(hint) if part is not types.NoneType)
        if not optional:
            yield f"{where}: None in the type only"
    elif optional:
        yield f"{where}: null in the schema only"
    (node,) = (resolved(schema, option) for option in options)
    yield from contents(schema, node, hint, where)


def resolved(schema: Mapping[str, Any], node: Mapping[str, Any]) -> Mapping[str, Any]:
    """The node, or the one that it refers to."""
    while "$ref" in node:
        found: Any = schema
        for part in node["$ref"].removeprefix("#/").split("/"):
            found = found[part]
        node = found
    return node


def contents(schema: Mapping[str, Any], node: Mapping[str, Any], hint: Any, where: str) -> Iterator[str]:
    """The same for what is not null."""
    kinds = [kind for kind in as_list(node.get("type", of_values(node))) if kind != "null"]
    match kinds:
        case ["object"] if is_typeddict(hint):
            yield from keys(schema, node, hint, where)
        case ["object"]:
            if get_origin(hint) not in {dict, Mapping} or "properties" in node:
                yield f"{where}: {hint} for an object with {sorted(node.get('properties', ()))}"
            elif isinstance(node.get("additionalProperties"), dict):
                yield from differences(schema, node["additionalProperties"], get_args(hint)[1], f"{where}.*")
        case ["array"]:
            if get_origin(hint) is list:
                yield from differences(schema, node["items"], get_args(hint)[0], f"{where}[]")
            else:
                yield f"{where}: {hint} for an array"
        case [kind]:
            allowed = {type(value) for value in get_args(hint)} if get_origin(hint) is Literal else {hint}
            if allowed != {SCALARS[kind]}:
                yield f"{where}: {hint} for a {kind}"
        case _:
            yield f"{where}: the schema allows {kinds}"


def keys(schema: Mapping[str, Any], node: Mapping[str, Any], hint: Any, where: str) -> Iterator[str]:
    """The same for an object and a TypedDict."""
    hints = get_type_hints(hint)
    properties = node.get("properties", {})
    yield from (f"{where}.{name}: in the schema only" for name in properties.keys() - hints.keys())
    yield from (f"{where}.{name}: in the type only" for name in hints.keys() - properties.keys())
    for name in sorted(hints.keys() & properties.keys()):
        required = name in hint.__required_keys__
        if required != (name in node.get("required", ())):
            yield f"{where}.{name}: required in the {'type' if required else 'schema'} only"
        yield from differences(schema, properties[name], hints[name], f"{where}.{name}")


def as_list(value: Any) -> list[Any]:
    """A list of one, or the list."""
    return value if isinstance(value, list) else [value]


def of_values(node: Mapping[str, Any]) -> list[str]:
    """The kinds of an enumeration's values."""
    values = node.get("enum", [node["const"]] if "const" in node else [])
    return sorted({name for value in values for name, kind in SCALARS.items() if type(value) is kind})


def test_types_and_schema_agree() -> None:
    """Each property of the schema is a key of its type and the reverse, as required there as here, and of one kind."""
    assert list(differences(SCHEMA, SCHEMA, Record)) == []


def changed(change: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
    """The schema after a change."""
    schema = copy.deepcopy(SCHEMA)
    change(schema)
    return schema


DRIFTS: Mapping[str, tuple[Callable[[dict[str, Any]], object], str]] = {
    "a new key": (
        lambda schema: schema["$defs"]["check"]["properties"].update(hue={"type": "string"}),
        "checks[].hue: in the schema only",
    ),
    "a key that went": (
        lambda schema: schema["$defs"]["run"]["properties"].pop("scope"),
        "record.run.scope: in the type only",
    ),
    "a key that became optional": (
        lambda schema: schema["$defs"]["driven"]["required"].remove("hosts"),
        "driven[].hosts: required in the type only",
    ),
    "a key that became required": (
        lambda schema: schema["required"].append("since"),
        "record.since: required in the schema only",
    ),
    "a number for a string": (
        lambda schema: schema["$defs"]["exchange"]["properties"]["curl"].update(type="number"),
        "exchanges.*.curl: <class 'str'> for a number",
    ),
    "null": (
        lambda schema: schema["$defs"]["row"]["properties"]["title"].update(type=["string", "null"]),
        "routes[].title: null in the schema only",
    ),
    "never null": (
        lambda schema: schema["$defs"]["check"]["properties"]["credential"].update(type="string"),
        "checks[].credential: None in the type only",
    ),
    "a list for a value": (
        lambda schema: schema["$defs"]["night"]["properties"].update(day={"type": "array"}),
        "history[].day: <class 'str'> for an array",
    ),
}


@pytest.mark.parametrize("drift", DRIFTS, ids=[name.replace(" ", "-") for name in DRIFTS])
def test_a_schema_that_drifts_is_noticed(drift: str) -> None:
    """A key more or less, another kind, null: each is a difference that names its place."""
    change, wanted = DRIFTS[drift]
    schema = changed(change)
    assert [found for found in differences(schema, schema, Record) if found.endswith(wanted)]
