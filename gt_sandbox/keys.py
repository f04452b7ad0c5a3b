"""The keys that the embedded tenant is born with: purpose, scopes, allowlists, links. Secrets stand elsewhere."""

from collections.abc import Sequence
from dataclasses import dataclass

CHAT = "inference:chat"
EMBED = "inference:embed"
TRANSCRIBE = "inference:transcribe"
SPEECH = "inference:speech"
IMAGE = "inference:image"
DATASETS = "datasets:write"


@dataclass(frozen=True, slots=True)
class Key:
    """One key as an administrator declares it. A conversation key has only what its linked keys have."""

    name: str
    purpose: str
    scopes: tuple[str, ...] = ()
    agents: tuple[str, ...] = ()
    raw_models: tuple[str, ...] = ()
    datasets: tuple[str, ...] = ()
    conversation_uploads: bool = False
    inherits: tuple[str, ...] = ()
    rotated: bool = False
    revoked: bool = False

    @property
    def env(self) -> str:
        """The environment variable that the tenant file names for its secret."""
        return "GT_EMBEDDED_" + self.name.upper().replace("-", "_")

    @property
    def retired_env(self) -> str:
        """The same for the secret that it had before its last rotation."""
        return self.env + "_OLD"

    def entry(self, linked: Sequence["Key"] = ()) -> dict[str, object]:
        """Its entry in a tenant file, the secret by reference; with what ``linked`` keys bring where it names none."""
        entry: dict[str, object] = {"secret_env": self.env}
        if self.rotated:
            entry["retired_secret_env"] = self.retired_env
        if self.revoked:
            entry["revoked"] = True
        entry["purpose"] = self.purpose
        lists = {
            "scopes": self.scopes + tuple(scope for key in linked for scope in key.scopes),
            "models": tuple(name for key in (self, *linked) for name in key.agents + key.raw_models),
            "datasets": self.datasets + tuple(name for key in linked for name in key.datasets),
            "inherits": () if linked else self.inherits,
        }
        return entry | {word: list(values) for word, values in lists.items() if values}


def _inference(name: str, *scopes: str, agent: str = "field-analyst", rotated: bool = False) -> Key:
    return Key(name, "inference", scopes, agents=(agent,), rotated=rotated)


def _upload(name: str, dataset: str) -> Key:
    return Key(name, "upload", (DATASETS,), datasets=(dataset,), conversation_uploads=True)


FULL = Key(
    "full",
    "inference",
    (CHAT, EMBED, TRANSCRIBE, SPEECH, IMAGE),
    agents=("field-analyst",),
    raw_models=("gt-large-raw",),
)

DECLARED = (
    _inference("chat", CHAT, rotated=True),
    _inference("rag", CHAT, EMBED, rotated=True),
    FULL,
    _upload("upload", "scratch-briefs"),
    Key("app", "conversation", inherits=("rag", "upload")),
    Key("partner", "conversation", inherits=("partner-chat", "partner-upload")),
    _inference("cursor", CHAT, rotated=True),
    _inference("manus", CHAT, rotated=True),
    Key("gone", "inference", (CHAT,), revoked=True),
)
"""The keys of the tenant file, in its order."""

DEDICATED = ("cursor", "manus")
"""Keys that one client has for itself, as that client's checklist asks; each has the client's name."""

UNDECLARED = (
    _inference("partner-chat", CHAT, agent="desk-assistant"),
    _upload("partner-upload", "partner-briefs"),
    _inference("editor", CHAT),
    _inference("voice", CHAT, TRANSCRIBE, SPEECH),
    _inference("image", IMAGE),
)
"""They work, but stand in no tenant file: what partner is linked to, and the remaining presets, to try by hand."""

PRESETS = {
    "openai-chat": "chat",
    "chat-embeddings": "rag",
    "agentic-editor": "editor",
    "voice-audio": "voice",
    "image-generation": "image",
    "dataset-upload": "upload",
    "conversation-app": "app",
}
"""Which key shows what each preset of the key wizard grants."""
