"""What is selected is judged, however it is named; and a tenant is judged alike wherever it runs."""

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import pytest

from gt_conformance import resources
from gt_conformance.runbook import Row, Runbook, load_directory
from gt_conformance.vocabulary import Route, Verdict
from tests import shared_runs
from tests.commands import WITHOUT_PAGES, Finished, ahead, finished, run, served, tenant

pytestmark = pytest.mark.runs

CHECKOUT = Path(__file__).parent.parent
BOOKS: Sequence[Runbook] = load_directory(resources.runbooks_dir())
Chosen = Callable[[Row], bool]

# What takes no tenant check keeps a run small: pytest's own selection leaves them out.
SELECTIONS: Mapping[str, tuple[list[str], Chosen]] = {
    "runbook": (["--runbook", "aider", "--", "-m", "not tenant"], lambda row: row.runbook == "aider"),
    "runbooks": (
        ["--runbook", "aider", "--runbook", "manus", "--", "-m", "not_supported"],
        lambda row: row.runbook in {"aider", "manus"} and row.verdict is Verdict.NOT_SUPPORTED,
    ),
    "route-as-runbooks-write-it": (
        ["--route", "GET /v1/files/{id}", "--route", "speech", "--verdict", "not_supported", "--", "-k", "test_routes"],
        lambda row: row.route in {Route.FILE_STATUS, Route.SPEECH} and row.verdict is Verdict.NOT_SUPPORTED,
    ),
    "keyword": (
        ["--", "-k", "embeddings and native and not la"],
        lambda row: row.id.endswith("-embeddings-native") and "la" not in row.id,
    ),
    "marker": (["--route", "models", "--", "-m", "native"], lambda row: row.route is Route.MODELS),
    "node-ids": (
        [
            "suites/test_routes.py::test_route[dify-chat-native]",
            "suites/test_routes.py::test_route[n8n-dataset_files-gt_extension]",
        ],
        lambda row: row.id in {"dify-chat-native", "n8n-dataset_files-gt_extension"},
    ),
}

UNKNOWN: Mapping[str, tuple[list[str], str]] = {
    "option": (["--runbok", "dify"], "--runbok: did you mean --runbook?"),
    "capitals": (["Dify"], "Dify: did you mean dify?"),
    "a file": (["runbooks/dify.yaml"], "runbooks/dify.yaml: did you mean dify?"),
    "several with blanks": (["dify, Aider"], "dify, Aider: did you mean dify,aider?"),
    "a comma too many": (["dify,,Aider"], "dify,,Aider: did you mean dify,aider?"),
    "an address": (
        ["--tenant", "https://acme.example/api/tenant"],
        "This is an address: name a file. That of the tenant goes into base_url of its file, or into GT_BASE_URL.",
    ),
    "a home folder": (["--tenant=~/acme.yaml"], "there is no such file. Only a shell replaces ~: write out the path."),
    "a row": (
        ["dify-chat-native"],
        "'dify-chat-native' is a row or a checklist item of dify, and no runbook. Name the",
    ),
    "node-id": (["suites/test_routes.py::test_route[dify-chat-nativ]"], "ERROR: not found: "),
    "marker": (["--", "-m", "nativ"], "nativ"),
    "no terminal": (["-p", "no:terminal"], "-p no:terminal does not go with this suite: what a run finds is printed"),
    "workers": (["-n", "2"], "-n does not go with this suite: each worker would send every request again."),
    "two-at-once": (
        ["--route", "embedding", "--verdict", "nativ"],
        "there is no route 'embedding'. Did you mean embeddings? Known: models, chat,",
    ),
    "no-row": (["--runbook", "aider", "--verdict", "gt_extension"], "No row is selected: nothing would be tested."),
    "versioned-only-of-another": (
        ["--versioned-only", "--tenant", "t.yaml"],
        "--versioned-only is about the embedded tenant, and",
    ),
}


@pytest.fixture(scope="module")
def done(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[str], Finished]]:
    """The run of each selection, against embedded tenants."""

    def select(name: str) -> Finished:
        return run(*SELECTIONS[name][0], cwd=tmp_path_factory.mktemp(name), lean=True)

    with ahead(request, "selection", select) as result:
        yield result


@pytest.fixture(scope="module")
def refused(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[str], Finished]]:
    """The run with each mistake."""

    def refuse(name: str) -> Finished:
        return run(*UNKNOWN[name][0], cwd=tmp_path_factory.mktemp(name))

    with ahead(request, "mistake", refuse) as result:
        yield result


@pytest.mark.parametrize("selection", SELECTIONS)
def test_what_is_selected_is_judged(selection: str, done: Callable[[str], Finished]) -> None:
    """Options, keywords, markers and node ids select exactly their rows, each of which then conforms."""
    _, chosen = SELECTIONS[selection]
    wanted = {row.id for book in BOOKS for row in book.rows if chosen(row)}
    found = done(selection)
    assert wanted
    assert found.outcomes == dict.fromkeys(wanted, "conforms")
    assert found.code == 0


@pytest.mark.parametrize("mistake", UNKNOWN)
def test_a_mistake_is_a_sentence_and_exit_4(mistake: str, refused: Callable[[str], Finished]) -> None:
    """What does not exist, or makes no sense, ends the command before anything is sent; the nearest is named."""
    found = refused(mistake)
    assert found.code == 4
    assert UNKNOWN[mistake][1] in found.said
    assert "Traceback" not in found.said
    assert not (found.folder / "results.json").exists()


def test_a_tenant_file_without_its_option_is_recognized(tmp_path: Path) -> None:
    """``run acme.yaml``: pytest would look for tests in it."""
    (tmp_path / "acme.yaml").write_text("base_url: https://acme.example\n", encoding="utf-8")
    found = run("acme.yaml", cwd=tmp_path)
    assert found.code == 4
    assert "acme.yaml: did you mean --tenant acme.yaml?" in found.said


def test_a_tenant_half_named_by_the_environment_is_refused(tmp_path: Path) -> None:
    """GT_BASE_URL, GT_API_KEY and GT_MODEL go together; no key is repeated in the error."""
    found = run(cwd=tmp_path, env={"GT_API_KEY": "gtak_made_up_for_this_test"})
    assert found.code == 4
    assert "GT_BASE_URL and GT_MODEL are not" in found.said
    assert "gtak_made_up_for_this_test" not in found.said


def test_empty_variables_are_no_embedded_tenant(tmp_path: Path) -> None:
    """A CI whose secrets are missing sets empty variables: a run of the embedded tenant would end with 0 there."""
    found = run(cwd=tmp_path, env={"GT_BASE_URL": "", "GT_API_KEY": "", "GT_MODEL": ""})
    assert found.code == 4
    assert "GT_BASE_URL, GT_API_KEY, GT_MODEL are set, but empty." in found.said


def test_nothing_selected_is_no_pass(tmp_path: Path) -> None:
    """A keyword that fits nothing gives exit code 5 and a sentence."""
    found = run("--", "-k", "no_row_is_called_this", cwd=tmp_path)
    assert found.code == 5
    assert "Nothing is selected, so nothing was tested." in found.said


def test_the_environment_names_a_tenant(tmp_path: Path) -> None:
    """Three variables are a tenant file in short: what is left unknown is blocked, and nothing is accused."""
    with tenant(tmp_path) as (running, _):
        env = {
            "GT_BASE_URL": running.base_url,
            "GT_API_KEY": running.secrets["GT_EMBEDDED_FULL"],
            "GT_MODEL": "field-analyst",
        }
        found = run("--runbook", "openai-sdk-curl", "--", "-m", "native", cwd=tmp_path, env=env, lean=True)
    assert found.having("violates") == set()
    assert found.having("blocked") == {"openai-sdk-curl-models-native"}
    assert found.code == 7
    assert "no allowlist is declared" in found.said


def test_pytest_on_the_suites_is_the_same(tmp_path: Path) -> None:
    """From the checkout, pytest suites with the same options judges as gt-conformance run does."""
    (tmp_path / "command").mkdir()
    reports = tmp_path / "pytest"
    with tenant(tmp_path) as (_, path):
        marked = ["-m", "not tenant"]
        words = ["--tenant", str(path), "--runbook", "dify"]
        by_command = run(*words, "--", *marked, *WITHOUT_PAGES, cwd=tmp_path / "command")
        words += ["--report-dir", str(reports), "-p", "no:cacheprovider", *marked, *WITHOUT_PAGES]
        by_pytest = finished([sys.executable, "-m", "pytest", "suites", *words], cwd=CHECKOUT, folder=reports)
    assert by_pytest.code == by_command.code
    assert by_pytest.record["totals"] == by_command.record["totals"]
    assert by_pytest.outcomes == by_command.outcomes
    assert len(by_pytest.outcomes) == len(Route)


@pytest.fixture(scope="module")
def judged(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[str], Finished]]:
    """Runs against the embedded tenant of the run itself, and against one served on another port by the command."""

    def work(where: str) -> Finished:
        place, _, how = where.partition(" ")
        only = ["--versioned-only"] if how == "versioned only" else []
        if place == "embedded":
            return shared_runs.of_dify(tmp_path_factory, *only)
        folder = tmp_path_factory.mktemp(where.replace(" ", "-"))
        with served(folder, *only) as path:
            return run("--tenant", path, "--runbook", "dify", cwd=folder, lean=True)

    with ahead(request, "where", work) as result:
        yield result


VERSIONED_ONLY = pytest.mark.parametrize("where", ["embedded versioned only", "served versioned only"])


@VERSIONED_ONLY
def test_versioned_only_breaks_the_joined_addresses_alone(
    where: str, judged: Callable[[str], Finished], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Where only /v1 is routed, base_url.joins violates for each client that adds no /v1, and nothing else does."""
    found = judged(where)
    books = {book["id"] for book in found.record["runbooks"]}
    natives = {row.id for book in BOOKS for row in book.rows if book.id in books and row.verdict is Verdict.NATIVE}
    joins = _joins(found)
    assert joins.keys() == {join for join in _joins(shared_runs.conforming(tmp_path_factory)) if join[0] in natives}
    assert found.check_ids("violates") == {"base_url.joins"}
    for (_, base_path), outcome in joins.items():
        assert outcome == ("conforms" if base_path.endswith("/v1") else "violates")
    assert found.having("violates") == natives
    assert found.having("blocked") == set()
    assert found.code == 1


def _joins(found: Finished) -> dict[tuple[str, str], str]:
    """What each row says of each base path of its clients."""
    joins = [check for check in found.checks if check["id"] == "base_url.joins"]
    outcomes = {(check["place"], check["parameters"]["base_path"]): check["outcome"] for check in joins}
    assert len(outcomes) == len(joins)
    return outcomes


@VERSIONED_ONLY
def test_the_remedy_names_the_base_url_that_works(where: str, judged: Callable[[str], Finished]) -> None:
    """Each remedy, and the terminal, give the working address of this very tenant."""
    found = judged(where)
    works = f"{found.record['run']['tenant']['base_url']}/v1"
    remedies = {check["remedy"] for check in found.checks if check["outcome"] == "violates"}
    assert {remedy.partition(" Name it")[0] for remedy in remedies} == {f"Set this client's base URL to {works}."}
    assert f"base URL to {works}." in found.said


@pytest.mark.parametrize("where", ["served", "served versioned only"])
def test_a_served_tenant_gives_the_verdicts_of_the_embedded_one(where: str, judged: Callable[[str], Finished]) -> None:
    """A tenant on another port, in another process, by a tenant file: every check comes to the same."""
    embedded, served_one = judged(where.replace("served", "embedded")), judged(where)
    assert _verdicts(embedded) == _verdicts(served_one)
    assert embedded.outcomes == served_one.outcomes
    assert served_one.record["run"]["tenant"]["base_url"] != embedded.record["run"]["tenant"]["base_url"]


def _verdicts(found: Finished) -> list[tuple[object, ...]]:
    return list(dict.fromkeys((check["place"], check["id"], check["outcome"]) for check in found.checks))
