"""The operator's command: run without a shell, bounded in time, its output kept from every eye."""

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from gt_conformance import schema
from gt_conformance.errors import InputError

_MOST_OUTPUT = 64 * 1024
_LAST_WORDS_S = 1.0
_TO_LEAVE_S = 2.0
_LOOK_UP_S = 0.1


class Ending(StrEnum):
    """How the command ended: by itself, or by us."""

    ENDED = "ended"
    HUNG = "hung"
    INTERRUPTED = "interrupted"


@dataclass(frozen=True, slots=True)
class Command:
    """A command that can be started. Its arguments may hold secrets of their own, so only ``program`` is ever shown."""

    program: str
    timeout_s: float
    argv: tuple[str, ...] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Ran:
    """A command that has ended. ``ended_at`` is a moment of the monotonic clock; the output is in no repr."""

    ending: Ending
    code: int
    output: bytes = field(repr=False)
    elapsed_s: float
    ended_at: float


def command_of(argv: Sequence[str], timeout_s: float) -> Command:
    """The operator's command. Raises InputError where there is no such program, or none to execute."""
    program = schema.plain(argv[0])
    if shutil.which(argv[0]) is None:
        reason = "it is not executable" if Path(argv[0]).is_file() else "there is no such program"
        raise _unstartable(program, reason)
    return Command(program, timeout_s, tuple(argv))


def run(command: Command, is_over: Callable[[], bool]) -> Ran:
    """Run it to its end, or end it and all that it started. Raises InputError where it cannot be started.

    It reads nothing, what it writes on standard error is dropped. ``is_over`` says that someone asked us to end.
    """
    began = time.monotonic()
    try:
        process = subprocess.Popen(  # noqa: S603 - the operator's own command, no shell, as it was given
            command.argv,
            bufsize=0,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
    except (OSError, ValueError) as error:
        raise _unstartable(command.program, getattr(error, "strerror", None) or "it is not a command") from None
    output = bytearray()
    reader = threading.Thread(target=_read, args=(process, output), daemon=True)
    reader.start()
    ending = _waited(process, began + command.timeout_s, is_over)
    if ending is not Ending.ENDED:
        _end(process)
    ended_at = time.monotonic()
    # What it left running may hold standard output open: that is no reason to wait for it.
    reader.join(_LAST_WORDS_S)
    return Ran(ending, process.returncode, bytes(output), ended_at - began, ended_at)


def overflowed(output: bytes) -> bool:
    """Whether there was more than is read."""
    return len(output) > _MOST_OUTPUT


def _read(process: "subprocess.Popen[bytes]", output: bytearray) -> None:
    assert process.stdout is not None, "standard output is a pipe"  # noqa: S101 - for the type checker
    with process.stdout as pipe:
        while piece := pipe.read(4096):
            # A full pipe would stop the command: read on, but keep no more than shows that it is too much.
            output += piece[: _MOST_OUTPUT + 1 - len(output)]


def _waited(process: "subprocess.Popen[bytes]", deadline: float, is_over: Callable[[], bool]) -> Ending:
    while True:
        try:
            process.wait(max(0.0, min(_LOOK_UP_S, deadline - time.monotonic())))
        except subprocess.TimeoutExpired:
            if is_over():
                return Ending.INTERRUPTED
            if time.monotonic() >= deadline:
                return Ending.HUNG
        else:
            return Ending.ENDED


def _end(process: "subprocess.Popen[bytes]") -> None:
    """The whole process group: asked first, then killed."""
    if sys.platform == "win32":
        process.kill()
    else:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            process.wait(_TO_LEAVE_S)
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _unstartable(program: str, reason: str) -> InputError:
    return InputError.of(
        f"the command {program!r} cannot be started: {reason}. Nothing was rotated.",
        hint="It is run without a shell: after --, give the program and each argument as a word of its own.",
    )
