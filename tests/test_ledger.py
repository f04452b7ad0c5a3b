"""The ledger of GT's documentation: clauses, checks and faults agree, and what does not is told."""

import re
from collections.abc import Callable, Mapping
from dataclasses import replace

import pytest
from click.testing import CliRunner

from gt_conformance.checks import (
    BUILT_IN,
    Check,
    Clause,
    State,
    _ledger,
    clauses,
    find_check,
    ledger,
    problems_of_ledger,
)
from gt_conformance.cli.explain import explain
from gt_conformance.cli.lint import lint
from gt_sandbox.faults import FAULTS, Fault
from prove import clauses as section
from prove import faults as kill_matrix

Checks = dict[str, Check]
Faults = dict[str, Fault]


def problems(known: Mapping[str, Check] = BUILT_IN, faults: Mapping[str, Fault] = FAULTS) -> list[str]:
    """What is wrong with the ledger of these, a sentence each, without its place."""
    return [replace(problem, where=None).__str__() for problem in problems_of_ledger(known, faults.values())]


def test_the_ledger_of_the_suite_is_sound() -> None:
    """Each clause is covered or says why not; each check that may violate names its clause, and cites its page."""
    assert problems() == []


def test_a_clause_is_covered_by_checks_and_faults_alone() -> None:
    """What HTTP can show is covered where both are there; whatever is not gives its reason."""
    for entry in ledger(BUILT_IN, FAULTS.values()):
        if entry.state in {State.COVERED, State.PARTLY}:
            assert entry.checks
            assert entry.faults
        assert bool(entry.reason) is (entry.state is not State.COVERED)
        assert entry.clause.is_promised or entry.state is State.LEFT_OUT


def test_each_fault_breaks_what_its_check_carries() -> None:
    """A fault names the clauses that it makes false: known ones, and its own check carries one of them."""
    for fault in FAULTS.values():
        assert set(fault.breaks) <= set(clauses())
        own = find_check(fault.caught_by)
        assert own is not None
        assert own.objective is not None or set(fault.breaks) & set(own.clauses)


def without(*clause_ids: str) -> Callable[[Checks, Faults], None]:
    """No check carries these."""

    def change(known: Checks, _: Faults) -> None:
        for name, check in known.items():
            known[name] = replace(check, clauses=tuple(one for one in check.clauses if one not in clause_ids))

    return change


def alter(name: str, **fields: object) -> Callable[[Checks, Faults], None]:
    """That check is declared otherwise."""

    def change(known: Checks, _: Faults) -> None:
        known[name] = replace(known[name], **fields)  # type: ignore[arg-type] # a test names what it changes

    return change


def break_nothing(clause: str) -> Callable[[Checks, Faults], None]:
    """No fault breaks this clause."""

    def change(_: Checks, faults: Faults) -> None:
        for name, fault in tuple(faults.items()):
            if clause in fault.breaks:
                del faults[name]

    return change


def break_other(fault: str, *breaks: str) -> Callable[[Checks, Faults], None]:
    """That fault breaks these."""

    def change(_: Checks, faults: Faults) -> None:
        faults[fault] = replace(faults[fault], breaks=breaks)

    return change


WRONG: Mapping[str, tuple[Callable[[Checks, Faults], None], str]] = {
    "no check": (without("K17"), "clause K17 is not covered: no check carries it."),
    "no fault": (break_nothing("A9"), "clause A9 is not covered: no fault breaks it."),
    "no clause": (
        alter("key.never_echoed", clauses=()),
        "'key.never_echoed' may violate, and carries no clause of the documentation.",
    ),
    "an advice that carries": (
        alter("chat.sampling_fields", clauses=("C1",)),
        "'chat.sampling_fields' only advises, and carries C1.",
    ),
    "a clause of nobody": (
        alter("key.never_echoed", clauses=("A4", "K26")),
        "'key.never_echoed' carries K26, which no tenant can break over HTTP.",
    ),
    "a page that is none": (
        alter("vendor.files_refused", source="GT OpenAI compatibility: files do not map"),
        "'vendor.files_refused' cites 'GT OpenAI compatibility', which is not a page.",
    ),
    "a page that does not say it": (
        alter("key.never_echoed", source="GT published endpoints; GT API reference, Bearer authentication"),
        "'key.never_echoed' cites GT published endpoints, which says nothing of A4. Cite GT API reference.",
    ),
    "a page that is left out": (
        alter("chat.completes", source="GT API reference; GT API keys and access"),
        "'chat.completes' carries R6, and does not cite GT client runbooks.",
    ),
    "a heading that is none": (
        alter("key.never_echoed", source="GT API reference, Bearer authenticaton"),
        "'key.never_echoed' cites 'Bearer authenticaton', which is not a heading of GT API reference. Did you mean",
    ),
    "a fault of no clause": (
        break_other("key-echoed", "A4", "A44"),
        "the fault key-echoed breaks 'A44', which is not a clause. Did you mean A4?",
    ),
    "a fault of another check's clause": (
        break_other("key-echoed", "C1"),
        "the fault key-echoed breaks C1: key.never_echoed, which it is for, carries A4.",
    ),
}


@pytest.mark.unmeasured
@pytest.mark.parametrize(("change", "message"), WRONG.values(), ids=WRONG)
def test_what_does_not_agree_is_told(change: Callable[[Checks, Faults], None], message: str) -> None:
    """A clause without a check or a fault, a check without a clause, a source that does not say it, a stray fault."""
    known, faults = dict(BUILT_IN), dict(FAULTS)
    change(known, faults)
    assert [text for text in problems(known, faults) if text.startswith(message)]


REASONS: Mapping[str, tuple[Clause, str]] = {
    "open no longer": (
        replace(clauses()["A9"], open="nothing tries it"),
        "clause A9 is carried and broken, and called open.",
    ),
    "not partly": (
        replace(clauses()["R5"], left_out="", partly="bursts"),
        "clause R5 is not partly covered: no check carries it and no fault breaks it.",
    ),
    "left out and carried": (
        replace(clauses()["A9"], left_out="a person"),
        "clause A9 is left out, and carried by key.revocation, conversation.isolated, answers.own.",
    ),
    "a person without a reason": (
        replace(clauses()["R7"], left_out=""),
        "clause R7 is one that only a person can know. Say why no check judges it: left_out.",
    ),
    "a page of nobody": (replace(clauses()["A9"], pages=("ARR",)), "clause A9 cites ARR, which is not a page."),
}


@pytest.mark.parametrize(("clause", "message"), REASONS.values(), ids=REASONS)
def test_a_reason_that_does_not_hold_is_told(clause: Clause, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is called open, partly covered or left out is so, at its line of the file."""
    changed = {**clauses(), clause.id: clause}
    monkeypatch.setattr(_ledger, "clauses", lambda: changed)
    [found] = (one for one in problems_of_ledger(BUILT_IN, FAULTS.values()) if message in str(one))
    assert re.search(r"clauses\.yaml:\d+:\d+: ", str(found))


# -- by the commands


def test_lint_counts_the_clauses() -> None:
    """How many are covered, and the ids of those that are open, without an error."""
    found = CliRunner().invoke(lint, [], standalone_mode=False)
    entries = ledger(BUILT_IN, FAULTS.values())
    still_open = [entry.clause.id for entry in entries if entry.clause.is_promised and entry.state is State.OPEN]
    assert found.return_value == 0
    assert f"{len(still_open)} open" in found.output
    assert not still_open or f"Open: {', '.join(still_open)}." in found.output


def test_lint_fails_where_the_ledger_does(monkeypatch: pytest.MonkeyPatch) -> None:
    """Exit code 4, with the sentence."""
    monkeypatch.setattr("gt_conformance.cli.lint.FAULTS", {})
    found = CliRunner().invoke(lint, [], standalone_mode=False)
    assert found.return_value == 4
    assert "clause A9 is not covered: no fault breaks it." in found.output


def test_explain_tells_of_a_clause() -> None:
    """What it says, where, as of which revision, which checks carry it and which faults break it."""
    words = " ".join(CliRunner().invoke(explain, ["A9"], standalone_mode=False).output.split())
    assert clauses()["A9"].text in words
    for part in (
        "pages GT API reference (wiki/Gen3-Gt-Api-Api-Reference.md, ",
        "carried by key.revocation, conversation.isolated",
        f"broken by {next(fault.name for fault in FAULTS.values() if 'A9' in fault.breaks)}, ",
        "state covered",
    ):
        assert part in words


# -- by make prove


def test_the_page_is_rendered_from_what_is_declared() -> None:
    """docs/clauses.md holds what clauses, checks and faults declare, and the section has nothing to say."""
    assert section.DOCUMENT.read_text(encoding="utf-8") == section.render_document()
    assert kill_matrix.DOCUMENT.parent == section.DOCUMENT.parent


def test_a_clause_that_no_failing_check_carries_is_a_failure() -> None:
    """What a fault breaks must show in a check that carries it: another one that fails by chance proves nothing."""
    fault = FAULTS["conversations-without-id"]
    effect = kill_matrix.Effect(("conversation.create",), ("tenant",), (), violating=1, blocked=0)
    assert kill_matrix.unnoticed_clauses(fault, effect) == ()
    other = replace(effect, violates=("upload.needs_conversation", "key.never_echoed"))
    assert kill_matrix.unnoticed_clauses(fault, other) == fault.breaks
    matrix = kill_matrix.Matrix({fault.name: other}, {}, {})
    assert f"{fault.name}: breaks V1, V3, and no check that carries it fails" in tuple(matrix.failures())
