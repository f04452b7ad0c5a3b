"""Tools: what a caller offers, which one a message asks for, and the call that is made of it."""

import json
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field

from .answers import Refusal, invalid
from .body import Body
from .phrases import salient, sentences, subject_words
from .sample import Sample

_ASKS_FOR_TOOL = re.compile(r"\b(?:use|call|invoke|run)\b[^.!?]*\b(?:tools?|functions?)\b", re.IGNORECASE)
_MODES = ("auto", "none", "required")
_TOLD = re.compile(r'"[^"\n]*\s[^"\n]*"')
"""Several words between double quotation marks: they are told, not asked."""


@dataclass(frozen=True, slots=True)
class Call:
    """One tool call: a name that was offered, and arguments as JSON text."""

    name: str
    arguments: str
    id: str = field(default_factory=lambda: f"call_{secrets.token_hex(12)}")

    def answer(self) -> dict[str, object]:
        """As it stands in a message."""
        return {"id": self.id, "type": "function", "function": {"name": self.name, "arguments": self.arguments}}


@dataclass(frozen=True, slots=True)
class Tool:
    """One function on offer."""

    name: str
    description: str
    parameters: object

    def relevance(self, text: str) -> int:
        """How much the text asks for it; 0 where it does not.

        Agents describe a tool in pages, which share words with any text: the first sentence says what it is about.
        """
        wanted = subject_words(text)
        about = next(iter(sentences(self.description)), "")
        by_name = len(subject_words(self.name) & wanted)
        by_description = len(subject_words(about) & wanted)
        if self.name in text:
            return 100
        return 2 * by_name + by_description if by_name or by_description > 1 else 0

    def call(self, text: str) -> Call:
        """A call with arguments that fit its parameters, filled from the text."""
        made = Sample(self.parameters, salient(text)).value() if self.parameters else {}
        return Call(self.name, json.dumps(made if isinstance(made, dict) else {}))


@dataclass(frozen=True, slots=True)
class Offer:
    """The tools of one request. ``mode`` is auto, none or required; a tool chosen by name is required and alone."""

    tools: tuple[Tool, ...] = ()
    mode: str = "auto"

    def forced(self, text: str) -> Call | None:
        """The call that must be made, whatever the text says."""
        if self.mode != "required":
            return None
        return max(self.tools, key=lambda tool: tool.relevance(text)).call(text)

    def asked(self, text: str) -> Call | None:
        """The call that the text asks for, if it does."""
        if self.mode == "none" or not self.tools:
            return None
        wanted = _TOLD.sub(" ", text)
        best = max(self.tools, key=lambda tool: tool.relevance(wanted))
        if best.relevance(wanted) or (len(self.tools) == 1 and _ASKS_FOR_TOOL.search(wanted)):
            return best.call(text)
        return None


def offer(body: Body) -> Offer:
    """The offer of a chat request; a 400 naming ``tools`` or ``tool_choice`` where one is wrong."""
    given = body.get("tools")
    if given is not None and not isinstance(given, list):
        raise invalid("tools", "'tools' must be a list.")
    tools = tuple(_tool(item, f"tools[{index}]") for index, item in enumerate(given or []))
    choice = body.get("tool_choice")
    if choice is None:
        return Offer(tools)
    wrong = invalid("tool_choice", "'tool_choice' must be auto, none, required or one of the functions in 'tools'.")
    if isinstance(choice, dict):
        return _named(choice, tools, wrong)
    if choice not in _MODES or (choice == "required" and not tools):
        raise wrong
    return Offer(tools, str(choice))


def _named(choice: Mapping[str, object], tools: tuple[Tool, ...], wrong: Refusal) -> Offer:
    function = choice.get("function")
    name = function.get("name") if isinstance(function, dict) else None
    chosen = tuple(tool for tool in tools if tool.name == name)
    if not chosen:
        raise wrong
    return Offer(chosen[:1], "required")


def _tool(item: object, where: str) -> Tool:
    function = item.get("function") if isinstance(item, dict) and item.get("type") == "function" else None
    name = function.get("name") if isinstance(function, dict) else None
    if not isinstance(function, dict) or not isinstance(name, str) or not name:
        raise invalid(where, f"'{where}' must be of type function, with a named function.")
    parameters = function.get("parameters")
    if parameters is not None and not isinstance(parameters, dict):
        raise invalid(where, f"'{where}.function.parameters' must be a JSON Schema.")
    return Tool(name, str(function.get("description") or ""), parameters)
