"""Whether a value fits a schema, and no more: by a compiled validator, since nearly all that is asked about fits.

What it does not accept is jsonschema's to judge and to explain (:mod:`._validation`), so that no value is refused
without a sentence; and both read the same schemas, with the same formats.
"""

import datetime as dt
import json
import re
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import jsonschema_rs

from gt_conformance.errors import InputError, Location

# -- formats

_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_DATE_TIME = re.compile(_DATE.pattern + r"[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?([Zz]|[+-][0-9]{2}:[0-9]{2})")


def _is_date(text: str) -> bool:
    return bool(_DATE.fullmatch(text) and dt.date.fromisoformat(text))


def _is_date_time(text: str) -> bool:
    return bool(_DATE_TIME.fullmatch(text) and dt.datetime.fromisoformat(text.upper()))


def _is_uri(text: str) -> bool:
    parts = urlsplit(text)
    return bool(re.fullmatch(r"[!-~]+", text) and parts.scheme and (parts.netloc or parts.path))


FORMATS: Mapping[str, Callable[[str], bool]] = {"date": _is_date, "date-time": _is_date_time, "uri": _is_uri}
"""The formats that a schema of ours may use. Each says whether a text has it, or raises ValueError where it has not."""


# -- the schemas

_DIALECT = "https://json-schema.org/draft/2020-12/schema"


@cache
def read_schemas(folder: Path) -> Mapping[str, Any]:
    """Every schema in the folder by the address that it is known by. Raises InputError for a file that is none."""
    return dict(_read(path, folder) for path in sorted(folder.rglob("*.schema.json")))


def _read(path: Path, folder: Path) -> tuple[str, Any]:
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
    return uri, contents


# -- the verdict


def accepts(folder: Path, uri: str, value: object) -> bool:
    """Whether the schema at the address accepts the value, which must be a safe copy. In doubt it does not."""
    try:
        return _compiled(folder, uri).is_valid(value)
    except (ValueError, jsonschema_rs.ReferencingError):  # text that is no Unicode; an address that leads nowhere
        return False


@cache
def _compiled(folder: Path, uri: str) -> jsonschema_rs.Validator:
    formats = {name: _without_exceptions(has) for name, has in FORMATS.items()}
    return jsonschema_rs.Draft202012Validator(
        {"$ref": uri}, registry=_registry(folder), formats=formats, validate_formats=True, offline=True
    )


def _without_exceptions(has: Callable[[str], bool]) -> Callable[[str], bool]:
    def check(text: str) -> bool:
        try:
            return has(text)
        except ValueError:
            return False

    return check


@cache
def _registry(folder: Path) -> jsonschema_rs.Registry:
    return jsonschema_rs.Registry(read_schemas(folder).items(), draft=jsonschema_rs.Draft202012)
