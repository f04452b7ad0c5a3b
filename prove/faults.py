"""The kill matrix: a tenant with each fault alone, and what a run finds beside what it found when it was last reviewed.

A fault names the check that it is for, which must fail: nothing renews that. What else fails is kept in expected.json,
written by ``make prove ARGS=--write`` together with docs/kill-matrix.md, and reviewed as a diff.
"""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

from gt_conformance.checks import BUILT_IN, Check, checks, find_check
from gt_conformance.vocabulary import Actor, Outcome, Route
from gt_sandbox.faults import FAULTS, Fault, select_faults
from prove import Options, Proof, _runs
from prove._runs import RunOutcome

EXPECTED = Path(__file__).with_name("expected.json")
DOCUMENT = Path(__file__).parents[1] / "docs" / "kill-matrix.md"
_PLACES = (*(route.value for route in Route), "items", "tenant")
MOST_FINDINGS = 2
TOGETHER = 4
"""Of so many independent faults at most a quick run is made: more of them hide one another too often."""
_RENEW = "review it, and renew it with make prove ARGS=--write"


@dataclass(frozen=True)
class Effect:
    """What a run shows of one fault.

    ``violates`` are the checks that violate, ``places`` all the places where they do: rows by the short id of their
    route, ``items`` for checklist items, ``tenant`` for tenant checks. ``blocks`` are the checks that violate nowhere
    and are blocked somewhere. Then how many rows, items and tenant checks violate, and how many are blocked.
    """

    violates: tuple[str, ...]
    places: tuple[str, ...]
    blocks: tuple[str, ...]
    violating: int
    blocked: int
    findings: tuple[str, ...] = ()
    """The ids of the findings, in the order in which reports show them."""
    first: str = ""
    """The remedy that is shown first."""
    is_own: bool = True
    """Whether the finding that is shown first is one of the check that the fault is for."""

    @classmethod
    def of(cls, outcome: RunOutcome, own: str) -> "Effect":
        """From a run, and the check that the fault is for."""
        violates = outcome.checks(Outcome.VIOLATES)
        return cls(
            violates=tuple(sorted(violates)),
            places=tuple(place for place in _PLACES if place in outcome.places(Outcome.VIOLATES)),
            blocks=tuple(sorted(outcome.checks(Outcome.BLOCKED) - violates)),
            violating=outcome.count(Outcome.VIOLATES),
            blocked=outcome.count(Outcome.BLOCKED),
            findings=tuple(found["id"] for found in outcome.findings),
            first=outcome.findings[0]["remedy"] if outcome.findings else "",
            is_own=not outcome.findings or outcome.findings[0]["id"] in outcome.reported.get(own, ()),
        )

    @property
    def touched(self) -> frozenset[str]:
        """The checks, the routes and the findings that it touches."""
        return frozenset((*self.violates, *self.blocks, *self.findings, *self.places)) - {"items", "tenant"}

    def differences(self, expected: "Effect", *, by_chance: bool = False) -> Iterator[str]:
        """In what it differs from what is expected: a sentence each. ``by_chance`` only the findings are the same."""
        where = (
            ("violates", expected.violates, self.violates),
            ("shows in", expected.places, self.places),
            ("blocks", expected.blocks, self.blocks),
        )
        findings = ("gives the finding", expected.findings, self.findings)
        for verb, wanted, found in (findings,) if by_chance else (*where, findings):
            if missing := [name for name in wanted if name not in found]:
                yield f"{verb} {', '.join(missing)}: expected, but not found"
            if extra := [name for name in found if name not in wanted]:
                yield f"{verb} {', '.join(extra)}: found, but not expected"
        if by_chance:
            return
        if self.violating != expected.violating:
            yield f"{self.violating} rows, items and tenant checks violate: {expected.violating} expected"
        if self.blocked != expected.blocked:
            yield f"{self.blocked} rows, items and tenant checks are blocked: {expected.blocked} expected"


def read_expected() -> Mapping[str, Effect]:
    """The effect of each fault as it was last reviewed, by the fault's name."""
    entries: dict[str, dict[str, Any]] = json.loads(EXPECTED.read_text(encoding="utf-8"))
    return {
        name: Effect(
            violates=tuple(entry["violates"]),
            places=tuple(entry["places"]),
            blocks=tuple(entry["blocks"]),
            violating=entry["violating"],
            blocked=entry["blocked"],
            findings=tuple(entry["findings"]),
            first=entry["first"],
            is_own=entry["is_own"],
        )
        for name, entry in entries.items()
    }


def render_expected(effects: Mapping[str, Effect]) -> str:
    """expected.json: each list on a line of its own, so that a diff shows what became of it."""
    entries = []
    for name, effect in effects.items():
        fields = (f"    {json.dumps(key)}: {json.dumps(value)}" for key, value in asdict(effect).items())
        entries.append(f"  {json.dumps(name)}: {{\n" + ",\n".join(fields) + "\n  }")
    return "{\n" + ",\n".join(entries) + "\n}\n"


@dataclass(frozen=True)
class Matrix:
    """What was found of each fault, beside what was expected, and where the suite itself failed."""

    found: Mapping[str, Effect]
    expected: Mapping[str, Effect]
    suite_errors: Mapping[str, tuple[str, ...]]

    @property
    def missed(self) -> tuple[str, ...]:
        """The faults whose own check does not fail: violates, or is blocked where the operator has to act."""
        return tuple(name for name, effect in self.found.items() if FAULTS[name].caught_by not in caught(effect))

    @property
    def most_findings(self) -> int:
        """How many findings a fault gives at most: one cause is one finding."""
        return max((len(effect.findings) for effect in self.found.values()), default=0)

    @property
    def median_findings(self) -> float:
        """How many findings a fault gives in the middle."""
        return median([len(effect.findings) for effect in self.found.values()] or [0])

    def failures(self) -> Iterator[str]:
        """What is wrong whatever is expected: a sentence each."""
        for name in self.missed:
            yield f"{name}: {FAULTS[name].caught_by}, which must catch it, does not fail"
        for name, effect in self.found.items():
            if unnoticed := unnoticed_clauses(FAULTS[name], effect):
                yield f"{name}: breaks {', '.join(unnoticed)}, and no check that carries it fails"
        for name, errors in self.suite_errors.items():
            yield from (f"{name}: the suite itself failed: {error.splitlines()[-1]}" for error in errors)
        yield from (f"{check}: no fault is for this check" for check in unproven())
        for name, effect in self.found.items():
            if len(effect.findings) > MOST_FINDINGS:
                yield f"{name}: one fault gives {len(effect.findings)} findings, and {MOST_FINDINGS} are the most"

    def differences(self) -> Iterator[str]:
        """In what it differs from what is expected: a sentence each."""
        for name, effect in self.found.items():
            if name not in self.expected:
                yield f"{name}: {EXPECTED.name} does not hold this fault"
                continue
            yield from (
                f"{name}: {text}" for text in effect.differences(self.expected[name], by_chance=FAULTS[name].by_chance)
            )

    @property
    def summary(self) -> str:
        """One line."""
        total, caught = len(self.found), len(self.found) - len(self.missed)
        wrong = set(self.missed) | {text.partition(":")[0] for text in self.differences()} | set(self.suite_errors)
        return (
            f"faults caught {caught}/{total} (at the right place {total - len(wrong)}/{total}), "
            f"its own finding first {sum(effect.is_own for effect in self.found.values())}/{total}, "
            f"findings per fault {self.median_findings:g} (at most {self.most_findings}), "
            f"unproven checks {len(unproven())}"
        )


def first_of_each_check() -> tuple[str, ...]:
    """For each check the first fault that is for it."""
    first: dict[str, str] = {}
    for name, fault in FAULTS.items():
        first.setdefault(fault.caught_by, name)
    return tuple(first.values())


def caught(effect: Effect) -> frozenset[str]:
    """The checks that caught something: what the operator has to set right blocks, and violates nothing."""
    return frozenset(effect.violates) | {check for check in effect.blocks if _check(check).acts is Actor.SETUP}


def _check(name: str) -> Check:
    """A check of the suite, or one that judges what the operator of a fault promises."""
    found = find_check(name)
    if found is None:
        raise LookupError(f"there is no check {name}")
    return found


def unnoticed_clauses(fault: Fault, effect: Effect) -> tuple[str, ...]:
    """The clauses that the fault breaks, and that no check which fails because of it carries."""
    carried = {clause for check in caught(effect) for clause in _check(check).clauses}
    return tuple(clause for clause in fault.breaks if clause not in carried)


def unproven() -> tuple[str, ...]:
    """The checks that no fault is for. A check of the tenant that carries no clause only advises: it never violates."""
    caught = {fault.caught_by for fault in FAULTS.values()}
    return tuple(name for name, check in BUILT_IN.items() if name not in caught and not check.only_advises)


def measure(names: Sequence[str] = tuple(FAULTS), expected: Mapping[str, Effect] | None = None) -> Matrix:
    """Judge everything against a tenant with each of these faults alone."""
    runs = dict(zip(names, _runs.workers().map(_run_with, ((name,) for name in names)), strict=True))
    return Matrix(
        found={name: Effect.of(outcome, FAULTS[name].caught_by) for name, outcome in runs.items()},
        expected=read_expected() if expected is None else expected,
        suite_errors={name: outcome.suite_errors for name, outcome in runs.items() if outcome.suite_errors},
    )


def measure_together(names: Sequence[str], expected: Mapping[str, Effect]) -> Matrix:
    """Judge everything against tenants with a few independent faults each: a third of the runs.

    A fault is as it is expected where a run with its group shows all that is expected of the group, and nothing else.
    Where it does not, each fault of the group is judged alone: two may have one finding, or one hide the other.
    """
    groups = list(group_independent(names, expected))
    runs = zip(groups, _runs.workers().map(_run_with, groups), strict=True)
    shown = {
        name for group, outcome in runs if shows_all(outcome, [expected[name] for name in group]) for name in group
    }
    alone = measure([name for name in names if name not in shown], expected)
    found = {name: expected[name] if name in shown else alone.found[name] for name in names}
    return Matrix(found, expected, alone.suite_errors)


def group_independent(names: Sequence[str], expected: Mapping[str, Effect]) -> Iterator[tuple[str, ...]]:
    """Groups in which no two faults touch a check, a route or a finding in common; of faults that are expected.

    What a fault that is seen by chance touches is not known beforehand: it is in no group.
    """
    groups: list[tuple[list[str], set[str]]] = []
    for name in names:
        if name not in expected or FAULTS[name].by_chance:
            continue
        touched = expected[name].touched
        for group, taken in groups:
            if len(group) < TOGETHER and not touched & taken:
                group.append(name)
                taken.update(touched)
                break
        else:
            groups.append(([name], set(touched)))
    yield from (tuple(group) for group, _ in groups)


def shows_all(outcome: RunOutcome, alone: Sequence[Effect]) -> bool:
    """Whether a run with several faults shows what each of them shows alone, and nothing else."""
    violates = {check for effect in alone for check in effect.violates}
    counts = [effect.violating for effect in alone]
    return (
        not outcome.suite_errors
        and sorted(found["id"] for found in outcome.findings) == sorted(name for one in alone for name in one.findings)
        and outcome.checks(Outcome.VIOLATES) == violates
        and outcome.checks(Outcome.BLOCKED) - violates == {check for one in alone for check in one.blocks} - violates
        and outcome.places(Outcome.VIOLATES) == {place for one in alone for place in one.places}
        and max(counts) <= outcome.count(Outcome.VIOLATES) <= sum(counts)
    )


def prove(options: Options) -> Proof:
    """Every fault is caught by its check, and what else fails is what was reviewed.

    ``quick`` tries one fault for each check, a few at a time.
    """
    if options.quick and not options.write:
        matrix = measure_together(first_of_each_check(), read_expected())
    else:
        matrix = measure(expected={} if options.write else None)
    if options.write:
        EXPECTED.write_text(render_expected(matrix.found), encoding="utf-8")
        DOCUMENT.write_text(render_document(matrix.found), encoding="utf-8")
        matrix = Matrix(matrix.found, read_expected(), matrix.suite_errors)
    problems = [*matrix.failures(), *(differences := [*matrix.differences()])]
    if differences:
        problems.append(f"what faults make fail has changed: {_RENEW}")
    elif not DOCUMENT.is_file() or DOCUMENT.read_text(encoding="utf-8") != render_document(read_expected()):
        problems.append(f"{os.path.relpath(DOCUMENT)} is not what {EXPECTED.name} holds: {_RENEW}")
    return Proof(matrix.summary, tuple(problems))


def _run_with(names: Sequence[str]) -> RunOutcome:
    return _runs.run(select_faults(names))


def render_document(effects: Mapping[str, Effect]) -> str:
    """docs/kill-matrix.md."""
    return "\n".join([*_opening(effects), *_by_fault(effects), *_by_check(effects)]) + "\n"


def _opening(effects: Mapping[str, Effect]) -> Iterator[str]:
    yield "# Kill matrix"
    yield ""
    yield "Which fault of the embedded tenant makes which check fail. `make prove` runs everything against a tenant"
    yield "with each fault alone, and fails if a run differs from this page; `make prove ARGS=--write` renews it."
    yield ""
    without = ", ".join(unproven()) or "none"
    advising = sum(check.only_advises for check in BUILT_IN.values())
    yield f"{len(FAULTS)} faults, {len(checks())} checks. {advising} of these only advise, and need no fault."
    yield f"Others that no fault is for: {without}."
    own = sum(effect.is_own for effect in effects.values())
    counted = [len(effect.findings) for effect in effects.values()]
    yield f"Findings per fault: median {median(counted):g}, maximum {max(counted)}."
    yield f"For {own} faults the first finding is from the intended check."
    yield ""
    yield "The check in bold is the one that a fault is for: `make prove` fails if it does not fail. *Fails* counts the"
    yield "rows, checklist items and tenant checks that violate. *Blocked* are checks that violate nowhere but can no"
    yield "longer be carried out everywhere, with the number of places where something is blocked."
    yield ""
    yield "Try one: `gt-conformance run --fault stream-cut-and-closed`."


def _by_fault(effects: Mapping[str, Effect]) -> Iterator[str]:
    area = ""
    for name, effect in effects.items():
        fault = FAULTS[name]
        if fault.area != area:
            area = fault.area
            yield from (
                "",
                f"## {area.capitalize()}",
                "",
                "| fault | checks that fail | where | fails | findings | blocked |",
            )
            yield "| --- | --- | --- | ---: | ---: | --- |"
        failing = ", ".join(_bold_own(fault, check) for check in effect.violates)
        blocked = f"{', '.join(effect.blocks)} ({effect.blocked})" if effect.blocks else ""
        title = f"**{name}**<br>{fault.description}"
        counts = f"{effect.violating} | {len(effect.findings)}"
        yield f"| {title} | {failing} | {', '.join(effect.places)} | {counts} | {blocked} |"


def _bold_own(fault: Fault, check: str) -> str:
    return f"**{check}**" if check == fault.caught_by else check


def _by_check(effects: Mapping[str, Effect]) -> Iterator[str]:
    yield from (
        "",
        "## By check",
        "",
        "| check | faults for it | other faults that make it fail |",
        "| --- | --- | --- |",
    )
    for check in sorted({*checks(), *(fault.caught_by for fault in FAULTS.values())}):
        own = [name for name in effects if FAULTS[name].caught_by == check]
        others = [name for name, effect in effects.items() if check in effect.violates and name not in own]
        yield f"| {check} | {', '.join(own) or '**none**'} | {', '.join(others)} |"
