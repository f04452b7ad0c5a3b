"""A fleet as an Indexed Job and a CronJob of Kubernetes: a pod a shard.

Which pods are run again is the point. A shard that recorded its verdicts ends with 0, whatever the verdicts are. One
that ends with a code after which another try would find the same fails its index at once. A pod whose node was drained
or lost does not count. Everything else (killed for its memory, a crash) is tried again, a few times for each index, and
goes on with the tenants that have no record of this night yet.
"""

import re
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from gt_conformance.document import dump
from gt_conformance.engines._shards import Shards, annotate, read_schedule
from gt_conformance.errors import InputError

NEVER_RETRIED = (1, 4, 7, 8)
"""Exit codes of this command after which a retry changes nothing: bad input, and those by which it says a verdict."""

MOST_SHARDS = 100_000
_NAME_OF_AN_OBJECT = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?", re.ASCII)
_PATH = re.compile(r"(/[\w.-]+)+", re.ASCII)
_IMAGE = re.compile(r"[\w./:-]+@sha256:[0-9a-f]{64}", re.ASCII)
_DAY_S = 24 * 3600
_LATEST_START_S = 3600
"""How late a night may start, where the cluster could not start it in time."""

_RESULTS, _SCRATCH = "/results", "/tmp"  # noqa: S108 - of the container, which has it to itself
_NOTES = {
    "action: Ignore": "a drained or lost node: another pod, without counting",
    "action: FailIndex": "a verdict or bad input: another pod would find the same",
}
"""What a reader has to know of a line, as a comment at its end."""

_USER = 65534
"""Nobody: the user of the image that the Containerfile builds."""


@dataclass(frozen=True)
class Mount:
    """A Secret, a ConfigMap or a PersistentVolumeClaim, read-only at a path."""

    kind: str
    name: str
    path: str

    @classmethod
    def parse(cls, text: str, kinds: tuple[str, ...], *, path: str = "") -> "Mount":
        """``KIND/NAME:/PATH`` with one of those kinds; with a ``path``, that may be left out. Raises InputError."""
        kind, _, rest = text.partition("/")
        name, _, found = rest.partition(":")
        path = found or path
        if kind not in kinds or not _NAME_OF_AN_OBJECT.fullmatch(name) or not _PATH.fullmatch(path):
            forms = " or ".join(f"{one}/NAME:/PATH" for one in kinds)
            raise InputError.of(f"{text!r} does not say what to mount, and where: write {forms}.")
        return cls(kind, name, path)

    def as_volume(self, volume: str) -> dict[str, Any]:
        """The volume of a pod."""
        match self.kind:
            case "secret":
                source: dict[str, Any] = {"secret": {"secretName": self.name, "defaultMode": 0o440}}
            case "configmap":
                source = {"configMap": {"name": self.name}}
            case _:
                source = {"persistentVolumeClaim": {"claimName": self.name}}
        return {"name": volume, **source}


@dataclass(frozen=True)
class Upload:
    """What copies a shard's results from the pod to an object store: a container of its own, with its own command."""

    image: str
    words: tuple[str, ...]


@dataclass(frozen=True)
class Cluster:
    """Where and how the shards run.

    ``files`` holds the fleet file and what it names; ``results`` is the claim that all shards share, or ``upload``
    takes each shard's to an object store. The keys of ``environment`` (Secrets) become variables; ``mounts`` are more
    volumes.
    """

    image: str
    files: Mount
    results: str | None = None
    upload: Upload | None = None
    namespace: str | None = None
    schedule: str = "17 1 * * *"
    environment: tuple[str, ...] = ()
    mounts: tuple[Mount, ...] = ()
    service_account: str | None = None
    retries: int = 3


def kubernetes_manifest(shards: Shards, cluster: Cluster, kinds: tuple[str, ...] = ("Job", "CronJob")) -> str:
    """The objects of these kinds, as YAML. Raises InputError for what Kubernetes or a night could not take."""
    shards.check(most=MOST_SHARDS, longest_name=52 - len(f"-{shards.count}"), engine="Kubernetes")
    _check(shards, cluster)
    job = _job(shards, cluster)
    metadata = {"name": shards.name, "labels": _labels(shards)}
    if cluster.namespace is not None:
        metadata["namespace"] = cluster.namespace
    objects = {
        "Job": {"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": job},
        "CronJob": {
            "apiVersion": "batch/v1",
            "kind": "CronJob",
            "metadata": metadata,
            "spec": {
                "schedule": cluster.schedule,
                "timeZone": "Etc/UTC",
                "concurrencyPolicy": "Forbid",
                "startingDeadlineSeconds": _LATEST_START_S,
                "successfulJobsHistoryLimit": 3,
                "failedJobsHistoryLimit": 3,
                "jobTemplate": {"metadata": {"labels": _labels(shards)}, "spec": job},
            },
        },
    }
    return _head(shards, cluster) + "---\n".join(annotate(dump(objects[kind]), _NOTES) for kind in kinds)


def _head(shards: Shards, cluster: Cluster) -> str:
    """What it is, and what has to be there before it is applied."""
    mounts = (cluster.files, *cluster.mounts)
    named = [f"{mount.kind}/{mount.name}" for mount in mounts] + [f"secret/{name}" for name in cluster.environment]
    named += [f"pvc/{cluster.results}"] if cluster.results else []
    return (
        f"# {shards.title}, on Kubernetes 1.29 or newer: the Job judges it once, the CronJob every night.\n"
        f"# {cluster.files.kind}/{cluster.files.name} holds {PurePosixPath(shards.fleet).name} and what it names.\n"
        f"# To be there before: {', '.join(dict.fromkeys(named))}.\n"
    )


def _check(shards: Shards, cluster: Cluster) -> None:
    for image in (cluster.image, *((cluster.upload.image,) if cluster.upload else ())):
        if not _IMAGE.fullmatch(image):
            raise InputError.of(
                f"{image!r} does not name an image by its digest, so that it may be another one tomorrow.",
                hint="Write NAME@sha256:DIGEST.",
            )
    for name in filter(None, (cluster.results, cluster.namespace, cluster.service_account, *cluster.environment)):
        if not _NAME_OF_AN_OBJECT.fullmatch(name):
            raise InputError.of(f"{name!r} cannot be the name of an object of Kubernetes.")
    if (cluster.results is None) == (cluster.upload is None):
        raise InputError.of("Name where the results go: either --results, a claim, or --upload-image and --upload.")
    begins_s = read_schedule(cluster.schedule)
    if begins_s + _LATEST_START_S + shards.deadline_s > _DAY_S:
        raise InputError.of(
            f"--schedule {cluster.schedule!r}, an hour late and with a deadline of {shards.deadline_s} s, may end after"
            " midnight UTC: shards that start after it would be recorded in another night.",
            hint="Start earlier, or shorten the deadline.",
        )


def _labels(shards: Shards) -> dict[str, str]:
    return {"app.kubernetes.io/name": "gt-conformance", "app.kubernetes.io/instance": shards.name}


def _job(shards: Shards, cluster: Cluster) -> dict[str, Any]:
    return {
        "completionMode": "Indexed",
        "completions": shards.count,
        "parallelism": min(shards.parallel or shards.count, shards.count),
        "backoffLimitPerIndex": cluster.retries,
        "podFailurePolicy": {
            "rules": [
                # The first rule that matches decides: a node that is drained ends its pods by a signal, too.
                {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]},
                {
                    "action": "FailIndex",
                    "onExitCodes": {"containerName": "judge", "operator": "In", "values": list(NEVER_RETRIED)},
                },
            ]
        },
        "activeDeadlineSeconds": shards.deadline_s,
        "ttlSecondsAfterFinished": 7 * _DAY_S,
        "template": {"metadata": {"labels": _labels(shards)}, "spec": _pod(shards, cluster)},
    }


def _pod(shards: Shards, cluster: Cluster) -> dict[str, Any]:
    named = {f"mount-{number}": mount for number, mount in enumerate(cluster.mounts, 1)}
    results = Mount("pvc", cluster.results, _RESULTS).as_volume("results") if cluster.results else _scratch("results")
    volumes = [cluster.files.as_volume("files"), results, _scratch("scratch")]
    volumes += [mount.as_volume(name) for name, mount in named.items()]
    mounts = [{"name": "files", "mountPath": cluster.files.path, "readOnly": True}]
    mounts += [{"name": name, "mountPath": mount.path, "readOnly": True} for name, mount in named.items()]
    writable = [{"name": "results", "mountPath": _RESULTS}, {"name": "scratch", "mountPath": _SCRATCH}]
    fleet = str(PurePosixPath(cluster.files.path) / PurePosixPath(shards.fleet).name)
    judge = {
        "name": "judge",
        "image": cluster.image,
        "command": shards.run_words(fleet, f"$(JOB_COMPLETION_INDEX)/{shards.count}", _RESULTS),
        **_environment(cluster),
        "resources": _resources(shards),
        "securityContext": _locked(),
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "volumeMounts": [*mounts, *writable],
    }
    if cluster.upload is None:
        containers: dict[str, Any] = {"containers": [judge]}
    else:
        containers = {"initContainers": [judge], "containers": [_upload(cluster.upload, cluster, writable)]}
    account = {} if cluster.service_account is None else {"serviceAccountName": cluster.service_account}
    return {
        "restartPolicy": "Never",
        **account,
        "automountServiceAccountToken": cluster.service_account is not None,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": 60,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": _USER,
            "runAsGroup": _USER,
            "fsGroup": _USER,
            "fsGroupChangePolicy": "OnRootMismatch",
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        **containers,
        "volumes": volumes,
    }


def _upload(upload: Upload, cluster: Cluster, writable: list[dict[str, str]]) -> dict[str, Any]:
    return {
        "name": "upload",
        "image": upload.image,
        "command": list(upload.words),
        **_environment(cluster),
        "resources": {"requests": {"cpu": "50m", "memory": "64Mi"}, "limits": {"memory": "256Mi"}},
        "securityContext": _locked(),
        "volumeMounts": writable,
    }


def _environment(cluster: Cluster) -> dict[str, Any]:
    secrets = {"envFrom": [{"secretRef": {"name": name}} for name in cluster.environment]}
    return {"env": [{"name": "HOME", "value": _SCRATCH}], **(secrets if cluster.environment else {})}


def _scratch(name: str) -> dict[str, Any]:
    return {"name": name, "emptyDir": {"sizeLimit": "2Gi"}}


def _locked() -> dict[str, Any]:
    """The least that a container can have."""
    return {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


def _resources(shards: Shards) -> dict[str, Any]:
    """As measured, with all runbooks: 235 MB for 4 tenants at once and 310 MB for 24; 1.4 s of a processor each."""
    memory = 220 + 4 * shards.at_once
    return {
        "requests": {"cpu": "1", "memory": f"{memory}Mi"},
        "limits": {"memory": f"{2 * memory}Mi"},
    }
