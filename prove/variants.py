"""Variants, each alone, in random pairs, and as many together as can be: none may be accused of anything.

Each is seen at work as well: what stands before it and what stands behind it must differ.
"""

import random
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from time import perf_counter

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gt_conformance.vocabulary import Outcome
from gt_sandbox.edges import EdgeMaker
from gt_sandbox.faults import Planted
from gt_sandbox.variants import VARIANTS, Differing, Variant, clashing, differing
from prove import _runs
from prove._runs import Ran

PAIRS = 20
SEED = 20260529
_FELT_S = 1.0


@dataclass(frozen=True)
class Treated:
    """What a run made of a tenant with some variants. ``felt`` tells whether they changed anything at all."""

    names: tuple[str, ...]
    felt: bool
    accusations: tuple[str, ...]

    @property
    def differences(self) -> tuple[str, ...]:
        """What is wrong, a sentence each; nothing where all conforms."""
        told = [*self.accusations, *([] if self.felt else ["changed nothing that a client could see"])]
        return tuple(f"{' + '.join(self.names)}: {text}" for text in told)


def prove(*, write: bool) -> tuple[str, tuple[str, ...]]:
    """The summary and what is wrong. There is no document to write."""
    del write
    alone = [(name,) for name in VARIANTS]
    pairs, together = random_pairs(PAIRS, SEED), combined(tuple(VARIANTS.values()))
    # Those together first: they take longest, and would be waited for at the end.
    summary, wrong = _proved([*together, *pairs, *alone])
    return f"{summary} (alone, in {len(pairs)} pairs of seed {SEED}, and {_told(together)})", wrong


def prove_together(*, write: bool) -> tuple[str, tuple[str, ...]]:
    """The same of a few combinations alone: each variant stands in one of them."""
    del write
    together = combined(tuple(VARIANTS.values()))
    summary, wrong = _proved(together)
    return f"{summary} ({_told(together)})", wrong


def _told(together: Sequence[tuple[str, ...]]) -> str:
    return f"in {len(together)} combinations of up to {max(map(len, together))}"


def _proved(tried: Sequence[tuple[str, ...]]) -> tuple[str, tuple[str, ...]]:
    with _runs.workers() as pool:
        treated = list(pool.map(treatment, tried))
    accused = {name for one in treated if one.accusations for name in one.names}
    summary = f"variants accused {len(accused)}/{len(VARIANTS)}"
    return summary, tuple(text for one in treated for text in one.differences)


def random_pairs(count: int, seed: int) -> list[tuple[str, ...]]:
    """So many pairs that can be combined, the same for the same seed."""
    able = [(one.name, other.name) for one, other in combinations(VARIANTS.values(), 2) if not clashing(one, other)]
    return list(random.Random(seed).sample(able, count))  # noqa: S311 - a choice, not a secret


def combined(variants: Sequence[Variant]) -> list[tuple[str, ...]]:
    """Sets in which as many as can be are combined; each variant stands in one of them."""
    sets: list[tuple[str, ...]] = []
    left = list(variants)
    while left:
        chosen: list[Variant] = []
        for variant in left:
            if not any(clashing(variant, other) for other in chosen):
                chosen.append(variant)
        sets.append(tuple(variant.name for variant in chosen))
        left = [variant for variant in left if variant not in chosen]
    return sets


def treatment(names: tuple[str, ...]) -> Treated:
    """Judge everything against a tenant with these variants."""
    lawful = differing(names)
    outside, inside = _Look(), _Look()
    ran = _runs.collected(_runs.run(Planted(), _Watched(lawful.variants, outside, inside)))
    return Treated(names, outside.differs(inside), tuple(accusations(ran)))


def accusations(ran: Ran) -> Iterator[str]:
    """What a run did not find to conform, by outcome: a sentence each."""
    for outcome in (Outcome.VIOLATES, Outcome.BLOCKED):
        if found := sorted(ran.checks(outcome)):
            yield f"{outcome.value} {', '.join(found)} ({ran.count(outcome)} places)"
    yield from (f"the suite itself failed: {error.splitlines()[-1]}" for error in ran.suite_errors)


@dataclass
class _Look:
    """What passes one place: the answers, in the pieces in which they come, the bodies asked with, and the time."""

    answers: Counter[int] = field(default_factory=Counter)
    asked: set[bytes] = field(default_factory=set)
    seconds: float = 0.0

    def edge(self, app: ASGIApp) -> ASGIApp:
        """The place, as an edge that changes nothing."""

        async def edged(scope: Scope, receive: Receive, send: Send) -> None:
            passed: list[object] = [scope["method"], scope["path"]]

            async def received() -> Message:
                message = await receive()
                self.asked.add(message.get("body", b""))
                return message

            async def sent(message: Message) -> None:
                passed.extend((message.get("status"), repr(message.get("headers")), message.get("body")))
                await send(message)

            begun = perf_counter()
            await app(scope, received, sent)
            self.seconds += perf_counter() - begun
            self.answers[hash(tuple(passed))] += 1

        return edged

    def differs(self, inside: "_Look") -> bool:
        """Whether a place further inside saw other answers, was asked otherwise, or was much quicker."""
        return (
            self.answers != inside.answers or not inside.asked <= self.asked or self.seconds - inside.seconds > _FELT_S
        )


@dataclass(frozen=True)
class _Watched(Differing):
    """Variants between two places that look on."""

    outside: _Look = field(default_factory=_Look)
    inside: _Look = field(default_factory=_Look)

    @property
    def edges(self) -> tuple[EdgeMaker, ...]:
        """The variants, with a place on either side."""
        return (lambda _: self.outside.edge, *super().edges, lambda _: self.inside.edge)
