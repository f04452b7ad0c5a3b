"""Keys, their secrets, what they may do, and the administration that rotates them."""

import hashlib
import hmac
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from secrets import token_urlsafe

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from gt_sandbox.protocol import Body, Refusal, forbidden, not_found, unauthorized

INTERNAL_DATASETS = ("ds-internal-41c9",)
"""The identifiers that the tenant uses for datasets inside. For the tenant file only, as with the next."""

INTERNAL_IDS = ("agent-7f3a",)
"""The internal ids behind the published names. For the tenant file only: no response may ever hold one."""

PUBLISHED_AT = 1_764_000_000
"""The ``created`` time of every published name, in Unix seconds; constant, so that listings can be compared."""


@dataclass(frozen=True, slots=True)
class PromptText:
    """A text that is put before chats on the server, with a question that it answers, and the answer."""

    text: str
    ask: str
    expect: str


MARKERS = {
    "base_prompt": PromptText(
        "The lighthouse of this agent is Skerryvore.", "What is the lighthouse of this agent?", "Skerryvore"
    ),
    "prompt_modules": PromptText("The keeper of the vault is Ailsa.", "Who is the keeper of the vault?", "Ailsa"),
    "prompt_text": PromptText("The berth of this desk is Dogger.", "What is the berth of this desk?", "Dogger"),
}
"""The texts that an agent and an inference key of this tenant have."""


class Ability(StrEnum):
    """What a name can be asked to do; the keys of ``models`` in a tenant file."""

    CHAT = "chat"
    EMBEDDINGS = "embeddings"
    TRANSCRIPTION = "transcription"
    SPEECH = "speech"
    IMAGE = "image"


@dataclass(frozen=True, slots=True)
class PublishedName:
    """An agent alias, or a raw model of the tenant's catalog, under the only name that callers see."""

    name: str
    owner: str
    abilities: frozenset[Ability]
    datasets: frozenset[str] = frozenset()
    """The datasets that its agent has attached: it knows what is in those that the caller may reach."""
    base_prompt: str = ""

    def listing(self) -> dict[str, object]:
        """Its entry in ``GET /v1/models``."""
        return {"id": self.name, "object": "model", "created": PUBLISHED_AT, "owned_by": self.owner}

    def require(self, ability: Ability) -> None:
        """Refuse with a 400 where this name cannot do that."""
        if ability not in self.abilities:
            message = f"This model does not offer {ability}."
            raise Refusal(400, message, param="model", code="unsupported_model")


_NAMES = (
    PublishedName(
        "field-analyst",
        "gt-agents",
        frozenset(Ability),
        frozenset({"scratch-briefs"}),
        MARKERS["base_prompt"].text,
    ),
    PublishedName("desk-assistant", "gt-agents", frozenset({Ability.CHAT, Ability.EMBEDDINGS})),
    PublishedName("gt-large-raw", "gt-models", frozenset({Ability.CHAT})),
)
PUBLISHED = {published.name: published for published in _NAMES}
"""Every published name of the tenant, in the order in which they are listed."""


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
    prompt_modules: str = ""
    prompt_text: str = ""
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
        if self.conversation_uploads:
            entry["conversation_uploads"] = True
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
    replace(
        _inference("rag", CHAT, EMBED, rotated=True),
        prompt_modules=MARKERS["prompt_modules"].text,
        prompt_text=MARKERS["prompt_text"].text,
    ),
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
"""They work, but no tenant file lists them: what partner is linked to, and the remaining presets, to try by hand."""

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


@dataclass(frozen=True, slots=True)
class PresetKey:
    """The key that shows what a preset grants; its secret is left out of the repr."""

    name: str
    secret: str = field(repr=False)


OTHER_TENANT = "GT_EMBEDDED_OTHER_TENANT"
"""The variable of a key of another tenant, which opens nothing here."""


class Secrets(Mapping[str, str]):
    """Environment variable to secret, for every key and for every secret retired by a rotation.

    ``make`` gives the secret of a variable; without it each is made up. Its repr counts the secrets and shows none, so
    that a traceback with locals leaks nothing.
    """

    def __init__(self, keys: Iterable[Key], make: Callable[[str], str] | None = None) -> None:
        new = make or (lambda _: _new_secret())
        self._secrets: dict[str, str] = {OTHER_TENANT: new(OTHER_TENANT)}
        for key in keys:
            self._secrets[key.env] = new(key.env)
            if key.rotated:
                self._secrets[key.retired_env] = new(key.retired_env)

    def rotate(self, key: Key) -> str:
        """A new secret for the key; the one that it had becomes its retired one."""
        new = _new_secret()
        # One assignment: whoever reads in another thread sees the secrets from before or from after.
        self._secrets = {**self._secrets, key.env: new, key.retired_env: self._secrets[key.env]}
        return new

    def __getitem__(self, env: str) -> str:
        return self._secrets[env]

    def __iter__(self) -> Iterator[str]:
        return iter(self._secrets)

    def __len__(self) -> int:
        return len(self._secrets)

    def __repr__(self) -> str:
        return f"<Secrets of {len(self)} secrets>"


def _new_secret() -> str:
    return "gtak_" + token_urlsafe(30)


@dataclass(frozen=True, slots=True)
class Caller:
    """The rights of the key that a request presented, with what it inherits already added."""

    name: str
    purpose: str
    scopes: frozenset[str]
    models: tuple[str, ...]
    datasets: frozenset[str]
    conversation_uploads: bool
    linked: frozenset[str] = frozenset()
    """The keys that are linked to it: conversation keys that inherit from this one."""
    prompts: tuple[str, ...] = ()
    """What is put before its chats: prompt modules, then additional text."""

    def require(self, scope: str) -> None:
        """Refuse with a 403 where the key lacks this scope."""
        if scope not in self.scopes:
            raise forbidden(f"This key lacks the scope {scope}.")

    def model(self, name: str, ability: Ability | None = None) -> PublishedName:
        """The published name, where this key may use it.

        Internal ids, unknown names and names outside the allowlist get the same 404, so that they
        cannot be distinguished.
        """
        if name not in self.models:
            message = "The model does not exist, or this key may not use it."
            raise not_found(message, param="model", code="model_not_found")
        published = PUBLISHED[name]
        if ability is not None:
            published.require(ability)
        return published


class Accounts:
    """The tenant's keys. Secrets are kept as hashes only, as the real tenant keeps them."""

    def __init__(self, keys: Iterable[Key], secrets: Mapping[str, str]) -> None:
        live = {key.name: key for key in keys if not key.revoked}
        self._callers = {_digest(secrets[key.env]): _caller_of(key, live) for key in live.values()}
        self._ends: dict[bytes, float] = {}

    def caller(self, secret: str) -> Caller | None:
        """The key with this secret; ``None`` where no live key has it: unknown, retired or revoked."""
        digest = _digest(secret)
        end = self._ends.get(digest)
        return None if end is not None and time.monotonic() >= end else self._callers.get(digest)

    def rotate(self, old: str, new: str, *, old_alive_s: float = 0) -> None:
        """Let the new secret open what the old one does, and let the old one die after that many seconds."""
        self._callers[_digest(new)] = self._callers[_digest(old)]
        self._ends[_digest(old)] = time.monotonic() + old_alive_s


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()


def _caller_of(key: Key, live: Mapping[str, Key]) -> Caller:
    sources = [key, *(live[name] for name in key.inherits if name in live)]
    allowed = {name for source in sources for name in (*source.agents, *source.raw_models)}
    return Caller(
        name=key.name,
        purpose=key.purpose,
        scopes=frozenset(scope for source in sources for scope in source.scopes),
        models=tuple(name for name in PUBLISHED if name in allowed),
        datasets=frozenset(dataset for source in sources for dataset in source.datasets),
        conversation_uploads=any(source.conversation_uploads for source in sources),
        linked=frozenset(other.name for other in live.values() if key.name in other.inherits),
        prompts=tuple(text for source in sources for text in (source.prompt_modules, source.prompt_text) if text),
    )


ADMIN_ROOT = "/sandbox"
"""The path of every route of the administration; nothing of the GT API is there."""

_LONGEST_LIFE_S = 24 * 60 * 60


class Administration:
    """Rotates the keys of one tenant for whoever holds its token, which is never a key of the API."""

    def __init__(self, keys: Iterable[Key], secrets: Secrets, accounts: Accounts) -> None:
        self._keys = {key.name: key for key in keys}
        self._secrets = secrets
        self._accounts = accounts
        self.token = token_urlsafe(30)

    def routes(self) -> Sequence[Route]:
        """``POST /sandbox/keys/{name}/rotate``: the key's new secret as plain text, shown once."""
        return [Route(ADMIN_ROOT + "/keys/{name}/rotate", self._rotate, methods=["POST"])]

    async def _rotate(self, request: Request) -> Response:
        try:
            self._check_token(request)
            key = self._key(request.path_params["name"])
            body = await Body.read(request) if await request.body() else Body({})
            old_alive_s = body.number("old_alive_s", 0, _LONGEST_LIFE_S) or 0
        except Refusal as refusal:
            return refusal.response()
        old = self._secrets[key.env]
        new = self._secrets.rotate(key)
        self._accounts.rotate(old, new, old_alive_s=old_alive_s)
        return PlainTextResponse(new + "\n", headers={"Cache-Control": "no-store"})

    def _check_token(self, request: Request) -> None:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not hmac.compare_digest(token.encode(), self.token.encode()):
            raise unauthorized("The administration takes its own token, and no key of the API.")

    def _key(self, name: str) -> Key:
        key = self._keys.get(name)
        if key is None:
            raise not_found(f"There is no such key. There are: {', '.join(self._keys)}.", code="unknown_key")
        if key.revoked:
            raise Refusal(409, "The key is revoked: it cannot be rotated.", code="key_revoked")
        return key
