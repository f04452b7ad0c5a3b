"""Earlier runs, read one after the other and only as far back as somebody needs them."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from gt_conformance.timing._samples import Samples


@dataclass(frozen=True)
class PastRun:
    """The samples of an earlier run of the same tenant, and when it was."""

    day: str
    run: str
    samples: Samples


def _nothing(_: bool) -> Iterator[PastRun]:  # noqa: FBT001 - as the source of any past
    return iter(())


@dataclass
class Past:
    """The earlier runs of the tenant, the newest first.

    ``source`` gives them, by whether the tenant is the embedded one. ``used`` are those that were read: with them the
    record shows by what an objective was judged.
    """

    source: Callable[[bool], Iterator[PastRun]] = _nothing
    used: list[PastRun] = field(default_factory=list)
    _left: Iterator[PastRun] | None = None

    def run(self, number: int, *, embedded: bool) -> PastRun | None:
        """The run so far back, from 0; None where there is none."""
        if self._left is None:
            self._left = self.source(embedded)
        while len(self.used) <= number:
            following = next(self._left, None)
            if following is None:
                return None
            self.used.append(following)
        return self.used[number]


NO_PAST = Past()
