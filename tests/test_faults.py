"""The faults of the embedded tenant: named, described, chosen by the command, and caught where they are."""

import json
import re
from collections.abc import Callable, Iterator
from html import unescape
from pathlib import Path

import pytest

from gt_conformance.checks import BUILT_IN, checks, find_check
from gt_conformance.tenant import objective_of_id
from gt_conformance.vocabulary import Route
from gt_sandbox.faults import FAULTS, SelectionError, select_faults
from prove import faults as kill_matrix
from prove._runs import CaseOutcome, RunOutcome
from tests import shared_runs
from tests.commands import Finished, ahead, in_process, run, served


def test_each_fault_is_described() -> None:
    """A kebab-case name, one sentence, no two that say the same, and something that is broken."""
    for name, fault in FAULTS.items():
        assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)+", name)
        assert fault.name == name
        assert fault.description.endswith(".")
        assert fault.middleware or fault.tenant_file
    assert len({fault.description for fault in FAULTS.values()}) == len(FAULTS)


def test_each_check_has_a_fault_that_is_for_it() -> None:
    """No check is unproven, and no fault is for a check that does not exist."""
    advising = {name for name, check in BUILT_IN.items() if check.only_advises}
    promised = {fault.caught_by for fault in FAULTS.values() if objective_of_id(fault.caught_by) is not None}
    assert {fault.caught_by for fault in FAULTS.values()} - promised == set(checks()) - advising
    assert kill_matrix.unproven() == ()


def test_what_is_expected_of_each_fault_is_kept() -> None:
    """prove/expected.json holds every fault once, made of known words, and its own check among those that fail."""
    expected = kill_matrix.read_expected()
    assert list(expected) == list(FAULTS)
    for name, effect in expected.items():
        assert FAULTS[name].caught_by in kill_matrix.caught(effect)
        assert all(find_check(check) is not None for check in (*effect.violates, *effect.blocks))
        assert not any(check in BUILT_IN and BUILT_IN[check].only_advises for check in effect.violates)
        assert set(effect.places) <= {*(route.value for route in Route), "items", "tenant"}
        assert bool(effect.places) == bool(effect.violates)  # what only blocks shows in no place
    assert kill_matrix.render_expected(expected) == kill_matrix.EXPECTED.read_text(encoding="utf-8")


def test_the_kill_matrix_is_rendered_from_what_is_expected() -> None:
    """docs/kill-matrix.md holds what prove/expected.json holds: both were renewed together."""
    text = kill_matrix.DOCUMENT.read_text(encoding="utf-8")
    assert text == kill_matrix.render_document(kill_matrix.read_expected())


def test_whatever_a_run_shows_otherwise_is_told_with_its_fault() -> None:
    """Each difference, a missed fault and an error of the suite are a sentence; a renewal settles only the first."""
    fault = "vendor-threads-accepted"
    places = ("items",)
    expected = kill_matrix.Effect(("vendor.assistants_refused",), places, ("key.rotation",), violating=3, blocked=1)
    elsewhere = CaseOutcome("n8n-models-native", "models", "violates", (("models.contains_alias", "violates"),))
    outcome = RunOutcome((elsewhere,), ("Traceback\nValueError: oh",))
    found = {fault: kill_matrix.Effect.of(outcome, "vendor.assistants_refused")}
    matrix = kill_matrix.Matrix(found, {fault: expected}, {fault: outcome.suite_errors})
    assert tuple(matrix.differences()) == (
        f"{fault}: violates vendor.assistants_refused: expected, but not found",
        f"{fault}: violates models.contains_alias: found, but not expected",
        f"{fault}: shows in items: expected, but not found",
        f"{fault}: shows in models: found, but not expected",
        f"{fault}: blocks key.rotation: expected, but not found",
        f"{fault}: 1 rows, items and tenant checks violate: 3 expected",
        f"{fault}: 0 rows, items and tenant checks are blocked: 1 expected",
    )
    assert matrix.summary == (
        "faults caught 0/1 (at the right place 0/1), its own finding first 1/1, findings per fault 0 (at most 0), "
        "unproven checks 0"
    )
    renewed = kill_matrix.Matrix(found, found, matrix.suite_errors)
    assert tuple(renewed.differences()) == ()
    assert tuple(renewed.failures()) == (
        f"{fault}: vendor.assistants_refused, which must catch it, does not fail",
        f"{fault}: breaks R4, and no check that carries it fails",
        f"{fault}: the suite itself failed: ValueError: oh",
    )
    assert tuple(kill_matrix.Matrix(found, {}, {}).differences()) == (
        f"{fault}: expected.json does not hold this fault",
    )


def test_an_unknown_name_is_told_with_the_nearest() -> None:
    """A fault that does not exist is an error that names it, and the nearest that does."""
    with pytest.raises(SelectionError, match=r"there is no fault 'chat-50': did you mean chat-500\?"):
        select_faults(["chat-500", "chat-50"])


# -- by the command

RUNS = {
    "one": ("--fault", shared_runs.STREAMS_BREAK),
    "two": ("--fault", shared_runs.STREAMS_BREAK, "--fault", "embeddings-500"),
    "tenant file": ("--fault", "one-key-for-two-clients", "--runbook", "cursor"),
    "none": (),
}


@pytest.fixture(scope="module")
def judged(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[str], Finished]]:
    """The run with each of these."""

    def work(name: str) -> Finished:
        return shared_runs.of_dify(tmp_path_factory, *RUNS[name])

    with ahead(request, "words", work) as result:
        yield result


@pytest.mark.parametrize(
    ("words", "outcome", "failing", "code"),
    [
        ("one", "violates", {"chat.streams"}, 1),
        ("two", "violates", {"chat.streams", "embeddings.batch"}, 1),
        ("tenant file", "violates", set(), 7),
        ("tenant file", "blocked", {"key.dedicated"}, 7),
        ("none", "violates", set(), 0),
        ("none", "blocked", set(), 0),
    ],
)
def test_chosen_faults_violate_and_nothing_else(
    words: str, outcome: str, failing: set[str], code: int, judged: Callable[[str], Finished]
) -> None:
    """One fault, two at once, one in the tenant file: each shows, and only where it is.

    What the tenant file gets wrong is the operator's to correct: it blocks, and accuses nobody.
    """
    found = judged(words)
    items = [item for book in found.record["runbooks"] for item in book["checklist"]]
    in_items = {check["id"] for item in items for check in item["checks"] if check["outcome"] == outcome}
    assert found.check_ids(outcome) | in_items == failing
    assert found.code == code


@pytest.mark.parametrize("words", ["two"])
def test_every_output_says_which_faults_the_tenant_has(words: str, judged: Callable[[str], Finished]) -> None:
    """The record, the page's cover and its command, and the terminal name the faults."""
    found = judged(words)
    names = ["stream-cut-and-closed", "embeddings-500"]
    assert found.record["run"]["options"]["faults"] == names
    assert "EMBEDDED tenant with faults: stream-cut-and-closed, embeddings-500." in found.said
    page = unescape((found.folder / "compliance.html").read_text(encoding="utf-8"))
    assert "EMBEDDED TENANT WITH FAULTS: stream-cut-and-closed, embeddings-500." in page
    assert "gt-conformance run --runbook dify --fault stream-cut-and-closed --fault embeddings-500" in page


@pytest.mark.parametrize("words", ["none"])
def test_a_run_without_faults_says_nothing_of_them(words: str, judged: Callable[[str], Finished]) -> None:
    """No fault, no unproven check: neither the terminal nor the page has a word about them."""
    found = judged(words)
    assert found.record["run"]["options"]["faults"] == []
    assert found.record["unproven_checks"] == []
    page = (found.folder / "compliance.html").read_text(encoding="utf-8")
    assert not re.search(r"\bfaults?\b", found.said)
    assert "WITH FAULTS" not in page
    assert "no fault of the embedded tenant" not in page


def test_unproven_checks_stand_in_the_page(judged: Callable[[str], Finished]) -> None:
    """A check that no fault makes fail is named where the page says what a run cannot show."""
    from gt_conformance.report import render_html  # noqa: PLC0415

    page = render_html(judged("none").record | {"unproven_checks": ["chat.streams"]})
    assert "no fault of the embedded tenant makes them fail. <code>chat.streams</code>" in page


@pytest.mark.parametrize(
    ("check", "said"),
    [
        ("key.dedicated", "fails with --fault one-key-for-two-clients"),
        ("chat.streams", r"fails with --fault stream-500, [a-z0-9-]+, [a-z0-9-]+, [a-z0-9-]+ and \d+ more"),
    ],
)
def test_explain_says_which_faults_make_a_check_fail(check: str, said: str, tmp_path: Path) -> None:
    """Those that are for it, the first few by name."""
    assert re.search(rf"{said}$", in_process("explain", check, cwd=tmp_path).said)


def test_a_served_tenant_has_the_faults_and_variants_that_were_asked_for(tmp_path: Path) -> None:
    """In its answers, in its tenant file, and in what it says of itself."""
    faults = ("--fault", "uploads-never-ready", "--fault", "one-key-for-two-clients")
    with served(tmp_path, *faults, "--variant", "names-with-slashes") as path:
        document = json.loads(path.read_text(encoding="utf-8"))
        found = run("--tenant", path, "--runbook", "dify", "--route", "dataset_files", cwd=tmp_path, lean=True)
    assert document["runbooks"]["continue"] == {"key": "cursor"}
    assert document["limits"]["poll_timeout_s"] == 1
    assert document["models"]["chat"] == "acme/field-analyst"
    assert document["keys"]["chat"]["models"] == ["acme/field-analyst"]
    assert found.having("violates") == {"dify-dataset_files-gt_extension"}
    assert found.check_ids("violates") == {"upload.dataset_ready"}
    assert found.record["run"]["options"]["faults"] == []
