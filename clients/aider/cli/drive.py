"""Aider, asked once at the command line: it streams an answer, and writes what it said into its chat history."""

import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from said import BASE_URL, KEY, MODEL, call

PROMPT = "Say hello in one word."
ANSWER_S = 150
HISTORY = Path(os.environ["TMPDIR"]) / "chat.history.md"
COMMAND = [
    *(str(Path(sys.executable).parent / "aider"), "--openai-api-base", BASE_URL, "--model", f"openai/{MODEL}"),
    *("--message", PROMPT, "--chat-history-file", str(HISTORY), "--no-git", "--no-show-model-warnings"),
    # Else it does what the answer says, to any file: with --dry-run, too, it sends what stands in one.
    *("--chat-mode", "ask"),
]


class AiderError(Exception):
    """What aider tells beside the answer, where there is none: it ends with 0 either way."""


def answered() -> str:
    """The answer, as the chat history has it. Raises AiderError with what aider told where that holds none."""
    environment = {**os.environ, "OPENAI_API_KEY": KEY}
    ended = f"no answer within {ANSWER_S} s"
    with suppress(subprocess.TimeoutExpired):
        done = subprocess.run(  # noqa: S603 - the client itself
            COMMAND, env=environment, stdin=subprocess.DEVNULL, stdout=2, check=False, timeout=ANSWER_S
        )
        ended = f"exit code {done.returncode}"
    # After the prompt, which is a heading there: what aider tells is quoted, and the answer is not.
    lines = HISTORY.read_text(encoding="utf-8").partition(f"#### {PROMPT}")[2].splitlines() if HISTORY.exists() else []
    answer = "\n".join(line for line in lines if not line.startswith(">")).strip()
    told = "\n".join(line.removeprefix(">").strip() for line in lines if line.startswith(">"))
    if not answer:
        raise AiderError(told or ended)
    return answer


call("aider --message", "chat", {"messages": 1, "stream": True}, answered)
