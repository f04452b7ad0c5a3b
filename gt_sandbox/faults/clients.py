"""Faults that show only where a client is larger, or looks around more, than others."""

from ..app import BASE
from ..edges import Asked, Edge, Secrets, answering
from ._fault import Area, TenantFile
from ._parts import ALIAS, CHAT, MODELS, answer, error, instead, messages
from ._waiting import after

fault = Area("clients")

_EDITOR = {"secret_env": "GT_EMBEDDED_EDITOR", "purpose": "inference", "scopes": ["inference:chat"], "models": [ALIAS]}


def _long_prompt(asked: Asked) -> bool:
    return any(len(str(message.get("content"))) > 20_000 for message in messages(asked) if CHAT(asked))


def _locking(secrets: Secrets) -> Edge:
    """A key that asked for /version, as a client does that looks around, is refused its next model lists."""
    locked: set[str] = set()

    def wanted(asked: Asked) -> bool:
        if asked.path == f"{BASE}/version" and asked.secret == secrets["GT_EMBEDDED_EDITOR"]:
            locked.add(asked.secret)
        return MODELS(asked) and asked.secret in locked

    return answering(wanted, lambda *_: error(403, "Too many unknown routes: the key is locked."))(secrets)


def _key_of_its_own(document: TenantFile) -> TenantFile:
    """Hermes, which looks around, gets a key of its own: what happens to it then is told apart.

    That key was never rotated, so that nothing can be told of its rotation.
    """
    keys = {**document["keys"], "editor": _EDITOR}
    return {**document, "keys": keys, "runbooks": {**document["runbooks"], "hermes": {"key": "editor"}}}


FAULTS = (
    fault(
        "large-bodies-refused",
        "A proxy before the tenant refuses requests of more than 32 kB.",
        instead(lambda asked: CHAT(asked) and len(asked.body) > 32_000, error(413, "Request entity too large.")),
        checks="chat.client_load",
        places="chat",
    ),
    fault(
        "long-system-prompts-refused",
        "A chat with a system prompt of more than 20,000 characters is refused.",
        instead(_long_prompt, error(400, "The system prompt is too long.")),
        checks="chat.client_load",
        places="chat",
    ),
    fault(
        "many-tools-refused",
        "A chat that offers more than 16 tools is refused.",
        instead(lambda asked: CHAT(asked) and len(asked.fields.get("tools", ())) > 16, error(400, "Too many tools.")),
        checks="chat.client_load",
        places="chat",
    ),
    fault(
        "looks-like-another-server",
        "Paths of another server's API are answered with 200, and a client takes the tenant for it.",
        answering(
            lambda asked: asked.path.endswith(("/api/tags", "/api/v1/models")), lambda *_: answer(200, {"models": []})
        ),
        checks="client.discovery",
        places="chat",
    ),
    fault(
        "unknown-paths-answered-late",
        "Unknown paths are refused after more than two seconds.",
        after(2.1, lambda asked: asked.path == f"{BASE}/version"),
        checks="client.discovery",
        places="chat",
    ),
    fault(
        "looking-around-locks-the-key",
        "A key whose client asks for unknown paths is locked.",
        _locking,
        tenant_file=_key_of_its_own,
        checks="client.discovery",
        places="chat",
        blocks="key.rotation",
    ),
)
