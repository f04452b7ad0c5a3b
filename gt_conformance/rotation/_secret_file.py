"""Where a rotation stores secrets: in files for their owner only, whole or not at all, never over the last good one.

A secret is held beside its place as soon as it is known (``FILE.new``), and moved there in one step: a new secret once
it has proved to work, where the old one is replaced; the old secret once the new one has proved to work.
"""

import os
from dataclasses import dataclass
from pathlib import Path

from gt_conformance.errors import InputError
from gt_conformance.rotation._rotation import Phase, Recorder
from gt_conformance.tenant import Secret
from gt_conformance.vocabulary import Outcome

_ELSEWHERE = "Take the new secret from where the command stored it; else rotate the key again."


@dataclass(frozen=True, slots=True)
class SecretFile:
    """A file that can be written. ``replaces`` where the tenant file names it, so that an older secret is in it."""

    path: Path
    replaces: bool

    @property
    def held(self) -> Path:
        """Where the secret waits for its place."""
        return self.path.with_name(self.path.name + ".new")

    def hold(self, content: bytes) -> None:
        """Write it beside its place. Raises OSError, and then leaves nothing."""
        handle = os.open(self.held, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(handle, "wb") as target:
                target.write(content)
                target.flush()
                os.fsync(target.fileno())
        except BaseException:
            self.held.unlink(missing_ok=True)
            raise

    def settle(self) -> None:
        """Move what is held to its place. Raises OSError, such as where a file is new there; it then stays held."""
        if self.replaces:
            self.held.replace(self.path)
        else:
            self.path.hardlink_to(self.held)
            self.held.unlink()


def secret_file_at(path: Path, replaceable: Path | None) -> SecretFile:
    """A file to be made there; one that exists is replaced only where it is the replaceable one.

    Raises InputError where it must not, or cannot, be written.
    """
    replaces = False
    if replaceable is not None and replaceable.exists():
        replaces = path.exists() and path.samefile(replaceable)
    if os.path.lexists(path) and not replaces:
        raise InputError.of(
            f"{path} exists already: a secret is not written over it.",
            hint="Name a file that does not exist, or the one that the tenant file names for this secret of the key.",
        )
    # What a link leads to is replaced, rather than the link.
    file = SecretFile(path.resolve() if path.is_symlink() else path, replaces)
    if os.path.lexists(file.held):
        raise InputError.of(
            f"{file.held} exists: an earlier rotation left it, and it may hold the only copy of a secret.",
            hint="Move it to where it belongs, or delete it.",
        )
    try:
        file.hold(b"")
        file.held.unlink()
    except OSError as error:
        raise InputError.of(
            f"{file.held} cannot be written: {error.strerror}.", hint="Name a file in a folder of yours."
        ) from None
    return file


class SecretStore:
    """Does what --write-secret and --write-retired ask, where they were given, and records the results as steps."""

    def __init__(self, new: SecretFile | None, retired: SecretFile | None, recorder: Recorder, key: str) -> None:
        self._new = new
        self._retired = retired
        self._recorder = recorder
        self._key = key
        self._problem: str | None = None
        self.new_path: str | None = None
        """The file that what the command printed is in now."""
        self.retired_path: str | None = None
        """The file that the old secret is in now, beside where it came from."""

    def hold_old(self, old: Secret) -> None:
        """Write the old secret beside its place, before anything is done to it. Raises InputError."""
        if self._retired is None:
            return
        try:
            self._retired.hold(_line(old))
        except OSError as error:
            raise InputError.of(
                f"the old secret could not be stored in {self._retired.held}: {error.strerror}. Nothing was rotated."
            ) from None
        self.retired_path = str(self._retired.held)

    def drop_old(self) -> None:
        """Remove the old secret again: the command never ran."""
        if self._retired is not None:
            self._retired.held.unlink(missing_ok=True)
            self.retired_path = None

    def hold_new(self, content: bytes) -> None:
        """Write it beside its place. Records nothing yet, so that nothing comes before it."""
        if self._new is None:
            return
        try:
            self._new.hold(content)
        except OSError as error:
            self._problem = error.strerror or type(error).__name__
        else:
            self.new_path = str(self._new.held)

    def settle(self, *, proved: bool) -> None:
        """Put both in their places; where that takes the old one's, only if the new one has proved to work."""
        self._settle_old(proved=proved)
        if self._new is not None and not self._is_lost(self._new):
            self._settle_new(self._new, proved=proved)

    def leave(self) -> None:
        """Leave what a failing command printed where it is held: the new secret may be in it."""
        self._settle_old(proved=False)
        if self._new is not None and not self._is_lost(self._new) and self.new_path is not None:
            text = f"what the command printed is kept in {self.new_path}: the new secret may be in it"
            self._record("secret.stored", Outcome.BLOCKED, text, "Look into it, then move or delete it.")

    def _settle_new(self, file: SecretFile, *, proved: bool) -> None:
        if file.replaces and not proved:
            text = f"{file.path} still holds the old secret, because the new one was not shown to work; it is kept in"
            remedy = "Find out which of the two the tenant takes, and keep that one."
            self._record("secret.stored", Outcome.BLOCKED, f"{text} {file.held}", remedy)
            return
        replacing = ", in place of the old one" if file.replaces else ""
        if self._moved("secret.stored", "new", file, replacing):
            self.new_path = str(file.path)

    def _settle_old(self, *, proved: bool) -> None:
        file = self._retired
        if file is None:
            return
        if not proved:
            text = f"the old secret is kept in {file.held}, and not in {file.path}: no new one has proved to work"
            remedy = "Move it there once the key is rotated; delete it where the key still has this secret."
            self._record("secret.retired", Outcome.BLOCKED, text, remedy)
        elif self._moved("secret.retired", "old", file, ""):
            self.retired_path = str(file.path)

    def _moved(self, probe: str, which: str, file: SecretFile, replacing: str) -> bool:
        try:
            file.settle()
        except OSError as error:
            text = f"the {which} secret is kept in {file.held}; it could not be moved to {file.path}: "
            self._record(probe, Outcome.BLOCKED, text + (error.strerror or type(error).__name__), "Move it there.")
            return False
        self._record(probe, Outcome.CONFORMS, f"the {which} secret is stored in {file.path}{replacing}", "")
        return True

    def _is_lost(self, file: SecretFile) -> bool:
        if self._problem is not None:
            text = f"what the command printed could not be stored in {file.held}: {self._problem}"
            self._record("secret.stored", Outcome.BLOCKED, text, _ELSEWHERE)
        return self._problem is not None

    def _record(self, probe: str, outcome: Outcome, text: str, remedy: str) -> None:
        self._recorder.record(Phase.AFTER, probe, self._key, outcome, text, remedy=remedy)


def _line(secret: Secret) -> bytes:
    return secret.reveal().encode() + b"\n"
