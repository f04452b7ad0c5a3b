"""What an answer says that it cost."""

import json
from typing import Any

from gt_conformance.exchange._response import Response


def tokens_of(response: Response) -> int:
    """The total that its ``usage`` names, of a stream the largest; 0 where it names none."""
    bodies: list[Any]
    if response.media_type == "text/event-stream":
        bodies = [_parsed(event.data) for event in response.events if '"usage"' in event.data]
    elif b'"usage"' in response.body:
        bodies = [_parsed(response.text)]
    else:
        return 0
    totals = [
        body["usage"].get("total_tokens")
        for body in bodies
        if isinstance(body, dict) and isinstance(body.get("usage"), dict)
    ]
    return max((total for total in totals if isinstance(total, int)), default=0)


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None
