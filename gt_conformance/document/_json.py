"""Where a value is in the text of a JSON document. Asked only where something is wrong: it reads the text again."""

import json

_SPACE = " \t\n\r"
_DECODER = json.JSONDecoder()


def locate_in_json(content: bytes, path: tuple[str | int, ...] = ()) -> tuple[int, int]:
    """Line and column of the value at that path; where there is none, of its nearest ancestor."""
    text = content.decode(json.detect_encoding(content), "replace")
    at = _skip(text, 0)
    for step in path:
        try:
            found = _find(text, at, step)
        except (ValueError, IndexError, RecursionError):
            break
        if found is None:
            break
        at = found
    return text.count("\n", 0, at) + 1, at - text.rfind("\n", 0, at)


def _skip(text: str, at: int) -> int:
    while at < len(text) and text[at] in _SPACE:
        at += 1
    return at


def _find(text: str, at: int, step: str | int) -> int | None:
    """Where the member of that name, or the item of that number, begins in the object or array that begins there."""
    opening, number = text[at], 0
    if opening not in "[{":
        return None
    at = _skip(text, at + 1)
    while text[at] not in "]}":
        name: str | int = number
        if opening == "{":
            name, at = _DECODER.raw_decode(text, at)
            at = _skip(text, _skip(text, at) + 1)
        if name == step:
            return at
        _, at = _DECODER.raw_decode(text, at)
        at = _skip(text, at)
        at = _skip(text, at + 1) if text[at] == "," else at
        number += 1
    return None
