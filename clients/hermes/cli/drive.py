"""Hermes Agent, with the runbook's config.yaml: one prompt is answered, and ``hermes model`` lists the models."""

import json
import os
import pty
import re
import subprocess
import sys
from pathlib import Path

from said import BASE_URL, KEY, MODEL, call

HERMES = str(Path(sys.executable).parent / "hermes")
HOME = Path(os.environ["HOME"]) / ".hermes"
USAGE = Path(os.environ["TMPDIR"]) / "usage.json"
MENU_S = 60
ANSWER_S = 150
HARMLESS = "clarify,memory,session_search,todo"  # all others run, read or write for whoever asks: it approves by itself
WARNING = "\N{WARNING SIGN}"  # so begins what it says itself, in place of a model that said nothing
CONFIG = {
    "model": {"provider": "custom", "base_url": BASE_URL, "api_key": KEY, "default": MODEL},
    "custom_providers": [{"name": "gt", "base_url": BASE_URL, "api_key": KEY, "api_mode": "chat_completions"}],
    "agent": {"api_max_retries": 1},
}
# Which tools it offers hangs on what the machine has: a browser, for one.
ASKED = {"messages": 1, "stream": True, "departs": ["chat.load.tools"]}


class HermesError(Exception):
    """What hermes wrote where it had no answer."""


def ran(arguments: list[str], stdin: int, patience_s: float) -> subprocess.CompletedProcess[str]:
    """Hermes, run to its end. Raises HermesError where that takes too long."""
    try:
        return subprocess.run(  # noqa: S603 - the client itself
            [HERMES, *arguments], stdin=stdin, capture_output=True, text=True, check=False, timeout=patience_s
        )
    except subprocess.TimeoutExpired:
        raise HermesError(f"no answer within {patience_s} s") from None


def listed() -> list[str]:
    """The names that ``hermes model`` offers for the endpoint, which it has chosen already. Raises HermesError."""
    keyboard, terminal = pty.openpty()  # it reads from a terminal only, and shows its menus as plain lists elsewhere
    os.write(keyboard, b"\n" * 4)  # to each question the answer that it proposes
    try:
        done = ran(["model"], terminal, MENU_S)
    finally:
        os.close(keyboard)
        os.close(terminal)
    told = done.stdout.partition("Fetching available models...")[2].strip()
    menu = told.partition("Select model from gt:")[2]
    names = [name for name in re.findall(r"\) +\d+\. (.+?)(?: \(current\))?$", menu, re.MULTILINE) if name != "Cancel"]
    if not names:
        raise HermesError(told or done.stderr.strip() or done.stdout.strip() or f"exit code {done.returncode}")
    return names


def answered() -> str:
    """The answer to one prompt. Raises HermesError with what it wrote: it ends with 0 where a request failed, too."""
    asked = ["-z", "Say hello in one word.", "--toolsets", HARMLESS, "--usage-file", str(USAGE)]
    done = ran(asked, subprocess.DEVNULL, ANSWER_S)
    wrote = done.stdout.strip()
    fine = done.returncode == 0 and json.loads(USAGE.read_text(encoding="utf-8"))["completed"]
    if not fine or wrote.startswith(WARNING):
        raise HermesError(wrote or done.stderr.strip() or f"exit code {done.returncode}")
    return wrote


HOME.mkdir()
(HOME / "config.yaml").write_text(json.dumps(CONFIG), encoding="utf-8")
call("hermes -z", "chat", ASKED, answered)
# Last, since it keeps the name that it proposes, which need not be the alias.
call("hermes model", "models", {"menu": "gt"}, listed)
