"""The words of the project: verdicts, outcomes, routes, scopes, purposes, presets.

The same spellings stand in code, YAML, JSON, HTML and the terminal.
Source: the GT AI OS instructions wiki, edition of 2026-05-29 (``Gen3-Gt-Api-*``).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum, StrEnum


class Verdict(StrEnum):
    """What a runbook declares about one route."""

    NATIVE = "native"
    GT_EXTENSION = "gt_extension"
    NOT_SUPPORTED = "not_supported"


class Outcome(StrEnum):
    """What was found about a check, a row or an item; members stand from best to worst."""

    CONFORMS = "conforms"
    WAIVED = "waived"
    UNATTESTED = "unattested"
    BLOCKED = "blocked"
    VIOLATES = "violates"

    @staticmethod
    def worst(outcomes: Iterable["Outcome"]) -> "Outcome":
        """The worst of them; nothing at all is ``blocked``, since nothing was tested."""
        ranked = list(Outcome)
        return max(outcomes, key=ranked.index, default=Outcome.BLOCKED)


class RunbookOutcome(StrEnum):
    """A runbook's outcome, from those of its rows and items."""

    CONFORMANT = "conformant"
    INCOMPLETE = "incomplete"
    NON_CONFORMANT = "non_conformant"

    @staticmethod
    def of(outcomes: Iterable[Outcome]) -> "RunbookOutcome":
        """``non_conformant`` where something violates, ``incomplete`` where something is untested or unvouched."""
        worst = Outcome.worst(outcomes)
        if worst is Outcome.VIOLATES:
            return RunbookOutcome.NON_CONFORMANT
        if worst in {Outcome.BLOCKED, Outcome.UNATTESTED}:
            return RunbookOutcome.INCOMPLETE
        return RunbookOutcome.CONFORMANT


class EvidenceLevel(StrEnum):
    """How far a runbook has been proved, as the wiki words it."""

    DOCUMENTED = "documented"
    PROBED = "probed"
    CLIENT_DRIVEN = "client_driven"


class Purpose(StrEnum):
    """What a GT key is for."""

    INFERENCE = "inference"
    UPLOAD = "upload"
    CONVERSATION = "conversation"


class Scope(StrEnum):
    """What a GT key may do."""

    CHAT = "inference:chat"
    EMBED = "inference:embed"
    TRANSCRIBE = "inference:transcribe"
    SPEECH = "inference:speech"
    IMAGE = "inference:image"
    DATASETS_WRITE = "datasets:write"


class Modality(StrEnum):
    """What a published name is used for; the keys of ``models`` in the tenant file."""

    CHAT = "chat"
    EMBEDDINGS = "embeddings"
    TRANSCRIPTION = "transcription"
    SPEECH = "speech"
    IMAGE = "image"


@dataclass(frozen=True, slots=True)
class _RouteFacts:
    method: str
    path: str
    scope: Scope | None
    modality: Modality | None


class Route(Enum):
    """One of the nine mapped routes. The value is the short id used in test ids and in results.json."""

    MODELS = "models"
    CHAT = "chat"
    EMBEDDINGS = "embeddings"
    TRANSCRIPTIONS = "transcriptions"
    SPEECH = "speech"
    IMAGES = "images"
    CONVERSATION_FILES = "conversation_files"
    DATASET_FILES = "dataset_files"
    FILE_STATUS = "file_status"

    @property
    def method(self) -> str:
        """The HTTP method."""
        return _FACTS[self].method

    @property
    def path(self) -> str:
        """The path below the tenant's base URL, as the wiki writes it."""
        return _FACTS[self].path

    @property
    def scope(self) -> Scope | None:
        """The scope that the route needs; ``None`` where any valid key will do or access is not by scope."""
        return _FACTS[self].scope

    @property
    def modality(self) -> Modality | None:
        """Which of the tenant's published names it takes; ``None`` where it takes none."""
        return _FACTS[self].modality

    @property
    def title(self) -> str:
        """``POST /v1/embeddings``: the form that the runbooks use as a key."""
        return f"{self.method} {self.path}"

    @staticmethod
    def titled(title: str) -> "Route":
        """The route of that title. Raises KeyError for any other text."""
        return _BY_TITLE[title]


_FACTS = {
    Route.MODELS: _RouteFacts("GET", "/v1/models", None, None),
    Route.CHAT: _RouteFacts("POST", "/v1/chat/completions", Scope.CHAT, Modality.CHAT),
    Route.EMBEDDINGS: _RouteFacts("POST", "/v1/embeddings", Scope.EMBED, Modality.EMBEDDINGS),
    Route.TRANSCRIPTIONS: _RouteFacts("POST", "/v1/audio/transcriptions", Scope.TRANSCRIBE, Modality.TRANSCRIPTION),
    Route.SPEECH: _RouteFacts("POST", "/v1/audio/speech", Scope.SPEECH, Modality.SPEECH),
    Route.IMAGES: _RouteFacts("POST", "/v1/images/generations", Scope.IMAGE, Modality.IMAGE),
    Route.CONVERSATION_FILES: _RouteFacts("POST", "/v1/conversations/files", None, None),
    Route.DATASET_FILES: _RouteFacts("POST", "/v1/datasets/{id}/files", Scope.DATASETS_WRITE, None),
    Route.FILE_STATUS: _RouteFacts("GET", "/v1/files/{id}", None, None),
}
_BY_TITLE = {route.title: route for route in Route}

CLIENT_CHECKS = ("client.works", "client.never_calls", "client.steps")
"""The checks of real clients that were driven. A run that drives none has none of them."""

CHECKLIST_LENGTH = 3
"""How many items each runbook's checklist has (schemas/runbook.schema.json)."""

CONVERSATION_HEADER = "X-GT-Conversation-Id"
"""Carries the GT conversation: optional on chat, required on conversation files."""
