"""Nights of one tenant, by the real command: what each leaves behind, and what the next one makes of it."""

import dataclasses
import gzip
import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from gt_conformance import results, schema, session
from gt_conformance.comparison import FailOn
from gt_conformance.launch import Baseline, Settings
from gt_conformance.planning import Selection
from gt_conformance.results import Record
from gt_conformance.tenant import from_file
from gt_conformance.vocabulary import Route
from gt_sandbox.middleware import Request, Response, change_responses, change_vectors, is_at
from tests import counts
from tests.commands import Finished, command, run, tenant
from tests.damaged import CHANGED, DAMAGED
from tests.made_records import PARTS, book, check, record

pytestmark = pytest.mark.runs

FORGED = "\n::error::forged\n  ::set-output name=x::forged ::warning::forged\r##[error]forged"
WORKFLOW = {"GITHUB_ACTIONS": "true"}


@dataclasses.dataclass(frozen=True)
class Nights:
    """Three runs against one tenant, which breaks after the first. The second is in a workflow, as is the third."""

    sound: Finished
    broken: Finished
    again: Finished
    history: Path
    secrets: tuple[str, ...]


@pytest.fixture(scope="module")
def nights(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nights]:
    """The tenant creates nothing, so that something is blocked; nobody attests anything."""
    folder = tmp_path_factory.mktemp("nights")
    history, broken = folder / "history", False

    def refused(_: Request, __: Response) -> Response:
        body = {"error": {"message": FORGED, "type": "server_error", "param": None, "code": None}}
        return Response(500, (("content-type", "application/json"),), json.dumps(body).encode())

    with tenant(folder, change_responses(lambda asked: broken and is_at("/embeddings")(asked), refused)) as (
        running,
        path,
    ):
        path.write_text(json.dumps(json.loads(path.read_text()) | {"read_only": True}))
        words: list[str | Path] = ["--tenant", path, "--runbook", "dify", "--history", history]
        for name in ("one", "two", "three"):
            (folder / name).mkdir()
        sound = run(*words, cwd=folder / "one", lean=True)
        broken = True
        second = run(*words, cwd=folder / "two", env=WORKFLOW)
        more: list[str | Path] = [
            "--baseline",
            second.folder / "results.json",
            "--fail-on",
            "new",
            "--history-keep",
            "2",
        ]
        third = run(*words, *more, "--", "-v", cwd=folder / "three", env=WORKFLOW, lean=True)
        yield Nights(sound, second, third, history, tuple(running.secrets.values()))


def test_vectors_are_compared_with_those_of_the_run_before_a_rotation(tmp_path: Path) -> None:
    """A run keeps a sketch of what a key embeds; the next one, with another secret of it, holds the tenant to that."""
    turned = change_vectors(is_at("/embeddings"), lambda vectors: [vector[::-1] for vector in vectors])
    with tenant(tmp_path) as (running, path):
        under_test = from_file(path, running.secrets)
        selection = Selection(runbooks=("dify",), routes=(Route.EMBEDDINGS,))
        before = session.run(session.plan(under_test, selection=selection))
    kept = {key["name"]: key["vectors"] for key in before["credentials"] if "vectors" in key}
    assert [(one["model"], one["length"]) for one in kept["rag"]] == [("field-analyst", 64)]
    results.write(before, tmp_path / "before.json")
    with tenant(tmp_path, turned) as (running, path):
        # The tenant of another start has other keys: the one of the record becomes the retired one.
        document = json.loads(path.read_text())
        secret = under_test.credentials["rag"].secret
        assert secret is not None
        (tmp_path / "old").write_text(secret.reveal())
        document["keys"]["rag"]["retired_secret_file"] = "old"
        path.write_text(json.dumps(document))
        words: list[str | Path] = ["--tenant", path, "--baseline", tmp_path / "before.json", "--runbook", "dify"]
        done = run(*words, "--", "-k", "dify-item-2", cwd=tmp_path, lean=True)
    found = [finding for finding in done.record["findings"] if finding["check"] == "embeddings.after_rotation"]
    assert [finding["proofs"][0]["expected"] for finding in found] == [
        f"field-analyst embeds a text as in the run of {before['run']['started'][:10]}, before the rotation of rag"
    ]


def test_the_first_night_has_nothing_to_compare_with(nights: Nights) -> None:
    """It says so by leaving the comparison out, and is the history's first bar."""
    assert nights.sound.code == 7
    assert "since" not in nights.sound.record
    assert [night["run"] for night in nights.sound.record["history"]] == [nights.sound.record["run"]["id"]]
    assert "Since run" not in nights.sound.said


def test_the_next_night_tells_what_broke(nights: Nights) -> None:
    """It is compared with the last one in the history, in the record, the terminal and the summary."""
    since = nights.broken.record["since"]
    assert nights.broken.code == 1
    assert since["run"]["id"] == nights.sound.record["run"]["id"]
    assert "dify-embeddings-native" in {change["place"] for change in since["new_violations"]}
    assert since["still_violating"] == since["fixed"] == []
    assert "New violations" in nights.broken.said
    assert "### New violations" in (nights.broken.folder / "summary.md").read_text("utf-8")


def test_what_nobody_accepted_fails_again(nights: Nights) -> None:
    """With --fail-on new the same breakage fails the next night too; the comparison only tells that it is not new."""
    since = nights.again.record["since"]
    violating = {change["place"] for change in nights.broken.record["since"]["new_violations"]}
    assert nights.again.code == 1
    assert {change["place"] for change in since["still_violating"]} == violating
    assert since["new_violations"] == since["newly_untested"] == []
    assert nights.again.record["run"]["options"]["fail_on"] == "new"


def test_the_history_keeps_the_last_ones(nights: Nights) -> None:
    """The third run kept two: the second and itself."""
    kept = sorted(path.name for path in nights.history.iterdir())
    runs = [night.record["run"]["id"] for night in (nights.broken, nights.again)]
    assert sorted(re.findall(r"-([0-9a-f]+)\.json\.gz", " ".join(kept))) == sorted(runs)


@pytest.mark.parametrize("night", ["broken", "again"])
def test_a_tenant_commands_no_workflow(nights: Nights, night: str) -> None:
    """The runner is stopped from the first line until everything is said; what follows is annotations of ours."""
    found: Finished = getattr(nights, night)
    stop, *lines = found.stdout.splitlines()
    assert stop.startswith("::stop-commands::")
    word = f"::{stop.removeprefix('::stop-commands::')}::"
    assert lines.count(word) == 1
    printed, annotated = lines[: lines.index(word)], lines[lines.index(word) + 1 :]
    assert any("forged" in line for line in printed)
    assert annotated
    assert [line for line in annotated if not re.match(r"::(error|warning|notice) title=[^:,]+::", line)] == []
    assert "forged" in "".join(annotated)
    assert "forged" not in found.stderr


def test_outside_a_workflow_nothing_is_commanded(nights: Nights) -> None:
    """No line of a run elsewhere reads as a command."""
    assert [line for line in nights.sound.stdout.splitlines() if line.lstrip().startswith("::")] == []


def test_every_file_counts_alike(nights: Nights) -> None:
    """The pages, the summary, JUnit, allure and the badges of a run with violations and blocks tell its five totals."""
    totals = nights.broken.record["totals"]
    assert min(totals[name] for name in ("conforms", "violates", "blocked")) > 0
    counted = counts.by_outcome(nights.broken.folder)
    assert counted == dict.fromkeys(counted, totals)
    wanted, found = counts.in_words_of_pytest(nights.broken.folder, totals)
    assert found == wanted
    assert counts.badges(nights.broken.folder) == counts.badges_wanted(nights.broken.record)
    decisions = counts.decisions(nights.broken.folder)
    assert decisions == dict.fromkeys(decisions, decisions["results.json"])


def test_allure_holds_the_exchanges_of_what_does_not_conform(nights: Nights) -> None:
    """What failed has its exchanges attached as the record holds them; what passed has none."""
    folder, exchanges = nights.broken.folder / "allure-results", nights.broken.record["exchanges"]
    results = [json.loads(path.read_text("utf-8")) for path in folder.glob("*-result.json")]
    attached = [each for one in results if one["status"] == "failed" for each in one["attachments"]]
    assert attached
    for each in attached:
        held = json.loads((folder / each["source"]).read_text("utf-8"))
        assert held == exchanges[each["name"].removeprefix("exchange ")]
    assert not any("attachments" in one for one in results if one["status"] == "passed")


def test_no_secret_is_kept(nights: Nights) -> None:
    """Neither the history nor the reports hold one."""
    files = [path for path in nights.history.parent.rglob("*") if path.suffix in {".gz", ".json", ".md", ".html"}]
    read = {".gz": lambda path: gzip.decompress(path.read_bytes()).decode()}
    texts = [read.get(path.suffix, Path.read_text)(path) for path in files]
    assert len(nights.secrets) > 6
    assert len([path for path in files if path.suffix == ".gz"]) == 2
    assert [secret for secret in nights.secrets for text in texts if secret in text] == []


def test_reports_are_rendered_again_without_a_tenant(nights: Nights, tmp_path: Path) -> None:
    """The same bytes come of the record alone."""
    done = command("report", nights.broken.folder / "results.json", "--out", "again", cwd=tmp_path)
    assert done.code == 0
    for name in ("compliance.html", "summary.md", "badge.json", "badges/dify.json", "results.json"):
        assert (tmp_path / "again" / name).read_bytes() == (nights.broken.folder / name).read_bytes(), name


FROM_FOLDERS = {
    "diff": ["diff", "before", "after", "--fail-on", "new"],
    "report": ["report", "after", "--baseline", "before", "--fail-on", "new", "--out", "again"],
    "accept": ["accept", "after", "--owner", "A. Example", "--reason", "Known.", "--to", "more.yaml"],
    "verify": ["verify", "before", "after"],
}


@pytest.mark.parametrize("name", FROM_FOLDERS)
def test_a_record_may_be_named_by_its_folder(nights: Nights, tmp_path: Path, name: str) -> None:
    """A command does the same for a report directory as for the results.json in it, packed or not."""
    for folder, night in (("before", nights.sound), ("after", nights.broken)):
        (tmp_path / folder).mkdir()
        content = (night.folder / "results.json").read_bytes()
        (tmp_path / folder / "results.json").write_bytes(content)
        (tmp_path / f"packed-{folder}").mkdir()
        (tmp_path / f"packed-{folder}" / "results.json.gz").write_bytes(gzip.compress(content))
    said = set()
    for form in ("{}", "{}/results.json", "packed-{}"):
        words = [form.format(word) if word in ("before", "after") else word for word in FROM_FOLDERS[name]]
        done = command(*words, cwd=tmp_path)
        said.add((done.code, re.sub(r"\b(packed-)?(before|after)(/results\.json(\.gz)?)?\b", r"\2", done.said)))
        (tmp_path / "more.yaml").unlink(missing_ok=True)
    assert len(said) == 1, said
    assert said.pop()[0] in (0, 1)


def written(folder: Path, **records: Record) -> None:
    """A file of each record, by its name."""
    for name, value in records.items():
        (folder / f"{name}.json").write_text(json.dumps(value))


def test_shards_and_tenants_become_one_document(tmp_path: Path) -> None:
    """Two shards of one tenant and a file of another: one overview, a folder for each tenant, nothing counted twice."""
    other = {"base_url": "https://other.example/api/tenant"}
    written(
        tmp_path,
        one=record(book("dify"), run={"id": "a1"}),
        two=record(book("n8n", {"chat": [check("violates")]}), run={"id": "a2"}),
        three=record(book("dify"), run={"id": "a3"}, tenant=other),
    )
    done = command("report", "one.json", "two.json", "three.json", "--out", "both", cwd=tmp_path)
    assert done.code == 0
    assert "2 runs: 23 conform, 1 violates" in done.said
    assert "run a3: 12 conform" in done.said
    assert "2 tenants in one document" in done.said
    totals = [json.loads((tmp_path / f"both/tenant-{n}/results.json").read_text())["totals"] for n in (1, 2)]
    assert [found["conforms"] for found in totals] == [2 * len(PARTS) - 1, len(PARTS)]
    page = (tmp_path / "both" / "compliance.html").read_text("utf-8")
    assert "https://other.example/api/tenant" in page
    assert (tmp_path / "both" / "summary.md").read_text("utf-8").count(": GT API conformance\n") == 2


DIFFS = {"new": (["--fail-on", "new"], 1), "json": (["--format", "json"], 1)}


@pytest.mark.parametrize("words", DIFFS)
def test_diff_says_what_changed(tmp_path: Path, words: str) -> None:
    """Its exit code is that of the new record; in a workflow a tenant commands nothing."""
    violation = {"expected": "HTTP 200", "found": "HTTP 500", "exchange": None}
    bad = check("violates", reason=f"it said {'x' * 90} ::error::forged ##[error]forged", breaches=[violation])
    written(
        tmp_path,
        old=record(book(parts={"chat": [bad], "models": [bad]})),
        new=record(book(parts={"chat": [bad]}), run={"id": "b2"}),
    )
    done = command("diff", "old.json", "new.json", *DIFFS[words][0], cwd=tmp_path, env=WORKFLOW)
    assert done.code == DIFFS[words][1], done.said
    if words == "json":
        since = json.loads(done.stdout)
        assert [change["place"] for change in since["fixed"]] == ["dify-models-native"]
        assert schema.load("results").errors(since, "#/$defs/since") == ()
        return
    stop, *lines, word = done.stdout.splitlines()
    assert word == f"::{stop.removeprefix('::stop-commands::')}::"
    assert "No new violations, 1 fixed, 1 still violating." in done.said
    assert [line for line in lines if line.lstrip().startswith("::error::")], "the case must be one that matters"


def test_damaged_files_are_all_named(tmp_path: Path) -> None:
    """Every file that cannot be read is told in one go, with exit code 4, no traceback and no report."""
    names = []
    for name, (content, _) in DAMAGED.items():
        (tmp_path / f"{name}.json").write_bytes(content)
        names.append(f"{name}.json")
    (tmp_path / "folder.json").mkdir()
    done = command("report", *names, "folder.json", "missing.json", "--out", "out", cwd=tmp_path)
    assert (done.code, done.stdout) == (4, "")
    assert "Traceback" not in done.said
    for name, (_, words) in DAMAGED.items():
        said = " ".join(line for line in done.stderr.splitlines() if f"{name}.json" in line)
        assert CHANGED.get(name, words) in said, name
    assert "folder.json: this folder holds no results.json." in done.said
    assert "missing.json: the results cannot be read: No such file or directory." in done.said
    assert not (tmp_path / "out").exists()


MISTAKES = {
    "baseline": (["run", "--baseline", "old.json"], "this is not JSON: the file may be cut short."),
    "history": (["run", "--history", "old.json"], "the history cannot be kept there: File exists."),
    "another-tenant": (
        ["run", "--baseline", "other.json", "--fail-on", "new"],
        "this is a record of https://acme.example/api/tenant, not of the embedded tenant: what is new",
    ),
    "two-options": (
        ["run", "--fail-on", "new", "--history-keep", "0"],
        "what was accepted. Add --accepted, --history or --baseline. --history-keep is less than 1.",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_baseline_that_is_no_use_ends_the_run_at_once(tmp_path: Path, mistake: str) -> None:
    """A sentence and exit code 4, before anything is sent or written."""
    (tmp_path / "old.json").write_text('{"schema_version": 1, "run"')
    written(tmp_path, other=record(book()))
    words, sentence = MISTAKES[mistake]
    done = command(*words, cwd=tmp_path)
    assert done.code == 4
    assert sentence in done.said
    assert "Traceback" not in done.said
    assert not (tmp_path / "reports" / "results.json").exists()


def test_a_report_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    """A folder in the place of results.json is told as that, not as a page that could not be drawn."""
    (tmp_path / "reports" / "results.json").mkdir(parents=True)
    words = ["--runbook", "aider", "--", "suites/test_routes.py::test_route[aider-models-native]"]
    done = run(*words, cwd=tmp_path, lean=True)
    assert done.code == 3
    assert re.search(r"results\.json cannot be written: Is a directory\.", done.said)
    assert "is whole" not in done.said


def test_a_history_that_goes_away_costs_nothing_else(tmp_path: Path) -> None:
    """The record is made, and what could not be read or kept is a notice each."""
    nothing = dict.fromkeys(field.name for field in dataclasses.fields(Settings))
    history = tmp_path / "history"
    settings = Settings(**nothing | {"history": history, "history_keep": 9, "fail_on": FailOn.ANY})  # type: ignore[arg-type]
    baseline = Baseline(settings, None)
    shutil.rmtree(history)
    found = record(book())
    assert baseline.join(found) == found
    baseline.keep(found)
    assert [str(notice) for notice in baseline.notices] == [
        "the history could not be read: No such file or directory.",
        "the history could not be kept: No such file or directory.",
    ]
