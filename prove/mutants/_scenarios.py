"""Tenants whose outcome is known: without a fault, with one, and with permitted variations. Each is a whole run."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from gt_sandbox.faults import FAULTS, FaultSet, select_faults
from gt_sandbox.variants import VARIANTS, VariantSet, select_variants
from prove import _process, _runs
from prove._runs import RunOutcome
from prove.faults import Effect, read_expected
from prove.mutants import PACKAGES, _tracing
from prove.mutants._reach import PLAIN
from prove.variants import combine, false_alarms

_VARIED = "variations, set "


def names() -> Sequence[str]:
    """All of them but the plain one. What fails by chance shows nothing of a mutant."""
    sets = combine(tuple(VARIANTS.values()))
    return [
        *(fault.name for fault in FAULTS.values() if not fault.by_chance),
        *(f"{_VARIED}{number}" for number, _ in enumerate(sets)),
    ]


@dataclass(frozen=True)
class Scenario:
    """A tenant with these faults and variants."""

    faults: FaultSet
    variants: VariantSet

    @classmethod
    def of(cls, name: str) -> "Scenario":
        """The one of that name. Raises KeyError."""
        if name == PLAIN:
            return cls(FaultSet(), VariantSet())
        if name.startswith(_VARIED):
            chosen = combine(tuple(VARIANTS.values()))[int(name.removeprefix(_VARIED))]
            return cls(FaultSet(), select_variants(chosen))
        return cls(select_faults([name]), VariantSet())

    def complaints(self) -> Iterator[str]:
        """What a run finds otherwise than it should, a sentence each."""
        outcome = _runs.run(self.faults, self.variants)
        yield from (f"the suite itself failed: {error.splitlines()[-1]}" for error in outcome.suite_errors)
        if self.faults.members:
            yield from self._unexpected(outcome)
        else:
            yield from false_alarms(outcome, may_block=any(variant.lacks for variant in self.variants.members))

    def _unexpected(self, outcome: RunOutcome) -> Iterator[str]:
        (fault,) = self.faults.members
        found, expected = Effect.of(outcome, fault.caught_by), read_expected()[fault.name]
        yield from found.differences(expected)
        if found.first != expected.first:
            yield f"the first remedy is {found.first!r}"


def measure(name: str) -> _tracing.Lines:
    """What a run of the scenario executes; nothing if it does not come out as expected, which then shows nothing."""
    _process.prepare()
    lines: _tracing.Lines = {}
    with _tracing.traced(tuple(str(package.resolve()) for package in PACKAGES), lines):
        wrong = any(Scenario.of(name).complaints())
    if wrong and name == PLAIN:
        raise RuntimeError("The embedded tenant does not conform as it is: run make conform.")
    return {} if wrong else lines
