"""docs/ci: the workflows hold to their services' schemas, are safe, and what they run works."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from gt_conformance import resources
from tests.commands import DEADLINE_S, environment, tenant

HERE = resources.suites_dir().parent
GITHUB = HERE / "docs/ci/github-nightly.yml"
CLIENTS = HERE / "docs/ci/github-clients.yml"
GITLAB = HERE / "docs/ci/gitlab-nightly.yml"
TOOLS = Path(sys.executable).parent


def ended(*words: str | Path, cwd: Path = HERE, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """A command that has ended."""
    return subprocess.run(
        list(map(str, words)), cwd=cwd, env=env, capture_output=True, text=True, timeout=DEADLINE_S, check=False
    )


def steps(path: Path = GITHUB) -> dict[str, dict[str, Any]]:
    """The steps of the only job of a workflow on GitHub, by name."""
    (job,) = yaml.safe_load(path.read_text(encoding="utf-8"))["jobs"].values()
    return {step["name"]: step for step in job["steps"] if "name" in step}


def lines_on_gitlab() -> list[str]:
    """The script of the job on GitLab."""
    script: list[str] = yaml.safe_load(GITLAB.read_text(encoding="utf-8"))["gt-conformance"]["script"]
    return script


@pytest.mark.parametrize(
    ("path", "schema"),
    [
        (GITHUB, ["vendor.github-workflows"]),
        (CLIENTS, ["vendor.github-workflows"]),
        (GITLAB, ["vendor.gitlab-ci", "--data-transform", "gitlab-ci"]),
    ],
)
def test_a_workflow_holds_to_the_schema_of_its_service(path: Path, schema: list[str], tmp_path: Path) -> None:
    """The schema is the one that the service publishes; a key that it does not know is refused."""
    linted = ended(TOOLS / "check-jsonschema", "--builtin-schema", *schema, path)
    assert linted.returncode == 0, linted.stdout
    spoiled = tmp_path / path.name
    spoiled.write_text(path.read_text(encoding="utf-8").replace("timeout", "time_out"), encoding="utf-8")
    assert ended(TOOLS / "check-jsonschema", "--builtin-schema", *schema, spoiled).returncode == 1


@pytest.mark.parametrize("path", [GITHUB, CLIENTS], ids=["nightly", "clients"])
def test_a_workflow_on_github_has_no_known_weakness(path: Path) -> None:
    """Pinned actions, least permissions, no credentials left behind, no text of others in a shell line."""
    linted = ended(TOOLS / "zizmor", "--offline", "--no-progress", "--persona", "pedantic", path)
    assert linted.returncode == 0, linted.stdout


def test_each_target_of_make_exists() -> None:
    """What the workflows make is what the Makefile has."""
    for line in (
        steps()["Set up"]["run"],
        steps(CLIENTS)["Set up"]["run"],
        *(line for line in lines_on_gitlab() if line.startswith("make")),
    ):
        assert ended(*line.split(), "--dry-run").returncode == 0, line


def test_every_script_is_a_shell_script() -> None:
    """No step of either has a slip that a shell would stumble over."""
    on_github = [step["run"] for path in (GITHUB, CLIENTS) for step in steps(path).values() if "run" in step]
    for script in (*on_github, *lines_on_gitlab()):
        assert ended("bash", "-n", "-c", script).returncode == 0, script


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A folder that looks like the checkout of a workflow, with the tenant file of an embedded tenant."""
    command = tmp_path / ".venv/bin/gt-conformance"
    command.parent.mkdir(parents=True)
    command.write_text(
        f'#!/bin/sh\nexec "{sys.executable}" -m gt_conformance "$@" --runbook dify --route models\n', encoding="utf-8"
    )
    command.chmod(0o755)
    return tmp_path


@pytest.mark.parametrize("service", ["github", "gitlab"])
def test_what_a_workflow_runs_works(service: str, checkout: Path) -> None:
    """Two nights of it: reports, a summary, a history, the exit code of the run."""
    script = steps()["Judge"]["run"] if service == "github" else lines_on_gitlab()[-1]
    summary = checkout / "step-summary.md"
    with tenant(checkout) as (_, written):
        written.rename(checkout / "staging.yaml")
        env = environment({"GITHUB_STEP_SUMMARY": str(summary)})
        nights = [ended("bash", "-e", "-c", script, cwd=checkout, env=env) for _ in range(2)]
        if service == "github":
            told = steps()["Tell it in the summary of the job"]["run"]
            assert ended("bash", "-e", "-c", told, cwd=checkout, env=env).returncode == 0
            assert summary.read_text(encoding="utf-8").partition("\n")[0].endswith(": GT API conformance")
    assert [night.returncode for night in nights] == [0, 0], nights[-1].stderr
    assert "Since run" in nights[1].stdout
    assert len(list((checkout / "nights").iterdir())) == 2
    kept = yaml.safe_load(GITLAB.read_text(encoding="utf-8"))["gt-conformance"]["artifacts"]["paths"]
    assert [path for path in kept if not (checkout / path).exists()] == []
