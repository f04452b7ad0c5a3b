"""Runs between this suite and a program, and sees that the program and all its descendants end.

Run as a script, ``_supervisor.py LIFELINE FAILURE GRACE_S MODE PROGRAM ARGUMENT...``, by an interpreter that loads
nothing else. LIFELINE is a pipe that closes when the suite wants the program ended, or has itself ended. FAILURE takes
the errno where the program cannot be started. MODE ``leave`` leaves alone what the program started and left behind when
it ends by itself. The supervisor ends as the program did: with its exit code, or by its signal.
"""

import os
import select
import signal
import sys
import time
from contextlib import suppress

try:
    import ctypes
except ImportError:  # a Python that was built without it
    ctypes = None  # type: ignore[assignment]

_SET_PDEATHSIG, _SET_DUMPABLE, _SET_CHILD_SUBREAPER = 1, 4, 36
"""Operations of prctl(2)."""
_LINUX = sys.platform == "linux"
_ASKED_TO_END = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_IGNORED_BY_PYTHON = (signal.SIGPIPE, signal.SIGXFSZ)


def supervise(lifeline: int, failure: int, grace_s: float, argv: list[str], *, leave: bool) -> None:
    """Run the program to its end, or end it; then end as it did."""
    _prctl(_SET_CHILD_SUBREAPER, 1)  # who loses its parent becomes a child of this process, even in another session
    woken, wake = os.pipe()
    os.set_blocking(woken, False)
    os.set_blocking(wake, False)
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    for caught in (signal.SIGCHLD, *_ASKED_TO_END):
        signal.signal(caught, lambda *_: None)  # the wake-up pipe gets the number
    for number in (lifeline, failure):
        os.set_inheritable(number, False)  # noqa: FBT003 - it takes it in no other way
    program = os.fork()
    if program == 0:
        _become(argv, failure)
    os.close(failure)
    _let_go_of_pipes()
    kill_at: float | None = None
    while (status := _status_of(program)) is None:
        left = None if kill_at is None else max(0.0, kill_at - time.monotonic())
        # A lifeline that has closed stays readable: it is watched until then only.
        readable, _, _ = select.select([woken] if kill_at is not None else [woken, lifeline], [], [], left)
        numbers = os.read(woken, 4096) if woken in readable else b""
        if kill_at is None and (lifeline in readable or set(numbers) & set(_ASKED_TO_END)):
            _kill_group(program, signal.SIGTERM)
            kill_at = time.monotonic() + grace_s
        elif kill_at is not None and time.monotonic() >= kill_at:
            break
    if kill_at is not None or not leave:
        status = _end_all(program, status)
    _end_as(status or 0)


def _become(argv: list[str], failure: int) -> None:
    """In the child: become the program, in a session of its own."""
    try:
        os.setsid()
        _prctl(_SET_PDEATHSIG, signal.SIGKILL)  # nobody would end it where the supervisor is killed
        signal.set_wakeup_fd(-1)
        for number in _IGNORED_BY_PYTHON:
            signal.signal(number, signal.SIG_DFL)
        os.execvp(argv[0], argv)  # noqa: S606 - what the supervisor is for
    except OSError as error:
        os.write(failure, str(error.errno).encode())
    finally:
        os._exit(127)


def _let_go_of_pipes() -> None:
    """Hold none of the program's pipes open: their readers are to see when it closes them."""
    null = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(null, number)


def _status_of(program: int) -> int | None:
    """Collect all children that have ended; the status of the program where it is one of them."""
    found = None
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return found
        if pid == 0:
            return found
        if pid == program:
            found = status


def _end_all(program: int, status: int | None) -> int | None:
    """Kill every descendant: the program's group at once, then each child until there is none."""
    _kill_group(program, signal.SIGKILL)
    while True:
        if _LINUX:
            for pid in _children():
                _kill(pid)
        try:
            pid, ended = os.waitpid(-1, 0)
        except ChildProcessError:
            return status
        status = ended if pid == program else _status_of(program) or status


def _children() -> list[int]:
    """The processes whose parent is this one. The children of a child that is killed become such."""
    mine = str(os.getpid())
    found = []
    for name in os.listdir("/proc"):  # noqa: PTH208 - pathlib would take as long to load as all this takes to run
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat", "rb") as stat:  # noqa: PTH123 - as there
                    # PID (NAME) STATE PARENT ...: the name may hold blanks and parentheses
                    parent = stat.read().rpartition(b")")[2].split()[1]
            except OSError:
                continue
            if parent.decode() == mine:
                found.append(int(name))
    return found


def _kill(pid: int) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.kill(pid, signal.SIGKILL)


def _kill_group(program: int, number: int) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(program, number)


def _end_as(status: int) -> None:
    code = os.waitstatus_to_exitcode(status)
    if code < 0:
        _prctl(_SET_DUMPABLE, 0)  # the program has left a core file already, if one was wanted
        if -code != signal.SIGKILL:
            signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    os._exit(code if code >= 0 else 128 - code)


def _prctl(operation: int, value: int) -> None:
    """A system call that Linux alone has; elsewhere a descendant that leaves the group is not ended."""
    if _LINUX and ctypes is not None:
        ctypes.CDLL(None).prctl(operation, ctypes.c_ulong(value), 0, 0, 0)


if __name__ == "__main__":
    supervise(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]), sys.argv[5:], leave=sys.argv[4] == "leave")
