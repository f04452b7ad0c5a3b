"""The rotation from its first probe to its last."""

from functools import partial

import anyio

from gt_conformance.processes import Completed
from gt_conformance.rotation._account import Account, Tell
from gt_conformance.rotation._after import after, after_failure
from gt_conformance.rotation._before import Looks, before
from gt_conformance.rotation._command import Command, run
from gt_conformance.rotation._deferral import deferred
from gt_conformance.rotation._keeping import Keeping
from gt_conformance.rotation._printed import Unusable, printed
from gt_conformance.rotation._store import Store
from gt_conformance.rotation._target import Target
from gt_conformance.rotation._value import Lifetimes, Phase, Rotation
from gt_conformance.tenant import Secret
from gt_conformance.vocabulary import Outcome


def rotate(target: Target, command: Command, keeping: Keeping | None, tell: Tell, *, grace_s: float) -> Rotation:
    """Probe, run the command, probe again; each step is told as it happens.

    Raises InputError where the command cannot be started. Whatever else happens is a step of the rotation.
    """
    return _Drive(target, command, keeping, tell, grace_s).carried_out()


class _Drive:
    """One rotation under way."""

    def __init__(self, target: Target, command: Command, keeping: Keeping | None, tell: Tell, grace_s: float) -> None:
        self._target = target
        self._command = command
        self._grace_s = grace_s
        self._account = Account(target.tenant.secrets(), tell)
        self._store = Store(keeping, self._account, target.credential.name)
        self._new: Secret | None = None
        self._lifetimes = Lifetimes()

    def carried_out(self) -> Rotation:
        looks = anyio.run(before, self._target, self._account)
        if looks.names[self._target.credential.name].seen is None:
            return self._ended(refused=True)
        with deferred() as is_over:
            ran = run(self._command, is_over)
            found = printed(ran, self._target.credential.secret)
            self._keep(found, ran)
            interrupted = is_over()
        try:
            self._judge(found, ran, looks)
        except KeyboardInterrupt:
            interrupted = True
            name, text = self._target.credential.name, "interrupted: the command had run, and not all was probed"
            self._account.note(Phase.AFTER, "whole", name, Outcome.BLOCKED, text)
        return self._ended(interrupted=interrupted)

    def _keep(self, found: Secret | Unusable, ran: Completed) -> None:
        """From here on nothing that goes wrong can lose the new secret, nor show it."""
        if isinstance(found, Secret):
            self._new = found
            self._account.know(f"{self._target.credential.name}.new", found)
            self._store.hold(found.reveal().encode() + b"\n")
        elif found.kept:
            self._store.hold(ran.stdout)

    def _judge(self, found: Secret | Unusable, ran: Completed, looks: Looks) -> None:
        key, account, program = self._target.credential, self._account, self._command.program
        if isinstance(found, Unusable):
            text = f"the command {program} {found.reason}"
            account.note(Phase.COMMAND, "command", key.name, Outcome.BLOCKED, text, remedy=found.remedy)
            self._store.leave()
            anyio.run(after_failure, self._target, account)
            return
        text = f"the command {program} ended after {ran.elapsed_s:.2f} s and printed one new secret"
        account.note(Phase.COMMAND, "command", key.name, Outcome.CONFORMS, text)
        promises = partial(after, ended_at=ran.ended_at, grace_s=self._grace_s)
        self._lifetimes = anyio.run(promises, self._target, found, looks, account)
        self._store.settle(proved=self._lifetimes.new_first_taken_s is not None)

    def _ended(self, *, refused: bool = False, interrupted: bool = False) -> Rotation:
        return Rotation(
            key=self._target.credential.name,
            program=self._command.program,
            steps=tuple(self._account.steps),
            old=self._target.credential.secret.fingerprint,
            new=self._new.fingerprint if self._new is not None else None,
            lifetimes=self._lifetimes,
            redactor=self._account.redactor,
            grace_s=self._grace_s,
            stored=self._store.place,
            refused=refused,
            interrupted=interrupted,
        )
