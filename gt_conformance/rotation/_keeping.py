"""Where the new secret is stored: in a file for its owner only, whole or not at all, and never over the last good one.

It is held beside its place as soon as it is known (``FILE.new``), and moved there in one step: at once where nothing
stood there, and only once the new secret has proved to work where the old one did.
"""

import os
from dataclasses import dataclass
from pathlib import Path

from gt_conformance.errors import InputError
from gt_conformance.rotation._target import Reference


@dataclass(frozen=True, slots=True)
class Keeping:
    """A file that can be written. ``replaces`` where the old secret stands in it."""

    path: Path
    replaces: bool

    @property
    def held(self) -> Path:
        """Where the new secret waits for its place."""
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


def keeping_in(path: Path, reference: Reference) -> Keeping:
    """The keeping in that file. Raises InputError where it must not, or cannot, be written."""
    replaces = False
    if reference.path is not None and reference.path.exists():
        replaces = path.exists() and path.samefile(reference.path)
    if os.path.lexists(path) and not replaces:
        raise InputError.of(
            f"{path} exists already: a secret is not written over it.",
            hint="Name a file that does not exist, or the secret_file of this key in the tenant file.",
        )
    # What a link leads to is replaced, rather than the link.
    keeping = Keeping(path.resolve() if path.is_symlink() else path, replaces)
    if os.path.lexists(keeping.held):
        raise InputError.of(
            f"{keeping.held} exists: an earlier rotation left it, and it may hold the only copy of a secret.",
            hint="Move it to where it belongs, or delete it.",
        )
    try:
        keeping.hold(b"")
        keeping.held.unlink()
    except OSError as error:
        raise InputError.of(
            f"{keeping.held} cannot be written: {error.strerror}.", hint="Name a file in a folder of yours."
        ) from None
    return keeping
