"""The rotation from its first probe to its last."""

import secrets
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from types import FrameType

import anyio

from gt_conformance import signals
from gt_conformance.processes import Completed
from gt_conformance.rotation._after import probe_after, probe_after_failure
from gt_conformance.rotation._before import Baseline, probe_before
from gt_conformance.rotation._command import Command, Unusable, parse_secret, run
from gt_conformance.rotation._rotation import Lifetimes, Phase, Recorder, Rotation, Step, Target
from gt_conformance.rotation._secret_file import SecretFile, SecretStore
from gt_conformance.rotation._watch import Deadline
from gt_conformance.tenant import Secret
from gt_conformance.vocabulary import Outcome


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
                ran = run(self._command, is_over)
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
