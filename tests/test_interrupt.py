"""SIGTERM: a run ends at once, and its record is whole. SIGKILL: its journal becomes a record.

Ctrl-C and SIGHUP do the same, at any time, as ``make prove`` shows (prove/signals.py).
"""

import asyncio
import json
import signal
from pathlib import Path

import pytest
from starlette.types import ASGIApp, Receive, Scope, Send

from gt_conformance import journal
from gt_conformance.checks import BUILT_IN
from gt_conformance.journal import JOURNAL
from gt_sandbox.middleware import MiddlewareFactory, Request
from tests.commands import Finished, command_process, default_sigint, run, tenant, until

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


def end_while_chats_are_under_way(folder: Path, number: signal.Signals) -> Finished:
    """A run that got this signal when its first row had been reported."""
    reports = folder / "reports"
    held: list[Request] = []
    with tenant(folder, slow_chat(held)) as (_, path):
        document = json.loads(path.read_text())
        document["limits"]["concurrency"] = 64  # else the chats under way would keep all else waiting
        path.write_text(json.dumps(document))
        selection = [word for book in ("aider", "cursor") for word in ("--runbook", book)]
        selection += [word for route in ("models", "chat") for word in ("--route", route)]
        words = ["run", "--tenant", str(path), "--report-dir", str(reports), *selection]
        with default_sigint():
            process = command_process(*words, cwd=folder)
        with process:
            try:
                until(lambda: held and _reported(reports, "aider-models-native") and _is_journaled(reports))
                process.send_signal(number)
                stdout, stderr = process.communicate(timeout=SLOW_S)
            finally:
                process.kill()
        waiting = bool(held)
    assert waiting
    return Finished(process.returncode, stdout, stderr, reports, 0.0)


@pytest.fixture(scope="module")
def interrupted(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """A run that was interrupted when its first row had been reported, while chats were under way."""
    ended = end_while_chats_are_under_way(tmp_path_factory.mktemp("interrupted"), signal.SIGTERM)
    assert ended.record["run"].get("interrupted") == "SIGTERM"
    return ended


def _is_journaled(reports: Path) -> bool:
    """Whether the row's line is there to its end: one that is being written is lost with the run."""
    path = reports / JOURNAL
    whole = path.read_text().rpartition("\n")[0].partition("\n")[2] if path.is_file() else ""
    return '"id": "aider-models-native", "route": "models"' in whole


def _reported(reports: Path, row: str) -> bool:
    return any(row in path.read_text() for path in reports.glob("allure-results/*-result.json"))


def test_it_ends_at_once(interrupted: Finished) -> None:
    """It does not wait for the answers that are still to come: exit code 2, before any of them."""
    assert interrupted.code == 2
    assert "Traceback" not in interrupted.said


def test_its_record_holds_every_planned_row_once(interrupted: Finished) -> None:
    """results.json is valid: each planned row and tenant check stands in it once."""
    listed = [row["id"] for book in interrupted.record["runbooks"] for row in book["routes"]]
    assert sorted(listed) == sorted(ROWS)
    taken = {name for name in BUILT_IN.tenant_wide if not BUILT_IN[name].of_all}  # in a run of some runbooks
    assert {check["id"] for check in interrupted.record["tenant_checks"]} == taken


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


def test_the_first_line_of_every_document_says_so(interrupted: Finished) -> None:
    """The terminal, summary.md, compliance.html and the badge name the signal; none of them says GO or conforms."""
    name = interrupted.record["run"]["interrupted"]
    assert f"Interrupted by {name}." in interrupted.said
    assert f"Interrupted by {name}." in (interrupted.folder / "summary.md").read_text().splitlines()[0]
    assert f"Interrupted by {name}." in (interrupted.folder / "compliance.html").read_text()
    assert f"interrupted by {name}" in json.loads((interrupted.folder / "badge.json").read_text())["message"]


def test_the_journal_goes_once_the_record_is_written(interrupted: Finished) -> None:
    """results.json holds all that the journal held."""
    assert not (interrupted.folder / JOURNAL).exists()


def test_a_run_that_was_killed_leaves_a_journal_that_becomes_a_record(tmp_path: Path) -> None:
    """What had been judged keeps its outcome and its exchanges; the rest is blocked, and the record says why."""
    killed = end_while_chats_are_under_way(tmp_path, signal.SIGKILL)
    assert not (killed.folder / "results.json").exists()
    record = journal.rebuild(killed.folder)
    assert record["run"].get("interrupted") == "killed"
    outcomes = {row["id"]: row["outcome"] for book in record["runbooks"] for row in book["routes"]}
    assert set(outcomes) == ROWS
    assert outcomes["aider-models-native"] == "conforms"
    assert outcomes["aider-chat-native"] == "blocked"
    assert record["exchanges"]


SENDS_SIGINT = """
import os, signal, pytest

@pytest.hookimpl(wrapper={wrapper}, tryfirst=True)
def {hook}({arguments}):
    {before}
    os.kill(os.getpid(), signal.SIGINT)
    for _ in range(1000): pass  # where Python handles it
"""


@pytest.mark.parametrize(
    ("hook", "arguments", "before", "is_interrupted"),
    [
        ("pytest_runtest_logfinish", "nodeid, location", "", True),
        ("pytest_runtestloop", "session", "yield", False),
        ("pytest_sessionfinish", "session, exitstatus", "", False),
        ("pytest_unconfigure", "config", "", False),
    ],
)
def test_a_signal_between_the_items_and_the_end_is_recorded_or_does_nothing(
    tmp_path: Path, hook: str, arguments: str, before: str, *, is_interrupted: bool
) -> None:
    """The exit code and the record say the same: 2 and interrupted, or what was found."""
    text = SENDS_SIGINT.format(hook=hook, arguments=arguments, before=before or "pass", wrapper=bool(before))
    (tmp_path / "late_signal.py").write_text(text)
    words = ("--runbook", "cursor", "--route", "models", "--", "-p", "late_signal")
    ended = run(*words, cwd=tmp_path, env={"PYTHONPATH": str(tmp_path)}, lean=True)
    assert "Traceback" not in ended.stderr
    assert (ended.code == 2, ended.record["run"].get("interrupted")) == (
        is_interrupted,
        "SIGINT" if is_interrupted else None,
    )


RAISES_WITHOUT_A_LINE = """
import pytest

def interrupted():
    raise KeyboardInterrupt

interrupted.__code__ = interrupted.__code__.replace(co_linetable=b"")

@pytest.hookimpl(tryfirst=True)
def pytest_runtest_logfinish(nodeid, location):
    interrupted()
"""


def test_a_signal_at_an_instruction_without_a_line_interrupts_like_any(tmp_path: Path) -> None:
    """Some of what Python carries out is of no line, and pytest's traceback computes with that."""
    (tmp_path / "late_signal.py").write_text(RAISES_WITHOUT_A_LINE)
    words = ("--runbook", "cursor", "--route", "models", "--", "-p", "late_signal")
    ended = run(*words, cwd=tmp_path, env={"PYTHONPATH": str(tmp_path)}, lean=True)
    assert (ended.code, ended.record["run"].get("interrupted")) == (2, "SIGINT")
    assert "Traceback" not in ended.stderr
