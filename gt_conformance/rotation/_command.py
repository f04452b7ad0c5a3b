"""The operator's command: run without a shell, bounded in time, its output never displayed; and the secret in it."""

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from gt_conformance import processes, schema
from gt_conformance.errors import InputError
from gt_conformance.processes import Completed, Ending
from gt_conformance.tenant import Secret

_MOST_OUTPUT_BYTES = 64 * 1024
_SHORTEST = 8
_ALONE = "It must print the new secret and nothing else on standard output; write anything else to standard error."
_BY_HAND = "Run it by hand to see why: its output is not displayed here, since it may contain a secret."


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


@dataclass(frozen=True, slots=True)
class Unusable:
    """Why the command gave no secret, said of it; ``kept`` where what it printed may still hold one."""

    reason: str
    remedy: str
    kept: bool


def parse_secret(ran: Completed, old: Secret) -> Secret | Unusable:
    """The new secret, less the white space around it."""
    failure = _describe_failure(ran)
    if failure is not None:
        unknown = f"{failure}: it is unknown whether the key was rotated"
        return Unusable(unknown, _BY_HAND, kept=bool(ran.stdout.strip()))
    text = ran.stdout.decode("utf-8", errors="replace").strip()
    if not text:
        return Unusable("printed nothing on standard output, so the new secret is not known", _ALONE, kept=False)
    problem = _problem(text, overflow=ran.truncated)
    if problem is not None:
        return Unusable(f"{problem}, so the new secret is not known", _ALONE, kept=True)
    if text == old.reveal():
        return Unusable("printed the old secret, so the new one is not known", _ALONE, kept=False)
    return Secret(text)


def _describe_failure(ran: Completed) -> str | None:
    if ran.ended_by is Ending.TIMEOUT:
        return f"did not end within {ran.elapsed_s:.1f} s (--timeout), and was killed"
    if ran.ended_by is Ending.STOP:
        return "was interrupted, and killed"
    if ran.returncode < 0:
        return f"was ended by signal {-ran.returncode}"
    return f"failed with exit code {ran.returncode}" if ran.returncode else None


def _problem(text: str, *, overflow: bool) -> str | None:
    if overflow:
        return "printed far more than a secret"
    if len(text.splitlines()) > 1:
        return f"printed {len(text.splitlines())} lines"
    if not text.isascii() or not text.isprintable() or " " in text:
        return "printed text with a space or a character that is not allowed in a header"
    if len(text) < _SHORTEST:
        return f"printed fewer than {_SHORTEST} characters, too short for a GT key"
    return None


def _unstartable(program: str, reason: str) -> InputError:
    return InputError.of(
        f"the command {program!r} cannot be started: {reason}. Nothing was rotated.",
        hint="It is run without a shell: after --, give the program and each argument separately.",
    )
