"""The tokens that all rounds of a day may use together."""

from collections import deque


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
