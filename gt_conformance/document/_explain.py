"""From what a schema refuses to problems in a file: each at its line, with what YAML itself has to do with it."""

from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

from gt_conformance.document._document import Document
from gt_conformance.errors import Location, Problem
from gt_conformance.schema import SchemaError, masked, spelled

MAX_PROBLEMS = 40
"""Nobody mends more at once; after mending these, the rest is often gone."""

_WORDS_FOR_BOOLEANS = frozenset({"yes", "no", "on", "off", "y", "n"})


def explained(
    errors: Iterable[SchemaError], document: Document, lost: Collection[tuple[str | int, ...]]
) -> Iterator[Problem]:
    """The problems that the errors stand for. ``lost`` are places already known to hold what was not meant."""
    for error in errors:
        if error.path in lost:
            continue
        located = document.locate(*error.path) if error.key is None else document.locate_key(*error.path, error.key)
        hints = [hint for hint in (error.hint, _about_keys(error), _about_yaml(error)) if hint]
        yield Problem(error.finding, located, spelled(error.path) or None, " ".join(hints) or None)


def presentable(problems: Collection[Problem], path: Path) -> list[Problem]:
    """The problems of a file by line; where there are too many, the first of them and how many more there are."""
    ordered = sorted(problems, key=_position)
    more = len(ordered) - MAX_PROBLEMS
    if more <= 0:
        return ordered
    return [*ordered[:MAX_PROBLEMS], Problem(f"and {more} more problems in this file.", where=Location(str(path)))]


def _position(problem: Problem) -> tuple[int, int]:
    where = problem.where
    return (where.line or 0, where.column or 0) if where else (0, 0)


def _about_keys(error: SchemaError) -> str | None:
    if isinstance(error.value, str) and masked(error.value) != error.value:
        return "A key itself must never stand in a file: name the environment variable that holds it."
    return None


def _about_yaml(error: SchemaError) -> str | None:
    """How YAML came to read something else than was meant."""
    if error.keyword != "type":
        return None
    value, wanted = error.value, error.allowed
    hint = None
    if value is None:
        hint = "Nothing is written here; what belongs here must be indented below its key."
    elif "string" in wanted and isinstance(value, (bool, int, float)):
        hint = "To make it text, put it in quotes."
    elif "string" in wanted and isinstance(value, (dict, list)):
        hint = "Text that holds ': ', or starts with '{', '[' or '- ', must be in quotes."
    elif "boolean" in wanted and isinstance(value, str) and value.lower() in _WORDS_FOR_BOOLEANS:
        hint = "Write true or false."
    elif "array" in wanted and not isinstance(value, (dict, list)):
        hint = "Put it in [ ], or start each item with '- '."
    return hint
