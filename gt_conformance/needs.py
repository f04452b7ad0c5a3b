"""What a set-up lacks before a run can be decided: each thing once, what for, and where in GT's console to get it.

It is read from the record of a rehearsal (:func:`gt_conformance.session.foretell`), whose findings are those of a run:
the same words, the same ids.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from gt_conformance.results import Record
from gt_conformance.results.case_types import FindingRecord
from gt_conformance.vocabulary import Outcome


class NeededFor(StrEnum):
    """What cannot be judged without it."""

    RUNBOOK = "runbook"
    """A row or a checklist item."""
    BOUNDARY = "boundary"
    """The tenant's boundary alone: that keys, names and files are kept apart."""


@dataclass(frozen=True, slots=True)
class Need:
    """One thing to supply, to set or to attest. ``finding`` is the id that it has in a run.

    ``console`` is where in GT's console to get it; empty where that is no place of the console. ``places`` are the
    cases that wait for it.
    """

    finding: str
    needed_for: NeededFor
    remedy: str
    reason: str
    console: str
    places: tuple[str, ...]

    def described(self) -> dict[str, object]:
        """As JSON."""
        return {
            "finding": self.finding,
            "needed_for": self.needed_for.value,
            "remedy": self.remedy,
            "reason": self.reason,
            "console": self.console,
            "places": list(self.places),
        }


def find_needs(record: Record) -> tuple[Need, ...]:
    """What is blocked or unattested in the record: what the runbooks need first, then what the boundary needs."""
    missing = {Outcome.BLOCKED.value, Outcome.UNATTESTED.value}
    found = [_need(one) for one in record["findings"] if one["outcome"] in missing]
    return tuple(sorted(found, key=lambda need: need.needed_for is NeededFor.BOUNDARY))


def _need(finding: FindingRecord) -> Need:
    places = tuple(dict.fromkeys([*finding["places"], *finding["blocks"]]))
    wide = all(place.startswith("tenant-") for place in places)
    remedy = finding["remedy"]
    reason = next((proof["found"] for proof in finding["proofs"]), finding["promise"])
    console = "" if finding["outcome"] == Outcome.UNATTESTED else find_in_console(f"{remedy} {reason}")
    return Need(finding["id"], NeededFor.BOUNDARY if wide else NeededFor.RUNBOOK, remedy, reason, console, places)


_KEYS = "GT API (/gt-api) > API Keys"
_CREATE = f"{_KEYS} > Create API Key"
_PRESETS = {
    "inference:embed": "Chat plus embeddings",
    "inference:transcribe": "Voice and audio",
    "inference:speech": "Voice and audio",
    "inference:image": "Image generation",
    "inference:chat": "OpenAI-compatible chat client",
}
_CONVERSATION_KEY = "preset Conversation app with uploads, linked to an inference key and an upload key"
_CONSOLE: Sequence[tuple[str, str]] = (
    (r"read_only|attest|Declare |^Take |Correct models|Correct dataset", ""),
    (r"retired secret \(", f"{_KEYS} > the key > Rotate; keep the secret that it had before"),
    (
        r"is not set|gives nothing|secret command|secret of the key|cannot be read",
        f"{_KEYS}: a secret is displayed once, when the key is created or rotated",
    ),
    (r"revoked", f"{_CREATE}; keep its secret, then revoke it"),
    (r"unpublished_models", "Agents > Agent Configuration (internal ids); Control Panel > Models (provider's ids)"),
    (r"purpose conversation|conversation key", f"{_CREATE} > {_CONVERSATION_KEY}"),
    (r"other_datasets", "Datasets: one that the upload key does not have on its allowlist"),
    (r"dataset: NAME|dataset in the tenant file", f"Datasets: create a scratch dataset; {_KEYS}: allowlist it"),
    (
        r"purpose upload|datasets:write|upload key|datasets: \[",
        f"{_CREATE} > preset Dataset upload automation; allowlist the scratch dataset",
    ),
    (_BY_SCOPE := r"inference:\w+", _CREATE),
    (
        r"models: \[|allowed the name|another allowlist|second key|name published",
        "GT API (/gt-api) > Published Endpoints, for the names; API Keys > the key, for its allowlist",
    ),
    (r"live key|map(s|ped)? the runbook|a key", _CREATE),
)
"""By the words of a remedy, the first that match, as *Keys and Access* and *Published Endpoints* name the places."""


def find_in_console(text: str) -> str:
    """Where in GT's console to get what these words ask for; empty where the tenant file alone has to change."""
    pattern, place = next(((pattern, place) for pattern, place in _CONSOLE if re.search(pattern, text)), ("", ""))
    preset = next((title for scope, title in _PRESETS.items() if scope in text), "")
    return f"{place} > preset {preset}" if pattern == _BY_SCOPE and preset else place


def describe_needs(needs: Sequence[Need], subject: str) -> Iterator[str]:
    """The list in two parts, for a terminal: each with its remedy, the reason, and the place in the console."""
    titles = {
        NeededFor.RUNBOOK: f"Needed for {subject}",
        NeededFor.BOUNDARY: "Needed for the tenant's boundary",
    }
    number = 0
    for part, title in titles.items():
        own = [need for need in needs if need.needed_for is part]
        yield ""
        if not own:
            yield f"{title}: nothing is missing"
            continue
        yield f"{title} ({len(own)})"
        for need in own:
            number += 1
            yield f"{number:>3} → {need.remedy}"
            yield f"      because {need.reason}"
            if need.console:
                yield f"      console {need.console}"
            yield f"      for     {_some(need.places)} · {need.finding}"


def _some(places: Sequence[str], most: int = 4) -> str:
    shown = ", ".join(places[:most])
    return shown if len(places) <= most else f"{shown} and {len(places) - most} more"
