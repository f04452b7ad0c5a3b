"""Faults of conversations, of uploads and of the state of an upload."""

from collections.abc import Callable

from starlette.types import Message

from gt_sandbox.faults._fault import fault
from gt_sandbox.faults._parts import act_as_owner, with_limits
from gt_sandbox.middleware import (
    CHAT,
    CONVERSATION_FILES,
    CONVERSATION_HEADER,
    CONVERSATIONS,
    Call,
    MiddlewareFactory,
    Predicate,
    Request,
    Response,
    Secrets,
    change_choice,
    change_json,
    change_responses,
    change_scopes,
    change_successes,
    error_response,
    is_dataset_upload,
    is_file_state,
    is_upload,
    json_response,
    per_call,
    respond_with,
    with_request_header,
    with_secrets,
)


def _is_in_conversation(request: Request) -> bool:
    return CHAT(request) and bool(request.header(CONVERSATION_HEADER))


def _is_outside_conversations(request: Request) -> bool:
    return CHAT(request) and not request.header(CONVERSATION_HEADER)


def _hide_id(response: Response) -> Response:
    """A conversation without its id, in the body and in the header."""
    return response.with_header(CONVERSATION_HEADER, None).with_body(b'{"created": true}')


def _use_last_conversation(wanted: Predicate, *, if_named: Callable[[str], bool]) -> MiddlewareFactory:
    """Send requests to the conversation that their key opened last, if ``if_named`` holds of the id that they name."""

    def make(_: Secrets) -> MiddlewareFactory:
        opened: dict[str, str] = {}

        async def redirect(call: Call) -> None:
            request = call.request

            async def send(message: Message) -> None:
                if message["type"] == "http.response.start" and request.path.endswith("/conversations"):
                    headers = dict(message["headers"])
                    if CONVERSATION_HEADER.encode() in headers:
                        opened[request.secret] = headers[CONVERSATION_HEADER.encode()].decode()
                await call.send(message)

            last = opened.get(request.secret)
            changes = last is not None and wanted(request) and if_named(request.header(CONVERSATION_HEADER))
            await call.forward(
                with_request_header(call.scope, CONVERSATION_HEADER, last) if changes else None, send=send
            )

        return per_call(redirect)

    return with_secrets(make)


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
        "conversations-500",
        "Opening a conversation fails with 500.",
        respond_with(CONVERSATIONS, error_response(500, "no store")),
        caught_by="conversation.create",
        breaks=("V1", "K3"),
    ),
    fault(
        "conversations-without-id",
        "A conversation is opened, and its id is not returned.",
        change_successes(CONVERSATIONS, _hide_id),
        caught_by="conversation.create",
        breaks=("V1", "V3"),
    ),
    fault(
        "chat-needs-a-conversation",
        "A chat without X-GT-Conversation-Id is refused.",
        respond_with(_is_outside_conversations, error_response(400, "The header X-GT-Conversation-Id is required.")),
        caught_by="chat.completes",
        breaks=("C7", "C1"),
    ),
    fault(
        "conversation-refused-in-chat",
        "A chat with X-GT-Conversation-Id is refused.",
        respond_with(_is_in_conversation, error_response(404, "The conversation does not exist.")),
        caught_by="conversation.create",
        breaks=("V4",),
    ),
    fault(
        "conversation-says-nothing",
        "A chat with X-GT-Conversation-Id is answered with nothing.",
        change_json(_is_in_conversation, change_choice(lambda choice: choice["message"].update(content=""))),
        caught_by="conversation.create",
        breaks=("V4",),
    ),
    fault(
        "conversation-forgets",
        "X-GT-Conversation-Id is ignored: each chat begins anew.",
        change_scopes(
            lambda scope, request: with_request_header(scope, CONVERSATION_HEADER, None) if CHAT(request) else scope
        ),
        caught_by="conversation.continuity",
        breaks=("C5",),
    ),
    fault(
        "conversation-never-ends",
        "A chat without X-GT-Conversation-Id goes on in the key's last conversation.",
        _use_last_conversation(CHAT, if_named=lambda named: not named),
        caught_by="conversation.continuity",
        breaks=("C3",),
    ),
    fault(
        "conversation-id-changes",
        "A chat in a conversation answers with another conversation's id.",
        change_successes(
            _is_in_conversation, lambda response: response.with_header(CONVERSATION_HEADER, "conv_of_another_thread")
        ),
        caught_by="conversation.continuity",
        breaks=("C5",),
    ),
    fault(
        "upload-without-conversation",
        "A conversation upload without X-GT-Conversation-Id is accepted.",
        _use_last_conversation(CONVERSATION_FILES, if_named=lambda named: not named),
        caught_by="upload.needs_conversation",
        breaks=("U1",),
    ),
    fault(
        "upload-to-unknown-conversation",
        "A conversation upload under an unknown id is accepted.",
        _use_last_conversation(
            CONVERSATION_FILES, if_named=lambda named: bool(named) and not named.startswith("conv_")
        ),
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
