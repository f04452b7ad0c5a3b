"""Which tests, faults and combinations of variants execute which line: only those can notice that the line is wrong.

Measured once and kept until something changes that they are made of. Tests may change the folder they are in; what is
measured is named from the folder of the checkout.
"""

import ast
import hashlib
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from prove.mutants import PACKAGES, _tracing

WORKERS = 3
"""For two processors: whole runs wait for the clocks of their faults."""
SECONDS = 20.0
"""Tests of a mutant, the shortest first, take so long together at most, as far as was measured."""
MOST_TESTS = 200
MOST_SCENARIOS = 12
"""Whole runs of three seconds each."""
PLAIN = "the tenant as it is"
"""The name of the scenario without faults and variants."""
DECLARATIONS = ("test_declarations.py", "test_plan.py", "test_profile.py")
"""The tests of what a module declares, which it does when it is imported and not in a test."""
_MADE_OF = (
    "gt_conformance",
    "gt_sandbox",
    "gt_loopback",
    "runbooks",
    "schemas",
    "suites",
    "prove/expected.json",
)


@dataclass(frozen=True)
class Chosen:
    """By what a mutant is examined: ids of tests, and names of scenarios (see :mod:`._scenarios`)."""

    tests: tuple[str, ...]
    scenarios: tuple[str, ...]

    def without(self, name: str) -> "Chosen":
        """All but that one."""
        tests, scenarios = (tuple(one for one in names if one != name) for names in (self.tests, self.scenarios))
        return Chosen(tests, scenarios)


Lines = Mapping[str, frozenset[int]]
"""By the path of a module, those that were executed."""


@dataclass(frozen=True)
class Reach:
    """What each test and each scenario executes, how long each test takes, and what a faultless run executes.

    Also which checks violate in a scenario, where it is expected that some do.
    """

    tests: Mapping[str, Lines]
    seconds: Mapping[str, float]
    scenarios: Mapping[str, Lines]
    plain: Lines
    violating: Mapping[str, frozenset[str]]

    def choose(self, module: Path, line: int) -> Chosen:
        """Those that execute the line; of a line that is executed at import, what executes the names that it makes."""
        place = module.as_posix()
        structure = _Structure.of(module)
        if body := structure.body_at(line):
            statement = structure.statement_at(line)
            return Chosen(self._tests({place: statement}), self._scenarios({place: body}, structure.checks_of(line)))
        lines = structure.users(structure.names_at(line))
        return Chosen(self._tests(lines, declared=True), self._scenarios(lines, structure.checks_of(line)))

    @cached_property
    def _tests_by_line(self) -> Mapping[tuple[str, int], Sequence[str]]:
        found: dict[tuple[str, int], list[str]] = {}
        for name, lines in self.tests.items():
            for pair in _pairs(lines):
                found.setdefault(pair, []).append(name)
        return found

    def _tests(self, lines: Mapping[str, Iterable[int]], *, declared: bool = False) -> tuple[str, ...]:
        found = {name for pair in _pairs(lines) for name in self._tests_by_line.get(pair, ())}
        chosen: list[str] = []
        left = SECONDS
        for name in sorted(found, key=lambda name: (self.seconds[name], name))[:MOST_TESTS]:
            left -= self.seconds[name]
            if chosen and left < 0:
                break
            chosen.append(name)
        if declared:
            chosen += [name for name in self.seconds if name.startswith(DECLARATIONS) and name not in chosen]
        return tuple(chosen)

    def _scenarios(self, lines: Mapping[str, Iterable[int]], checks: frozenset[str]) -> tuple[str, ...]:
        """Those that execute most of these lines that a faultless run does not; then those that execute any of them.

        Of these first those in which one of the checks violates: most runs execute most of a check.
        """
        wanted = _pairs(lines)
        reached = {
            name: {(place, number) for place, number in wanted if number in found.get(place, ())}
            for name, found in self.scenarios.items()
        }
        chosen: list[str] = []
        left = wanted - _pairs(self.plain)
        while left and len(chosen) < MOST_SCENARIOS:
            best = max(sorted(reached), key=lambda name: len(reached[name] & left), default=PLAIN)
            if not reached.get(best, set()) & left:
                break
            chosen.append(best)
            left -= reached[best]
        often = {pair: sum(pair in found for found in reached.values()) for pair in wanted}
        rest = sorted(
            (name for name, found in reached.items() if found and name not in chosen),
            key=lambda name: (
                checks.isdisjoint(self.violating.get(name, ())),
                min(often[pair] for pair in reached[name]),
                -len(reached[name]),
                name,
            ),
        )
        return tuple([*chosen, *rest][:MOST_SCENARIOS])


@dataclass(frozen=True)
class _Structure:
    """What of a module is executed when, as its syntax says."""

    module: Path
    tree: ast.Module

    @classmethod
    def of(cls, module: Path) -> "_Structure":
        return cls(module, ast.parse(module.read_text(encoding="utf-8")))

    def body_at(self, line: int) -> frozenset[int]:
        """The lines of the innermost function whose body has the line; none of them if it is executed at import."""
        found: frozenset[int] = frozenset()
        for node in ast.walk(self.tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                body = frozenset(range(node.body[0].lineno, (node.end_lineno or node.lineno) + 1))
                if line in body and (not found or len(body) < len(found)):
                    found = body
        return found

    def statement_at(self, line: int) -> frozenset[int]:
        """The lines of the innermost statement that has the line, but for the statements inside it."""
        around = [
            node
            for node in ast.walk(self.tree)
            if isinstance(node, ast.stmt) and node.lineno <= line <= (node.end_lineno or node.lineno)
        ]
        inner = max(around, key=lambda node: (node.lineno, -(node.end_lineno or node.lineno)))
        own = set(range(inner.lineno, (inner.end_lineno or inner.lineno) + 1))
        for node in ast.walk(inner):
            if node is not inner and isinstance(node, ast.stmt):
                own -= set(range(node.lineno, (node.end_lineno or node.lineno) + 1))
        return frozenset(own)

    def names_at(self, line: int) -> frozenset[str]:
        """The names that the statement at module or class level with this line makes."""
        names: set[str] = set()
        for node in ast.walk(self.tree):
            first = min((one.lineno for one in getattr(node, "decorator_list", ())), default=getattr(node, "lineno", 0))
            if not isinstance(node, ast.stmt) or not first <= line <= (node.end_lineno or first):
                continue
            names.update(_made_by(node))
        return frozenset(names)

    def checks_of(self, line: int) -> frozenset[str]:
        """The checks of this module whose functions use what the statement with this line makes, or is in."""
        made = self.names_at(line)
        uses = {
            name: {one.id for one in ast.walk(node) if isinstance(one, ast.Name)}
            for node in self.tree.body
            for name in _made_by(node)
        }
        reached = set(made)
        while more := {name for name, used in uses.items() if name not in reached and used & reached}:
            reached |= more
        return frozenset(
            found
            for node in self.tree.body
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name in reached
            for found in _declared_by(node)
        )

    def users(self, names: frozenset[str]) -> Mapping[str, frozenset[int]]:
        """The lines, of all modules that are mutated, that use one of the names, and the bodies of its functions."""
        found: dict[str, set[int]] = {}
        for path in sorted(path for package in PACKAGES for path in package.glob("*.py")):
            tree = self.tree if path == self.module else _Structure.of(path).tree
            for node in ast.walk(tree):
                lines: Iterable[int] = ()
                match node:
                    case ast.Name(id=name) | ast.Attribute(attr=name) if name in names:
                        lines = [node.lineno]
                    case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                        if path == self.module and name in names:
                            lines = range(node.body[0].lineno, (node.end_lineno or 0) + 1)
                    case _:
                        pass
                found.setdefault(path.as_posix(), set()).update(lines)
        return {path: frozenset(lines) for path, lines in found.items()}


def _made_by(node: ast.stmt) -> Iterator[str]:
    match node:
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            yield name
        case ast.Assign() | ast.AnnAssign():
            made = node.targets if isinstance(node, ast.Assign) else [node.target]
            yield from (one.id for target in made for one in ast.walk(target) if isinstance(one, ast.Name))
        case _:
            pass


def _declared_by(node: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[str]:
    """The id of the check that a function is: what decorates it has it as its first argument."""
    for decorator in node.decorator_list:
        match decorator:
            case ast.Call(func=ast.Name(id="check"), args=[ast.Constant(value=str(found)), *_]):
                yield found
            case _:
                pass


def reach(kept: Path) -> Reach:
    """As it was measured; measured first where it was not.

    Tests are measured again once their file changes, everything once something changes that all of them are made of.
    """
    mark = _fingerprint(_MADE_OF)
    files = {name: _fingerprint([name]) for name in sorted(map(Path.as_posix, Path("tests").glob("test_*.py")))}
    known = _read(kept / f"tests-{mark}.json")
    if changed := [name for name, found in files.items() if known.get(name, {}).get("mark") != found]:
        measured = _measure_tests(changed)
        known = {name: entry for name, entry in known.items() if name in files} | {
            name: {"mark": files[name], "tests": measured.get(name, {})} for name in changed
        }
        _write(kept / f"tests-{mark}.json", known)
    scenarios: Mapping[str, Mapping[str, Sequence[int]]] = _read(kept / f"scenarios-{mark}.json")
    if not scenarios:
        scenarios = _measure_scenarios()
        _write(kept / f"scenarios-{mark}.json", scenarios)
    tests = {name: entry for file in known.values() for name, entry in file["tests"].items()}
    if not tests:
        raise RuntimeError("No test of this checkout executes a module that is mutated: run make test first.")
    lines = {name: _frozen(found) for name, found in scenarios.items() if found}
    return Reach(
        {name: _frozen(entry["lines"]) for name, entry in tests.items()},
        {name: entry["seconds"] for name, entry in tests.items()},
        {name: found for name, found in lines.items() if name != PLAIN},
        lines[PLAIN],
        {name: frozenset(effect["violates"]) for name, effect in _read(Path("prove/expected.json")).items()},
    )


def file_of(test: str) -> str:
    """The path of the file of a test, whose id begins in the folder of the configuration, tests/pytest.ini."""
    return f"tests/{test.partition('::')[0]}"


def _read(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return found


def _write(path: Path, found: Mapping[str, Any]) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(found), encoding="utf-8")


def _pairs(lines: Mapping[str, Iterable[int]]) -> set[tuple[str, int]]:
    return {(place, number) for place, numbers in lines.items() for number in numbers}


def _frozen(lines: Mapping[str, Sequence[int]]) -> Lines:
    return {place: frozenset(numbers) for place, numbers in lines.items()}


def _fingerprint(names: Sequence[str]) -> str:
    found = hashlib.sha256()
    for top in map(Path, names):
        for path in [top] if top.is_file() else sorted(top.rglob("*")):
            if path.is_file() and path.suffix != ".pyc" and "node_modules" not in path.parts:
                found.update(path.as_posix().encode() + b"\0" + path.read_bytes())
    return found.hexdigest()[:12]


def _packages() -> tuple[str, ...]:
    return tuple(str(package.resolve()) for package in PACKAGES)


def _measure_tests(files: Sequence[str]) -> Mapping[str, Mapping[str, Any]]:
    """By file, its tests that a quick run has and that pass: a mutant is noticed where one does not pass any more."""
    with tempfile.TemporaryDirectory(prefix="reach-") as name:
        words = ("-q", "-n", str(WORKERS), "-m", "not slow and not runs", "-p", "prove.mutants._tracing", *files)
        subprocess.run(  # noqa: S603 - the tests of this checkout
            [sys.executable, "-m", "pytest", *words],
            check=False,  # one that fails is left out
            stdout=sys.stderr,
            env=_tracing.environment(Path(name), _packages()),
        )
        parts = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(Path(name).iterdir())]
    found: dict[str, dict[str, Any]] = {}
    for test, entry in (pair for part in parts for pair in part.items()):
        found.setdefault(file_of(test), {})[test] = entry
    return found


def _measure_scenarios() -> Mapping[str, Mapping[str, Sequence[int]]]:
    """By name, what a scenario executes; nothing of one that does not come out as expected."""
    from prove.mutants import _scenarios  # noqa: PLC0415 - it imports what is mutated, which a worker has a copy of

    names = [PLAIN, *_scenarios.names()]
    with ProcessPoolExecutor(WORKERS, mp_context=get_context("spawn")) as pool:
        return dict(zip(names, pool.map(_scenarios.measure, names), strict=True))
