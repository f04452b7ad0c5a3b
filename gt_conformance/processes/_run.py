"""Starts a program under a supervisor, reads what it writes, and ends it when its time is over."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import IO

_MOST_OUTPUT_BYTES = 1 << 20
_PIECE_BYTES = 65_536
_POLL_S = 0.1
_GRACE_S = 2.0
"""Between SIGTERM and SIGKILL."""
_SUPERVISOR_S = 5.0
"""What the supervisor gets, beyond that, to kill and collect everything."""
_LAST_OUTPUT_S = 1.0
"""How long output is awaited after the program has ended: whatever still holds the pipe open is not waited for."""
_SUPERVISOR = Path(__file__).with_name("_supervisor.py")


class Ending(StrEnum):
    """Why a program ended."""

    EXIT = "exit"
    """By itself."""
    TIMEOUT = "timeout"
    """Its time was over."""
    STOP = "stop"
    """``is_stopped`` or ``end_all`` asked for it."""
    OVERFLOW = "overflow"
    """It printed more than was wanted, and the caller had it ended for that."""


@dataclass(frozen=True, slots=True)
class Completed:
    """A program that has ended. Its output is in no repr, for it may hold secrets.

    ``returncode`` is negative where a signal ended it. ``truncated`` tells that standard output was longer than what
    was kept. ``ended_at`` is a moment of the monotonic clock.
    """

    returncode: int
    stdout: bytes = field(repr=False)
    stderr: bytes = field(repr=False)
    ended_by: Ending
    truncated: bool
    elapsed_s: float
    ended_at: float


def run(  # noqa: PLR0913 - as subprocess.run: each of these is a decision of its own
    argv: Sequence[str],
    *,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    input: bytes | None = None,  # noqa: A002 - what subprocess.run calls it
    timeout_s: float,
    most_output_bytes: int = _MOST_OUTPUT_BYTES,
    is_stopped: Callable[[], bool] = lambda: False,
    leaves_children: bool = False,
    ends_on_overflow: bool = False,
) -> Completed:
    """Run a program to its end, to its deadline or until ``is_stopped``; then end everything that it started.

    It runs in a session of its own, and is ended with all its descendants by SIGTERM, then SIGKILL: also when this
    process ends, however it ends. It reads ``input``, else nothing. ``most_output_bytes`` of each output are kept; the
    rest is read and dropped, or with ``ends_on_overflow`` ends it. With ``leaves_children`` what it started and left
    behind goes on where it ended by itself. Raises OSError where it cannot be started.
    """
    program = _Program(argv, env=env, cwd=cwd, reads=input is not None, leaves_children=leaves_children)
    _running.add(program)
    started = time.monotonic()
    try:
        outputs = program.exchange(input, most_output_bytes)
        too_much = outputs[0].has_overflowed if ends_on_overflow else lambda: False
        ended_by = program.wait(started + timeout_s, {Ending.STOP: is_stopped, Ending.OVERFLOW: too_much})
    finally:
        program.end()
        _running.discard(program)
    ended_at = time.monotonic()
    stdout, stderr = (output.collected(ended_at + _LAST_OUTPUT_S) for output in outputs)
    return Completed(
        returncode=program.returncode,
        stdout=stdout[:most_output_bytes],
        stderr=stderr[:most_output_bytes],
        ended_by=ended_by,
        truncated=len(stdout) > most_output_bytes,
        elapsed_s=ended_at - started,
        ended_at=ended_at,
    )


def run_in_foreground(argv: Sequence[str]) -> int:
    """Run a program that reads and writes where this process does, to its end; its exit code, negative by a signal.

    Ctrl-C reaches both. Where this process alone is interrupted, the program is asked to end, and awaited.
    """
    with subprocess.Popen(argv) as program:  # noqa: S603 - the caller's program
        try:
            return program.wait()
        except KeyboardInterrupt:
            try:
                program.wait(_GRACE_S)
            except subprocess.TimeoutExpired:
                program.terminate()
                program.wait()
            raise


def end_all() -> None:
    """End every program that runs now, and return once they have ended: safe in any thread and in a signal handler.

    Whoever waits for one of them gets its result, ended by ``Ending.STOP``.
    """
    programs = tuple(_running)
    for program in programs:
        program.ask_to_end()
    for program in programs:
        program.end()


class _Program:
    """A program under its supervisor.

    The supervisor ends the program when the *lifeline* closes: a pipe whose other end only this process has. So the
    program ends with this process even where that is killed and can do nothing about it.
    """

    def __init__(
        self,
        argv: Sequence[str],
        *,
        env: Mapping[str, str] | None,
        cwd: Path | None,
        reads: bool,
        leaves_children: bool,
    ) -> None:
        self._stopped = False
        lifeline, ours = os.pipe()
        failure, theirs = os.pipe()
        self._lifeline = os.fdopen(ours, "wb", buffering=0)
        options = [str(lifeline), str(theirs), str(_GRACE_S), "leave" if leaves_children else "end"]
        with os.fdopen(failure, "rb") as failed:
            try:
                self._process = subprocess.Popen(  # noqa: S603 - the caller's program, behind a program of ours
                    [sys.executable, "-I", "-S", str(_SUPERVISOR), *options, *argv],
                    stdin=subprocess.PIPE if reads else subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    env=env,
                    cwd=cwd,
                    start_new_session=True,
                    pass_fds=(lifeline, theirs),
                )
            except BaseException:
                self._lifeline.close()
                raise
            finally:
                os.close(lifeline)
                os.close(theirs)
            code = failed.read()  # ends when the program has been started, or could not be
        if code:
            self.end()
            for pipe in (self._process.stdin, self._process.stdout, self._process.stderr):
                if pipe is not None:
                    pipe.close()
            raise OSError(int(code), os.strerror(int(code)), argv[0])

    @property
    def returncode(self) -> int:
        """How the program ended; the supervisor ends as it did."""
        return self._process.returncode

    def exchange(self, given: bytes | None, most: int) -> "tuple[_Output, _Output]":
        """Write what it is to read, and read both its outputs, each in a thread of its own."""
        process = self._process
        if process.stdin is not None:
            threading.Thread(target=_write, args=(process.stdin, given), daemon=True).start()
        return _Output(process.stdout, most), _Output(process.stderr, most)

    def wait(self, deadline: float, reasons: Mapping[Ending, Callable[[], bool]]) -> Ending:
        """Wait for the end, the deadline or another reason to end it, whichever is first."""
        while True:
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(max(0.0, min(_POLL_S, deadline - time.monotonic())))
                return Ending.STOP if self._stopped else Ending.EXIT
            for ending, holds in reasons.items():
                if holds():
                    return ending
            if time.monotonic() >= deadline:
                return Ending.TIMEOUT

    def ask_to_end(self) -> None:
        """Have it ended, without waiting for that."""
        self._stopped = True
        self._lifeline.close()

    def end(self) -> None:
        """Have it ended, and return when nothing of it runs. Safe to call again, and from another thread."""
        self._lifeline.close()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_GRACE_S + _SUPERVISOR_S)
            return
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)  # the program dies with its supervisor
        self._process.wait()


class _Output:
    """What a program writes into a pipe, read by a thread, so that it never waits for a reader; kept up to a bound."""

    def __init__(self, pipe: IO[bytes] | None, most: int) -> None:
        assert pipe is not None, "it was started with a pipe"  # noqa: S101 - for the type checker
        self._pipe = pipe
        self._most = most + 1  # one more shows that there was more
        self._data = bytearray()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def has_overflowed(self) -> bool:
        """Whether there was more than is kept."""
        return len(self._data) == self._most

    def collected(self, deadline: float) -> bytes:
        """What there was, once the pipe is closed, or is not closed in time."""
        self._thread.join(max(0.0, deadline - time.monotonic()))
        return bytes(self._data)

    def _read(self) -> None:
        with self._pipe:
            while piece := os.read(self._pipe.fileno(), _PIECE_BYTES):
                self._data += piece[: self._most - len(self._data)]


def _write(pipe: IO[bytes], given: bytes) -> None:
    with suppress(BrokenPipeError), pipe:
        pipe.write(given)


_running: set[_Program] = set()
"""What ``end_all`` ends: empty where nothing runs."""
