"""What `fleet manifest` prints for Kubernetes, GitHub and GitLab holds to their rules, and works there."""

import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from tests.commands import Finished, in_process
from tests.indexed_job import IndexedJob

DIGEST = f"images.example/gt-conformance@sha256:{'0' * 64}"
VERSIONS = ("1.31", "1.34", "1.37")
TOOLS = Path(sys.executable).parent

pytestmark = pytest.mark.usefixtures("fleet_file")


@pytest.fixture
def fleet_file(tmp_path: Path) -> Path:
    """A fleet file of one tenant."""
    path = tmp_path / "fleet.yaml"
    path.write_text("gateways: {one: {requests_per_minute: 60, concurrency: 6}}\ntenants: {acme: {file: acme.yaml}}\n")
    (tmp_path / "acme.yaml").write_text("{}")
    return path


def manifest(folder: Path, engine: str, *words: str) -> Finished:
    """The command, with that engine."""
    return in_process("fleet", "manifest", "fleet.yaml", "--engine", engine, *words, cwd=folder)


def on_kubernetes(folder: Path, *words: str, shards: int = 5) -> Finished:
    """For Kubernetes, with what it always needs."""
    return manifest(folder, "kubernetes", "--shards", str(shards), "--image", DIGEST, *words)


def objects(printed: Finished) -> dict[str, dict[str, Any]]:
    """The objects of a manifest by their kind."""
    assert printed.code == 0, printed.said
    return {one["kind"]: one for one in yaml.safe_load_all(printed.stdout)}


FORMS = {
    "claim": ("--results", "gt-nights"),
    "all": (
        *("--results", "gt-nights", "--secret", "gt-keys", "--secret", "gt-files:/keys", "--files", "pvc/gt-fleet:/in"),
        *("--volume", "configmap/ca:/etc/ca", "--namespace", "gt", "--service-account", "gt", "--parallel", "3"),
        *("--schedule", "5 2 * * 1-5", "--deadline", "90m", "--name", "europe"),
    ),
    "object store": ("--upload-image", DIGEST, "--upload", "copy /results 'store:gt fleet'", "--secret", "store"),
}


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("words", FORMS.values(), ids=FORMS)
def test_a_manifest_fits_the_schemas_of_kubernetes(version: str, words: tuple[str, ...], tmp_path: Path) -> None:
    """Both objects fit the schema that was published with that version; a field that it does not know is refused."""
    found = objects(on_kubernetes(tmp_path, *words))
    assert set(found) == {"Job", "CronJob"}
    for one in found.values():
        kubernetes_validate.validate(one, version, strict=True)
        one["spec"]["completionsMode"] = "Indexed"
        with pytest.raises(kubernetes_validate.ValidationError):
            kubernetes_validate.validate(one, version, strict=True)


def test_both_objects_run_the_same_pods(tmp_path: Path) -> None:
    """What the CronJob starts every night is what the Job starts once; either may be asked for alone."""
    found = objects(on_kubernetes(tmp_path, *FORMS["all"]))
    assert found["CronJob"]["spec"]["jobTemplate"]["spec"] == found["Job"]["spec"]
    assert found["CronJob"]["metadata"] == found["Job"]["metadata"]
    assert set(objects(on_kubernetes(tmp_path, *FORMS["all"], "--only", "cronjob"))) == {"CronJob"}


@pytest.mark.parametrize("words", FORMS.values(), ids=FORMS)
def test_a_container_has_the_least_that_it_can_have(words: tuple[str, ...], tmp_path: Path) -> None:
    """No root, no further rights, nothing to write to but results and scratch, bounded memory, an image by digest."""
    spec = objects(on_kubernetes(tmp_path, *words))["Job"]["spec"]["template"]["spec"]
    assert spec["securityContext"]["runAsNonRoot"]
    assert spec["automountServiceAccountToken"] is ("serviceAccountName" in spec)
    for container in (*spec.get("initContainers", ()), *spec["containers"]):
        assert "@sha256:" in container["image"]
        assert container["resources"]["limits"]["memory"]
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        writable = {mount["mountPath"] for mount in container["volumeMounts"] if not mount.get("readOnly")}
        assert writable == {"/results", "/tmp"}  # noqa: S108 - of a container


@pytest.mark.parametrize("words", FORMS.values(), ids=FORMS)
def test_a_manifest_says_what_has_to_be_there_before(words: tuple[str, ...], tmp_path: Path) -> None:
    """Each Secret, ConfigMap and claim that its pods mount or read, in a comment."""
    printed = on_kubernetes(tmp_path, *words)
    (head,) = re.findall(r"^# To be there before: (.*)\.$", printed.stdout, re.MULTILINE)
    kinds = {"secretName": "secret", "configMap": "configmap", "claimName": "pvc", "secretRef": "secret"}
    names = re.findall(r"(secretName|claimName|configMap|secretRef):\s+(?:name: )?(\S+)", printed.stdout)
    assert {*head.split(", ")} == {f"{kinds[kind]}/{name}" for kind, name in names}


SCRIPT = """#!/bin/sh
{
  flock 9
  echo "$JOB_COMPLETION_INDEX" >> "$LEDGER"
  tries=$(grep -c "^$JOB_COMPLETION_INDEX$" "$LEDGER")
} 9> "$LEDGER.lock"
case $JOB_COMPLETION_INDEX in
  1) exit 1 ;;                                   # a verdict, if it ever ended so
  2) exit 4 ;;                                   # the fleet file is wrong
  3) test "$tries" -gt 2 || kill -KILL $$ ;;     # twice out of memory
  4) test ! -e "$LEDGER.drained" || sleep 60 ;;  # its node is drained again and again
  5) exit 3 ;;                                   # this machine, always
esac
"""


def test_what_is_tried_again_and_what_is_not(tmp_path: Path) -> None:
    """A verdict and bad input never; what was killed, up to the limit; a lost node, without counting."""
    job = objects(on_kubernetes(tmp_path, "--results", "nights", "--secret", "ledger", shards=6))["Job"]
    fake = tmp_path / "bin" / "gt-conformance"
    fake.parent.mkdir()
    fake.write_text(SCRIPT)
    fake.chmod(0o755)

    drained = tmp_path / "ledger.drained"
    drained.touch()

    def drain(index: int, attempt: int, process: "subprocess.Popen[bytes]") -> bool:
        if index != 4:
            return False
        if attempt > 5:
            drained.unlink()
            return False
        process.send_signal(signal.SIGTERM)
        return True

    secrets = {"ledger": {"LEDGER": str(tmp_path / "ledger")}}
    played = IndexedJob(
        job,
        tmp_path / "pods",
        claims={"nights": tmp_path},
        configs={"gt-fleet": tmp_path},
        secrets=secrets,
        path=str(fake.parent),
        disturb=drain,
    ).play()
    retries = job["spec"]["backoffLimitPerIndex"]
    assert {index: played.tries(index) for index in (0, 1, 2, 3)} == {0: [0], 1: [1], 2: [4], 3: [137, 137, 0]}
    assert len(played.tries(4)) > retries + 1
    assert played.tries(5) == [3] * (retries + 1)
    assert (played.succeeded, played.failed) == ({0, 3, 4}, {1, 2, 5})


UPLOAD = """sh -c 'test -e "$STORE" || { mkdir "$STORE"; exit 1; }; cp "$1"/* "$STORE"' upload /results"""
"""The store is away when it is first asked."""


def test_results_reach_an_object_store(tmp_path: Path) -> None:
    """The upload runs once a shard has ended, and sees its results; where it fails, it is tried again."""
    fake = tmp_path / "bin" / "gt-conformance"
    fake.parent.mkdir()
    fake.write_text('#!/bin/sh\necho "$6" > "$5/$JOB_COMPLETION_INDEX"\n')
    fake.chmod(0o755)
    words = ("--upload-image", DIGEST, "--upload", UPLOAD, "--secret", "store", "--parallel", "1")
    job = objects(on_kubernetes(tmp_path, *words, shards=2))["Job"]
    secrets = {"store": {"STORE": str(tmp_path / "store")}}
    played = IndexedJob(
        job, tmp_path / "pods", configs={"gt-fleet": tmp_path}, secrets=secrets, path=str(fake.parent)
    ).play()
    assert {index: played.tries(index) for index in range(2)} == {0: [1, 0], 1: [0]}
    assert sorted(path.name for path in (tmp_path / "store").iterdir()) == ["0", "1"]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--image", "gt-conformance:latest", "--results", "n"), "by its digest"),
        ((), "where the results go"),
        (("--results", "n", "--upload-image", DIGEST, "--upload", "copy"), "where the results go"),
        (("--results", "n", "--upload", "copy"), "go together"),
        (("--results", "n", "--schedule", "*/5 * * * *"), "once a night"),
        (("--results", "n", "--schedule", "0 19 * * *"), "after midnight UTC"),
        (("--results", "n", "--deadline", "23h"), "after midnight UTC"),
        (("--results", "N!"), "cannot be the name of an object"),
        (("--results", "n", "--volume", "secret/x"), "KIND/NAME:/PATH".replace("KIND", "secret")),
        (("--results", "n", "--name", "Night"), "small letters"),
        (("--results", "n", "--shards", "0"), "1 to 100000"),
        (("--results", "n", "--shards", "7"), "too few for 7 shards"),
        (("--results", "n", "--fail-on", "any"), "which is for github and gitlab"),
    ],
)
def test_what_kubernetes_could_not_take_is_refused(words: tuple[str, ...], says: str, tmp_path: Path) -> None:
    """With a sentence, before anything is applied."""
    refused = on_kubernetes(tmp_path, *words)
    assert (refused.code, refused.stdout) == (4, "")
    assert says in refused.said
