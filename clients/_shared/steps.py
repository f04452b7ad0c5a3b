"""The explicit HTTP steps of a runbook, sent as they are written there, with nothing but an HTTP connection.

Reads GT_STEPS (JSON: a list of {route, send, headers, body, poll, key}), GT_BASE_URL, GT_MODEL, GT_DATASET and
GT_POLL_S from its environment. One JSON line for each request, as every driver prints them; a poll is one line.
"""

import http.client
import json
import os
import time
import uuid
from typing import Any
from urllib.parse import quote, urlsplit

_PAUSE_S = 0.25
_LONGEST_PAUSE_S = 5.0
_LONGEST = 2_000
_TIMEOUT_S = 60
_READY = "ready"
_OVER = {_READY, "failed"}


def main() -> None:
    """Send the steps, each with what the ones before it gave."""
    known: dict[str, str] = {}
    for step in json.loads(os.environ["GT_STEPS"]):
        returned, raised = None, None
        try:
            returned = taken(step, known)
        except Exception as error:
            raised = {"type": type(error).__name__, "message": str(error)[:_LONGEST]}
        line = {"call": step["send"], "route": step["route"], "asked": {"poll": step["poll"]}}
        print(json.dumps({**line, "returned": returned, "raised": raised}), flush=True)


def taken(step: dict[str, Any], known: dict[str, str]) -> str:
    """What a step gave: names, an id, or the state in which polling ended. Raises ValueError where it gave none."""
    deadline = time.monotonic() + float(os.environ["GT_POLL_S"])
    pause = _PAUSE_S
    while True:
        headers, body = sent(step, known)
        if step["send"] == "GET /v1/models":
            return ", ".join(item["id"] for item in body["data"])
        if not step["send"].startswith("GET "):
            return kept(step["send"], headers, body, known)
        state = found(body, ("processing_status", "processing_state", "status", "state"), ("file", "data")).lower()
        if state in _OVER or not step["poll"]:
            if state != _READY:
                raise ValueError(f"the file is {state or 'in no state'}")
            return state
        if time.monotonic() > deadline:
            raise ValueError(f"the file is still {state or 'in no state'} after {os.environ['GT_POLL_S']} s")
        time.sleep(pause)
        pause = min(2 * pause, _LONGEST_PAUSE_S)


def sent(step: dict[str, Any], known: dict[str, str]) -> tuple[dict[str, str], Any]:
    """One request and the answer's headers and body. Raises ValueError for anything but a 2xx with a JSON object."""
    method, _, path = step["send"].partition(" ")
    place = os.environ["GT_DATASET"] if "/datasets/" in path else known.get("file_id", "")
    base = urlsplit(os.environ["GT_BASE_URL"])
    values = {"api_key": step["key"], "alias": os.environ["GT_MODEL"], **known}
    headers = {name: filled(value, values) for name, value in step["headers"].items()}
    body = None
    if step["body"].startswith("JSON: "):
        body = filled(step["body"].removeprefix("JSON: "), values).encode()
    elif step["body"].startswith("multipart"):
        kind, body = form()
        headers["Content-Type"] = kind
    connection = http.client.HTTPConnection(base.hostname or "", base.port, timeout=_TIMEOUT_S)
    try:
        connection.request(method, base.path + path.replace("{id}", quote(place, safe="")), body, headers)
        answer = connection.getresponse()
        text = answer.read().decode("utf-8", errors="replace")
    finally:
        connection.close()
    if answer.status // 100 != 2:
        raise ValueError(f"HTTP {answer.status}: {text[:_LONGEST]}")
    return {name.lower(): value for name, value in answer.getheaders()}, json.loads(text)


def kept(send: str, headers: dict[str, str], body: Any, known: dict[str, str]) -> str:
    """The id that a creation gave, kept for the steps that follow."""
    if send.endswith("/conversations"):
        inner = found(body, ("conversation_id", "id"), ("conversation", "data"))
        known["conversation_id"] = headers.get("x-gt-conversation-id") or inner
        return known["conversation_id"]
    file_id = found(body, ("file_id", "upload_id", "id"), ("file", "data"))
    if not file_id:
        raise ValueError("the answer holds no file id")
    known["file_id"] = file_id
    return file_id


def found(body: Any, names: tuple[str, ...], places: tuple[str, ...]) -> str:
    """The first text of these names in one of the inner objects, else in the body: an envelope speaks of itself."""
    inner = [body.get(place) for place in places] if isinstance(body, dict) else []
    for where in (*inner, body):
        for name in names:
            if isinstance(where, dict) and where.get(name):
                return str(where[name])
    return ""


def filled(text: str, values: dict[str, str]) -> str:
    """The text with its placeholders filled in. Raises ValueError for one that no step before it gave."""
    for name, value in values.items():
        text = text.replace("{" + name + "}", value)
    if "{conversation_id}" in text:
        raise ValueError("no step before it gave a conversation id")
    return text


def form() -> tuple[str, bytes]:
    """A multipart form with one tiny file."""
    mark = uuid.uuid4().hex
    name = os.environ["GT_FILE"]
    described = f'Content-Disposition: form-data; name="file"; filename="{name}"\r\nContent-Type: text/plain'
    head = f"--{mark}\r\n{described}\r\n\r\n"
    return f"multipart/form-data; boundary={mark}", f"{head}gt-conformance\r\n--{mark}--\r\n".encode()


if __name__ == "__main__":
    main()
