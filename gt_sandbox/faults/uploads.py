"""Faults of uploads by GT's own routes."""

from ._fault import Area, with_limits
from ._parts import CONVERSATION_FILES, amended, answer, dataset_files, error, file_state, instead, upload

fault = Area("uploads")


FAULTS = (
    fault(
        "uploads-500",
        "Uploads fail with 500.",
        instead(upload, error(500, "disk full")),
        checks="conversation.same_key upload.conversation_ready upload.dataset_ready",
        places="conversation_files dataset_files items",
        blocks="files.isolated files.status key.least_privilege key.scope_enforced route.refused",
    ),
    fault(
        "conversation-uploads-refused",
        "A key that may open conversations may not upload to them.",
        instead(CONVERSATION_FILES, error(403, "This key may not upload.")),
        checks="conversation.same_key upload.conversation_ready",
        places="conversation_files items",
    ),
    fault(
        "dataset-uploads-refused",
        "A key with datasets:write may not upload to its own dataset.",
        instead(dataset_files, error(403, "This key may not upload.")),
        checks="upload.dataset_ready",
        places="dataset_files items",
        blocks="files.isolated files.status",
    ),
    fault(
        "uploads-without-id",
        "An upload is accepted, and its id is not told.",
        instead(upload, answer(202, {"accepted": True})),
        checks="conversation.same_key upload.conversation_ready upload.dataset_ready",
        places="conversation_files dataset_files items",
        blocks="files.isolated files.status key.least_privilege key.scope_enforced route.refused",
    ),
    fault(
        "uploads-never-ready",
        "The processing of an upload never ends.",
        amended(file_state, lambda body: body.update(status="processing")),
        tenant_file=with_limits(poll_timeout_s=1),
        checks="upload.conversation_ready upload.dataset_ready",
        places="conversation_files dataset_files items",
    ),
    fault(
        "uploads-fail",
        "The processing of an upload ends in failed.",
        amended(file_state, lambda body: body.update(status="failed")),
        checks="upload.conversation_ready upload.dataset_ready",
        places="conversation_files dataset_files items",
    ),
)
