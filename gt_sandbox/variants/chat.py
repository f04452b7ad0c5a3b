"""Chats in one piece: what an answer may hold besides, and what may be refused by name."""

import copy
import json
import secrets
from collections.abc import Callable
from typing import Any

from ..edges import Asked, asking
from ._parts import CHAT, amended, refusing, whole
from ._variant import Area

variant = Area("chat")
_REFUSED = "checks: accepted, or refused with a 400 that names the field"


def _choice(change: Callable[[Any], object]) -> Callable[[Any], object]:
    """A change to the only choice."""
    return lambda body: change(body["choices"][0])


def _without_optional(body: Any) -> None:
    body.pop("usage")
    choice = body["choices"][0]
    choice.pop("logprobs")
    choice["message"].pop("refusal")
    if choice["message"]["content"] is None:
        choice["message"].pop("content")


def _nulls(body: Any) -> None:
    body.update(system_fingerprint=None, service_tier=None, error=None)
    message = body["choices"][0]["message"]
    for name in ("tool_calls", "function_call", "audio", "reasoning_content", "refusal"):
        message.setdefault(name, None)


def _reasoning(choice: Any) -> None:
    thought = "The user wants an answer, and gets one."
    choice["message"].update(
        reasoning_content=thought, reasoning=thought, reasoning_details=[{"type": "text", "text": thought}]
    )


def _calls(change: Callable[[list[Any]], object]) -> Callable[[Any], object]:
    """A change to the tool calls, where there are any."""
    return _choice(
        lambda choice: change(choice["message"]["tool_calls"]) if choice["message"].get("tool_calls") else None
    )


def _twice(calls: list[Any]) -> None:
    again = copy.deepcopy(calls[0])
    again["id"] = f"call_{secrets.token_hex(4)}"
    calls.append(again)


def _spaced(calls: list[Any]) -> None:
    for call in calls:
        call["function"]["arguments"] = json.dumps(json.loads(call["function"]["arguments"]), indent=2) + "\n"


def _other_ids(calls: list[Any]) -> None:
    for number, call in enumerate(calls):
        call.update(id=f"functions.{call['function']['name']}:{number}", index=number)


def _without_tools(body: bytes) -> bytes:
    """Take the tools out of a chat that leaves their use to the model."""
    try:
        fields = json.loads(body)
    except ValueError:
        return body
    if not isinstance(fields, dict) or fields.get("tool_choice", "auto") != "auto":
        return body
    return json.dumps({name: value for name, value in fields.items() if name not in {"tools", "tool_choice"}}).encode()


def _with_field(*names: str) -> Callable[[Asked], bool]:
    return lambda asked: CHAT(asked) and any(name in asked.fields for name in names)


def _with_role(asked: Asked) -> bool:
    messages = asked.fields.get("messages")
    return (
        CHAT(asked)
        and isinstance(messages, list)
        and any(isinstance(message, dict) and message.get("role") == "developer" for message in messages)
    )


VARIANTS = (
    variant(
        "chat-without-optional-fields",
        "Chats leave out usage, logprobs and refusal.",
        amended(whole, _without_optional),
        lawful="OpenAI API reference: optional fields",
    ),
    variant(
        "chat-with-nulls",
        "Chats hold null for what they have not, an error among it.",
        amended(whole, _nulls),
        lawful="OpenAI API reference: nullable fields",
    ),
    variant(
        "chat-with-reasoning",
        "Chats tell the model's reasoning beside the answer.",
        amended(whole, _choice(_reasoning)),
        lawful="GT API reference: extra fields anywhere",
    ),
    variant(
        "content-beside-tool-calls",
        "A message that calls a tool has words as well.",
        amended(
            whole,
            _choice(
                lambda choice: (
                    choice["message"].update(content="I will look.") if choice["message"].get("tool_calls") else None
                )
            ),
        ),
        lawful="OpenAI API reference: content beside tool_calls is optional",
    ),
    variant(
        "tool-calls-twice",
        "A tool is called twice at once.",
        amended(whole, _calls(_twice)),
        lawful="OpenAI API reference: parallel tool calls",
    ),
    variant(
        "tool-ids-of-another-shape",
        "Ids of tool calls hold dots and colons.",
        amended(whole, _calls(_other_ids)),
        lawful="OpenAI API reference: an id is any string",
    ),
    variant(
        "tool-arguments-spaced",
        "The arguments of tool calls are JSON over several lines.",
        amended(whole, _calls(_spaced)),
        lawful="RFC 8259, 2: white space between tokens",
    ),
    variant(
        "tools-left-unused",
        "The model answers in words where tools are only offered.",
        asking(whole, _without_tools),
        lawful="OpenAI API reference: with auto the model may call no tool",
    ),
    variant(
        "structured-output-refused",
        "Structured output is refused by name.",
        refusing(
            _with_field("response_format"), "response_format", "'response_format' is not supported by this model."
        ),
        lawful="checks: honoured, or refused with a 400 that names it",
    ),
    variant(
        "parallel-tool-calls-refused",
        "The field parallel_tool_calls is refused by name.",
        refusing(
            _with_field("parallel_tool_calls"),
            "parallel_tool_calls",
            "'parallel_tool_calls' is not supported by this model.",
        ),
        lawful=_REFUSED,
    ),
    variant(
        "developer-role-refused",
        "The role developer is refused by name.",
        refusing(_with_role, "messages", "The role developer is not supported by this model."),
        lawful="checks: the role developer is a should",
    ),
)
