"""The faults of the embedded tenant: named, described, planted by the command, and caught where they are."""

import json
import re
from collections.abc import Callable, Iterator
from html import unescape
from pathlib import Path

import pytest

from gt_conformance import resources
from gt_conformance.checks import checks
from gt_conformance.runbook import load_directory
from gt_conformance.vocabulary import Route
from gt_sandbox.faults import FAULTS, Fault, Planted, Rewrite, UnknownFault, planted
from prove import faults as kill_matrix
from prove._runs import Judged, Ran
from prove._runs import run as run_here
from tests.commands import Finished, ahead, command, run, served

PLACES = {route.value for route in Route} | {"items", "tenant"}
ROW = re.compile(
    r"\| \*\*(?P<name>[a-z0-9-]+)\*\*<br>(?P<text>.+) \| (?P<checks>.*) \| (?P<places>.*) \| \d+ \| (?P<untold>.*) \|"
)
OF_EACH_KIND = ("key-in-query-taken", "one-key-for-two-clients", "runbook-without-polling")
"""Faults that are made in ways of their own; ``make prove`` runs them all."""


def test_there_are_many_and_each_is_described() -> None:
    """At least 90 faults: kebab-case, one sentence each, no two that say the same."""
    assert len(FAULTS) >= 90
    for name, fault in FAULTS.items():
        assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)+", name)
        assert fault.name == name
        assert fault.description.endswith(".")
        assert len({fault.edge, fault.tenant_file, fault.rewrite} - {None}) >= 1
    assert len({fault.description for fault in FAULTS.values()}) == len(FAULTS)


def test_each_names_checks_and_places_that_exist() -> None:
    """What a fault declares is made of known words, and it always makes something fail."""
    for fault in FAULTS.values():
        assert fault.checks
        assert fault.places
        assert fault.checks | fault.blocks <= set(checks())
        assert not fault.checks & fault.blocks
        assert fault.places <= PLACES


def test_each_check_is_killed_by_a_fault() -> None:
    """No check is unproven."""
    assert frozenset().union(*(fault.checks for fault in FAULTS.values())) == set(checks())


def test_the_kill_matrix_holds_what_the_faults_declare() -> None:
    """docs/kill-matrix.md, which ``make prove`` compares with what runs find, names every fault, check and place."""
    text = kill_matrix.DOCUMENT.read_text(encoding="utf-8")
    found = {row["name"]: row for row in ROW.finditer(text)}
    assert set(found) == set(FAULTS)
    for name, row in found.items():
        fault = FAULTS[name]
        assert row["text"] == fault.description
        assert set(row["checks"].split(", ")) == fault.checks
        assert set(row["places"].split(", ")) == fault.places
        assert set(re.findall(r"[a-z_]+\.[a-z0-9_]+", row["untold"])) == fault.blocks
    for check in checks():
        line = next(line for line in text.splitlines() if line.startswith(f"| {check} | "))
        assert set(line.split(" | ")[1].removesuffix(" |").split(", ")) == {
            fault.name for fault in FAULTS.values() if check in fault.checks
        }


@pytest.mark.parametrize("name", OF_EACH_KIND)
def test_a_fault_is_caught_where_it_is_and_nowhere_else(name: str) -> None:
    """A run of everything finds what the fault declares, in those places, and the suite stays sound."""
    caught = kill_matrix.Caught.of(FAULTS[name], run_here(planted([name])))
    assert caught.at_all
    assert caught.differences == ()


def test_a_difference_is_told_with_the_fault_it_is_about() -> None:
    """A fault that is missed, or shows elsewhere, gives a sentence for each difference, and an unproven check."""
    fault = FAULTS["vendor-threads-accepted"]
    elsewhere = Judged("n8n-models-native", "models", "violates", (("models.contains_alias", "violates"),))
    found = kill_matrix.Caught.of(fault, Ran((elsewhere,), ("Traceback\nValueError: oh",)))
    assert not found.at_all
    assert found.differences == (
        "vendor-threads-accepted: violates vendor.assistants_refused: declared, but not found",
        "vendor-threads-accepted: violates models.contains_alias: found, but not declared",
        "vendor-threads-accepted: shows in items: declared, but not found",
        "vendor-threads-accepted: shows in models: found, but not declared",
        "vendor-threads-accepted: the suite itself failed: ValueError: oh",
    )
    matrix = kill_matrix.Matrix((found,))
    assert matrix.unproven == tuple(check for check in checks() if check != "models.contains_alias")
    assert matrix.summary == f"faults caught 0/1 (at the right place 0/1), unproven checks {len(checks()) - 1}"


def test_a_rewrite_whose_place_is_gone_is_an_error(tmp_path: Path) -> None:
    """A fault in a runbook that no longer holds the text says so, rather than planting nothing."""
    gone = Rewrite(runbook="dify", old="no such text", new="")
    fault = Fault(name="x-y", area="x", description="X.", checks=frozenset(), places=frozenset(), rewrite=gone)
    with pytest.raises(ValueError, match=r"dify\.yaml no longer holds 'no such text'"):
        Planted((fault,)).rewrite(resources.runbooks_dir(), tmp_path)


def test_only_the_runbook_that_a_fault_is_in_is_another(tmp_path: Path) -> None:
    """The other runbooks are copied as they are."""
    planted(["runbook-without-polling"]).rewrite(resources.runbooks_dir(), tmp_path)
    bundled = {book.id: book.digest for book in load_directory(resources.runbooks_dir())}
    assert {book.id for book in load_directory(tmp_path) if book.digest != bundled[book.id]} == {"dify"}


def test_an_unknown_name_is_told_with_the_nearest() -> None:
    """Planting what there is not names it, and the nearest that there is."""
    with pytest.raises(UnknownFault, match=r"there is no fault 'chat-50': did you mean chat-500\?"):
        planted(["chat-500", "chat-50"])


# -- by the command

RUNS = {
    "one": ("--fault", "stream-without-done", "--runbook", "dify"),
    "two": ("--fault", "stream-without-done", "--fault", "embeddings-500", "--runbook", "dify"),
    "tenant file": ("--fault", "one-key-for-two-clients", "--runbook", "cursor"),
    "runbook": ("--fault", "runbook-without-polling", "--runbook", "dify"),
    "none": ("--runbook", "dify"),
}


@pytest.fixture(scope="module")
def judged(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[str], Finished]]:
    """The run with each of these."""

    def work(name: str) -> Finished:
        return run(*RUNS[name], cwd=tmp_path_factory.mktemp("faults"), lean=True)

    with ahead(request, "words", work) as result:
        yield result


@pytest.mark.parametrize(
    ("words", "violating"),
    [
        ("one", {"chat.streams"}),
        ("two", {"chat.streams", *FAULTS["embeddings-500"].checks} - {"embeddings.base64", "embeddings.token_ids"}),
        ("tenant file", {"key.dedicated"}),
        ("runbook", {"runbook.extensions_documented"}),
        ("none", set()),
    ],
)
def test_planted_faults_violate_and_nothing_else(
    words: str, violating: set[str], judged: Callable[[str], Finished]
) -> None:
    """One fault, two at once, one in the tenant file, one in a runbook: each shows, and only where it is."""
    found = judged(words)
    items = [item for book in found.record["runbooks"] for item in book["checklist"]]
    in_items = {check["id"] for item in items for check in item["checks"] if check["outcome"] == "violates"}
    assert found.check_ids("violates") | in_items == violating
    assert found.code == (1 if violating else 0)


@pytest.mark.parametrize("words", ["two"])
def test_every_output_says_which_faults_were_planted(words: str, judged: Callable[[str], Finished]) -> None:
    """The record, the page's cover and its command, and the terminal name the faults."""
    found = judged(words)
    names = ["stream-without-done", "embeddings-500"]
    assert found.record["run"]["options"]["faults"] == names
    assert "EMBEDDED tenant with faults: stream-without-done, embeddings-500." in found.said
    page = unescape((found.folder / "compliance.html").read_text(encoding="utf-8"))
    assert "EMBEDDED TENANT WITH FAULTS: stream-without-done, embeddings-500." in page
    assert "gt-conformance run --runbook dify --fault stream-without-done --fault embeddings-500" in page


@pytest.mark.parametrize("words", ["none"])
def test_a_run_without_faults_says_nothing_of_them(words: str, judged: Callable[[str], Finished]) -> None:
    """No fault, no unproven check: neither the terminal nor the page has a word about them."""
    found = judged(words)
    assert found.record["run"]["options"]["faults"] == []
    assert found.record["unproven_checks"] == []
    page = (found.folder / "compliance.html").read_text(encoding="utf-8")
    assert not re.search(r"\bfaults?\b", found.said)
    assert "WITH FAULTS" not in page
    assert "no planted fault" not in page


def test_unproven_checks_stand_in_the_page(judged: Callable[[str], Finished]) -> None:
    """A check that no fault makes fail is named where the page says what a run cannot show."""
    from gt_conformance.report import render_html  # noqa: PLC0415

    page = render_html(judged("none").record | {"unproven_checks": ["chat.streams"]})
    assert "no planted fault has ever made them. <code>chat.streams</code>" in page


@pytest.mark.parametrize("of", ["run", "serve"])
def test_faults_are_listed(of: str, tmp_path: Path) -> None:
    """--list-faults names every fault with what is broken, and starts nothing."""
    found = command(of, "--list-faults", cwd=tmp_path)
    assert found.code == 0
    lines = dict(line.split(maxsplit=1) for line in found.stdout.splitlines() if line.startswith("  "))
    assert lines == {fault.name: fault.description for fault in FAULTS.values()}
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("check", "said"),
    [
        ("key.dedicated", "fails with --fault one-key-for-two-clients"),
        ("chat.streams", r"fails with --fault stream-ignored, [a-z0-9-]+, [a-z0-9-]+, [a-z0-9-]+ and \d+ more"),
    ],
)
def test_explain_says_which_faults_make_a_check_fail(check: str, said: str, tmp_path: Path) -> None:
    """A few of them, those first that break little else."""
    assert re.search(rf"{said}$", command("explain", check, cwd=tmp_path).said)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("run", "--fault", "chat-50"), "there is no fault 'chat-50': did you mean chat-500?"),
        (("serve", "--fault", "chat-50"), "there is no fault 'chat-50': did you mean chat-500?"),
        (("run", "--fault", "chat-500", "--tenant", "t.yaml"), "--fault is about the embedded tenant, and another is"),
        (("run", "--versioned-only", "--tenant", "t.yaml"), "--versioned-only is about the embedded tenant, and"),
        (("run", "--fault", "runbook-without-polling", "--runbooks", "mine"), "about the bundled runbooks"),
        (("serve", "--fault", "runbook-without-polling"), "is in a runbook, not in the tenant."),
    ],
)
def test_what_cannot_be_planted_is_refused(words: tuple[str, ...], said: str, tmp_path: Path) -> None:
    """An unknown name, a live tenant, a runbook of one's own: exit code 4, and a sentence."""
    found = command(*words, cwd=tmp_path)
    assert found.code == 4
    assert said in found.said
    assert "Traceback" not in found.said


def test_a_served_tenant_has_the_faults_that_were_asked_for(tmp_path: Path) -> None:
    """In its answers, in its tenant file, and in what it says of itself."""
    with served(tmp_path, "--fault", "uploads-never-ready", "--fault", "one-key-for-two-clients") as path:
        document = json.loads(path.read_text(encoding="utf-8"))
        found = run("--tenant", path, "--runbook", "dify", "--route", "dataset_files", cwd=tmp_path, lean=True)
    assert document["runbooks"]["continue"] == {"key": "cursor"}
    assert document["limits"]["poll_timeout_s"] == 1
    assert found.having("violates") == {"dify-dataset_files-gt_extension"}
    assert found.check_ids("violates") == {"upload.dataset_ready"}
    assert found.record["run"]["options"]["faults"] == []
