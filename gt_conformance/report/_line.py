"""A line for a terminal."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Line:
    """A line of text and the style in which a terminal that can shows it."""

    text: str
    style: str = ""
