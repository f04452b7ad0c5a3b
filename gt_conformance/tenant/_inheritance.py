"""What a conversation key gets from the keys that it is linked to."""

import dataclasses
from collections.abc import Iterable, Mapping
from typing import TypeVar

from gt_conformance.errors import InputError, Locate, Problem
from gt_conformance.tenant._tenant import Credential, Unsure
from gt_conformance.vocabulary import Purpose, Scope

_T = TypeVar("_T")


def with_inherited(declared: Mapping[str, Credential], locate: Locate) -> dict[str, Credential]:
    """The same credentials with the effective scopes and allowlists of the conversation keys filled in.

    What a key and its links do not agree on is unsure. Raises InputError where a key that is no conversation key
    inherits, or where a linked key itself inherits: GT links one inference key and one upload key, one level deep.
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
    scopes, unsure_scopes = _inherited(item.scopes, _union(key.scopes for key in linked))
    if scopes is not None:
        unsure_scopes |= _of_no_link(linked) - scopes
    models, unsure_models = _inherited(item.models, _allowlist(linked, Purpose.UPLOAD, "models"))
    datasets, unsure_datasets = _inherited(item.datasets, _allowlist(linked, Purpose.INFERENCE, "datasets"))
    return dataclasses.replace(
        item,
        scopes=scopes,
        models=models,
        datasets=datasets,
        unsure=Unsure(unsure_scopes, unsure_models, unsure_datasets),
        conversation_uploads=_inherited_right(item, linked),
        prompt_modules=item.prompt_modules or next(filter(None, (key.prompt_modules for key in linked)), None),
        prompt_text=item.prompt_text or next(filter(None, (key.prompt_text for key in linked)), None),
    )


def _of_no_link(linked: Iterable[Credential]) -> frozenset[Scope]:
    """The scopes that a link which the file leaves out may bring: GT links one inference key and one upload key."""
    purposes = {key.purpose for key in linked}
    if None in purposes or {Purpose.INFERENCE, Purpose.UPLOAD} <= purposes:
        return frozenset()
    uploads = frozenset({Scope.DATASETS_WRITE})
    return uploads if Purpose.INFERENCE in purposes else frozenset(Scope) - uploads


def _inherited_right(item: Credential, linked: Iterable[Credential]) -> bool | None:
    """Whether a conversation key may upload into conversations: by itself, or by its linked upload key."""
    stated = [key.conversation_uploads for key in (item, *linked) if key.conversation_uploads is not None]
    return any(stated) if stated else None


def _inherited(own: frozenset[_T] | None, linked: frozenset[_T] | None) -> tuple[frozenset[_T] | None, frozenset[_T]]:
    """What a key has for certain, and what is unsure: where both lists are there, what only one of them holds."""
    if own is None or linked is None:
        return (linked if own is None else own), frozenset()
    return own & linked, own ^ linked


def _union(sets: Iterable[frozenset[_T] | None]) -> frozenset[_T] | None:
    known = list(sets)
    if any(item is None for item in known):
        return None
    return frozenset().union(*(item for item in known if item is not None))


def _allowlist(linked: Iterable[Credential], without: Purpose, kind: str) -> frozenset[str] | None:
    # An upload key has no allowlist of names and an inference key none of datasets: their silence is no unknown.
    return _union(getattr(key, kind) for key in linked if key.purpose is not without or getattr(key, kind) is not None)
