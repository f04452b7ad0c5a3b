"""From a tenant file, or three environment variables, to a Tenant: everything that is wrong is reported at once."""

import dataclasses
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gt_conformance import document, schema
from gt_conformance.companions import Companions
from gt_conformance.document import Document
from gt_conformance.errors import InputError, Locate, Location, Problem
from gt_conformance.tenant._base_url import check_base_url
from gt_conformance.tenant._contradictions import find_contradictions, find_shared_secrets
from gt_conformance.tenant._inheritance import with_inherited
from gt_conformance.tenant._objective import read_objectives
from gt_conformance.tenant._prices import Prices
from gt_conformance.tenant._references import (
    check_bundle,
    read_client_certificate,
    read_secret_command,
    read_secret_file,
    read_secret_variable,
)
from gt_conformance.tenant._tenant import (
    ENVIRONMENT,
    OTHER_TENANT,
    ClientCertificate,
    Credential,
    KeyMapping,
    KnownConversation,
    Limits,
    Marker,
    Secret,
    Tenant,
    TenantKind,
)
from gt_conformance.vocabulary import GRANTS, Modality, Preset, Purpose, Route, Scope

_OTHER_TENANT_KEY = "other_tenant_key"

VARIABLES = ("GT_BASE_URL", "GT_API_KEY", "GT_MODEL")
"""The short form of a tenant file: one address, one key, one published name."""


@dataclass(frozen=True)
class _Secrets:
    """Where the secrets of a tenant are read from. ``rehearsed``: nowhere, since nothing will be sent.

    Without ``commands`` no program is started: what one would print has a stand-in.
    """

    environment: Mapping[str, str]
    folder: Path
    rehearsed: bool = False
    commands: bool = True

    def read(
        self, entry: Mapping[str, Any], prefix: str, key: str, where: Location | None
    ) -> tuple[Secret | None, Problem | None]:
        """The secret of an entry, or what is wrong with its source; neither where the entry names none.

        Raises InputError where it names more than one.
        """
        given = [source for source in ("env", "file", "command") if f"{prefix}_{source}" in entry]
        if not given:
            return None, None
        if len(given) > 1:
            raise InputError.of(
                f"the key {key!r} names its {prefix.replace('_', ' ')} {len(given)} times: "
                + ", ".join(f"{prefix}_{source}" for source in given)
                + ".",
                where=where,
                hint="Keep one of them.",
            )
        if self.rehearsed or (given == ["command"] and not self.commands):
            return _stand_in(f"{prefix} of {key}"), None
        reference = entry[f"{prefix}_{given[0]}"]
        try:
            if given[0] == "env":
                return read_secret_variable(reference, self.environment, key=key, where=where), None
            if given[0] == "file":
                return read_secret_file(self.folder / reference, key=key, where=where), None
            return read_secret_command(reference, key=key, where=where), None
        except InputError as error:
            return None, error.problems[0]


def _stand_in(name: str) -> Secret:
    # Digits and letters that stand in no message: what looks like a part of a secret is taken out of every text.
    return Secret(hashlib.sha256(name.encode()).hexdigest())


def from_file(path: Path, environment: Mapping[str, str], *, rehearsed: bool = False, commands: bool = True) -> Tenant:
    """The tenant of a file. Raises InputError with everything that is wrong with it.

    A key whose secret cannot be read keeps the reason, and is none as long as another key has one. ``rehearsed`` reads
    no secret and runs no command: each key gets a stand-in. Without ``commands`` only what a command gives has one.
    """
    source = document.read(path, schema="tenant")
    return from_document(source, environment, rehearsed=rehearsed, commands=commands)


def from_document(
    source: Document, environment: Mapping[str, str], *, rehearsed: bool = False, commands: bool = True
) -> Tenant:
    """The tenant of a document that holds to the schema of a tenant file, as ``from_file`` gives that of a file."""
    secrets = _Secrets(environment, source.path.parent, rehearsed, commands)
    return _tenant(source.value, secrets, kind=TenantKind.LIVE, name=str(source.path), source=source)


def read_base_url(path: Path) -> str:
    """The base URL of a tenant file, whose keys are not looked up. Raises InputError with what is wrong with it."""
    source = document.read(path, schema="tenant")
    return check_base_url(source.value["base_url"], where=source.locate("base_url"))


def from_environment(environment: Mapping[str, str], *, rehearsed: bool = False) -> Tenant | None:
    """The tenant of GT_BASE_URL, GT_API_KEY and GT_MODEL; None where none of them is set.

    Raises InputError where only some are: falling back to the embedded tenant would look like a proof. ``rehearsed``
    does without the key.
    """
    given = [name for name in VARIABLES if environment.get(name, "").strip()]
    if not given:
        return None
    missing = [name for name in VARIABLES if name not in given and not (rehearsed and name == "GT_API_KEY")]
    if missing:
        raise InputError.of(
            f"{' and '.join(given)} {'is' if len(given) == 1 else 'are'} set, but {' and '.join(missing)} "
            f"{'is' if len(missing) == 1 else 'are'} not.",
            hint="Set all three, or name a tenant file with --tenant FILE.",
        )
    value = {
        "base_url": environment["GT_BASE_URL"],
        "models": {"chat": environment["GT_MODEL"].strip()},  # as secrets of CI have it, with a line break at its end
        "keys": {"default": {"secret_env": "GT_API_KEY"}},
    }
    secrets = _Secrets(environment, Path(), rehearsed)
    return _tenant(value, secrets, kind=TenantKind.LIVE, name=ENVIRONMENT, source=None)


def from_mapping(value: Mapping[str, Any], environment: Mapping[str, str], *, kind: TenantKind, name: str) -> Tenant:
    """The tenant of a value in the form of a tenant file, such as the embedded tenant gives of itself."""
    errors = schema.load("tenant").errors(value)
    if errors:
        raise InputError(Problem(error.message, path=".".join(map(str, error.path))) for error in errors)
    return _tenant(value, _Secrets(environment, Path()), kind=kind, name=name, source=None)


def from_declared(value: Mapping[str, Any], *, kind: TenantKind) -> Tenant:
    """The tenant that declared this of itself (``Tenant.declared``), with stand-ins for its secrets.

    Raises InputError where the value is none that a tenant file could hold.
    """
    stated = _with_sources(value)
    keys = stated.get("keys")
    if isinstance(keys, dict):
        stated["keys"] = {
            name: _with_sources(entry) if isinstance(entry, dict) else entry for name, entry in keys.items()
        }
    errors = schema.load("tenant").errors(stated)
    if errors:
        raise InputError(Problem(error.message, path=".".join(map(str, error.path))) for error in errors)
    made = _tenant(stated, _Secrets({}, Path(), rehearsed=True), kind=kind, name="the tenant file", source=None)
    unset = Problem("its secret was not there")
    credentials = {
        name: dataclasses.replace(key, secret=None, unset=unset) if value["keys"][name].get("secret") == UNSET else key
        for name, key in made.credentials.items()
    }
    return dataclasses.replace(made, credentials=credentials, declared=value)


WITHHELD, UNSET = "withheld", "unset"
"""Stand for a secret in what a tenant declares: it is there, or its source gave none."""
_SOURCES = ("env", "file", "command")
_OF_THIS_MACHINE = frozenset({"ca_file", "client_cert", "client_key", "client_key_password_env"})


def _withhold(value: Mapping[str, Any], keys: Mapping[str, Credential]) -> dict[str, Any]:
    """The value of a tenant file without secrets, where they come from, and files of this machine."""
    stated = {name: entry for name, entry in _without_sources(value).items() if name not in _OF_THIS_MACHINE}
    stated["keys"] = {name: _without_sources(entry) for name, entry in value["keys"].items()}
    for name, key in keys.items():
        if key.secret is None:
            stated["keys"][name]["secret"] = UNSET
    return stated


def all_set(declared: Mapping[str, Any]) -> dict[str, Any]:
    """What a tenant declares, as if each key had its secret."""
    keys = declared.get("keys")
    if not isinstance(keys, Mapping):
        return dict(declared)
    found = {
        name: {**key, "secret": WITHHELD} if isinstance(key, Mapping) and key.get("secret") == UNSET else key
        for name, key in keys.items()
    }
    return {**declared, "keys": found}


def _without_sources(entry: Mapping[str, Any]) -> dict[str, Any]:
    stated = {}
    for name, item in entry.items():
        prefix, _, source = name.rpartition("_")
        is_secret = source in _SOURCES and prefix in {"secret", "retired_secret", _OTHER_TENANT_KEY}
        stated[prefix if is_secret else name] = WITHHELD if is_secret else item
    return stated


def _with_sources(entry: Mapping[str, Any]) -> dict[str, Any]:
    secrets = {"secret", "retired_secret", _OTHER_TENANT_KEY}
    named = {f"{name}_env": "GT" for name in entry if name in secrets}
    return {**{name: item for name, item in entry.items() if name not in secrets}, **named}


def _tenant(
    value: Mapping[str, Any],
    secrets: _Secrets,
    *,
    kind: TenantKind,
    name: str,
    source: Document | None,
) -> Tenant:
    def locate(*path: str | int) -> Location | None:
        return source.locate(*path) if source else None

    problems: list[Problem] = []
    base_url = ""
    try:
        base_url = check_base_url(value["base_url"], where=locate("base_url"))
    except InputError as error:
        problems += error.problems
    declared: dict[str, Credential] = {}
    for position, (key, entry) in enumerate(value["keys"].items()):
        try:
            declared[key] = _credential(key, entry, position, secrets, locate("keys", key))
        except InputError as error:
            problems += error.problems
    unset_before = len(problems)
    problems += find_contradictions(value, declared, base_url, locate)
    other_key = other_unset = None
    try:
        other_key, other_unset = secrets.read(value, _OTHER_TENANT_KEY, OTHER_TENANT, locate())
    except InputError as error:
        problems += error.problems
    problems += find_shared_secrets(declared, other_key, locate)
    if problems or all(key.secret is None for key in declared.values() if not key.revoked):
        problems[unset_before:unset_before] = [key.unset for key in declared.values() if key.unset is not None]
    ca_file = client_certificate = None
    try:
        ca_file = _ca_file(value, secrets.folder, locate)
    except InputError as error:
        problems += error.problems
    try:
        client_certificate = None if secrets.rehearsed else _client_certificate(value, secrets, locate)
    except InputError as error:
        problems += error.problems
    if problems:
        raise InputError(problems)
    return Tenant(
        base_url=base_url,
        kind=kind,
        models={Modality(modality): model for modality, model in value["models"].items()},
        credentials=with_inherited(declared, locate),
        unpublished_models=tuple(value.get("unpublished_models", ())),
        raw_models=tuple(value.get("raw_models", ())),
        base_prompts={name: Marker(**marker) for name, marker in value.get("base_prompts", {}).items()},
        internal_datasets=tuple(value.get("internal_datasets", ())),
        dataset=value.get("dataset"),
        dataset_attached=value.get("dataset_attached", False),
        other_datasets=tuple(value.get("other_datasets", ())),
        runbooks={runbook: _mapping(entry) for runbook, entry in value.get("runbooks", {}).items()},
        limits=dataclasses.replace(Limits(), **value.get("limits", {})),
        objectives=read_objectives(value),
        read_only=value.get("read_only", False),
        other_tenant_key=other_key,
        other_tenant_unset=other_unset,
        ca_file=ca_file,
        client_certificate=client_certificate,
        name=value.get("name"),
        companions=Companions.of(value, secrets.folder, locate),
        prices=Prices.of(value["prices"]) if "prices" in value else None,
        source=name,
        places={f"{part}.{key}": locate(part, key) for part in ("runbooks", "slo") for key in value.get(part, {})},
        declared=_withhold(value, declared),
    )


def _credential(
    name: str, entry: Mapping[str, Any], position: int, secrets: _Secrets, where: Location | None
) -> Credential:
    secret, unset = secrets.read(entry, "secret", name, where)
    retired, retired_unset = secrets.read(entry, "retired_secret", name, where)
    if secret is None and unset is None:
        raise InputError.of(
            f"the key {name!r} has no secret.", where=where, hint="Add secret_env, secret_file or secret_command."
        )
    if "conversation" in entry and not entry.get("revoked"):
        raise InputError.of(
            f"the key {name!r} names a conversation, and is not revoked.",
            where=where,
            hint="Set revoked: true, or drop conversation: who reads it is asked of revoked keys only.",
        )
    models, datasets = entry.get("models"), entry.get("datasets")
    preset = Preset(entry["preset"]) if "preset" in entry else None
    conversation = entry.get("conversation")
    return Credential(
        name=name,
        secret=secret,
        retired_secret=retired,
        unset=unset,
        retired_unset=retired_unset,
        purpose=_purpose_of(entry),
        preset=preset,
        scopes=_scopes_of(entry),
        models=None if models is None else frozenset(models),
        datasets=None if datasets is None else frozenset(datasets),
        inherits=tuple(entry.get("inherits", ())),
        conversation_uploads=entry.get("conversation_uploads"),
        prompt_modules=Marker(**entry["prompt_modules"]) if "prompt_modules" in entry else None,
        prompt_text=Marker(**entry["prompt_text"]) if "prompt_text" in entry else None,
        revoked=entry.get("revoked", False),
        conversation=None if conversation is None else KnownConversation(**conversation),
        position=position,
    )


def _purpose_of(entry: Mapping[str, Any]) -> Purpose | None:
    """The purpose that an entry declares, else that of its preset."""
    if "purpose" in entry:
        return Purpose(entry["purpose"])
    return GRANTS[Preset(entry["preset"])].purpose if "preset" in entry else None


def _scopes_of(entry: Mapping[str, Any]) -> frozenset[Scope] | None:
    """The scopes that an entry declares, else those of its preset."""
    if "scopes" in entry:
        return frozenset(map(Scope, entry["scopes"]))
    return GRANTS[Preset(entry["preset"])].scopes if "preset" in entry else None


def _mapping(entry: Mapping[str, Any]) -> KeyMapping:
    own = entry["base_url"].strip().rstrip("/") if "base_url" in entry else None
    return KeyMapping(entry.get("key"), entry.get("extension_key"), own, tuple(map(Route, entry.get("uses", ()))))


def _ca_file(value: Mapping[str, Any], folder: Path, locate: Locate) -> str | None:
    if "ca_file" not in value:
        return None
    path = folder / value["ca_file"]
    check_bundle(path, where=locate("ca_file"))
    return str(path)


def _client_certificate(value: Mapping[str, Any], secrets: _Secrets, locate: Locate) -> ClientCertificate | None:
    if "client_cert" not in value:
        return None
    password = None
    variable = value.get("client_key_password_env")
    if variable is not None:
        if variable not in secrets.environment:
            raise InputError.of(
                f"the password of client_key comes from the environment variable {variable}, which is not set.",
                where=locate("client_key_password_env"),
                hint=f"Set it: export {variable}=...",
            )
        password = Secret(secrets.environment[variable])
    key_file = str(secrets.folder / value["client_key"]) if "client_key" in value else None
    certificate = ClientCertificate(str(secrets.folder / value["client_cert"]), key_file, password)
    return read_client_certificate(certificate, where=locate("client_cert"), where_key=locate("client_key"))
