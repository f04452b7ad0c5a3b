"""The new secret out of what the command printed; or why there is none, never showing what was printed."""

from dataclasses import dataclass

from gt_conformance.processes import Completed, Ending
from gt_conformance.tenant import Secret

_SHORTEST = 8
_ALONE = "It has to print the new secret and nothing else; what it says besides belongs on standard error."
_BY_HAND = "Run it by hand to see why: its output is not shown here, since it may hold a secret."


@dataclass(frozen=True, slots=True)
class Unusable:
    """Why the command gave no secret, said of it; ``kept`` where what it printed may still hold one."""

    reason: str
    remedy: str
    kept: bool


def printed(ran: Completed, old: Secret) -> Secret | Unusable:
    """The new secret, less the white space around it."""
    failure = _failure(ran)
    if failure is not None:
        unknown = f"{failure}: it is unknown whether the key was rotated"
        return Unusable(unknown, _BY_HAND, kept=bool(ran.stdout.strip()))
    text = ran.stdout.decode("utf-8", errors="replace").strip()
    if not text:
        return Unusable("printed nothing on standard output, so the new secret is not known", _ALONE, kept=False)
    problem = _problem(text, overflow=ran.truncated)
    if problem is not None:
        return Unusable(f"{problem}, so the new secret is not known", _ALONE, kept=True)
    if text == old.reveal():
        return Unusable("printed the old secret, so the new one is not known", _ALONE, kept=False)
    return Secret(text)


def _failure(ran: Completed) -> str | None:
    if ran.ended_by is Ending.TIMEOUT:
        return f"did not end within {ran.elapsed_s:.1f} s (--timeout), and was killed"
    if ran.ended_by is Ending.STOP:
        return "was interrupted, and killed"
    if ran.returncode < 0:
        return f"was ended by signal {-ran.returncode}"
    return f"failed with exit code {ran.returncode}" if ran.returncode else None


def _problem(text: str, *, overflow: bool) -> str | None:
    if overflow:
        return "printed far more than a secret"
    if len(text.splitlines()) > 1:
        return f"printed {len(text.splitlines())} lines"
    if not text.isascii() or not text.isprintable() or " " in text:
        return "printed text with a space or a character that cannot stand in a header"
    if len(text) < _SHORTEST:
        return f"printed fewer than {_SHORTEST} characters, too short for a GT key"
    return None
