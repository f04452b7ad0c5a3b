"""A rotation as values: the key and where its secret comes from, the steps, what they add up to, and their JSON."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

from gt_conformance import __version__, document, schema
from gt_conformance import tenant as tenants
from gt_conformance.errors import InputError, Location
from gt_conformance.exchange import Exchange, Redactor, inert
from gt_conformance.exchange import as_record as exchange_record
from gt_conformance.tenant import Credential, Secret, Tenant
from gt_conformance.vocabulary import Outcome

SCHEMA_VERSION = 1
CLAUSES: Mapping[str, tuple[str, ...]] = {
    "key.works": ("K1",),
    "key.embedding": ("K21",),
    "key.conversation": ("C5", "V4"),
    "key.surfaces": ("A2", "A5"),
    "key.dataset": ("K2",),
    "key.names": ("K20",),
    "other.names": ("K23",),
    "old.dead": ("A2", "K19"),
    "old.stores_nothing": ("K19",),
    "old.stays_dead": ("A2", "K19"),
    "new.works": ("K20",),
}
"""The sentences of GT's documentation that each probe of the tenant carries (schemas/clauses.yaml)."""
REFUSED, INTERRUPTED = 8, 2
_CODES = {Outcome.CONFORMS: 0, Outcome.VIOLATES: 1}
_UNTESTED = 7
_HOW_TO_NAME = (
    "Name one with --tenant FILE, or set GT_BASE_URL, GT_API_KEY and GT_MODEL. "
    "To try it on the embedded tenant: `gt-conformance serve --tenant-file local.yaml`, and --tenant local.yaml."
)


@dataclass(frozen=True, slots=True)
class Reference:
    """Where a secret comes from. ``kind`` is the word of the tenant file, ``path`` is set for a secret_file."""

    kind: str
    name: str
    path: Path | None = None

    def __str__(self) -> str:
        """``the environment variable GT_KEY_CHAT (secret_env)``; never the secret."""
        description = {
            "secret_env": f"the environment variable {self.name}",
            "secret_file": f"the file {self.name}",
            "secret_command": f"what the command {self.name} reads",
        }
        return f"{description[self.kind]} ({self.kind})"


@dataclass(frozen=True, slots=True)
class Target:
    """A key that can be rotated, its tenant, and where its secret comes from.

    ``retired_path`` is the file that the tenant file names for the secret from before the last rotation, if it does.
    """

    tenant: Tenant
    credential: Credential
    reference: Reference
    retired_path: Path | None = None

    @property
    def secret(self) -> Secret:
        """The secret that the key has before the rotation: :func:`find` refuses a key without one."""
        if self.credential.secret is None:
            raise ValueError(f"{self.credential.name} has no secret.")
        return self.credential.secret

    @property
    def others(self) -> tuple[Credential, ...]:
        """The other keys that must work, before and after."""
        return tuple(key for key in self.tenant.live_credentials if key.name != self.credential.name)


def find(key: str, tenant_file: Path | None, environment: Mapping[str, str]) -> Target:
    """The key of that name. Raises InputError where there is none, or where it must not or cannot be rotated."""
    if tenant_file is None:
        tenant = tenants.from_environment(environment)
        if tenant is None:
            raise InputError.of("no tenant is named, so there is no key to rotate.", hint=_HOW_TO_NAME)
        _known(key, list(tenant.credentials), None)
        return Target(tenant, tenant.credentials[key], Reference("secret_env", "GT_API_KEY"))
    source = document.read(tenant_file, schema="tenant")
    keys = source.value["keys"]
    _known(key, list(keys), source.locate("keys"))
    if keys[key].get("revoked"):
        raise InputError.of(
            f"the key {schema.quote(key)} is marked revoked: a revoked key cannot be rotated.",
            where=source.locate("keys", key, "revoked"),
            hint="Name a live key.",
        )
    if source.value.get("read_only"):
        raise InputError.of(
            f"the tenant is marked read_only, and a rotation changes the key {schema.quote(key)}.",
            where=source.locate("read_only"),
            hint="Set read_only: false if the run may rotate a key.",
        )
    tenant = tenants.from_file(tenant_file, environment)
    if unset := [item.unset for item in tenant.live_credentials if item.unset is not None]:
        raise InputError(unset)
    credential = tenant.credentials[key]
    retired = keys[key].get("retired_secret_file")
    retired_path = None if retired is None else tenant_file.parent / retired
    return Target(tenant, credential, _reference(keys[key], tenant_file.parent), retired_path)


def _known(key: str, names: list[str], where: Location | None) -> None:
    if key not in names:
        near = schema.nearest(key, names)
        raise InputError.of(
            f"there is no key {schema.quote(key)}.",
            where=where,
            hint=(f"Did you mean {near}? " if near else "") + f"There are: {', '.join(names)}.",
        )


def _reference(entry: Mapping[str, Any], folder: Path) -> Reference:
    kind = next(kind for kind in ("secret_env", "secret_file", "secret_command") if kind in entry)
    if kind == "secret_file":
        path = folder / entry[kind]
        return Reference(kind, str(path), path)
    return Reference(kind, entry[kind] if kind == "secret_env" else schema.plain(entry[kind][0]))


class Phase(StrEnum):
    """When a step was taken, seen from the operator's command."""

    BEFORE = "before"
    COMMAND = "command"
    AFTER = "after"


@dataclass(frozen=True, slots=True)
class Step:
    """One probe or action: its result in words, and what to do where it does not conform.

    ``probe`` is its stable id; ``credential`` the key that it is about. Its texts are safe to display.
    """

    phase: Phase
    probe: str
    credential: str
    outcome: Outcome
    text: str
    remedy: str = ""
    exchange: Exchange | None = None


class Recorder:
    """Collects the steps of a rotation in order, and passes each on as it happens. No text of a step holds a secret."""

    def __init__(self, secrets: Mapping[str, Secret], on_step: Callable[[Step], None]) -> None:
        self.steps: list[Step] = []
        self._secrets = dict(secrets)
        self._on_step = on_step
        self.redactor = self._make_redactor()

    def redact(self, name: str, secret: Secret) -> None:
        """From now on, keep this secret out of every text as well."""
        self._secrets[name] = secret
        self.redactor = self._make_redactor()

    def record(
        self,
        phase: Phase,
        probe: str,
        credential: str,
        outcome: Outcome,
        text: str,
        exchange: Exchange | None = None,
        *,
        remedy: str = "",
    ) -> bool:
        """Add a step; True where it conforms."""
        step = Step(phase, probe, credential, outcome, self._clean(text), self._clean(remedy), exchange)
        self.steps.append(step)
        self._on_step(step)
        return outcome is Outcome.CONFORMS

    def _clean(self, text: str) -> str:
        return str(inert(self.redactor.text(text)))

    def _make_redactor(self) -> Redactor:
        return Redactor({name: secret.reveal() for name, secret in self._secrets.items()})


@dataclass(frozen=True, slots=True)
class PlaceLife:
    """A surface at an address: its status before, and how long after the command's end each secret was known there.

    None where the secret was not asked for it, or did not show what was waited for.
    """

    surface: str
    title: str
    address: str
    before: int | None
    old_last_taken_s: float | None
    old_first_refused_s: float | None
    new_first_taken_s: float | None


@dataclass(frozen=True, slots=True)
class Lifetimes:
    """Seconds after the command's end: when the old secret was last taken and first refused, the new first taken.

    The old one is refused once it is refused at each of ``places``; the new one is taken once it lists its names.
    """

    old_last_taken_s: float | None = None
    old_first_refused_s: float | None = None
    new_first_taken_s: float | None = None
    places: tuple[PlaceLife, ...] = ()


@dataclass(frozen=True)
class Rotation:
    """A rotation that has ended, one way or another. ``new`` is None where the command gave no usable secret.

    ``run_id`` names what it created. ``refused`` says that the key did not work before, so nothing was run. ``stored``
    and ``retired_stored`` are the files in which the suite stored the new and the old secret. Secrets are named by
    fingerprint.
    """

    key: str
    program: str
    steps: tuple[Step, ...]
    run_id: str
    old: str
    new: str | None
    lifetimes: Lifetimes
    redactor: Redactor
    grace_s: float
    stored: str | None = None
    retired_stored: str | None = None
    refused: bool = False
    interrupted: bool = False

    @property
    def outcome(self) -> Outcome:
        """As bad as its worst step."""
        return Outcome.worst(step.outcome for step in self.steps)

    @property
    def exit_code(self) -> int:
        """0 conforms, 1 violates, 7 something untested, 8 the key did not work to begin with, 2 interrupted."""
        if self.interrupted:
            return INTERRUPTED
        return REFUSED if self.refused else _CODES.get(self.outcome, _UNTESTED)


def as_record(rotation: Rotation, target: Target, started: datetime, finished: datetime) -> dict[str, Any]:
    """The record, redacted. Secrets are named by fingerprint: the first digits of their SHA-256."""
    lifetimes = rotation.lifetimes
    record = {
        "schema_version": SCHEMA_VERSION,
        "version": __version__,
        "started": started.isoformat(timespec="milliseconds"),
        "finished": finished.isoformat(timespec="milliseconds"),
        "elapsed_s": round((finished - started).total_seconds(), 3),
        "tenant": {"base_url": target.tenant.base_url, "source": target.tenant.source},
        "id": rotation.run_id,
        "key": rotation.key,
        "outcome": rotation.outcome.value,
        "exit_code": rotation.exit_code,
        "interrupted": rotation.interrupted,
        "command": rotation.program,
        "old_secret": {
            "fingerprint": rotation.old,
            "last_taken_s": _rounded(lifetimes.old_last_taken_s),
            "first_refused_s": _rounded(lifetimes.old_first_refused_s),
            "grace_s": rotation.grace_s,
            "stored": rotation.retired_stored,
        },
        "new_secret": {
            "fingerprint": rotation.new,
            "first_taken_s": _rounded(lifetimes.new_first_taken_s),
            "stored": rotation.stored,
            "reference": {"kind": target.reference.kind, "name": target.reference.name},
        },
        "places": [_place(place) for place in lifetimes.places],
        "steps": [_step(step, rotation) for step in rotation.steps],
    }
    cleaned: dict[str, Any] = rotation.redactor.value(record)
    return cleaned


def _step(step: Step, rotation: Rotation) -> dict[str, Any]:
    return {
        "phase": step.phase.value,
        "probe": step.probe,
        "credential": step.credential,
        "clauses": list(CLAUSES.get(step.probe, ())),
        "outcome": step.outcome.value,
        "text": step.text,
        "remedy": step.remedy,
        "exchange": exchange_record(step.exchange, rotation.redactor) if step.exchange is not None else None,
    }


def _place(place: PlaceLife) -> dict[str, Any]:
    return {
        "surface": place.surface,
        "title": place.title,
        "address": place.address,
        "status_before": place.before or None,
        "old_last_taken_s": _rounded(place.old_last_taken_s),
        "old_first_refused_s": _rounded(place.old_first_refused_s),
        "new_first_taken_s": _rounded(place.new_first_taken_s),
    }


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 3)
