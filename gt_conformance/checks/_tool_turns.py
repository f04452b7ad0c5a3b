"""What the assistant said in a stream, put together as OpenAI's SDKs do it: its text and its tool calls."""

from dataclasses import dataclass, field
from typing import Any

from gt_conformance import schema
from gt_conformance.checks._completion import Stream, choices_in, delta_in
from gt_conformance.checks._wording import describe_error
from gt_conformance.exchange import shortened


@dataclass
class JoinedCall:
    """One call, joined as OpenAI's SDKs join it: by index, id and name from the first piece, arguments added up."""

    index: int
    id: str = ""
    name: str = ""
    arguments: str = ""
    pieces: int = 0

    def answer(self) -> dict[str, Any]:
        """As it is sent back."""
        function = {"name": self.name, "arguments": self.arguments}
        return {"id": self.id, "type": "function", "function": function}


@dataclass
class Turn:
    """What the assistant said in a stream: its text and its calls, and what no client can join."""

    text: str = ""
    calls: dict[int, JoinedCall] = field(default_factory=dict)
    broken: dict[str, str] = field(default_factory=dict)
    """What was expected of the pieces, and what came."""
    deviations: list[str] = field(default_factory=list)

    @property
    def has_calls(self) -> bool:
        """Whether there is anything of a call in it, sound or not."""
        return bool(self.calls or self.broken)


def join_turn(stream: Stream) -> Turn:
    """A streamed message up to [DONE], put together as SDKs do: text joined, pieces of calls joined by their index."""
    turn, finished = Turn(), False
    for choice in (one for chunk in stream.chunks[: stream.done_at] for one in choices_in(chunk)):
        delta = delta_in(choice)
        said = delta.get("content") or delta.get("refusal")
        turn.text += said if isinstance(said, str) else ""
        if delta.get("function_call"):
            turn.broken["calls come in tool_calls"] = "function_call, which clients that send tools do not read"
        pieces = delta.get("tool_calls") or []
        if isinstance(pieces, list):
            for piece in pieces:
                _join(turn, piece)
        else:
            turn.broken["tool_calls is a list"] = shortened(repr(pieces), 100)
        if pieces and finished:
            turn.deviations.append("a tool call follows the finish_reason of its choice")
        finished = finished or bool(choice.get("finish_reason"))
    if sorted(turn.calls) != list(range(len(turn.calls))):
        found = shortened(", ".join(map(str, turn.calls)), 60)
        turn.deviations.append(f"tool calls should be numbered 0, 1, 2 and so on: {found}")
    return turn


def _join(turn: Turn, piece: Any) -> None:
    """Add a piece to its call, as SDKs do."""
    errors = schema.load("wire/chat-completion-chunk").errors(piece, at="#/$defs/tool_call")
    if errors:
        turn.broken.setdefault("pieces of tool calls that clients can join", describe_error(errors[0]))
        return
    function = piece.get("function") or {}
    given_id, name, arguments = piece.get("id") or "", function.get("name") or "", function.get("arguments") or ""
    call = turn.calls.get(piece["index"])
    if call is None:
        call = turn.calls[piece["index"]] = JoinedCall(piece["index"], given_id, name)
        for what, value in (("id", given_id), ("name", name)):
            if not value:
                turn.broken.setdefault(f"the first piece of each call has its {what}", f"none at index {call.index}")
    else:
        if given_id and given_id != call.id:
            turn.broken.setdefault("each call has one id and an index of its own", f"{call.id}, then {given_id}")
        elif given_id:
            turn.deviations.append("the id of a tool call should be in its first piece alone")
        if name:
            # Most SDKs add texts to each other, so that a name which is given twice is another tool's.
            expected = "the name of a call is whole in its first piece and in no other"
            turn.broken.setdefault(expected, f"{call.name!r}, then {name!r}")
    call.arguments += arguments
    call.pieces += 1
