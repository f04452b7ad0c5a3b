"""``python -m prove``: which sections run, what they print, and the exit code."""

import sys
from collections.abc import Callable, Iterable, Sequence
from itertools import combinations
from types import SimpleNamespace
from typing import Any

import pytest

from gt_conformance.vocabulary import Outcome
from gt_sandbox.faults import FAULTS
from prove import Options, Proof, _runs, faults, pairs
from prove import __main__ as command
from prove._runs import CaseOutcome, RunOutcome
from prove.faults import Effect, read_expected

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


# -- faults together

CHAT, VECTORS = "chat-500", "embeddings-500"
"""Caught by chat.completes, and by embeddings.batch."""


def effect(check: str, *, blocks: tuple[str, ...] = ()) -> Effect:
    """What a fault shows alone: one finding of its own check."""
    return Effect((check,), ("chat",), blocks, 1, len(blocks), (f"{check}~000001",))


def together(*checks: str, extra: tuple[str, ...] = (), blocks: tuple[str, ...] = ()) -> list[str]:
    """What is wrong with a run of both faults in which these checks violate with a finding each, and those besides."""
    violating = tuple((check, Outcome.VIOLATES.value) for check in checks)
    found: Any = tuple({"id": name} for name in (*(f"{check}~000001" for check in checks), *extra))
    run = RunOutcome((CaseOutcome("a-row", "chat", "violates", violating),), (), found)
    alone = (effect("chat.completes", blocks=blocks), effect("embeddings.batch"))
    return [*pairs.Trial((CHAT, VECTORS), alone, run).problems]


def test_two_faults_are_two_findings() -> None:
    """One more, and one fewer, is a problem; what one of them keeps from being tested may hide the other."""
    assert together("chat.completes", "embeddings.batch") == []
    [text] = together("chat.completes", "embeddings.batch", extra=("chat.tools~000009",))
    assert text == "3 findings, and 2 of the two apart; besides chat.tools~000009"
    assert together("chat.completes") == ["embeddings.batch, which must catch embeddings-500, does not fail"]
    assert together("chat.completes", blocks=("embeddings.base64",)) == []
    assert len(together("chat.tools", blocks=("embeddings.base64",))) == len((CHAT, VECTORS))


def test_pairs_are_drawn_of_what_touches_no_check_in_common() -> None:
    """Each fault once before any comes again, and the same ones for the same seed."""
    effects = read_expected()
    able = pairs.independent(effects)
    assert able
    for one, other in able:
        assert not {*effects[one].violates, *effects[one].blocks} & {*effects[other].violates, *effects[other].blocks}
    drawn = pairs.draw(able, 20, 1)
    assert drawn == pairs.draw(able, 20, 1) != pairs.draw(able, 20, 2)
    assert len({name for pair in drawn for name in pair}) == 2 * len(drawn) == 40


def test_a_quick_run_groups_faults_that_touch_nothing_in_common() -> None:
    """No check, no route and no finding; each fault is in one group, but those that are seen by chance."""
    effects = read_expected()
    groups = [*faults.group_independent([*FAULTS], effects)]
    assert sorted(name for group in groups for name in group) == sorted(
        name for name, fault in FAULTS.items() if not fault.by_chance
    )
    assert 1 < max(map(len, groups)) <= faults.TOGETHER
    for group in groups:
        for one, other in combinations(group, 2):
            assert not effects[one].touched & effects[other].touched


@pytest.mark.parametrize(
    ("shown", "holds"),
    [
        ({}, True),
        ({"checks": ("chat.completes",)}, False),
        ({"extra": ("chat.tools~000009",)}, False),
        ({"blocked": ("embeddings.base64",)}, False),
        ({"place": "images"}, False),
        ({"violating": 3}, False),
        ({"errors": ("Traceback",)}, False),
    ],
    ids=[
        "as alone",
        "one is missed",
        "a finding besides",
        "one blocks",
        "elsewhere",
        "in more places",
        "the suite failed",
    ],
)
def test_a_run_with_several_faults_shows_what_each_shows_alone(shown: dict[str, Any], *, holds: bool) -> None:
    """All of it and nothing else: else each of them is judged alone."""
    checks: tuple[str, ...] = shown.get("checks", ("chat.completes", "embeddings.batch"))
    outcomes = [*((check, "violates") for check in checks), *((check, "blocked") for check in shown.get("blocked", ()))]
    rows = [CaseOutcome("a-row", shown.get("place", "chat"), "violates", tuple(outcomes))] * shown.get("violating", 2)
    found: Any = tuple({"id": name} for name in (*(f"{check}~000001" for check in checks), *shown.get("extra", ())))
    run = RunOutcome(tuple(rows), shown.get("errors", ()), found)
    assert faults.shows_all(run, [effect("chat.completes"), effect("embeddings.batch")]) is holds


def test_what_a_group_does_not_show_is_judged_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """So are faults that nobody has reviewed, and those that are seen by chance: nothing is believed unseen."""
    effects = read_expected()
    [chance, *_] = [name for name, fault in FAULTS.items() if fault.by_chance]
    [group, [unknown, *_], *_] = faults.group_independent([*FAULTS], effects)
    names = (*group, chance, unknown)
    known = {name: effect for name, effect in effects.items() if name != unknown}
    runs: list[tuple[str, ...]] = []

    def judge(_: object, groups: Iterable[Sequence[str]]) -> list[RunOutcome]:
        runs.extend(tried := [tuple(group) for group in groups])
        return [RunOutcome((), ()) for _ in tried]

    monkeypatch.setattr(_runs, "workers", lambda: SimpleNamespace(map=judge))
    matrix = faults.measure_together(names, known)
    assert runs == [group, *((name,) for name in names)]
    assert matrix.missed == names
