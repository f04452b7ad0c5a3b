"""The kill matrix: every fault planted alone, and what a run says of it beside what the fault declares."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from gt_conformance.checks import checks
from gt_conformance.vocabulary import Outcome, Route
from gt_sandbox.faults import FAULTS, Fault, planted
from prove import _runs
from prove._runs import Ran

DOCUMENT = Path(__file__).parents[1] / "docs" / "kill-matrix.md"
_PLACES = (*(route.value for route in Route), "items", "tenant")


@dataclass(frozen=True)
class Caught:
    """What a run with one fault found."""

    fault: Fault
    checks: frozenset[str]
    places: frozenset[str]
    blocks: frozenset[str]
    count: int
    blocked: int
    suite_errors: tuple[str, ...]

    @classmethod
    def of(cls, fault: Fault, ran: Ran) -> "Caught":
        """From a run."""
        violating = ran.checks(Outcome.VIOLATES)
        return cls(
            fault=fault,
            checks=violating,
            places=ran.places(Outcome.VIOLATES),
            blocks=ran.checks(Outcome.BLOCKED) - violating,
            count=ran.count(Outcome.VIOLATES),
            blocked=ran.count(Outcome.BLOCKED),
            suite_errors=ran.suite_errors,
        )

    @property
    def at_all(self) -> bool:
        """Whether one of the checks that the fault names violates."""
        return bool(self.checks & self.fault.checks)

    @property
    def differences(self) -> tuple[str, ...]:
        """In what it differs from what the fault declares: a sentence each."""
        fault = self.fault
        found = [
            *_compared("violates", fault.checks, self.checks),
            *_compared("shows in", fault.places, self.places),
            *_compared("leaves untold", fault.blocks, self.blocks),
            *(f"the suite itself failed: {error.splitlines()[-1]}" for error in self.suite_errors),
        ]
        return tuple(f"{fault.name}: {text}" for text in found)


@dataclass(frozen=True)
class Matrix:
    """Every fault with what was found of it."""

    caught: tuple[Caught, ...]

    @property
    def unproven(self) -> tuple[str, ...]:
        """The checks that no fault has made fail."""
        killed = frozenset().union(*(item.checks for item in self.caught))
        return tuple(check for check in checks() if check not in killed)

    @property
    def differences(self) -> tuple[str, ...]:
        """Everything in which a run differs from what its fault declares."""
        return tuple(text for item in self.caught for text in item.differences)

    @property
    def summary(self) -> str:
        """One line."""
        total = len(self.caught)
        at_all = sum(item.at_all for item in self.caught)
        exact = sum(item.at_all and not item.differences for item in self.caught)
        return (
            f"faults caught {at_all}/{total} (at the right place {exact}/{total}), unproven checks {len(self.unproven)}"
        )

    def document(self) -> str:
        """docs/kill-matrix.md."""
        return "\n".join([*_opening(self), *_by_fault(self), *_by_check(self)]) + "\n"


def matrix(names: Sequence[str] = tuple(FAULTS)) -> Matrix:
    """Plant each fault alone and judge everything."""
    with _runs.workers() as pool:
        runs = pool.map(_ran, names)
        return Matrix(tuple(Caught.of(FAULTS[name], ran) for name, ran in zip(names, runs, strict=True)))


def prove(*, write: bool) -> tuple[str, tuple[str, ...]]:
    """The summary and what is wrong. The document is compared, or with ``write`` written anew."""
    found = matrix()
    wrong = [*found.differences, *(f"{check}: no fault has made this check fail" for check in found.unproven)]
    text = found.document()
    if write:
        DOCUMENT.write_text(text, encoding="utf-8")
    elif not DOCUMENT.is_file() or DOCUMENT.read_text(encoding="utf-8") != text:
        wrong.append(f"{os.path.relpath(DOCUMENT)} is not what was found: renew it with make prove ARGS=--write")
    return found.summary, tuple(wrong)


def _ran(name: str) -> Ran:
    return _runs.collected(_runs.run(planted([name])))


def _compared(verb: str, declared: frozenset[str], found: frozenset[str]) -> Iterator[str]:
    if missing := sorted(declared - found):
        yield f"{verb} {', '.join(missing)}: declared, but not found"
    if extra := sorted(found - declared):
        yield f"{verb} {', '.join(extra)}: found, but not declared"


def _opening(found: Matrix) -> Iterator[str]:
    total, known = len(found.caught), len(checks())
    unproven = ", ".join(found.unproven) or "none"
    yield "# Kill matrix"
    yield ""
    yield "Which fault of the embedded tenant makes which check fail. `make prove` runs everything against a tenant"
    yield "with each fault alone, and fails where a run differs from this page; `make prove ARGS=--write` renews it."
    yield ""
    yield f"{total} faults, {known} checks. Checks that no fault makes fail: {unproven}."
    yield ""
    yield "*Fails* counts the rows, checklist items and tenant checks that violate. *Untold* are checks that violate"
    yield "nowhere but can no longer be carried out everywhere: they are blocked, in so many places."
    yield ""
    yield "Try one: `gt-conformance run --fault stream-without-done`."


def _by_fault(found: Matrix) -> Iterator[str]:
    area = ""
    for item in found.caught:
        if item.fault.area != area:
            area = item.fault.area
            yield from ("", f"## {area.capitalize()}", "", "| fault | checks that fail | where | fails | untold |")
            yield "| --- | --- | --- | ---: | --- |"
        where = ", ".join(place for place in _PLACES if place in item.places)
        untold = f"{', '.join(sorted(item.blocks))} ({item.blocked})" if item.blocks else ""
        name = f"**{item.fault.name}**<br>{item.fault.description}"
        yield f"| {name} | {', '.join(sorted(item.checks))} | {where} | {item.count} | {untold} |"


def _by_check(found: Matrix) -> Iterator[str]:
    yield from ("", "## By check", "", "| check | faults that make it fail |", "| --- | --- |")
    for check in checks():
        names = [item.fault.name for item in found.caught if check in item.checks]
        yield f"| {check} | {', '.join(names) or '**none**'} |"
