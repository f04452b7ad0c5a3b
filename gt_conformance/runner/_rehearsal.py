"""A rehearsal: the checks run as they would, and nothing is sent. It shows what a plan will cost.

Each request gets the answer that lets its check go on: what a conforming tenant would say in short.
"""

import json
from typing import Any, assert_never

from gt_conformance.exchange import Arrival, Exchange, Presentation, Request, Response
from gt_conformance.runner._sender import Sender
from gt_conformance.tenant import Tenant
from gt_conformance.vocabulary import CONVERSATION_HEADER, Modality, Route

_REFUSAL = {"error": {"message": "rehearsed", "type": "invalid_request_error", "param": None, "code": None}}


class Rehearsal(Sender):
    """Answers from memory. The number of requests is the least that a conforming tenant takes: polls may add some."""

    def __init__(self, tenant: Tenant) -> None:
        self._tenant = tenant
        self._names = {key.name: sorted(key.models or {tenant.model(Modality.CHAT)}) for key in tenant.live_credentials}

    async def send(self, request: Request, ref: str) -> Exchange:
        """The rehearsed exchange."""
        return Exchange(ref, request, self._response(request), 0.0)

    async def close(self) -> None:
        """Nothing to close."""

    def _response(self, request: Request) -> Response:
        path = request.url.removeprefix(self._tenant.base_url)
        key = self._tenant.credentials.get(request.key or "")
        if key is None or key.revoked or request.presentation is not Presentation.BEARER:
            return _json(401, _REFUSAL)
        if path == "/v1/conversations":
            return _json(201, {"id": f"conversation-{key.name}"}, {CONVERSATION_HEADER: f"conversation-{key.name}"})
        versioned = path if path.startswith("/v1/") else f"/v1{path}"
        route = Route.at(versioned.replace("/v1/uploads/", "/v1/files/"))
        if route is None or key.may(route) is False or request.method != route.method:
            return _json(404, _REFUSAL)
        return self._success(route, request, self._names[key.name])

    def _success(  # noqa: PLR0911 - one answer for each route
        self, route: Route, request: Request, names: list[str]
    ) -> Response:
        try:
            body = json.loads(request.body) if request.body else {}
        except ValueError:
            return _json(400, _REFUSAL)
        match route:
            case Route.MODELS:
                return _json(200, {"object": "list", "data": [{"id": name, "object": "model"} for name in names]})
            case Route.CHAT:
                return _chat(body)
            case Route.EMBEDDINGS:
                return _embeddings(body)
            case Route.TRANSCRIPTIONS:
                return _json(200, {"text": "ok"})
            case Route.SPEECH:
                return Response(200, (("content-type", "audio/wav"),), b"RIFF\0\0\0\0WAVE")
            case Route.IMAGES:
                return _json(200, {"created": 1, "data": [{"url": "https://rehearsed.invalid/image.png"}]})
            case Route.CONVERSATION_FILES | Route.DATASET_FILES:
                return _json(200, {"id": "rehearsed-file", "status": "uploaded"})
            case Route.FILE_STATUS:
                return _json(200, {"id": "rehearsed-file", "status": "ready"})
            case _:
                assert_never(route)


def _embeddings(body: dict[str, Any]) -> Response:
    vectors = [[1.0, float(sum(map(ord, str(text))) % 97)] for text in body.get("input") or []]
    data = [{"object": "embedding", "index": number, "embedding": vector} for number, vector in enumerate(vectors)]
    return _json(200, {"object": "list", "model": body.get("model"), "data": data})


def _chat(body: dict[str, Any]) -> Response:
    tool = next(iter(body.get("tools") or []), None)
    wants_tool = tool is not None and body.get("tool_choice") is not None
    message: dict[str, Any] = {"role": "assistant", "content": "ok"}
    if wants_tool and tool is not None:
        call = {"id": "call_1", "type": "function", "function": {"name": tool["function"]["name"], "arguments": "{}"}}
        message = {"role": "assistant", "content": None, "tool_calls": [call]}
    if not body.get("stream"):
        choice = {"index": 0, "message": message, "finish_reason": "tool_calls" if wants_tool else "stop"}
        return _json(200, {"object": "chat.completion", "model": body.get("model"), "choices": [choice]})
    deltas: list[dict[str, Any]] = [{"role": "assistant", "content": "1"}, {"content": "2"}]
    chunks: list[dict[str, Any]] = [
        {"choices": [{"index": 0, "delta": delta, "finish_reason": None}]} for delta in deltas
    ]
    chunks.append({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
    lines = [f"data: {json.dumps(chunk)}\n\n" for chunk in chunks]
    text = "".join([*lines, "data: [DONE]\n\n"]).encode()
    return Response(200, (("content-type", "text/event-stream"),), text, (Arrival(0.0, len(text)),))


def _json(status: int, body: Any, headers: dict[str, str] | None = None) -> Response:
    named = tuple((name.lower(), value) for name, value in (headers or {}).items())
    return Response(status, (("content-type", "application/json"), *named), json.dumps(body).encode())
