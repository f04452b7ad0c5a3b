"""Mutation testing (``make mutants``): which modules it changes, and by which tests and runs a mutant is examined."""

import json
import re
import subprocess
import sys
from fnmatch import fnmatch
from pathlib import Path

import pytest
import yaml

from prove.mutants import _reach, _tracing, modules
from prove.mutants._reach import Chosen, Reach

CHECKOUT = Path(__file__).parents[1]
MODULE = '''\
"""A module."""

LIMIT = 3


def is_few(numbers: list[int]) -> bool:
    return (
        len(numbers)
        < LIMIT
    )


def describe(numbers: list[int]) -> str:
    if is_few(numbers):
        return "few"
    return "many"
'''


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout in which one package of one module is mutated; it is the current folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(_reach, "PACKAGES", (Path("pack"),))
    Path("pack").mkdir()
    Path("pack/few.py").write_text(MODULE, encoding="utf-8")
    return tmp_path


def _reach_of(tests: dict[str, set[int]], scenarios: dict[str, set[int]] | None = None) -> Reach:
    """What these tests and scenarios execute of the module; the tests take longer the later they are named."""
    return Reach(
        tests={name: {"pack/few.py": frozenset(lines)} for name, lines in tests.items()},
        seconds={name: float(number) for number, name in enumerate(tests)},
        scenarios={name: {"pack/few.py": frozenset(lines)} for name, lines in (scenarios or {}).items()},
        plain={"pack/few.py": frozenset({7, 14, 15})},
        violating={"noticing": frozenset({"few.describes"})},
    )


@pytest.mark.usefixtures("package")
def test_a_line_is_examined_by_what_executes_its_statement() -> None:
    """The shortest first; a statement of several lines is executed where any of them is."""
    reach = _reach_of({"later": {14, 16}, "other": {7}, "first": {14, 15}})
    assert reach.choose(Path("pack/few.py"), 14).tests == ("later", "first")
    assert reach.choose(Path("pack/few.py"), 15).tests == ("first",)
    assert reach.choose(Path("pack/few.py"), 9).tests == ("other",)


@pytest.mark.usefixtures("package")
def test_a_constant_is_examined_by_what_uses_it() -> None:
    """No test executes the line that makes it; those of declarations are tried as well."""
    declared = "test_plan.py::test_one"
    reach = _reach_of({"unrelated": {16}, "using": {7, 9}, declared: set()})
    assert reach.choose(Path("pack/few.py"), 3).tests == ("using", declared)


@pytest.mark.usefixtures("package")
def test_runs_that_execute_what_a_faultless_run_does_not_come_first() -> None:
    """A run that executes nothing of the function cannot notice anything in it."""
    reach = _reach_of({}, {"alike": {14, 15}, "elsewhere": {8}, "special": {14, 16}})
    assert reach.choose(Path("pack/few.py"), 14).scenarios == ("special", "alike")


@pytest.mark.parametrize(("declares", "first"), [("few.describes", "noticing"), ("few.counts", "alike")])
@pytest.mark.parametrize("line", [8, 15], ids=["what it uses", "the check"])
def test_runs_in_which_the_check_violates_come_first(package: Path, declares: str, first: str, line: int) -> None:
    """Nearly every run executes a check; the faults that it is for show whether it still finds them."""
    Path(package, "pack/few.py").write_text(MODULE.replace("\n\n\ndef desc", f'\n\n\n@check("{declares}")\ndef desc'))
    reach = _reach_of({}, {"alike": {7, 15}, "noticing": {7, 15}})
    assert reach.choose(Path("pack/few.py"), line).scenarios[0] == first


def test_what_fails_without_a_mutation_is_left_out() -> None:
    """It would fail with each mutant, and show nothing."""
    assert Chosen(("a", "b"), ("c",)).without("a").without("c") == Chosen(("b",), ())


def test_lines_are_attributed_to_the_test_that_executes_them(package: Path) -> None:
    """A test that fails is left out: it would seem to notice every mutant."""
    Path("test_few.py").write_text(
        "from pack.few import describe, is_few\n\n\n"
        "def test_few():\n    assert is_few([1])\n\n\n"
        "def test_many():\n    assert describe([1, 2, 3]) == 'many'\n\n\n"
        "def test_wrong():\n    assert describe([1]) == 'many'\n",
        encoding="utf-8",
    )
    found = package / "found"
    found.mkdir()
    environment = {**_tracing.environment(found, (str(package / "pack"),)), "PYTHONPATH": f"{CHECKOUT}:{package}"}
    words = ("-q", "--disable-plugin-autoload", "-p", "prove.mutants._tracing", "-p", "no:cacheprovider")
    done = subprocess.run([sys.executable, "-m", "pytest", *words], check=False, env=environment, capture_output=True)
    assert done.returncode == pytest.ExitCode.TESTS_FAILED, done.stdout
    (path,) = found.iterdir()
    tests = json.loads(path.read_text(encoding="utf-8"))
    assert {name: entry["lines"]["pack/few.py"] for name, entry in tests.items()} == {
        "test_few.py::test_few": [7, 8, 9],
        "test_few.py::test_many": [7, 8, 9, 14, 16],
    }


def test_each_explanation_is_of_a_line_that_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """An entry of explained.yaml whose line was changed explains nothing any more."""
    monkeypatch.chdir(CHECKOUT)
    paths = modules()
    assert len(paths) > 1
    lines = {path: path.read_text(encoding="utf-8").splitlines() for path in paths}
    explained = yaml.safe_load(Path("prove/mutants/explained.yaml").read_text(encoding="utf-8"))
    idle = [
        entry
        for entry in explained
        if not any(
            re.fullmatch(entry["before"], line.strip())
            for path, found in lines.items()
            if fnmatch(path.as_posix(), f"gt_conformance/{entry['module']}")
            for line in found
        )
    ]
    assert explained
    assert idle == []
