"""Standard output and standard error that may be closed, full, or read by nobody any more.

What cannot be written is dropped, so that ``| head``, ``>&-`` and a full disk neither end a run nor change its outcome.
"""

import codecs
import errno
import io
import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import IO, Any, TextIO

PLAIN = "gt_conformance_plain"
"""How a character is written that the encoding of a terminal does not have: by ASCII where that has a mark for it."""
_MARKS = {
    "\N{CHECK MARK}": "+",
    "\N{BALLOT X}": "x",
    "\N{RIGHTWARDS ARROW}": "->",
    "\N{MIDDLE DOT}": "-",
    "\N{MULTIPLICATION SIGN}": "x",
    "\N{HORIZONTAL ELLIPSIS}": "...",
    "\N{EN DASH}": "-",
    "\N{EM DASH}": "-",
    "\N{LEFT SINGLE QUOTATION MARK}": "'",
    "\N{RIGHT SINGLE QUOTATION MARK}": "'",
    "\N{LEFT DOUBLE QUOTATION MARK}": '"',
    "\N{RIGHT DOUBLE QUOTATION MARK}": '"',
}


def _write_plainly(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(_MARKS.get(char, "?") for char in error.object[error.start : error.end]), error.end


codecs.register_error(PLAIN, _write_plainly)


class _TolerantFile(io.FileIO):
    """A file whose failing writes are dropped. ``error`` is the last of them."""

    error: OSError | None = None

    def write(self, data: Any, /) -> int:
        try:
            return super().write(data)
        except OSError as error:
            self.error = error
            return memoryview(data).nbytes


@dataclass(eq=False)
class Delivery:
    """Whether what was printed for a caller reached it: ``lost`` says why not."""

    lost: str | None = None


@contextmanager
def tolerant_output() -> Iterator[None]:
    """While inside, writing to ``sys.stdout`` and ``sys.stderr`` never raises, whatever they lead to."""
    with ExitStack() as restored:
        for name in ("stdout", "stderr"):
            stream: TextIO | None = getattr(sys, name)
            made = _made(stream)
            if made is not stream:
                setattr(sys, name, made)
                restored.callback(made.close if stream is None else made.flush)
                restored.callback(setattr, sys, name, stream)
        yield


def problem(stream: IO[str]) -> str | None:
    """Why something that was written to the stream is lost; None where nothing is, or where its reader went away."""
    stream.flush()
    error = getattr(getattr(getattr(stream, "buffer", None), "raw", None), "error", None)
    return None if error is None or error.errno == errno.EPIPE else str(error.strerror)


def duplicate(stream: TextIO | None) -> TextIO:
    """A tolerant stream of its own to where this one leads; the stream itself where it leads to no file."""
    if stream is None:
        return _text(os.open(os.devnull, os.O_WRONLY), "utf-8", "replace", line_buffering=True)
    try:
        descriptor = os.dup(stream.fileno())
    except (OSError, ValueError):
        return stream
    return _text(descriptor, stream.encoding, PLAIN, line_buffering=True)


def _made(stream: TextIO | None) -> TextIO:
    if stream is None:
        # Python gives None where the descriptor was closed. Opened again, no other file can take its number, in which
        # the output of whatever we start would then end.
        return _text(os.open(os.devnull, os.O_RDWR), "utf-8", "replace", line_buffering=True)
    if type(stream) is not io.TextIOWrapper or type(getattr(stream.buffer, "raw", stream.buffer)) is not io.FileIO:
        return stream  # somebody else's, such as pytest's while it captures
    stream.flush()
    return _text(
        stream.fileno(),
        stream.encoding,
        PLAIN if stream.errors in {None, "strict", "replace"} else stream.errors,
        line_buffering=stream.line_buffering or stream.write_through,  # the latter with PYTHONUNBUFFERED
        close=False,
    )


def _text(descriptor: int, encoding: str, errors: str, *, line_buffering: bool, close: bool = True) -> TextIO:
    raw = _TolerantFile(descriptor, "wb", closefd=close)
    return io.TextIOWrapper(io.BufferedWriter(raw), encoding=encoding, errors=errors, line_buffering=line_buffering)
