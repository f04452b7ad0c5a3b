"""The tokens that an answer states. A tenant's own numbers: read only where they can be true."""

import json
from collections.abc import Iterable
from typing import Any, NamedTuple

MOST_STATED = 10_000_000
"""More tokens than one answer can have: no model reads or writes near as many at once."""


class Stated(NamedTuple):
    """The tokens of the prompt, and those of the completion with all else that the total counts.

    ``reasoning`` are those of them that the model thought with.
    """

    input: int
    output: int
    reasoning: int = 0

    @property
    def total(self) -> int:
        """All of them."""
        return self.input + self.output


def read_stated(texts: Iterable[str]) -> Stated | None:
    """The most that the ``usage`` of these bodies states; None where none of them states what can be true.

    Impossible are numbers that are negative, no whole numbers or more than MOST_STATED, and zero in all.
    """
    bodies = map(_parsed, texts)
    usages = (body["usage"] for body in bodies if isinstance(body, dict) and isinstance(body.get("usage"), dict))
    found = (_read(usage) for usage in usages)
    return max((one for one in found if one is not None), key=lambda one: one.total, default=None)


def _read(usage: dict[str, Any]) -> Stated | None:
    names = (("prompt_tokens", "input_tokens"), ("completion_tokens", "output_tokens"), ("total_tokens",))
    given = [next((usage[name] for name in some if usage.get(name) is not None), None) for some in names]
    if any(value is not None and not _is_possible(value) for value in given):
        return None
    prompt, completion, total = (0 if value is None else int(value) for value in given)
    if given[0] is None and total > completion:  # a total alone is what went in: so embeddings count
        prompt = total - completion
    details = usage.get("completion_tokens_details")
    reasoning: Any = details.get("reasoning_tokens") if isinstance(details, dict) else None
    output = max(completion, total - prompt)
    stated = Stated(prompt, output, min(output, int(reasoning)) if _is_possible(reasoning) else 0)
    return stated if stated.total else None


def _is_possible(value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return 0 <= value <= MOST_STATED and value == int(value)


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None
