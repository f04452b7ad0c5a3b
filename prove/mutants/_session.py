"""Mutants of a module and what came of each: a Cosmic Ray session, kept until the module changes.

They are made by worker processes, each in a copy of the checkout of its own, and examined in processes forked from
those. Nothing here imports a module that is mutated: a worker imports them from its copy.
"""

import compileall
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from multiprocessing import get_context, parent_process
from pathlib import Path
from py_compile import PycInvalidationMode
from random import Random
from subprocess import DEVNULL

from cosmic_ray.commands.init import init
from cosmic_ray.mutating import use_mutation
from cosmic_ray.plugins import get_operator
from cosmic_ray.work_db import WorkDB, use_db
from cosmic_ray.work_item import MutationSpec, TestOutcome, WorkerOutcome, WorkResult

from prove.mutants import _operators
from prove.mutants._reach import PLAIN, Chosen, Reach

CHECKED_HASH = PycInvalidationMode.CHECKED_HASH
KEPT = Path(".mutants")
WORKERS = 2


@dataclass(frozen=True)
class Mutant:
    """A mutant and what came of it. ``noticed`` says by what; empty where it survived."""

    module: str
    definition: str
    operator: str
    line: int
    before: str
    after: str
    noticed: str

    @property
    def survived(self) -> bool:
        """Whether nothing noticed it."""
        return not self.noticed


@contextmanager
def workers(checkout: Path) -> Iterator[ProcessPoolExecutor]:
    """Processes, each with a copy of the checkout."""
    with ProcessPoolExecutor(
        WORKERS, mp_context=get_context("spawn"), initializer=prepare, initargs=(checkout,)
    ) as pool:
        yield pool


@dataclass(frozen=True)
class Choice:
    """The mutants that are asked for, as the ids of their jobs by module, and how many there are of those modules."""

    jobs: Mapping[Path, Collection[str]]
    total: int


def choose(modules: Sequence[Path], sample: int | None) -> Choice:
    """All mutants of the modules, or so many of them at random: the same each time while the modules do not change."""
    found: dict[tuple[str, str, str, int], tuple[Path, str]] = {}
    for module in modules:
        with _session(module) as session:
            for item in session.work_items:
                one = item.mutations[0]
                place = (module.as_posix(), one.operator_name, repr(one.operator_args), one.occurrence)
                found[place] = (module, item.job_id)
    chosen = [found[place] for place in sorted(found)]
    if sample is not None and sample < len(chosen):
        chosen = Random(0).sample(chosen, sample)  # noqa: S311 - nobody gains by guessing it
    jobs: dict[Path, set[str]] = {}
    for module, job in chosen:
        jobs.setdefault(module, set()).add(job)
    return Choice(jobs, len(found))


def try_all(pool: ProcessPoolExecutor, choice: Choice, reach: Reach, *, again: bool) -> Iterator[tuple[Path, int, int]]:
    """Try those that were not tried yet; with ``again`` those too that survived. Gives how far each module is."""
    for module, jobs in choice.jobs.items():
        with _session(module) as session:
            done = dict(session.results)
            waiting = [
                item
                for item in session.work_items
                if item.job_id in jobs and (item.job_id not in done or (again and not done[item.job_id].is_killed))
            ]
            if not waiting:
                continue
            futures = {}
            for item in waiting:
                mutation = item.mutations[0]
                chosen = reach.choose(module, mutation.start_pos[0])
                futures[pool.submit(examine, mutation, chosen)] = item.job_id
            for count, future in enumerate(as_completed(futures), 1):
                session.set_result(futures[future], future.result())
                yield module, count, len(waiting)


def results(choice: Choice) -> list[Mutant]:
    """Those that were tried, by module and line."""
    found = []
    for module, jobs in choice.jobs.items():
        with _session(module) as session:
            tried = [(item, result) for item, result in session.completed_work_items if item.job_id in jobs]
            found += [_mutant(item.mutations[0], result) for item, result in tried]
    return sorted(found, key=lambda mutant: (mutant.module, mutant.line, mutant.operator, mutant.after))


@contextmanager
def _session(module: Path) -> Iterator[WorkDB]:
    """The session of a module as it is; made if there is none."""
    KEPT.mkdir(exist_ok=True)
    text = module.read_bytes() + "".join(_operators.names()).encode()
    path = KEPT / f"{module.parent.name}-{module.stem}-{hashlib.sha256(text).hexdigest()[:12]}.sqlite"
    with use_db(path) as session:
        if not session.num_work_items:
            _operators.use()
            init([module], session, {})
        yield session


def _mutant(mutation: MutationSpec, result: WorkResult) -> Mutant:
    before, _, after = (result.diff or "").partition("\n")
    return Mutant(
        module=mutation.module_path.as_posix(),
        definition=mutation.definition_name or "",
        operator=mutation.operator_name.rpartition("/")[2],
        line=mutation.start_pos[0],
        before=before,
        after=after,
        noticed=result.output or "" if result.is_killed else "",
    )


# --- in a worker process

PRELOADED = ("anyio", "httpx", "hypothesis", "jsonschema", "pytest", "rich", "uvicorn", "gt_sandbox")
"""What does not import a mutated module. A process forked for a mutant has it already."""


def prepare(checkout: Path) -> None:
    """Make the copy, go there, and import from there all that no mutant changes."""
    if parent_process() is None:
        raise RuntimeError("A worker is a process of its own: it leaves its folder, and what it imports is a copy.")
    sys.dont_write_bytecode = True
    copy = Path(tempfile.mkdtemp(prefix="mutants-"))
    listed = subprocess.check_output(["git", "ls-files", "-co", "--exclude-standard", "-z"], cwd=checkout, text=True)  # noqa: S607
    for path in filter(None, listed.split("\0")):
        if (checkout / path).is_file():
            (copy / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(checkout / path, copy / path)
    os.chdir(copy)
    # pytest keeps the tests with their asserts rewritten beside them, which takes as long as a run of them.
    subprocess.run([sys.executable, "-m", "pytest", "--collect-only", "-q", "tests"], check=False, stdout=DEVNULL)
    # By its source, not by its time, is a compiled module known to be out of date: mutants follow each other too fast.
    compileall.compile_dir(copy / "gt_conformance", quiet=1, force=True, invalidation_mode=CHECKED_HASH)
    sys.path.insert(0, str(copy))
    for name in PRELOADED:
        import_module(name)
    _operators.use()


def _in_fork(function: str, *words: object) -> str:
    """What that function of the examination says, in a forked process, which imports the module as it is now."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        _report(function, words, writing)
    os.close(writing)
    with os.fdopen(reading, encoding="utf-8", errors="replace") as answer:
        text = answer.read()
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        return text or "it does not end"
    return text or ("" if os.waitstatus_to_exitcode(status) == 0 else "it ends the process")


def examine(mutation: MutationSpec, chosen: Chosen) -> WorkResult:
    """Whether a mutant is noticed, and by what. What fails without the mutation too shows nothing, and is left out."""
    operator = get_operator(mutation.operator_name)(**mutation.operator_args)
    while True:
        with use_mutation(mutation.module_path, operator, mutation.occurrence) as (before, after):
            if after is None:
                return WorkResult(worker_outcome=WorkerOutcome.NO_TEST)
            found = _in_fork("complaint", chosen.tests, (PLAIN, *chosen.scenarios))
        by = found if found in chosen.tests else found.partition(": ")[0]
        alone = Chosen(*((by,) if by in names else () for names in (chosen.tests, chosen.scenarios)))
        if alone == Chosen((), ()) or not _in_fork("complaint", alone.tests, alone.scenarios):
            break
        chosen = chosen.without(by)
    return WorkResult(
        worker_outcome=WorkerOutcome.NORMAL,
        output=found,
        test_outcome=TestOutcome.KILLED if found else TestOutcome.SURVIVED,
        diff=_changed(before, after),
    )


def _report(function: str, words: Sequence[object], writing: int) -> None:
    """What a forked process does: it says what it found, and goes without cleaning up what is its parent's."""
    status = 1
    try:
        quiet = os.open(os.devnull, os.O_WRONLY)
        os.dup2(quiet, 1)
        os.dup2(quiet, 2)
        try:
            told = getattr(import_module("prove.mutants._examination"), function)(*words)
            found = told if isinstance(told, str) else "\n".join(told)
        except BaseException as error:  # noqa: BLE001 - whatever a mutant raises, it is noticed by it
            found = f"{type(error).__name__}: {error}"[:300] or "an error"
        os.write(writing, found.encode())
        status = int(bool(found))
    finally:
        os._exit(status)


def _changed(before: str, after: str) -> str:
    """The line that differs, before and after: two lines of text."""
    pairs = zip(before.splitlines(), after.splitlines(), strict=False)
    old, new = next(((one, other) for one, other in pairs if one != other), ("", ""))
    return f"{old.strip()}\n{new.strip()}"
