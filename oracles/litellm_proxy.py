"""LiteLLM's proxy before the embedded tenant: a gateway as operators run it, with one published name and one key."""

import contextlib
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx

from oracles.served import ALIAS, Served

KEY = "sk-of-the-gateway-0123456789"
PATH = "/api/tenant"
_DEADLINE_S = 300.0


@contextlib.contextmanager
def proxying(served: Served, folder: Path) -> Iterator[str]:
    """The base URL of the proxy, for as long as the block runs."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    upstream = {"model": f"openai/{ALIAS}", "api_base": f"{served.base_url}/v1", "api_key": served.secrets["full"]}
    config = {
        "model_list": [{"model_name": ALIAS, "litellm_params": upstream}],
        "general_settings": {"master_key": KEY},
        "litellm_settings": {"num_retries": 0, "telemetry": False},
    }
    (folder / "proxy.yaml").write_text(json.dumps(config), encoding="utf-8")
    line = [str(Path(sys.executable).with_name("litellm")), "--config", "proxy.yaml"]
    line += ["--host", "127.0.0.1", "--port", str(port)]
    env = os.environ | {"SERVER_ROOT_PATH": PATH, "LITELLM_LOCAL_MODEL_COST_MAP": "True", "NO_PROXY": "127.0.0.1"}
    with (
        (folder / "proxy.log").open("w") as log,
        subprocess.Popen(line, cwd=folder, env=env, stdout=log, stderr=log) as process,
    ):
        try:
            url = f"http://127.0.0.1:{port}{PATH}"
            _wait_for(f"{url}/health/liveliness", process, folder / "proxy.log")
            yield url
        finally:
            process.terminate()


def _wait_for(url: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + _DEADLINE_S
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(httpx.TransportError):
            if httpx.get(url, timeout=5, trust_env=False).is_success:
                return
        time.sleep(0.2)
    raise RuntimeError(f"LiteLLM's proxy does not answer:\n{log.read_text(encoding='utf-8')[-2000:]}")
