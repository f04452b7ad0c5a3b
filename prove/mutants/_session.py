"""Mutants of a module and what came of each: a Cosmic Ray session, kept until the module changes."""

import hashlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

from cosmic_ray.commands.init import init
from cosmic_ray.work_db import WorkDB, use_db
from cosmic_ray.work_item import MutationSpec, WorkResult

from prove.mutants import _operators, _worker

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
        WORKERS, mp_context=get_context("spawn"), initializer=_worker.prepare, initargs=(checkout,)
    ) as pool:
        yield pool


def tried(pool: ProcessPoolExecutor, modules: Sequence[Path], *, again: bool) -> Iterator[tuple[Path, int, int]]:
    """Try every mutant that was not tried yet; with ``again`` those too that survived. Gives how far each module is.

    Raises RuntimeError where a module is noticed to be wrong as it stands: then nothing could be told by its mutants.
    """
    for module in modules:
        with _session(module) as session:
            done = dict(session.results)
            waiting = [
                item
                for item in session.work_items
                if item.job_id not in done or (again and not done[item.job_id].is_killed)
            ]
            if waiting and (found := pool.submit(_worker.noticed, module).result()):
                raise RuntimeError(f"{module} is noticed to be wrong as it stands: {found}")
            futures = {pool.submit(_worker.examined, item.mutations[0]): item.job_id for item in waiting}
            for count, future in enumerate(as_completed(futures), 1):
                session.set_result(futures[future], future.result())
                yield module, count, len(waiting)


def mutants(modules: Sequence[Path]) -> list[Mutant]:
    """The mutants of these modules that were tried, by module and line."""
    found = []
    for module in modules:
        with _session(module) as session:
            found += [_mutant(item.mutations[0], result) for item, result in session.completed_work_items]
    return sorted(found, key=lambda mutant: (mutant.module, mutant.line, mutant.operator, mutant.after))


@contextmanager
def _session(module: Path) -> Iterator[WorkDB]:
    """The session of a module as it stands; made where there is none."""
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
