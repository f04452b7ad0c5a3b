"""Faults of the boundary that show by one address, at one surface or in a stream alone."""

import json
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from itertools import count
from typing import Any

from starlette.types import Scope

from gt_sandbox.faults._fault import fault
from gt_sandbox.faults._parts import ALIAS, INTERNAL, PROVIDER, act_as_owner, use_last_conversation
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
    Call,
    MiddlewareFactory,
    Predicate,
    Request,
    Secrets,
    change_choice,
    change_json,
    change_requests,
    change_scopes,
    error_response,
    is_dataset_upload,
    is_file_state,
    is_live,
    is_stream,
    per_call,
    replay_body,
    reroute,
    respond_with,
    use_key,
    with_bearer,
    with_request_header,
    with_secrets,
)

_INFERENCE = (CHAT, EMBEDDINGS, TRANSCRIPTIONS, SPEECH, IMAGES)


def _is_unversioned(request: Request) -> bool:
    return "/v1/" not in request.path


def _chats_in_conversation_unversioned(request: Request) -> bool:
    return CHAT(request) and _is_unversioned(request) and bool(request.header(CONVERSATION_HEADER))


@change_choice
def _say_nothing(choice: Any) -> None:
    choice["message"].update(content="")


def _answer_in_refusals(secrets: Secrets) -> MiddlewareFactory:
    """A request that no key lets in is answered all the same, under the status of its refusal."""

    async def answer(call: Call) -> None:
        if not CHAT(call.request) or is_stream(call.request):
            await call.forward()
            return
        refused = await replace(call, receive=replay_body(call.request.body, call.receive)).response()
        if refused.status != _UNAUTHORIZED:
            await call.respond(refused)
            return
        answered = await call.response(with_bearer(call.scope, secrets["GT_EMBEDDED_FULL"]))
        await call.respond(replace(answered, status=refused.status))

    return per_call(answer)


_UNAUTHORIZED = 401


def _embeds_with_a_key(kind: type, request: Request, secrets: Secrets) -> bool:
    """Whether a live key embeds a text alone, or lists of token ids."""
    given = request.fields.get("input")
    if kind is list:
        given = given[0] if isinstance(given, list) and given else None
    return EMBEDDINGS(request) and isinstance(given, kind) and is_live(request, secrets)


def _take_as(key: str, wanted: Callable[[Request, Secrets], bool]) -> MiddlewareFactory:
    """Take some requests as if this key had sent them."""
    return use_key(lambda request, secrets: key if wanted(request, secrets) else None)


def _take_refused_as(key: str, wanted: Predicate) -> MiddlewareFactory:
    """What lacks a scope is taken as if this key had sent it; who may ask keeps to the names that it is allowed."""

    def make(secrets: Secrets) -> MiddlewareFactory:
        async def take(call: Call) -> None:
            if not wanted(call.request) or not is_live(call.request, secrets):
                await call.forward()
                return
            response = await call.response()
            if response.status == _LACKS_THE_SCOPE:
                again = replace(call, receive=replay_body(call.request.body, call.receive))
                response = await again.response(with_bearer(call.scope, secrets[f"GT_EMBEDDED_{key}"]))
            await call.respond(response)

        return per_call(take)

    return with_secrets(make)


_LACKS_THE_SCOPE = 403


def _has_secret(request: Request, secrets: Secrets, end: str) -> bool:
    return any(name.endswith(end) and secret == request.secret for name, secret in secrets.items())


def _resolve_internal_names(wanted: Predicate) -> MiddlewareFactory:
    """Take an internal name for the published one."""

    def change(body: bytes) -> bytes:
        for name in (INTERNAL, PROVIDER):
            body = body.replace(f'"{name}"'.encode(), f'"{ALIAS}"'.encode())
        return body

    return change_requests(wanted, change)


def _conversation_in_chat(request: Request) -> str:
    return request.header(CONVERSATION_HEADER) if CHAT(request) else ""


def _file_by_id(request: Request) -> str:
    return request.path.rpartition("/")[2] if is_file_state(request) else ""


def _conversation_of_file(request: Request) -> str:
    return request.header(CONVERSATION_HEADER) if CONVERSATION_FILES(request) else ""


def _file_by_alias(request: Request) -> str:
    return request.path.rpartition("/")[2] if "/uploads/" in request.path else ""


def _any_third(change: Callable[[Scope, Request, Secrets], Scope]) -> MiddlewareFactory:
    """One of three instances behind a load balancer takes requests otherwise."""

    def make(secrets: Secrets) -> MiddlewareFactory:
        turn = count(1)
        return change_scopes(lambda scope, request: scope if next(turn) % 3 else change(scope, request, secrets))

    return with_secrets(make)


def _without_keys(scope: Scope, request: Request, secrets: Secrets) -> Scope:
    return scope if is_live(request, secrets) else with_bearer(scope, secrets["GT_EMBEDDED_FULL"])


def _with_dead_keys(scope: Scope, request: Request, secrets: Secrets) -> Scope:
    is_dead = _has_secret(request, secrets, "_OLD") or _has_secret(request, secrets, "_GONE")
    return with_bearer(scope, secrets["GT_EMBEDDED_CHAT"]) if is_dead else scope


def _without_scopes(scope: Scope, request: Request, secrets: Secrets) -> Scope:
    is_open = EMBEDDINGS(request) or SPEECH(request) or IMAGES(request) or CHAT(request)
    named = bool(request.header(CONVERSATION_HEADER))
    return with_bearer(scope, secrets["GT_EMBEDDED_FULL"]) if is_open and not named else scope


def _conversation_unversioned(request: Request) -> str:
    return _conversation_in_chat(request) if _is_unversioned(request) else ""


def _file_unversioned(request: Request) -> str:
    is_state = _is_unversioned(request) and ("/files/" in request.path or "/uploads/" in request.path)
    return request.path.rpartition("/")[2] if is_state else ""


def _opens_unversioned(request: Request) -> bool:
    return _is_unversioned(request) and CONVERSATIONS(request)


def _uploads_unversioned(request: Request) -> bool:
    return _is_unversioned(request) and is_dataset_upload(request)


def _conversation_uploaded_to(request: Request) -> str:
    is_upload = _is_unversioned(request) and CONVERSATION_FILES(request)
    return request.header(CONVERSATION_HEADER) if is_upload else ""


def _without_conversation(scope: Scope, request: Request) -> Scope:
    is_chat = _is_unversioned(request) and CHAT(request)
    return with_request_header(scope, CONVERSATION_HEADER, None) if is_chat else scope


def _conversation_in_body(request: Request) -> str:
    return str(request.fields.get("conversation_id", ""))


def _by_id_alone(
    wanted: Predicate, named: Callable[[Request], str] = lambda request: request.header(CONVERSATION_HEADER)
) -> MiddlewareFactory:
    """A chat goes on in whatever conversation it names, by a name that its own key may use."""

    def make(secrets: Secrets) -> MiddlewareFactory:
        opened: dict[str, tuple[str, str]] = {}

        async def find(call: Call) -> None:
            request = call.request
            if CONVERSATIONS(request):
                response = await call.response()
                if response.succeeded:
                    opened[response.json["id"]] = (request.header("authorization"), request.fields["model"])
                await call.respond(response)
                return
            own = "desk-assistant" if is_live(request, secrets, "PARTNER") else ALIAS
            found = opened.get(named(request)) if CHAT(request) and wanted(request) else None
            if found is None or request.fields.get("model") != own or not is_live(request, secrets, *_CHATTING):
                await call.forward()
                return
            owner, name = found
            body = json.dumps({**request.fields, "model": name}).encode()
            scope = with_request_header(call.scope, "authorization", owner)
            scope = with_request_header(scope, CONVERSATION_HEADER, named(request))
            scope = with_request_header(scope, "content-length", str(len(body)))
            await replace(call, receive=replay_body(body, call.receive)).forward(scope)

        return per_call(find)

    return with_secrets(make)


_CHATTING = ("APP", "PARTNER", "CHAT", "RAG", "FULL")


def _as_owner_with(secret_of: Callable[[Request, Secrets], bool]) -> MiddlewareFactory:
    """Who names a conversation in a chat by the un-versioned path is taken for its owner, with such a key."""

    def make(secrets: Secrets) -> MiddlewareFactory:
        owners: dict[str, str] = {}

        async def take(call: Call) -> None:
            request = call.request
            owner = owners.get(_conversation_unversioned(request))
            if CONVERSATIONS(request):
                response = await call.response()
                if response.succeeded:
                    owners[response.json["id"]] = request.header("authorization")
                await call.respond(response)
            elif owner is not None and secret_of(request, secrets):
                await call.forward(with_request_header(call.scope, "authorization", owner))
            else:
                await call.forward()

        return per_call(take)

    return with_secrets(make)


FAULTS = (
    fault(
        "streams-find-conversations-by-id-alone",
        "A streamed chat goes on in whatever conversation it names, by a name that its own key may use.",
        _by_id_alone(is_stream),
        caught_by="conversation.isolated",
        breaks=("A9",),
    ),
    fault(
        "conversations-in-bodies-found-by-id-alone",
        "A chat goes on in the conversation that its body names, whoever opened that.",
        _by_id_alone(lambda _: True, _conversation_in_body),
        caught_by="conversation.isolated",
        breaks=("A9",),
    ),
    fault(
        "unversioned-chats-find-conversations-by-id-alone",
        "By the un-versioned path a chat goes on in whatever conversation it names, by a name that its key may use.",
        _by_id_alone(_is_unversioned),
        caught_by="conversation.isolated",
        breaks=("A2", "A9"),
    ),
    fault(
        "revoked-keys-chat-in-conversations-unversioned",
        "By the un-versioned path who names a conversation is taken for its owner, with a revoked key as well.",
        _as_owner_with(lambda request, secrets: _has_secret(request, secrets, "_GONE")),
        caught_by="key.revocation",
        breaks=("K22", "A2"),
    ),
    fault(
        "unknown-keys-chat-in-conversations-unversioned",
        "By the un-versioned path who names a conversation is taken for its owner, whatever the key.",
        _as_owner_with(lambda request, secrets: bool(request.secret) and request.secret not in secrets.values()),
        caught_by="key.required",
        breaks=("A1", "A2"),
    ),
    fault(
        "retired-secrets-upload-unversioned",
        "By the un-versioned path uploads to datasets take the secret from before a rotation.",
        _take_as(
            "UPLOAD", lambda request, secrets: _uploads_unversioned(request) and _has_secret(request, secrets, "_OLD")
        ),
        caught_by="key.rotation",
        breaks=("K19", "A2"),
    ),
    fault(
        "the-retired-secret-of-one-key-streams-unversioned",
        "By the un-versioned path the secret that one key had before a rotation still streams.",
        _take_as(
            "CURSOR",
            lambda request, secrets: (
                is_stream(request) and _is_unversioned(request) and request.secret == secrets["GT_EMBEDDED_CURSOR_OLD"]
            ),
        ),
        caught_by="key.rotation",
        breaks=("K19", "A2"),
    ),
    fault(
        "the-retired-secret-of-one-key-lists-names",
        "The model list takes the secret that one key had before a rotation.",
        _take_as(
            "MANUS",
            lambda request, secrets: MODELS(request) and request.secret == secrets["GT_EMBEDDED_MANUS_OLD"],
        ),
        caught_by="key.rotation",
        breaks=("K19",),
    ),
    fault(
        "revoked-keys-open-conversations-unversioned",
        "By the un-versioned path a revoked key still opens conversations.",
        _take_as(
            "APP", lambda request, secrets: _opens_unversioned(request) and _has_secret(request, secrets, "_GONE")
        ),
        caught_by="key.revocation",
        breaks=("K22", "A2"),
    ),
    fault(
        "conversations-open-without-the-name-unversioned",
        "By the un-versioned path keys that are not allowed the model may open conversations with it.",
        _take_as("APP", lambda request, secrets: _opens_unversioned(request) and is_live(request, secrets)),
        caught_by="key.scope_enforced",
        breaks=("M5", "A2"),
    ),
    fault(
        "conversation-files-open-to-chat-keys-unversioned",
        "By the un-versioned path keys of chats may upload into conversations.",
        act_as_owner(_conversation_uploaded_to, "CHAT", "CURSOR", "FULL", "MANUS"),
        caught_by="key.scope_enforced",
        breaks=("U2", "A2"),
    ),
    fault(
        "conversations-of-others-take-files-unversioned",
        "By the un-versioned path a conversation key may upload into another key's conversation.",
        act_as_owner(_conversation_uploaded_to, "APP", "PARTNER"),
        caught_by="upload.needs_conversation",
        breaks=("A8", "A2"),
    ),
    fault(
        "every-dataset-open-unversioned",
        "By the un-versioned path an upload key may upload to datasets that are not on its allowlist.",
        _take_as(
            "PARTNER",
            lambda request, secrets: (
                _uploads_unversioned(request)
                and "/partner-briefs/" in request.path
                and is_live(request, secrets, "UPLOAD")
            ),
        ),
        caught_by="dataset.not_allowlisted_refused",
        breaks=("K17", "A2"),
    ),
    fault(
        "every-dataset-open-to-a-conversation-key",
        "A conversation key, whose linked upload key has another dataset, may upload to any.",
        _take_as(
            "UPLOAD",
            lambda request, secrets: (
                is_dataset_upload(request)
                and "/scratch-briefs/" in request.path
                and is_live(request, secrets, "PARTNER")
            ),
        ),
        caught_by="dataset.not_allowlisted_refused",
        breaks=("K17",),
    ),
    fault(
        "datasets-matched-by-their-beginning",
        "A dataset whose name begins as one on the key's allowlist takes its uploads as well.",
        reroute(
            lambda request: (
                request.path.replace("/scratch-briefs-archive/", "/scratch-briefs/")
                if is_dataset_upload(request)
                else None
            )
        ),
        caught_by="dataset.not_allowlisted_refused",
        breaks=("K17",),
        tenant_file=lambda document: {**document, "other_datasets": ["partner-briefs", "scratch-briefs-archive"]},
    ),
    fault(
        "unversioned-chats-ignore-conversations",
        "By the un-versioned path, which clients call, a chat does not go on in the conversation that it names.",
        change_scopes(_without_conversation),
        caught_by="conversation.continuity",
        breaks=("C5", "A2"),
    ),
    fault(
        "unversioned-streams-ignore-conversations",
        "By the un-versioned path a streamed chat does not go on in the conversation that it names.",
        change_scopes(lambda scope, request: _without_conversation(scope, request) if is_stream(request) else scope),
        caught_by="conversation.continuity",
        breaks=("C6", "A2"),
    ),
    fault(
        "unversioned-chats-go-on-without-being-asked",
        "By the un-versioned path a chat that names no conversation goes on in the one that its key opened last.",
        use_last_conversation(
            lambda request: CHAT(request) and _is_unversioned(request), if_named=lambda name: not name
        ),
        caught_by="conversation.continuity",
        breaks=("C3", "A2"),
    ),
    fault(
        "unversioned-conversations-say-nothing",
        "By the un-versioned path chats in a conversation are answered without text.",
        change_json(_chats_in_conversation_unversioned, _say_nothing),
        caught_by="conversation.continuity",
        breaks=("C5", "A2"),
    ),
    fault(
        "unversioned-conversations-refused",
        "By the un-versioned path a chat that names a conversation is refused, to the key that opened it as well.",
        respond_with(_chats_in_conversation_unversioned, error_response(400, "Unknown header.")),
        caught_by="conversation.continuity",
        breaks=("C5", "A2"),
    ),
    fault(
        "unversioned-streams-of-conversations-500",
        "By the un-versioned path a streamed chat that names a conversation fails.",
        respond_with(
            lambda request: _chats_in_conversation_unversioned(request) and is_stream(request),
            error_response(500, "Internal Server Error"),
        ),
        caught_by="conversation.continuity",
        breaks=("C6", "A2"),
    ),
    fault(
        "an-instance-without-keys",
        "One of three instances behind a load balancer asks for no key.",
        _any_third(_without_keys),
        caught_by="key.required",
        breaks=("A1",),
        by_chance=True,
    ),
    fault(
        "an-instance-with-dead-keys",
        "One of three instances behind a load balancer still takes revoked keys and retired secrets.",
        _any_third(_with_dead_keys),
        caught_by="key.revocation",
        breaks=("K19", "K22"),
        by_chance=True,
    ),
    fault(
        "an-instance-without-scopes",
        "One of three instances behind a load balancer does not look at scopes.",
        _any_third(_without_scopes),
        caught_by="key.scope_enforced",
        breaks=("A5",),
        by_chance=True,
    ),
    fault(
        "conversations-of-others-open-unversioned",
        "By the un-versioned path a chat may name another key's conversation.",
        act_as_owner(_conversation_unversioned),
        caught_by="conversation.isolated",
        breaks=("A2", "A9"),
    ),
    fault(
        "file-states-open-unversioned",
        "By the un-versioned paths every key is given the state of any file.",
        act_as_owner(_file_unversioned),
        caught_by="files.isolated",
        breaks=("A2", "F4"),
    ),
    fault(
        "unversioned-open-without-a-key",
        "The un-versioned paths, which clients call, need no key.",
        _take_as("FULL", lambda request, secrets: _is_unversioned(request) and not is_live(request, secrets)),
        caught_by="key.required",
        breaks=("A1", "A2"),
    ),
    fault(
        "unversioned-taken-for-the-app",
        "Whoever comes by the un-versioned paths is taken for the application that the tenant was made for.",
        _take_as("APP", lambda request, _: _is_unversioned(request) and not MODELS(request)),
        caught_by="key.required",
        breaks=("A1", "A2"),
    ),
    fault(
        "scopes-ignored",
        "No route of inference looks at the scopes of a key.",
        _take_refused_as("FULL", lambda request: any(wanted(request) for wanted in _INFERENCE)),
        caught_by="key.scope_enforced",
        breaks=("A5",),
    ),
    fault(
        "unversioned-embeddings-open-to-chat-keys",
        "By the un-versioned path inference keys embed, whichever scopes they have.",
        _take_as(
            "RAG",
            lambda request, secrets: (
                EMBEDDINGS(request)
                and _is_unversioned(request)
                and is_live(request, secrets, "CHAT", "CURSOR", "MANUS")
            ),
        ),
        caught_by="key.scope_enforced",
        breaks=("K12", "A2"),
    ),
    fault(
        "unversioned-images-open-to-conversation-keys",
        "By the un-versioned path conversation keys draw images, whatever they inherit.",
        _take_as(
            "FULL",
            lambda request, secrets: (
                IMAGES(request) and _is_unversioned(request) and is_live(request, secrets, "APP", "PARTNER")
            ),
        ),
        caught_by="key.scope_enforced",
        breaks=("K5", "K15", "A2"),
    ),
    fault(
        "unversioned-transcriptions-open-to-upload-keys",
        "By the un-versioned path upload keys transcribe.",
        _take_as(
            "FULL",
            lambda request, secrets: (
                TRANSCRIPTIONS(request) and _is_unversioned(request) and is_live(request, secrets, "UPLOAD")
            ),
        ),
        caught_by="key.scope_enforced",
        breaks=("K13", "A2"),
    ),
    fault(
        "unversioned-scopes-ignored",
        "The un-versioned paths do not look at the scopes of a key.",
        _take_refused_as("FULL", lambda request: _is_unversioned(request) and not MODELS(request)),
        caught_by="key.scope_enforced",
        breaks=("A2", "A5"),
    ),
    fault(
        "unversioned-takes-internal-names",
        "The un-versioned paths take internal names.",
        _resolve_internal_names(_is_unversioned),
        caught_by="names.unpublished_refused",
        breaks=("A2", "M4"),
    ),
    fault(
        "streamed-chat-ignores-scopes",
        "A streamed chat needs no scope.",
        _take_as("FULL", lambda request, secrets: is_stream(request) and is_live(request, secrets, "UPLOAD")),
        caught_by="key.scope_enforced",
        breaks=("A5", "K11"),
    ),
    fault(
        "chats-with-tools-need-no-scope",
        "A chat that offers tools needs no scope.",
        _take_as(
            "FULL",
            lambda request, secrets: (
                CHAT(request) and "tools" in request.fields and is_live(request, secrets, "UPLOAD")
            ),
        ),
        caught_by="key.scope_enforced",
        breaks=("K11",),
    ),
    fault(
        "refusals-have-answers-in-them",
        "A chat without a key is refused by its status, and answered in its body.",
        with_secrets(_answer_in_refusals),
        caught_by="key.required",
        breaks=("A1",),
    ),
    fault(
        "base64-needs-no-scope",
        "Embeddings as base64 need no scope.",
        _take_as(
            "FULL",
            lambda request, secrets: (
                EMBEDDINGS(request)
                and request.fields.get("encoding_format") == "base64"
                and is_live(request, secrets, "CHAT", "UPLOAD", "CURSOR", "MANUS")
            ),
        ),
        caught_by="key.scope_enforced",
        breaks=("K12",),
    ),
    *(
        fault(
            f"embeddings-of-{name}-need-no-scope",
            f"Embeddings of {what} need no scope.",
            _take_as("FULL", partial(_embeds_with_a_key, kind)),
            caught_by="key.scope_enforced",
            breaks=("K12",),
        )
        for name, what, kind in (
            ("one-text", "a text that is no list", str),
            ("token-ids", "token ids in place of texts", list),
        )
    ),
    fault(
        "chats-with-tools-take-internal-names",
        "A chat that offers tools takes the internal id of an agent.",
        change_requests(
            lambda request: CHAT(request) and "tools" in request.fields,
            lambda body: body.replace(INTERNAL.encode(), ALIAS.encode()),
        ),
        caught_by="names.unpublished_refused",
        breaks=("M4",),
    ),
    fault(
        "retired-secret-still-chats",
        "A retired secret is refused the model list, and still chats.",
        _take_as("FULL", lambda request, secrets: CHAT(request) and _has_secret(request, secrets, "_OLD")),
        caught_by="key.rotation",
        breaks=("K19",),
    ),
    fault(
        "revoked-key-still-embeds",
        "A revoked key is refused everywhere but at embeddings.",
        _take_as("FULL", lambda request, secrets: EMBEDDINGS(request) and _has_secret(request, secrets, "_GONE")),
        caught_by="key.revocation",
        breaks=("K22",),
    ),
    fault(
        "revoked-key-still-chats",
        "A revoked key is refused everywhere but at chats, whole and streamed.",
        _take_as("CHAT", lambda request, secrets: CHAT(request) and _has_secret(request, secrets, "_GONE")),
        caught_by="key.revocation",
        breaks=("K22",),
    ),
    fault(
        "speech-looks-at-no-key",
        "Speech is spoken to whoever asks: with a key that lacks the scope, with a dead one, and with none.",
        use_key(lambda request, _: "FULL" if SPEECH(request) else None),
        caught_by="key.required",
        breaks=("A1", "A5", "K14"),
    ),
    fault(
        "states-of-files-look-at-no-key",
        "The state of a file is returned to whoever asks for its id, with a key or without.",
        act_as_owner(_file_by_id, anybody=True),
        caught_by="key.required",
        breaks=("A1",),
    ),
    fault(
        "conversations-take-files-of-anybody",
        "Whoever names a conversation uploads into it, with a key or without.",
        act_as_owner(_conversation_of_file, anybody=True),
        caught_by="key.required",
        breaks=("A1", "A8", "U2"),
    ),
    fault(
        "conversations-answer-anybody",
        "Whoever names a conversation in a chat reads it and continues it, with a key or without.",
        act_as_owner(_conversation_in_chat, anybody=True),
        caught_by="key.required",
        breaks=("A1", "A9"),
    ),
    fault(
        "conversations-open-to-anybody",
        "A conversation may be opened without a key, and with one that is not allowed the name.",
        use_key(lambda request, _: "APP" if CONVERSATIONS(request) and ALIAS.encode() in request.body else None),
        caught_by="key.required",
        breaks=("A1",),
    ),
    fault(
        "conversations-of-others-answer-chats",
        "A chat may name another key's conversation, reads it and continues it.",
        act_as_owner(_conversation_in_chat),
        caught_by="conversation.isolated",
        breaks=("A9",),
    ),
    fault(
        "file-alias-open-to-others",
        "GET /v1/uploads/{id} tells every key the state of any file.",
        act_as_owner(_file_by_alias),
        caught_by="files.isolated",
        breaks=("F4",),
    ),
)
