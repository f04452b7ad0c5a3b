"""Stored conversations: made by a conversation key, and known to that key alone."""

import secrets
import time
from dataclasses import dataclass, field

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from .accounts import Caller
from .answers import forbidden, not_found
from .body import Body
from .messages import Turn

HEADER = "X-GT-Conversation-Id"
"""Carries the conversation, in requests and in answers."""


@dataclass(slots=True)
class Conversation:
    """What has been said so far. The only value in this package that changes while it lives."""

    id: str
    owner: str
    dataset_id: str
    turns: list[Turn] = field(default_factory=list)


class Conversations:
    """All conversations of one tenant."""

    def __init__(self) -> None:
        self._all: dict[str, Conversation] = {}

    async def create(self, request: Request, caller: Caller) -> Response:
        """``POST /v1/conversations``: a new conversation with a published name."""
        if caller.purpose != "conversation":
            raise forbidden("This key has no conversation access.")
        body = await Body.read(request)
        model = caller.model(body.text("model")).name
        title = body.optional_text("title")
        made = Conversation(f"conv_{secrets.token_hex(12)}", caller.name, f"ds_{secrets.token_hex(8)}")
        self._all[made.id] = made
        answer = {
            "id": made.id,
            "object": "conversation",
            "model": model,
            "title": title,
            "created_at": int(time.time()),
        }
        return JSONResponse(answer, 201, {HEADER: made.id})

    def named(self, request: Request, caller: Caller) -> Conversation | None:
        """The conversation that the request's header names; ``None`` without the header.

        An unknown id and another key's id get the same 404.
        """
        wanted = request.headers.get(HEADER)
        if wanted is None:
            return None
        found = self._all.get(wanted)
        if found is None or found.owner != caller.name:
            raise not_found("The conversation does not exist.", param=HEADER, code="conversation_not_found")
        return found
