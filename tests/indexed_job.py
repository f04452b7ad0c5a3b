"""An Indexed Job of Kubernetes, played on this machine from its manifest: a container is a process.

What the job controller does is done here: JOB_COMPLETION_INDEX, ``$(NAME)`` in a command, init containers first, the
rules of podFailurePolicy in their order, backoffLimitPerIndex. Processes have no file system of their own, so a path
below a mount is replaced by the folder that stands for its volume. What a manifest has besides is refused, or known to
make no difference here.
"""

import re
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.commands import DEADLINE_S

_REFERENCE = re.compile(r"\$\((\w+)\)")
_POD = frozenset({"restartPolicy", "containers", "initContainers", "volumes", "serviceAccountName"})
_OF_A_CLUSTER = frozenset(
    {"automountServiceAccountToken", "enableServiceLinks", "terminationGracePeriodSeconds", "securityContext"}
)


@dataclass(frozen=True)
class Pod:
    """A pod that has ended: which try it was, its exit code, and whether its node was lost meanwhile."""

    index: int
    attempt: int
    code: int
    disrupted: bool


Disturb = Callable[[int, int, "subprocess.Popen[bytes]"], bool]
"""Told the index, the attempt and the process of a container: may end it, and says whether the pod was disrupted."""


@dataclass
class IndexedJob:
    """The job, and the folders that stand for its volumes: claims and config maps by name, secrets with their keys."""

    described: Mapping[str, Any]
    folder: Path
    claims: Mapping[str, Path] = field(default_factory=dict)
    configs: Mapping[str, Path] = field(default_factory=dict)
    secrets: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    path: str = str(Path(sys.executable).parent)
    """Where a container finds its command."""
    disturb: Disturb = lambda _index, _attempt, _process: False
    pods: list[Pod] = field(default_factory=list)
    succeeded: set[int] = field(default_factory=set)
    failed: set[int] = field(default_factory=set)

    def play(self) -> "IndexedJob":
        """Play it to its end."""
        job = self.described["spec"]
        assert (self.described["kind"], job["completionMode"]) == ("Job", "Indexed")
        with ThreadPoolExecutor(job["parallelism"]) as pool:
            list(pool.map(self._complete, range(job["completions"])))
        return self

    def tries(self, index: int) -> list[int]:
        """The exit codes of the pods of an index, in their order."""
        return [pod.code for pod in self.pods if pod.index == index]

    def _complete(self, index: int) -> None:
        job, counted = self.described["spec"], Counter[str]()
        for attempt in range(20):
            pod, container = self._run_pod(index, attempt)
            self.pods.append(pod)
            if pod.code == 0:
                self.succeeded.add(index)
                return
            action = self._action(pod, container)
            counted[action] += 1
            if action == "FailIndex" or counted["Count"] > job["backoffLimitPerIndex"]:
                self.failed.add(index)
                return
        raise AssertionError(f"index {index} is tried without end")

    def _action(self, pod: Pod, container: str) -> str:
        for rule in self.described["spec"]["podFailurePolicy"]["rules"]:
            for condition in rule.get("onPodConditions", ()):
                if pod.disrupted and condition == {"type": "DisruptionTarget", "status": "True"}:
                    return str(rule["action"])
            codes = rule.get("onExitCodes")
            if codes and codes["containerName"] == container:
                assert codes["operator"] == "In", f"no part of this: {codes}"
                if pod.code in codes["values"]:
                    return str(rule["action"])
        return "Count"

    def _run_pod(self, index: int, attempt: int) -> tuple[Pod, str]:
        spec = self.described["spec"]["template"]["spec"]
        assert spec.keys() <= _POD | _OF_A_CLUSTER
        assert spec["restartPolicy"] == "Never"
        own = self.folder / f"pod-{index}-{attempt}"
        volumes = {volume["name"]: self._folder_of(volume, own) for volume in spec["volumes"]}
        disrupted = False
        for container in (*spec.get("initContainers", ()), *spec["containers"]):
            process = self._start(container, volumes, own, index)
            told = self.disturb(index, attempt, process)
            disrupted = disrupted or told
            with process:
                code = process.wait(DEADLINE_S)
            code = 128 - code if code < 0 else code
            if code:
                return Pod(index, attempt, code, disrupted), str(container["name"])
        return Pod(index, attempt, 0, disrupted), ""

    def _folder_of(self, volume: Mapping[str, Any], own: Path) -> Path:
        match volume:
            case {"persistentVolumeClaim": {"claimName": name}}:
                return self.claims[str(name)]
            case {"configMap": {"name": name}}:
                return self.configs[str(name)]
            case {"secret": {"secretName": name}}:
                folder = own / str(volume["name"])
                folder.mkdir(parents=True)
                for key, value in self.secrets[name].items():
                    (folder / key).write_text(value)
                return folder
            case {"emptyDir": _}:
                folder = own / str(volume["name"])
                folder.mkdir(parents=True)
                return folder
        raise AssertionError(f"no part of this: {volume}")

    def _start(
        self, container: Mapping[str, Any], volumes: Mapping[str, Path], own: Path, index: int
    ) -> "subprocess.Popen[bytes]":
        mounts = {mount["mountPath"]: volumes[mount["name"]] for mount in container["volumeMounts"]}

        def here(text: str) -> str:
            for mount in sorted(mounts, key=len, reverse=True):
                if text == mount or text.startswith(f"{mount}/"):
                    return f"{mounts[mount]}{text.removeprefix(mount)}"
            return text

        env = {"PATH": f"{self.path}:/usr/bin:/bin", "JOB_COMPLETION_INDEX": str(index)}
        for source in container.get("envFrom", ()):
            env |= self.secrets[source["secretRef"]["name"]]
        env |= {one["name"]: here(one["value"]) for one in container["env"]}
        words = [here(_REFERENCE.sub(lambda found: env[found[1]], word)) for word in container["command"]]
        with (own / f"{container['name']}.log").open("wb") as log:
            return subprocess.Popen(
                words, cwd=own, env=env, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )


def kill(process: "subprocess.Popen[bytes]", number: signal.Signals, after: Callable[[], object]) -> None:
    """Send that signal as soon as something holds, while the process goes on."""

    def watch() -> None:
        while process.poll() is None and not after():
            threading.Event().wait(0.01)
        if process.poll() is None:
            process.send_signal(number)

    threading.Thread(target=watch, daemon=True).start()
