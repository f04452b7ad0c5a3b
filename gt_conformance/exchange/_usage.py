"""The tokens that an answer states. A tenant's own numbers: read only where they can be true."""

import json
from typing import Any, NamedTuple

from gt_conformance.exchange._exchange import Response

MOST_STATED = 10_000_000
"""More tokens than one answer can have: no model reads or writes near as many at once."""


class Stated(NamedTuple):
    """The tokens of the prompt, and those of the completion with all else that the total counts."""

    input: int
    output: int

    @property
    def total(self) -> int:
        """All of them."""
        return self.input + self.output


def stated_tokens(response: Response) -> Stated | None:
    """The tokens that its ``usage`` states, of a stream the most; None where it states none that can be true.

    Impossible are numbers that are negative, no whole numbers or more than MOST_STATED, and zero in all.
    """
    bodies: list[Any] = []
    if response.media_type == "text/event-stream":
        bodies = [_parsed(event.data) for event in response.events if '"usage"' in event.data]
    elif b'"usage"' in response.body:
        bodies = [_parsed(response.text)]
    usages = (body["usage"] for body in bodies if isinstance(body, dict) and isinstance(body.get("usage"), dict))
    found = (_read(usage) for usage in usages)
    return max((one for one in found if one is not None), key=lambda one: one.total, default=None)


def tokens_of(response: Response) -> int:
    """The total tokens that it states; 0 where it states none that can be true."""
    stated = stated_tokens(response)
    return 0 if stated is None else stated.total


def _read(usage: dict[str, Any]) -> Stated | None:
    names = (("prompt_tokens", "input_tokens"), ("completion_tokens", "output_tokens"), ("total_tokens",))
    given = [next((usage[name] for name in some if usage.get(name) is not None), None) for some in names]
    if any(value is not None and not _is_possible(value) for value in given):
        return None
    prompt, completion, total = (0 if value is None else int(value) for value in given)
    if given[0] is None and total > completion:  # a total alone is what went in: so embeddings count
        prompt = total - completion
    stated = Stated(prompt, max(completion, total - prompt))
    return stated if stated.total else None


def _is_possible(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return 0 <= value <= MOST_STATED and value == int(value)


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None
