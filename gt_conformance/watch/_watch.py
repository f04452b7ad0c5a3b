"""The rounds, one after the other, until there are enough or somebody ends them, and the tokens that they may use."""

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from gt_conformance import results
from gt_conformance.checks import CheckCall
from gt_conformance.errors import InputError
from gt_conformance.exchange import Redactor
from gt_conformance.report import in_words
from gt_conformance.schema import count_noun
from gt_conformance.tenant import Tenant
from gt_conformance.vocabulary import Outcome
from gt_conformance.watch._gauges import Watched
from gt_conformance.watch._round import Observation, Prepared, Round, look_closer, prepare


class Allowance:
    """At most so many tokens in any 24 hours; None does not bound them.

    A round that might pass it is not sent. What a round used is known once it has ended, and leaves after a day.
    """

    DAY_S = 86_400.0

    def __init__(self, most: int | None) -> None:
        self.most = most
        self._spent: deque[tuple[float, int]] = deque()

    def used(self, now: float) -> int:
        """The tokens of the last 24 hours."""
        while self._spent and self._spent[0][0] <= now - self.DAY_S:
            self._spent.popleft()
        return sum(tokens for _, tokens in self._spent)

    def left(self, now: float) -> int | None:
        """What may still be used; None where nothing bounds it."""
        return None if self.most is None else max(0, self.most - self.used(now))

    def allows(self, tokens: int, now: float) -> bool:
        """Whether a round of so many tokens may be sent."""
        left = self.left(now)
        return left is None or tokens <= left

    def spend(self, tokens: int, now: float) -> None:
        """A round has used so many."""
        self._spent.append((now, tokens))


# -- the rounds


@dataclass(frozen=True)
class Schedule:
    """A round every so many seconds, at most so many of them; None does not end."""

    every_s: float
    rounds: int | None = None


class Watch:
    """Watches the tenant that ``load`` gives. It is asked before each round, so that rotated secrets are taken up.

    ``say`` gets a line for each thing that is worth one, ``ended`` is called after each round, sent or not.
    """

    def __init__(
        self,
        load: Callable[[], Tenant],
        allowance: Allowance,
        schedule: Schedule,
        *,
        say: Callable[[str], None],
        ended: Callable[[Watched], None] = lambda _: None,
    ) -> None:
        """Raises InputError where the tenant cannot be used; later on the last one that could is kept."""
        self._load = load
        self._tenant = load()
        self._allowance = allowance
        self._schedule = schedule
        self._say = say
        self._ended = ended
        self._redactor = _redactor_of(self._tenant)
        self._apart: list[CheckCall] = []
        self._was_closer = False
        self._turn = 0
        self.watched = Watched({"base_url": self._tenant.base_url, "kind": self._tenant.kind.value})
        self.last: Round | None = None

    def run(self, over: threading.Event) -> None:
        """Carry out the rounds; ``over`` ends them at once, also in the middle of one."""
        number = 0
        while not over.is_set():
            began = time.monotonic()
            self._carry_out(number, over)
            number += 1
            if over.is_set() or number == self._schedule.rounds:
                return
            over.wait(max(0.0, began + self._schedule.every_s - time.monotonic()))

    def _carry_out(self, number: int, over: threading.Event) -> None:
        """One round, sent or not."""
        now = time.monotonic()
        try:
            if number:
                self._reload()
            self._was_closer = bool(self._apart) and not self._was_closer
            if self._was_closer:
                prepared = look_closer(self._tenant, self._apart[0])
            else:
                prepared = prepare(self._tenant, self._turn, self._apart)
            if self._allowance.allows(prepared.tokens, now):
                found = prepared.carry_out(over, self._allowance.left(now))
                if found is None:
                    return
                self._allowance.spend(found.tokens, now)
                self._set_apart(found)
                self._describe(number, found)
            else:
                self._describe_unsent(number, prepared, now)
        except (OSError, RuntimeError) as error:  # no thread, no open file, no socket: a later round may have them
            self.watched.add_unsent(by_budget=False)
            self._say(f"round {number + 1} could not be sent from this machine: {error}")
        self.watched.note_tokens(self._allowance.used(now), self._allowance.left(now))
        self._ended(self.watched)

    def _set_apart(self, found: Round) -> None:
        """Where a round had no request left, note the check that took most of them: it has rounds of its own.

        The others have room without it. It has its turn in every second round, until it conforms.
        """
        if self._was_closer:
            looked_at = self._apart.pop(0)
            if any(one.outcome is not Outcome.CONFORMS for one in found.observations):
                self._apart.append(looked_at)
            return
        self._turn += sum(one.is_refusal and not one.cut_short for one in found.observations)
        if any(one.cut_short for one in found.observations):
            troubled = [one for one in found.observations if one.outcome is not Outcome.CONFORMS]
            self._apart.append(max(troubled, key=lambda one: one.exchanges).call)

    def _reload(self) -> None:
        try:
            loaded = self._load()
        except InputError as error:
            for problem in error.problems:
                self._say(f"the tenant file as it is now is not used: {problem}")
            return
        if loaded != self._tenant:
            self._tenant, self._redactor, self._apart = loaded, _redactor_of(loaded), []
            self.watched.forget_others(loaded.credentials)

    def _describe(self, number: int, found: Round) -> None:
        self.last = found
        self.watched.add(found)
        words = ", ".join(in_words(results.count(one.outcome for one in found.observations)))
        cost = f"{count_noun(found.requests, 'request')}, {count_noun(found.tokens, 'token')}, {found.seconds:.1f} s"
        what = ", looking closer" if self._was_closer else ""
        self._say(f"round {number + 1}{what}: {words}; {cost}")
        if found.refusal is not None:
            self._say(self._redactor.text(f"  nothing could be judged: {found.refusal}"))
        for one in found.observations:
            if one.outcome is not Outcome.CONFORMS and found.refusal is None:
                self._say(self._redactor.text(f"  {self._in_words(one)}"))
        for fault in found.faults:
            self._say(f"  a fault of the suite: {fault.strip().splitlines()[-1]}")

    def _in_words(self, one: Observation) -> str:
        check, key = one.name
        outcome = "not judged" if one.cut_short else one.outcome.value
        flaps = ", and flaps" if self.watched.is_flapping(one) else ""
        return f"{outcome}: {check} with the key {key}{flaps}: {one.reason}"

    def _describe_unsent(self, number: int, prepared: Prepared, now: float) -> None:
        self.watched.add_unsent(by_budget=True)
        left, most = self._allowance.left(now), self._allowance.most
        self._say(
            f"round {number + 1} is not sent: it may use {prepared.tokens:,} tokens, and of the {most or 0:,} of 24 "
            f"hours {left or 0:,} are left"
        )


def _redactor_of(tenant: Tenant) -> Redactor:
    """Knows every secret of the tenant: a round knows those of its own keys alone."""
    return Redactor({name: secret.reveal() for name, secret in tenant.secrets().items()})
