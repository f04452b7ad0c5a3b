"""``python -m prove``: which sections run, what they print, and the exit code."""

import sys
from collections.abc import Callable

import pytest

from prove import Options, Proof
from prove import __main__ as command

Prove = Callable[..., tuple[int, list[tuple[str, Options]]]]


@pytest.fixture
def prove(monkeypatch: pytest.MonkeyPatch) -> Prove:
    """The command with three sections of its own, the last of which finds two problems: its exit code, and what ran."""

    def run(*words: str) -> tuple[int, list[tuple[str, Options]]]:
        ran: list[tuple[str, Options]] = []

        def section(name: str, *problems: str) -> Callable[[Options], Proof]:
            def work(options: Options) -> Proof:
                ran.append((name, options))
                return Proof(f"{name} 1/1", problems)

            return work

        sections = {
            "one": command.Section(section("one"), in_quick=True),
            "two": command.Section(section("two"), in_quick=False),
            "bad": command.Section(section("bad", "a: fails", "b: fails"), in_quick=False),
        }
        monkeypatch.setattr(command, "SECTIONS", sections)
        monkeypatch.setattr(sys, "argv", ["prove", *words])
        return command.main(), ran

    return run


@pytest.mark.parametrize(
    ("words", "code", "names", "options"),
    [
        ([], 1, ["one", "two", "bad"], Options()),
        (["--quick"], 0, ["one"], Options(quick=True)),
        (["--section", "two", "--write"], 0, ["two"], Options(write=True)),
        (["--section", "bad", "--section", "one"], 1, ["bad", "one"], Options()),
    ],
    ids=["all", "quick", "write", "two"],
)
def test_the_sections_that_were_asked_for_run(
    words: list[str],
    code: int,
    names: list[str],
    options: Options,
    prove: Prove,
) -> None:
    """Each section gets the options, and one that finds a problem makes the exit code 1."""
    assert prove(*words) == (code, [(name, options) for name in names])


def test_each_problem_and_each_summary_is_a_line(prove: Prove, capsys: pytest.CaptureFixture[str]) -> None:
    """Problems come before the summary of their section, which ends with how long it took."""
    prove("--section", "bad")
    *problems, summary = capsys.readouterr().out.splitlines()
    assert problems == ["  a: fails", "  b: fails"]
    assert summary.startswith("bad 1/1  (")


def test_there_are_sections_and_a_pull_request_runs_some() -> None:
    """The real table is not empty, and ``--quick`` leaves something out."""
    quick = [name for name, section in command.SECTIONS.items() if section.in_quick]
    assert 0 < len(quick) < len(command.SECTIONS)
