"""Errors as values: what is wrong, where, and what to do next.

Two families never mix. :class:`InputError` is about what the operator wrote (a file, an option, a
secret) and ends the command before anything is sent. :class:`Blocked` is about a check that could
not be carried out; it is no assertion, so no report counts it as a broken promise.
"""

import difflib
from collections.abc import Collection, Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Location:
    """A place in a file the operator can open; lines and columns count from 1."""

    file: str
    line: int | None = None
    column: int | None = None

    def __str__(self) -> str:
        """``file:line:column``, leaving out what is not known."""
        parts = [self.file, *(str(n) for n in (self.line, self.column) if n is not None)]
        return ":".join(parts)


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with what the operator wrote.

    ``path`` is the place inside the document (``routes.POST /v1/embeddings.verdict``); ``hint`` finishes the
    thought: the nearest right value, the allowed ones, the next step.
    """

    message: str
    where: Location | None = None
    path: str | None = None
    hint: str | None = None

    def __str__(self) -> str:
        """One line: place, path, message, hint."""
        head = f"{self.where}: " if self.where else ""
        inside = f"{self.path}: " if self.path else ""
        tail = f" {self.hint}" if self.hint else ""
        return f"{head}{inside}{self.message}{tail}"


def unknown(kind: str, name: str, known: Collection[str]) -> Problem:
    """A value that does not exist, with the nearest that does and all of them."""
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"Did you mean {near[0]}? " if near else ""
    return Problem(f"there is no {kind} {name!r}.", hint=f"{hint}Known: {', '.join(known)}.")


class InputError(Exception):
    """What the operator wrote cannot be used. Carries every problem found, not only the first."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))

    @classmethod
    def of(cls, message: str, *, where: Location | None = None, hint: str | None = None) -> "InputError":
        """An error with a single problem."""
        return cls([Problem(message, where=where, hint=hint)])


class Blocked(Exception):
    """A check could not be carried out. Not a verdict: says what is missing and how to supply it."""

    def __init__(self, reason: str, remedy: str) -> None:
        self.reason = reason
        self.remedy = remedy
        super().__init__(reason)


@dataclass(frozen=True, slots=True)
class Blocker:
    """A part of a check that could not be carried out, and what is missing."""

    reason: str
    remedy: str
