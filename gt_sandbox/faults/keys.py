"""Faults of authentication: who is let in without a key that works, and whose key is given away."""

import base64
from collections.abc import Callable
from dataclasses import replace
from urllib.parse import parse_qs

from starlette.types import ASGIApp, Receive, Scope, Send

from ..edges import (
    Answer,
    Asked,
    EdgeMaker,
    Secrets,
    answering,
    as_key,
    authorized,
    live,
    refusals,
    with_key,
)
from ._fault import Area
from ._parts import (
    CHAT,
    CONVERSATION_FILES,
    CONVERSATIONS,
    EMBEDDINGS,
    IMAGES,
    MODELS,
    SPEECH,
    TRANSCRIPTIONS,
    dataset_files,
    error,
    file_state,
    streamed,
)

fault = Area("keys")


def _open(wanted: Callable[[Asked], bool], key: str) -> EdgeMaker:
    """A route that answers without a key."""
    return with_key(lambda asked, _: wanted(asked) and not asked.header("authorization") and not asked.query, key)


def _presented(secret: Callable[[Asked], str]) -> EdgeMaker:
    """A key that is presented in another way than as a bearer key is taken."""

    def edge(app: ASGIApp) -> ASGIApp:
        async def edged(scope: Scope, receive: Receive, send: Send) -> None:
            found = secret(Asked.of(scope))
            await app(authorized(scope, found) if found else scope, receive, send)

        return edged

    return lambda _: edge


def _basic(asked: Asked) -> str:
    scheme, _, encoded = asked.header("authorization").partition(" ")
    return base64.b64decode(encoded).decode().strip(":") if scheme == "Basic" else ""


def _bare(asked: Asked) -> str:
    value = asked.header("authorization")
    return value if value and " " not in value else ""


def _in_query(asked: Asked) -> str:
    return next((values[0] for values in parse_qs(asked.query).values() if values[0].startswith("gtak_")), "")


def _named(secrets: Secrets, asked: Asked) -> str:
    return next((name for name, secret in secrets.items() if secret == asked.secret), "")


def _unknown(asked: Asked, secrets: Secrets) -> bool:
    return asked.secret.startswith("gtak_") and not _named(secrets, asked)


def _revoked(asked: Asked, secrets: Secrets) -> str | None:
    return "CHAT" if _named(secrets, asked).endswith("_GONE") else None


def _quoted(asked: Asked, right: Answer) -> Answer:
    return error(403, f"The key {asked.secret} has no such scope.") if right.status == 403 else right


def _tail_quoted(asked: Asked, right: Answer) -> Answer:
    return error(404, f"No such route for the key {asked.secret[5:]}.") if right.status == 404 else right


def _in_header(asked: Asked, right: Answer) -> Answer:
    return replace(right, headers=(*right.headers, ("x-authenticated-by", asked.secret))) if asked.secret else right


def _in_stream(asked: Asked, right: Answer) -> Answer:
    return right.saying(f": {asked.secret}\n\n".encode() + right.body) if right.succeeded else right


_OPEN = (
    ("models", "The model list", MODELS, "FULL"),
    ("chat", "Chat", CHAT, "FULL"),
    ("embeddings", "The embeddings route", EMBEDDINGS, "FULL"),
    ("transcriptions", "Transcription", TRANSCRIPTIONS, "FULL"),
    ("speech", "Speech", SPEECH, "FULL"),
    ("images", "Image generation", IMAGES, "FULL"),
    ("conversations", "Opening conversations", CONVERSATIONS, "APP"),
    ("conversation-files", "Uploading to conversations", CONVERSATION_FILES, "APP"),
    ("dataset-files", "Uploading to datasets", dataset_files, "UPLOAD"),
    ("file-state", "The state of files", file_state, "UPLOAD"),
)

FAULTS = (
    fault(
        "no-authentication",
        "Every route answers without a key.",
        with_key(lambda asked, secrets: not live(asked, secrets), "FULL"),
        checks="embeddings.after_rotation key.required key.revocation key.rotation",
        places="items tenant",
    ),
    *(
        fault(
            f"{name}-open-without-a-key",
            f"{what} needs no key.",
            _open(wanted, key),
            checks="key.required",
            places="tenant",
        )
        for name, what, wanted, key in _OPEN
    ),
    fault(
        "any-key-taken",
        "Whatever looks like a key is taken.",
        with_key(_unknown, "FULL"),
        checks="key.required",
        places="tenant",
    ),
    fault(
        "basic-authentication-taken",
        "The key is taken as Basic authentication as well.",
        _presented(_basic),
        checks="key.required",
        places="tenant",
    ),
    fault(
        "key-without-bearer-taken",
        "The key is taken without Bearer before it.",
        _presented(_bare),
        checks="key.required",
        places="tenant",
    ),
    fault(
        "key-in-query-taken",
        "The key is taken from the query string, where logs keep it.",
        _presented(_in_query),
        checks="key.required",
        places="tenant",
    ),
    fault(
        "refused-keys-get-404",
        "A request without a key that works is answered 404, as if there were no API.",
        refusals(lambda _, right: error(404, "Not found.") if right.status == 401 else right),
        checks="embeddings.after_rotation key.required key.revocation key.rotation",
        places="items tenant",
    ),
    fault(
        "revoked-keys-work",
        "A revoked key still works.",
        as_key(_revoked),
        checks="key.revocation",
        places="items tenant",
    ),
    fault(
        "revoked-keys-list-models",
        "A revoked key still lists models, from a cache.",
        as_key(lambda asked, secrets: _revoked(asked, secrets) if MODELS(asked) else None),
        checks="key.revocation",
        places="items tenant",
    ),
    fault(
        "revoked-keys-get-403",
        "A revoked key is answered 403, as one that lacks a scope.",
        lambda secrets: refusals(lambda asked, right: error(403, "No.") if _revoked(asked, secrets) else right)(
            secrets
        ),
        checks="key.revocation",
        places="items tenant",
    ),
    fault(
        "key-echoed",
        "A refusal repeats the key that was presented.",
        refusals(_quoted),
        checks="key.never_echoed",
        places="items tenant",
    ),
    fault(
        "key-tail-echoed",
        "A refusal repeats the key without its prefix.",
        refusals(_tail_quoted),
        checks="key.never_echoed",
        places="items tenant",
    ),
    fault(
        "key-echoed-in-stream",
        "A comment in a stream carries the key.",
        answering(streamed, _in_stream),
        checks="key.never_echoed",
        places="items tenant",
    ),
    fault(
        "key-echoed-in-header",
        "Answers carry the key in a header.",
        answering(MODELS, _in_header),
        checks="key.never_echoed",
        places="items tenant",
    ),
)
