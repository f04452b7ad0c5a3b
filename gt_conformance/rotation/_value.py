"""What a rotation came to: its steps in order, and what they add up to."""

from dataclasses import dataclass
from enum import StrEnum

from gt_conformance.exchange import Exchange, Redactor
from gt_conformance.vocabulary import Outcome

REFUSED, INTERRUPTED = 8, 2
_CODES = {Outcome.CONFORMS: 0, Outcome.VIOLATES: 1}
_UNTESTED = 7


class Phase(StrEnum):
    """When a step was taken, seen from the operator's command."""

    BEFORE = "before"
    COMMAND = "command"
    AFTER = "after"


@dataclass(frozen=True, slots=True)
class Step:
    """One probe, or one thing done: what came of it in a sentence's part, and what to do where it does not conform.

    ``probe`` is its stable id; ``credential`` the key that it is about. Its texts are safe to show.
    """

    phase: Phase
    probe: str
    credential: str
    outcome: Outcome
    text: str
    remedy: str = ""
    exchange: Exchange | None = None


@dataclass(frozen=True, slots=True)
class Lifetimes:
    """Seconds after the command's end: when the old secret was last taken and first refused, the new first taken."""

    old_last_taken_s: float | None = None
    old_first_refused_s: float | None = None
    new_first_taken_s: float | None = None


@dataclass(frozen=True)
class Rotation:
    """A rotation that has ended, one way or another. ``new`` is None where the command gave no usable secret.

    ``refused`` says that the key did not work before, so nothing was run; ``stored`` where the new secret stands, if
    it was this that stored it. Secrets are named by fingerprint.
    """

    key: str
    program: str
    steps: tuple[Step, ...]
    old: str
    new: str | None
    lifetimes: Lifetimes
    redactor: Redactor
    grace_s: float
    stored: str | None = None
    refused: bool = False
    interrupted: bool = False

    @property
    def outcome(self) -> Outcome:
        """As bad as its worst step."""
        return Outcome.worst(step.outcome for step in self.steps)

    @property
    def exit_code(self) -> int:
        """0 conforms, 1 violates, 7 something untested, 8 the key did not work to begin with, 2 interrupted."""
        if self.interrupted:
            return INTERRUPTED
        return REFUSED if self.refused else _CODES.get(self.outcome, _UNTESTED)
