"""A driver as a process: an environment of its own, a deadline, bounded output, and nothing of it left running."""

import json
import os
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from gt_conformance.vocabulary import Route

_MOST_OUTPUT = 1 << 20
_MOST_CHATTER = 4_000
_LAST_WORDS_S = 2.0
_PIECE = 65_536


@dataclass(frozen=True)
class Call:
    """One line of a driver: what was asked of the client, and what it returned or raised.

    ``route`` is None for a call that is about none of the nine.
    """

    name: str
    route: Route | None
    asked: Any
    returned: Any
    error: str | None = None
    message: str = ""

    @property
    def succeeded(self) -> bool:
        """In the client's eyes: it raised nothing, and gave something."""
        return self.error is None and bool(self.returned)

    def cleaned(self, clean: Callable[[str], str]) -> "Call":
        """The same with every text of it cleaned."""
        return Call(
            clean(self.name),
            self.route,
            _each(self.asked, clean),
            _each(self.returned, clean),
            clean(self.error) if self.error else None,
            clean(self.message),
        )

    @property
    def outcome(self) -> str:
        """In the client's own words."""
        if self.error is not None:
            return f"{self.error}: {self.message}" if self.message else self.error
        return "nothing, and no error" if not self.returned else str(self.returned)


@dataclass(frozen=True)
class Ended:
    """A driver that has ended: its calls, what else it wrote, and how it ended; None where it ended well."""

    calls: tuple[Call, ...]
    chatter: str
    seconds: float
    trouble: str | None = None


@dataclass
class _Collected:
    """What a stream of a process gave, up to a bound; the rest is read and dropped, so that nobody waits."""

    most: int
    data: bytearray = field(default_factory=bytearray)

    def read(self, stream: IO[bytes]) -> None:
        with stream:
            while piece := os.read(stream.fileno(), _PIECE):
                self.data += piece[: self.most - len(self.data)]

    @property
    def text(self) -> str:
        return self.data.decode("utf-8", errors="replace")


def _each(value: Any, clean: Callable[[str], str]) -> Any:
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, dict):
        return {clean(str(key)): _each(item, clean) for key, item in value.items()}
    return [_each(item, clean) for item in value] if isinstance(value, list) else value


def drive(
    command: Sequence[str], environment: Mapping[str, str], deadline_s: float, stopped: threading.Event | None = None
) -> Ended:
    """Run a driver to its end, to its deadline, or until ``stopped`` is set; then end all that it started.

    ``environment`` is added to what every program needs: a path, a language, and a home and caches that are empty.
    """
    stopped = stopped or threading.Event()
    home = Path(tempfile.mkdtemp(prefix="gt-client-"))
    started = time.monotonic()
    output, errors = _Collected(_MOST_OUTPUT), _Collected(_MOST_CHATTER)
    try:
        process = subprocess.Popen(  # noqa: S603 - a driver of ours, whose client is other people's
            list(command),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=home,
            env={**_bare(home), **environment},
            start_new_session=True,
        )
    except OSError as error:
        shutil.rmtree(home, ignore_errors=True)
        return Ended((), "", 0.0, f"{command[0]} cannot be started: {error.strerror}")
    readers = [
        threading.Thread(target=collected.read, args=(stream,), daemon=True)
        for collected, stream in ((output, process.stdout), (errors, process.stderr))
        if stream is not None
    ]
    for reader in readers:
        reader.start()
    trouble = None
    try:
        trouble = _wait(process, started + deadline_s, deadline_s, stopped)
    finally:
        # What it started besides shares its process group, and would outlive it.
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        for reader in readers:
            reader.join(_LAST_WORDS_S)
        shutil.rmtree(home, ignore_errors=True)
    calls, chatter = read_lines(output.text)
    return Ended(calls, f"{chatter}\n{errors.text}".strip()[-_MOST_CHATTER:], time.monotonic() - started, trouble)


def read_lines(text: str) -> tuple[tuple[Call, ...], str]:
    """The calls that a driver told, and what else it wrote."""
    calls, chatter = [], []
    for line in text.splitlines():
        call = _call(line)
        if call is None:
            chatter.append(line)
        else:
            calls.append(call)
    return tuple(calls), "\n".join(chatter)


def _call(line: str) -> Call | None:
    try:
        value = json.loads(line)
        route = value["route"]
        raised = value["raised"] or {}
        return Call(
            name=str(value["call"]),
            route=None if route is None else Route(route),
            asked=value["asked"],
            returned=value["returned"],
            error=str(raised["type"]) if raised else None,
            message=str(raised.get("message", "")),
        )
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None


def _wait(process: subprocess.Popen[bytes], deadline: float, deadline_s: float, stopped: threading.Event) -> str | None:
    while (left := deadline - time.monotonic()) > 0:
        with suppress(subprocess.TimeoutExpired):
            code = process.wait(min(left, 0.1))
            return None if code == 0 else f"the driver ended with exit code {code}"
        if stopped.is_set():
            return "the run was stopped while it was driven"
    return f"it did not end within {deadline_s:g} s, and was ended"


def _bare(home: Path) -> dict[str, str]:
    """What a program needs, and nothing else of this process's own: no secret is inherited."""
    places = {
        "HOME": home,
        "TMPDIR": home / "tmp",
        "XDG_CACHE_HOME": home / "cache",
        "XDG_CONFIG_HOME": home / "config",
    }
    places |= {"XDG_DATA_HOME": home / "data", "XDG_STATE_HOME": home / "state"}
    for place in places.values():
        place.mkdir(exist_ok=True)
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "LANG": "C.UTF-8",
        "PYTHONUNBUFFERED": "1",
        "PYTHONDONTWRITEBYTECODE": "1",  # what is installed stays as it was installed
        "DO_NOT_TRACK": "1",
        **{name: str(place) for name, place in places.items()},
    }
