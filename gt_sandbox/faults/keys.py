"""Faults of keys: what a key opens that it must not, what it tells, and what a rotation leaves behind."""

import json
from collections.abc import Callable, Mapping
from typing import Any

from starlette.types import Scope

from gt_sandbox.accounts import OTHER_TENANT
from gt_sandbox.alterations import TenantFile
from gt_sandbox.faults._fault import fault
from gt_sandbox.faults._parts import ALIAS, act_as_owner, model_entry
from gt_sandbox.faults.authentication import use_key_where, variable_of
from gt_sandbox.middleware import (
    CHAT,
    CONVERSATION_FILES,
    CONVERSATION_HEADER,
    CONVERSATIONS,
    EMBEDDINGS,
    IMAGES,
    MODELS,
    SPEECH,
    TRANSCRIPTIONS,
    MiddlewareFactory,
    Predicate,
    Request,
    Response,
    Secrets,
    change_refusals,
    change_requests,
    change_responses,
    change_scopes,
    change_successes,
    change_vectors,
    combine,
    error_response,
    is_dataset_upload,
    is_live,
    is_stream,
    json_response,
    refuse,
    use_key,
    with_request_header,
    with_secrets,
)

_LEFT_BEHIND, _SAID_THERE = "conv_left_behind", "cobalt-5108"
"""A conversation of the key ``gone`` from before it was revoked, and the code word that was said in it."""


def _is_dead(request: Request, secrets: Secrets) -> bool:
    """Whether the key is one of the tenant's that works no more."""
    return variable_of(request, secrets) not in {"", OTHER_TENANT} and not is_live(request, secrets)


def _grant(wanted: Predicate, key: str, *to: str) -> MiddlewareFactory:
    """These keys may use a route as another key does; every live key if none is named."""
    return use_key_where(lambda request, secrets: wanted(request) and is_live(request, secrets, *to), key)


def _key_for_revoked(request: Request, secrets: Secrets) -> str | None:
    return "CHAT" if variable_of(request, secrets).endswith("_GONE") else None


def _is_of_other_tenant(request: Request, secrets: Secrets) -> bool:
    return variable_of(request, secrets) == OTHER_TENANT


def _key_of_retired(request: Request, secrets: Secrets) -> str | None:
    """The key whose old secret this is."""
    name = variable_of(request, secrets)
    return name.removeprefix("GT_EMBEDDED_").removesuffix("_OLD") if name.endswith("_OLD") else None


def _at_unversioned(request: Request) -> bool:
    return "/v1/" not in request.path


def _retired_works(wanted: Predicate) -> MiddlewareFactory:
    """The old secret is still let in where the predicate holds."""
    return use_key(lambda request, secrets: _key_of_retired(request, secrets) if wanted(request) else None)


def _embed_rotated(change: Callable[[list[float]], list[float]]) -> MiddlewareFactory:
    """Change the vectors that the key ``rag``, which was rotated, and the one linked to it get."""

    def make(secrets: Secrets) -> MiddlewareFactory:
        return change_vectors(
            lambda request: EMBEDDINGS(request) and is_live(request, secrets, "RAG", "APP"),
            lambda vectors: [change(vector) for vector in vectors],
        )

    return with_secrets(make)


def _refuse_key(wanted: Predicate, *keys: str) -> MiddlewareFactory:
    """These keys are refused a route."""
    refusal = error_response(403, "This key lacks the scope.")
    return with_secrets(lambda secrets: refuse(lambda asked: wanted(asked) and is_live(asked, secrets, *keys), refusal))


def _names_conversation_left_behind(request: Request) -> bool:
    return CHAT(request) and request.header(CONVERSATION_HEADER) == _LEFT_BEHIND


def _recall_conversation_left_behind(body: bytes) -> bytes:
    """Put what was said in the conversation of the revoked key before what is said now."""
    fields = json.loads(body)
    said = {"role": "user", "content": f"Remember: the code word is {_SAID_THERE}."}
    return json.dumps({**fields, "messages": [said, *fields["messages"]]}).encode()


def _leave_conversation(scope: Scope, request: Request) -> Scope:
    return with_request_header(scope, CONVERSATION_HEADER, None) if _names_conversation_left_behind(request) else scope


def _with_conversation_left_behind(document: Mapping[str, Any]) -> Mapping[str, Any]:
    """A tenant file that names the conversation of its revoked key."""
    return _with_key(document, "gone", conversation={"id": _LEFT_BEHIND, "fact": _SAID_THERE})


def _with_key(document: Mapping[str, Any], name: str, **facts: object) -> Mapping[str, Any]:
    """A tenant file that says more of a key."""
    return {**document, "keys": {**document["keys"], name: {**document["keys"][name], **facts}}}


def _list_models(*names: str, to: tuple[str, ...]) -> MiddlewareFactory:
    """Show these keys a model list of these names."""
    listing = json_response(200, {"object": "list", "data": [model_entry(name) for name in names]})
    return with_secrets(
        lambda secrets: change_successes(
            lambda request: MODELS(request) and request.secret in {secrets[f"GT_EMBEDDED_{key}"] for key in to},
            lambda _: listing,
        )
    )


def _echo_key(request: Request, response: Response) -> Response:
    if response.status != 403:
        return response
    return error_response(403, f"The key {request.secret} has no such scope.")


def _echo_tail(request: Request, response: Response) -> Response:
    if response.status != 404:
        return response
    return error_response(404, f"No such route for the key {request.secret[5:]}.")


def _echo_in_header(request: Request, response: Response) -> Response:
    return response.with_header("x-authenticated-by", request.secret or None)


def _echo_in_stream(request: Request, response: Response) -> Response:
    if not response.succeeded:
        return response
    return response.with_body(f": {request.secret}\n\n".encode() + response.body)


def _with_linked_keys_of_partner(document: TenantFile) -> TenantFile:
    """The keys that PARTNER is linked to are declared too, its upload key without the right that it has."""
    alias, dataset = "desk-assistant", "partner-briefs"
    chat = {"purpose": "inference", "scopes": ["inference:chat"], "models": [alias]}
    upload = {"purpose": "upload", "scopes": ["datasets:write"], "datasets": [dataset], "conversation_uploads": False}
    keys = {
        **document["keys"],
        "partner-chat": {"secret_env": "GT_EMBEDDED_PARTNER_CHAT", **chat},
        "partner-upload": {"secret_env": "GT_EMBEDDED_PARTNER_UPLOAD", **upload},
        "partner": {
            "secret_env": "GT_EMBEDDED_PARTNER",
            "purpose": "conversation",
            "inherits": ["partner-chat", "partner-upload"],
        },
    }
    return {**document, "keys": keys}


def _let_other_tenant_in(wanted: Predicate) -> MiddlewareFactory:
    return use_key_where(lambda request, secrets: wanted(request) and _is_of_other_tenant(request, secrets), "FULL")


FAULTS = (
    fault(
        "conversation-uploads-of-upload-keys-without-the-right",
        "An upload key without the right uploads into conversations all the same; its dataset is another one.",
        tenant_file=_with_linked_keys_of_partner,
        caught_by="key.scope_enforced",
        breaks=("U2",),
    ),
    fault(
        "dead-keys-work",
        "The tenant's cache of keys holds revoked keys and retired secrets for ever.",
        use_key(lambda request, secrets: "FULL" if _is_dead(request, secrets) else None),
        caught_by="key.revocation",
        breaks=("K19", "K22"),
    ),
    fault(
        "revoked-keys-work",
        "A revoked key still works.",
        use_key(_key_for_revoked),
        caught_by="key.revocation",
        breaks=("K22",),
    ),
    fault(
        "revoked-keys-list-models",
        "A revoked key still lists models, from a cache.",
        use_key(lambda request, secrets: _key_for_revoked(request, secrets) if MODELS(request) else None),
        caught_by="key.revocation",
        breaks=("K22",),
    ),
    fault(
        "key-echoed",
        "A refusal repeats the key that was presented.",
        change_refusals(_echo_key),
        caught_by="key.never_echoed",
        breaks=("A4",),
    ),
    fault(
        "key-tail-echoed",
        "A refusal repeats the key without its prefix.",
        change_refusals(_echo_tail),
        caught_by="key.never_echoed",
        breaks=("A4",),
    ),
    fault(
        "key-echoed-in-stream",
        "A comment in a stream carries the key.",
        change_responses(is_stream, _echo_in_stream),
        caught_by="key.never_echoed",
        breaks=("A4",),
    ),
    fault(
        "key-echoed-in-header",
        "Answers carry the key in a header.",
        change_responses(MODELS, _echo_in_header),
        caught_by="key.never_echoed",
        breaks=("A4",),
    ),
    fault(
        "chat-open-to-upload-keys",
        "Chat takes keys that have no inference scope.",
        _grant(CHAT, "RAG", "UPLOAD"),
        caught_by="key.scope_enforced",
        breaks=("A5", "K11"),
    ),
    fault(
        "conversations-open-without-the-name",
        "Keys that are not allowed the model may open conversations with it.",
        _grant(CONVERSATIONS, "APP", "UPLOAD", "PARTNER"),
        caught_by="key.scope_enforced",
        breaks=("M5",),
    ),
    fault(
        "unversioned-dataset-uploads-open-to-chat-keys",
        "By the un-versioned address uploads to datasets take keys without datasets:write.",
        use_key(
            lambda request, secrets: (
                "UPLOAD"
                if is_dataset_upload(request) and _at_unversioned(request) and is_live(request, secrets, "CHAT", "RAG")
                else None
            )
        ),
        caught_by="key.scope_enforced",
        breaks=("K16", "A2"),
    ),
    fault(
        "embeddings-open-to-chat-keys",
        "Embeddings take keys without inference:embed.",
        _grant(EMBEDDINGS, "RAG", "CHAT", "CURSOR", "MANUS"),
        caught_by="key.least_privilege",
        breaks=("A5", "K12"),
    ),
    fault(
        "transcriptions-open-to-chat-keys",
        "Transcription takes keys without inference:transcribe.",
        _grant(TRANSCRIPTIONS, "FULL", "CHAT", "RAG", "APP", "CURSOR", "MANUS"),
        caught_by="key.scope_enforced",
        breaks=("A5", "K13"),
    ),
    fault(
        "speech-open-to-chat-keys",
        "Speech takes keys without inference:speech.",
        _grant(SPEECH, "FULL", "CHAT", "RAG", "APP", "CURSOR", "MANUS"),
        caught_by="key.scope_enforced",
        breaks=("A5", "K14"),
    ),
    fault(
        "images-open-to-chat-keys",
        "Image generation takes keys without inference:image.",
        _grant(IMAGES, "FULL", "CHAT", "RAG", "APP", "CURSOR", "MANUS"),
        caught_by="key.least_privilege",
        breaks=("A5", "K15"),
    ),
    fault(
        "images-open-to-two-keys",
        "Two keys have the scope inference:image, which their clients do not need.",
        _grant(IMAGES, "FULL", "CURSOR", "MANUS"),
        caught_by="route.refused",
        breaks=("A5", "K15"),
    ),
    fault(
        "datasets-open-to-all-keys",
        "Every key may upload to the dataset.",
        _grant(
            lambda request: request.path.endswith("/datasets/scratch-briefs/files"),
            "UPLOAD",
            *("CHAT", "CURSOR", "FULL", "MANUS", "PARTNER", "RAG"),
        ),
        caught_by="key.scope_enforced",
        breaks=("A5", "K16"),
    ),
    fault(
        "every-dataset-open-to-upload-keys",
        "A key with datasets:write may upload to datasets that are not on its allowlist.",
        _grant(lambda request: request.path.endswith("/datasets/partner-briefs/files"), "PARTNER", "UPLOAD", "APP"),
        caught_by="dataset.not_allowlisted_refused",
        breaks=("K17",),
    ),
    fault(
        "conversations-of-others-open",
        "Every key may upload to every conversation.",
        act_as_owner(lambda request: request.header(CONVERSATION_HEADER) if CONVERSATION_FILES(request) else ""),
        caught_by="upload.needs_conversation",
        breaks=("A8", "U2"),
    ),
    fault(
        "retired-secrets-work",
        "The secret from before a rotation still works.",
        use_key(_key_of_retired),
        caught_by="key.rotation",
        breaks=("K19",),
    ),
    fault(
        "retired-secrets-embed",
        "The secret from before a rotation still embeds, from a cache.",
        use_key(lambda request, secrets: _key_of_retired(request, secrets) if EMBEDDINGS(request) else None),
        caught_by="embeddings.after_rotation",
        breaks=("K19",),
    ),
    fault(
        "retired-secrets-draw",
        "Image generation takes the secret from before a rotation, whatever the key may do.",
        use_key_where(lambda request, secrets: IMAGES(request) and bool(_key_of_retired(request, secrets)), "FULL"),
        caught_by="key.rotation",
        breaks=("K19",),
    ),
    fault(
        "retired-secrets-upload",
        "Uploads to datasets take the secret from before a rotation, whatever the key may do.",
        use_key_where(
            lambda request, secrets: is_dataset_upload(request) and bool(_key_of_retired(request, secrets)), "UPLOAD"
        ),
        caught_by="key.rotation",
        breaks=("K19",),
    ),
    fault(
        "retired-secrets-draw-unversioned",
        "By the un-versioned path the secret from before a rotation still draws images.",
        use_key_where(
            lambda request, secrets: (
                IMAGES(request) and _at_unversioned(request) and bool(_key_of_retired(request, secrets))
            ),
            "FULL",
        ),
        caught_by="key.rotation",
        breaks=("K19", "A2"),
    ),
    fault(
        "revoked-keys-speak-unversioned",
        "By the un-versioned path a revoked key still speaks.",
        use_key_where(
            lambda request, secrets: (
                SPEECH(request) and _at_unversioned(request) and bool(_key_for_revoked(request, secrets))
            ),
            "FULL",
        ),
        caught_by="key.revocation",
        breaks=("K22", "A2"),
    ),
    fault(
        "retired-secrets-work-unversioned",
        "The secret from before a rotation still works by the un-versioned paths.",
        _retired_works(_at_unversioned),
        caught_by="key.rotation",
        breaks=("K19", "A2"),
    ),
    fault(
        "retired-secrets-stream",
        "The secret from before a rotation still works for streamed chats.",
        _retired_works(is_stream),
        caught_by="key.rotation",
        breaks=("K19",),
    ),
    fault(
        "rotated-keys-embed-by-another-model",
        "A rotated key embeds to vectors of the same length that mean something else.",
        _embed_rotated(lambda vector: vector[::-1]),
        caught_by="embeddings.after_rotation",
        breaks=("K21",),
    ),
    fault(
        "rotated-keys-embed-shorter",
        "A rotated key embeds to shorter vectors than before.",
        _embed_rotated(lambda vector: vector[:32]),
        caught_by="embeddings.after_rotation",
        breaks=("K21",),
    ),
    fault(
        "presets-grant-too-little",
        "A key that was made from the preset for editors may not chat.",
        _refuse_key(CHAT, "MANUS"),
        caught_by="key.scope_enforced",
        breaks=("K25",),
        tenant_file=lambda document: _with_key(document, "manus", preset="agentic-editor"),
    ),
    fault(
        "lists-closed-to-keys-of-few-scopes",
        "A key that lacks some scope is refused the model list, and chats all the same.",
        combine(*(_refuse_key(MODELS, key) for key in ("CHAT", "RAG", "CURSOR", "MANUS", "APP"))),
        caught_by="models.contains_alias",
        breaks=("K1", "M2"),
    ),
    fault(
        "keys-of-other-tenants-taken",
        "A key of another tenant works here as well.",
        use_key_where(_is_of_other_tenant, "FULL"),
        caught_by="key.required",
        breaks=("A3",),
    ),
    *(
        fault(
            f"keys-of-other-tenants-{name}",
            f"A key of another tenant {description}, which another service does.",
            _let_other_tenant_in(wanted),
            caught_by="key.required",
            breaks=("A3",),
        )
        for name, description, wanted in (
            ("list-models", "gets the list of models", MODELS),
            ("transcribe", "may have audio transcribed", TRANSCRIPTIONS),
        )
    ),
    fault(
        "keys-of-other-tenants-write-datasets",
        "A key of another tenant may upload to datasets, which another service takes.",
        use_key_where(
            lambda request, secrets: is_dataset_upload(request) and _is_of_other_tenant(request, secrets), "UPLOAD"
        ),
        caught_by="key.required",
        breaks=("A3",),
    ),
    fault(
        "conversations-of-revoked-keys-open",
        "What was said in a conversation reaches other keys once its own key is revoked.",
        combine(
            change_requests(_names_conversation_left_behind, _recall_conversation_left_behind),
            change_scopes(_leave_conversation),
        ),
        caught_by="key.revocation",
        breaks=("A9", "K22"),
        tenant_file=_with_conversation_left_behind,
    ),
    fault(
        "rotated-keys-lose-names",
        "A rotated key no longer sees its names.",
        _list_models("desk-assistant", to=("CHAT", "RAG", "CURSOR", "MANUS")),
        caught_by="key.rotation",
        breaks=("K20",),
    ),
    fault(
        "rotation-empties-other-lists",
        "After a rotation other keys see the names of the rotated one.",
        _list_models(ALIAS, to=("FULL", "PARTNER")),
        caught_by="key.isolation",
        breaks=("K23", "M1"),
    ),
)
