"""Ctrl-C: a run ends at once, and its record is whole."""

import asyncio
import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from starlette.types import ASGIApp, Receive, Scope, Send

from gt_sandbox.middleware import MiddlewareFactory, Request
from tests.commands import Finished, environment, sigint_is_heard, tenant, until

SLOW_S = 120.0
ROWS = {f"{book}-{route}" for book in ("aider", "cursor") for route in ("models-native", "chat-native")}


def slow_chat(held: list[Request]) -> MiddlewareFactory:
    """A tenant that takes two minutes over a chat."""

    def edge(app: ASGIApp) -> ASGIApp:
        async def edged(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["path"].endswith("/chat/completions") and b"authorization" in dict(scope["headers"]):
                held.append(Request.of(scope))
                await asyncio.sleep(SLOW_S)
            await app(scope, receive, send)

        return edged

    return lambda _: edge


@pytest.fixture(scope="module")
def interrupted(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """A run that was interrupted when its first row had been reported, while chats were under way."""
    folder = tmp_path_factory.mktemp("interrupted")
    reports = folder / "reports"
    held: list[Request] = []
    with tenant(folder, slow_chat(held)) as (_, path):
        document = json.loads(path.read_text())
        document["limits"]["concurrency"] = 64  # else the chats under way would keep all else waiting
        path.write_text(json.dumps(document))
        words = [
            "run",
            "--tenant",
            str(path),
            "--report-dir",
            str(reports),
            "--runbook",
            "aider",
            "--runbook",
            "cursor",
        ]
        words += ["--route", "models", "--route", "chat"]
        with sigint_is_heard():
            process = subprocess.Popen(
                [sys.executable, "-m", "gt_conformance", *words],
                cwd=folder,
                env=environment(),
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
        with process:
            try:
                until(lambda: held and _reported(reports, "aider-models-native"))
                began = time.perf_counter()
                process.send_signal(signal.SIGINT)
                stdout, stderr = process.communicate(timeout=SLOW_S)
                seconds = time.perf_counter() - began
            finally:
                process.kill()
    return Finished(process.returncode, stdout, stderr, reports, seconds)


def _reported(reports: Path, row: str) -> bool:
    return any(row in path.read_text() for path in reports.glob("allure-results/*-result.json"))


def test_it_ends_at_once(interrupted: Finished) -> None:
    """It takes no notice of the answers that are still to come: exit code 2, before any of them."""
    assert interrupted.seconds < SLOW_S
    assert interrupted.code == 2
    assert "Traceback" not in interrupted.said


def test_its_record_holds_every_planned_row_once(interrupted: Finished) -> None:
    """results.json is valid: each planned row and tenant check stands in it once."""
    listed = [row["id"] for book in interrupted.record["runbooks"] for row in book["routes"]]
    assert sorted(listed) == sorted(ROWS)
    assert len(interrupted.record["tenant_checks"]) == 11


def test_what_was_done_is_judged_and_the_rest_is_blocked(interrupted: Finished) -> None:
    """A row that was done keeps its outcome; one that was not is blocked, and says that the run was interrupted."""
    assert interrupted.outcomes["aider-models-native"] == "conforms"
    assert {"aider-chat-native", "cursor-chat-native"} <= interrupted.having("blocked")
    assert interrupted.having("violates") == set()
    reasons = {check["reason"] for check in interrupted.checks if check["outcome"] == "blocked"}
    assert reasons == {"the run was interrupted before this was judged"}


def test_the_terminal_says_what_was_interrupted(interrupted: Finished) -> None:
    """The end of the run names what could not be judged and where the reports are."""
    assert "the run was interrupted before this was judged" in interrupted.said
    assert str(interrupted.folder) in interrupted.said
    assert (interrupted.folder / "compliance.html").is_file()
