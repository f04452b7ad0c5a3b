"""Runs that are ended by a signal at a random time: each leaves a record that can be read, and no process."""

import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import cycle, islice, repeat
from pathlib import Path

from gt_conformance import results
from gt_conformance.errors import InputError
from gt_conformance.vocabulary import Outcome
from prove import Options, Proof

RUNS = 100
_QUICK_RUNS = 6
"""Each of the three that ask a run to end once, and SIGKILL as often as these."""
_QUICK_SELECTION = ("--runbook", "dify")
"""Of one runbook: it goes through all that a whole run goes through, in a fraction of the time."""
_AT_ONCE = 2
_SEED = 20261126
_LONGEST_START_S = 60.0
_LONGEST_END_S = 120.0
_TERMINATING = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)
_MARK = "GT_CONFORMANCE_PROVE_SIGNALS"
"""Is in the environment of a run and of every process that it starts, with a value of that run's own."""
_INTERRUPTED = 2


@dataclass(frozen=True, slots=True)
class _Case:
    """One run: which signal, and how many seconds after the journal was begun; without one it runs to its end."""

    name: str
    signal: signal.Signals | None
    after_s: float = 0.0


def prove(options: Options) -> Proof:
    """Signals at random moments of a run, as long as one undisturbed run takes and a little longer."""
    selection = _QUICK_SELECTION if options.quick else ()
    started = time.monotonic()
    undisturbed = _prove_case(_Case("undisturbed", None), selection)
    lasted = time.monotonic() - started
    cases = list(_list_cases(_QUICK_RUNS if options.quick else RUNS, lasted))
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        found = [undisturbed, *pool.map(_prove_case, cases, repeat(selection))]
    survived = sum(not problems for problems in found[1:])
    return Proof(
        f"signals survived {survived}/{len(cases)}", tuple(problem for problems in found for problem in problems)
    )


def _list_cases(count: int, lasted: float) -> Iterator[_Case]:
    """Half are SIGKILL; the others are SIGTERM, SIGHUP and SIGINT in turn. Times are random, from a fixed seed."""
    times = random.Random(_SEED)  # noqa: S311 - times, not secrets
    asked = cycle(_TERMINATING)
    for number in range(count):
        sent = signal.SIGKILL if number % 2 else next(asked)
        after_s = times.uniform(0, lasted)
        yield _Case(f"run {number} ({sent.name} after {after_s:.2f} s)", sent, after_s)


def _prove_case(case: _Case, selection: Sequence[str]) -> list[str]:
    with tempfile.TemporaryDirectory() as folder:
        base = Path(folder)
        reports, scratch = base / "reports", base / "tmp"
        scratch.mkdir()
        mark = base.name
        environment = {**os.environ, _MARK: mark, "TMPDIR": str(scratch)}
        command = [sys.executable, "-m", "gt_conformance", "run", "--report-dir", str(reports), *selection]
        with subprocess.Popen(  # noqa: S603 - our own command
            command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL
        ) as running:
            began = _wait_for_journal(reports, running)
            if case.signal is not None:
                time.sleep(case.after_s)
                running.send_signal(case.signal)
            try:
                _, said = running.communicate(timeout=_LONGEST_END_S)
            except subprocess.TimeoutExpired:
                running.kill()
                return [f"{case.name}: still running after {_LONGEST_END_S:g} s"]
        troubles = [] if began else [f"{case.name}: no journal was begun within {_LONGEST_START_S:g} s"]
        troubles += [f"{case.name}: {text}" for text in _troubles(case, running.returncode, reports, said.decode())]
        troubles += [f"{case.name}: process {pid} is left over" for pid in _marked(mark)]
        if case.signal is not signal.SIGKILL:
            troubles += [f"{case.name}: {path.name} is left in the temporary folder" for path in scratch.iterdir()]
        return troubles


def _wait_for_journal(reports: Path, running: subprocess.Popen[bytes]) -> bool:
    end = time.monotonic() + _LONGEST_START_S
    while time.monotonic() < end and running.poll() is None:
        if any(reports.glob("*journal*")):
            return True
        time.sleep(0.01)
    return any(reports.glob("*journal*"))


def _troubles(case: _Case, code: int, reports: Path, said: str) -> Iterator[str]:
    if "Traceback" in said:
        yield f"it printed a traceback: {said.strip().splitlines()[-1]}"
    killed = code == -signal.SIGKILL
    ends = {None: {0}, signal.SIGKILL: {0, -signal.SIGKILL}}.get(case.signal, {0, _INTERRUPTED})
    if code not in ends:
        yield f"exit code {code}"
    rebuilt = reports / "rebuilt"
    path = reports / "results.json"
    if killed and not path.is_file():
        made = subprocess.run(  # noqa: S603 - our own command
            [sys.executable, "-m", "gt_conformance", "report", "--from-journal", str(reports), "--out", str(rebuilt)],
            capture_output=True,
            text=True,
            check=False,
            stdin=subprocess.DEVNULL,
        )
        path = rebuilt / "results.json"
        if not path.is_file():
            yield f"report --from-journal exits with {made.returncode}: {made.stderr.strip()[-300:]}"
            return
    try:
        record = results.read(path)
    except InputError as error:
        yield f"its record cannot be read: {error}"
        return
    violating = [case.id for case in results.cases(record) if case.outcome is Outcome.VIOLATES]
    if violating:
        yield f"its record accuses the embedded tenant: {', '.join(violating[:3])}"
    interrupted = "interrupted" in record["run"]
    if interrupted is not (code == _INTERRUPTED or path.parent == rebuilt):
        yield f"exit code {code}, and run.interrupted is {record['run'].get('interrupted')}"


def _marked(mark: str) -> list[int]:
    """The processes whose environment has this mark (Linux)."""
    wanted = f"{_MARK}={mark}".encode()
    found = []
    for folder in islice(Path("/proc").iterdir(), 100_000):
        if folder.name.isdigit() and int(folder.name) != os.getpid():
            try:
                environment = (folder / "environ").read_bytes().split(b"\0")
            except OSError:
                continue
            if wanted in environment:
                found.append(int(folder.name))
    return found
