"""The command, in a process of its own or in this one, and tenants for it to judge: what end-to-end tests use."""

import contextlib
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import pytest

from gt_conformance import resources, results
from gt_conformance.cli import main
from gt_conformance.cli.serve import write_tenant_file
from gt_conformance.results import Record
from gt_sandbox import EmbeddedTenant
from gt_sandbox.faults import FaultSet
from gt_sandbox.middleware import MiddlewareFactory
from gt_sandbox.variants import VariantSet
from tests.forked import run_forked, start_server

DEADLINE_S = 300.0
"""A command that takes longer than this hangs."""

WITHOUT_PAGES = ("-p", "no:html", "-p", "no:allure_pytest")


@dataclass(frozen=True)
class Finished:
    """A command that has ended. ``folder`` is its report directory, whether or not it wrote one."""

    code: int
    stdout: str
    stderr: str
    folder: Path
    seconds: float

    @property
    def said(self) -> str:
        """Everything that it printed, its lines joined: a sentence may be wrapped."""
        return " ".join(f"{self.stdout}\n{self.stderr}".split())

    @cached_property
    def record(self) -> Record:
        """results.json, which must hold to its schema."""
        path = self.folder / "results.json"
        assert path.is_file(), f"exit {self.code} without results.json: {self.said}"
        return results.read(path)

    @property
    def outcomes(self) -> dict[str, str]:
        """Every row and tenant check (``tenant-key.required``) with its outcome."""
        rows = {row["id"]: row["outcome"] for book in self.record["runbooks"] for row in book["routes"]}
        return rows | {f"tenant-{check['id']}": check["outcome"] for check in self.record["tenant_checks"]}

    def having(self, outcome: str) -> set[str]:
        """The rows and tenant checks of that outcome."""
        return {name for name, found in self.outcomes.items() if found == outcome}

    @property
    def checks(self) -> list[dict[str, Any]]:
        """Every check of every row, and every tenant check, each with the row or ``tenant`` as ``place``."""
        rows = [row for book in self.record["runbooks"] for row in book["routes"]]
        return [{**check, "place": row["id"]} for row in rows for check in row["checks"]] + [
            {**check, "place": "tenant"} for check in self.record["tenant_checks"]
        ]

    def check_ids(self, outcome: str) -> set[str]:
        """The ids of the checks of that outcome."""
        return {check["id"] for check in self.checks if check["outcome"] == outcome}

    @property
    def requests(self) -> int:
        """How many requests it sent, by its own account."""
        return int(self.record["traffic"]["requests"])


def environment(more: Mapping[str, str] | None = None, *, measured: bool = False) -> dict[str, str]:
    """This process's environment less what would change the command: a tenant, a proxy, a workflow, options for pytest.

    Less what keeps Python from storing what it has compiled, too: each command would compile everything again. Unless
    it is ``measured``, less what turns coverage on: that takes as long again, and most commands do what others do.
    """
    dropped = ("GT_", "GITHUB_", "PYTEST_", "PYTHONDONTWRITEBYTECODE", *(() if measured else ("COVERAGE_",)))
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(dropped) and not name.lower().endswith("_proxy")
    }
    return kept | {"NO_COLOR": "1", "COLUMNS": "200"} | dict(more or {})


def command(
    *words: str | Path,
    cwd: Path,
    env: Mapping[str, str] | None = None,
    folder: Path | None = None,
    measured: bool = False,
) -> Finished:
    """Run ``gt-conformance`` with these words in that folder, to its end, in a process of its own.

    ``measured``: started as a user starts it, by a new interpreter, and under coverage where the tests are.
    """
    given = tuple(map(str, words))
    if measured:
        line = [sys.executable, "-m", "gt_conformance", *given]
        return finished(line, cwd=cwd, env=env, folder=folder, measured=True)
    began = time.perf_counter()
    code, stdout, stderr = run_forked(given, cwd=cwd, env=environment(env), timeout=DEADLINE_S)
    return Finished(code, stdout, stderr, folder or cwd / "reports", time.perf_counter() - began)


def in_process(*words: str | Path, cwd: Path, env: Mapping[str, str] | None = None) -> Finished:
    """The same in this process, a second less of a processor's time; not for ``run``, which starts pytest."""
    wanted = environment(env)
    with (
        pytest.MonkeyPatch.context() as here,
        contextlib.redirect_stdout(io.StringIO()) as stdout,
        contextlib.redirect_stderr(io.StringIO()) as stderr,
    ):
        here.chdir(cwd)
        here.setattr(sys, "argv", ["gt-conformance", *map(str, words)])
        for name in os.environ.keys() - wanted.keys():
            here.delenv(name)
        for name, value in wanted.items():
            here.setenv(name, value)
        began = time.perf_counter()
        with pytest.raises(SystemExit) as ended:
            main()
        seconds = time.perf_counter() - began
    code = ended.value.code
    assert isinstance(code, int)
    return Finished(code, stdout.getvalue(), stderr.getvalue(), cwd / "reports", seconds)


def run(
    *words: str | Path, cwd: Path, env: Mapping[str, str] | None = None, lean: bool = False, measured: bool = False
) -> Finished:
    """``gt-conformance run`` with its reports in ``cwd/reports``; what stands after ``--`` goes to pytest.

    ``lean`` leaves out pytest.html and allure's results, which take as long as a small run itself.
    """
    folder = cwd / "reports"
    if lean:
        words = (*words, *(() if "--" in words else ("--",)), *WITHOUT_PAGES)
    return command("run", "--report-dir", folder, *words, cwd=cwd, env=env, folder=folder, measured=measured)


def finished(
    words: Sequence[str],
    *,
    cwd: Path,
    env: Mapping[str, str] | None = None,
    folder: Path | None = None,
    measured: bool = False,
) -> Finished:
    """Any command line, run to its end."""
    began = time.perf_counter()
    done = subprocess.run(
        words,
        cwd=cwd,
        env=environment(env, measured=measured),
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )
    seconds = time.perf_counter() - began
    return Finished(done.returncode, done.stdout, done.stderr, folder or cwd / "reports", seconds)


@contextlib.contextmanager
def served(folder: Path, *words: str) -> Iterator[Path]:
    """``gt-conformance serve`` in a subprocess until it has written its tenant file, whose path this is."""
    path = folder / "served.yaml"
    with serving("--tenant-file", str(path), *words, cwd=folder) as process:
        announced(process)
        yield path


@contextlib.contextmanager
def serving(*words: str, cwd: Path) -> Iterator["subprocess.Popen[str]"]:
    """``gt-conformance serve`` as a process, which is ended at the end."""
    with command_process("serve", *words, cwd=cwd) as process:
        try:
            yield process
        finally:
            process.terminate()


def command_process(*words: str, cwd: Path) -> "subprocess.Popen[str]":
    """The command as a process of its own, its output read by the test."""
    line = [sys.executable, "-m", "gt_conformance", *words]
    return subprocess.Popen(line, cwd=cwd, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@contextlib.contextmanager
def default_sigint() -> Iterator[None]:
    """A child of a process that ignores SIGINT, as a job in the background may, would ignore it too."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def announced(process: "subprocess.Popen[str]") -> list[str]:
    """What a tenant that is served says of itself. Returns once it listens, or has ended."""
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        lines.append(line)
        if line.startswith("Ctrl-C"):
            break
    return lines


@contextlib.contextmanager
def tenant(folder: Path, *middleware: MiddlewareFactory) -> Iterator[tuple[EmbeddedTenant, Path]]:
    """A tenant of this process that passes for a live one, behind this middleware, and a tenant file in that folder."""
    with EmbeddedTenant(middleware=middleware, marked=False) as running:
        path = folder / "tenant.yaml"
        write_tenant_file(running, path, FaultSet(), VariantSet(), force=True)
        yield running, path


def small(path: Path, *runbooks: str) -> Path:
    """Leave in a tenant file what these runbooks take, and copy those runbooks beside it, into the folder given back.

    A run is then spared reading the others, and asking for the keys that belong to them alone.
    """
    document = json.loads(path.read_text())
    for mapping in document.pop("runbooks", {}).values():
        for key in mapping.values():
            document["keys"].pop(key, None)
    path.write_text(json.dumps(document))
    folder = path.parent / "runbooks"
    folder.mkdir()
    for name in runbooks:
        shutil.copy(resources.runbooks_dir() / f"{name}.yaml", folder)
    return folder


def is_running(pid: int) -> bool:
    """Whether that process runs; one that has ended, and was not collected yet, does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def until(holds: Callable[[], object], *, seconds: float = 60.0) -> None:
    """Return as soon as it holds. Fails where it does not within that time."""
    deadline = time.perf_counter() + seconds
    while not holds():
        assert time.perf_counter() < deadline, f"this did not come about within {seconds:g} s"
        time.sleep(0.01)


def repeated(items: Iterable[object]) -> dict[object, int]:
    """What stands more than once, and how often."""
    return {item: count for item, count in Counter(items).items() if count > 1}


_T = TypeVar("_T")


@contextlib.contextmanager
def ahead(request: pytest.FixtureRequest, parameter: str, work: Callable[[str], _T]) -> Iterator[Callable[[str], _T]]:
    """Do the work for each value of that parameter in the selected tests of a module, each once, two at a time.

    Most of a command's time is its own, so that two of them make use of two processors.
    """
    selected = [item for item in request.session.items if item.path == request.path]
    given = [getattr(item, "callspec", None) for item in selected]
    values = dict.fromkeys(call.params[parameter] for call in given if call and parameter in call.params)
    # Made here: where two threads are the first to ask for a folder, both would make the one that holds all.
    request.getfixturevalue("tmp_path_factory").getbasetemp()
    start_server()
    pool = ThreadPoolExecutor(2)
    done = {value: pool.submit(work, value) for value in values}

    def result(value: str) -> _T:
        return (done[value] if value in done else done.setdefault(value, pool.submit(work, value))).result()

    try:
        yield result
    finally:
        pool.shutdown(cancel_futures=True)
