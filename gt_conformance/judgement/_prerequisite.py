"""Prerequisites: what a run knows of each, and how."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import assert_never

from gt_conformance.checks import BUILT_IN, Registry
from gt_conformance.runbook import Prerequisite, Runbook
from gt_conformance.tenant import Choice, Tenant
from gt_conformance.vocabulary import Fact, Outcome, Purpose, Route


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
"""By check, its outcomes for this runbook in this run."""


def known(
    tenant: Tenant, book: Runbook, choice: Choice, outcomes: Outcomes, registry: Registry = BUILT_IN
) -> tuple[Known, ...]:
    """Every prerequisite of a runbook with what this run knows of it. One that no run can know is ``unknown``."""
    examiner = _Examiner(tenant, book, choice, outcomes, registry)
    return tuple(examiner.examine(item) for item in book.prerequisites)


@dataclass(frozen=True)
class _Examiner:
    tenant: Tenant
    book: Runbook
    choice: Choice
    outcomes: Outcomes
    registry: Registry

    def examine(self, item: Prerequisite) -> Known:
        parts = [self._part(fact) for fact in item.known_by]
        answers = {answer for _, answer in parts}
        if Knowledge.NO in answers:
            whole = Knowledge.NO
        elif answers == {Knowledge.YES}:
            whole = Knowledge.YES
        else:
            whole = Knowledge.UNKNOWN
        return Known(item.text, whole, tuple(f"{what}: {answer.value}" for what, answer in parts))

    def _part(self, fact: Fact) -> tuple[str, Knowledge]:  # noqa: C901, PLR0911 - one answer for each fact
        match fact:
            case Fact.ALIAS_PUBLISHED:
                return "alias published", self._proved(fact)
            case Fact.SCOPE_CHAT:
                return self._scope(fact, Route.CHAT)
            case Fact.SCOPE_EMBED:
                return self._scope(fact, Route.EMBEDDINGS)
            case Fact.SCOPE_TRANSCRIBE:
                return self._scope(fact, Route.TRANSCRIPTIONS)
            case Fact.SCOPE_SPEECH:
                return self._scope(fact, Route.SPEECH)
            case Fact.SCOPE_IMAGE:
                return self._scope(fact, Route.IMAGES)
            case Fact.UPLOAD_KEY:
                return "upload key works", self._upload_key(fact)
            case Fact.CONVERSATION_KEY:
                return "conversation key works", self._proved(fact)
            case Fact.DATASET_ALLOWLISTED:
                return "dataset on the key's allowlist", self._proved(fact)
            case Fact.DEDICATED_KEY:
                return "dedicated key", self._dedicated()
            case _:
                assert_never(fact)

    def _proved(self, fact: Fact) -> Knowledge:
        # A check that violates may do so for another reason than the prerequisite: only its success tells.
        showing = (check.id for check in self.registry.checks if fact in check.shows)
        proved = any(Outcome.CONFORMS in self.outcomes.get(check, ()) for check in showing)
        return Knowledge.YES if proved else Knowledge.UNKNOWN

    def _scope(self, fact: Fact, route: Route) -> tuple[str, Knowledge]:
        key = self.choice.inference.get(route) or self.choice.own
        knowledge = self._proved(fact)
        if knowledge is Knowledge.UNKNOWN and key is not None and key.may(route) is False:
            knowledge = Knowledge.NO
        scope = f"scope {route.scope.value}" if route.scope else route.title
        return scope + (f" on the key {key.name}" if key is not None else ""), knowledge

    def _upload_key(self, fact: Fact) -> Knowledge:
        knowledge = self._proved(fact)
        if knowledge is Knowledge.UNKNOWN:
            purposes = {key.purpose for key in self.tenant.live_credentials}
            return Knowledge.NO if None not in purposes and Purpose.UPLOAD not in purposes else knowledge
        return knowledge

    def _dedicated(self) -> Knowledge:
        mapped = self.tenant.runbooks.get(self.book.id)
        if mapped is None or mapped.key is None:
            return Knowledge.UNKNOWN
        others = (keys for name, keys in self.tenant.runbooks.items() if name != self.book.id)
        shared = any(mapped.key in {keys.key, keys.extension_key} for keys in others)
        return Knowledge.NO if shared else Knowledge.YES
