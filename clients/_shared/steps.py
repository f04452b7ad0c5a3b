"""The explicit HTTP steps of a runbook, sent as they are written there, and what each gives to those after it.

Reads GT_STEPS (JSON: a list of {route, send, headers, body, poll, key}), GT_BASE_URL, GT_MODEL, GT_DATASET, GT_FILE and
GT_POLL_S from its environment. One JSON line for each request, as every driver prints them; a poll is one line.

GT_SENDER (JSON: a command) names a product's program that sends each request (sending.py, sending.mjs), but for forms
where GT_NO_FORMS says why it cannot. Without it they are sent with nothing but an HTTP connection.
"""

import http.client
import json
import os
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote, urlsplit

from sending import Answer, File, Request

_PAUSE_S = 0.25
_LONGEST_PAUSE_S = 5.0
_LONGEST = 2_000
_LONGEST_LINE = 1_000_000
_TIMEOUT_S = 60
_READY = "ready"
_OVER = {_READY, "failed"}

Send = Callable[[Request], Answer]


class NotSentError(Exception):
    """A step that could not be sent, since one before it did not give what it needs."""


class SaidError(Exception):
    """What a product raised: its own name for it, and its own words."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


def main() -> None:
    """Send the steps, each with what the ones before it gave."""
    known: dict[str, str] = {}
    with sender() as send:
        for step in json.loads(os.environ["GT_STEPS"]):
            returned, raised = None, None
            try:
                returned = taken(step, known, send)
            except Exception as error:
                kind = error.kind if isinstance(error, SaidError) else type(error).__name__
                raised = {"type": kind, "message": str(error)[:_LONGEST]}
            line = {"call": step["send"], "route": step["route"], "asked": {"poll": step["poll"]}}
            print(json.dumps({**line, "returned": returned, "raised": raised}), flush=True)


def taken(step: dict[str, Any], known: dict[str, str], send: Send) -> str:
    """What a step gave: names, an id, or the state in which polling ended. Raises ValueError where it gave none."""
    deadline = time.monotonic() + float(os.environ["GT_POLL_S"])
    pause = _PAUSE_S
    request = written(step, known)
    while True:
        answer = send(request)
        if answer.status // 100 != 2:
            raise ValueError(f"HTTP {answer.status}: {answer.text[:_LONGEST]}")
        body = json.loads(answer.text)
        if step["send"] == "GET /v1/models":
            return ", ".join(item["id"] for item in body["data"])
        if not step["send"].startswith("GET "):
            return kept(step["send"], answer.headers, body, known)
        state = found(body, ("processing_status", "processing_state", "status", "state"), ("file", "data")).lower()
        if state in _OVER or not step["poll"]:
            if state != _READY:
                raise ValueError(f"the file is {state or 'in no state'}")
            return state
        if time.monotonic() > deadline:
            raise ValueError(f"the file is still {state or 'in no state'} after {os.environ['GT_POLL_S']} s")
        time.sleep(pause)
        pause = min(2 * pause, _LONGEST_PAUSE_S)


def written(step: dict[str, Any], known: dict[str, str]) -> Request:
    """The request that a step describes. Raises NotSentError where a step before it did not give what it needs."""
    method, _, path = step["send"].partition(" ")
    base = os.environ["GT_BASE_URL"]
    values = {"api_key": step["key"], "alias": os.environ["GT_MODEL"], **known}
    if "/datasets/" in path:
        path = path.replace("{id}", quote(os.environ["GT_DATASET"], safe=""))
    elif "{id}" in path:
        if "file_id" not in known:
            raise NotSentError("no step before it gave a file id")
        path = path.replace("{id}", quote(known["file_id"], safe=""))
    if method == "POST":
        known.pop("file_id", None)  # what is uploaded now has an id of its own
    body = step["body"]
    return Request(
        method,
        base + path,
        {name: filled(value, values) for name, value in step["headers"].items()},
        json=filled(body.removeprefix("JSON: "), values) if body.startswith("JSON: ") else None,
        file=File(os.environ["GT_FILE"], "gt-conformance\n", "text/plain") if body.startswith("multipart") else None,
    )


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
    """The text with its placeholders filled in. Raises NotSentError for one that no step before it gave."""
    for name, value in values.items():
        if value:
            text = text.replace("{" + name + "}", value)
    if "{conversation_id}" in text:
        raise NotSentError("no step before it gave a conversation id")
    return text


# --- who sends --------------------------------------------------------------------------------------------------------


@contextmanager
def sender() -> Iterator[Send]:
    """What sends a request: the product's program while this lasts, else a plain connection."""
    command = json.loads(os.environ.get("GT_SENDER", "null"))
    if command is None:
        yield plainly
        return
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as program:  # noqa: S603 - the client's own
        yield lambda request: handed_over(program, request)
        if program.stdin is not None:
            program.stdin.close()


def handed_over(program: "subprocess.Popen[str]", request: Request) -> Answer:
    """What the product made of a request. Raises SaidError with what it raised, ValueError where it has ended."""
    if request.file is not None and os.environ["GT_NO_FORMS"]:
        return plainly(request)
    if program.stdin is None or program.stdout is None:
        raise ValueError("the product's program has no input or no output")
    program.stdin.write(request.line())
    program.stdin.flush()
    while line := program.stdout.readline(_LONGEST_LINE):
        try:
            said = json.loads(line)
            answer, raised = said["answer"], said["raised"]
        except (ValueError, TypeError, KeyError):
            print(line, end="", flush=True)  # the product's own words
            continue
        if raised is not None:
            raise SaidError(raised["type"], raised["message"])
        return Answer(
            answer["status"], {name.lower(): text for name, text in answer["headers"].items()}, answer["text"]
        )
    raise ValueError(f"the product's program ended with exit code {program.wait()}")


def plainly(request: Request) -> Answer:
    """One request over a connection of its own."""
    base = urlsplit(request.url)
    headers, body = dict(request.headers), None
    if request.json is not None:
        body = request.json.encode()
    elif request.file is not None:
        headers["Content-Type"], body = form(request.file)
    connection = http.client.HTTPConnection(base.hostname or "", base.port, timeout=_TIMEOUT_S)
    try:
        connection.request(request.method, base.path, body, headers)
        answer = connection.getresponse()
        text = answer.read().decode("utf-8", errors="replace")
    finally:
        connection.close()
    return Answer(answer.status, {name.lower(): value for name, value in answer.getheaders()}, text)


def form(file: File) -> tuple[str, bytes]:
    """A multipart form with one tiny file."""
    mark = uuid.uuid4().hex
    described = f'Content-Disposition: form-data; name="file"; filename="{file.name}"\r\nContent-Type: {file.kind}'
    return (
        f"multipart/form-data; boundary={mark}",
        f"--{mark}\r\n{described}\r\n\r\n{file.content}\r\n--{mark}--\r\n".encode(),
    )


if __name__ == "__main__":
    main()
