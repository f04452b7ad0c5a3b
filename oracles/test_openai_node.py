"""The official Node SDK takes the embedded tenant for OpenAI, by either base URL."""

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from oracles.asked import SAY_IT, TEXTS, TOOL, WEATHER, WORD
from oracles.served import ALIAS, UNPUBLISHED, VECTOR, Served

HERE = Path(__file__).parent
DEADLINE_S = 60
OLDEST_NODE = 22


@pytest.fixture
def given(base_url: str, served: Served) -> dict[str, Any]:
    """What the SDK gave back, one value for each thing that was asked."""
    asked = {
        "model": ALIAS,
        "unpublished": UNPUBLISHED,
        "sayIt": SAY_IT,
        "weather": WEATHER,
        "tool": TOOL,
        "texts": TEXTS,
    }
    keys = {"GT_KEY": served.secrets["full"], "GT_GONE": served.secrets["gone"], "ASKED": json.dumps(asked)}
    done = subprocess.run(
        [node(), HERE / "sdk.mjs", base_url],
        env=os.environ | keys,
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def node() -> str:
    """The Node that was installed beside the SDK, where there is one for this machine; else the machine's own."""
    beside = HERE / "node_modules" / ".bin" / "node"
    found = str(beside) if beside.exists() else shutil.which("node")
    assert found, f"There is no Node: install {OLDEST_NODE} or newer."
    return found


def test_the_node_sdk(given: dict[str, Any]) -> None:
    """Models, chats, streams, tools, vectors, sound, pictures and refusals are what the Python SDK gets."""
    assert int(given["node"].partition(".")[0]) >= OLDEST_NODE, f"The SDK needs Node {OLDEST_NODE} or newer."
    assert given["models"] == [ALIAS, "gt-large-raw"]
    assert given["chat"] == given["stream"] == given["helper"] == WORD
    assert given["model"] == ALIAS
    assert (given["call"]["name"], json.loads(given["call"]["arguments"])) == ("get_weather", {"city": "Paris"})
    assert [len(vector) for vector in given["base64"]] == [VECTOR] * len(TEXTS)
    for one, other in zip(given["base64"], given["float"], strict=True):
        assert one == pytest.approx(other, abs=1e-6)
    assert given["base64"][0] != given["base64"][1]
    assert "recording" in given["transcription"]
    assert given["image"] == "iVBORw0KGgo"
    assert given["revoked"] == {"kind": "AuthenticationError", "status": 401, "code": "invalid_api_key"}
    assert given["unpublished"] == {"kind": "NotFoundError", "status": 404, "code": "model_not_found"}
