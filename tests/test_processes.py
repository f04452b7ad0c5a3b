"""Programs that are run: their output, their end, and what becomes of all that they start."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from gt_conformance import processes
from gt_conformance.processes import Completed, Ending, _run
from tests.commands import default_sigint, is_running, until

LONG_S = 60.0
FAMILY = """
sleep 600 & echo $! >>"$PIDS"
setsid sh -c 'trap "" TERM; echo $$ >>"$PIDS"; sleep 600; sleep 600' &
(setsid sh -c 'echo $$ >>"$PIDS"; sleep 600; sleep 600' &)
"""
"""A child, one in a session of its own that ignores SIGTERM, and one whose parent has ended."""


@pytest.fixture
def pids(tmp_path: Path) -> Iterator[Path]:
    """The file into which programs write whom they started; what the test leaves running is ended."""
    path = tmp_path / "pids"
    path.touch()
    yield path
    for pid in started(path):
        if is_running(pid):
            os.kill(pid, signal.SIGKILL)


def started(pids: Path) -> list[int]:
    """Whom programs started."""
    return [int(word) for word in pids.read_text(encoding="utf-8").split()]


def shell(script: str, pids: Path | None = None, **options: object) -> Completed:
    """Run a script of the shell."""
    env = {"PATH": os.defpath, "PIDS": str(pids)}
    return processes.run(["sh", "-c", script], env=env, **{"timeout_s": LONG_S, **options})  # type: ignore[arg-type]


def test_a_program_gets_its_input_and_gives_both_outputs_and_its_code() -> None:
    """As they are: bytes, in the folder and with the environment that were given."""
    done = shell("cat; pwd; echo error >&2; exit 3", cwd=Path("/"), input=b"\xffinput\n")
    assert (done.returncode, done.stdout, done.stderr) == (3, b"\xffinput\n/\n", b"error\n")
    assert (done.ended_by, done.truncated) == (Ending.EXIT, False)
    assert "input" not in repr(done)


def test_a_program_that_a_signal_ends_is_seen_to_end_so() -> None:
    """Its supervisor ends as it did."""
    assert shell("kill -SEGV $$").returncode == -signal.SIGSEGV


@pytest.mark.parametrize(("name", "error"), [("no-such-program", FileNotFoundError), ("/etc/passwd", PermissionError)])
def test_what_cannot_be_started_raises_as_subprocess_does(name: str, error: type[OSError]) -> None:
    """With the system's own reason."""
    with pytest.raises(error):
        processes.run([name], timeout_s=LONG_S)


def test_output_is_kept_up_to_its_bound_and_read_to_its_end() -> None:
    """A full pipe would stop the program for ever."""
    done = shell("head -c 300000 /dev/zero; head -c 300000 /dev/zero >&2; echo end >&2", most_output_bytes=1000)
    assert (done.returncode, len(done.stdout), len(done.stderr), done.truncated) == (0, 1000, 1000, True)
    assert not shell("head -c 1000 /dev/zero", most_output_bytes=1000).truncated


def test_a_program_that_prints_too_much_may_be_ended_for_it() -> None:
    """Where nobody wants the rest, and it may never end."""
    done = shell("cat /dev/zero", most_output_bytes=1000, ends_on_overflow=True)
    assert (done.ended_by, done.truncated, len(done.stdout)) == (Ending.OVERFLOW, True, 1000)


def test_a_program_is_asked_to_end_before_it_is_killed() -> None:
    """So that it can take down what nobody else knows of."""
    done = shell("trap 'echo taken down; exit 5' TERM; sleep 600 & wait", timeout_s=0.5)
    assert (done.ended_by, done.returncode, done.stdout) == (Ending.TIMEOUT, 5, b"taken down\n")


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a descendant may leave the group, and is not found")
@pytest.mark.parametrize("how", ["timeout", "exit", "stop"])
def test_nothing_is_left_of_what_it_started(how: str, pids: Path) -> None:
    """Nor what ignores SIGTERM, is in another session, or has lost its parent."""
    is_whole = lambda: len(started(pids)) == 3  # noqa: E731 - the condition, twice
    if how == "exit":
        waits = 'while [ "$(wc -l <"$PIDS")" -lt 3 ]; do sleep 0.01; done; exit 4'
        done = shell(FAMILY + waits, pids)
        assert (done.returncode, done.ended_by) == (4, Ending.EXIT)
    elif how == "stop":
        done = shell(FAMILY + "sleep 600; sleep 600", pids, is_stopped=is_whole)
        assert (done.returncode, done.ended_by) == (-signal.SIGTERM, Ending.STOP)
    else:
        done = shell(f"trap '' TERM; {FAMILY} sleep 600; sleep 600", pids, timeout_s=0.5)
        assert (done.returncode, done.ended_by) == (-signal.SIGKILL, Ending.TIMEOUT)
    assert started(pids)
    assert [pid for pid in started(pids) if is_running(pid)] == []


def test_what_a_program_leaves_behind_may_go_on(pids: Path) -> None:
    """Where the caller says so, and it ended by itself: what holds its output open is not waited for."""
    done = shell('sleep 600 & echo $! >"$PIDS"; echo started', pids, leaves_children=True)
    assert (done.returncode, done.stdout) == (0, b"started\n")
    (pid,) = started(pids)
    assert is_running(pid)


def test_all_that_runs_can_be_ended_at_once(pids: Path) -> None:
    """As a signal has it: whoever waits gets a result, and nothing runs when the call returns."""
    done: list[Completed] = []
    threads = [threading.Thread(target=lambda: done.append(shell(FAMILY + "sleep 600; wait", pids))) for _ in range(2)]
    for thread in threads:
        thread.start()
    # A family may have begun a moment before its thread has taken note of it, and is not ended by this call then.
    until(lambda: len(started(pids)) == 6 and len(_run._running) == len(threads))  # noqa: SLF001 - nothing else shows it
    processes.end_all()
    assert [pid for pid in started(pids) if is_running(pid)] == []
    for thread in threads:
        thread.join(LONG_S)
    assert [one.ended_by for one in done] == [Ending.STOP, Ending.STOP]
    processes.end_all()


_WAITS = "import sys; from gt_conformance import processes; processes.run(['sh', '-c', sys.argv[1]], timeout_s=600)"


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)
def test_programs_end_with_the_process_that_runs_them(number: signal.Signals, pids: Path) -> None:
    """However that ends: one that is killed cannot end anything itself."""
    with default_sigint():
        runs = subprocess.Popen(
            [sys.executable, "-c", _WAITS, FAMILY + "sleep 600; wait"],
            env={"PATH": os.defpath, "PIDS": str(pids)},
            stderr=subprocess.DEVNULL,
        )
    with runs:
        try:
            until(lambda: len(started(pids)) == 3)
            runs.send_signal(number)
            assert runs.wait(LONG_S) == -number
        finally:
            runs.kill()
    until(lambda: not any(map(is_running, started(pids))))
