"""LiteLLM's proxy, with the runbook's model_list: a client behind it chats, whole and streamed, and embeds."""

import json
import os
import secrets
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from said import BASE_URL, MODEL, call, model

START_S = 150
TIMEOUT_S = 30
MESSAGES = [{"role": "user", "content": "Say hello in one word."}]
TEXTS = ["one", "two"]
ASKED = {"messages": 1, "max_tokens": 16}


def entry(name: str, alias: str) -> dict[str, Any]:
    """An entry of model_list: openai/<alias>, at the tenant, with the key from the proxy's environment."""
    upstream = {"model": f"openai/{alias}", "api_base": BASE_URL, "api_key": "os.environ/GT_API_KEY", "max_retries": 0}
    return {"model_name": name, "litellm_params": upstream}


def free_port() -> int:
    """A port of loopback that nobody has."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


PORT = free_port()
MASTER_KEY = f"sk-{secrets.token_hex(16)}"  # for the clients behind the proxy; without one it does not start
CONFIG = {
    "general_settings": {"master_key": MASTER_KEY},
    "model_list": [entry("chat", MODEL), entry("embed", model("embeddings"))],
    # After a failure it would leave an entry out for some seconds; here each call is to be sent, whatever came before.
    "router_settings": {"num_retries": 0, "disable_cooldowns": True},
    "litellm_settings": {"telemetry": False},
}


def asked(path: str, body: dict[str, Any] | None = None) -> str:
    """What the proxy answers. Raises RuntimeError with its words where it refuses."""
    data = None if body is None else json.dumps(body).encode()
    headers = {"Authorization": f"Bearer {MASTER_KEY}", "Content-Type": "application/json"}
    request = urllib.request.Request(f"http://127.0.0.1:{PORT}{path}", data, headers)
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:  # noqa: S310 - http, above
            return str(answer.read().decode())
    except urllib.error.HTTPError as error:
        raise RuntimeError(f"HTTP {error.code}: {error.read().decode(errors='replace')}") from None


def wait_until_it_listens(proxy: subprocess.Popen[bytes]) -> None:
    """Wait for the proxy. Ends the driver where it does not come up in time."""
    deadline = time.monotonic() + START_S
    while proxy.poll() is None and time.monotonic() < deadline:
        try:
            asked("/health/liveliness")
        except OSError:
            time.sleep(0.5)
        else:
            return
    sys.exit("the proxy did not come up")


def whole() -> str:
    """The text of a chat."""
    answer = asked("/v1/chat/completions", {"model": "chat", "messages": MESSAGES, "max_tokens": 16})
    return str(json.loads(answer)["choices"][0]["message"]["content"])


def streamed() -> str:
    """The text of a streamed chat, put together."""
    body = {"model": "chat", "messages": MESSAGES, "max_tokens": 16, "stream": True}
    lines = [line.removeprefix("data: ") for line in asked("/v1/chat/completions", body).splitlines()]
    chunks = [json.loads(line) for line in lines if line.startswith("{")]
    return "".join(choice["delta"].get("content") or "" for chunk in chunks for choice in chunk.get("choices", []))


def embedded() -> list[int]:
    """The lengths of the vectors of two texts."""
    answer = json.loads(asked("/v1/embeddings", {"model": "embed", "input": TEXTS}))
    return [len(item["embedding"]) for item in answer["data"]]


config = Path(os.environ["TMPDIR"]) / "config.yaml"
config.write_text(json.dumps(CONFIG), encoding="utf-8")
program = str(Path(sys.executable).parent / "litellm")
command = [program, "--config", str(config), "--host", "127.0.0.1", "--port", str(PORT)]
started = subprocess.Popen(command, stdout=2)  # noqa: S603 - the client itself
try:
    wait_until_it_listens(started)
    call("POST /v1/chat/completions of the proxy", "chat", ASKED, whole)
    call("POST /v1/chat/completions of the proxy (stream)", "chat", {**ASKED, "stream": True}, streamed)
    call("POST /v1/embeddings of the proxy", "embeddings", {"input": TEXTS}, embedded)
finally:
    started.terminate()
    started.wait(TIMEOUT_S)
