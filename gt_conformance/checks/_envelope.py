"""Where GT's answers hold their ids and states: not documented, so every usual place is read."""

from collections.abc import Mapping, Sequence
from typing import Any

_CONVERSATION = (("conversation_id",), ("conversation", "conversation_id"), ("conversation", "id"))
_FILE = (("file_id",), ("file", "file_id"), ("file", "upload_id"), ("file", "id"))


def conversation_id(body: Any) -> str | None:
    """The conversation id in a body, the most specific place first."""
    return _first(body, (*_CONVERSATION, ("data", "conversation_id"), ("data", "id"), ("id",)))


def file_id(body: Any) -> str | None:
    """The file id in a body, the most specific place first."""
    data = (("data", "file_id"), ("data", "upload_id"), ("data", "id"))
    return _first(body, (*_FILE, *data, ("upload_id",), ("id",)))


def state(body: Any) -> str | None:
    """The processing state in a body, in lower case. Inner ones first: an envelope may say ``success`` of itself."""
    names = ("processing_status", "processing_state", "status", "state")
    places = [(*outer, name) for outer in (("file",), ("data",), ()) for name in names]
    found = _first(body, places)
    return found.strip().lower() if found else None


def _first(body: Any, places: Sequence[tuple[str, ...]]) -> str | None:
    for place in places:
        value = body
        for name in place:
            value = value.get(name) if isinstance(value, Mapping) else None
        if isinstance(value, int) and not isinstance(value, bool):
            value = str(value)
        if isinstance(value, str) and value.strip():
            return value
    return None
