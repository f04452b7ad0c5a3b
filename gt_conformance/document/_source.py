"""From a path to text whose characters know their line."""

import difflib
import re
from bisect import bisect_right
from dataclasses import dataclass, field
from pathlib import Path

from gt_conformance import files
from gt_conformance.errors import InputError, Location, Problem

MAX_BYTES = 1 << 20
"""No file of ours comes near 1 MiB; one that does is a mistake, or hostile."""

_BOM = "\ufeff"
_LINE_END = re.compile(r"\r\n|\n|\r")
_UNPRINTABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True, slots=True)
class Source:
    """The text of a file. Lines are those that an editor counts, which YAML's own marks are not."""

    file: str
    text: str
    _starts: tuple[int, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Note where each line starts."""
        object.__setattr__(self, "_starts", (0, *(match.end() for match in _LINE_END.finditer(self.text))))

    def location(self, index: int) -> Location:
        """The line and column of the character at that index."""
        line = bisect_right(self._starts, index)
        return Location(self.file, line, index - self._starts[line - 1] + 1)

    def line_start(self, index: int) -> int:
        """The index at which the line of that character starts."""
        return self._starts[bisect_right(self._starts, index) - 1]


def content(path: Path) -> bytes:
    """The bytes of the file. Raises InputError where there are none to be had, or too many."""
    where = Location(str(path))
    try:
        return files.read_bounded(path, MAX_BYTES)
    except files.TooLarge as error:
        raise InputError.of("the file is larger than 1 MiB.", where=where, hint="Is it the right one?") from error
    except FileNotFoundError as error:
        raise InputError.of("there is no such file.", where=where, hint=_similar(path)) from error
    except IsADirectoryError as error:
        raise InputError.of("this is a folder, not a file.", where=where) from error
    except PermissionError as error:
        raise InputError.of("the file may not be read.", where=where, hint="Check its permissions.") from error
    except OSError as error:
        raise InputError.of(f"the file cannot be read: {error.strerror}.", where=where) from error


def decoded(found: bytes, path: Path) -> tuple[Source, list[Problem]]:
    """The text of the bytes, and what is wrong with it that does not keep it from being read.

    Raises InputError where it cannot be read as text at all.
    """
    try:
        text = found.decode()
    except UnicodeDecodeError as error:
        before = Source(str(path), found[: error.start].decode())
        raise InputError.of(
            f"the byte 0x{found[error.start]:02X} is not UTF-8.",
            where=before.location(len(before.text)),
            hint="Save the file as UTF-8.",
        ) from error
    problems = []
    if text.startswith(_BOM):
        text = text.removeprefix(_BOM)
        finding = "starts with a byte-order mark: save as UTF-8 without one."
        problems.append(Problem(finding, where=Location(str(path), 1, 1)))
    source = Source(str(path), text)
    if odd := _UNPRINTABLE.search(text):
        more = len(_UNPRINTABLE.findall(text)) - 1
        finding = f"the character U+{ord(odd[0]):04X} cannot stand in a text file."
        hint = f"Delete it, and {more} more like it." if more else "Delete it."
        raise InputError([*problems, Problem(finding, where=source.location(odd.start()), hint=hint)])
    return source, problems


def _similar(path: Path) -> str | None:
    try:
        names = {other.stem: other.name for other in sorted(path.parent.iterdir())}
    except OSError:
        return f"There is no folder {path.parent} either."
    near = difflib.get_close_matches(path.stem, names, n=1)
    return f"Did you mean {path.with_name(names[near[0]])}?" if near else None
