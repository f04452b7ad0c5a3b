"""Text as it reads once its escapes are undone, and where each character of that stood: a key can hide in them."""

import re
from array import array
from collections.abc import Sequence
from dataclasses import dataclass

# Of printable ASCII only, which is what keys are made of; a backslash may have been escaped in its turn.
_ESCAPE = re.compile(
    r"\\+u00(?P<json>[2-7][0-9a-fA-F])"
    r"|\\+x(?P<python>[2-7][0-9a-fA-F])"
    r"|%(?P<url>[2-7][0-9a-fA-F])"
    r"|&#[xX]0*(?P<html>[2-7][0-9a-fA-F]);"
    r"|&#0*(?P<decimal>3[2-9]|[4-9][0-9]|1[01][0-9]|12[0-6]);"
)


@dataclass(frozen=True, slots=True)
class Unescaped:
    """What a text says. ``starts[n]`` is where its character n began in the text; one more stands for the end."""

    text: str
    starts: Sequence[int]


def unescaped(text: str) -> Unescaped | None:
    """The text without JSON's, Python's, URL's and HTML's numeric escapes of printable ASCII; None without any."""
    if _ESCAPE.search(text) is None:
        return None
    pieces: list[str] = []
    starts = array("L")  # a list would take ten times the memory of the text
    end = 0
    for match in _ESCAPE.finditer(text):
        pieces.append(text[end : match.start()])
        starts.extend(range(end, match.start()))
        decimal = match["decimal"]
        pieces.append(chr(int(decimal) if decimal else int(match[match.lastgroup or ""], 16)))
        starts.append(match.start())
        end = match.end()
    pieces.append(text[end:])
    starts.extend(range(end, len(text) + 1))
    return Unescaped("".join(pieces), starts)
