"""Faults of tools in a chat."""

from collections.abc import Callable
from typing import Any

from ..edges import Asked
from ._fault import Area
from ._parts import CHAT, amended, error, instead, messages, whole

fault = Area("tools")


def _each_call(change: Callable[[Any], object]) -> Callable[[Any], object]:
    """A change to every tool call of an answer."""

    def changed(body: Any) -> None:
        for choice in body["choices"]:
            for call in choice["message"].get("tool_calls") or ():
                change(call)

    return changed


def _offers(asked: Asked) -> bool:
    return CHAT(asked) and bool(asked.fields.get("tools"))


def _answers(asked: Asked) -> bool:
    return CHAT(asked) and any(message.get("role") == "tool" for message in messages(asked))


FAULTS = (
    fault(
        "tools-refused",
        "A chat that offers tools is refused.",
        instead(_offers, error(400, "This model does not support tools.")),
        checks="chat.client_load chat.message_forms chat.sampling_fields chat.tools",
        places="chat items",
    ),
    fault(
        "tool-results-refused",
        "A chat that carries the result of a tool is refused.",
        instead(_answers, error(422, "role: tool is not a role.")),
        checks="chat.message_forms chat.tools",
        places="chat items",
    ),
    fault(
        "tool-call-without-id",
        "A tool call has no id to answer it by.",
        amended(whole, _each_call(lambda call: call.pop("id"))),
        checks="chat.tools",
        places="chat items",
    ),
    fault(
        "tool-call-of-unknown-tool",
        "A tool call names a tool that was not offered.",
        amended(whole, _each_call(lambda call: call["function"].update(name="search_web"))),
        checks="chat.tools",
        places="chat items",
    ),
    fault(
        "tool-arguments-not-json",
        "The arguments of a tool call are cut short.",
        amended(whole, _each_call(lambda call: call["function"].update(arguments='{"city": "Ly'))),
        checks="chat.tools",
        places="chat items",
    ),
    fault(
        "tool-arguments-an-object",
        "The arguments of a tool call are an object, not JSON as text.",
        amended(whole, _each_call(lambda call: call["function"].update(arguments={"city": "Lyon"}))),
        checks="chat.tools",
        places="chat items",
    ),
)
