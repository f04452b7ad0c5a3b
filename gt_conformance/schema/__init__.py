"""JSON Schema (2020-12), applied in one place, with errors in plain sentences.

:func:`load` gives a schema of ``schemas/`` by name; :meth:`Schema.errors` says everything that it refuses about a
value. Any value is safe to ask about, however deep, long or odd, and nothing is ever fetched: a ``$ref`` leads to
another file of the folder, by its ``$id``, or nowhere.

Nearly everything fits, and that a compiled validator (jsonschema_rs) says in microseconds. jsonschema, whose errors can
be explained, is imported and asked only about what that one does not accept.
"""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

from gt_conformance import resources
from gt_conformance.errors import InputError, Location
from gt_conformance.schema._format import (
    MAX_DEPTH,
    SchemaError,
    count_noun,
    format_path,
    join_values,
    masked,
    nearest,
    plain,
    quote,
    quote_with_kind,
)
from gt_conformance.schema._value import is_plain, make_safe

__all__ = [
    "MAX_DEPTH",
    "Schema",
    "SchemaError",
    "count_noun",
    "format_path",
    "join_values",
    "load",
    "masked",
    "nearest",
    "plain",
    "quote",
    "quote_with_kind",
]

_SUFFIX = ".schema.json"


@dataclass(frozen=True, slots=True)
class Schema:
    """One file of the folder of schemas."""

    name: str
    folder: Path

    def errors(self, value: object, at: str = "#") -> tuple[SchemaError, ...]:
        """Everything that the schema refuses about the value, in the schema's order; empty where it fits.

        ``at`` validates against a part of the schema instead, by JSON pointer: ``#/$defs/published``. One that leads
        nowhere is a slip in the code, and raises LookupError.
        """
        from gt_conformance.schema import _acceptance  # noqa: PLC0415 - imports jsonschema_rs, of 15 MB

        uri = f"gt-conformance:{self.name}{_SUFFIX}{at}"
        try:
            if is_plain(value) and _acceptance.accepts(self.folder, uri, value):
                return ()
            safe = make_safe(value)
            if not safe.errors and _acceptance.accepts(self.folder, uri, safe.value):
                return ()
            from gt_conformance.schema import _validation  # noqa: PLC0415 - imports jsonschema, which is slow

            found = _validation.errors(self.folder, uri, safe.value)
        except RecursionError:
            return (SchemaError((), f"nested too deeply: at most {MAX_DEPTH} levels are read.", "depth"),)
        return _validation.without_consequences([*safe.errors, *found])


def load(name: str, folder: Path | None = None) -> Schema:
    """The schema of that name (``runbook``, ``wire/chat-completion``), read once.

    Raises InputError where the folder, the project's own if none is named, has none of that name.
    """
    return _load(name, folder or resources.schemas_dir())


@cache
def _load(name: str, folder: Path) -> Schema:
    names = _names(folder)
    if name not in names:
        near = nearest(name, names)
        raise InputError.of(
            f"there is no schema {quote(name)}{f': did you mean {quote(near)}?' if near else '.'}",
            where=Location(str(folder)),
            hint=f"There are: {join_values(sorted(names))}.",
        )
    return Schema(name, folder)


@cache
def _names(folder: Path) -> tuple[str, ...]:
    return tuple(path.relative_to(folder).as_posix().removesuffix(_SUFFIX) for path in folder.rglob(f"*{_SUFFIX}"))
