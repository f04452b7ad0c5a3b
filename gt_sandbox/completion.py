"""Completions: one answer of the assistant, cut to its limits, in OpenAI's shape."""

import re
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from .language import Reply
from .tools import Call

_TOKEN = re.compile(r"\s*\S+")


@dataclass(frozen=True, slots=True)
class Completion:
    """What every form of the answer is rendered from, whole or streamed. A word counts as a token."""

    model: str
    text: str
    calls: tuple[Call, ...]
    finish_reason: str
    prompt_tokens: int
    id: str = field(default_factory=lambda: f"chatcmpl-{secrets.token_hex(12)}")
    created: int = field(default_factory=lambda: int(time.time()))

    @classmethod
    def of(
        cls, reply: Reply, *, model: str, prompt_tokens: int, limit: int | None = None, stops: Sequence[str] = ()
    ) -> "Completion":
        """The reply, cut at the first stop text and then to so many tokens."""
        text, finish_reason = reply.text, "tool_calls" if reply.calls else "stop"
        for stop in stops:
            text = text.partition(stop)[0]
        tokens = _TOKEN.findall(text)
        if limit is not None and len(tokens) > limit:
            text, finish_reason = "".join(tokens[:limit]), "length"
        return cls(model, text, reply.calls, finish_reason, prompt_tokens)

    @property
    def usage(self) -> dict[str, int]:
        """Tokens; the total is the sum of its parts."""
        said = (self.text, *(f"{call.name} {call.arguments}" for call in self.calls))
        written = sum(len(text.split()) for text in said)
        total = self.prompt_tokens + written
        return {"prompt_tokens": self.prompt_tokens, "completion_tokens": written, "total_tokens": total}

    def message(self) -> dict[str, object]:
        """The assistant's message."""
        message: dict[str, object] = {
            "role": "assistant",
            "content": None if self.calls else self.text,
            "refusal": None,
        }
        if self.calls:
            message["tool_calls"] = [call.answer() for call in self.calls]
        return message

    def answer(self) -> dict[str, object]:
        """The body of an answer that is not streamed."""
        choice = {"index": 0, "message": self.message(), "logprobs": None, "finish_reason": self.finish_reason}
        return self.head("chat.completion") | {"choices": [choice], "usage": self.usage}

    def head(self, kind: str) -> dict[str, object]:
        """What a whole answer and each of its chunks begin with."""
        return {"id": self.id, "object": kind, "created": self.created, "model": self.model}
