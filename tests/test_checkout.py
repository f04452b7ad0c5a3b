"""The checkout as a contributor finds it: what the documents name is there, and pytest says what it can run."""

import re
import sys
from pathlib import Path

import pytest

from gt_conformance import resources
from gt_conformance.cli._main import COMMANDS
from gt_conformance.cli.run import run
from prove.__main__ import SECTIONS
from tests.commands import finished

HERE = resources.suites_dir().parent
DOCUMENTS = ("CONTRIBUTING.md", "SECURITY.md")
_QUOTED = re.compile(r"`([^`\n]+)`")
_PATH = re.compile(r"\.?[\w./-]+/|\.?[\w-]+(/[\w.-]+)+|[\w-]+\.(?:md|toml|ini|json|yaml)")
_MADE = {"results.json", "tests/test_clients.py"} | {".venv*/", ".clients/", "node_modules/"}
"""What a run or make makes, and names of which a document gives an example."""


@pytest.mark.parametrize("name", DOCUMENTS)
def test_each_path_that_a_document_names_is_there(name: str) -> None:
    """A file or folder of the checkout, as it is written."""
    named = {word for word in _QUOTED.findall((HERE / name).read_text(encoding="utf-8")) if _PATH.fullmatch(word)}
    assert {path for path in named - _MADE if not (HERE / path).exists()} == set()
    assert named


@pytest.mark.parametrize("name", DOCUMENTS)
def test_each_make_target_that_a_document_names_is_there(name: str) -> None:
    """With the sections of make prove."""
    text = (HERE / name).read_text(encoding="utf-8")
    makefile = (HERE / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    named = {word.split()[1] for word in _QUOTED.findall(text) if word.startswith("make ")}
    named |= set(re.findall(r"^make ([a-z-]+)", text, re.MULTILINE))
    assert named - targets == set()
    assert set(re.findall(r"--section (\w+)", text)) - set(SECTIONS) == set()


def test_contributing_says_what_ci_runs() -> None:
    """Each make step of .ci/run, and none besides."""
    steps = set(re.findall(r"^step .* make ([a-z]+)", Path(HERE / ".ci/run").read_text(encoding="utf-8"), re.MULTILINE))
    listed = (HERE / "CONTRIBUTING.md").read_text(encoding="utf-8").partition("## What CI runs")[2]
    assert set(re.findall(r"^\| `make ([a-z]+)", listed, re.MULTILINE)) == steps


def test_bare_pytest_says_what_to_run() -> None:
    """Neither the conformance suites nor the project's own tests are what everybody means."""
    done = finished([sys.executable, "-m", "pytest"], cwd=HERE)
    assert done.code == pytest.ExitCode.USAGE_ERROR
    assert "`pytest tests` runs this project's own tests" in done.said
    assert "`pytest suites --tenant FILE`" in done.said
    assert finished([sys.executable, "-m", "pytest", "--markers"], cwd=HERE).code == 0


def _decisions() -> list[tuple[str, str | None]]:
    """The paths of ARCHITECTURE.md's table of decisions, each with the name that it says is in there."""
    text = (HERE / "ARCHITECTURE.md").read_text(encoding="utf-8")
    table = text.partition("## Where is it decided")[2].partition("\n## ")[0]
    found: list[tuple[str, str | None]] = []
    for row in re.findall(r"^\| [^|]+ \| ([^|]+) \|$", table, re.MULTILINE):
        for part in row.split("; "):
            words = _QUOTED.findall(part)
            paths = [word for word in words if "/" in word or word.endswith(".py")]
            names = [word for word in words if word not in paths and f": `{word}`" in part]
            found += [(path, names[0] if names and path is paths[-1] else None) for path in paths]
    return list(dict.fromkeys(found))


def test_each_decision_is_where_the_architecture_says() -> None:
    """The file is there, and so is what it is said to hold."""

    def holds(path: str, name: str | None) -> bool:
        place = HERE / "gt_conformance" / path
        place = place if place.exists() else HERE / path
        return place.exists() and (name is None or name.rpartition(".")[2] in place.read_text(encoding="utf-8"))

    decisions = _decisions()
    assert decisions
    assert [decision for decision in decisions if not holds(*decision)] == []


def test_the_architecture_names_each_module() -> None:
    """Every module of the package is in the table of who may know whom."""
    text = (HERE / "ARCHITECTURE.md").read_text(encoding="utf-8")
    table = text.partition("## Who may know whom")[2].partition("\n## ")[0]
    package = HERE / "gt_conformance"
    there = {path.stem for path in package.glob("*.py")} | {path.parent.name for path in package.glob("*/__init__.py")}
    assert {name for name in there if not name.startswith("_")} <= set(_QUOTED.findall(table))


def test_every_command_and_option_of_run_is_documented() -> None:
    """docs/command-line.md names each command, and each option of `run`."""
    text = (HERE / "docs/command-line.md").read_text(encoding="utf-8")
    commands = re.findall(r"^\| `([a-z-]+)[ `]", text, re.MULTILINE)
    assert set(COMMANDS) - set(commands) == set()
    options = {name for option in run.params for name in option.opts if name.startswith("--")}
    assert options - set(re.findall(r"--[a-z-]+", text)) == set()
