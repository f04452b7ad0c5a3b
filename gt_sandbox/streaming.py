"""Streams: a completion as server-sent events, spread over a short while.

Events are ``data: ...`` with LF LF and nothing else, since some clients silently drop any other lawful framing, and
the JSON is ASCII, since some split lines at every character that Unicode calls a line end.
"""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Iterator, Mapping

from .completion import Completion
from .tools import Call

_PAUSE = 0.004
_MOST_PIECES = 32
_WORD = re.compile(r"\s*\S+\s*")


async def events(completion: Completion, *, include_usage: bool) -> AsyncIterator[bytes]:
    """The events of one stream, each to be sent as soon as it comes."""
    for chunk in _chunks(completion, include_usage=include_usage):
        yield b"data: " + json.dumps(chunk, separators=(",", ":")).encode() + b"\n\n"
        await asyncio.sleep(_PAUSE)
    yield b"data: [DONE]\n\n"


def _chunks(completion: Completion, *, include_usage: bool) -> Iterator[Mapping[str, object]]:
    head = completion.head("chat.completion.chunk")
    usage = {"usage": None} if include_usage else {}
    for delta in _deltas(completion):
        yield head | {"choices": [_choice(delta, None)]} | usage
    yield head | {"choices": [_choice({}, completion.finish_reason)]} | usage
    if include_usage:
        yield head | {"choices": [], "usage": completion.usage}


def _choice(delta: Mapping[str, object], finish_reason: str | None) -> dict[str, object]:
    return {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}


def _deltas(completion: Completion) -> Iterator[dict[str, object]]:
    yield {"role": "assistant", "content": None if completion.calls else ""}
    for index, call in enumerate(completion.calls):
        for part in _call_parts(index, call):
            yield {"tool_calls": [part]}
    if not completion.calls:
        for piece in _pieces(completion.text):
            yield {"content": piece}


def _call_parts(index: int, call: Call) -> Iterator[dict[str, object]]:
    yield {"index": index, **call.answer(), "function": {"name": call.name, "arguments": ""}}
    for piece in _pieces(call.arguments):
        yield {"index": index, "function": {"arguments": piece}}


def _pieces(text: str) -> list[str]:
    """Several pieces that join to the text: words, or characters where there are too few words."""
    pieces = _WORD.findall(text)
    if len(pieces) < 3:
        third = -(-len(text) // 3) or 1
        pieces = [text[at : at + third] for at in range(0, len(text), third)]
    many = -(-len(pieces) // _MOST_PIECES) or 1
    return ["".join(pieces[at : at + many]) for at in range(0, len(pieces), many)]
