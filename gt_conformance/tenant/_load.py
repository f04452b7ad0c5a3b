"""From a tenant file, or three environment variables, to a Tenant: everything that is wrong is reported at once."""

import dataclasses
import difflib
import hashlib
import ipaddress
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias, TypeVar, assert_never
from urllib.parse import urlsplit

from gt_conformance import document, schema
from gt_conformance.companions import Companions
from gt_conformance.document import Document
from gt_conformance.errors import InputError, Location, Problem
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
    Unsure,
)
from gt_conformance.vocabulary import GRANTS, Modality, Preset, Purpose, Route, Scope

Locate: TypeAlias = Callable[..., Location | None]
"""From a path inside the tenant file to its place; None where the tenant came from no file."""

_T = TypeVar("_T")

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
    given = [name for name in VARIABLES if environment.get(name)]
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
        "models": {"chat": environment["GT_MODEL"]},
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
    names = tuple(value["keys"])
    problems += _unknown_names(value, names, locate)
    problems += _wrong_purposes(declared, locate)
    problems += _contradicted_presets(value["keys"], locate)
    problems += _told_markers(value, locate)
    problems += _foreign_base_urls(value, base_url, locate)
    problems += _published_after_all(value, locate)
    other_key = other_unset = None
    try:
        other_key, other_unset = secrets.read(value, _OTHER_TENANT_KEY, OTHER_TENANT, locate())
    except InputError as error:
        problems += error.problems
    problems += _duplicate_secrets(declared, other_key, locate)
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
        credentials=_with_inherited(declared, locate),
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
        companions=Companions.of(value, secrets.folder),
        prices=Prices.of(value["prices"]) if "prices" in value else None,
        source=name,
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


def _contradicted_presets(keys: Mapping[str, Any], locate: Locate) -> list[Problem]:
    """A preset beside a purpose or scopes that it does not give: the key was changed since, or one is a slip."""
    problems = []
    for name, entry in keys.items():
        if "preset" not in entry:
            continue
        grant = GRANTS[Preset(entry["preset"])]
        said = [entry["purpose"]] if _purpose_of(entry) is not grant.purpose else []
        if grant.scopes is not None and _scopes_of(entry) != grant.scopes:
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


def _unknown_names(value: Mapping[str, Any], names: tuple[str, ...], locate: Locate) -> list[Problem]:
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


def _duplicate_secrets(declared: Mapping[str, Credential], other: Secret | None, locate: Locate) -> list[Problem]:
    """The same secret under two names: rotation, isolation and dedication would then be proved of nothing."""
    first: dict[Secret, str] = {} if other is None else {other: OTHER_TENANT}
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


def _told_markers(value: Mapping[str, Any], locate: Locate) -> list[Problem]:
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


def _mapping(entry: Mapping[str, Any]) -> KeyMapping:
    own = entry["base_url"].strip().rstrip("/") if "base_url" in entry else None
    return KeyMapping(entry.get("key"), entry.get("extension_key"), own, tuple(map(Route, entry.get("uses", ()))))


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


# -- the base URL: what is accepted, and what is refused before a key could travel


_ROUTE_AT_END = re.compile(
    r"(?:/v1)?/(?:models|chat/completions|embeddings|audio/\w+|images/generations|conversations)$"
)
"""What is copied along with the base URL from a command that calls a route."""


def check_base_url(base_url: str, *, where: Location | None = None, versioned: bool = False) -> str:
    """The base URL without a slash at its end.

    Raises InputError for anything but https, for http beyond loopback (the key would travel in clear), and for a
    URL with credentials, a query, a fragment, or the ``/v1`` that this suite adds itself, unless it may be
    ``versioned``: what a client is given.
    """
    hint = "It looks like https://<tenant-host>/api/tenant."
    try:
        parts = urlsplit(base_url.strip())
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise InputError.of(f"base_url is not a URL: {base_url!r}.", where=where, hint=hint) from None
    if "<" in base_url:
        raise InputError.of(
            f"base_url still holds a placeholder: {base_url!r}.",
            where=where,
            hint="Put the tenant's host in its place.",
        )
    if parts.scheme not in {"https", "http"} or not host:
        raise InputError.of(f"base_url is not an http(s) address: {base_url!r}.", where=where, hint=hint)
    if parts.username or parts.password:
        raise InputError.of("base_url holds a user name or password.", where=where, hint="Leave them out. " + hint)
    if parts.query or parts.fragment:
        raise InputError.of(f"base_url has a query or a fragment: {base_url!r}.", where=where, hint=hint)
    if parts.scheme == "http" and not is_loopback(host):
        raise InputError.of(
            f"base_url is plain http to {host}: the keys would travel in clear.",
            where=where,
            hint="Use https; http is taken for loopback only.",
        )
    path = parts.path.rstrip("/")
    if (route := _ROUTE_AT_END.search(path)) is not None:
        raise InputError.of(
            f"base_url ends with a route, {route[0]}: {base_url!r}.",
            where=where,
            hint=f"Leave it out, the suite adds it: {parts.scheme}://{parts.netloc}{path[: route.start()]}",
        )
    if path.endswith("/v1") and not versioned:
        raise InputError.of(
            f"base_url ends with /v1: {base_url!r}.",
            where=where,
            hint=f"Leave it out, the suite adds it: {parts.scheme}://{parts.netloc}{path.removesuffix('/v1')}",
        )
    return f"{parts.scheme}://{parts.netloc}{path}"


def is_loopback(host: str) -> bool:
    """Whether the host is this machine: ``localhost``, 127.0.0.0/8 or ::1."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


# -- what a conversation key gets from the keys that it is linked to


def _with_inherited(declared: Mapping[str, Credential], locate: Locate) -> dict[str, Credential]:
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
