"""The rotation from its first probe to its last, and the operator's command in it.

The command is run without a shell, bounded in time, its output never displayed.
"""

import secrets
import shutil
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import FrameType

import anyio

from gt_conformance import processes, schema, signals
from gt_conformance.errors import InputError
from gt_conformance.processes import Completed, Ending
from gt_conformance.rotation._after import probe_after, probe_after_failure
from gt_conformance.rotation._before import Baseline, probe_before
from gt_conformance.rotation._prober import Deadline
from gt_conformance.rotation._rotation import Lifetimes, Phase, Recorder, Rotation, Step, Target
from gt_conformance.rotation._secret_file import SecretFile, SecretStore
from gt_conformance.tenant import Secret
from gt_conformance.vocabulary import Outcome

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


def run_command(command: Command, is_over: Callable[[], bool]) -> Completed:
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


def rotate(
    target: Target,
    command: Command,
    on_step: Callable[[Step], None],
    *,
    grace_s: float,
    new_file: SecretFile | None = None,
    retired_file: SecretFile | None = None,
) -> Rotation:
    """Probe, run the command, probe again; each step is passed on as it happens.

    Raises InputError where the command cannot be started. Whatever else happens is a step of the rotation.
    """
    recorder = Recorder(target.tenant.secrets(), on_step)
    store = SecretStore(new_file, retired_file, recorder, target.credential.name)
    return _Drive(target, command, recorder, store, grace_s).carry_out()


class _Drive:
    """One rotation under way."""

    def __init__(
        self, target: Target, command: Command, recorder: Recorder, store: SecretStore, grace_s: float
    ) -> None:
        self._target = target
        self._command = command
        self._recorder = recorder
        self._store = store
        self._grace_s = grace_s
        self._id = secrets.token_hex(4)
        self._new: Secret | None = None
        self._lifetimes = Lifetimes()

    def carry_out(self) -> Rotation:
        key = self._target.credential
        baseline = anyio.run(probe_before, self._target, self._recorder, self._id)
        if baseline.names[key.name].seen is None:
            return self._result(refused=True)
        with _deferred_signals() as is_over:
            self._store.hold_old(self._target.secret)
            try:
                ran = run_command(self._command, is_over)
            except BaseException:
                self._store.drop_old()
                raise
            found = parse_secret(ran, self._target.secret)
            self._keep(found, ran)
            interrupted = is_over()
        try:
            self._judge(found, ran, baseline)
        except KeyboardInterrupt:
            interrupted = True
            text = "interrupted: the command had run, and not all was probed"
            self._recorder.record(Phase.AFTER, "whole", key.name, Outcome.BLOCKED, text)
        return self._result(interrupted=interrupted)

    def _keep(self, found: Secret | Unusable, ran: Completed) -> None:
        """From here on nothing that goes wrong can lose the new secret, nor display it."""
        if isinstance(found, Secret):
            self._new = found
            self._recorder.redact(f"{self._target.credential.name}.new", found)
            self._store.hold_new(found.reveal().encode() + b"\n")
        elif found.kept:
            self._store.hold_new(ran.stdout)

    def _judge(self, found: Secret | Unusable, ran: Completed, baseline: Baseline) -> None:
        key, record, program = self._target.credential.name, self._recorder.record, self._command.program
        if isinstance(found, Unusable):
            text = f"the command {program} {found.reason}"
            record(Phase.COMMAND, "command", key, Outcome.BLOCKED, text, remedy=found.remedy)
            self._store.leave()
            anyio.run(probe_after_failure, self._target, self._recorder, self._id)
            return
        text = f"the command {program} ended after {ran.elapsed_s:.2f} s and printed one new secret"
        record(Phase.COMMAND, "command", key, Outcome.CONFORMS, text)
        probe = partial(probe_after, run_id=self._id, deadline=Deadline(ran.ended_at, self._grace_s))
        self._lifetimes = anyio.run(probe, self._target, found, baseline, self._recorder)
        self._store.settle(proved=self._lifetimes.new_first_taken_s is not None)

    def _result(self, *, refused: bool = False, interrupted: bool = False) -> Rotation:
        return Rotation(
            key=self._target.credential.name,
            program=self._command.program,
            run_id=self._id,
            steps=tuple(self._recorder.steps),
            old=self._target.secret.fingerprint,
            new=self._new.fingerprint if self._new is not None else None,
            lifetimes=self._lifetimes,
            redactor=self._recorder.redactor,
            grace_s=self._grace_s,
            stored=self._store.new_path,
            retired_stored=self._store.retired_path,
            refused=refused,
            interrupted=interrupted,
        )


@contextmanager
def _deferred_signals() -> Iterator[Callable[[], bool]]:
    """Ctrl-C and the like, while a rotation must not be left half-way, are remembered; gives whether there was one."""
    asked = threading.Event()

    def remember(number: int, frame: FrameType | None) -> None:
        del number, frame
        asked.set()

    with signals.handling(remember):
        yield asked.is_set
