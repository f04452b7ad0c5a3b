"""The language engine: small, deterministic and honest. It knows what it was told, and says so where it was not."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from .literal import fallback, literal
from .messages import Turn
from .phrases import asks, salient, sentences
from .recall import facts, recall, requests
from .sample import Sample
from .tools import Call, Offer

_HALF = 1_000
_TERSE = ("only", "just", "exactly", "nothing else")
_UNKNOWN = "I do not know, nobody has told me."
_NOTED = "I will remember that."
_NOTHING_TO_SAY = "I am a small test model and can only repeat what I was told."


@dataclass(frozen=True, slots=True)
class Reply:
    """What the assistant says: a text, or calls and no text."""

    text: str = ""
    calls: tuple[Call, ...] = ()


def reply(turns: Sequence[Turn], offer: Offer, schema: Mapping[str, object] | None = None) -> Reply:
    """The answer to the last turn. With a schema it is JSON that fits it."""
    last = turns[-1]
    asked = _brief(next((turn.text for turn in reversed(turns) if turn.role == "user"), ""))
    forced = offer.forced(asked)
    if forced:
        return Reply(calls=(forced,))
    call = None if _tool_spoke_last(turns) else offer.asked(asked)
    if call:
        return Reply(calls=(call,))
    if schema is not None:
        return Reply(_fitting(turns, asked, schema))
    return Reply(_from_tools(turns) if last.role == "tool" else _said(turns, asked))


def _tool_spoke_last(turns: Sequence[Turn]) -> bool:
    """Whether a tool has answered since the assistant last said something: to call again would go on for ever.

    Some agents put a user message of their own behind what the tool answered.
    """
    said = max((at for at, turn in enumerate(turns) if turn.role == "assistant" and turn.text), default=-1)
    return any(turn.role == "tool" for turn in turns[said + 1 :])


def _brief(text: str) -> str:
    """The text without runs of blanks, and only its beginning and end where it is long: that is where people ask."""
    lines = "\n".join(" ".join(line.split()) for line in text.splitlines() if line.strip())
    return lines if len(lines) <= 2 * _HALF else f"{lines[:_HALF]}\n{lines[-_HALF:]}"


def _from_tools(turns: Sequence[Turn]) -> str:
    """What the tools answered since the assistant last spoke."""
    spoken = max((at for at, turn in enumerate(turns) if turn.role != "tool"), default=-1)
    return "The tool answered: " + " ".join(turn.text for turn in turns[spoken + 1 :])


def _fitting(turns: Sequence[Turn], asked: str, schema: Mapping[str, object]) -> str:
    known = recall(_questions(asked), facts(turns)) or literal(asked)
    hints = [known, *salient(asked)] if known else salient(asked)
    return json.dumps(Sample(schema, hints).value())


def _said(turns: Sequence[Turn], asked: str) -> str:
    """In this order: what is known, what is to be said word for word, and at last what is not known."""
    questions, known = _questions(asked), facts(turns)
    value = recall(questions, known)
    if value is None:
        wanted = literal(asked)
        if wanted:
            return wanted
        value = recall(requests(asked), known)
    if value is not None:
        return value if any(word in asked.lower() for word in _TERSE) else f"It is {value}."
    return fallback(asked) or _plain(asked, questions)


def _plain(asked: str, questions: str) -> str:
    if asked.strip(" .!?").lower() == "ping":
        return "pong"
    if questions:
        return _UNKNOWN
    stated = facts([Turn("user", asked)]) or "remember" in asked.lower()
    return _NOTED if stated else _NOTHING_TO_SAY


def _questions(text: str) -> str:
    return " ".join(sentence for sentence in sentences(text) if asks(sentence))
