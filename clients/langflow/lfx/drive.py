"""Langflow by lfx, which runs its flows: a flow with the OpenAI component answers, whole by lfx run, and streamed."""

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from lfx.events.event_manager import create_stream_tokens_event_manager
from lfx.run.base import run_flow
from said import KEY, call

FLOW = Path(__file__).parent / "flow.py"
HELLO = "Say hello in one word."
TIMEOUT_S = 90
ASKED = {"messages": 1, "max_tokens": 16}

os.environ["OPENAI_API_KEY"] = KEY  # lfx reads a global variable from its environment: the API Key's is of this name


def whole() -> str:
    """What lfx run prints. Raises RuntimeError with its words where it fails."""
    program = Path(sys.executable).parent / "lfx"
    done = subprocess.run(  # noqa: S603 - the client itself
        [program, "run", FLOW, HELLO, "--format", "json"], stdout=subprocess.PIPE, timeout=TIMEOUT_S, check=False
    )
    answer = json.loads(done.stdout)
    if not answer["success"]:
        raise RuntimeError(answer["exception_message"])
    return str(answer["result"])


async def streamed() -> str:
    """The parts that Langflow's chat shows one by one, put together. The library alone lets somebody listen."""
    queue: asyncio.Queue[Any] = asyncio.Queue()
    await run_flow(FLOW, HELLO, session_id="gt", event_manager=create_stream_tokens_event_manager(queue))
    events = [json.loads(queue.get_nowait()[1]) for _ in range(queue.qsize())]
    return "".join(event["data"]["chunk"] for event in events if event["event"] == "token")


call("lfx run", "chat", ASKED, whole)
call("run_flow, streaming", "chat", {**ASKED, "stream": True}, lambda: asyncio.run(streamed()))
