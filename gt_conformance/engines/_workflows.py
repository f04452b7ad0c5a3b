"""A fleet as a job matrix of GitHub or GitLab: a job a shard, then one that puts them together and decides.

A shard's job ends with 0 where its verdicts were recorded, so that it is red, and run again, only where it could not do
its work. All shards record one night, the day on which the pipeline began, also those that run again the day after.
The folder of each shard is an artifact. The table of past nights is kept as long as the history of a single tenant.
"""

import re
from dataclasses import dataclass
from typing import Any

from gt_conformance.document import dump
from gt_conformance.engines._shards import COMMAND, Shards, annotate, read_schedule
from gt_conformance.errors import InputError

MOST_ON_GITHUB, MOST_ON_GITLAB = 256, 200
"""How many jobs the services take in one matrix."""

LONGEST_ON_GITHUB_S = 6 * 3600
"""How long a job may take on a runner of theirs."""

_CHECKOUT = "actions/checkout@08c6903cd8c0fde910a37f88322edcfb5dd907a8"
_UPLOAD = "actions/upload-artifact@ea165f8d65b6e75b540449e92b4886f43607fa02"
_DOWNLOAD = "actions/download-artifact@634f93cb2916e3fdff6788551b99b062d0335ce0"
_NOTES = {
    _CHECKOUT: "v5.0.0",
    _UPLOAD: "v4.6.2",
    _DOWNLOAD: "v5.0.0",
    "actions: read": "to take up what earlier runs and attempts left as artifacts",
}
"""What a reader has to know of a line, as a comment at its end."""
_RUNNER = "ubuntu-24.04"
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_IN_CHECKOUT = f".venv/bin/{COMMAND}"
_SETUP = "make setup-fleet"


@dataclass(frozen=True)
class Gate:
    """What decides: which findings make the pipeline fail, and by which rules it runs."""

    fail_on: str = "new"
    schedule: str = "17 1 * * *"


def github_workflow(shards: Shards, gate: Gate, secrets: tuple[str, ...] = ()) -> str:
    """A workflow for .github/workflows/ of a repository that holds the checkout. Raises InputError."""
    shards.check(most=MOST_ON_GITHUB, longest_name=60, engine="GitHub")
    if shards.deadline_s > LONGEST_ON_GITHUB_S:
        raise InputError.of("--deadline: a job on GitHub takes at most 6 hours.")
    read_schedule(gate.schedule)
    for secret in secrets:
        if not _VARIABLE.fullmatch(secret):
            raise InputError.of(f"--secret {secret!r}: on GitHub, a secret's name has letters, digits and underscores.")
    workflow = {
        "name": f"GT API conformance of {shards.name}",
        "on": {"schedule": [{"cron": gate.schedule}], "workflow_dispatch": {}},
        "permissions": {},
        "concurrency": {"group": shards.name, "cancel-in-progress": False},
        "jobs": {
            "night": _github_night(),
            "judge": _github_judge(shards, secrets),
            "report": _github_report(shards, gate),
        },
    }
    head = (
        f"# {shards.title}, on GitHub: .github/workflows/{shards.name}.yml of a repository with\n"
        f"# this checkout and {shards.fleet}.\n"
    )
    return head + annotate(dump(workflow).replace("'on':", "on:", 1), _NOTES)


def _github_night() -> dict[str, Any]:
    script = 'echo "date=$(date -u +%F)" >> "$GITHUB_OUTPUT"\n'
    return {
        "name": "One date for all shards",
        "runs-on": _RUNNER,
        "timeout-minutes": 5,
        "permissions": {},
        "outputs": {"date": "${{ steps.date.outputs.date }}"},
        "steps": [{"name": "Take the date", "id": "date", "run": script}],
    }


def _github_setup() -> list[dict[str, Any]]:
    return [
        {"uses": _CHECKOUT, "with": {"persist-credentials": False}},
        {"name": "Set up", "run": f"{_SETUP}\n"},
    ]


def _github_judge(shards: Shards, secrets: tuple[str, ...]) -> dict[str, Any]:
    artifact = f"{shards.name}-shard-${{{{ matrix.shard }}}}"
    again = (
        "# What an earlier attempt at this shard recorded tonight is not judged again.\n"
        'gh run download "$RUN" --name "$NAME" --dir "$RUNNER_TEMP/fleet" || echo "Nothing was recorded yet."\n'
    )
    judge = (
        f'exec {_IN_CHECKOUT} fleet run "$FLEET" --out "$RUNNER_TEMP/fleet" --night "$NIGHT" '
        f'--shard "$SHARD/{shards.count}" --at-once {shards.at_once}\n'
    )
    strategy: dict[str, Any] = {"fail-fast": False, "matrix": {"shard": list(range(shards.count))}}
    if shards.parallel is not None:
        strategy["max-parallel"] = shards.parallel
    return {
        "name": f"Shard ${{{{ matrix.shard }}}}/{shards.count}",
        "needs": "night",
        "runs-on": _RUNNER,
        "timeout-minutes": -(-shards.deadline_s // 60),
        "permissions": {"contents": "read", "actions": "read"},
        "strategy": strategy,
        "steps": [
            *_github_setup(),
            {
                "name": "Take up what was recorded",
                "if": "github.run_attempt != '1'",
                "env": {
                    "GH_TOKEN": "${{ github.token }}",
                    "GH_REPO": "${{ github.repository }}",
                    "RUN": "${{ github.run_id }}",
                    "NAME": artifact,
                },
                "run": again,
            },
            {
                "name": "Judge",
                "env": {
                    "FLEET": shards.fleet,
                    "NIGHT": "${{ needs.night.outputs.date }}",
                    "SHARD": "${{ matrix.shard }}",
                    **{name: f"${{{{ secrets.{name} }}}}" for name in secrets},
                },
                "run": judge,
            },
            {
                "name": "Keep the shard",
                "if": "always()",
                **_github_keep(artifact, "${{ runner.temp }}/fleet/", days=7),
            },
        ],
    }


_BEFORE = """\
# The newest run that has it, of this branch and of this repository: a fork may upload an artifact of that name, too.
mkdir -p "$RUNNER_TEMP/fleet"
if run=$(gh api "repos/$GH_REPO/actions/artifacts?name=$NAME&per_page=100" --jq '
      [.artifacts[] | select(.expired | not)
        | select(.workflow_run.head_branch == env.BRANCH)
        | select(.workflow_run.head_repository_id == .workflow_run.repository_id)]
      | max_by(.created_at) | .workflow_run.id // empty') \
    && { test -z "$run" || gh run download "$run" --name "$NAME" --dir "$RUNNER_TEMP/fleet/outcomes"; }; then
  rm -rf "$RUNNER_TEMP/fleet/outcomes/$NIGHT"  # of an earlier run today: this one judges all of it again
  echo "fetched=true" >> "$GITHUB_OUTPUT"
else
  echo "::warning title=No history::The nights before could not be fetched. This one is reported alone, and not kept."
  rm -rf "$RUNNER_TEMP/fleet/outcomes"
fi
"""


def _github_report(shards: Shards, gate: Gate) -> dict[str, Any]:
    table = f"{shards.name}-outcomes"
    report = (
        f'code=0\n{_IN_CHECKOUT} fleet report "$RUNNER_TEMP/fleet" --night "$NIGHT" --history --fail-on {gate.fail_on} '
        '--out "$RUNNER_TEMP/reports" || code=$?\n'
        'if test -f "$RUNNER_TEMP/reports/summary.md"; then\n'
        '  cat "$RUNNER_TEMP/reports/summary.md" >> "$GITHUB_STEP_SUMMARY"\nfi\nexit "$code"\n'
    )
    return {
        "name": "Report, and decide",
        "needs": ["night", "judge"],
        # Also where a shard failed: what the others recorded is reported.
        "if": "${{ !cancelled() && needs.night.result == 'success' }}",
        "runs-on": _RUNNER,
        "timeout-minutes": 30,
        "permissions": {"contents": "read", "actions": "read"},
        "steps": [
            *_github_setup(),
            {
                "name": "Fetch the nights before",
                "id": "before",
                "env": {
                    "GH_TOKEN": "${{ github.token }}",
                    "GH_REPO": "${{ github.repository }}",
                    "NAME": table,
                    "BRANCH": "${{ github.ref_name }}",
                    "NIGHT": "${{ needs.night.outputs.date }}",
                },
                "run": _BEFORE,
            },
            {
                "name": "Put the shards together",
                "uses": _DOWNLOAD,
                "with": {
                    "pattern": f"{shards.name}-shard-*",
                    "path": "${{ runner.temp }}/fleet",
                    "merge-multiple": True,
                },
            },
            {"name": "Report", "env": {"NIGHT": "${{ needs.night.outputs.date }}"}, "run": report},
            {
                "name": "Keep the report",
                "if": "always()",
                **_github_keep(f"{shards.name}-report", "${{ runner.temp }}/reports/"),
            },
            {
                "name": "Keep the table",
                "if": "always() && steps.before.outputs.fetched == 'true'",
                **_github_keep(table, "${{ runner.temp }}/fleet/outcomes/"),
            },
        ],
    }


def _github_keep(name: str, path: str, days: int = 90) -> dict[str, Any]:
    given = {"name": name, "path": path, "if-no-files-found": "ignore", "overwrite": True, "retention-days": days}
    return {"uses": _UPLOAD, "with": given}


# -- GitLab


def gitlab_pipeline(shards: Shards, gate: Gate, image: str | None = None) -> str:
    """What a .gitlab-ci.yml includes, or all of it. Raises InputError.

    ``image`` was built from the Containerfile with what a fleet needs; without one, the checkout is set up.
    """
    shards.check(most=MOST_ON_GITLAB, longest_name=60, engine="GitLab")
    command = COMMAND if image else _IN_CHECKOUT
    setup = [] if image else [_SETUP]
    night = "${CI_PIPELINE_CREATED_AT%%T*}"
    run = (
        f'{command} fleet run "$FLEET" --out fleet --night "{night}" '
        f'--shard "$((CI_NODE_INDEX - 1))/$CI_NODE_TOTAL" --at-once {shards.at_once}'
    )
    common = {
        "stage": "test",
        "image": {"name": image or "python:3.12-bookworm", "entrypoint": [""]},
        # The report, too, whatever became of the shards: what was recorded is reported.
        "rules": [{"if": f'$CI_PIPELINE_SOURCE == "{source}"', "when": "always"} for source in ("schedule", "web")],
        "variables": {"FLEET": shards.fleet},
    }
    judge = {
        **common,
        "parallel": shards.count,
        "timeout": f"{-(-shards.deadline_s // 60)} minutes",
        "retry": {
            "max": 2,
            "when": ["runner_system_failure", "scheduler_failure", "stuck_or_timeout_failure", "api_failure"],
        },
        # A shard that is run again goes on with the tenants that it did not record.
        "cache": {"key": f"{shards.name}-$CI_PIPELINE_ID-$CI_NODE_INDEX", "paths": ["fleet/"], "when": "always"},
        "before_script": ["mkdir -p fleet", *setup],
        "script": [run],
        "artifacts": {
            "name": f"{shards.name}-$CI_PIPELINE_ID-$CI_NODE_INDEX",
            "when": "always",
            "expire_in": "7 days",
            "paths": ["fleet/"],
        },
    }
    report = {
        **common,
        "needs": [{"job": f"{shards.name}-judge", "artifacts": True}],
        "resource_group": f"{shards.name}-report",
        "timeout": "30 minutes",
        "cache": {"key": f"{shards.name}-outcomes-$CI_COMMIT_REF_SLUG", "paths": ["outcomes/"], "when": "always"},
        "before_script": ["rm -rf reports", *setup],
        "script": [
            "mkdir -p fleet/outcomes outcomes",
            f'rm -rf "outcomes/{night}"',  # of an earlier pipeline today: all was judged again
            "cp -R fleet/outcomes/. outcomes/",
            "cp -R outcomes/. fleet/outcomes/",
            f'{command} fleet report fleet --night "{night}" --history --fail-on {gate.fail_on} --out reports',
        ],
        "artifacts": {
            "name": f"{shards.name}-report-$CI_PIPELINE_ID",
            "when": "always",
            "expire_in": "90 days",
            "expose_as": "GT API conformance of the fleet",
            "paths": ["reports/"],
        },
    }
    head = (
        f"# {shards.title}, on GitLab: in .gitlab-ci.yml of a project that holds this checkout and\n"
        f"# {shards.fleet}, or included there. Secrets are CI/CD variables; a schedule is made in the project.\n"
    )
    return head + dump({f"{shards.name}-judge": judge, f"{shards.name}-report": report})
