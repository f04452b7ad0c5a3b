"""Faults of uploads and of the state of an upload."""

from gt_sandbox.faults._fault import fault
from gt_sandbox.faults._parts import act_as_owner, use_last_conversation, with_limits
from gt_sandbox.middleware import (
    CONVERSATION_FILES,
    CONVERSATION_HEADER,
    MiddlewareFactory,
    Request,
    Response,
    Secrets,
    change_json,
    change_responses,
    error_response,
    is_dataset_upload,
    is_file_state,
    is_upload,
    json_response,
    respond_with,
    with_secrets,
)


def _forget_at_first(_: Secrets) -> MiddlewareFactory:
    """The first time that a file's state is asked for, it is not known yet."""
    known: set[str] = set()

    def change(request: Request, response: Response) -> Response:
        if not response.succeeded or request.path in known:
            return response
        known.add(request.path)
        return error_response(404, "The file does not exist.")

    return change_responses(is_file_state, change)


FAULTS = (
    fault(
        "upload-without-conversation",
        "A conversation upload without X-GT-Conversation-Id is accepted.",
        use_last_conversation(CONVERSATION_FILES, if_named=lambda named: not named),
        caught_by="upload.needs_conversation",
        breaks=("U1",),
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
        "uploads-never-ready",
        "The processing of an upload never ends.",
        change_json(is_file_state, lambda body: body.update(status="processing")),
        tenant_file=with_limits(poll_timeout_s=1),
        caught_by="upload.conversation_ready",
        breaks=("F1",),
    ),
    fault(
        "uploads-fail",
        "The processing of an upload ends in failed.",
        change_json(is_file_state, lambda body: body.update(status="failed")),
        caught_by="upload.dataset_ready",
        breaks=("F1",),
    ),
    fault(
        "file-state-500",
        "Asking for the state of a file fails with 500.",
        respond_with(is_file_state, error_response(500, "no state")),
        caught_by="files.status",
        breaks=("F1",),
    ),
    fault(
        "file-state-late",
        "The state of a file is unknown when it is asked for first.",
        with_secrets(_forget_at_first),
        caught_by="files.status",
        breaks=("F1",),
    ),
    fault(
        "file-state-not-told",
        "The response about a file does not contain its state.",
        change_json(is_file_state, lambda body: body.pop("status")),
        caught_by="files.status",
        breaks=("F1",),
    ),
    fault(
        "file-state-open-to-all",
        "The state of a file is visible to every key.",
        act_as_owner(lambda request: request.path.rpartition("/")[2] if is_file_state(request) else ""),
        caught_by="files.isolated",
        breaks=("F4",),
    ),
)
