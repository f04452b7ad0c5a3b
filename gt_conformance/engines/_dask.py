"""A fleet on Dask distributed: a task is a batch of tenants, judged on whichever worker takes it.

What travels is the path of the fleet file and the ids of the batch; the worker reads the file and resolves the secrets.
A worker that is lost loses nothing that was recorded: its batches are done again elsewhere, and leave out what has this
night's record. Dask itself does that a few times for a task, and then takes the task for what kills workers; so what it
gives up is given to it again, up to ``_TRIES`` times, before it is a fault.
"""

import hashlib
import secrets
import signal
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date
from functools import lru_cache
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, NoReturn

from gt_conformance import __version__, signals
from gt_conformance.errors import InputError
from gt_conformance.fleet import Fleet, Progress, Summary, judge_tenants, load_fleet

if TYPE_CHECKING:
    from distributed import Client, Future

BATCH = 20
"""How many tenants a task judges, unless somebody says otherwise."""

_TRIES = 5
_RETRIES = 2
"""How often a batch is tried on another worker, where the machine of one was at fault."""

_LOOK_EVERY_S = 0.5
_PATIENCE_S = 60
"""How long the scheduler and its first worker may take to answer."""


@dataclass(frozen=True)
class Scheduler:
    """Where Dask's scheduler listens, and the certificates by which it knows us, for a ``tls://`` address."""

    address: str
    tls_ca: Path | None = None
    tls_cert: Path | None = None
    tls_key: Path | None = None


@dataclass(frozen=True)
class _Batch:
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
    directory.mkdir(parents=True, exist_ok=True)
    with _connected(scheduler) as client:
        # The budget of a gateway is divided by the batches under way: there must be no more of them than that.
        limits = [gateway.concurrency for gateway in fleet.gateways.values()]
        most = min(max(1, sum(client.nthreads().values())), *limits) if limits else None
        shared = _Batch(
            fleet=str(fleet.path.resolve()),
            digest=_digest(fleet.path),
            version=__version__,
            directory=str(directory.resolve()),
            night=night.isoformat(),
            at_once=at_once,
            shards=most or 1,
        )
        ids = [tenant.id for tenant in fleet.tenants if fleet.selection(tenant, night) is not None]
        parts = [tuple(ids[begin : begin + batch]) for begin in range(0, len(ids), batch)]
        batches = [
            replace(shared, tenants=part, part=f"{number:05}-of-{len(parts):05}") for number, part in enumerate(parts)
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
        client.wait_for_workers(1, timeout=_PATIENCE_S)
    except TimeoutError:
        client.close()
        raise InputError.of(
            f"--scheduler {scheduler.address}: no worker within {_PATIENCE_S} s.", hint="Start some with dask worker."
        ) from None
    return client


# -- on a worker


def judge_batch(batch: _Batch) -> Summary:
    """Judge a batch on this worker. Raises BatchFailed where it could not be recorded here."""
    if batch.version != __version__:
        raise BatchFailed(f"a worker has gt-conformance {__version__}, and not {batch.version}")
    if not Path(batch.directory).is_dir():
        raise BatchFailed(f"a worker has no folder {batch.directory}: all workers have to share it")
    try:
        fleet = _load(batch.fleet, batch.digest)
    except InputError as error:
        raise BatchFailed(f"a worker cannot read the fleet file: {error}") from None
    try:
        found = judge_tenants(
            fleet,
            [fleet.tenant(one) for one in batch.tenants],
            Path(batch.directory),
            night=date.fromisoformat(batch.night),
            part=batch.part,
            at_once=batch.at_once,
            shards=batch.shards,
            handling=_handle_cancellation,
        )
    except InputError as error:
        raise BatchFailed(str(error)) from None
    if found.faults:
        raise BatchFailed("\n".join(found.faults))
    return found


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
    if _digest(Path(path)) != digest:
        raise InputError.of(f"{path} is not the file that the command read.")
    return load_fleet(Path(path))


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


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
        self._under_way: dict[Future[Summary], _Batch] = {}
        self._tries = Counter[str]()
        self._found: list[Progress] = []
        self._faults: list[str] = []

    def run(self, batches: Sequence[_Batch], most: int) -> Summary:
        """Hand out all of them, at most so many at a time, to the end or until a signal comes."""
        interrupted = None
        self._due = sum(len(batch.tenants) for batch in batches)
        try:
            with signals.handling(_interrupt):
                self._hand_out(deque(batches), most)
        except _Interrupted as error:
            interrupted = str(error)
            with signals.handling(lambda _number, _frame: None):
                self._client.cancel(list(self._under_way), force=True)
        return Summary(self._add_up(), tuple(dict.fromkeys(self._faults)), interrupted)

    def _hand_out(self, waiting: deque[_Batch], most: int) -> None:
        from distributed import as_completed  # noqa: PLC0415 - loaded by now

        first = [self._submit(waiting.popleft()) for _ in range(min(most, len(waiting)))]
        ended = as_completed(first, loop=self._client.loop)
        for future in ended:
            again = self._take(future, self._under_way.pop(future))
            if again is not None:
                waiting.appendleft(again)
            if waiting:
                ended.add(self._submit(waiting.popleft()))
            self._watch(self._add_up())

    def _submit(self, batch: _Batch) -> "Future[Summary]":
        self._tries[batch.part] += 1
        key = f"gt-fleet-{self._run}-{batch.part}-{self._tries[batch.part]}"
        future = self._client.submit(judge_batch, batch, key=key, pure=False, retries=_RETRIES)
        self._under_way[future] = batch
        return future

    def _take(self, future: "Future[Summary]", batch: _Batch) -> _Batch | None:
        """Note what came of a batch. Returns it where it is to be done again."""
        from distributed import KilledWorker  # noqa: PLC0415 - as above

        if future.status == "finished":
            self._found.append(future.result().progress)
            return None
        error = future.exception() if future.status == "error" else None
        if isinstance(error, KilledWorker) and self._tries[batch.part] < _TRIES:
            return batch
        what = "its workers were lost again and again" if isinstance(error, KilledWorker) else error
        if error is None:
            what = "the scheduler lost it"
        self._faults.append(f"Part {batch.part}: {what}.")
        return None

    def _add_up(self) -> Progress:
        return Progress(
            due=self._due,
            left_out=sum(one.left_out for one in self._found),
            recorded=sum(one.recorded for one in self._found),
            problems=sum(one.problems for one in self._found),
            under_way=sum(len(batch.tenants) for batch in self._under_way.values()),
        )


def _interrupt(number: int, frame: FrameType | None) -> NoReturn:
    del frame
    raise _Interrupted(signal.Signals(number).name)
