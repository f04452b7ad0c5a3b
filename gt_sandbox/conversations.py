"""Stored conversations and uploaded files: each known to the key alone that made it."""

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from gt_sandbox.accounts import DATASETS, Caller
from gt_sandbox.protocol import Body, Form, forbidden, invalid, not_found
from gt_sandbox.scripted_model import Turn

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

    def find(self, request: Request, caller: Caller) -> Conversation | None:
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


_STATES = ((0.05, "uploaded"), (0.12, "processing"))
_READY = "ready"


@dataclass(frozen=True, slots=True)
class StoredFile:
    """One accepted file. Its content is not kept: nothing ever reads it back."""

    id: str
    owner: str
    filename: str
    size: int
    dataset_id: str
    created_at: int
    accepted: float

    def answer(self, now: float) -> dict[str, object]:
        """What a caller sees of it at that moment."""
        age = now - self.accepted
        return {
            "id": self.id,
            "object": "file",
            "status": next((state for until, state in _STATES if age < until), _READY),
            "filename": self.filename,
            "bytes": self.size,
            "dataset_id": self.dataset_id,
            "created_at": self.created_at,
        }


class Uploads:
    """All files of one tenant."""

    def __init__(self, conversations: Conversations, clock: Callable[[], float] = time.monotonic) -> None:
        self._conversations = conversations
        self._clock = clock
        self._all: dict[str, StoredFile] = {}

    async def to_conversation(self, request: Request, caller: Caller) -> Response:
        """``POST /v1/conversations/files``: into the conversation's own dataset, which is made with it."""
        if not caller.conversation_uploads:
            raise forbidden("This key may not upload to conversations.")
        conversation = self._conversations.find(request, caller)
        if conversation is None:
            raise invalid(HEADER, f"The header {HEADER} is required here.")
        answer = await self._accept(request, caller, conversation.dataset_id)
        answer.headers[HEADER] = conversation.id
        return answer

    async def to_dataset(self, request: Request, caller: Caller) -> Response:
        """``POST /v1/datasets/{id}/files``: a foreign dataset and an unknown one get the same 404."""
        caller.require(DATASETS)
        dataset = request.path_params["id"]
        if dataset not in caller.datasets:
            raise not_found("The dataset does not exist, or this key may not use it.", code="dataset_not_found")
        return await self._accept(request, caller, dataset)

    async def status(self, request: Request, caller: Caller) -> Response:
        """``GET /v1/files/{id}`` and ``GET /v1/uploads/{id}``."""
        stored = self._all.get(request.path_params["id"])
        if stored is None or stored.owner != caller.name:
            raise not_found("The file does not exist.", code="file_not_found")
        return JSONResponse(stored.answer(self._clock()))

    async def _accept(self, request: Request, caller: Caller, dataset: str) -> Response:
        form = await Form.read(request)
        now = self._clock()
        file_id = f"file_{secrets.token_hex(12)}"
        stored = StoredFile(
            file_id, caller.name, form.filename, len(form.content), dataset, int(time.time()), accepted=now
        )
        self._all[file_id] = stored
        return JSONResponse(stored.answer(now), 202)
