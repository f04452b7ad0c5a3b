"""Chat messages: what a caller may send as ``messages``, and the turns that are read from it."""

from dataclasses import dataclass

from .answers import invalid
from .body import Body

_ROLES = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "assistant": "assistant",
    "tool": "tool",
    "function": "tool",
}


@dataclass(frozen=True, slots=True)
class Turn:
    """One message with its text put together. ``role`` is system, user, assistant or tool."""

    role: str
    text: str

    @property
    def tokens(self) -> int:
        """Its size: a word counts as a token."""
        return len(self.text.split())


def turns(body: Body) -> tuple[Turn, ...]:
    """The turns of a chat request; a 400 naming the field where one is wrong."""
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages:
        raise invalid("messages", "'messages' must be a non-empty list of messages.")
    return tuple(_turn(message, f"messages[{index}]") for index, message in enumerate(messages))


def _turn(message: object, where: str) -> Turn:
    if not isinstance(message, dict):
        raise invalid(where, f"'{where}' must be an object.")
    role = message.get("role")
    if not isinstance(role, str) or role not in _ROLES:
        raise invalid(f"{where}.role", f"'{where}.role' must be one of: {', '.join(_ROLES)}.")
    if role == "tool" and not isinstance(message.get("tool_call_id"), str):
        raise invalid(f"{where}.tool_call_id", "A tool message must name the call that it answers.")
    if role != "assistant":
        return Turn(_ROLES[role], _text(message.get("content"), f"{where}.content"))
    content, calls = message.get("content"), message.get("tool_calls")
    if calls:
        _check_calls(calls, f"{where}.tool_calls")
    if content is None and (calls or message.get("function_call")):
        return Turn(role, "")
    return Turn(role, _text(content, f"{where}.content"))


def _text(content: object, where: str) -> str:
    if isinstance(content, str):
        return content
    if not isinstance(content, list) or not content:
        raise invalid(where, f"'{where}' must be a string or a list of text parts.")
    return "\n".join(_part(part, where) for part in content)


def _part(part: object, where: str) -> str:
    kind = part.get("type") if isinstance(part, dict) else None
    text = part.get("refusal" if kind == "refusal" else "text") if isinstance(part, dict) else None
    if kind not in {"text", "refusal"} or not isinstance(text, str):
        raise invalid(where, f"'{where}' may hold only parts of type text.")
    return text


def _check_calls(calls: object, where: str) -> None:
    for call in calls if isinstance(calls, list) else [None]:
        function = call.get("function") if isinstance(call, dict) else None
        if not isinstance(function, dict) or not isinstance(function.get("name"), str):
            raise invalid(where, f"'{where}' must be a list of function calls.")
