"""Files: what an operator names is read within a bound, and what is written is written whole or not at all.

Every function raises OSError, whose ``strerror`` is the reason in words; the caller says what the file was for.
"""

import errno
import gzip
import io
import os
import secrets
import select
import stat
import time
from pathlib import Path

MIB = 1 << 20
_PIECE = 1 << 16
_LONGEST_WAIT_S = 10.0
_SECRET_MODE = 0o600


class TooLarge(OSError):
    """A file, or what is packed in it, exceeds the bound."""

    def __init__(self, most: int, path: Path | None = None) -> None:
        size = f"{most // MIB} MiB" if most >= MIB else f"{most} bytes"
        super().__init__(errno.EFBIG, f"it is larger than {size}", None if path is None else str(path))


def explain_unexpanded(path: Path) -> str | None:
    """What to do about a path with something that a shell would have replaced; None where it has nothing of that."""
    word = next((part for part in path.parts if part.startswith(("~", "$"))), None)
    return None if word is None else f"Only a shell replaces {word}: write out the path."


def read_bounded(path: Path, most: int, *, pipes: bool = True) -> bytes:
    """The content of a regular file, or of a pipe that somebody writes to (``<(command)`` in a shell).

    Raises OSError where there is no such file, where it is a folder or a device, where a pipe stays silent for ten
    seconds or ``pipes`` are not wanted, and TooLarge as soon as there are more bytes than ``most``.
    """
    found = read_start(path, most + 1, pipes=pipes)
    if len(found) > most:
        raise TooLarge(most, path)
    return found


def read_start(path: Path, count: int, *, pipes: bool = True) -> bytes:
    """The first bytes of such a file, at most so many. Raises OSError as ``read_bounded`` does."""
    try:
        # Without O_NONBLOCK, opening a named pipe that nobody writes to would never return.
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    except ValueError:
        raise OSError(errno.EINVAL, "its name holds a null character", str(path)) from None
    with open(descriptor, "rb", buffering=0) as file:  # noqa: PTH123 - a descriptor, which a Path cannot open
        mode = os.fstat(descriptor).st_mode
        if not (pipes or stat.S_ISREG(mode)):
            raise OSError(errno.EINVAL, "it is not a regular file", str(path))
        if stat.S_ISDIR(mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
        if not (stat.S_ISREG(mode) or stat.S_ISFIFO(mode)):
            raise OSError(errno.EINVAL, "it is a device, not a file", str(path))
        found = bytearray()
        deadline = time.monotonic() + _LONGEST_WAIT_S
        while len(found) < count:
            if stat.S_ISFIFO(mode):
                _wait_for_data(descriptor, deadline, path)
            piece = file.read(min(_PIECE, count - len(found)))
            if piece is None:  # a pipe whose data somebody else took
                continue
            if not piece:
                break
            found += piece
        return bytes(found)


def unpack(content: bytes, most: int) -> bytes:
    """What is packed by gzip in the bytes.

    Raises TooLarge beyond ``most``; OSError, EOFError or zlib.error where the bytes are damaged.
    """
    with gzip.GzipFile(fileobj=io.BytesIO(content)) as file:
        found = file.read(most + 1)
    if len(found) > most:
        raise TooLarge(most)
    return found


def replace_file(path: Path, content: bytes, *, mode: int = 0o666) -> None:
    """Put the bytes in the place of the file, so that a crash leaves the old one or the new one.

    The new file has this mode less the umask, whatever the old one had. A link is followed; a device or a pipe is
    written to, and stays what it is. The OSError names the file, and not the temporary one.
    """
    target = Path(os.path.realpath(path)) if path.is_symlink() else path
    try:
        if target.exists() and not (target.is_file() or target.is_dir()):
            target.write_bytes(content)
        else:
            _replace(target, content, mode)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from None


def replace_text(path: Path, text: str) -> None:
    """``replace_file`` for a text, in UTF-8; what UTF-8 cannot hold is written as an escape."""
    replace_file(path, text.encode(errors="backslashreplace"))


def replace_secret(path: Path, text: str) -> None:
    """``replace_file`` for a text that only its owner may read, whoever could read the file that was there."""
    replace_file(path, text.encode(), mode=_SECRET_MODE)


def _replace(path: Path, content: bytes, mode: int) -> None:
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        # The mode is that of the file from its first moment on, and the system applies the umask.
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), mode)
        with open(descriptor, "wb") as target:  # noqa: PTH123 - as above
            target.write(content)
        draft.replace(path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise


def _wait_for_data(descriptor: int, deadline: float, path: Path) -> None:
    ready, _, _ = select.select([descriptor], [], [], max(0.0, deadline - time.monotonic()))
    if not ready:
        raise OSError(errno.ETIMEDOUT, f"it is a pipe that gave no data for {_LONGEST_WAIT_S:g} s", str(path))
