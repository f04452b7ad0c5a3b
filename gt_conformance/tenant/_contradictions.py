"""What a tenant file says twice and not alike: each is a slip, found before anything is sent."""

import difflib
from collections.abc import Iterator, Mapping
from typing import Any, assert_never
from urllib.parse import urlsplit

from gt_conformance.errors import InputError, Locate, Problem
from gt_conformance.tenant._base_url import check_base_url
from gt_conformance.tenant._tenant import Credential, Secret
from gt_conformance.vocabulary import GRANTS, Preset, Purpose, Scope


def find_contradictions(
    value: Mapping[str, Any], declared: Mapping[str, Credential], base_url: str, locate: Locate
) -> Iterator[Problem]:
    """What a tenant file contradicts of itself. ``declared`` has its keys, as far as they could be read."""
    yield from _unknown_names(value, locate)
    yield from _wrong_purposes(declared, locate)
    yield from _contradicted_presets(value["keys"], declared, locate)
    yield from _revealing_markers(value, locate)
    yield from _foreign_base_urls(value, base_url, locate)
    yield from _published_after_all(value, locate)
    yield from _own_dataset(value, locate)
    yield from _internal_after_all(value, locate)
    yield from _names_of_nobody(value, declared, locate)


def find_shared_secrets(declared: Mapping[str, Credential], other: Secret | None, locate: Locate) -> list[Problem]:
    """The same secret under two names: rotation, isolation and dedication would then be proved of nothing."""
    first: dict[Secret, str] = {} if other is None else {other: "the key of another tenant"}
    problems = []
    for key in declared.values():
        named = ((key.secret, f"the key {key.name!r}"), (key.retired_secret, f"the retired secret of {key.name!r}"))
        for secret, name in named:
            if secret is None:
                continue
            earlier = first.setdefault(secret, name)
            if earlier != name:
                problems.append(
                    Problem(
                        f"{earlier} and {name} have the same secret.",
                        where=locate("keys", key.name),
                        path=f"keys.{key.name}",
                        hint="Give each its own secret.",
                    )
                )
    return problems


def _unknown_names(value: Mapping[str, Any], locate: Locate) -> list[Problem]:
    names = tuple(value["keys"])
    used: list[tuple[tuple[str | int, ...], str]] = [
        (("runbooks", runbook, role), key)
        for runbook, keys in value.get("runbooks", {}).items()
        for role, key in keys.items()
        if role in {"key", "extension_key"}
    ]
    used += [
        (("keys", name, "inherits", index), key)
        for name, entry in value["keys"].items()
        for index, key in enumerate(entry.get("inherits", ()))
    ]
    problems = []
    for path, key in used:
        if key not in names:
            near = difflib.get_close_matches(key, names, n=1)
            suggestion = f"Did you mean {near[0]!r}? " if near else ""
            problems.append(
                Problem(
                    f"there is no key named {key!r}.",
                    where=locate(*path),
                    path=".".join(map(str, path)),
                    hint=f"{suggestion}Keys of this file: {', '.join(names)}.",
                )
            )
    for path, key in used:
        if path[0] == "runbooks" and value["keys"].get(key, {}).get("revoked"):
            problems.append(
                Problem(
                    f"the key {key!r} is marked revoked: no runbook can use it.",
                    where=locate(*path),
                    path=".".join(map(str, path)),
                    hint="Name a live key.",
                )
            )
    return problems


def _wrong_purposes(declared: Mapping[str, Credential], locate: Locate) -> list[Problem]:
    """Scopes that no key of that purpose can carry: one of the two is a slip."""
    problems = []
    for key in declared.values():
        match key.purpose:
            case Purpose.INFERENCE:
                excluded, better = {Scope.DATASETS_WRITE}, Purpose.UPLOAD
            case Purpose.UPLOAD:
                excluded, better = set(Scope) - {Scope.DATASETS_WRITE}, Purpose.INFERENCE
            case Purpose.CONVERSATION | None:
                continue
            case _:
                assert_never(key.purpose)
        wrong = sorted(scope.value for scope in excluded & (key.scopes or frozenset()))
        if wrong:
            problems.append(
                Problem(
                    f"the key {key.name!r} is for {key.purpose.value}, which does not carry {', '.join(wrong)}.",
                    where=locate("keys", key.name),
                    path=f"keys.{key.name}.purpose",
                    hint=f"Set purpose: {better.value}, or take the scope off.",
                )
            )
    return problems


def _contradicted_presets(keys: Mapping[str, Any], declared: Mapping[str, Credential], locate: Locate) -> list[Problem]:
    """A preset beside a purpose or scopes that it does not give: the key was changed since, or one is a slip."""
    problems = []
    for name, entry in keys.items():
        if "preset" not in entry or name not in declared:
            continue
        grant = GRANTS[Preset(entry["preset"])]
        said = [entry["purpose"]] if declared[name].purpose is not grant.purpose else []
        if grant.scopes is not None and declared[name].scopes != grant.scopes:
            said.append(", ".join(entry["scopes"]) or "no scopes")
        if said:
            given = ", ".join([grant.purpose.value, *sorted(scope.value for scope in grant.scopes or ())])
            beside = "; ".join(said)
            problems.append(
                Problem(
                    f"the key {name!r} is of the preset {entry['preset']}, which gives {given}, and not {beside}.",
                    where=locate("keys", name, "preset"),
                    path=f"keys.{name}.preset",
                    hint="Drop the preset where the key was changed since; else correct purpose and scopes.",
                )
            )
    return problems


def _revealing_markers(value: Mapping[str, Any], locate: Locate) -> list[Problem]:
    """Markers that the question itself tells: an answer that repeats it would show nothing."""
    places: list[tuple[tuple[str | int, ...], Mapping[str, str]]] = [
        (("base_prompts", name), marker) for name, marker in value.get("base_prompts", {}).items()
    ]
    places += [
        (("keys", name, kind), entry[kind])
        for name, entry in value["keys"].items()
        for kind in ("prompt_modules", "prompt_text")
        if kind in entry
    ]
    return [
        Problem(
            f"the question tells what is expected of its answer: {marker['expect']!r}.",
            where=locate(*path),
            path=".".join(map(str, path)),
            hint="Ask for it without naming it.",
        )
        for path, marker in places
        if marker["expect"].casefold() in marker["ask"].casefold()
    ]


def _foreign_base_urls(value: Mapping[str, Any], base_url: str, locate: Locate) -> list[Problem]:
    """Base URLs of a runbook that lead to another host: the keys belong to this tenant alone."""
    problems: list[Problem] = []
    for runbook, entry in value.get("runbooks", {}).items():
        if "base_url" not in entry or not base_url:
            continue
        path = ("runbooks", runbook, "base_url")
        try:
            own = check_base_url(entry["base_url"], where=locate(*path), versioned=True)
        except InputError as error:
            problems += error.problems
            continue
        here, there = urlsplit(base_url), urlsplit(own)
        if (here.scheme, here.netloc.lower()) != (there.scheme, there.netloc.lower()):
            problems.append(
                Problem(
                    f"it leads to {there.scheme}://{there.netloc}, and the tenant is at {here.scheme}://{here.netloc}.",
                    where=locate(*path),
                    path=".".join(path),
                    hint="Name a path on the tenant's own host, such as "
                    f"{base_url}/v1; another host needs a tenant file of its own.",
                )
            )
    return problems


def _published_after_all(value: Mapping[str, Any], locate: Locate) -> list[Problem]:
    """Unpublished names that the file itself has somebody use: whoever lists them would be accused of it."""
    used = {name: f"models.{modality}" for modality, name in value["models"].items()}
    used |= {name: f"keys.{key}.models" for key, entry in value["keys"].items() for name in entry.get("models", ())}
    return [
        Problem(
            f"the name {name!r} is under unpublished_models, and under {used[name]}.",
            where=locate("unpublished_models", index),
            path=f"unpublished_models.{index}",
            hint="Take it off one of the two: an unpublished name must neither work nor show.",
        )
        for index, name in enumerate(value.get("unpublished_models", ()))
        if name in used
    ]


def _own_dataset(value: Mapping[str, Any], locate: Locate) -> list[Problem]:
    """The dataset of the runs as a path, or among those that no upload key may write: the tenant would be accused."""
    name = str(value.get("dataset", ""))
    if name != name.strip("/"):
        hint = f"Leave out the slash: {name.strip('/')}"
        where = locate("dataset")
        return [Problem(f"dataset is a path, {name!r}, and not an id.", where=where, path="dataset", hint=hint)]
    return [
        Problem(
            f"the dataset {name!r} is under other_datasets, and is the one that a run uploads to (dataset).",
            where=locate("other_datasets", index),
            path=f"other_datasets.{index}",
            hint="Name datasets there that exist and that the upload keys may not write.",
        )
        for index, name in enumerate(value.get("other_datasets", ()))
        if name == value.get("dataset")
    ]


def _internal_after_all(value: Mapping[str, Any], locate: Locate) -> list[Problem]:
    """Internal identifiers that the file has somebody use for a dataset: answers name what they are asked for."""
    used = dict.fromkeys(value.get("other_datasets", ()), "other_datasets")
    used |= {name: f"keys.{key}.datasets" for key, entry in value["keys"].items() for name in entry.get("datasets", ())}
    used |= {value["dataset"]: "dataset"} if "dataset" in value else {}
    return [
        Problem(
            f"the dataset {name!r} is under internal_datasets, and under {used[name]}.",
            where=locate("internal_datasets", index),
            path=f"internal_datasets.{index}",
            hint="Name identifiers there that only the tenant itself uses: no answer may name one.",
        )
        for index, name in enumerate(value.get("internal_datasets", ()))
        if name in used
    ]


def _names_of_nobody(value: Mapping[str, Any], declared: Mapping[str, Credential], locate: Locate) -> list[Problem]:
    """Raw models and aliases of base prompts that no key is allowed, where one much like it is: a slip.

    Others belong to keys that the file does not have, as when it was cut down to a few: they are not asked for.
    """
    keys = [key for key in declared.values() if key.purpose is not Purpose.UPLOAD and not key.revoked]
    if len(declared) < len(value["keys"]) or any(key.models is None and not key.inherits for key in keys):
        return []
    known = sorted({*value["models"].values(), *(name for key in declared.values() for name in key.models or ())})
    named: list[tuple[str, str | int, str]] = [
        *(("raw_models", index, name) for index, name in enumerate(value.get("raw_models", ()))),
        *(("base_prompts", name, name) for name in value.get("base_prompts", {})),
    ]
    problems = []
    for field, place, name in named:
        near = [] if name in known else difflib.get_close_matches(name, known, n=1)
        if near:
            problems.append(
                Problem(
                    f"no key is allowed the name {name!r}.",
                    where=locate(field, place),
                    path=f"{field}.{place}",
                    hint=f"Did you mean {near[0]!r}? Correct it, or add it to the models of a key.",
                )
            )
    return problems
