"""The words of the project: verdicts, outcomes, routes, scopes, purposes, severities.

The same spellings are used in code, YAML, JSON, HTML and the terminal.
Source: the GT AI OS instructions wiki, edition of 2026-05-29 (``Gen3-Gt-Api-*``).
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum, StrEnum
from typing import TYPE_CHECKING, Any, Self


class Verdict(StrEnum):
    """What a runbook declares about one route."""

    NATIVE = "native"
    GT_EXTENSION = "gt_extension"
    NOT_SUPPORTED = "not_supported"


class Outcome(StrEnum):
    """What was found about a check, a row or an item; members are ordered from best to worst."""

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
        """``non_conformant`` where something violates, ``incomplete`` where something is untested or unattested."""
        worst = Outcome.worst(outcomes)
        if worst is Outcome.VIOLATES:
            return RunbookOutcome.NON_CONFORMANT
        if worst in {Outcome.BLOCKED, Outcome.UNATTESTED}:
            return RunbookOutcome.INCOMPLETE
        return RunbookOutcome.CONFORMANT


class Decision(StrEnum):
    """What a runbook, and a run, comes to: the one value that every document shows and the exit code repeats."""

    GO = "GO"
    """All of it was judged, all of it conforms, nothing is waived."""
    GO_WITH_EXCEPTIONS = "GO WITH EXCEPTIONS"
    """As GO, but for what somebody waived or accepted until a date."""
    NO_GO = "NO-GO"
    """Something violates."""
    NOT_DECIDED = "NOT DECIDED"
    """Nothing violates, and something is blocked or unattested."""
    PARTIAL = "PARTIAL"
    """Only a part was selected, and it conforms."""
    UNREACHABLE = "UNREACHABLE"
    """Nothing answers as the API, or no key works."""


class EvidenceLevel(StrEnum):
    """How far a runbook has been proved, as the wiki words it."""

    DOCUMENTED = "documented"
    PROBED = "probed"
    CLIENT_DRIVEN = "client_driven"


class Part(StrEnum):
    """Whom or what a checklist item asks: the words of ``asks`` in a runbook file."""

    TENANT = "tenant"
    """HTTP can show it."""
    CLIENT = "client"
    """The product has to be driven."""
    PERSON = "person"
    """Somebody has to attest it."""
    SETUP = "setup"
    """The operator's own keys and tenant file."""


class EvidenceKind(StrEnum):
    """What shows one part of a checklist item in a run."""

    DOCUMENTED = "documented"
    """Nothing yet: it was not judged, or nobody has attested it."""
    PROBED = "probed"
    CLIENT_DRIVEN = "client_driven"
    ATTESTED = "attested"
    TENANT_FILE = "tenant_file"


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


class Preset(StrEnum):
    """From what GT's key wizard makes a key; what each grants is in :data:`GRANTS`."""

    OPENAI_CHAT = "openai-chat"
    CHAT_EMBEDDINGS = "chat-embeddings"
    AGENTIC_EDITOR = "agentic-editor"
    VOICE_AUDIO = "voice-audio"
    IMAGE_GENERATION = "image-generation"
    DATASET_UPLOAD = "dataset-upload"
    CONVERSATION_APP = "conversation-app"


@dataclass(frozen=True, slots=True)
class Grant:
    """What a preset grants: ``scopes`` is None where the key inherits them."""

    purpose: Purpose
    scopes: frozenset[Scope] | None


GRANTS = {
    Preset.OPENAI_CHAT: Grant(Purpose.INFERENCE, frozenset({Scope.CHAT})),
    Preset.CHAT_EMBEDDINGS: Grant(Purpose.INFERENCE, frozenset({Scope.CHAT, Scope.EMBED})),
    Preset.AGENTIC_EDITOR: Grant(Purpose.INFERENCE, frozenset({Scope.CHAT})),
    Preset.VOICE_AUDIO: Grant(Purpose.INFERENCE, frozenset({Scope.CHAT, Scope.TRANSCRIBE, Scope.SPEECH})),
    Preset.IMAGE_GENERATION: Grant(Purpose.INFERENCE, frozenset({Scope.IMAGE})),
    Preset.DATASET_UPLOAD: Grant(Purpose.UPLOAD, frozenset({Scope.DATASETS_WRITE})),
    Preset.CONVERSATION_APP: Grant(Purpose.CONVERSATION, None),
}
"""Source: GT API keys and access, Guided presets."""


class Modality(StrEnum):
    """What a published name is used for; the keys of ``models`` in the tenant file."""

    CHAT = "chat"
    EMBEDDINGS = "embeddings"
    TRANSCRIPTION = "transcription"
    SPEECH = "speech"
    IMAGE = "image"


class Actor(StrEnum):
    """Who has to act on a finding."""

    TENANT = "tenant"
    """The platform: what the tenant answers."""
    SETUP = "setup"
    """The operator: keys, names and the tenant file."""
    RUNBOOK = "runbook"
    """The author of the runbook: the document is wrong."""
    CLIENT = "client"
    """The vendor of the client product."""
    HERE = "here"
    """Whoever runs the suite: this machine, or the suite itself."""


class Severity(StrEnum):
    """How bad a violation of a check is; members are ordered from worst to mildest."""

    CRITICAL = "critical"
    """A trust boundary does not hold: keys, scopes, names or files of others."""
    HIGH = "high"
    """A promised route does not work for its users."""
    MEDIUM = "medium"
    LOW = "low"


@dataclass(frozen=True, slots=True)
class RouteFacts:
    """What the wiki says of a route. ``promised`` is the verdict of a runbook that uses it."""

    id: str
    method: str
    path: str
    scope: Scope | None
    modality: Modality | None
    promised: Verdict


class Route(Enum):
    """One of the mapped routes. Its value is the short id used in test ids and in results.json.

    Each member is declared once, here. Wherever a route is dispatched, ``match`` with ``assert_never`` makes mypy name
    the place that does not know a new one.
    """

    facts: RouteFacts

    def __new__(cls, facts: Any) -> Self:
        """A member is known by its id: ``Route("chat")``."""
        member = object.__new__(cls)
        member._value_ = facts.id
        member.facts = facts
        return member

    MODELS = RouteFacts("models", "GET", "/v1/models", None, None, Verdict.NATIVE)
    CHAT = RouteFacts("chat", "POST", "/v1/chat/completions", Scope.CHAT, Modality.CHAT, Verdict.NATIVE)
    EMBEDDINGS = RouteFacts("embeddings", "POST", "/v1/embeddings", Scope.EMBED, Modality.EMBEDDINGS, Verdict.NATIVE)
    TRANSCRIPTIONS = RouteFacts(
        "transcriptions",
        "POST",
        "/v1/audio/transcriptions",
        Scope.TRANSCRIBE,
        Modality.TRANSCRIPTION,
        Verdict.NATIVE,
    )
    SPEECH = RouteFacts("speech", "POST", "/v1/audio/speech", Scope.SPEECH, Modality.SPEECH, Verdict.NATIVE)
    IMAGES = RouteFacts("images", "POST", "/v1/images/generations", Scope.IMAGE, Modality.IMAGE, Verdict.NATIVE)
    CONVERSATION_FILES = RouteFacts(
        "conversation_files", "POST", "/v1/conversations/files", None, None, Verdict.GT_EXTENSION
    )
    DATASET_FILES = RouteFacts(
        "dataset_files", "POST", "/v1/datasets/{id}/files", Scope.DATASETS_WRITE, None, Verdict.GT_EXTENSION
    )
    FILE_STATUS = RouteFacts("file_status", "GET", "/v1/files/{id}", None, None, Verdict.GT_EXTENSION)

    if TYPE_CHECKING:  # what __new__ makes of it, which mypy does not see

        @property
        def value(self) -> str:
            """The short id."""

    @property
    def method(self) -> str:
        """The HTTP method."""
        return self.facts.method

    @property
    def path(self) -> str:
        """The path below the tenant's base URL, as the wiki writes it."""
        return self.facts.path

    @property
    def scope(self) -> Scope | None:
        """The scope that the route needs; ``None`` where any valid key will do or access is not by scope."""
        return self.facts.scope

    @property
    def modality(self) -> Modality | None:
        """Which of the tenant's published names it takes; ``None`` where it takes none."""
        return self.facts.modality

    @property
    def promised(self) -> Verdict:
        """The verdict of a runbook that uses it: ``native`` for OpenAI's routes, ``gt_extension`` for GT's own."""
        return self.facts.promised

    @property
    def title(self) -> str:
        """``POST /v1/embeddings``: the form that the runbooks use as a key."""
        return f"{self.method} {self.path}"

    @staticmethod
    def titled(title: str) -> "Route":
        """The route of that title. Raises KeyError for any other text."""
        return _BY_TITLE[title]

    @staticmethod
    def at(path: str) -> "Route | None":
        """The route of a path below the base URL, with an id in place of ``{id}``."""
        return next((route for route in Route if _PATTERNS[route].fullmatch(path)), None)


_BY_TITLE = {route.title: route for route in Route}
_PATTERNS = {route: re.compile(re.escape(route.path).replace(r"\{id\}", "[^/]+")) for route in Route}


class RemarkKind(StrEnum):
    """What a check noticed that breaks nothing, and that its reader should know."""

    GRANTED = "granted"
    """A route that the runbook does not use is open to its key: the operator gave the scope, or never declared it."""
    ABSENT = "absent"
    """The tenant has no such route: nothing is open, and no scope was enforced."""
    LATE = "late"
    """The model gave what was asked for at a later attempt only: that is its own, and no deviation of the tenant."""
    UNCOMPARED = "uncompared"
    """Nothing from before was at hand to compare with."""


class Fact(StrEnum):
    """What a run can know of a prerequisite: the words of ``known_by`` in a runbook file."""

    ALIAS_PUBLISHED = "alias_published"
    SCOPE_CHAT = "scope_chat"
    SCOPE_EMBED = "scope_embed"
    SCOPE_TRANSCRIBE = "scope_transcribe"
    SCOPE_SPEECH = "scope_speech"
    SCOPE_IMAGE = "scope_image"
    UPLOAD_KEY = "upload_key"
    CONVERSATION_KEY = "conversation_key"
    DATASET_ALLOWLISTED = "dataset_allowlisted"
    DEDICATED_KEY = "dedicated_key"


CLIENT_CHECKS = ("client.works", "client.never_calls", "client.steps")
"""The checks of real clients that were driven. A run that drives none has none of them."""

ATTESTATION = "attestation"
"""The one thing in a checklist that no probe can show: a person's attestation, from the attestation file."""

CHECKLIST_LENGTH = 3
"""How many items each runbook's checklist has (schemas/runbook.schema.json)."""

NAME_WHAT_IS_JUDGED = frozenset(
    {"--tenant", "--runbooks", "--attestations", "--waivers", "--accepted", "--baseline", "--history", "--from"}
)
"""Options that are given once. Of a setting the last counts, as elsewhere, so that a wrapper may give one that is given
again behind it."""

GIVEN_TWICE = "{option} is given more than once, and names one: leave out all but one."

SANDBOX_HEADER = "X-GT-Conformance-Sandbox"
"""Every answer of the embedded tenant carries it: what is proved there is evidence about this suite only."""

CONVERSATION_HEADER = "X-GT-Conversation-Id"
"""Carries the GT conversation: optional on chat, required on conversation files."""
