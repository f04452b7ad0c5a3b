"""Requests to the embedded tenant, with its keys by their names."""

import json
from collections.abc import Iterator
from typing import Any, Protocol

import httpx

from gt_sandbox import EmbeddedTenant

HI = [{"role": "user", "content": "Reply with the word pong."}]
CHAT: dict[str, Any] = {"model": "field-analyst", "messages": HI}
MODEL = "field-analyst"
HEADER = "X-GT-Conversation-Id"
NOTE = {"file": ("note.txt", b"a note", "text/plain")}


class Ask(Protocol):
    """``ask(key, method, path, ...)``: one request with the key of that name, or with none."""

    def __call__(self, key: str | None, method: str, path: str, **options: Any) -> httpx.Response:
        """Send it, and return the answer."""
        ...


def start_tenant() -> Iterator[EmbeddedTenant]:
    """One tenant for the whole module: no test depends on what another has left there."""
    with EmbeddedTenant() as running:
        yield running


def opened_client(tenant: EmbeddedTenant) -> Iterator[Ask]:
    """Requests below /v1; a path that begins with ``~`` is taken from the base URL itself."""
    with httpx.Client(trust_env=False) as client:

        def ask(key: str | None, method: str, path: str, **options: Any) -> httpx.Response:
            headers = dict(options.pop("headers", {}))
            if key:
                headers["Authorization"] = "Bearer " + tenant.secrets["GT_EMBEDDED_" + key.upper().replace("-", "_")]
            url = tenant.base_url + (path[1:] if path.startswith("~") else "/v1" + path)
            return client.request(method, url, headers=headers, **options)

        yield ask


def is_error(answer: httpx.Response, status: int, param: str | None = None) -> bool:
    """Whether the answer is OpenAI's error object with that status, naming that field."""
    error = answer.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert error["message"]
    return answer.status_code == status and (param is None or error["param"] == param)


def events(answer: httpx.Response) -> list[Any]:
    """The chunks of a stream whose framing is exactly what the narrowest client takes."""
    assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert answer.headers["cache-control"] == "no-cache"
    assert "\r" not in answer.text
    *data, done, rest = answer.text.split("\n\n")
    assert (done, rest) == ("data: [DONE]", "")
    return [json.loads(event.removeprefix("data: ")) for event in data]
