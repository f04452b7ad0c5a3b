"""Variants, each alone, in random pairs, and as many together as possible: none may cause a false alarm.

Each must have an effect as well: what passes outside of it and what passes inside must differ.
"""

import random
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from time import perf_counter

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gt_conformance.planning import Plan
from gt_conformance.vocabulary import Outcome
from gt_sandbox.middleware import MiddlewareFactory
from gt_sandbox.variants import VARIANTS, Variant, VariantSet, select_variants
from prove import Options, Proof, _runs
from prove._runs import RunOutcome

PAIRS = 20
SEED = 20260529
_SLOWER_S = 1.0


@dataclass(frozen=True)
class Trial:
    """A run against a tenant with some variants: whether they had any effect, and what did not conform."""

    names: tuple[str, ...]
    effective: bool
    false_alarms: tuple[str, ...]

    @property
    def problems(self) -> tuple[str, ...]:
        """What is wrong, a sentence each; nothing if all conforms."""
        texts = [*self.false_alarms, *([] if self.effective else ["changed nothing that a client could see"])]
        return tuple(f"{' + '.join(self.names)}: {text}" for text in texts)


def prove(options: Options) -> Proof:
    """No variant causes a false alarm. ``quick`` tries only the combinations: each variant is in one of them."""
    alone = [(name,) for name in VARIANTS]
    pairs, together = random_pairs(PAIRS, SEED), combine(tuple(VARIANTS.values()))
    how = f"in {len(together)} combinations of up to {max(map(len, together))}"
    # Those together first: they take longest, and would be waited for at the end.
    tried = together if options.quick else [*together, *pairs, *alone]
    if not options.quick:
        how = f"alone, in {len(pairs)} pairs of seed {SEED}, and {how}"
    trials = list(_runs.workers().map(try_variants, tried))
    accused = {name for trial in trials if trial.false_alarms for name in trial.names}
    summary = f"variants accused {len(accused)}/{len(VARIANTS)} ({how})"
    return Proof(summary, tuple(text for trial in trials for text in trial.problems))


def random_pairs(count: int, seed: int) -> list[tuple[str, ...]]:
    """So many pairs that can be combined, the same for the same seed."""
    able = [(one.name, other.name) for one, other in combinations(VARIANTS.values(), 2) if not one.clashes_with(other)]
    return list(random.Random(seed).sample(able, count))  # noqa: S311 - a choice, not a secret


def combine(variants: Sequence[Variant]) -> list[tuple[str, ...]]:
    """Sets in which as many as possible are combined; each variant is in one of them.

    Those whose model lacks something are kept from the others, whose effects would not be judged.
    """
    able = [variant for variant in variants if not variant.lacks]
    return [*_sets(able), *_sets([variant for variant in variants if variant.lacks])]


def _sets(variants: Sequence[Variant]) -> list[tuple[str, ...]]:
    sets: list[tuple[str, ...]] = []
    left = list(variants)
    while left:
        chosen: list[Variant] = []
        for variant in left:
            if not any(variant.clashes_with(other) for other in chosen):
                chosen.append(variant)
        sets.append(tuple(variant.name for variant in chosen))
        left = [variant for variant in left if variant not in chosen]
    return sets


def try_variants(names: tuple[str, ...], narrow: Callable[[Plan], Plan] = lambda plan: plan) -> Trial:
    """Judge everything, or what ``narrow`` leaves of it, against a tenant with these variants."""
    outside, inside = _Observer(), _Observer()
    observed = _ObservedSet(select_variants(names).members, outside, inside)
    run = _runs.run(variants=observed, narrow=narrow)
    lacking = any(VARIANTS[name].lacks for name in names)
    return Trial(names, outside.differs(inside), tuple(false_alarms(run, may_block=lacking)))


def false_alarms(run: RunOutcome, *, may_block: bool = False) -> Iterator[str]:
    """What violates in a run, and what is blocked unless the model lacks something: a sentence each."""
    for outcome in (Outcome.VIOLATES,) if may_block else (Outcome.VIOLATES, Outcome.BLOCKED):
        if found := sorted(run.checks(outcome)):
            places = run.count(outcome)
            yield f"{outcome.value} {', '.join(found)} ({places} {'place' if places == 1 else 'places'})"
    yield from (f"the suite itself failed: {error.splitlines()[-1]}" for error in run.suite_errors)


@dataclass
class _Observer:
    """What passes one place: responses, in the pieces in which they come, the bodies of requests, and the time."""

    responses: Counter[int] = field(default_factory=Counter)
    bodies: set[bytes] = field(default_factory=set)
    seconds: float = 0.0

    def observe(self, app: ASGIApp) -> ASGIApp:
        """Middleware that changes nothing."""

        async def observed(scope: Scope, receive: Receive, send: Send) -> None:
            passed: list[object] = [scope["method"], scope["path"]]

            async def receive_one() -> Message:
                message = await receive()
                self.bodies.add(message.get("body", b""))
                return message

            async def send_one(message: Message) -> None:
                passed.extend((message.get("status"), repr(message.get("headers")), message.get("body")))
                await send(message)

            started = perf_counter()
            await app(scope, receive_one, send_one)
            self.seconds += perf_counter() - started
            self.responses[hash(tuple(passed))] += 1

        return observed

    def differs(self, inside: "_Observer") -> bool:
        """Whether a place further inside saw other responses or requests, or was much quicker."""
        slower = self.seconds - inside.seconds > _SLOWER_S
        return self.responses != inside.responses or not inside.bodies <= self.bodies or slower


@dataclass(frozen=True)
class _ObservedSet(VariantSet):
    """Variants between two observers."""

    outside: _Observer = field(default_factory=_Observer)
    inside: _Observer = field(default_factory=_Observer)

    @property
    def middleware(self) -> tuple[MiddlewareFactory, ...]:
        """The variants, with an observer on either side."""
        return (lambda _: self.outside.observe, *super().middleware, lambda _: self.inside.observe)
