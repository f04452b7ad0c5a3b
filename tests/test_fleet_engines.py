"""A fleet in shards, as Kubernetes, GitHub and GitLab run what `fleet manifest` prints: disturbed, yet the same."""

import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from tests.commands import in_process
from tests.engine_fleets import Fleet, fleet_of, fleet_run, left_behind, outcomes, recorded
from tests.indexed_job import IndexedJob, Pod, kill
from tests.workflows import Artifacts, GitHubWorkflow, GitLabPipeline, install

pytestmark = pytest.mark.slow

SHARDS = 4
DIGEST = f"images.example/gt-conformance@sha256:{'0' * 64}"


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """Tenants that are served as long as this module is tested."""
    with fleet_of(tmp_path_factory.mktemp("fleet"), 16) as one:
        yield one


@pytest.fixture(scope="module")
def undisturbed(fleet: Fleet, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What one process records of it."""
    out = tmp_path_factory.mktemp("undisturbed")
    done = fleet_run(fleet, out, cwd=out)
    assert done.code == 0, done.said
    return out


@pytest.fixture(scope="module")
def undisturbed_in_checkout(fleet: Fleet, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same where the fleet file is named by its path in a checkout: what is wrong with a file names it so."""
    out = tmp_path_factory.mktemp("in-checkout")
    done = fleet_run(replace(fleet, path=Path(fleet.path.name)), out, cwd=fleet.path.parent)
    assert done.code == 0, done.said
    return out


def largest_shards(fleet: Fleet) -> list[int]:
    """The shards, those first that have most tenants: they are still at work when one is recorded."""
    return sorted(range(SHARDS), key=lambda index: len(fleet.shard(index, SHARDS)), reverse=True)


def printed(fleet: Fleet, engine: str, *words: str) -> str:
    """What the command prints for that engine, in the folder of the fleet file."""
    line = ("fleet", "manifest", fleet.path.name, "--engine", engine, "--shards", str(SHARDS), "--at-once", "2")
    done = in_process(*line, *words, cwd=fleet.path.parent)
    assert done.code == 0, done.said
    return done.stdout


def test_pods_that_are_killed_and_drained_cost_nothing_on_kubernetes(
    fleet: Fleet, undisturbed: Path, tmp_path: Path
) -> None:
    """Its very manifest is played: a shard is killed, a node is drained; the outcomes are those of one process."""
    words = ("--image", DIGEST, "--files", "pvc/gt-fleet", "--results", "gt-nights", "--parallel", "2", "--only", "job")
    job = yaml.safe_load(printed(fleet, "kubernetes", *words))
    out = tmp_path / "nights"
    out.mkdir()
    killed, drained = largest_shards(fleet)[:2]

    def disturb(index: int, attempt: int, process: "subprocess.Popen[bytes]") -> bool:
        if attempt or index not in {killed, drained}:
            return False
        mine = fleet.shard(index, SHARDS)
        number = signal.SIGKILL if index == killed else signal.SIGTERM
        kill(process, number, after=lambda: any(path.name.split(".")[0] in mine for path in out.glob("records/*/*")))
        return index == drained

    played = IndexedJob(
        job, tmp_path / "pods", claims={"gt-nights": out, "gt-fleet": fleet.path.parent}, disturb=disturb
    ).play()
    assert (played.succeeded, played.failed) == (set(range(SHARDS)), set()), played.pods
    assert Pod(killed, 0, 137, disrupted=False) in played.pods
    assert Pod(drained, 0, 2, disrupted=True) in played.pods
    assert outcomes(out) == outcomes(undisturbed)
    assert recorded(out) == recorded(undisturbed)
    assert left_behind(out) == []


def recorded_some(folder: Path) -> bool:
    """Whether a job has recorded a tenant, somewhere below that folder, and not the night itself."""
    return any(folder.rglob("records/*/*.json*"))


def repository(fleet: Fleet, folder: Path) -> Path:
    """A checkout of the suite with the fleet file and what it names; the suite is that of these tests."""
    shutil.copytree(fleet.path.parent, folder)
    install(folder, "--")
    (folder / "command").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m gt_conformance "$@"\n')
    return folder


def test_a_matrix_on_github_is_put_together(fleet: Fleet, undisturbed_in_checkout: Path, tmp_path: Path) -> None:
    """A shard that is cancelled is red and goes on at the next attempt; the last job has what one process records."""
    workflow, artifacts = tmp_path / "fleet.yml", Artifacts(tmp_path / "artifacts")
    workflow.write_text(printed(fleet, "github", "--fail-on", "any"))
    unlucky = largest_shards(fleet)[0]

    def cancel(name: str, value: str, attempt: int) -> Callable[[Path], object] | None:
        return recorded_some if (name, value, attempt) == ("judge", str(unlucky), 1) else None

    played = GitHubWorkflow(workflow, repository(fleet, tmp_path / "workspace"), artifacts, {}, cancel).play()
    judged = played.jobs["judge"]
    assert {value: job.status for value, job in judged.items() if job.status != "success"} == {
        str(unlucky): "cancelled"
    }
    played.play_failed_again()
    again = played.jobs["judge"][str(unlucky)]
    assert again.status == "success", again.log
    assert "had a record already" in again.log
    report = played.jobs["report"][""]
    out = report.temporary / "fleet"
    assert outcomes(out) == outcomes(undisturbed_in_checkout)
    assert recorded(out) == recorded(undisturbed_in_checkout)
    assert {*artifacts.of(played.run, "gt-fleet-outcomes")} == {
        str(one.relative_to(out / "outcomes")) for one in parts(out)
    }
    assert report.outputs["Report"] == {"exit": "1"}, report.log  # one tenant violates: that is the gate's to say
    assert "NO-GO" in report.summary.read_text("utf-8")
    assert {"fleet.html", "metrics.prom"} <= {*artifacts.of(played.run, "gt-fleet-report")}


def test_parallel_jobs_on_gitlab_are_put_together(fleet: Fleet, undisturbed_in_checkout: Path, tmp_path: Path) -> None:
    """A job that is cancelled is red and its retry judges the shard; the last job has what one process records."""
    described = yaml.safe_load(printed(fleet, "gitlab", "--fail-on", "any"))
    unlucky = largest_shards(fleet)[0] + 1

    def cancel(name: str, node: int, attempt: int) -> Callable[[Path], object] | None:
        return recorded_some if (name, node, attempt) == ("gt-fleet-judge", unlucky, 1) else None

    root = tmp_path / "gitlab"
    played = GitLabPipeline(described, repository(fleet, tmp_path / "checkout"), root, {}, cancel=cancel).play()
    codes = {node: code for (name, node), code in played.codes.items() if name == "gt-fleet-judge" and code}
    assert codes == {unlucky: -signal.SIGTERM}
    played.play_failed_again()
    assert played.codes["gt-fleet-judge", unlucky] == 0
    assert played.codes["gt-fleet-report", 1] == 1
    assert {"fleet.html", "metrics.prom"} <= {one.name for one in played.artifacts("gt-fleet-report").rglob("*")}
    out = root / "job-1-gt-fleet-report-1-2" / "checkout" / "fleet"
    assert outcomes(out) == outcomes(undisturbed_in_checkout)
    assert recorded(out) == recorded(undisturbed_in_checkout)
    kept = root / "caches" / "gt-fleet-outcomes-main" / "outcomes"
    assert {one.relative_to(kept) for one in kept.rglob("*.parquet")} == {
        one.relative_to(out / "outcomes") for one in parts(out)
    }


def parts(out: Path) -> list[Path]:
    """The files of the table."""
    return [*(out / "outcomes").rglob("*.parquet")]
