"""docs/ci, action.yml, templates/ and the Containerfile: they hold to their services' rules, and what they run works.

The jobs are played with their real shell lines, as the services would play them, and with what goes wrong there.
"""

import asyncio
import json
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from starlette.types import ASGIApp, Receive, Scope, Send

from gt_conformance import resources, results
from gt_conformance.journal import JOURNAL
from gt_conformance.results import Record
from gt_sandbox import EmbeddedTenant
from tests.commands import DEADLINE_S, WITHOUT_PAGES, until
from tests.workflows import Artifacts, GitHubJob, GitLabJob, gitlab_pipeline, install

pytestmark = pytest.mark.slow

HERE = resources.suites_dir().parent
ACTION = HERE / "action.yml"
GITHUB = HERE / "docs/ci/github-nightly.yml"
CLIENTS = HERE / "docs/ci/github-clients.yml"
GITLAB = HERE / "docs/ci/gitlab-nightly.yml"
TEMPLATE = HERE / "templates/gt-conformance.yml"
CONTAINER = HERE / "Containerfile"
TOOLS = Path(sys.executable).parent
NIGHTS, REPORTS = "gt-conformance-nights", "gt-conformance-reports"


def ended(*words: str | Path, cwd: Path = HERE) -> "subprocess.CompletedProcess[str]":
    """A command that has ended."""
    return subprocess.run(
        list(map(str, words)), cwd=cwd, capture_output=True, text=True, timeout=DEADLINE_S, check=False
    )


# -- the files


@pytest.mark.parametrize(
    ("paths", "schema"),
    [
        ([ACTION], ["vendor.github-actions"]),
        ([GITHUB, CLIENTS], ["vendor.github-workflows"]),
        ([GITLAB, TEMPLATE], ["vendor.gitlab-ci", "--data-transform", "gitlab-ci"]),
    ],
    ids=["action", "github", "gitlab"],
)
def test_each_file_holds_to_the_schema_of_its_service(paths: list[Path], schema: list[str], tmp_path: Path) -> None:
    """The schema is the one that the service publishes; a key that it does not know is refused."""
    checked = [tmp_path / path.name for path in paths]
    texts = [json.dumps(gitlab_pipeline(GITLAB)) if path == TEMPLATE else path.read_text("utf-8") for path in paths]
    for path, text in zip(checked, texts, strict=True):
        path.write_text(text, encoding="utf-8")
    words = [str(TOOLS / "check-jsonschema"), "--builtin-schema", *schema]
    linted = ended(*words, *checked)
    assert linted.returncode == 0, linted.stdout
    for path, text in zip(checked, texts, strict=True):
        path.write_text(re.sub("timeout-minutes|timeout|local|using", "time_out", text), encoding="utf-8")
    refused = ended(*words, *checked)
    assert [path for path in checked if str(path) not in refused.stdout] == []


def test_nothing_on_github_has_a_known_weakness() -> None:
    """Pinned actions, least permissions, no credentials left behind, no text of others in a shell line."""
    linted = ended(TOOLS / "zizmor", "--offline", "--no-progress", "--persona", "pedantic", ACTION, GITHUB, CLIENTS)
    assert linted.returncode == 0, linted.stdout


def shell_lines() -> dict[str, str]:
    """The script of each step of each service, by its place."""
    found: dict[str, str] = {}
    for path in (GITHUB, CLIENTS):
        for job in yaml.safe_load(path.read_text(encoding="utf-8"))["jobs"].values():
            found |= {f"{path.stem}: {step['name']}": step["run"] for step in job["steps"] if "run" in step}
    steps = yaml.safe_load(ACTION.read_text(encoding="utf-8"))["runs"]["steps"]
    found |= {f"action: {step['name']}": step["run"] for step in steps}
    (job,) = gitlab_pipeline(GITLAB).values()
    return found | {"gitlab": "\n".join([*job["before_script"], *job["script"]])}


@pytest.mark.parametrize("script", shell_lines().values(), ids=shell_lines())
def test_a_script_has_no_known_slip(script: str) -> None:
    """Shellcheck has nothing to say about it, as a script for bash."""
    words = [str(TOOLS / "shellcheck"), "--shell=bash", "--severity=style", "-"]
    linted = subprocess.run(words, input=script, capture_output=True, text=True, check=False)
    assert linted.returncode == 0, linted.stdout


def test_each_target_of_make_exists() -> None:
    """What the workflows make is what the Makefile has."""
    lines = [line for script in shell_lines().values() for line in re.findall(r"^make .*", script, re.MULTILINE)]
    assert lines
    for line in lines:
        target = re.sub(r"-C \S+|PYTHON=\S+", "", line)
        assert ended(*target.split(), "--dry-run").returncode == 0, line


def test_the_example_names_every_secret() -> None:
    """The job passes each secret_env of the tenant file that `gt-conformance init` writes, and no other."""
    named = set(re.findall(r"secret_env: (\w+)", resources.sample_tenant().read_text(encoding="utf-8")))
    passed = re.findall(r"^ +(\w+)=\$\{\{ secrets\.(\w+) \}\}$", GITHUB.read_text(encoding="utf-8"), re.MULTILINE)
    assert {name for name, _ in passed} == named
    assert all(name == secret for name, secret in passed)


def test_the_container_file_has_no_known_weakness() -> None:
    """Hadolint has nothing to say about it, and the base image is an argument, so that a digest can be named."""
    linted = ended(TOOLS / "hadolint", CONTAINER)
    assert linted.returncode == 0, linted.stdout
    text = CONTAINER.read_text(encoding="utf-8")
    assert set(re.findall(r"^FROM (\S+)", text, re.MULTILINE)) == {"${BASE}"}
    assert re.search(r"^USER (?!0|root)", text, re.MULTILINE)


def test_the_container_file_copies_all_that_the_wheel_holds() -> None:
    """Each source is there and is not ignored, and so is each part of the wheel."""
    copied = [
        source
        for line in re.findall(r"^COPY (?!--from)(.+)$", CONTAINER.read_text(encoding="utf-8"), re.MULTILINE)
        for source in line.split()[:-1]
    ]
    assert [source for source in copied if not (HERE / source).exists()] == []
    project = (HERE / "pyproject.toml").read_text(encoding="utf-8")
    held = re.findall(r'^"([\w.]+)" = "gt_conformance/_data', project, re.MULTILINE)
    assert {*held, "gt_conformance", "gt_loopback", "gt_sandbox"} <= set(copied)
    ignored = (HERE / ".dockerignore").read_text(encoding="utf-8")
    assert set(re.findall(r"^!(.+)$", ignored, re.MULTILINE)) == set(copied)


# -- GitHub


def slow(app: ASGIApp) -> ASGIApp:
    """A tenant that takes minutes over a chat with a key."""

    async def slowed(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"].endswith("/chat/completions") and b"authorization" in dict(scope["headers"]):
            await asyncio.sleep(DEADLINE_S)
        await app(scope, receive, send)

    return slowed


class Site:
    """A repository with its tenant file, and what jobs leave behind. Its suite is the recorder of ``install``."""

    def __init__(self, folder: Path) -> None:
        """Without a tenant."""
        self.folder = folder / "workspace"
        self.folder.mkdir()
        self.artifacts = Artifacts(folder / "artifacts")
        self.secrets: dict[str, str] = {}
        install(self.folder)

    def judge(self, running: EmbeddedTenant, *arguments: str) -> None:
        """Have the real suite judge that tenant; its file names the variables of the example."""
        document: dict[str, Any] = dict(running.tenant_document())
        names = {"chat", "rag", "full", "upload", "app", "gone"}
        document["keys"] = {name: key for name, key in document["keys"].items() if name in names}
        document["runbooks"] = {"dify": {"key": "rag"}}
        text = json.dumps(document).replace("GT_EMBEDDED_", "GT_KEY_")
        (self.folder / "staging.yaml").write_text(text, encoding="utf-8")
        self.secrets = {name.replace("EMBEDDED", "KEY"): value for name, value in running.secrets.items()}
        install(self.folder, "--route", "models", *arguments, "--", "-m", "not tenant", *WITHOUT_PAGES)

    def night(self, **more: Any) -> GitHubJob:
        """Another night on GitHub, to its end."""
        return GitHubJob(GITHUB, self.folder, self.artifacts, **{"secrets": self.secrets, **more}).play()

    def break_setup(self) -> None:
        """From now on the suite cannot be set up."""
        (self.folder / "broken").touch()

    def kept(self, night: GitHubJob) -> int:
        """How many records the history of that night holds; 0 where it left none behind."""
        return len(self.artifacts.of(night.number, NIGHTS))

    def record(self, night: GitHubJob) -> Record:
        """The record that the night published."""
        return results.read(self.artifacts.folder / str(night.number) / REPORTS / "results.json")


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """A site with the recorder."""
    return Site(tmp_path)


@pytest.fixture(scope="module")
def running() -> Iterator[EmbeddedTenant]:
    """A tenant that passes for a live one."""
    with EmbeddedTenant(marked=False) as one:
        yield one


@pytest.fixture
def live_site(site: Site, running: EmbeddedTenant) -> Site:
    """A site whose suite judges two runbooks, which use different keys."""
    site.judge(running, "--runbook", "dify", "--runbook", "aider")
    return site


@pytest.fixture
def slow_site(site: Site) -> Iterator[Site]:
    """A site whose tenant takes minutes over a chat."""
    with EmbeddedTenant(middleware=[lambda _: slow], marked=False) as one:
        site.judge(one, "--runbook", "aider", "--route", "chat")
        yield site


def is_under_way(folder: Path) -> bool:
    """Whether a run below that folder has judged something."""
    done = '"id": "aider-models-native", "route": "models"'
    return any(done in path.read_text("utf-8").partition("\n")[2] for path in folder.rglob(JOURNAL))


def test_two_nights_are_compared(live_site: Site) -> None:
    """The second night finds the record of the first; both publish reports, and write the job summary."""
    site = live_site
    nights = [site.night(), site.night()]
    assert [night.status for night in nights] == ["success", "success"], nights[0].log
    assert [site.kept(night) for night in nights] == [1, 2]
    assert "Since run" in nights[1].log
    assert nights[1].summary.read_text("utf-8").partition("\n")[0].endswith(": GT API conformance")
    assert {"results.json", "compliance.html", "junit.xml"} <= {*site.artifacts.of(nights[1].number, REPORTS)}
    assert "decision=PARTIAL" in (nights[1].temporary / "output").read_text("utf-8")
    assert not [secret for secret in site.secrets.values() if secret in nights[1].log]


def test_what_is_accepted_is_taken_from_the_repository(live_site: Site) -> None:
    """A file accepted.yaml is used where it exists: a slip in it is red, with the exit code for bad input."""
    (live_site.folder / "accepted.yaml").write_text("waivers: [{}]\n")
    failed = live_site.night()
    assert (failed.status, failed.outputs["Judge"]) == ("failure", {"exit": "4"}), failed.log
    assert "accepted.yaml:1" in failed.log


def test_a_setup_that_fails_costs_no_history_and_publishes_nothing(site: Site) -> None:
    """The records of past nights stay; the reports of an earlier night, if any lie about, are not published."""
    site.night()
    (site.folder / "reports").mkdir()
    (site.folder / "reports" / "summary.md").write_text("GO, last night")
    site.break_setup()
    failed = site.night()
    assert (failed.status, "Judge" in failed.skipped) == ("failure", True)
    assert (site.kept(failed), site.artifacts.of(failed.number, REPORTS), failed.summary.exists()) == (1, [], False)
    (site.folder / "broken").unlink()
    assert site.kept(site.night()) == 2


def test_the_history_comes_from_the_newest_run_that_has_it(site: Site) -> None:
    """A run without the artifact, an expired one, another branch and a fork of the repository are passed over."""
    first = site.night()
    site.artifacts.begin()
    lost = [site.artifacts.begin(branch="other"), site.artifacts.begin(repository=7), site.artifacts.begin()]
    for number in lost:
        folder = site.artifacts.folder / str(number)
        (folder / NIGHTS).mkdir()
        (folder / NIGHTS / "forged.json.gz").touch()
    (site.artifacts.folder / str(lost[-1]) / f"{NIGHTS}.expired").touch()
    found = site.night()
    assert {*site.artifacts.of(first.number, NIGHTS)} < {*site.artifacts.of(found.number, NIGHTS)}
    assert "forged.json.gz" not in site.artifacts.of(found.number, NIGHTS)


def test_a_history_that_cannot_be_fetched_is_not_replaced(site: Site) -> None:
    """The night is judged and warned about; the artifact of the night before stays the newest."""
    site.night()
    offline = site.night(offline=True)
    assert (offline.status, site.kept(offline)) == ("success", 0)
    assert "::warning title=No history::" in offline.log
    assert site.kept(site.night()) == 2


def test_a_night_that_is_cancelled_publishes_what_it_judged(slow_site: Site) -> None:
    """The run gets the signal of the runner, writes its reports as interrupted, and loses no history."""
    (slow_site.artifacts.folder / str(slow_site.artifacts.begin()) / NIGHTS).mkdir()
    (slow_site.artifacts.folder / "1" / NIGHTS / "kept").touch()
    night = slow_site.night(cancel=is_under_way)
    assert (night.status, night.outputs["Judge"]) == ("cancelled", {"exit": "2"})
    record = slow_site.record(night)
    assert record["run"].get("interrupted") == "SIGINT"
    rows = {row["id"]: row["outcome"] for book in record["runbooks"] for row in book["routes"]}
    assert rows == {"aider-models-native": "conforms", "aider-chat-native": "blocked"}
    assert "kept" in slow_site.artifacts.of(night.number, NIGHTS)


def test_a_secret_that_is_not_set_blocks_what_needs_it(live_site: Site) -> None:
    """On GitHub it is empty. The other runbook is judged all the same; the exit code says that something is missing."""
    site = live_site
    night = site.night(secrets={name: value for name, value in site.secrets.items() if name != "GT_KEY_RAG"})
    assert (night.status, night.outputs["Judge"]) == ("failure", {"exit": "7"}), night.log
    rows = {row["id"]: row["outcome"] for book in site.record(night)["runbooks"] for row in book["routes"]}
    assert rows == {"dify-models-native": "blocked", "aider-models-native": "conforms"}


def test_further_arguments_reach_the_run(site: Site, tmp_path: Path) -> None:
    """One in each line, with its spaces; a secret with every character that a shell reads arrives as it is."""
    text = GITHUB.read_text("utf-8").replace(
        "          secrets: |",
        "          arguments: |\n            --verdict\n            gt extension\n          secrets: |",
    )
    (tmp_path / "workflow.yml").write_text(text)
    (site.folder / "command").write_text('#!/bin/sh\nprintf "<%s>" "$@" "$GT_KEY_CHAT" "${GT_KEY_RAG-unset}"\n')
    odd = "$(id)=\"'`\\ #="
    night = GitHubJob(tmp_path / "workflow.yml", site.folder, site.artifacts, {"GT_KEY_CHAT": odd}).play()
    assert night.log.endswith(f"<--verdict><gt extension><{odd}><unset>")


# -- GitLab


def gitlab_night(site: Site, **more: Any) -> tuple[int, set[str]]:
    """Another night on GitLab: its exit code and what it published."""
    root = site.folder.parent
    published = root / f"published-{len([*root.glob('published-*')])}"
    (described,) = gitlab_pipeline(GITLAB).values()
    env = {**site.secrets, **more.pop("env", {})}
    code = GitLabJob(described, site.folder, root / "cache", published, env, **more).play()
    return code, {path.name for path in published.rglob("*") if path.is_file()}


def cached(site: Site) -> int:
    """How many records GitLab's cache holds."""
    return len([*(site.folder.parent / "cache" / "nights").glob("*.json.gz")])


def test_nights_on_gitlab_keep_their_history(site: Site) -> None:
    """Two nights, one whose set-up fails and that publishes nothing of the night before, and one more."""
    published = {"results.json", "summary.md"}
    assert [gitlab_night(site) for _ in range(2)] == [(0, published), (0, published)]
    assert cached(site) == 2
    site.break_setup()
    assert gitlab_night(site) == (2, set())
    (site.folder / "broken").unlink()
    assert (gitlab_night(site)[0], cached(site)) == (0, 3)


def test_a_night_on_gitlab_that_is_cancelled_costs_no_history(slow_site: Site) -> None:
    """SIGTERM ends it; the cache stays as it was, and the next night does not take the reports for its own."""
    (slow_site.folder.parent / "cache" / "nights").mkdir(parents=True)
    (slow_site.folder.parent / "cache" / "nights" / "kept").touch()
    code, published = gitlab_night(slow_site, cancel=is_under_way)
    assert (code, published) == (-signal.SIGTERM, set())
    assert (slow_site.folder.parent / "cache" / "nights" / "kept").exists()
    record = slow_site.folder / "reports" / "results.json"
    until(record.with_name("results.intoto.json").is_file)  # the last document of a run that goes on to write them
    assert results.read(record)["run"].get("interrupted") == "SIGTERM"
    slow_site.break_setup()
    assert gitlab_night(slow_site)[1] == set()


def test_a_variable_that_is_not_set_blocks_what_needs_it_on_gitlab(live_site: Site) -> None:
    """The exit code is that of the run, and the reports are published."""
    code, published = gitlab_night(live_site, env={"GT_KEY_RAG": ""})
    assert code == 7
    assert {"compliance.html", "results.json", "summary.md", "badge.json"} <= published
