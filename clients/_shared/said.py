"""What a driver in Python says: one JSON line for each call that it asked of the client."""

import json
import os
import sys
from collections.abc import Callable
from typing import Any

BASE_URL, KEY, MODEL = (os.environ[name] for name in ("GT_BASE_URL", "GT_API_KEY", "GT_MODEL"))
_LONGEST = 2_000


def model(modality: str) -> str:
    """The published name for embeddings, transcription, speech or image: the chat's where there is no other."""
    return os.environ.get(f"GT_MODEL_{modality.upper()}", MODEL)


def call(name: str, route: str | None, asked: Any, make: Callable[[], Any]) -> Any:
    """Ask the client for something, and say what it returned or raised. Gives what it returned; None if it raised.

    ``make`` returns what a user would have in hand: the text, the number of bytes, how many names. ``route`` is the
    short id of the route that the call is about; None for one that is about none of the nine.
    """
    returned, raised = None, None
    try:
        returned = make()
    except Exception as error:
        raised = {"type": type(error).__name__, "message": str(error)[:_LONGEST]}
    line = {"call": name, "route": route, "asked": asked, "returned": _short(returned), "raised": raised}
    sys.stdout.write(json.dumps(line, ensure_ascii=True, default=str) + "\n")
    sys.stdout.flush()
    return returned


def _short(value: Any) -> Any:
    return value[:_LONGEST] if isinstance(value, str) else value
