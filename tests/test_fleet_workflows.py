"""A fleet on GitHub and GitLab, as `fleet manifest` prints it: it holds to their rules, and works when it is played."""

import re
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml

from tests.commands import Finished, finished, in_process
from tests.workflows import Artifacts, GitHubWorkflow, GitLabPipeline, install

pytestmark = pytest.mark.slow

TOOLS = Path(sys.executable).parent
WORDS = {
    "github": ("--secret", "VAULT_TOKEN", "--secret", "GT_KEY_CHAT", "--parallel", "2", "--fail-on", "any"),
    "gitlab": ("--fail-on", "any"),
}
SCHEMAS = {"github": ("vendor.github-workflows",), "gitlab": ("vendor.gitlab-ci", "--data-transform", "gitlab-ci")}


def printed(folder: Path, engine: str, *words: str, shards: int = 3) -> Finished:
    """What the command prints for a fleet of one tenant."""
    (folder / "fleet.yaml").write_text("tenants: {acme: {file: acme.yaml}}")
    (folder / "acme.yaml").write_text("{}")
    return in_process(
        "fleet", "manifest", "fleet.yaml", "--engine", engine, "--shards", str(shards), *words, cwd=folder
    )


@pytest.fixture(params=list(WORDS))
def service(request: pytest.FixtureRequest) -> str:
    """The name of a service."""
    return str(request.param)


@pytest.fixture
def workflow(service: str, tmp_path: Path) -> Path:
    """What was printed for it, in a file."""
    path = tmp_path / f"{service}.yml"
    path.write_text(printed(tmp_path, service, *WORDS[service]).stdout)
    return path


def test_it_holds_to_the_schema_of_its_service(workflow: Path, service: str, tmp_path: Path) -> None:
    """The schema is the one that the service publishes; a key that it does not know is refused."""
    words = [str(TOOLS / "check-jsonschema"), "--builtin-schema", *SCHEMAS[service], str(workflow)]
    assert finished(words, cwd=tmp_path).code == 0
    workflow.write_text(re.sub("timeout-minutes|timeout", "time_out", workflow.read_text()))
    assert finished(words, cwd=tmp_path).code == 1


def test_it_has_no_known_weakness_on_github(tmp_path: Path) -> None:
    """Pinned actions, least permissions, no credentials left behind, no text of others in a shell line."""
    folder = tmp_path / ".github" / "workflows"
    folder.mkdir(parents=True)
    (folder / "fleet.yml").write_text(printed(tmp_path, "github", *WORDS["github"]).stdout)
    linted = finished(
        [str(TOOLS / "zizmor"), "--offline", "--no-progress", "--persona", "pedantic", str(folder)], cwd=tmp_path
    )
    assert linted.code == 0, linted.said


def test_its_scripts_have_no_known_slip(workflow: Path, service: str) -> None:
    """Shellcheck has nothing to say about them, as scripts for bash."""
    jobs = yaml.safe_load(workflow.read_text())
    if service == "github":
        scripts = [step["run"] for job in jobs["jobs"].values() for step in job["steps"] if "run" in step]
    else:
        scripts = ["\n".join([*job["before_script"], *job["script"]]) for job in jobs.values()]
    for script in scripts:
        words = [str(TOOLS / "shellcheck"), "--shell=bash", "--severity=style", "-"]
        linted = subprocess.run(words, input=script, capture_output=True, text=True, check=False)
        assert linted.returncode == 0, linted.stdout


RECORDER = """#!/bin/sh
shift
verb=$1
case $verb in report) folder=$2 ;; esac
while test $# -gt 0; do
  case $1 in --out) out=$2 ;; --night) night=$2 ;; --shard) shard=$2 ;; esac
  shift
done
case $verb in
  run) mkdir -p "$out/outcomes/$night"; echo "$shard" > "$out/outcomes/$night/${shard%/*}.parquet" ;;
  report) mkdir -p "$out"; (cd "$folder/outcomes" && find . -name '*.parquet' | sort) > "$out/summary.md" ;;
esac
"""
"""Writes where a shard writes, in no time, and reports what is there."""

BEFORE = "2026-01-01"


def repository(folder: Path) -> Path:
    """A checkout whose suite is the recorder."""
    checkout = folder / "checkout"
    checkout.mkdir()
    install(checkout)
    (checkout / "command").write_text(RECORDER)
    return checkout


def test_the_table_of_past_nights_is_kept_on_github(tmp_path: Path) -> None:
    """It is reported with this night's, and kept with it; an earlier run of the same day is not mixed with this one."""
    workflow, artifacts = tmp_path / "fleet.yml", Artifacts(tmp_path / "artifacts")
    workflow.write_text(printed(tmp_path, "github").stdout)
    checkout, tonight = repository(tmp_path), f"{datetime.now(UTC):%Y-%m-%d}"
    kept = artifacts.folder / str(artifacts.begin()) / "gt-fleet-outcomes"
    for night, part in ((BEFORE, "0"), (tonight, "99")):
        (kept / night).mkdir(parents=True)
        (kept / night / f"{part}.parquet").touch()
    offline = GitHubWorkflow(workflow, checkout, artifacts, {}, offline=True).play()
    expected = {f"{tonight}/{shard}.parquet" for shard in range(3)}
    assert (offline.status, artifacts.of(offline.run, "gt-fleet-outcomes")) == ("success", [])
    assert "::warning title=No history::" in offline.jobs["report"][""].log
    played = GitHubWorkflow(workflow, checkout, artifacts, {}).play()
    assert played.status == "success"
    assert {*artifacts.of(played.run, "gt-fleet-outcomes")} == {f"{BEFORE}/0.parquet", *expected}
    reported = played.jobs["report"][""].summary.read_text("utf-8").split()
    assert reported == sorted(f"./{path}" for path in (f"{BEFORE}/0.parquet", *expected))


def test_the_table_of_past_nights_is_kept_on_gitlab(tmp_path: Path) -> None:
    """As on GitHub, in the cache."""
    described = yaml.safe_load(printed(tmp_path, "gitlab").stdout)
    played = GitLabPipeline(described, repository(tmp_path), tmp_path / "root", {})
    kept = tmp_path / "root" / "caches" / "gt-fleet-outcomes-main" / "outcomes"
    for night, part in ((BEFORE, "0"), (played.created_at[:10], "99")):
        (kept / night).mkdir(parents=True)
        (kept / night / f"{part}.parquet").touch()
    played.play()
    assert set(played.codes.values()) == {0}
    tonight = [f"./{played.created_at[:10]}/{shard}.parquet" for shard in range(3)]
    reported = (played.artifacts("gt-fleet-report") / "reports" / "summary.md").read_text("utf-8").split()
    assert reported == [f"./{BEFORE}/0.parquet", *tonight]
    played.play()
    reported = (played.artifacts("gt-fleet-report") / "reports" / "summary.md").read_text("utf-8").split()
    assert reported == [f"./{BEFORE}/0.parquet", *tonight]


@pytest.mark.parametrize(
    ("engine", "words", "says"),
    [
        ("github", ("--shards", "257"), "1 to 256"),
        ("github", ("--deadline", "7h"), "at most 6 hours"),
        ("github", ("--secret", "vault:/keys"), "letters, digits and underscores"),
        ("github", ("--schedule", "nightly"), "name one minute and one hour, in UTC. For example: 17 1 * * *"),
        ("github", ("--results", "nights"), "which is for kubernetes"),
        ("gitlab", ("--shards", "201"), "1 to 200"),
        ("gitlab", ("--schedule", "5 2 * * *"), "which is for kubernetes and github"),
    ],
)
def test_what_a_service_could_not_take_is_refused(
    engine: str, words: tuple[str, ...], says: str, tmp_path: Path
) -> None:
    """With a sentence, before anything is pushed."""
    refused = printed(tmp_path, engine, *words)
    assert (refused.code, refused.stdout) == (4, "")
    assert says in refused.said
