"""Pairs of independent faults: a run shows of two what it shows of each, and no more.

Two faults are independent where no check that one of them makes fail, or keeps from being tested, is touched by the
other, by expected.json. A run with both then shows no more findings than the two show apart, and each fault is caught
by its own check. A fault that keeps something from being tested may hide the other one: what it closes shows nothing.
"""

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations

from gt_conformance.vocabulary import Outcome
from gt_sandbox.faults import FAULTS, select_faults
from prove import Options, Proof, _runs, faults
from prove._runs import RunOutcome
from prove.faults import Effect

PAIRS = 60
SEED = 20260618

Pair = tuple[str, str]


@dataclass(frozen=True)
class Trial:
    """A run against a tenant with two faults, beside what each of them shows alone."""

    names: Pair
    alone: tuple[Effect, Effect]
    together: RunOutcome

    @property
    def problems(self) -> Iterator[str]:
        """What is wrong, a sentence each."""
        wanted = {finding for effect in self.alone for finding in effect.findings}
        found = [finding["id"] for finding in self.together.findings]
        if len(found) > len(wanted):
            extra = ", ".join(name for name in found if name not in wanted)
            yield f"{len(found)} findings, and {len(wanted)} of the two apart; besides {extra}"
        failing = self.together.checks(Outcome.VIOLATES)
        missed = [FAULTS[name].caught_by not in failing for name in self.names]
        for name, is_missed, other in zip(self.names, missed, reversed(self.alone), strict=True):
            if is_missed and (all(missed) or not other.blocks):
                yield f"{FAULTS[name].caught_by}, which must catch {name}, does not fail"
        yield from (f"the suite itself failed: {error.splitlines()[-1]}" for error in self.together.suite_errors)


def prove(_: Options) -> Proof:
    """Two independent faults give the findings of both."""
    effects = faults.read_expected()
    chosen = draw(independent(effects), PAIRS, SEED)
    runs = dict(zip(chosen, _runs.workers().map(_run_with, chosen), strict=True))
    trials = [Trial(pair, (effects[pair[0]], effects[pair[1]]), outcome) for pair, outcome in runs.items()]
    problems = tuple(f"{' + '.join(trial.names)}: {text}" for trial in trials for text in trial.problems)
    sound = sum(not [*trial.problems] for trial in trials)
    return Proof(f"pairs of independent faults shown as both {sound}/{len(trials)} (seed {SEED})", problems)


def independent(effects: Mapping[str, Effect]) -> list[Pair]:
    """The pairs of faults that touch no check in common, and are each caught by a violation."""
    known = {name: effect for name, effect in effects.items() if name in FAULTS and _is_caught(name, effect)}
    touched = {name: {*effect.violates, *effect.blocks} for name, effect in known.items()}
    return [pair for pair in combinations(known, 2) if not touched[pair[0]] & touched[pair[1]]]


def draw(pairs: list[Pair], count: int, seed: int) -> list[Pair]:
    """So many pairs, the same for the same seed. Each fault is tried about as often as any other.

    A pair drawn from all of them would mostly be of a large area: so the faults are taken in turn.
    """
    chance = random.Random(seed)  # noqa: S311 - a choice, not a secret
    partners: dict[str, list[Pair]] = {}
    for pair in pairs:
        for name in pair:
            partners.setdefault(name, []).append(pair)
    names = sorted(partners)
    chance.shuffle(names)
    chosen: dict[Pair, None] = {}
    met: set[str] = set()
    for name in names:
        fresh = [pair for pair in partners[name] if pair not in chosen and not met & {*pair}]
        if name not in met and fresh:
            pair = chance.choice(fresh)
            chosen[pair] = None
            met |= {*pair}
        if len(chosen) == count:
            break
    return list(chosen)


def _is_caught(name: str, effect: Effect) -> bool:
    return FAULTS[name].caught_by in effect.violates


def _run_with(names: Pair) -> RunOutcome:
    return _runs.run(select_faults(names))
