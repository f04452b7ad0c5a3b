"""Stored conversations and uploaded files: each known to the key alone that made it, and to the chats that have it."""

import re
import secrets
import time
from collections.abc import Callable, Collection
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

    def find(self, request: Request, caller: Caller, *, shared: bool = False) -> Conversation | None:
        """The conversation that the request's header names; ``None`` without the header.

        An unknown id and another key's id get the same 404. The conversations of a linked key are ``shared``: where
        it uploads into them by a right of its own.
        """
        wanted = request.headers.get(HEADER)
        if wanted is None:
            return None
        found = self._all.get(wanted)
        owners = {caller.name, *(caller.linked if shared else ())}
        if found is None or found.owner not in owners:
            raise not_found("The conversation does not exist.", param=HEADER, code="conversation_not_found")
        return found


_STATES = ((0.05, "uploaded"), (0.12, "processing"))
_READY, _FAILED = "ready", "failed"
_PDF, _PNG = b"%PDF-", b"\x89PNG\r\n\x1a\n"
_SHOWN_IN_PDF = re.compile(rb"\(([^()\\]*)\) Tj")


def read_text(content: bytes) -> str | None:
    """The text in a file, as far as this tenant reads its kind; ``None`` where the file cannot be processed at all."""
    if content.startswith(_PDF):
        lines = [line.decode("latin-1") for line in _SHOWN_IN_PDF.findall(content)]
        return "\n".join(lines) if b"endobj" in content and b"%%EOF" in content else None
    if content.startswith(_PNG):
        return "" if b"IEND" in content else None
    return content.decode(errors="ignore")


@dataclass(frozen=True, slots=True)
class StoredFile:
    """One accepted file. Of its content the text is kept, which chats may be asked about."""

    id: str
    owner: str
    filename: str
    size: int
    text: str | None
    dataset_id: str
    created_at: int
    accepted: float

    def state(self, now: float) -> str:
        """How far its processing is at that moment."""
        age = now - self.accepted
        ended = _FAILED if self.text is None else _READY
        return next((state for until, state in _STATES if age < until), ended)

    def answer(self, now: float) -> dict[str, object]:
        """What a caller sees of it at that moment."""
        return {
            "id": self.id,
            "object": "file",
            "status": self.state(now),
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
        conversation = self._conversations.find(request, caller, shared=True)
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

    def texts(self, datasets: Collection[str]) -> list[str]:
        """What these datasets hold that is ready."""
        now = self._clock()
        ready = (one for one in self._all.values() if one.dataset_id in datasets and one.state(now) == _READY)
        return [one.text for one in ready if one.text]

    async def _accept(self, request: Request, caller: Caller, dataset: str) -> Response:
        form = await Form.read(request)
        now = self._clock()
        file_id = f"file_{secrets.token_hex(12)}"
        stored = StoredFile(
            id=file_id,
            owner=caller.name,
            filename=form.filename,
            size=len(form.content),
            text=read_text(form.content),
            dataset_id=dataset,
            created_at=int(time.time()),
            accepted=now,
        )
        self._all[file_id] = stored
        return JSONResponse(stored.answer(now), 202)
