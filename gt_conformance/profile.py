"""The profile: a published, named set of checks, clauses and runbooks. What a run was made with is held against it.

``schemas/profile.json`` is the frozen one. ``GT conformance 2026.11`` means the same wherever it is read, so a run in
which a claim, a clause or a runbook is another one names the profile as altered.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache

from gt_conformance import files, resources
from gt_conformance.checks import Breaking, Check, clauses
from gt_conformance.runbook import Runbook

_FILE = "profile.json"
_SHORT = 16
_MOST_BYTES = files.MIB


@dataclass(frozen=True)
class Profile:
    """Digests of what checks claim, of what clauses say and of runbooks, each by its id."""

    name: str
    checks: Mapping[str, str]
    clauses: Mapping[str, str]
    runbooks: Mapping[str, str]
    faults: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """By clause, the faults of the embedded tenant that break it, each with the check that must find it."""

    @property
    def digest(self) -> str:
        """The digest of what is checked: of all of it but its name and its faults."""
        return _digest([dict(sorted(part.items())) for part in (self.checks, self.clauses, self.runbooks)])

    def differences(self, published: "Profile") -> Iterator[str]:
        """What of it is not as it was published, each in a few words."""
        for noun, own, theirs in (
            ("check", self.checks, published.checks),
            ("clause", self.clauses, published.clauses),
            ("runbook", self.runbooks, published.runbooks),
        ):
            for name in sorted(own.keys() | theirs.keys()):
                if name not in theirs:
                    yield f"{noun} {name} is added"
                elif name not in own:
                    yield f"{noun} {name} is missing"
                elif own[name] != theirs[name]:
                    yield f"{noun} {name} is another one"


@cache
def published() -> Profile:
    """The frozen profile that this version of the suite publishes."""
    value = json.loads(files.read_bounded(resources.schemas_dir() / _FILE, _MOST_BYTES))
    return Profile(value["name"], value["checks"], value["clauses"], value["runbooks"], value["faults"])


def current(checks: Iterable[Check], runbooks: Iterable[Runbook], faults: Iterable[Breaking] = ()) -> Profile:
    """What these checks and runbooks are, and the clauses of this version, under the name of the published profile."""
    breaking: dict[str, dict[str, str]] = {}
    for fault in faults:
        for clause in fault.breaks:
            breaking.setdefault(clause, {})[fault.name] = fault.caught_by
    return Profile(
        published().name,
        {check.id: _digest([check.claim, sorted(check.clauses)])[:_SHORT] for check in checks},
        {name: _digest([clause.kind, clause.text])[:_SHORT] for name, clause in clauses().items()},
        {book.id: book.digest for book in runbooks},
        breaking,
    )


def as_text(profile: Profile) -> str:
    """The profile as its file holds it."""
    value = {
        "name": profile.name,
        "digest": profile.digest,
        "checks": dict(sorted(profile.checks.items())),
        "clauses": dict(profile.clauses),
        "runbooks": dict(sorted(profile.runbooks.items())),
        "faults": {clause: dict(profile.faults[clause]) for clause in sorted(profile.faults)},
    }
    return json.dumps(value, indent=1, ensure_ascii=False) + "\n"


def _digest(value: object) -> str:
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode(errors="backslashreplace")).hexdigest()
