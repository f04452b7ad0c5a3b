"""Errors as values: what is wrong, where, and what to do next.

Two families never mix. :class:`InputError` is about what the operator wrote (a file, an option, a
secret) and ends the command before anything is sent. :class:`Blocked` is about a check that could
not be carried out; it is no assertion, so no report counts it as a broken promise.
"""

import difflib
import hashlib
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import TypeAlias

from gt_conformance.vocabulary import Actor


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


Locate: TypeAlias = Callable[..., Location | None]
"""From a path inside a file to its place; None where what was read came from no file."""


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
    return Problem(f"there is no {kind} {name!r}.", hint=f"{hint}Known: {', '.join(known) or 'none'}.")


class InputError(Exception):
    """What the operator wrote cannot be used. Carries every problem found, not only the first."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))

    @classmethod
    def of(cls, message: str, *, where: Location | None = None, hint: str | None = None) -> "InputError":
        """An error with a single problem."""
        return cls([Problem(message, where=where, hint=hint)])


@contextmanager
def named_in(place: Location | None) -> Iterator[None]:
    """Add, to an error about a whole file that another file names, where it is named.

    Without it, whoever mistyped the name does not know which of the files to correct.
    """
    try:
        yield
    except InputError as error:
        if place is None:
            raise
        raise InputError(_add_place(problem, place) for problem in error.problems) from None


def _add_place(problem: Problem, place: Location) -> Problem:
    if problem.where is not None and problem.where.line is not None:
        return problem
    return replace(problem, hint=" ".join(filter(None, (problem.hint, f"It is named in {place}."))))


@lru_cache(1024)
def name_finding(family: str, cause: str) -> str:
    """The id of the finding of that cause, the same in every run: ``chat.completes~3f9a1c``.

    ``family`` is what reports it (a check, or who has to act), ``cause`` what tells it from others of that family.
    """
    digest = hashlib.sha256(cause.encode(errors="backslashreplace")).hexdigest()
    return f"{family}~{digest[:6]}"


@dataclass(frozen=True, slots=True)
class Blocker:
    """A part of a check that could not be carried out, what is missing, and who has to supply it.

    ``cause`` tells what is missing where the remedy's words do not, so that one missing thing is one finding.
    ``because`` is the id of another check's finding that explains it: then it needs no remedy of its own.
    ``remedy_of_all`` is the finding's remedy where several of its cause have different ones. ``exchange`` is the answer
    that says too little, where there is one: what explains it may show at the end of the run.
    """

    reason: str
    remedy: str
    acts: Actor = Actor.SETUP
    cause: str = ""
    because: str = ""
    remedy_of_all: str = ""
    exchange: str = field(default="", compare=False)

    @property
    def finding(self) -> str:
        """The id of the finding that it belongs to."""
        return self.because or name_finding(self.acts.value, self.cause or self.remedy or self.reason)


class Blocked(Exception):
    """A check could not be carried out. Not a verdict: says what is missing and how to supply it."""

    def __init__(
        self, reason: str, remedy: str, *, acts: Actor = Actor.SETUP, cause: str = "", because: str = ""
    ) -> None:
        self.blocker = Blocker(reason, remedy, acts, cause, because)
        super().__init__(reason)

    @classmethod
    def by(cls, blocker: Blocker) -> "Blocked":
        """The error of a blocker that is known already."""
        blocked = cls(blocker.reason, blocker.remedy)
        blocked.blocker = blocker
        return blocked

    @property
    def reason(self) -> str:
        """What is missing."""
        return self.blocker.reason

    @property
    def remedy(self) -> str:
        """How to supply it."""
        return self.blocker.remedy
