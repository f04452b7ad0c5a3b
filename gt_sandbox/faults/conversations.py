"""Faults of conversations."""

from gt_sandbox.faults._fault import fault
from gt_sandbox.faults._parts import use_last_conversation
from gt_sandbox.middleware import (
    CHAT,
    CONVERSATION_HEADER,
    CONVERSATIONS,
    Request,
    Response,
    change_choice,
    change_json,
    change_scopes,
    change_successes,
    error_response,
    respond_with,
    with_request_header,
)


def _is_in_conversation(request: Request) -> bool:
    return CHAT(request) and bool(request.header(CONVERSATION_HEADER))


def _is_outside_conversations(request: Request) -> bool:
    return CHAT(request) and not request.header(CONVERSATION_HEADER)


def _hide_id(response: Response) -> Response:
    """A conversation without its id, in the body and in the header."""
    return response.with_header(CONVERSATION_HEADER, None).with_body(b'{"created": true}')


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
        use_last_conversation(CHAT, if_named=lambda named: not named),
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
)
