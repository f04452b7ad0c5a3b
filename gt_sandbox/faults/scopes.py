"""Faults of scopes: keys that open more than they were granted."""

from collections.abc import Callable

from ..edges import Asked, EdgeMaker, live, with_key
from ._fault import Area
from ._owners import as_owner
from ._parts import CHAT, CONVERSATION_FILES, CONVERSATIONS, EMBEDDINGS, IMAGES, SPEECH, TRANSCRIPTIONS

fault = Area("scopes")


def _granted(wanted: Callable[[Asked], bool], key: str, *to: str) -> EdgeMaker:
    """These keys may use a route as another key does; every live key where none is named."""
    return with_key(lambda asked, secrets: wanted(asked) and live(asked, secrets, *to), key)


FAULTS = (
    fault(
        "chat-open-to-upload-keys",
        "Chat takes keys that have no inference scope.",
        _granted(CHAT, "RAG", "UPLOAD"),
        checks="key.scope_enforced",
        places="tenant",
    ),
    fault(
        "conversations-open-to-all-keys",
        "Keys without conversation access may open conversations.",
        _granted(CONVERSATIONS, "APP", "CHAT", "RAG", "FULL", "UPLOAD", "CURSOR", "MANUS"),
        checks="key.scope_enforced",
        places="tenant",
    ),
    fault(
        "embeddings-open-to-chat-keys",
        "Embeddings take keys without inference:embed.",
        _granted(EMBEDDINGS, "RAG", "CHAT", "CURSOR", "MANUS"),
        checks="key.least_privilege key.scope_enforced route.refused",
        places="embeddings items tenant",
    ),
    fault(
        "transcriptions-open-to-chat-keys",
        "Transcription takes keys without inference:transcribe.",
        _granted(TRANSCRIPTIONS, "FULL", "CHAT", "RAG", "APP", "CURSOR", "MANUS"),
        checks="key.least_privilege key.scope_enforced route.refused",
        places="transcriptions items tenant",
    ),
    fault(
        "speech-open-to-chat-keys",
        "Speech takes keys without inference:speech.",
        _granted(SPEECH, "FULL", "CHAT", "RAG", "APP", "CURSOR", "MANUS"),
        checks="key.least_privilege key.scope_enforced route.refused",
        places="speech items tenant",
    ),
    fault(
        "images-open-to-chat-keys",
        "Image generation takes keys without inference:image.",
        _granted(IMAGES, "FULL", "CHAT", "RAG", "APP", "CURSOR", "MANUS"),
        checks="key.least_privilege key.scope_enforced route.refused",
        places="images items tenant",
    ),
    fault(
        "images-open-to-one-key",
        "One key has the scope inference:image that its client does not need.",
        _granted(IMAGES, "FULL", "CURSOR"),
        checks="key.scope_enforced route.refused",
        places="images tenant",
    ),
    fault(
        "datasets-open-to-all-keys",
        "Every key may upload to the dataset.",
        _granted(lambda asked: asked.path.endswith("/datasets/scratch-briefs/files"), "UPLOAD"),
        checks="key.least_privilege key.scope_enforced route.refused",
        places="dataset_files items tenant",
    ),
    fault(
        "every-dataset-open-to-upload-keys",
        "A key with datasets:write may upload to datasets that are not on its allowlist.",
        _granted(lambda asked: asked.path.endswith("/datasets/partner-briefs/files"), "PARTNER", "UPLOAD", "APP"),
        checks="dataset.not_allowlisted_refused",
        places="dataset_files tenant",
    ),
    fault(
        "conversations-of-others-open",
        "Every key may upload to every conversation.",
        as_owner(lambda asked: asked.header("x-gt-conversation-id") if CONVERSATION_FILES(asked) else ""),
        checks="key.least_privilege key.scope_enforced route.refused upload.needs_conversation",
        places="conversation_files items tenant",
    ),
)
