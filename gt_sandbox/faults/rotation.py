"""Faults of keys in time: what a rotation leaves behind."""

from ..edges import Answer, Asked, Edge, EdgeMaker, Secrets, answering, as_key
from ._fault import Area
from ._parts import ALIAS, EMBEDDINGS, MODELS, answer, error

fault = Area("rotation")


def _retired(asked: Asked, secrets: Secrets) -> str | None:
    """The key whose old secret this is."""
    name = next((name for name, secret in secrets.items() if secret == asked.secret), "")
    return name.removeprefix("GT_EMBEDDED_").removesuffix("_OLD") if name.endswith("_OLD") else None


def _of_keys(change: Answer, *keys: str) -> EdgeMaker:
    """This model list for these keys."""

    def made(secrets: Secrets) -> Edge:
        wanted = {secrets[f"GT_EMBEDDED_{key}"] for key in keys}
        return answering(
            lambda asked: MODELS(asked) and asked.secret in wanted,
            lambda _, right: change if right.succeeded else right,
        )(secrets)

    return made


def _listing(*names: str) -> Answer:
    entries = [{"id": name, "object": "model", "created": 1_764_000_000, "owned_by": "gt-agents"} for name in names]
    return answer(200, {"object": "list", "data": entries})


def _retired_403(secrets: Secrets) -> Edge:
    """Old secrets are told that they lack the right, rather than that they are dead."""
    return answering(
        lambda asked: _retired(asked, secrets) is not None, lambda *_: error(403, "This key may not do that.")
    )(secrets)


FAULTS = (
    fault(
        "retired-secrets-work",
        "The secret from before a rotation still works.",
        as_key(_retired),
        checks="embeddings.after_rotation key.rotation",
        places="items",
    ),
    fault(
        "retired-secrets-embed",
        "The secret from before a rotation still embeds, from a cache.",
        as_key(lambda asked, secrets: _retired(asked, secrets) if EMBEDDINGS(asked) else None),
        checks="embeddings.after_rotation",
        places="items",
    ),
    fault(
        "retired-secrets-get-403",
        "The secret from before a rotation is answered 403, as one that lacks a scope.",
        _retired_403,
        checks="embeddings.after_rotation key.rotation",
        places="items",
    ),
    fault(
        "rotated-keys-lose-names",
        "A rotated key no longer sees its names.",
        _of_keys(_listing("desk-assistant"), "CHAT", "RAG", "CURSOR", "MANUS"),
        checks="key.isolation key.rotation models.contains_alias models.exact_allowlist",
        places="models items",
    ),
    fault(
        "rotation-empties-other-lists",
        "After a rotation other keys see the names of the rotated one.",
        _of_keys(_listing(ALIAS), "FULL", "PARTNER"),
        checks="key.isolation models.exact_allowlist",
        places="models items",
    ),
)
