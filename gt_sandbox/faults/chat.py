"""Faults of chat completions in one piece, and of what a chat request may hold."""

from collections.abc import Callable
from itertools import pairwise
from typing import Any

from ..edges import Asked
from ._fault import Area
from ._parts import CHAT, INTERNAL, PROVIDER, amended, answer, elsewhere, error, instead, messages, page, saying, whole

fault = Area("chat")


def _choice(change: Callable[[Any], object]) -> Callable[[Any], object]:
    """A change to the only choice."""
    return lambda body: change(body["choices"][0])


def _message(**fields: object) -> Callable[[Any], object]:
    """Other fields of the assistant's message, where it is text."""
    return _choice(lambda choice: None if choice["message"].get("tool_calls") else choice["message"].update(fields))


def _roles(asked: Asked) -> list[object]:
    return [message.get("role") for message in messages(asked)]


def _in_a_row(asked: Asked) -> bool:
    roles = _roles(asked)
    return any(one == other == "user" for one, other in pairwise(roles))


def _in_parts(asked: Asked) -> bool:
    return any(isinstance(message.get("content"), list) for message in messages(asked))


def _with_field(field: str) -> Callable[[Asked], bool]:
    """Whether it is a chat that holds this field."""
    return lambda asked: CHAT(asked) and field in asked.fields


_READING = "chat.completes chat.roles chat.structured_output chat.tools conversation.continuity conversation.same_key"
"""The checks that read the message of an answer in one piece."""
_EVERY = (
    "base_url.joins chat.client_load chat.completes chat.message_forms chat.model_is_published "
    "chat.roles chat.sampling_fields chat.streams chat.structured_output chat.token_limits chat.tools "
    "conversation.continuity conversation.same_key"
)
"""The checks that need a chat to be answered at all."""


FAULTS = (
    fault(
        "chat-500",
        "Chat completions fail with 500.",
        instead(CHAT, error(500, "upstream failed")),
        checks=_EVERY,
        places="chat items",
        blocks="conversation.create",
    ),
    fault(
        "chat-redirects",
        "Chat completions redirect to another address.",
        instead(CHAT, elsewhere()),
        checks=_EVERY,
        places="chat items",
        blocks="conversation.create",
    ),
    fault(
        "chat-html",
        "Chat completions are answered with a web page and 200.",
        instead(CHAT, page()),
        checks=f"{_READING} chat.model_is_published chat.streams",
        places="chat items",
        blocks="conversation.create",
    ),
    fault(
        "chat-error-in-200",
        "A chat that fails is answered with 200 and an error object in it.",
        saying(whole, {"error": {"message": "upstream failed", "type": "server_error", "param": None, "code": None}}),
        checks=f"{_READING} chat.client_load chat.message_forms chat.sampling_fields chat.token_limits",
        places="chat items",
        blocks="conversation.create",
    ),
    fault(
        "chat-names-provider-model",
        "A chat completion names the provider's model instead of the alias.",
        amended(whole, lambda body: body.update(model=PROVIDER)),
        checks="chat.model_is_published",
        places="chat items",
    ),
    fault(
        "chat-names-internal-model",
        "A chat completion names the internal id of the agent.",
        amended(whole, lambda body: body.update(model=INTERNAL)),
        checks="chat.model_is_published tenant.no_raw_model_ids",
        places="chat items tenant",
    ),
    fault(
        "chat-without-choices",
        "A chat completion has no choices.",
        amended(whole, lambda body: body.update(choices=[])),
        checks=_READING,
        places="chat items",
        blocks="conversation.create",
    ),
    fault(
        "chat-without-role",
        "The message of a chat completion has no role.",
        amended(whole, _choice(lambda choice: choice["message"].pop("role"))),
        checks=_READING,
        places="chat items",
        blocks="conversation.create",
    ),
    fault(
        "chat-says-nothing",
        "The message of a chat completion is empty.",
        amended(whole, _message(content="")),
        checks=_READING,
        places="chat items",
        blocks="conversation.create",
    ),
    fault(
        "chat-without-finish-reason",
        "A chat completion has no finish_reason.",
        amended(whole, _choice(lambda choice: choice.pop("finish_reason"))),
        checks=_READING,
        places="chat items",
        blocks="conversation.create",
    ),
    fault(
        "chat-foreign-finish-reason",
        "A chat completion gives the provider's finish_reason (eos_token).",
        amended(whole, _choice(lambda choice: choice.update(finish_reason="eos_token"))),
        checks=_READING,
        places="chat items",
        blocks="conversation.create",
    ),
    fault(
        "system-messages-refused",
        "A chat with a system message is refused.",
        instead(
            lambda asked: CHAT(asked) and "system" in _roles(asked), error(400, "Only user and assistant are roles.")
        ),
        checks="chat.client_load chat.roles",
        places="chat items",
    ),
    fault(
        "assistant-messages-refused",
        "A chat with an earlier answer of the assistant in it is refused.",
        instead(
            lambda asked: CHAT(asked) and "assistant" in _roles(asked), error(422, "The messages are no question.")
        ),
        checks="chat.message_forms chat.roles chat.tools",
        places="chat items",
    ),
    fault(
        "user-messages-in-a-row-refused",
        "A chat with two user messages in a row is refused.",
        instead(lambda asked: CHAT(asked) and _in_a_row(asked), error(400, "Roles must alternate.")),
        checks="chat.message_forms",
        places="chat",
    ),
    fault(
        "content-parts-refused",
        "A chat whose content is a list of text parts is refused.",
        instead(lambda asked: CHAT(asked) and _in_parts(asked), error(422, "content: a string is expected.")),
        checks="chat.message_forms",
        places="chat",
    ),
    fault(
        "max-tokens-refused",
        "A chat with max_tokens is refused.",
        instead(_with_field("max_tokens"), error(400, "Unsupported parameter: max_tokens.")),
        checks="chat.completes chat.model_is_published chat.streams chat.token_limits",
        places="chat items",
    ),
    fault(
        "max-completion-tokens-refused",
        "A chat with max_completion_tokens is refused.",
        instead(_with_field("max_completion_tokens"), error(400, "Unsupported parameter: max_completion_tokens.")),
        checks="chat.completes chat.model_is_published chat.streams chat.token_limits",
        places="chat items",
    ),
    fault(
        "large-token-limit-500",
        "A chat with a token limit beyond the model's fails with 500.",
        instead(lambda asked: CHAT(asked) and asked.fields.get("max_tokens", 0) > 32_768, error(500, "context length")),
        checks="chat.completes chat.model_is_published chat.streams chat.token_limits",
        places="chat items",
    ),
    fault(
        "seed-500",
        "A chat with seed fails with 500.",
        instead(_with_field("seed"), error(500, "unexpected keyword argument")),
        checks="chat.completes chat.model_is_published chat.sampling_fields chat.streams",
        places="chat items",
    ),
    fault(
        "stop-refused-without-a-name",
        "A chat with stop is refused, and the refusal does not name the field.",
        instead(_with_field("stop"), error(400, "Bad request.")),
        checks="chat.sampling_fields",
        places="chat",
    ),
    fault(
        "stop-refused-in-200",
        "A chat with stop is answered with 200 and an error object in it.",
        instead(_with_field("stop"), answer(200, {"error": {"message": "Unknown field.", "type": "invalid"}})),
        checks="chat.sampling_fields",
        places="chat",
    ),
    fault(
        "content-parts-refused-in-200",
        "A chat whose content is a list of text parts is answered with 200 and an error object in it.",
        instead(
            lambda asked: CHAT(asked) and _in_parts(asked),
            answer(200, {"error": {"message": "Unknown content.", "type": "invalid"}}),
        ),
        checks="chat.message_forms",
        places="chat",
    ),
    fault(
        "user-field-refused",
        "A chat with the field user is refused with 403.",
        instead(_with_field("user"), error(403, "Extra inputs are not permitted.")),
        checks="chat.completes chat.model_is_published chat.sampling_fields chat.streams",
        places="chat items",
    ),
    fault(
        "structured-output-500",
        "A chat with response_format json_schema fails with 500.",
        instead(_with_field("response_format"), error(500, "grammar compiler")),
        checks="chat.structured_output",
        places="chat",
    ),
)
