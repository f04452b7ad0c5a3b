"""A rehearsal: the checks run as they would, and nothing is sent. It tells what a plan will cost.

Each request gets the answer that lets its check go on: what a conforming tenant would say in short.
"""

import json
from typing import Any

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
        """Nothing to let go of."""

    def _response(self, request: Request) -> Response:
        path = request.url.removeprefix(self._tenant.base_url)
        key = self._tenant.credentials.get(request.key or "")
        if key is None or key.revoked or request.presentation is not Presentation.BEARER:
            return _json(401, _REFUSAL)
        route = next((route for route in Route if path in {route.path, route.path.removeprefix("/v1")}), None)
        if (
            route is None
            and path.startswith(("/v1/files/", "/v1/uploads/", "/v1/datasets/"))
            and request.method != "DELETE"
        ):
            route = Route.DATASET_FILES if "datasets" in path else Route.FILE_STATUS
        if path == "/v1/conversations":
            return _json(201, {"id": f"conversation-{key.name}"}, {CONVERSATION_HEADER: f"conversation-{key.name}"})
        if route is None or key.may(route) is False or request.method != route.method:
            return _json(404, _REFUSAL)
        return self._success(route, request, self._names[key.name])

    def _success(self, route: Route, request: Request, names: list[str]) -> Response:
        try:
            body = json.loads(request.body) if request.body else {}
        except ValueError:
            return _json(400, _REFUSAL)
        if route is Route.CHAT:
            return _chat(body)
        if route is Route.EMBEDDINGS:
            texts = body.get("input") or []
            vectors = [[1.0, float(sum(map(ord, str(text))) % 97)] for text in texts]
            data = [{"object": "embedding", "index": n, "embedding": vector} for n, vector in enumerate(vectors)]
            return _json(200, {"object": "list", "model": body.get("model"), "data": data})
        if route is Route.SPEECH:
            return Response(200, (("content-type", "audio/wav"),), b"RIFF\0\0\0\0WAVE")
        answers: dict[Route, Any] = {
            Route.MODELS: {"object": "list", "data": [{"id": name, "object": "model"} for name in names]},
            Route.TRANSCRIPTIONS: {"text": "ok"},
            Route.IMAGES: {"created": 1, "data": [{"url": "https://rehearsed.invalid/image.png"}]},
            Route.CONVERSATION_FILES: {"id": "rehearsed-file", "status": "uploaded"},
            Route.DATASET_FILES: {"id": "rehearsed-file", "status": "uploaded"},
            Route.FILE_STATUS: {"id": "rehearsed-file", "status": "ready"},
        }
        return _json(200, answers[route])


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
