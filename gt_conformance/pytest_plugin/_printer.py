"""Lines for a terminal, in colour where it has any. Loading rich for that takes forty milliseconds of each run."""

import os
from typing import TextIO

import click

from gt_conformance.exchange import inert


class Printer:
    """Prints lines to a stream; ``colour`` is what pytest's ``--color`` says: yes, no or auto."""

    def __init__(self, file: TextIO, colour: str) -> None:
        self.file = file
        self.is_terminal = file.isatty()
        plain = bool(os.environ.get("NO_COLOR")) or os.environ.get("TERM") in {"dumb", "unknown"}
        self._is_coloured = colour == "yes" or (colour != "no" and self.is_terminal and not plain)

    @property
    def columns(self) -> int | None:
        """How wide the terminal is; None where it is none, or does not say."""
        if not self.is_terminal:
            return None
        try:
            return os.get_terminal_size(self.file.fileno()).columns or None
        except OSError:
            return None

    def print(self, text: str, style: str = "") -> None:
        """Print a line in that style, such as ``bold red`` or ``dim``. Nothing in it has a say on the terminal."""
        self.print_parts((text, style))

    def print_parts(self, *parts: tuple[str, str]) -> None:
        """Print a line of several parts, each with its style."""
        self.file.write("".join(self._styled(*part) for part in parts) + "\n")

    def _styled(self, text: str, style: str) -> str:
        shown = str(inert(text))
        if not shown or not style or not self._is_coloured:
            return shown
        words = style.split()
        colour = next((word for word in words if word not in {"bold", "dim"}), None)
        return click.style(shown, fg=colour, bold="bold" in words or None, dim="dim" in words or None)
