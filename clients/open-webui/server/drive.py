"""Open WebUI's server, with the runbook's settings: its first user sees the models, chats, and adds a document."""

import json
import os
import secrets
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx
from said import BASE_URL, KEY, MODEL, call, model

START_S = 150
TIMEOUT_S = 60
PAUSE_S = 0.5
MESSAGES = [{"role": "user", "content": "Say hello in one word."}]
ASKED = {"messages": 1, "max_tokens": 16}
SETTINGS = {
    "OPENAI_API_BASE_URL": BASE_URL,
    "OPENAI_API_KEY": KEY,
    "RAG_EMBEDDING_ENGINE": "openai",
    "RAG_OPENAI_API_BASE_URL": BASE_URL,
    "RAG_OPENAI_API_KEY": KEY,
    "RAG_EMBEDDING_MODEL": model("embeddings"),
    "ENABLE_OLLAMA_API": "False",
    "WEBUI_SECRET_KEY": secrets.token_hex(16),
    "DATA_DIR": f"{os.environ['TMPDIR']}/data",
}


def free_port() -> int:
    """A port of loopback that nobody has."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


PORT = free_port()
http = httpx.Client(base_url=f"http://127.0.0.1:{PORT}", timeout=TIMEOUT_S)


def asked(method: str, path: str, **given: Any) -> httpx.Response:
    """What the server answers. Raises RuntimeError with its words where it refuses."""
    answer = http.request(method, path, **given)
    if not answer.is_success:
        raise RuntimeError(f"HTTP {answer.status_code}: {answer.text}")
    return answer


def wait_until_it_listens(server: subprocess.Popen[bytes]) -> None:
    """Wait for the server. Ends the driver where it does not come up in time."""
    deadline = time.monotonic() + START_S
    while server.poll() is None and time.monotonic() < deadline:
        try:
            asked("GET", "/health")
        except (httpx.TransportError, RuntimeError):
            time.sleep(PAUSE_S)
        else:
            return
    sys.exit("the server did not come up")


def sign_up() -> None:
    """Be the first user, who is its administrator."""
    user = {"name": "gt", "email": "gt@example.com", "password": secrets.token_hex(16)}
    token = asked("POST", "/api/v1/auths/signup", json=user).json()["token"]
    http.headers["Authorization"] = f"Bearer {token}"


def picker() -> list[str]:
    """The names in the model picker."""
    return [str(entry["id"]) for entry in asked("GET", "/api/models").json()["data"]]


def whole(path: str = "/api/chat/completions", **fields: Any) -> str:
    """The text of a chat, or of what is asked behind one."""
    answer = asked("POST", path, json={"model": MODEL, "messages": MESSAGES, **fields}).json()
    return str(answer["choices"][0]["message"]["content"])


def streamed() -> str:
    """The text of a streamed chat, put together."""
    body = {"model": MODEL, "messages": MESSAGES, "max_tokens": 16, "stream": True}
    lines = [
        line.removeprefix("data: ") for line in asked("POST", "/api/chat/completions", json=body).text.splitlines()
    ]
    chunks = [json.loads(line) for line in lines if line.startswith("{")]
    return "".join(choice["delta"].get("content") or "" for chunk in chunks for choice in chunk.get("choices", []))


def added() -> str:
    """What became of a document that was added, which is embedded on the way. Raises RuntimeError where it failed."""
    place = "/api/v1/files/" + asked("POST", "/api/v1/files/", files={"file": ("one.txt", b"one")}).json()["id"]
    while (state := asked("GET", f"{place}/process/status").json()["status"]) in {"pending", "processing"}:
        time.sleep(PAUSE_S)
    if state != "completed":
        raise RuntimeError(f"{state}: {asked('GET', place).json()['data'].get('error')}")
    return str(state)


program = str(Path(sys.executable).parent / "open-webui")
command = [program, "serve", "--host", "127.0.0.1", "--port", str(PORT)]
started = subprocess.Popen(command, stdout=2, env={**os.environ, **SETTINGS})  # noqa: S603 - the client itself
try:
    wait_until_it_listens(started)
    sign_up()
    call("GET /api/models", "models", {}, picker)
    call("POST /api/chat/completions", "chat", ASKED, lambda: whole(max_tokens=16))
    call("POST /api/chat/completions (stream)", "chat", {**ASKED, "stream": True}, streamed)
    title = "/api/v1/tasks/title/completions"
    call(f"POST {title}", "chat", {"messages": 1}, lambda: whole(title))
    call("POST /api/v1/files/", "embeddings", {"text": "one"}, added)
finally:
    started.terminate()
    started.wait(TIMEOUT_S)
