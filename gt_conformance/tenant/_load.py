"""From a tenant file, or three environment variables, to a Tenant."""

import dataclasses
import difflib
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gt_conformance import document, schema
from gt_conformance.document import Document
from gt_conformance.errors import InputError, Location, Problem
from gt_conformance.tenant import _address, _secret
from gt_conformance.tenant._inheritance import Locate, with_inherited
from gt_conformance.tenant._secret import Secret
from gt_conformance.tenant._value import Credential, KeyMapping, Limits, Tenant, TenantKind
from gt_conformance.vocabulary import Modality, Purpose, Scope

VARIABLES = ("GT_BASE_URL", "GT_API_KEY", "GT_MODEL")
"""The short form of a tenant file: one address, one key, one published name."""


def from_file(path: Path, environment: Mapping[str, str]) -> Tenant:
    """The tenant of a file. Raises InputError with everything that is wrong with it."""
    source = document.read(path, schema="tenant")
    return _tenant(source.value, environment, kind=TenantKind.LIVE, folder=path.parent, name=str(path), source=source)


def from_environment(environment: Mapping[str, str]) -> Tenant | None:
    """The tenant of GT_BASE_URL, GT_API_KEY and GT_MODEL; None where none of them is set.

    Raises InputError where only some are: falling back to the embedded tenant would look like a proof.
    """
    given = [name for name in VARIABLES if environment.get(name)]
    if not given:
        return None
    missing = [name for name in VARIABLES if name not in given]
    if missing:
        raise InputError.of(
            f"{' and '.join(given)} {'is' if len(given) == 1 else 'are'} set, but {' and '.join(missing)} "
            f"{'is' if len(missing) == 1 else 'are'} not.",
            hint="Set all three, or name a tenant file with --tenant FILE.",
        )
    value = {
        "base_url": environment["GT_BASE_URL"],
        "models": {"chat": environment["GT_MODEL"]},
        "keys": {"default": {"secret_env": "GT_API_KEY"}},
    }
    return _tenant(value, environment, kind=TenantKind.LIVE, folder=Path(), name="the environment", source=None)


def from_mapping(value: Mapping[str, Any], environment: Mapping[str, str], *, kind: TenantKind, name: str) -> Tenant:
    """The tenant of a value in the form of a tenant file, such as the embedded tenant gives of itself."""
    errors = schema.load("tenant").errors(value)
    if errors:
        raise InputError(Problem(error.message, path=".".join(map(str, error.path))) for error in errors)
    return _tenant(value, environment, kind=kind, folder=Path(), name=name, source=None)


def _tenant(
    value: Mapping[str, Any],
    environment: Mapping[str, str],
    *,
    kind: TenantKind,
    folder: Path,
    name: str,
    source: Document | None,
) -> Tenant:
    def locate(*path: str | int) -> Location | None:
        return source.locate(*path) if source else None

    problems: list[Problem] = []
    base_url = ""
    try:
        base_url = _address.checked(value["base_url"], where=locate("base_url"))
    except InputError as error:
        problems += error.problems
    declared: dict[str, Credential] = {}
    for position, (key, entry) in enumerate(value["keys"].items()):
        try:
            declared[key] = _credential(key, entry, position, environment, folder, locate("keys", key))
        except InputError as error:
            problems += error.problems
    names = tuple(value["keys"])
    problems += _unknown_names(value, names, locate)
    problems += _files(value, folder, locate)
    problems += _twins(declared, locate)
    if problems:
        raise InputError(problems)
    return Tenant(
        base_url=base_url,
        kind=kind,
        models={Modality(modality): model for modality, model in value["models"].items()},
        credentials=with_inherited(declared, locate),
        unpublished_models=tuple(value.get("unpublished_models", ())),
        dataset=value.get("dataset"),
        other_datasets=tuple(value.get("other_datasets", ())),
        runbooks={runbook: KeyMapping(**keys) for runbook, keys in value.get("runbooks", {}).items()},
        limits=dataclasses.replace(Limits(), **value.get("limits", {})),
        read_only=value.get("read_only", False),
        ca_file=str(folder / value["ca_file"]) if "ca_file" in value else None,
        source=name,
    )


def _credential(
    name: str,
    entry: Mapping[str, Any],
    position: int,
    environment: Mapping[str, str],
    folder: Path,
    where: Location | None,
) -> Credential:
    secret = _read_secret(entry, "secret", name, environment, folder, where)
    if secret is None:
        raise InputError.of(
            f"the key {name!r} has no secret.", where=where, hint="Add secret_env, secret_file or secret_command."
        )
    scopes, models, datasets = entry.get("scopes"), entry.get("models"), entry.get("datasets")
    return Credential(
        name=name,
        secret=secret,
        retired_secret=_read_secret(entry, "retired_secret", name, environment, folder, where),
        purpose=Purpose(entry["purpose"]) if "purpose" in entry else None,
        scopes=None if scopes is None else frozenset(Scope(scope) for scope in scopes),
        models=None if models is None else frozenset(models),
        datasets=None if datasets is None else frozenset(datasets),
        inherits=tuple(entry.get("inherits", ())),
        revoked=entry.get("revoked", False),
        position=position,
    )


def _read_secret(
    entry: Mapping[str, Any],
    prefix: str,
    key: str,
    environment: Mapping[str, str],
    folder: Path,
    where: Location | None,
) -> Secret | None:
    given = [source for source in ("env", "file", "command") if f"{prefix}_{source}" in entry]
    if not given:
        return None
    if len(given) > 1:
        raise InputError.of(
            f"the key {key!r} names its {prefix.replace('_', ' ')} {len(given)} times: "
            + ", ".join(f"{prefix}_{source}" for source in given)
            + ".",
            where=where,
            hint="Keep one of them.",
        )
    reference = entry[f"{prefix}_{given[0]}"]
    if given[0] == "env":
        return _secret.from_environment(reference, environment, key=key, where=where)
    if given[0] == "file":
        return _secret.from_file(folder / reference, key=key, where=where)
    return _secret.from_command(reference, key=key, where=where)


def _unknown_names(value: Mapping[str, Any], names: tuple[str, ...], locate: Locate) -> list[Problem]:
    used: list[tuple[tuple[str | int, ...], str]] = [
        (("runbooks", runbook, role), key)
        for runbook, keys in value.get("runbooks", {}).items()
        for role, key in keys.items()
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


def _twins(declared: Mapping[str, Credential], locate: Locate) -> list[Problem]:
    """The same secret under two names: rotation, isolation and dedication would then be proved of nothing."""
    first: dict[Secret, str] = {}
    problems = []
    for key in declared.values():
        for secret, name in ((key.secret, key.name), (key.retired_secret, key.retired_name)):
            if secret is None:
                continue
            earlier = first.setdefault(secret, name)
            if earlier != name:
                problems.append(
                    Problem(
                        f"the keys {earlier!r} and {name!r} have the same secret.",
                        where=locate("keys", key.name),
                        path=f"keys.{key.name}",
                        hint="Give each key its own; what ends in .old is the retired secret.",
                    )
                )
    return problems


def _files(value: Mapping[str, Any], folder: Path, locate: Locate) -> list[Problem]:
    if "ca_file" not in value:
        return []
    path = folder / value["ca_file"]
    message = f"there is no file {path}."
    if path.is_file():
        try:
            ssl.create_default_context(cafile=path)
        except OSError:  # ssl.SSLError is one
            message = f"the file {path} holds no certificate that can be read."
        else:
            return []
    return [
        Problem(
            message,
            where=locate("ca_file"),
            path="ca_file",
            hint="Name a PEM bundle; the path is taken from the folder of the tenant file.",
        )
    ]
