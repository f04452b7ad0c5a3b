"""Faults of uploads: who may upload what, and where to; what is stored and what is answered."""

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from gt_sandbox.faults._fault import fault
from gt_sandbox.faults._parts import act_as_owner, use_last_conversation
from gt_sandbox.middleware import (
    CONVERSATION_FILES,
    CONVERSATION_HEADER,
    CONVERSATIONS,
    Call,
    MiddlewareFactory,
    Request,
    Secrets,
    change_json,
    error_response,
    has_file,
    is_dataset_upload,
    is_file_state,
    is_live,
    is_upload,
    json_response,
    per_call,
    refuse,
    replay_body,
    respond_with,
    with_bearer,
    with_request_header,
    with_secrets,
)


def _store_refused(secrets: Secrets) -> MiddlewareFactory:
    """What is refused into the dataset is stored there all the same."""

    async def store(call: Call) -> None:
        response = await call.response()
        if is_dataset_upload(call.request) and response.status in _CLOSED and is_live(call.request, secrets):
            again = replace(call, receive=replay_body(call.request.body, call.receive))
            await again.response(with_bearer(call.scope, secrets["GT_EMBEDDED_UPLOAD"]))
        await call.respond(response)

    return per_call(store)


_CLOSED = frozenset({401, 403, 404})


def _upload_elsewhere(*, refused: bool) -> Callable[[Secrets], MiddlewareFactory]:
    """An upload into a conversation is stored: where it is refused in the one of another key, or else in all of its."""

    def make(_: Secrets) -> MiddlewareFactory:
        owners: dict[str, str] = {}
        stored: list[tuple[str, Call]] = []

        async def put(upload: Call, conversation: str) -> None:
            scope = with_request_header(upload.scope, CONVERSATION_HEADER, conversation)
            again = replace(upload, receive=replay_body(upload.request.body, upload.receive))
            await again.response(with_request_header(scope, "authorization", owners[conversation]))

        async def store(call: Call) -> None:
            request = call.request
            response = await call.response()
            named, key = request.header(CONVERSATION_HEADER), request.header("authorization")
            if CONVERSATIONS(request) and response.succeeded:
                opened = response.json["id"]
                owners[opened] = key
                for owner, upload in stored:
                    if owner == key:
                        await put(upload, opened)
            if CONVERSATION_FILES(request) and refused and not response.succeeded and named in owners:
                await put(call, named)
            if CONVERSATION_FILES(request) and not refused and response.succeeded:
                stored.append((key, call))
                for one in [one for one, owner in owners.items() if one != named and owner == key]:
                    await put(call, one)
            await call.respond(response)

        return per_call(store)

    return make


_CODE = re.compile(rb"(?i)<script|union\s+select|/etc/passwd")


def _has_name_beyond_ascii(request: Request) -> bool:
    return is_upload(request) and not request.body.partition(b"\r\n\r\n")[0].isascii()


def _number_datasets(_: Secrets) -> MiddlewareFactory:
    """Every upload into a conversation is in a dataset of its own, as uploads and states tell."""
    datasets: dict[str, str] = {}

    def change(body: Any) -> None:
        body["dataset_id"] = datasets.setdefault(body["id"], f"ds_{len(datasets)}")

    return change_json(lambda request: CONVERSATION_FILES(request) or is_file_state(request), change)


FAULTS = (
    fault(
        "upload-without-conversation",
        "A conversation upload without X-GT-Conversation-Id is accepted.",
        use_last_conversation(CONVERSATION_FILES, if_named=lambda named: not named),
        caught_by="upload.needs_conversation",
        breaks=("U1",),
        by_chance=True,
    ),
    fault(
        "upload-to-unknown-conversation",
        "A conversation upload under an unknown id is accepted.",
        use_last_conversation(CONVERSATION_FILES, if_named=lambda named: bool(named) and not named.startswith("conv_")),
        caught_by="upload.needs_conversation",
        breaks=("U1",),
    ),
    fault(
        "upload-to-foreign-conversation",
        "A conversation upload into another key's conversation is accepted.",
        act_as_owner(
            lambda request: request.header(CONVERSATION_HEADER) if CONVERSATION_FILES(request) else "", "APP", "PARTNER"
        ),
        caught_by="upload.needs_conversation",
        breaks=("A8",),
    ),
    fault(
        "uploads-go-to-the-last-conversation",
        "An upload goes into the conversation that its key opened last, whichever it names.",
        use_last_conversation(CONVERSATION_FILES, if_named=bool),
        caught_by="upload.needs_conversation",
        breaks=("A8",),
    ),
    fault(
        "uploads-500",
        "Uploads fail with 500.",
        respond_with(is_upload, error_response(500, "disk full")),
        caught_by="upload.conversation_ready",
        breaks=("K3", "K2", "U5"),
    ),
    fault(
        "conversation-uploads-refused",
        "A key that may open conversations may not upload to them.",
        respond_with(CONVERSATION_FILES, error_response(403, "This key may not upload.")),
        caught_by="conversation.same_key",
        breaks=("K3",),
    ),
    fault(
        "dataset-uploads-refused",
        "A key with datasets:write may not upload to its own dataset.",
        respond_with(is_dataset_upload, error_response(403, "This key may not upload.")),
        caught_by="upload.dataset_ready",
        breaks=("K2", "U5"),
    ),
    fault(
        "uploads-without-id",
        "An upload is accepted, and its id is not returned.",
        respond_with(is_upload, json_response(202, {"accepted": True})),
        caught_by="upload.conversation_ready",
        breaks=("F1",),
    ),
    fault(
        "refused-uploads-stored",
        "An upload into a dataset is refused to a key without the right, and stored all the same.",
        with_secrets(_store_refused),
        caught_by="upload.dataset_known",
        breaks=("K16",),
    ),
    fault(
        "refused-conversation-uploads-stored",
        "An upload into another key's conversation is refused, and stored there all the same.",
        with_secrets(_upload_elsewhere(refused=True)),
        caught_by="upload.needs_conversation",
        breaks=("A8",),
    ),
    fault(
        "conversation-files-in-all-of-a-key",
        "What is uploaded into a conversation is known to every conversation of the key.",
        with_secrets(_upload_elsewhere(refused=False)),
        caught_by="upload.conversation_known",
        breaks=("A8",),
    ),
    fault(
        "uploads-with-code-refused",
        "A firewall before the tenant takes source code in an upload for an attack.",
        refuse(
            lambda request: is_upload(request) and _CODE.search(request.body) is not None,
            error_response(403, "The request was blocked."),
        ),
        caught_by="upload.formats",
        breaks=("U6",),
    ),
    fault(
        "names-of-files-beyond-ascii-500",
        "The upload of a file whose name has letters beyond ASCII fails.",
        refuse(_has_name_beyond_ascii, error_response(500, "'latin-1' codec can't encode characters")),
        caught_by="upload.formats",
        breaks=("U6",),
    ),
    fault(
        "conversation-dataset-anew",
        "Every upload into a conversation creates a dataset.",
        with_secrets(_number_datasets),
        caught_by="upload.conversation_known",
        breaks=("U3",),
    ),
    fault(
        "uploads-of-32-kilobytes-at-most",
        "A proxy before the tenant refuses uploads of more than 32 kB.",
        refuse(lambda request: is_upload(request) and len(request.body) > 32_768, error_response(413, "Too large.")),
        caught_by="upload.formats",
        breaks=("U6",),
    ),
    fault(
        "png-refused",
        "A PNG is refused with 415.",
        refuse(has_file(".png"), error_response(415, "Images are not supported.")),
        caught_by="upload.formats",
        breaks=("U6",),
    ),
    fault(
        "pdf-refused",
        "A PDF is refused with 415.",
        refuse(has_file(".pdf"), error_response(415, "Only texts are supported.")),
        caught_by="upload.formats",
        breaks=("U6",),
    ),
    fault(
        "unprocessable-files-500",
        "The upload of a file that cannot be processed fails with 500.",
        refuse(has_file(".broken.pdf"), error_response(500, "no such page")),
        caught_by="files.unprocessable",
        breaks=("F2",),
    ),
)
