"""``run --until-go``: run again until the decision is one that a rollout may go on with, while somebody fixes."""

import sys
import time
from collections.abc import Callable, Sequence

import click

from gt_conformance import processes
from gt_conformance.cli._words import read_time

_AGAIN = frozenset({1, 7, 8})
"""NO-GO, NOT DECIDED, UNREACHABLE: what somebody may be fixing. All other exit codes end it."""
_INTERRUPTED = 2


def run_until_go(words: Sequence[str], every: str, *, wait: Callable[[float], None] = time.sleep) -> int:
    """Run the command of these words, without ``--until-go``, until its exit code is none that somebody may be fixing.

    Each run is a process of its own, as if it were typed again. The exit code is that of the last one.
    """
    pause_s = read_time(every, "'--every'")
    line = [sys.executable, "-m", "gt_conformance", *_without(words)]
    number = 0
    while True:
        number += 1
        code = processes.run_in_foreground(line)
        if code not in _AGAIN:
            return code if code >= 0 else _INTERRUPTED
        click.echo(f"Run {number} is not GO; the next starts in {every}. Ctrl-C ends this.", err=True)
        wait(pause_s)


def _without(words: Sequence[str]) -> list[str]:
    """The words without --until-go and --every; what follows -- goes to pytest as it is."""
    own = list(words[: words.index("--")] if "--" in words else words)
    kept = [word for word in own if word != "--until-go" and not word.startswith("--every=")]
    if "--every" in kept:
        at = kept.index("--every")
        del kept[at : at + 2]
    return [*kept, *words[len(own) :]]
