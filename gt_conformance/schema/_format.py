"""Values from outside as parts of sentences, and what a schema refuses as one of those sentences.

This is the one place where a value becomes text. What is displayed is short, on one line, and free of control
characters and GT keys: a tenant file may wrongly hold a key itself, and an error about it must not spread it.
"""

import difflib
import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

MAX_DEPTH = 100
"""Levels of nesting that are read. No honest document comes near, and validating deeper ones exhausts the stack."""

WIDTH = 60
"""How much of a text is shown."""

_READ = 4096
"""How much of a text is looked at; the rest of a megabyte is never formatted."""

_STEPS = 12
"""How much of a path is shown."""

_SECRET = re.compile(r"gtak_\S+")


def masked(text: str) -> str:
    """The text with every GT key in it masked."""
    return _SECRET.sub("gtak_***", text)


def plain(text: str, width: int = WIDTH) -> str:
    """The text masked, cut to ``width`` and escaped, without quotes around it.

    Only the end is cut, after masking: a cut in the middle could leave the tail of a key that has lost its prefix.
    """
    visible = masked(text[:_READ])
    cut = len(text) > _READ or len(visible) > width
    visible = visible[: width - 1] + "…" if cut else visible
    return "".join(char if char.isprintable() else _escape(char) for char in visible)


def quote(value: object) -> str:
    """The value as messages write it: ``'nativ'``, ``1.5``, ``true``, ``a list of 3 items``."""
    match value:
        case str():
            text = plain(value)
            words = f'"{text}"' if "'" in text else f"'{text}'"
        case None:
            words = "null"
        case bool():
            words = str(value).lower()
        case int() | float():
            words = _number(value)
        case dict():
            words = f"a mapping of {count_noun(len(value), 'key')}" if value else "an empty mapping"
        case list():
            words = f"a list of {count_noun(len(value), 'item')}" if value else "an empty list"
        case _:
            words = f"a Python {type(value).__name__}"
    return words


def quote_with_kind(value: object) -> str:
    """Like :func:`quote`, with the kind of a text or number named, for where the kind is what matters."""
    if isinstance(value, str):
        return f"the text {quote(value)}" if value else "empty text"
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return f"the number {quote(value)}"
    return quote(value)


def format_path(path: Iterable[str | int]) -> str:
    """The path inside a document: ``routes.POST /v1/embeddings.steps.0.send``; a list counts from 0."""
    steps = [plain(str(step)) for step in path]
    return ".".join(steps if len(steps) <= _STEPS else [*steps[: _STEPS - 1], "…"])


def join_values(values: Iterable[object]) -> str:
    """The values with commas between them: a text without quotes unless it is empty, else as by ``quote``."""
    return ", ".join(value if isinstance(value, str) and value else quote(value) for value in values)


def count_noun(number: int, noun: str) -> str:
    """``1 item``, ``3 items``."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def nearest(value: object, allowed: Iterable[object]) -> str | None:
    """The allowed word that the value was probably meant to be; letter case does not count."""
    words = {word.casefold(): word for word in allowed if isinstance(word, str)}
    if not isinstance(value, str) or len(value) > 2 * WIDTH:
        return None
    found: Sequence[str] = difflib.get_close_matches(value.strip().casefold(), words, n=1)
    return words[found[0]] if found else None


def _number(value: float) -> str:
    if isinstance(value, int):
        short = value.bit_length() <= 4 * WIDTH  # str() of a long number is slow, and refused beyond 4,300 digits
        return str(int(value)) if short else f"a whole number of {value.bit_length()} bits"
    if math.isnan(value):
        return "NaN"
    return repr(value) if math.isfinite(value) else "infinity"


def _escape(char: str) -> str:
    return char.encode("unicode_escape").decode("ascii")


MAX_ERRORS = 1000
"""More are not listed: nobody reads them, and a hostile megabyte can hold hundreds of thousands."""


@dataclass(frozen=True, slots=True)
class SchemaError:
    """One thing that a schema refuses.

    ``path`` leads to the value at fault. Where a *key* of a mapping is at fault (unknown, missing, misplaced, badly
    named), ``path`` leads to the mapping and ``key`` names the key. ``allowed`` holds the right values of an ``enum``
    or ``const``, the right keys for an unknown one, the type names of a ``type``, the choice of missing keys of an
    ``anyOf``. ``value`` is in no repr: it may hold a secret, or a megabyte.
    """

    path: tuple[str | int, ...]
    finding: str
    keyword: str
    allowed: tuple[object, ...] = ()
    value: object = field(default=None, repr=False)
    key: str | None = None
    hint: str | None = None

    @property
    def message(self) -> str:
        """What is wrong, and what would be right."""
        return f"{self.finding} {self.hint}" if self.hint else self.finding

    def __str__(self) -> str:
        """One line: path, what is wrong, what would be right."""
        return f"{format_path(self.path)}: {self.message}" if self.path else self.message
