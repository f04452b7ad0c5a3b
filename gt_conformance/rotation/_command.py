"""The operator's command: run without a shell, bounded in time, its output kept from every eye."""

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from gt_conformance import processes, schema
from gt_conformance.errors import InputError
from gt_conformance.processes import Completed

_MOST_OUTPUT_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class Command:
    """A command that can be started. Its arguments may hold secrets of their own, so only ``program`` is ever shown."""

    program: str
    timeout_s: float
    argv: tuple[str, ...] = field(repr=False)


def command_of(argv: Sequence[str], timeout_s: float) -> Command:
    """The operator's command. Raises InputError where there is no such program, or none to execute."""
    program = schema.plain(argv[0])
    if shutil.which(argv[0]) is None:
        reason = "it is not executable" if Path(argv[0]).is_file() else "there is no such program"
        raise _unstartable(program, reason)
    return Command(program, timeout_s, tuple(argv))


def run(command: Command, is_over: Callable[[], bool]) -> Completed:
    """Run it to its end, or end it and all that it started. Raises InputError where it cannot be started.

    It reads nothing. ``is_over`` says that someone asked us to end. What it leaves running by design goes on.
    """
    try:
        return processes.run(
            command.argv,
            timeout_s=command.timeout_s,
            most_output_bytes=_MOST_OUTPUT_BYTES,
            is_stopped=is_over,
            leaves_children=True,
        )
    except (OSError, ValueError) as error:
        raise _unstartable(command.program, getattr(error, "strerror", None) or "it is not a command") from None


def _unstartable(program: str, reason: str) -> InputError:
    return InputError.of(
        f"the command {program!r} cannot be started: {reason}. Nothing was rotated.",
        hint="It is run without a shell: after --, give the program and each argument as a word of its own.",
    )
