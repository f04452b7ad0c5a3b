"""A fleet on Dask distributed: a task is a batch of tenants, judged on whichever worker takes it.

What travels is the path of the fleet file and the ids of the batch; the worker reads the file and resolves the secrets.
A worker that is lost loses nothing that was recorded: its batches are done again elsewhere, and leave out what has this
night's record. Dask itself does that a few times for a task, and then takes the task for what kills workers. What it
gives up is given to it again, and then tenant by tenant, so that one that does kill workers is
found, and costs no other its outcomes.
"""

import hashlib
import secrets
import signal
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import date
from functools import lru_cache
from pathlib import Path
from socket import gethostname
from types import FrameType
from typing import TYPE_CHECKING, NoReturn

from gt_conformance import __version__, signals
from gt_conformance.errors import InputError
from gt_conformance.fleet import Fleet, Progress, Summary, judge_tenants, load_fleet

if TYPE_CHECKING:
    from distributed import Client, Future

BATCH = 20
"""How many tenants a task judges, unless somebody says otherwise."""

_TRIES, _TRIES_ALONE = 2, 3
"""One more alone: a task is also given up for having waited on a worker that another one killed."""

_RETRIES = 2
"""How often a batch is tried on another worker, where the machine of one was at fault."""

_LOOK_EVERY_S = 0.5
_PATIENCE_S = 20
"""How long the scheduler may take to answer."""

_WORKER_PATIENCE_S = 300
"""How long its first worker may take to come: a machine may have to be started for it."""


@dataclass(frozen=True)
class Scheduler:
    """Where Dask's scheduler listens, and the certificates by which it knows us, for a ``tls://`` address."""

    address: str
    tls_ca: Path | None = None
    tls_cert: Path | None = None
    tls_key: Path | None = None


@dataclass(frozen=True)
class Batch:
    """What travels to a worker. ``digest`` and ``version`` show that it has the same fleet file and the same suite."""

    fleet: str
    digest: str
    version: str
    directory: str
    night: str
    at_once: int
    shards: int
    part: str = ""
    tenants: tuple[str, ...] = ()


class BatchFailed(Exception):
    """A batch could not be recorded on that worker. Another may do better."""


def judge_on_dask(
    fleet: Fleet,
    directory: Path,
    *,
    night: date,
    scheduler: Scheduler,
    at_once: int = BATCH,
    batch: int = BATCH,
    watch: Callable[[Progress], None] | None = None,
) -> Summary:
    """Judge the tenants that are due on the workers of that scheduler; what is recorded is that of ``judge_tenants``.

    The folder and the fleet file have to be the same for all workers, by the same paths. A terminating signal cancels
    what has not begun. Raises InputError where there is no scheduler, or no worker.
    """
    with _connected(scheduler) as client:
        directory.mkdir(parents=True, exist_ok=True)  # by nobody else: a worker that has no such folder shares none
        # The budget of a gateway is divided by the batches under way: there must be no more of them than that.
        limits = [gateway.concurrency for gateway in fleet.gateways.values()]
        most = min(max(1, sum(client.nthreads().values())), *limits) if limits else None
        shared = Batch(
            fleet=str(fleet.path.resolve()),
            digest=digest_of(fleet.path),
            version=__version__,
            directory=str(directory.resolve()),
            night=night.isoformat(),
            at_once=at_once,
            shards=most or 1,
        )
        ids = [tenant.id for tenant in fleet.tenants if fleet.selection(tenant, night) is not None]
        parts = [tuple(ids[begin : begin + batch]) for begin in range(0, len(ids), batch)]
        # Where labels leave tenants out, another run of that night may have written parts of the usual names.
        suffix = f"-{hashlib.sha256(','.join(ids).encode()).hexdigest()[:8]}" if fleet.unselected else ""
        batches = [
            replace(shared, tenants=part, part=f"{number:05}-of-{len(parts):05}{suffix}")
            for number, part in enumerate(parts)
        ]
        return _Driver(client, watch or (lambda _: None)).run(batches, most or len(batches))


def _connected(scheduler: Scheduler) -> "Client":
    try:
        from distributed import Client, Security  # noqa: PLC0415 - an extra, and half a second
    except ImportError:
        raise InputError.of("--engine dask needs Dask.", hint="Install gt-conformance[fleet].") from None
    encrypted = scheduler.address.startswith("tls://")
    files = {
        "tls_ca_file": scheduler.tls_ca,
        "tls_client_cert": scheduler.tls_cert,
        "tls_client_key": scheduler.tls_key,
    }
    if not all(files.values()) if encrypted else any(files.values()):
        raise InputError.of(
            f"--scheduler {scheduler.address}: tls:// takes --tls-ca, --tls-cert and --tls-key, tcp:// none of them."
        )
    security = (
        Security(require_encryption=True, **{name: str(path) for name, path in files.items()}) if encrypted else None
    )
    try:
        client = Client(
            scheduler.address, security=security, timeout=_PATIENCE_S, set_as_default=False, name="gt-conformance"
        )
    except (OSError, ValueError) as error:
        raise InputError.of(f"--scheduler {scheduler.address}: {str(error) or type(error).__name__}.") from None
    try:
        client.wait_for_workers(1, timeout=_WORKER_PATIENCE_S)
    except TimeoutError:
        client.close()
        raise InputError.of(
            f"--scheduler {scheduler.address}: no worker within {_WORKER_PATIENCE_S} s.",
            hint="Start some with dask worker.",
        ) from None
    return client


# -- on a worker


def judge_batch(batch: Batch) -> Progress:
    """Judge a batch on this worker; gives numbers, and no text. Raises BatchFailed where it could not be recorded here.

    It is raised beside what was caught: what that says may hold anything, and an error travels with its context.
    """
    try:
        found = _judge(batch)
    except InputError as error:
        problem = str(error)
    except Exception as error:  # noqa: BLE001 - whatever it is, its type alone is told
        problem = f"{type(error).__name__}."
    else:
        if not found.faults:
            return found.progress
        problem = "; ".join(found.faults)
    raise BatchFailed(f"the worker on {gethostname()}: {problem}")


def _judge(batch: Batch) -> Summary:
    if batch.version != __version__:
        raise InputError.of(f"it has gt-conformance {__version__}, and the command {batch.version}.")
    directory = Path(batch.directory)
    if not directory.is_dir():
        raise InputError.of(f"it has no folder {directory}: all workers have to share it.")
    fleet = _load(batch.fleet, batch.digest)
    return judge_tenants(
        fleet,
        [fleet.tenant(one) for one in batch.tenants],
        directory,
        night=date.fromisoformat(batch.night),
        part=batch.part,
        at_once=batch.at_once,
        shards=batch.shards,
        handling=_handle_cancellation,
    )


@contextmanager
def _handle_cancellation(handler: signals.Handler) -> Iterator[None]:
    """While inside, the handler is called once the task is cancelled: the signal came to the command, and not here.

    Dask forgets a task that is cancelled while it runs, and leaves it to end by itself.
    """
    from distributed import get_worker  # noqa: PLC0415 - as below; on a worker it is loaded

    worker, ended = get_worker(), threading.Event()
    key = worker.get_current_task()

    def look() -> None:
        while not ended.wait(_LOOK_EVERY_S):
            task = worker.state.tasks.get(key)
            if task is None or task.state == "cancelled":
                handler(signal.SIGTERM, None)
                return

    watching = threading.Thread(target=look, name=f"cancellation of {key}", daemon=True)
    watching.start()
    try:
        yield
    finally:
        ended.set()
        watching.join()


@lru_cache(2)
def _load(path: str, digest: str) -> Fleet:
    if digest_of(Path(path)) != digest:
        raise InputError.of(f"its {path} is not the file that the command read: all workers have to share it.")
    return load_fleet(Path(path))


def digest_of(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise InputError.of(f"{path} cannot be read: {error.strerror}.") from None


# -- where the command runs


class _Interrupted(BaseException):
    """A signal came. No Exception, so that nothing on the way takes it for a failure of its own."""


class _Driver:
    """Hands out batches, and those again whose workers were lost; adds up what came of them."""

    def __init__(self, client: "Client", watch: Callable[[Progress], None]) -> None:
        self._client = client
        self._watch = watch
        self._run = secrets.token_hex(4)
        self._due = 0
        self._under_way: dict[Future[Progress], Batch] = {}
        self._tries = Counter[str]()
        self._found: list[Progress] = []
        self._faults = Counter[str]()

    def run(self, batches: Sequence[Batch], most: int) -> Summary:
        """Hand out all of them, at most so many at a time, to the end or until a signal comes."""
        interrupted = None
        self._due = sum(len(batch.tenants) for batch in batches)
        try:
            with signals.handling(_interrupt):
                self._hand_out(deque(batches), most)
        except _Interrupted as error:
            interrupted = str(error)
            with signals.handling(_interrupt), suppress(_Interrupted):  # another signal does not wait for an answer
                self._client.cancel(list(self._under_way), force=True)
        faults = [f"{text} ({count} batches)" if count > 1 else text for text, count in self._faults.items()]
        return Summary(self._add_up(), tuple(faults), interrupted)

    def _hand_out(self, waiting: deque[Batch], most: int) -> None:
        from distributed import as_completed  # noqa: PLC0415 - loaded by now

        first = [self._submit(waiting.popleft()) for _ in range(min(most, len(waiting)))]
        ended = as_completed(first, loop=self._client.loop)
        for future in ended:
            waiting.extendleft(self._take(future, self._under_way.pop(future)))
            while waiting and len(self._under_way) < most and self._client.status == "running":
                ended.add(self._submit(waiting.popleft()))
            self._watch(self._add_up())

    def _submit(self, batch: Batch) -> "Future[Progress]":
        self._tries[batch.part] += 1
        key = f"gt-fleet-{self._run}-{batch.part}-{self._tries[batch.part]}"
        future = self._client.submit(judge_batch, batch, key=key, pure=False, retries=_RETRIES)
        self._under_way[future] = batch
        return future

    def _take(self, future: "Future[Progress]", batch: Batch) -> list[Batch]:
        """Note what came of a batch. Returns what is to be done again."""
        from distributed import KilledWorker  # noqa: PLC0415 - as above

        if future.status == "finished":
            self._found.append(future.result())
            return []
        if future.status != "error":
            self._faults["the scheduler was lost: the same command goes on with what is left"] += 1
            return []
        error = future.exception()
        if not isinstance(error, KilledWorker):
            self._faults[
                str(error) if isinstance(error, BatchFailed) else f"a worker cannot judge: {_describe(error)}"
            ] += 1
        elif self._tries[batch.part] < (_TRIES if len(batch.tenants) > 1 else _TRIES_ALONE):
            return [batch]
        elif len(batch.tenants) > 1:
            names = enumerate(batch.tenants)
            return [replace(batch, tenants=(one,), part=f"{batch.part}-{number:03}") for number, one in names]
        else:
            self._faults[f"{batch.tenants[0]}: each worker that was to judge it was lost"] += 1
        return []

    def _add_up(self) -> Progress:
        return Progress(
            due=self._due,
            left_out=sum(one.left_out for one in self._found),
            recorded=sum(one.recorded for one in self._found),
            problems=sum(one.problems for one in self._found),
            under_way=sum(len(batch.tenants) for batch in self._under_way.values()),
        )


def _describe(error: BaseException | None) -> str:
    """What was raised beside our own errors: a module that is missing is named, of all else only the type."""
    return f"{error}." if isinstance(error, ImportError) else f"{type(error).__name__}."


def _interrupt(number: int, frame: FrameType | None) -> NoReturn:
    del frame
    raise _Interrupted(signal.Signals(number).name)
