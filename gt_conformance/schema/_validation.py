"""From a value to the schema errors in it: the registry of our files, jsonschema's verdict, our sentences."""

import json
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

from jsonschema.exceptions import ValidationError
from referencing import Registry, Resource
from referencing.exceptions import Unresolvable
from referencing.jsonschema import DRAFT202012, SchemaRegistry

from gt_conformance.errors import InputError, Location
from gt_conformance.schema._breach import Breach
from gt_conformance.schema._error import MAX_ERRORS, SchemaError
from gt_conformance.schema._keywords import FORMATS, Validator
from gt_conformance.schema._sentences import told
from gt_conformance.schema._showing import nearest

_DIALECT = "https://json-schema.org/draft/2020-12/schema"


def errors(folder: Path, uri: str, value: object) -> list[SchemaError]:
    """What the schema at the address refuses about the value, which must be guarded."""
    validator = Validator({"$ref": uri}, registry=_registry(folder), format_checker=FORMATS)
    found: dict[object, SchemaError] = {}  # by what is said: `required` is told whole for each of its missing keys
    try:
        for error in _told_all(validator.iter_errors(value)):
            found[error.path, error.key, error.finding] = error
            if len(found) == MAX_ERRORS:
                return [*found.values(), SchemaError((), f"more than {MAX_ERRORS:,} errors; these are some.", "limit")]
    except Unresolvable as error:
        raise LookupError(f"{uri} leads to {error.ref}, which no schema in {folder} defines") from error
    return list(found.values())


def settled(found: Iterable[SchemaError]) -> tuple[SchemaError, ...]:
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


def _told_all(found: Iterable[ValidationError]) -> Iterator[SchemaError]:
    for error in found:
        yield from told(Breach.of(error))


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
    # The dialect is taken out once it is known: jsonschema would leave our validator for its own wherever it stands.
    if not isinstance(contents, dict) or contents.pop("$schema", None) != _DIALECT or contents.get("$id") != uri:
        raise InputError.of(
            "this schema does not say what it is.",
            where=Location(str(path)),
            hint=f'It must hold "$schema": "{_DIALECT}" and "$id": "{uri}".',
        )
    return uri, DRAFT202012.create_resource(contents)
