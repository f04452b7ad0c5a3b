"""Faults of what chats are given of uploaded files: too little of them, or the files of others."""

import json
import re
from collections.abc import Callable
from dataclasses import replace

from gt_sandbox.faults._fault import fault
from gt_sandbox.middleware import (
    CHAT,
    CONVERSATION_FILES,
    CONVERSATION_HEADER,
    STATEMENT,
    Call,
    MiddlewareFactory,
    Predicate,
    Request,
    Secrets,
    change_requests,
    has_file,
    hide_statements,
    is_any,
    is_dataset_upload,
    is_live,
    is_upload,
    per_call,
    replay_body,
    with_request_header,
    with_secrets,
)


def _state_another_fact(_: Secrets) -> MiddlewareFactory:
    """What every file states becomes what the first one stated: the index gives the passage of another file."""
    first: list[bytes] = []

    def change(body: bytes) -> bytes:
        first.extend(STATEMENT.findall(body))
        return STATEMENT.sub(first[0], body) if first else body

    return change_requests(is_upload, change)


def _part_of_texts(kept: Callable[[bytes], bytes]) -> MiddlewareFactory:
    """Of an uploaded text only a part is indexed."""

    def change(body: bytes) -> bytes:
        head, empty, rest = body.partition(b"\r\n\r\n")
        content, end, tail = rest.partition(b"\r\n--")
        return head + empty + kept(content) + end + tail

    return change_requests(has_file(".txt"), change)


def _as_latin_1(body: bytes) -> bytes:
    return body.decode("latin-1").encode()


_PASSAGE = 2_000


def _say_uploaded(to: Predicate, *, of_anybody: bool) -> Callable[[Secrets], MiddlewareFactory]:
    """What a key uploads into its conversations, or anybody into theirs, is put before these chats."""

    def make(_: Secrets) -> MiddlewareFactory:
        said: dict[str, list[str]] = {}

        async def say(call: Call) -> None:
            request = call.request
            reader = "" if of_anybody else request.secret
            if CONVERSATION_FILES(request):
                response = await call.response()
                if response.succeeded:
                    stated = [one.decode() for one in _SENTENCE.findall(request.body)]
                    said.setdefault(reader, []).extend(stated)
                await call.respond(response)
            elif CHAT(request) and to(request) and reader in said:
                before = [{"role": "system", "content": " ".join(said[reader])}]
                body = json.dumps({**request.fields, "messages": [*before, *request.messages]}).encode()
                scope = with_request_header(call.scope, "content-length", str(len(body)))
                await replace(call, receive=replay_body(body, call.receive)).forward(scope)
            else:
                await call.forward()

        return per_call(say)

    return make


def _in_conversation(request: Request) -> bool:
    return bool(request.header(CONVERSATION_HEADER))


_SENTENCE = re.compile(rb"The [^.\n]+ is called [^.\n]+\.")


FAULTS = (
    fault(
        "conversation-files-not-indexed",
        "What is uploaded into a conversation is stored, and its chats are not given it.",
        hide_statements(CONVERSATION_FILES),
        caught_by="upload.conversation_known",
        breaks=("U4",),
    ),
    fault(
        "conversation-files-of-linked-keys-not-indexed",
        "What a linked upload key uploads into a conversation is set to ready, and its chats are not given it.",
        with_secrets(
            lambda secrets: hide_statements(
                lambda request: CONVERSATION_FILES(request) and is_live(request, secrets, "UPLOAD")
            )
        ),
        caught_by="upload.conversation_known",
        breaks=("U4",),
    ),
    fault(
        "dataset-files-not-indexed",
        "What is uploaded into a dataset is stored, and is in no corpus.",
        hide_statements(is_dataset_upload),
        caught_by="upload.dataset_known",
        breaks=("U7",),
    ),
    fault(
        "conversation-files-read-as-latin-1",
        "The UTF-8 of a text that is uploaded into a conversation is taken for Latin-1.",
        change_requests(lambda request: CONVERSATION_FILES(request) and has_file(".txt")(request), _as_latin_1),
        caught_by="upload.conversation_known",
        breaks=("U4",),
    ),
    fault(
        "dataset-files-in-ascii",
        "Of a text that is uploaded into a dataset each letter beyond ASCII becomes question marks.",
        change_requests(
            lambda request: is_dataset_upload(request) and has_file(".txt")(request),
            lambda body: bytes(one if one < 128 else ord("?") for one in body),
        ),
        caught_by="upload.dataset_known",
        breaks=("U7",),
    ),
    fault(
        "dataset-files-of-conversation-keys-not-indexed",
        "What a conversation key uploads into a dataset is set to ready, and no chat finds it.",
        with_secrets(
            lambda secrets: hide_statements(
                lambda request: is_dataset_upload(request) and is_live(request, secrets, "APP")
            )
        ),
        caught_by="upload.dataset_known",
        breaks=("U7",),
    ),
    fault(
        "beginnings-of-files-indexed",
        "Of an uploaded text only the first passage is indexed.",
        _part_of_texts(lambda text: text[:_PASSAGE]),
        caught_by="upload.conversation_known",
        breaks=("U4",),
    ),
    fault(
        "ends-of-files-indexed",
        "Of an uploaded text only the last passage is indexed: each overwrites the one before.",
        _part_of_texts(lambda text: text[-_PASSAGE:]),
        caught_by="upload.conversation_known",
        breaks=("U4",),
    ),
    fault(
        "pdfs-not-indexed",
        "A PDF becomes ready, and its text is in no corpus.",
        hide_statements(has_file(".pdf")),
        caught_by="upload.dataset_known",
        breaks=("U7",),
    ),
    fault(
        "conversation-files-known-without-it",
        "What a key uploads into a conversation is known to its chats that name no conversation.",
        with_secrets(_say_uploaded(lambda request: not _in_conversation(request), of_anybody=False)),
        caught_by="upload.dataset_known",
        breaks=("A8",),
    ),
    fault(
        "conversation-files-known-to-everybody",
        "What is uploaded into a conversation is known to every chat.",
        with_secrets(_say_uploaded(is_any, of_anybody=True)),
        caught_by="upload.needs_conversation",
        breaks=("A8",),
    ),
    fault(
        "conversation-files-known-in-every-conversation",
        "What is uploaded into a conversation is known to every conversation, whosever it is, and to no other chat.",
        with_secrets(_say_uploaded(_in_conversation, of_anybody=True)),
        caught_by="upload.needs_conversation",
        breaks=("A8",),
    ),
    fault(
        "uploads-mixed-up",
        "Chats that search an uploaded file are given what another file states.",
        with_secrets(_state_another_fact),
        caught_by="upload.conversation_known",
        breaks=("U4",),
    ),
)
