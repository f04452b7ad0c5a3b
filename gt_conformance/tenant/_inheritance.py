"""What a conversation key gets from the keys that it is linked to."""

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from typing import TypeAlias, TypeVar

from gt_conformance.errors import InputError, Location, Problem
from gt_conformance.tenant._value import Credential
from gt_conformance.vocabulary import Purpose

Locate: TypeAlias = Callable[..., Location | None]
"""From a path inside the tenant file to its place; None where the tenant came from no file."""

_T = TypeVar("_T")


def with_inherited(declared: Mapping[str, Credential], locate: Locate) -> dict[str, Credential]:
    """The same credentials with the effective scopes and allowlists of the conversation keys filled in.

    What a key declares itself stands. Raises InputError where a key that is no conversation key inherits, or where
    a linked key itself inherits: GT links one inference key and one upload key, one level deep.
    """
    problems = []
    for item in declared.values():
        if item.inherits and item.purpose is not Purpose.CONVERSATION:
            problems.append(
                Problem(
                    f"the key {item.name!r} inherits, but its purpose is not conversation.",
                    where=locate("keys", item.name),
                    path=f"keys.{item.name}.inherits",
                    hint="Set purpose: conversation, or drop inherits.",
                )
            )
        problems += [
            Problem(
                f"the key {item.name!r} inherits from {linked!r}, which inherits itself.",
                where=locate("keys", item.name, "inherits"),
                path=f"keys.{item.name}.inherits",
                hint="Link one inference key and one upload key.",
            )
            for linked in item.inherits
            if linked in declared and declared[linked].inherits
        ]
    if problems:
        raise InputError(problems)
    return {name: _filled(item, declared) for name, item in declared.items()}


def _filled(item: Credential, declared: Mapping[str, Credential]) -> Credential:
    if not item.inherits:
        return item
    linked = [declared[name] for name in item.inherits]
    return dataclasses.replace(
        item,
        scopes=item.scopes if item.scopes is not None else _union(key.scopes for key in linked),
        models=item.models if item.models is not None else _allowlist(linked, Purpose.UPLOAD, "models"),
        datasets=item.datasets if item.datasets is not None else _allowlist(linked, Purpose.INFERENCE, "datasets"),
    )


def _union(sets: Iterable[frozenset[_T] | None]) -> frozenset[_T] | None:
    known = list(sets)
    if any(item is None for item in known):
        return None
    return frozenset().union(*(item for item in known if item is not None))


def _allowlist(linked: Iterable[Credential], without: Purpose, kind: str) -> frozenset[str] | None:
    # An upload key has no allowlist of names and an inference key none of datasets: their silence is no unknown.
    return _union(getattr(key, kind) for key in linked if key.purpose is not without or getattr(key, kind) is not None)
