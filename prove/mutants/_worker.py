"""A process that makes one mutant after another, in a copy of the checkout of its own."""

import compileall
import os
import shutil
import sys
import tempfile
from importlib import import_module
from multiprocessing import parent_process
from pathlib import Path
from py_compile import PycInvalidationMode

from cosmic_ray.mutating import use_mutation
from cosmic_ray.plugins import get_operator
from cosmic_ray.work_item import MutationSpec, TestOutcome, WorkerOutcome, WorkResult

from prove.mutants import _operators

COPIED = ("gt_conformance", "runbooks", "schemas", "samples", "suites", "clients", "prove", "tests", "docs")
FILES = ("conftest.py", "pytest.ini", "pyproject.toml")
PRELOADED = ("anyio", "httpx", "hypothesis", "jsonschema", "pytest", "rich", "uvicorn", "gt_sandbox")
"""What does not import a mutated module. A process forked for a mutant has it already."""


def prepare(checkout: Path) -> None:
    """Make the copy, go there, and import from there all that no mutant changes."""
    if parent_process() is None:
        raise RuntimeError("A worker is a process of its own: it leaves its folder, and what it imports is a copy.")
    sys.dont_write_bytecode = True
    copy = Path(tempfile.mkdtemp(prefix="mutants-"))
    for name in COPIED:
        ignored = shutil.ignore_patterns("__pycache__", "node_modules")
        shutil.copytree(checkout / name, copy / name, ignore=ignored)
    for name in FILES:
        shutil.copyfile(checkout / name, copy / name)
    # By its source, not by its time, is a compiled module known to be out of date: mutants follow each other too fast.
    compileall.compile_dir(copy, quiet=1, invalidation_mode=PycInvalidationMode.CHECKED_HASH)
    os.chdir(copy)
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    sys.path.insert(0, str(copy))
    for name in PRELOADED:
        import_module(name)
    import_module("prove._process").prepare()
    _operators.use()


def noticed(module: Path) -> str:
    """By what the module as it stands is noticed to be wrong; empty where it is not. Asked of a forked process."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        _tell(module, writing)
    os.close(writing)
    with os.fdopen(reading, encoding="utf-8", errors="replace") as answer:
        text = answer.read()
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        return text or "it does not come to an end"
    return text or ("" if os.waitstatus_to_exitcode(status) == 0 else "it ends the process")


def examined(mutation: MutationSpec) -> WorkResult:
    """Whether a mutant is noticed, and by what."""
    operator = get_operator(mutation.operator_name)(**mutation.operator_args)
    with use_mutation(mutation.module_path, operator, mutation.occurrence) as (before, after):
        if after is None:
            return WorkResult(worker_outcome=WorkerOutcome.NO_TEST)
        found = noticed(mutation.module_path)
    return WorkResult(
        worker_outcome=WorkerOutcome.NORMAL,
        output=found,
        test_outcome=TestOutcome.KILLED if found else TestOutcome.SURVIVED,
        diff=_changed(before, after),
    )


def _tell(module: Path, writing: int) -> None:
    """What a forked process does: it says what it found, and goes without cleaning up what is its parent's."""
    status = 1
    try:
        quiet = os.open(os.devnull, os.O_WRONLY)
        os.dup2(quiet, 1)
        os.dup2(quiet, 2)
        try:
            found = import_module("prove.mutants._examination").complaint(module)
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
