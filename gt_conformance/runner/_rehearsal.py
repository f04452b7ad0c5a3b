"""A rehearsal: the checks run as they would, and nothing is sent. It shows what a plan will cost.

Each request gets the answer that lets its check go on: what a conforming tenant would say in short. The answers come in
rounds: all that wait get theirs once nothing is left to do without one. So the rounds are the longest chain of requests
that wait for one another, whatever the checks await, and no clock runs.
"""

import asyncio
import base64
import hashlib
import json
import selectors
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, assert_never
from urllib.parse import quote, unquote

from gt_conformance.exchange import Arrival, Exchange, Presentation, Request, Response
from gt_conformance.runner._pacing import Pace
from gt_conformance.runner._sender import Sender
from gt_conformance.tenant import Credential, Limits, Tenant
from gt_conformance.vocabulary import CONVERSATION_HEADER, Modality, Purpose, Route


@dataclass(frozen=True)
class Cost:
    """What carrying a plan out takes on a conforming tenant: these exchanges, so many of which wait for one another."""

    exchanges: tuple[Exchange, ...]
    longest_chain: int

    @property
    def requests(self) -> int:
        """How many are sent, at least."""
        return len(self.exchanges)

    @property
    def refusals(self) -> int:
        """How many of them are refused with a 4xx."""
        return sum(one.response is not None and one.response.refused for one in self.exchanges)

    def least_s(self, limits: Limits, latency_s: float) -> float:
        """The least time that the run takes where each answer takes so long and nothing else does."""
        together = latency_s * self.requests / limits.concurrency
        paced = Pace(limits.requests_per_minute).interval_s * self.requests
        return max(together, paced, latency_s * self.longest_chain)


_ANSWERED_MS = 1.0
"""How long a rehearsed answer takes: it is counted where the operator promises how fast the tenant is."""
_FILES = ("dataset-file", "conversation-file")
_IN_DATASET = "what is in the dataset"
_REFUSAL = {"error": {"message": "rehearsed", "type": "invalid_request_error", "param": None, "code": None}}


class Rehearsal(Sender):
    """Answers from memory. The number of requests is the least that a conforming tenant takes: polls may add some.

    ``rounds`` has the references of the exchanges by the round in which they were answered.
    """

    def __init__(self, tenant: Tenant) -> None:
        self._tenant = tenant
        self._names = {key.name: sorted(key.models or {tenant.model(Modality.CHAT)}) for key in tenant.live_credentials}
        named = (key.datasets or () for key in tenant.credentials.values())
        self._datasets = {tenant.dataset, *tenant.other_datasets}.union(*named)
        self._told: dict[str, list[str]] = {}
        self._waiting: list[tuple[str, asyncio.Event]] = []
        self.rounds: list[tuple[str, ...]] = []

    @property
    def longest_chain(self) -> int:
        """How many requests wait for one another, at most."""
        return len(self.rounds)

    def new_loop(self) -> asyncio.AbstractEventLoop:
        """A loop that answers what waits whenever it would sleep."""
        return asyncio.SelectorEventLoop(_Idleness(self._answer))

    async def send(self, request: Request, ref: str) -> Exchange:
        """The rehearsed exchange."""
        answered = asyncio.Event()
        self._waiting.append((ref, answered))
        await answered.wait()
        response = replace(self._response(request), head_ms=_ANSWERED_MS)
        return Exchange(ref, request, response, _ANSWERED_MS, started_ms=0.0)

    def _answer(self) -> bool:
        waiting, self._waiting = self._waiting, []
        if waiting:
            self.rounds.append(tuple(ref for ref, _ in waiting))
        for _, answered in waiting:
            answered.set()
        return bool(waiting)

    async def close(self) -> None:
        """Nothing to close."""

    def _response(self, request: Request) -> Response:
        path = request.url.removeprefix(self._tenant.base_url)
        key = self._tenant.credentials.get(request.key or "")
        if key is None or key.revoked or request.presentation is not Presentation.BEARER:
            return _json(401, _REFUSAL)
        versioned = path if path.startswith("/v1/") else f"/v1{path}"
        try:
            body = json.loads(request.body) if request.body else {}
        except ValueError:
            return _json(400, _REFUSAL)
        if versioned == "/v1/conversations":
            return self._open_conversation(key, body)
        route = Route.at(versioned.replace("/v1/uploads/", "/v1/files/"))
        if route is None or request.method != route.method:
            return _json(404, _REFUSAL)
        parts = {part.name: part.content.decode(errors="replace") for part in request.parts}
        conversation = dict(request.headers).get(CONVERSATION_HEADER)
        filename = next((part.filename for part in request.parts if part.filename), None)
        asked = _Asked(versioned.split("/"), key, body or parts, conversation, filename)
        return self._success(route, asked) if self._is_due(route, asked) else _json(403, _REFUSAL)

    def _open_conversation(self, key: Credential, body: dict[str, Any]) -> Response:
        if key.purpose is Purpose.UPLOAD or not self._is_usable(key, body):
            return _json(403, _REFUSAL)
        opened = f"conversation-{key.name}"
        return _json(201, {"id": opened}, {CONVERSATION_HEADER: opened})

    def _is_due(self, route: Route, asked: "_Asked") -> bool:
        """Whether the tenant owes this key an answer: its scopes, names, dataset, conversation, file."""
        if asked.key.may(route) is False:
            return False
        match route:
            case Route.MODELS:
                return True
            case Route.CHAT | Route.EMBEDDINGS | Route.TRANSCRIPTIONS | Route.SPEECH | Route.IMAGES:
                return self._is_usable(asked.key, asked.body) and (
                    asked.conversation is None or self._is_shared("conversation", asked.conversation, asked.key)
                )
            case Route.CONVERSATION_FILES:
                return self._is_shared("conversation", asked.conversation or "", asked.key)
            case Route.DATASET_FILES:
                dataset = unquote(asked.path[3])
                return dataset in self._datasets and asked.key.may_write(dataset) is not False
            case Route.FILE_STATUS:
                in_dataset = asked.path[3].startswith("dataset-file-")
                writes = in_dataset and asked.key.may_write(self._tenant.dataset or "") is not False
                return writes or any(self._is_shared(kind, asked.path[3], asked.key) for kind in _FILES)
            case _:
                assert_never(route)

    def _is_usable(self, key: Credential, body: Mapping[str, Any]) -> bool:
        name = body.get("model")
        known = name in self._tenant.models.values() or name in (key.models or ())
        return isinstance(name, str) and known and key.may_use(name) is not False

    def _is_shared(self, kind: str, made: str, key: Credential) -> bool:
        """Whether what is named so was made by that key, or by one that it is linked to."""
        owner = self._tenant.credentials.get(made.removeprefix(f"{kind}-").partition(".")[0])
        if owner is None or not made.startswith(f"{kind}-"):
            return False
        return not {owner.name, *owner.inherits}.isdisjoint({key.name, *key.inherits})

    def _success(  # noqa: PLR0911 - one answer for each route
        self, route: Route, asked: "_Asked"
    ) -> Response:
        match route:
            case Route.MODELS:
                names = self._names[asked.key.name]
                return _json(200, {"object": "list", "data": [{"id": name, "object": "model"} for name in names]})
            case Route.CHAT:
                return self._chat(asked)
            case Route.EMBEDDINGS:
                return _embeddings(asked.body)
            case Route.TRANSCRIPTIONS:
                # Another text for another file.
                return _json(200, {"text": str(asked.body["file"])}) if "file" in asked.body else _json(400, _REFUSAL)
            case Route.SPEECH:
                return Response(
                    200, (("content-type", "audio/wav"),), b"RIFF\0\0\0\0WAVE" + str(asked.body.get("input")).encode()
                )
            case Route.IMAGES:
                url = f"https://rehearsed.invalid/{quote(str(asked.body.get('prompt')))}.png"
                drawn = {"created": 1, "data": [{"url": url}]}
                return _json(200, drawn) if "prompt" in asked.body else _json(400, _REFUSAL)
            case Route.CONVERSATION_FILES:
                return self._upload("conversation-file", asked.conversation or "", asked)
            case Route.DATASET_FILES:
                return self._upload("dataset-file", _IN_DATASET, asked)
            case Route.FILE_STATUS:
                return _json(200, {"id": asked.path[3], "status": "ready"})
            case _:
                assert_never(route)

    def _chat(self, asked: "_Asked") -> Response:
        """A model that repeats what it was told, in this conversation as well: so it knows whatever it is asked for."""
        messages = asked.body.get("messages")
        if not isinstance(messages, list) or not all(isinstance(one, dict) and one.get("role") for one in messages):
            return _json(400, _REFUSAL)
        if not messages:
            return _json(400, _REFUSAL)
        told = [str(message.get("content")) for message in messages]
        marked = (asked.key.prompt_modules, asked.key.prompt_text, *self._tenant.base_prompts.values())
        told += [marker.expect for marker in marked if marker is not None]
        if asked.conversation is not None:
            told = [*self._told.get(asked.conversation, []), *told]
            self._told[asked.conversation] = told
        if self._tenant.dataset_attached and asked.key.may_write(self._tenant.dataset or ""):
            told = [*self._told.get(_IN_DATASET, []), *told]
        return _chat(asked.body, " ".join(told))

    def _upload(self, kind: str, into: str, asked: "_Asked") -> Response:
        """A file whose id tells whose it is, and of which kind where it is no text: of both a chat knows the text."""
        _, dot, ending = (asked.filename or "").partition(".")
        if ending in {"txt", "pdf"}:
            self._told.setdefault(into, []).append(str(asked.body.get("file"))[:_LONGEST_TEXT])
        if ending == "txt":
            dot = ending = ""
        return _json(200, {"id": f"{kind}-{asked.key.name}{dot}{ending}", "status": "uploaded"})


@dataclass(frozen=True)
class _Asked:
    """What a request asks for: its path, its key, the fields of its body, the conversation and the file in it."""

    path: list[str]
    key: Credential
    body: Mapping[str, Any]
    conversation: str | None
    filename: str | None


_LONGEST_TEXT = 10_000
"""What a file says stands in so many of its first characters; a PDF has more, which says nothing."""


class _Idleness(selectors.DefaultSelector):
    """Calls a function whenever the event loop would wait; where that gave it something to do, it does not wait."""

    def __init__(self, when_idle: Callable[[], bool]) -> None:
        super().__init__()
        self._when_idle = when_idle

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """What is ready to be read or written."""
        if (timeout is None or timeout > 0) and self._when_idle():
            timeout = 0
        return super().select(timeout)


def _embeddings(body: Mapping[str, Any]) -> Response:
    inputs = body.get("input")
    texts = inputs if isinstance(inputs, list) else [inputs]
    if not inputs:
        return _json(400, _REFUSAL)
    vectors = [[byte / 255 - 0.5 for byte in hashlib.sha256(repr(text).encode()).digest()[:8]] for text in texts]
    encoded: list[Any] = list(vectors)
    if body.get("encoding_format") == "base64":
        encoded = [base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode() for vector in vectors]
    data = [{"object": "embedding", "index": number, "embedding": vector} for number, vector in enumerate(encoded)]
    usage = {"prompt_tokens": 1, "total_tokens": 1}
    return _json(200, {"object": "list", "model": body.get("model"), "data": data, "usage": usage})


def _chat(body: Mapping[str, Any], known: str) -> Response:
    tool = next(iter(body.get("tools") or []), None)
    answered = body["messages"][-1].get("role") == "tool"
    wants_tool = tool is not None and body.get("tool_choice") is not None and not answered
    wants_json = body.get("response_format") is not None or '{"answer"' in known
    message: dict[str, Any] = {"role": "assistant", "content": '{"answer":"ok"}' if wants_json else f"ok: {known}"}
    if wants_tool and tool is not None:
        required = tool["function"].get("parameters", {}).get("required", [])
        function = {"name": tool["function"]["name"], "arguments": json.dumps(dict.fromkeys(required, "Oslo"))}
        call = {"id": "call_1", "type": "function", "function": function}
        message = {"role": "assistant", "content": None, "tool_calls": [call]}
    finish = "tool_calls" if wants_tool else "stop"
    said = {"id": "rehearsed", "created": 1, "model": body.get("model")}
    usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
    if not body.get("stream"):
        choice = {"index": 0, "message": message, "finish_reason": finish}
        return _json(200, {**said, "object": "chat.completion", "choices": [choice], "usage": usage})
    calls = [{"index": number, **call} for number, call in enumerate(message.get("tool_calls") or [])]
    delta = {"tool_calls": calls} if calls else {"content": message["content"]}
    choices: list[list[dict[str, Any]]] = [
        [{"index": 0, "delta": {"role": "assistant"}, "finish_reason": None}],
        [{"index": 0, "delta": delta, "finish_reason": None}],
        [{"index": 0, "delta": {}, "finish_reason": finish}],
    ]
    chunks = [{**said, "object": "chat.completion.chunk", "choices": one} for one in choices]
    chunks.append({**said, "object": "chat.completion.chunk", "choices": [], "usage": usage})
    text = "".join([*(f"data: {json.dumps(chunk)}\n\n" for chunk in chunks), "data: [DONE]\n\n"]).encode()
    return Response(200, (("content-type", "text/event-stream"),), text, (Arrival(0.0, len(text)),))


def _json(status: int, body: Any, headers: dict[str, str] | None = None) -> Response:
    named = tuple((name.lower(), value) for name, value in (headers or {}).items())
    return Response(status, (("content-type", "application/json"), *named), json.dumps(body).encode())
