"""Standard output that is closed, full or read by nobody any more, and Ctrl-C while the command starts."""

import io
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from gt_conformance import cli, results, streams
from tests.commands import DEADLINE_S, WITHOUT_PAGES, default_sigint, environment

PYTHON = (sys.executable, "-m", "gt_conformance")
RUN = ("run", "--runbook", "dify", "--route", "models")
"""A small run; it conforms."""
LEAN = ("--", *WITHOUT_PAGES, "-m", "native")
BASH = shutil.which("bash") or "sh"


# -- streams


@pytest.fixture
def broken() -> Iterator[int]:
    """The end for writing of a pipe whose other end is closed."""
    reading, writing = os.pipe()
    os.close(reading)
    yield writing
    os.close(writing)


def wrapped(descriptor: int, *, unbuffered: bool) -> io.TextIOWrapper:
    """A stream as Python makes ``sys.stdout``, with PYTHONUNBUFFERED or without it."""
    raw = open(descriptor, "wb", buffering=0 if unbuffered else -1, closefd=False)  # noqa: SIM115 - a descriptor
    return io.TextIOWrapper(raw, encoding="utf-8", write_through=unbuffered)


FORMS = pytest.mark.parametrize("form", ["buffered", "unbuffered"])


@FORMS
def test_a_reader_that_went_away_is_no_problem(form: str, broken: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it does not read is dropped: ``| head`` has all that it wants."""
    monkeypatch.setattr(sys, "stdout", wrapped(broken, unbuffered=form == "unbuffered"))
    with streams.tolerant_output():
        sys.stdout.write("text " * 10_000)
        assert streams.problem(sys.stdout) is None


@FORMS
def test_a_full_disk_is_a_problem_and_no_exception(form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What could not be written is lost, and that can be said."""
    with Path("/dev/full").open("wb") as full:
        before = wrapped(full.fileno(), unbuffered=form == "unbuffered")
        monkeypatch.setattr(sys, "stdout", before)
        with streams.tolerant_output():
            sys.stdout.write("text")
            assert streams.problem(sys.stdout) == "No space left on device"
            with streams.duplicate(sys.stdout) as other:
                other.write("text\n")
                assert streams.problem(other) == "No space left on device"
        assert sys.stdout is before


def test_what_is_written_arrives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In order, at the end at the latest, with what UTF-8 cannot hold replaced as before."""
    with (tmp_path / "out").open("w", encoding="utf-8", errors="backslashreplace") as out:
        monkeypatch.setattr(sys, "stdout", out)
        sys.stdout.write("one\n")
        with streams.tolerant_output():
            sys.stdout.write("two \ud800\n")
        sys.stdout.write("three\n")
    assert (tmp_path / "out").read_text(encoding="utf-8") == "one\ntwo \\ud800\nthree\n"


def test_a_closed_stream_is_opened_to_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """Python gives None for a descriptor that was closed; whoever writes need not know."""
    monkeypatch.setattr(sys, "stdout", None)
    with streams.tolerant_output():
        sys.stdout.write("text")
        sys.stdout.flush()
    assert sys.stdout is None


def test_a_stream_of_somebody_else_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a test, or a program that calls the command, has put there is theirs."""
    own = io.StringIO()
    monkeypatch.setattr(sys, "stdout", own)
    with streams.tolerant_output():
        assert sys.stdout is own
    assert streams.duplicate(own) is own


# -- the command


def ended(script: str, *words: str, cwd: Path) -> "subprocess.CompletedProcess[str]":
    """The command as a line of a shell writes it: in the script it is ``"$@"``."""
    return subprocess.run(
        [BASH, "-c", script, "bash", *PYTHON, *words],
        cwd=cwd,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )


@pytest.mark.parametrize("output", [">&-", ">/dev/full", ">&- 2>&-", "| true"])
def test_a_red_run_stays_red(output: str, tmp_path: Path) -> None:
    """Whatever becomes of its output, its exit code is its own, its reports are written, and there is no traceback."""
    words = (*RUN, "--fault", "models-500", *LEAN)
    done = ended(f'"$@" {output}; exit ${{PIPESTATUS[0]}}', *words, cwd=tmp_path)
    assert (done.returncode, "Traceback" in done.stderr) == (1, False), done.stderr
    record = results.read(tmp_path / "reports" / "results.json")
    assert record["totals"]["violates"] > 0
    assert ("error: standard output could not be written: No space left on device." in done.stderr) == (
        output == ">/dev/full"
    )


@pytest.mark.parametrize("form", ["text", "json"])
def test_a_green_run_that_reached_nobody_is_not_green(form: str, tmp_path: Path) -> None:
    """Its reports are written, and standard output, which is one more, was not: exit code 3, as for any of them."""
    done = ended('"$@" >/dev/full; exit $?', *RUN, "--format", form, *LEAN, cwd=tmp_path)
    assert done.returncode == 3, done.stderr
    assert done.stderr.endswith("error: standard output could not be written: No space left on device.\n")
    assert results.read(tmp_path / "reports" / "results.json")["decision"]


def test_a_reader_of_the_first_line_gets_it(tmp_path: Path) -> None:
    """``| head -1`` ends quietly, with the run's own exit code."""
    done = ended('"$@" | head -1; exit ${PIPESTATUS[0]}', *RUN, *LEAN, "-v", cwd=tmp_path)
    assert (done.returncode, len(done.stdout.splitlines())) == (0, 1), done.stderr
    assert "Error" not in done.stderr


OUTPUTS: Mapping[str, tuple[int, str]] = {
    "| head -1": (0, ""),
    ">&-": (0, ""),
    ">/dev/full": (4, "error: standard output could not be written: No space left on device.\n"),
}


@pytest.mark.parametrize("output", OUTPUTS)
def test_a_command_whose_product_is_lost_says_so(output: str, tmp_path: Path) -> None:
    """Not that somebody stopped reading, or wanted nothing; but that a disk is full."""
    done = ended(f'"$@" {output}; exit ${{PIPESTATUS[0]}}', "explain", cwd=tmp_path)
    assert (done.returncode, done.stderr) == OUTPUTS[output]


# -- Ctrl-C

PRESSED = """
import os, signal, sys

wanted = sys.argv.pop(1)

class Pressing:
    def find_spec(self, name, path=None, target=None):
        if name == wanted:
            sys.meta_path.remove(self)
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Pressing())
from gt_conformance.cli import main
main()
"""
"""Presses Ctrl-C as soon as a module is looked for, the first time."""


@pytest.mark.parametrize(
    "module",
    [
        "click",
        "gt_conformance.errors",
        "gt_conformance.cli.run",
        "pytest",
        "gt_conformance.pytest_plugin",
        "gt_conformance.runner",
        "allure_commons",
        "yaml",
    ],
)
def test_ctrl_c_while_the_command_starts_ends_it(module: str, tmp_path: Path) -> None:
    """Whatever it loads at that moment: exit code 2, a word, no traceback, and nothing was judged."""
    with default_sigint():
        done = subprocess.run(
            [sys.executable, "-c", PRESSED, module, *RUN],
            cwd=tmp_path,
            env=environment(),
            capture_output=True,
            text=True,
            timeout=DEADLINE_S,
            check=False,
        )
    assert (done.returncode, "Traceback" in done.stderr) == (2, False), done.stderr
    assert "Interrupted." in done.stderr
    assert not (tmp_path / "reports" / "results.json").exists()


# -- a fault of the command itself


def test_a_fault_of_the_command_is_no_finding(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It ends with 3 and its traceback, not with Python's 1, which in a run says that the tenant breaks a promise."""

    def fails() -> int:
        raise RuntimeError("dictionary changed size during iteration")

    monkeypatch.setattr("gt_conformance.signals.raise_interrupts", lambda: None)  # the handlers of this process stay
    monkeypatch.setattr("gt_conformance.cli._main.run_command", fails)
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 3
    assert "RuntimeError: dictionary changed size during iteration" in capsys.readouterr().err
