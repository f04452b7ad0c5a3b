"""Secrets: a type that never prints, and where their values come from."""

import hashlib
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from gt_conformance.errors import InputError, Location

_COMMAND_TIMEOUT_S = 30
_SHORTEST = 8
_MASK = "***"


class Secret:
    """A key's plaintext. ``repr``, ``str`` and formatting are masked; only :meth:`reveal` gives the value."""

    __slots__ = ("__value",)

    def __init__(self, value: str) -> None:
        self.__value = value

    def reveal(self) -> str:
        """The plaintext. Call it where a request is built or a text is redacted, and nowhere else."""
        return self.__value

    @property
    def fingerprint(self) -> str:
        """The first twelve hexadecimal digits of its SHA-256: tells keys apart without showing them."""
        return hashlib.sha256(self.__value.encode()).hexdigest()[:12]

    def __repr__(self) -> str:
        """Masked."""
        return f"Secret({_MASK})"

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        """Masked, whatever the format asks for."""
        return repr(self)

    def __eq__(self, other: object) -> bool:
        """Equal where the plaintexts are."""
        return isinstance(other, Secret) and self.reveal() == other.reveal()

    def __hash__(self) -> int:
        """Hash of the plaintext's fingerprint."""
        return hash(self.fingerprint)

    def __reduce__(self) -> str | tuple[object, ...]:
        """A secret is never pickled: a pickle would be an output."""
        raise TypeError("A secret is not pickled.")


def from_environment(name: str, environment: Mapping[str, str], *, key: str, where: Location | None) -> Secret:
    """The secret in an environment variable. Raises InputError where it is unset or unusable."""
    value = environment.get(name)
    if value is None:
        raise InputError.of(
            f"the key {key!r} takes its secret from the environment variable {name}, which is not set.",
            where=where,
            hint=f"Set it: export {name}=...",
        )
    return _usable(value, f"the environment variable {name}", key=key, where=where)


def from_file(path: Path, *, key: str, where: Location | None) -> Secret:
    """The secret in a file, less the line break at its end. Raises InputError where it cannot be read."""
    try:
        value = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise InputError.of(
            f"the key {key!r} takes its secret from the file {path}, which cannot be read: {reason}.",
            where=where,
            hint="Check the path; it is taken from the folder of the tenant file.",
        ) from None
    return _usable(value, f"the file {path}", key=key, where=where)


def from_command(command: Sequence[str], *, key: str, where: Location | None) -> Secret:
    """What the command prints on standard output, run without a shell. Its output is never shown.

    Raises InputError where it cannot be started, fails, prints nothing, or takes over thirty seconds.
    """
    name = command[0]
    try:
        done = subprocess.run(  # noqa: S603 - the operator's own command, no shell, by the tenant file
            list(command), stdin=subprocess.DEVNULL, capture_output=True, timeout=_COMMAND_TIMEOUT_S, check=False
        )
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it is not a command"
        raise InputError.of(
            f"the key {key!r} takes its secret from the command {name!r}, which cannot be started: {reason}.",
            where=where,
            hint="It is run without a shell: give the program and each argument as an entry of its own.",
        ) from None
    except subprocess.TimeoutExpired:
        raise InputError.of(
            f"the secret command {name!r} of the key {key!r} took over {_COMMAND_TIMEOUT_S} seconds.",
            where=where,
            hint="Run it by hand: it may be waiting for a password.",
        ) from None
    if done.returncode != 0:
        raise InputError.of(
            f"the secret command {name!r} of the key {key!r} failed with exit code {done.returncode}.",
            where=where,
            hint="Run it by hand to see why; its output is not shown here, since it may hold a secret.",
        )
    value = done.stdout.decode("utf-8", errors="replace")
    return _usable(value, f"the command {name!r}", key=key, where=where)


def _usable(value: str, source: str, *, key: str, where: Location | None) -> Secret:
    stripped = value.strip()
    if not stripped:
        problem = "gives nothing"
    elif not stripped.isascii() or not stripped.isprintable() or " " in stripped:
        problem = "gives text that cannot stand in a header: a space, a line break or a character beyond ASCII"
    elif len(stripped) < _SHORTEST:
        problem = f"gives fewer than {_SHORTEST} characters, too short for a GT key"
    else:
        return Secret(stripped)
    raise InputError.of(
        f"the secret of the key {key!r} is unusable: {source} {problem}.",
        where=where,
        hint="A GT key looks like gtak_... and stands alone.",
    )
