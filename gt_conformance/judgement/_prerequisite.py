"""Prerequisites: what a run knows of each, and how."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum

from gt_conformance.runbook import Prerequisite, Runbook
from gt_conformance.tenant import Choice, Tenant
from gt_conformance.vocabulary import Outcome, Purpose, Route, Scope


class Knowledge(StrEnum):
    """What a run can say of a prerequisite."""

    YES = "yes"
    NO = "no"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Known:
    """A prerequisite with what the run knows of it; ``how`` names each part: ``alias published: yes``."""

    text: str
    known: Knowledge
    how: tuple[str, ...]


Outcomes = Mapping[str, Collection[Outcome]]
"""By check, the outcomes that it came to for this runbook in this run."""

_SCOPES = {
    "scope_chat": (Scope.CHAT, Route.CHAT, "chat.completes"),
    "scope_embed": (Scope.EMBED, Route.EMBEDDINGS, "embeddings.batch"),
    "scope_transcribe": (Scope.TRANSCRIBE, Route.TRANSCRIPTIONS, "audio.transcribes"),
    "scope_speech": (Scope.SPEECH, Route.SPEECH, "audio.speaks"),
    "scope_image": (Scope.IMAGE, Route.IMAGES, "images.generates"),
}
_SHOWN_BY = {
    "alias_published": ("alias published", "models.contains_alias"),
    "upload_key": ("upload key works", "upload.dataset_ready"),
    "conversation_key": ("conversation key works", "conversation.create"),
    "dataset_allowlisted": ("dataset on the key's allowlist", "upload.dataset_ready"),
}


def known(tenant: Tenant, book: Runbook, choice: Choice, outcomes: Outcomes) -> tuple[Known, ...]:
    """Every prerequisite of a runbook with what this run knows of it. One that no run can know is ``unknown``."""
    return tuple(_one(item, tenant, book, choice, outcomes) for item in book.prerequisites)


def _one(item: Prerequisite, tenant: Tenant, book: Runbook, choice: Choice, outcomes: Outcomes) -> Known:
    parts = [_part(name, tenant, book, choice, outcomes) for name in item.known_by]
    answers = {answer for _, answer in parts}
    if Knowledge.NO in answers:
        whole = Knowledge.NO
    elif answers == {Knowledge.YES}:
        whole = Knowledge.YES
    else:
        whole = Knowledge.UNKNOWN
    return Known(item.text, whole, tuple(f"{what}: {answer.value}" for what, answer in parts))


def _part(name: str, tenant: Tenant, book: Runbook, choice: Choice, outcomes: Outcomes) -> tuple[str, Knowledge]:
    if name == "dedicated_key":
        return "dedicated key", _dedicated(tenant, book)
    if name in _SCOPES:
        scope, route, check = _SCOPES[name]
        key = choice.inference.get(route) or choice.own
        shown = _shown(outcomes.get(check, ()))
        if shown is Knowledge.UNKNOWN and key is not None and key.may(route) is False:
            shown = Knowledge.NO
        holder = f" on the key {key.name}" if key is not None else ""
        return f"scope {scope.value}{holder}", shown
    what, check = _SHOWN_BY[name]
    shown = _shown(outcomes.get(check, ()))
    if shown is Knowledge.UNKNOWN and name == "upload_key":
        purposes = {key.purpose for key in tenant.live_credentials}
        shown = Knowledge.NO if None not in purposes and Purpose.UPLOAD not in purposes else shown
    return what, shown


def _shown(outcomes: Collection[Outcome]) -> Knowledge:
    # A check that violates may do so for another reason than the prerequisite: only its success tells.
    return Knowledge.YES if Outcome.CONFORMS in outcomes else Knowledge.UNKNOWN


def _dedicated(tenant: Tenant, book: Runbook) -> Knowledge:
    mapped = tenant.runbooks.get(book.id)
    if mapped is None or mapped.key is None:
        return Knowledge.UNKNOWN
    others = (keys for name, keys in tenant.runbooks.items() if name != book.id)
    shared = any(mapped.key in {keys.key, keys.extension_key} for keys in others)
    return Knowledge.NO if shared else Knowledge.YES
