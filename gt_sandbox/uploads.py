"""Uploaded files: accepted at once, processed for a moment, visible to the key that sent them."""

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from .accounts import Caller
from .answers import forbidden, invalid, not_found
from .conversations import HEADER, Conversations
from .form import Form
from .keys import DATASETS

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
        conversation = self._conversations.named(request, caller)
        if conversation is None:
            raise invalid(HEADER, f"The header {HEADER} is required here.")
        answer = await self._accept(request, caller, conversation.dataset_id)
        answer.headers[HEADER] = conversation.id
        return answer

    async def to_dataset(self, request: Request, caller: Caller) -> Response:
        """``POST /v1/datasets/{id}/files``: a foreign dataset and an unknown one get the same 404."""
        caller.needs(DATASETS)
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
