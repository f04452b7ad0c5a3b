"""Jobs of GitHub and GitLab, played on this machine: their real shell lines, with failures where a test wants them.

It knows what the files in docs/ci, action.yml and templates/ use, and refuses anything else. As on the services:
GitHub's runner has an empty temporary folder for each job, keeps artifacts by run and name, and sends SIGINT to a step
that is cancelled; GitLab's restores a cache, keeps the job's folder, and stores artifacts whatever became of the job.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from gt_conformance import resources
from tests.commands import DEADLINE_S, environment, until

HERE = resources.suites_dir().parent
GH = Path(__file__).with_name("gh.py")
"""GitHub's command for a store of artifacts in a folder."""

REPOSITORY = 101
_EXPRESSION = re.compile(r"\$\{\{ *(.+?) *\}\}")
_TOKEN = re.compile(r"'[^']*'|\|\||&&|[=!]=|[!()]|[\w.-]+")
_INPUT = re.compile(r"\$\[\[ *inputs\.(\w+) *\]\]")


SUITE = """#!/bin/sh
exec "{python}" -m gt_conformance "$@" {arguments}
"""
RECORDER = """#!/bin/sh
while test $# -gt 0; do
  case $1 in --report-dir) reports=$2 ;; --history) nights=$2 ;; esac
  shift
done
mkdir -p "$reports" ${nights:+"$nights"}
echo '{"decision": "GO"}' > "$reports/results.json"
echo GO > "$reports/summary.md"
if test -n "$nights"; then touch "$nights/$(ls "$nights" | wc -l).json.gz"; fi
"""
"""Writes where a run writes, in no time: for tests of what the job does with it."""


def install(workspace: Path, *arguments: str) -> None:
    """A checkout in which ``make setup`` sets up the suite of these tests, with those further arguments of ``run``.

    Without any it is only the recorder.
    """
    words = " ".join(f"'{word}'" for word in arguments)
    (workspace / "Makefile").write_text(
        "setup setup-fleet:\n\t@test ! -f broken || { echo no network >&2; exit 1; }\n\t@mkdir -p .venv/bin\n"
        f"\t@cp command .venv/bin/gt-conformance\n\t@ln -sf {sys.executable} .venv/bin/python\n"
    )
    command = SUITE.format(python=sys.executable, arguments=words) if arguments else RECORDER
    (workspace / "command").write_text(command)
    (workspace / "command").chmod(0o755)
    shutil.copy(HERE / "action.yml", workspace)


def ended(process: "subprocess.Popen[bytes]", cancel: Callable[[], object] | None, number: signal.Signals) -> int:
    """The exit code of a step, which gets that signal once ``cancel`` holds."""
    if cancel is not None:
        until(lambda: cancel() or process.poll() is not None)
        process.send_signal(number)
    return process.wait(DEADLINE_S)


# -- GitHub


@dataclass
class Artifacts:
    """What runs have uploaded, newest last: ``folder/RUN/NAME/`` with the run's own facts beside it."""

    folder: Path
    runs: int = 0

    def begin(self, *, branch: str = "main", repository: int = REPOSITORY) -> int:
        """Another run. Returns its number."""
        self.runs += 1
        (self.folder / str(self.runs)).mkdir(parents=True)
        facts = {"head_branch": branch, "repository_id": REPOSITORY, "head_repository_id": repository}
        (self.folder / f"{self.runs}.json").write_text(json.dumps(facts))
        return self.runs

    def of(self, run: int, name: str) -> list[str]:
        """The files of an artifact of that run; none where there is none."""
        folder = self.folder / str(run) / name
        return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


@dataclass
class GitHubJob:
    """A job of a workflow, the only one unless ``name`` says which, in a workspace that holds the checkout."""

    workflow: Path
    workspace: Path
    artifacts: Artifacts
    secrets: Mapping[str, str]
    cancel: Callable[[Path], object] | None = None
    """Told the runner's temporary folder, whether the step ``Judge`` is to be cancelled now."""
    offline: bool = False
    branch: str = "main"
    status: str = "success"
    name: str | None = None
    run: int | None = None
    """The run of the workflow that it is a job of; None begins one."""
    more: Mapping[str, str] = field(default_factory=dict)
    """What expressions know of the job besides: its place in a matrix, the outputs of others, the attempt."""
    outputs: dict[str, dict[str, str]] = field(default_factory=dict)
    skipped: list[str] = field(default_factory=list)

    def play(self) -> "GitHubJob":
        """Play it to its end."""
        self.number = self.artifacts.begin(branch=self.branch) if self.run is None else self.run
        self.temporary = self.workspace.parent / f"runner-{self.number}"
        for again in range(2, 100):
            if self.temporary.exists():
                self.temporary = self.temporary.with_name(f"runner-{self.number}-{again}")
        self.temporary.mkdir()
        self.summary = self.temporary / "summary.md"
        bin_ = self.temporary / "bin"
        bin_.mkdir()
        (bin_ / "gh").write_text(f'#!/bin/sh\nexec "{sys.executable}" "{GH}" "$@"\n')
        (bin_ / "gh").chmod(0o755)
        self.base = environment(
            {
                "PATH": f"{bin_}:{os.environ['PATH']}",
                "RUNNER_TEMP": str(self.temporary),
                "GITHUB_STEP_SUMMARY": str(self.summary),
                "GH_STORE": str(self.artifacts.folder),
                **({"GH_OFFLINE": "1"} if self.offline else {}),
            }
        )
        jobs = yaml.safe_load(self.workflow.read_text("utf-8"))["jobs"]
        job = jobs[self.name] if self.name is not None else jobs[min(jobs)]
        assert self.name is not None or len(jobs) == 1
        context = {
            "runner.temp": str(self.temporary),
            "github.ref_name": self.branch,
            "github.repository": "acme/conformance",
            "github.run_attempt": "1",
            "github.run_id": str(self.number),
            "github.token": "token-of-the-job",
            **self.more,
            **{f"secrets.{name}": value for name, value in self.secrets.items()},
        }
        self._steps(job["steps"], context, job.get("env", {}))
        self.given = {name: self._filled(value, self._context) for name, value in job.get("outputs", {}).items()}
        return self

    def _steps(self, steps: list[dict[str, Any]], context: dict[str, str], env: Mapping[str, str]) -> None:
        context = self._context = dict(context)
        for step in steps:
            name = step.get("name", step.get("uses", ""))
            if not self.holds(str(step.get("if", "success()")), context):
                self.skipped.append(name)
                continue
            given = {key: self._filled(value, context) for key, value in {**env, **step.get("env", {})}.items()}
            if "run" in step:
                self._run(step, given, context)
            elif step["uses"].startswith("actions/upload-artifact@"):
                self._upload({key: self._filled(value, context) for key, value in step["with"].items()})
            elif step["uses"].startswith("actions/download-artifact@"):
                self._download({key: self._filled(value, context) for key, value in step["with"].items()})
            elif step["uses"] == "./":
                self._use(self.workspace, step, given, context)
            else:
                assert step["uses"].startswith("actions/checkout@"), f"no part of this: {step['uses']}"

    def _use(self, action: Path, step: dict[str, Any], env: Mapping[str, str], context: Mapping[str, str]) -> None:
        """A composite action: it sees its inputs and the runner's context, no secret."""
        described = yaml.safe_load((action / "action.yml").read_text("utf-8"))
        given = {name: self._filled(value, context) for name, value in step.get("with", {}).items()}
        assert given.keys() <= described["inputs"].keys()
        assert {name for name, one in described["inputs"].items() if one.get("required")} <= given.keys()
        inside = {name: value for name, value in context.items() if name.partition(".")[0] in {"github", "runner"}}
        for name, one in described["inputs"].items():
            inside[f"inputs.{name}"] = given.get(name, self._filled(one.get("default", ""), inside))
        self._steps(described["runs"]["steps"], inside, {**env, "GITHUB_ACTION_PATH": str(action)})

    def _run(self, step: dict[str, Any], env: Mapping[str, str], context: dict[str, str]) -> None:
        script, output = self.temporary / "step.sh", self.temporary / "output"
        script.write_text(step["run"])
        output.write_text("")
        words = ["bash", "--noprofile", "--norc", "-e", "-o", "pipefail", str(script)]
        cancel = self.cancel if step["name"] == "Judge" else None
        with (self.temporary / "log.txt").open("ab") as log:
            process = subprocess.Popen(
                words,
                cwd=self.workspace,
                env={**self.base, "GITHUB_OUTPUT": str(output), **env},
                stdout=log,
                stderr=log,
            )
            with process:
                code = ended(process, (lambda: cancel(self.temporary)) if cancel else None, signal.SIGINT)
        for line in output.read_text().splitlines():
            name, _, value = line.partition("=")
            context[f"steps.{step['id']}.outputs.{name}"] = value
        if cancel:
            self.status = "cancelled"
        elif code:
            self.status = "failure"
        self.outputs[step["name"]] = {"exit": str(code)}

    def _upload(self, given: Mapping[str, str]) -> None:
        source = Path(given["path"])
        if source.is_dir() and any(source.iterdir()):
            target = self.artifacts.folder / str(self.number) / given["name"]
            if given.get("overwrite") == "True":
                shutil.rmtree(target, ignore_errors=True)
            shutil.copytree(source, target)
        else:
            assert given["if-no-files-found"] == "ignore"

    def _download(self, given: Mapping[str, str]) -> None:
        """All artifacts of this run whose names fit the pattern, into one folder."""
        assert given["merge-multiple"] == "True"
        for found in sorted((self.artifacts.folder / str(self.number)).glob(given["pattern"])):
            shutil.copytree(found, given["path"], dirs_exist_ok=True)

    def _filled(self, value: object, context: Mapping[str, str]) -> str:
        """A value with its expressions evaluated; what is not there is empty."""
        return _EXPRESSION.sub(lambda found: str(context.get(found[1], "")), str(value))

    def holds(self, condition: str, context: Mapping[str, str]) -> bool:
        """Whether a condition holds: names, strings, ==, !=, !, &&, || and the functions of the job's status."""
        functions = {
            "always()": True,
            "success()": self.status == "success",
            "failure()": self.status == "failure",
            "cancelled()": self.status == "cancelled",
        }
        text = condition.removeprefix("${{").removesuffix("}}").strip()
        if not any(name in text for name in functions):
            text = f"success() && {text}"
        for name, holds in functions.items():
            text = text.replace(name, "'1'" if holds else "''")
        return any(
            all(self._compare(_TOKEN.findall(part), context) for part in either.split("&&"))
            for either in text.split("||")
        )

    @staticmethod
    def _compare(tokens: list[str], context: Mapping[str, str]) -> bool:
        negated = tokens[0] == "!"
        tokens = tokens[negated:]
        values = [one[1:-1] if one.startswith("'") else context.get(one, "") for one in tokens[::2]]
        match tokens[1:2]:
            case []:
                return bool(values[0]) is not negated
            case ["=="]:
                return values[0] == values[1]
            case ["!="]:
                return values[0] != values[1]
            case _:
                raise AssertionError(f"no part of this: {tokens}")

    @property
    def log(self) -> str:
        """What its steps printed."""
        return (self.temporary / "log.txt").read_text("utf-8", "replace")


@dataclass
class GitHubWorkflow:
    """A workflow of several jobs, some of them a matrix: each is played when those that it needs have ended."""

    workflow: Path
    workspace: Path
    artifacts: Artifacts
    secrets: Mapping[str, str]
    cancel: Callable[[str, str, int], Callable[[Path], object] | None] = lambda _name, _value, _attempt: None
    """Told the name of a job, its value in the matrix and the attempt, gives the ``cancel`` of that job."""
    offline: bool = False
    jobs: dict[str, dict[str, GitHubJob]] = field(default_factory=dict)
    """Those that were played, by name and by their value in the matrix; without one, that is empty."""

    def play(self) -> "GitHubWorkflow":
        """Play it to its end, as another run."""
        self.run, self.attempt = self.artifacts.begin(), 1
        for name, job in self._described.items():
            ((axis, values),) = job.get("strategy", {}).get("matrix", {"": [""]}).items()
            self._play(name, job, axis, list(map(str, values)))
        return self

    def play_failed_again(self) -> "GitHubWorkflow":
        """Play the jobs that failed again, and those that need them, as another attempt of the same run."""
        self.attempt += 1
        failed = {name for name, jobs in self.jobs.items() if not passed(jobs)}
        for name, job in self._described.items():
            again = [value for value, one in self.jobs[name].items() if one.status != "success"]
            if failed & {name, *self._needs(job)}:
                axis = next(iter(job.get("strategy", {}).get("matrix", {"": []})))
                self._play(name, job, axis, again or list(self.jobs[name]))
        return self

    @property
    def status(self) -> str:
        """Whether all of its jobs passed."""
        return "success" if all(map(passed, self.jobs.values())) else "failure"

    @property
    def _described(self) -> dict[str, Any]:
        return dict(yaml.safe_load(self.workflow.read_text("utf-8"))["jobs"])

    @staticmethod
    def _needs(job: Mapping[str, Any]) -> list[str]:
        needs = job.get("needs", [])
        return [needs] if isinstance(needs, str) else list(needs)

    def _play(self, name: str, job: Mapping[str, Any], axis: str, values: list[str]) -> None:
        context = {"github.run_attempt": str(self.attempt)}
        needed = {one: self.jobs[one] for one in self._needs(job)}
        for other, jobs in needed.items():
            context[f"needs.{other}.result"] = "success" if passed(jobs) else "failure"
            for one in jobs.values():
                context |= {f"needs.{other}.outputs.{key}": value for key, value in one.given.items()}
        for value in values:
            more = {**context, f"matrix.{axis}": value}
            cancel = self.cancel(name, value, self.attempt)
            one = GitHubJob(
                self.workflow,
                self.workspace,
                self.artifacts,
                self.secrets,
                cancel,
                self.offline,
                name=name,
                run=self.run,
                more=more,
            )
            one.status = "success" if all(map(passed, needed.values())) else "failure"
            if one.holds(str(job.get("if", "success()")), context):
                one.status = "success"
                self.jobs.setdefault(name, {})[value] = one.play()


def passed(jobs: Mapping[str, GitHubJob]) -> bool:
    """Whether each of them did."""
    return all(one.status == "success" for one in jobs.values())


# -- GitLab


def gitlab_pipeline(path: Path) -> dict[str, Any]:
    """What a .gitlab-ci.yml includes, with its inputs filled in; raises where GitLab would refuse them."""
    (included,) = yaml.safe_load(path.read_text("utf-8"))["include"]
    template = (HERE / included["local"].lstrip("/")).read_text("utf-8")
    declared = next(yaml.safe_load_all(template))["spec"]["inputs"]
    assert included["inputs"].keys() <= declared.keys()
    assert {name for name, one in declared.items() if "default" not in one} <= included["inputs"].keys()
    values = {name: included["inputs"].get(name, one.get("default")) for name, one in declared.items()}
    _, job = template.split("\n---\n")
    return dict(yaml.safe_load(_INPUT.sub(lambda found: str(values[found[1]]), job)))


@dataclass
class GitLabJob:
    """A job of GitLab, in a folder that the runner keeps between jobs."""

    described: Mapping[str, Any]
    folder: Path
    cache: Path
    published: Path
    env: Mapping[str, str]
    cancel: Callable[[Path], object] | None = None

    def play(self) -> int:
        """Play it to its end. Returns its exit code."""
        if self.cache.is_dir():
            shutil.copytree(self.cache, self.folder, dirs_exist_ok=True)
        lines = [*self.described["before_script"], *self.described["script"]]
        script = self.folder.parent / "job.sh"
        script.write_text("\n".join(lines))
        words = ["bash", "-e", "-o", "pipefail", str(script)]
        nowhere, env = subprocess.DEVNULL, environment(self.env)
        process = subprocess.Popen(
            words, cwd=self.folder, env=env, stdout=nowhere, stderr=nowhere, start_new_session=True
        )
        with process:
            if self.cancel is None:
                code = process.wait(DEADLINE_S)
            else:  # every process of the container gets the signal
                until(lambda: self.cancel is None or self.cancel(self.folder) or process.poll() is not None)
                os.killpg(process.pid, signal.SIGTERM)
                return process.wait(DEADLINE_S)
        for path in self.described["cache"]["paths"]:
            if (self.folder / path).is_dir():
                shutil.copytree(self.folder / path, self.cache / path, dirs_exist_ok=True)
        for path in self.described["artifacts"]["paths"]:
            if (self.folder / path).exists():
                target = self.published / path
                target.parent.mkdir(parents=True, exist_ok=True)
                copy = shutil.copytree if (self.folder / path).is_dir() else shutil.copy
                copy(self.folder / path, target)
        return code


@dataclass
class GitLabPipeline:
    """A pipeline of several jobs, some of them in parallel, each in a checkout of its own."""

    described: Mapping[str, Any]
    checkout: Path
    root: Path
    env: Mapping[str, str]
    created_at: str = "2026-11-27T01:17:00Z"
    cancel: Callable[[str, int, int], Callable[[Path], object] | None] = lambda _name, _node, _attempt: None
    """Told the name of a job, its number and the attempt, gives the ``cancel`` of that job."""
    codes: dict[tuple[str, int], int] = field(default_factory=dict)
    pipelines: int = 0

    def play(self) -> "GitLabPipeline":
        """Play it to its end, as another pipeline."""
        self.pipelines, self.attempt = self.pipelines + 1, 1
        self.codes = {}
        for name, job in self.described.items():
            for node in range(1, job.get("parallel", 1) + 1):
                self._play(name, job, node)
        return self

    def play_failed_again(self) -> "GitLabPipeline":
        """Play the jobs that failed again, and those that need them."""
        self.attempt += 1
        failed = {name for (name, _), code in self.codes.items() if code}
        for name, job in self.described.items():
            needs = {need["job"] for need in job.get("needs", ())}
            for (other, node), code in list(self.codes.items()):
                if other == name and (code or failed & needs):
                    self._play(name, job, node)
        return self

    def artifacts(self, name: str, node: int = 1) -> Path:
        """What that job of this pipeline published."""
        return self.root / f"published-{self.pipelines}" / f"{name}-{node}"

    def _play(self, name: str, job: Mapping[str, Any], node: int) -> None:
        assert all(rule["when"] == "always" for rule in job["rules"])
        env = {
            "CI_NODE_INDEX": str(node),
            "CI_NODE_TOTAL": str(job.get("parallel", 1)),
            "CI_PIPELINE_CREATED_AT": self.created_at,
            "CI_PIPELINE_ID": str(self.pipelines),
            "CI_COMMIT_REF_SLUG": "main",
        }
        place = self.root / f"job-{self.pipelines}-{name}-{node}-{self.attempt}"
        folder = place / "checkout"
        shutil.copytree(self.checkout, folder)
        for need in job.get("needs", ()):
            for other in range(1, self.described[need["job"]].get("parallel", 1) + 1):
                if self.artifacts(need["job"], other).is_dir():
                    shutil.copytree(self.artifacts(need["job"], other), folder, dirs_exist_ok=True)
        key = re.sub(r"\$(\w+)", lambda found: env[found[1]], job["cache"]["key"])
        published = self.artifacts(name, node)
        shutil.rmtree(published, ignore_errors=True)
        published.mkdir(parents=True)
        more = {**self.env, **job.get("variables", {}), **env}
        cancel = self.cancel(name, node, self.attempt)
        played = GitLabJob(job, folder, self.root / "caches" / key, published, more, cancel)
        self.codes[name, node] = played.play()
