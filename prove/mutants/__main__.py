"""``python -m prove.mutants`` (``make mutants``): try every mutant, say which survive, and write docs/mutation.md.

What was tried is kept in ``.mutants/``, and not tried again until the module changes: ending it loses nothing.
``--again`` tries the survivors once more (after a test was added); ``--module NAME`` takes some modules only;
``--sample N`` takes N of all mutants at random, and tells by them how many of all would be noticed;
``--write`` renews docs/mutation.md. Exit code 1 if a mutant survives that explained.yaml does not explain,
or it explains one that does not.
"""

import argparse
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from fnmatch import fnmatch
from itertools import groupby
from math import sqrt
from pathlib import Path
from typing import Any

import yaml
from rich.console import Console
from rich.progress import Progress

from prove.mutants import _reach, _session
from prove.mutants import modules as all_modules
from prove.mutants._session import Mutant

DOCUMENT = Path("docs/mutation.md")
EXPLAINED = Path(__file__).with_name("explained.yaml")

_OPENING = """\
# Mutation testing

A check can be trusted as far as a test would notice that it is wrong. `make mutants` changes the checks and
the judgement in small ways, one at a time: an inverted comparison, a `not` too many, a number off by one, a statement
left out. Then it checks whether the faults and variants of `make prove`, or the unit tests of the module, notice. A
mutant survives if nothing does: then a test is missing, or there is a reason, which is listed below.
"""


@dataclass(frozen=True)
class Explanation:
    """Why mutants may survive: those of a module (``checks/*.py``), whose line before and after fit the expressions."""

    module: str
    before: str
    after: str
    why: str

    @classmethod
    def of(cls, entry: dict[str, Any]) -> "Explanation":
        """From an entry of explained.yaml. Raises KeyError and re.error."""
        found = cls(entry["module"], entry["before"], entry.get("after", ".*"), entry["why"])
        re.compile(found.before), re.compile(found.after)
        return found

    def fits(self, mutant: Mutant) -> bool:
        """Whether it is about this one."""
        return (
            fnmatch(mutant.module, f"gt_conformance/{self.module}")
            and re.fullmatch(self.before, mutant.before) is not None
            and re.fullmatch(self.after, mutant.after) is not None
        )


@dataclass(frozen=True)
class Found:
    """What came of the mutants that were tried."""

    mutants: Sequence[Mutant]
    explanations: Sequence[Explanation]
    total: int
    """How many mutants there are of these modules: more than were tried where that was a sample."""

    @classmethod
    def of(cls, mutants: Sequence[Mutant], total: int) -> "Found":
        """With the explanations of explained.yaml."""
        entries = yaml.safe_load(EXPLAINED.read_text(encoding="utf-8")) or []
        return cls(mutants, [Explanation.of(entry) for entry in entries], total)

    @property
    def survivors(self) -> list[Mutant]:
        """Those that nothing noticed."""
        return [mutant for mutant in self.mutants if mutant.survived]

    @property
    def unexplained(self) -> list[Mutant]:
        """Survivors without a reason."""
        return [mutant for mutant in self.survivors if self.why(mutant) is None]

    @property
    def idle(self) -> list[Explanation]:
        """Explanations of no survivor: what they explain is noticed by now, or gone."""
        return [entry for entry in self.explanations if not any(entry.fits(mutant) for mutant in self.survivors)]

    def why(self, mutant: Mutant) -> str | None:
        """The reason why a survivor may survive: the first that fits."""
        return next((explanation.why for explanation in self.explanations if explanation.fits(mutant)), None)

    @property
    def summary(self) -> str:
        """One line."""
        total, left = len(self.mutants), len(self.survivors)
        share = f" ({100 * (total - left) / total:.1f} %)" if total else ""
        said = (
            f"mutants noticed {total - left}/{total}{share}, survivors explained {left - len(self.unexplained)}/{left}"
        )
        if total in {0, self.total}:
            return said
        low, high = (100 * bound for bound in _interval(total - left, total))
        return f"{said}; a sample of {self.total}, of which by it {low:.1f} to {high:.1f} % would be noticed"

    def document(self) -> str:
        """docs/mutation.md."""
        return "\n".join([*self._opening(), *self._by_module(), *self._survivors()]) + "\n"

    def _opening(self) -> Iterator[str]:
        yield _OPENING
        yield f"Of {datetime.now(UTC):%Y-%m-%d}: {self.summary}."

    def _by_module(self) -> Iterator[str]:
        yield from ("", "## By module", "", "| module | mutants | noticed | survive |", "| --- | ---: | ---: | ---: |")
        for module, group in groupby(self.mutants, key=lambda mutant: mutant.module):
            mutants = list(group)
            left = sum(mutant.survived for mutant in mutants)
            noticed = len(mutants) - left
            yield f"| {module.removeprefix('gt_conformance/')} | {len(mutants)} | {noticed} | {left or ''} |"

    def _survivors(self) -> Iterator[str]:
        yield from ("", "## Survivors")
        reasons = sorted({self.why(mutant) or "Not explained." for mutant in self.survivors})
        for reason in reasons:
            yield from ("", f"### {reason}", "", "| where | as it is | survives as |", "| --- | --- | --- |")
            for mutant in self.survivors:
                if (self.why(mutant) or "Not explained.") == reason:
                    place = f"{mutant.module.removeprefix('gt_conformance/')} {mutant.definition}".strip()
                    yield f"| {place} | {_code(mutant.before)} | {_code(mutant.after)} |"


_Z = 1.96
"""Of nineteen samples in twenty, the interval holds the share in all."""


def _interval(noticed: int, tried: int) -> tuple[float, float]:
    """Between which shares the one in all is likely to be (Wilson's interval, which stays below one)."""
    share, spread = noticed / tried, _Z * _Z / tried
    middle = share + spread / 2
    reach = _Z * sqrt(share * (1 - share) / tried + spread / 4 / tried)
    return (middle - reach) / (1 + spread), (middle + reach) / (1 + spread)


def _code(line: str) -> str:
    """A line of code in a table's cell."""
    return f"`` {line.replace('|', chr(92) + '|')} ``" if line else ""


def main() -> int:
    """Try them."""
    modules = all_modules()
    names = [path.stem for path in modules]
    parser = argparse.ArgumentParser(prog="python -m prove.mutants", description="Mutation testing.")
    parser.add_argument("--again", action="store_true", help="try those again that survived")
    parser.add_argument(
        "--module", action="append", choices=names, metavar="NAME", help="only this one (may be repeated)"
    )
    parser.add_argument("--sample", type=int, metavar="N", help="so many of all mutants, chosen at random")
    parser.add_argument("--write", action="store_true", help="renew docs/mutation.md")
    parser.add_argument("--list", action="store_true", help="try nothing: show what was found so far")
    options = parser.parse_args()
    chosen = [path for path in modules if not options.module or path.stem in options.module]
    choice = _session.choose(chosen, options.sample)
    if not options.list:
        try:
            _try(choice, again=options.again)
        except RuntimeError as error:
            parser.exit(2, f"{error}\n")
    found = Found.of(_session.results(choice), choice.total)
    if options.write:
        DOCUMENT.write_text(found.document(), encoding="utf-8")
    for mutant in found.unexplained:
        print(f"{mutant.module}:{mutant.line} survives: {mutant.before}  ->  {mutant.after}")  # noqa: T201
    idle = [] if options.module or options.sample else found.idle
    for entry in idle:
        print(f"{entry.module}: no mutant survives that this explains, so remove it: {entry.why}")  # noqa: T201
    print(found.summary)  # noqa: T201 - what it is for
    return int(bool(found.unexplained or idle))


def _try(choice: _session.Choice, *, again: bool) -> None:
    reach = _reach.reach(_session.KEPT)
    with _session.workers(Path.cwd()) as pool, Progress(console=Console(stderr=True)) as progress:
        tasks = {}
        for module, count, total in _session.try_all(pool, choice, reach, again=again):
            if module not in tasks:
                tasks[module] = progress.add_task(f"{module.parent.name}/{module.name}", total=total)
            progress.update(tasks[module], completed=count)


if __name__ == "__main__":
    sys.exit(main())
