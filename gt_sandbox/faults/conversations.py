"""Faults of GT conversations."""

from dataclasses import replace

from ..edges import Answer, Asked, successes
from ._fault import Area
from ._headers import HEADER, last_conversation, without
from ._owners import as_owner
from ._parts import CHAT, CONVERSATION_FILES, CONVERSATIONS, error, instead

fault = Area("conversations")


def _in_conversation(asked: Asked) -> bool:
    return CHAT(asked) and bool(asked.header(HEADER))


def _unnamed(right: Answer) -> Answer:
    """A conversation without its id, in the body and in the header."""
    return replace(right, headers=tuple(item for item in right.headers if item[0] != HEADER), body=b'{"created": true}')


def _renamed(right: Answer) -> Answer:
    """An answer that goes on under another conversation."""
    kept = tuple(item for item in right.headers if item[0] != HEADER)
    return replace(right, headers=(*kept, (HEADER, "conv_of_another_thread")))


_EVERY = (
    "conversation.continuity conversation.create conversation.same_key upload.conversation_ready "
    "upload.needs_conversation"
)
"""The checks that need a conversation."""


FAULTS = (
    fault(
        "conversations-500",
        "Opening a conversation fails with 500.",
        instead(CONVERSATIONS, error(500, "no store")),
        checks=_EVERY,
        places="conversation_files items",
        blocks="key.least_privilege key.scope_enforced route.refused",
    ),
    fault(
        "conversations-without-id",
        "A conversation is opened, and its id is not told.",
        successes(CONVERSATIONS, _unnamed),
        checks=_EVERY,
        places="conversation_files items",
        blocks="key.least_privilege key.scope_enforced route.refused",
    ),
    fault(
        "conversation-refused-in-chat",
        "A chat with X-GT-Conversation-Id is refused.",
        instead(_in_conversation, error(404, "The conversation does not exist.")),
        checks="conversation.continuity conversation.create conversation.same_key",
        places="conversation_files items",
    ),
    fault(
        "conversation-forgets",
        "X-GT-Conversation-Id is ignored: each chat begins anew.",
        without(CHAT, HEADER),
        checks="conversation.continuity",
        places="items",
    ),
    fault(
        "conversation-never-ends",
        "A chat without X-GT-Conversation-Id goes on in the key's last conversation.",
        last_conversation(CHAT, whatever=lambda named: not named),
        checks="conversation.continuity",
        places="items",
    ),
    fault(
        "conversation-id-changes",
        "A chat in a conversation answers with another conversation's id.",
        successes(_in_conversation, _renamed),
        checks="conversation.continuity",
        places="items",
    ),
    fault(
        "upload-without-conversation",
        "A conversation upload without X-GT-Conversation-Id is accepted.",
        last_conversation(CONVERSATION_FILES, whatever=lambda named: not named),
        checks="upload.needs_conversation",
        places="conversation_files",
    ),
    fault(
        "upload-to-unknown-conversation",
        "A conversation upload under an unknown id is accepted.",
        last_conversation(CONVERSATION_FILES, whatever=lambda named: bool(named) and not named.startswith("conv_")),
        checks="upload.needs_conversation",
        places="conversation_files",
    ),
    fault(
        "upload-to-foreign-conversation",
        "A conversation upload into another key's conversation is accepted.",
        as_owner(lambda asked: asked.header(HEADER) if CONVERSATION_FILES(asked) else "", "APP", "PARTNER"),
        checks="upload.needs_conversation",
        places="conversation_files",
    ),
)
