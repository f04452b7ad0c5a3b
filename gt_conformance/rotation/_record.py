"""A rotation as JSON values: the steps with their exchanges, how long each secret lived, and no secret."""

from datetime import datetime
from typing import Any

from gt_conformance import __version__
from gt_conformance.exchange import as_record as exchange_record
from gt_conformance.rotation._target import Target
from gt_conformance.rotation._value import Rotation, Step

SCHEMA_VERSION = 1


def as_record(rotation: Rotation, target: Target, started: datetime, finished: datetime) -> dict[str, Any]:
    """The record, redacted. Secrets stand in it by fingerprint: the first digits of their SHA-256."""
    lifetimes = rotation.lifetimes
    record = {
        "schema_version": SCHEMA_VERSION,
        "version": __version__,
        "started": started.isoformat(timespec="milliseconds"),
        "finished": finished.isoformat(timespec="milliseconds"),
        "elapsed_s": round((finished - started).total_seconds(), 3),
        "tenant": {"base_url": target.tenant.base_url, "source": target.tenant.source},
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
        },
        "new_secret": {
            "fingerprint": rotation.new,
            "first_taken_s": _rounded(lifetimes.new_first_taken_s),
            "stored": rotation.stored,
            "reference": {"kind": target.reference.kind, "name": target.reference.name},
        },
        "steps": [_step(step, rotation) for step in rotation.steps],
    }
    cleaned: dict[str, Any] = rotation.redactor.value(record)
    return cleaned


def _step(step: Step, rotation: Rotation) -> dict[str, Any]:
    return {
        "phase": step.phase.value,
        "probe": step.probe,
        "credential": step.credential,
        "outcome": step.outcome.value,
        "text": step.text,
        "remedy": step.remedy,
        "exchange": exchange_record(step.exchange, rotation.redactor) if step.exchange is not None else None,
    }


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 3)
