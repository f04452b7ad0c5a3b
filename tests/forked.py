"""The command in a process forked from one that has imported everything: a second less of a processor's time each.

A process of its own still, with its own environment, working directory, output and exit code. What a new interpreter
does before :func:`gt_conformance.cli.main` is the one thing that it does not show.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from functools import cache
from io import TextIOWrapper
from multiprocessing import forkserver, get_context
from pathlib import Path

import pytest


def run_forked(words: Sequence[str], *, cwd: Path, env: Mapping[str, str], timeout: float) -> tuple[int, str, str]:
    """The exit code, standard output and standard error of ``gt-conformance`` with these words."""
    start_server()
    with tempfile.TemporaryDirectory() as folder:
        stdout, stderr, ended = (Path(folder, name) for name in ("stdout", "stderr", "ended"))
        process = get_context("forkserver").Process(target=_main, args=(words, cwd, dict(env), stdout, stderr, ended))
        process.start()
        process.join(timeout)
        if process.exitcode is None:
            process.kill()
            process.join()
            raise subprocess.TimeoutExpired(list(words), timeout)
        code = process.exitcode
        if code == _SERVER_GONE and (said := _read(ended)):
            code = int(said)
        return code, _read(stdout), _read(stderr)


_SERVER_GONE = 255
"""What multiprocessing gives where the server that forks cannot say how a process ended: no command ends so itself."""


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.exists() else ""


@cache
def start_server() -> None:
    """Start what commands are forked from, without coverage, which they would inherit and could not save.

    It changes this process's environment for a moment: to be called before there are threads that read it.
    """
    with pytest.MonkeyPatch.context() as here:
        for name in [name for name in os.environ if name.startswith("COVERAGE_")]:
            here.delenv(name)
        forkserver.set_forkserver_preload(["tests.imported"])
        forkserver.ensure_running()


def _main(words: Sequence[str], cwd: Path, env: Mapping[str, str], stdout: Path, stderr: Path, ended: Path) -> None:
    for descriptor, path in ((1, stdout), (2, stderr)):
        with path.open("wb") as file:
            os.dup2(file.fileno(), descriptor)
    for stream, buffered in ((sys.stdout, False), (sys.stderr, True)):
        assert isinstance(stream, TextIOWrapper)
        stream.reconfigure(encoding="utf-8", line_buffering=buffered)
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(env)
    time.tzset()
    sys.path[:0] = [str(cwd), *filter(None, env.get("PYTHONPATH", "").split(os.pathsep))]
    sys.argv = ["gt-conformance", *words]

    from gt_conformance.cli import main  # noqa: PLC0415 - imported by the server, before it forks

    try:
        main()
    except SystemExit as end:
        if isinstance(end.code, int):
            ended.write_text(str(end.code), encoding="utf-8")
        raise
