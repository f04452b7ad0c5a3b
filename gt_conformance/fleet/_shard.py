"""What is judged in one process: tenants side by side in one event loop, none of which can stop another.

What is broken costs one tenant: its file, its secret, its host, a fault of the suite that it meets, a record that is
not written. A tenant that has a record of the night is left out, so that judging again does what is left.
"""

import asyncio
import ctypes
import gc
import os
import signal
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from datetime import date
from functools import cache, partial
from pathlib import Path
from types import FrameType

import anyio
import anyio.to_thread

from gt_conformance import processes, session, signals, table
from gt_conformance.companions import Companions
from gt_conformance.errors import InputError
from gt_conformance.exchange import Redactor, redact_logs
from gt_conformance.fleet._fleet import Fleet, FleetTenant
from gt_conformance.fleet._folder import Folder
from gt_conformance.judgement import HumanInput
from gt_conformance.planning import Selection, require_known_mapping
from gt_conformance.results.run_types import OptionNotes
from gt_conformance.runner import HttpSender, Lateness, SharedBudget
from gt_conformance.session import Notes, Session
from gt_conformance.table import JudgedTenant
from gt_conformance.tenant import Tenant

_TICK_S = 1.0
_NAME_LOOKUPS = 256
"""How many questions to the name service may be open at once: one host whose name hangs keeps no other waiting."""
_MANY = 1 << 32
_MOST_FAULTS = 20
_MOST_PROBLEMS = 10
_NOT_JUDGED = "it was not judged: neither a record nor a problem of this night is there."


@dataclass(frozen=True, slots=True)
class Progress:
    """How far it is: tenants that are due, those that had a record already, and what came of the others so far."""

    due: int
    left_out: int = 0
    recorded: int = 0
    problems: int = 0
    under_way: int = 0

    @property
    def done(self) -> int:
        """Those of which nothing more will come."""
        return self.left_out + self.recorded + self.problems


@dataclass(frozen=True, slots=True)
class Summary:
    """What came of it. ``faults`` are those of the suite and of this machine; ``interrupted`` names the signal.

    ``problems`` are the first of those that kept a tenant from being judged.
    """

    progress: Progress
    faults: tuple[str, ...] = ()
    interrupted: str | None = None
    problems: tuple[str, ...] = ()

    @property
    def exit_code(self) -> int:
        """0 where each tenant that is due has a verdict or a problem on record; else 3, or 2 where interrupted."""
        if self.interrupted is not None:
            return 2
        return 3 if self.faults else 0


class Shard:
    """Tenants that are judged together: ``judge`` in an event loop, then ``write``; ``interrupt`` ends either."""

    def __init__(
        self,
        fleet: Fleet,
        tenants: Iterable[FleetTenant],
        folder: Folder,
        *,
        at_once: int,
        budgets: Mapping[str, tuple[float, int]],
        beside: Iterable[FleetTenant] = (),
        watch: Callable[[Progress], None],
    ) -> None:
        self._fleet = fleet
        self._folder = folder
        chosen = ((tenant, fleet.selection(tenant, folder.night)) for tenant in tenants)
        self._due = [(tenant, selection) for tenant, selection in chosen if selection is not None]
        self._beside = tuple(tenant for tenant in beside if fleet.selection(tenant, folder.night) is not None)
        self._at_once = at_once
        self._budgets = budgets
        self._watch = watch
        self._environment = dict(os.environ)
        self._progress = Progress(len(self._due))
        self._problems: dict[str, str] = {}
        self._faults: list[str] = []
        self._more_faults = 0
        self._interrupted: str | None = None
        self._cancel: Callable[[], object] = lambda: None
        self._shared_input: dict[Companions, HumanInput] = {}
        self.redactor = _Redactors()

    def summary(self) -> Summary:
        """What came of it."""
        more = [f"and {self._more_faults} more"] if self._more_faults else []
        problems = [f"{tenant}: {problem}" for tenant, problem in list(self._problems.items())[:_MOST_PROBLEMS]]
        return Summary(self._progress, (*self._faults, *more), self._interrupted, tuple(problems))

    def interrupt(self, number: int, frame: FrameType | None) -> None:
        """End what is going on: the handler of a signal."""
        del frame
        if self._interrupted is None:
            self._interrupted = signal.Signals(number).name
            self._cancel()

    # -- all of them

    async def judge(self) -> None:
        """Judge those that have no record yet. Raises InputError where the folder cannot be read."""
        loop = asyncio.get_running_loop()
        loop.set_default_executor(ThreadPoolExecutor(_NAME_LOOKUPS, "name lookup"))
        limits = _Limits(
            anyio.CapacityLimiter(self._fleet.secrets_at_once),
            anyio.CapacityLimiter(1),
            {name: SharedBudget(*budget) for name, budget in self._budgets.items()},
            Lateness(),
            _Admission(),
        )
        recorded = self._folder.recorded()
        left = [(tenant, selection) for tenant, selection in self._due if tenant.id not in recorded]
        self._advance(left_out=len(self._due) - len(left))
        # In an order that has nothing to do with the file's, in which those behind one gateway often stand together.
        waiting = iter(sorted(left, key=lambda item: item[0].shard(_MANY)))
        with anyio.CancelScope() as scope:
            self._cancel = lambda: loop.call_soon_threadsafe(scope.cancel)
            if self._interrupted is not None:
                return
            async with anyio.create_task_group() as beside:
                beside.start_soon(self._tick)
                beside.start_soon(limits.admission.measure)
                async with anyio.create_task_group() as group:
                    for _ in range(min(self._at_once, len(left))):
                        group.start_soon(self._work, waiting, limits)
                beside.cancel_scope.cancel()
        self._cancel = lambda: None
        if self._interrupted is not None:
            processes.end_all()  # secret commands, which would be waited for

    async def _tick(self) -> None:
        while True:
            await anyio.sleep(_TICK_S)
            self._watch(self._progress)

    async def _work(self, waiting: "Iterator[tuple[FleetTenant, Selection]]", limits: "_Limits") -> None:
        while True:
            await limits.admission.wait(lambda: self._progress.under_way)
            tenant, selection = next(waiting, (None, None))
            if tenant is None or selection is None:
                return
            self._advance(under_way=1)
            try:
                await self._judge(tenant, selection, limits)
            except InputError as error:
                await self._note(tenant, _first_of(error))
            except OSError as error:
                self._add_fault(tenant, f"its record cannot be kept: {error.strerror or type(error).__name__}")
                await self._note(tenant, f"On this machine: its record cannot be kept: {error.strerror}.")
            except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever it is, the others are judged
                self._add_fault(tenant, _describe(error))
                await self._note(tenant, f"A fault of the suite kept it from being judged: {_describe(error)}.")
            finally:
                self._advance(under_way=-1)

    def _advance(self, *, left_out: int = 0, recorded: int = 0, problems: int = 0, under_way: int = 0) -> None:
        before = self._progress
        self._progress = replace(
            before,
            left_out=before.left_out + left_out,
            recorded=before.recorded + recorded,
            problems=before.problems + problems,
            under_way=before.under_way + under_way,
        )
        self._watch(self._progress)

    def _add_fault(self, tenant: FleetTenant | None, text: str) -> None:
        if len(self._faults) < _MOST_FAULTS:
            self._faults.append(f"{tenant.id}: {text}" if tenant is not None else text)
        else:
            self._more_faults += 1

    async def _note(self, tenant: FleetTenant, problem: str) -> None:
        self._problems[tenant.id] = problem
        self._advance(problems=1)
        try:
            await anyio.to_thread.run_sync(self._folder.note, tenant.id, problem)
        except OSError as error:
            self._add_fault(tenant, f"its problem cannot be written: {error.strerror or type(error).__name__}")

    # -- one of them

    async def _judge(self, tenant: FleetTenant, selection: Selection, limits: "_Limits") -> None:
        # Given up where a signal comes: a command that asks for a secret may take half a minute.
        loaded = await anyio.to_thread.run_sync(
            partial(tenant.load, self._environment), abandon_on_cancel=True, limiter=limits.secrets
        )
        made = partial(self._make, tenant, loaded, selection, limits)
        run = await anyio.to_thread.run_sync(made, limiter=limits.processor)
        with self.redactor.knowing(run.redactor):
            await run.carry_out()
            # A record is work for the processor alone. It is done beside the loop, and to its end: no signal cuts it.
            await anyio.to_thread.run_sync(self._keep, tenant, run, limiter=limits.processor)
        self._advance(recorded=1)
        if self._progress.recorded % _TENANTS_PER_RELEASE == 0:
            await anyio.to_thread.run_sync(_release_memory, limiter=limits.processor)

    def _make(self, tenant: FleetTenant, loaded: Tenant, selection: Selection, limits: "_Limits") -> Session:
        fleet = self._fleet
        require_known_mapping(loaded, fleet.runbooks)
        plan = session.plan(
            loaded,
            fleet.runbooks,
            selection=selection,
            registry=fleet.registry,
            past=self._folder.past(tenant.id, loaded.base_url),
        )
        companions = loaded.companions.or_else(fleet.companions)
        return Session(
            plan,
            human_input=self._human_input(loaded, companions),
            strict=fleet.strict,
            sender=partial(
                HttpSender,
                loaded,
                environment=self._environment,
                shared=limits.budgets.get(tenant.gateway or ""),
                lateness=limits.lateness,
            ),
            notes=Notes(_options(tenant, fleet, companions), fleet.registry.unproven),
        )

    def _human_input(self, loaded: Tenant, companions: Companions) -> HumanInput:
        """What people wrote; the files that the fleet shares are read once."""
        shared = replace(companions, history=None) == self._fleet.companions
        if shared and companions in self._shared_input:
            return self._shared_input[companions]
        found = session.load_human_input(
            self._fleet.runbooks,
            companions.attestations,
            companions.waivers,
            accepted=companions.accepted,
            registry=self._fleet.registry,
            tenant=replace(loaded, companions=companions),
        )
        if shared:
            self._shared_input[companions] = found
        return found

    def _keep(self, tenant: FleetTenant, run: Session) -> None:
        self._folder.keep(tenant.id, run.record())
        for text in run.suite_errors:
            self._add_fault(tenant, text.strip().rpartition("\n")[2])

    # -- the table

    def write(self, part: str) -> None:
        """Write the rows of all that are due, those that were left out as well; nothing after a signal.

        The rows of tenants that labels leave out are written again: another run of that night made them.
        """
        try:
            try:
                self._write(part, checked=False)
            except (
                LookupError,
                TypeError,
                ValueError,
                AttributeError,
            ):  # a record that is none: which one, is looked up
                self._write(part, checked=True)
        except _Interrupted:
            pass
        except OSError as error:
            self._add_fault(None, f"the outcomes cannot be written: {error.strerror or type(error).__name__}")

    def _write(self, part: str, *, checked: bool) -> None:
        table.write(self._folder.part(part), self._folder.night, self._judged(checked=checked))

    def _judged(self, *, checked: bool) -> Iterator[JudgedTenant]:
        judged = {tenant.id for tenant, _ in self._due}
        for tenant in sorted([*(tenant for tenant, _ in self._due), *self._beside], key=lambda one: one.id):
            if self._interrupted is not None:
                raise _Interrupted
            record = problem = None
            try:
                record = self._folder.read(tenant.id, checked=checked)
            except InputError as error:
                problem = str(error.problems[0])
            if record is None:
                problem = problem or self._problems.get(tenant.id) or self._folder.problem(tenant.id)
                if problem is None and tenant.id not in judged:
                    continue
                problem = problem or _NOT_JUDGED
            yield JudgedTenant(tenant.id, tenant.name, tenant.labels, record, problem)


@dataclass(frozen=True, slots=True)
class _Limits:
    """What tenants share: how many secrets are read at once, the processor, budgets of gateways, the event loop."""

    secrets: anyio.CapacityLimiter
    processor: anyio.CapacityLimiter
    budgets: Mapping[str, SharedBudget]
    lateness: Lateness
    admission: "_Admission"


_PROBE_S = 0.05
_LATE_S = 0.03
_ALWAYS = 8
"""So many are judged at once, however late the loop is: a tenant mostly waits."""


class _Admission:
    """Lets one tenant begin after the other, and none while the event loop is late with those that began.

    More at once would end none sooner then, and what is measured of each would be this machine's time.
    """

    def __init__(self) -> None:
        self._turn = anyio.Lock()
        self._late_s = 0.0

    async def measure(self) -> None:
        """Go on measuring how late the loop is."""
        while True:
            due = anyio.current_time() + _PROBE_S
            await anyio.sleep_until(due)
            self._late_s += (anyio.current_time() - due - self._late_s) / 4

    async def wait(self, under_way: Callable[[], int]) -> None:
        """Return when one more may begin."""
        async with self._turn:
            while under_way() >= _ALWAYS:
                await anyio.sleep(_PROBE_S)  # until what the last one adds shows
                if self._late_s < _LATE_S:
                    break


class _Redactors:
    """Takes the secrets of all tenants that are being judged out of what is logged meanwhile."""

    def __init__(self) -> None:
        self._known: list[Redactor] = []

    @contextmanager
    def knowing(self, redactor: Redactor) -> Iterator[None]:
        """Inside, that one's secrets are taken out."""
        self._known.append(redactor)
        try:
            yield
        finally:
            self._known.remove(redactor)

    def text(self, text: str) -> str:
        """The text without any of them."""
        for redactor in tuple(self._known):
            text = redactor.text(text)
        return text


def _first_of(error: InputError) -> str:
    """What is wrong, as far as one line of a table takes it: where one secret is missing, often all are."""
    more = len(error.problems) - 1
    return f"{error.problems[0]}{f' And {more} more.' if more else ''}"


def _describe(error: BaseException) -> str:
    """What was raised, and where: what it says may hold anything."""
    frames = traceback.extract_tb(error.__traceback__)
    where = f" at {Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
    return f"{type(error).__name__}{where}"


class _Interrupted(Exception):
    """A signal came while the outcomes were written."""


def _options(tenant: FleetTenant, fleet: Fleet, companions: Companions) -> OptionNotes:
    return {
        "tenant_file": tenant.file.name,
        "from_environment": False,
        "sample": False,
        "runbooks_dir": None if fleet.runbooks_dir is None else fleet.runbooks_dir.name,
        "checks": [Path(name).name if name.endswith(".py") else name for name in fleet.checks],
        "attestations": None if companions.attestations is None else companions.attestations.name,
        "waivers": None if companions.waivers is None else companions.waivers.name,
        "accepted": None if companions.accepted is None else companions.accepted.name,
    }


# -- a shard at a time


AT_ONCE = 40
"""How many tenants are judged at once, unless somebody says otherwise."""


def judge_tenants(  # noqa: PLR0913 - each is a decision of the caller's
    fleet: Fleet,
    tenants: Iterable[FleetTenant],
    directory: Path,
    *,
    night: date,
    part: str,
    at_once: int = AT_ONCE,
    shards: int = 1,
    beside: Iterable[FleetTenant] = (),
    watch: Callable[[Progress], None] | None = None,
    handling: Callable[[signals.Handler], AbstractContextManager[object]] = signals.handling,
) -> Summary:
    """Judge those of the tenants that are due and have no record of that night, and write the part of the table.

    ``beside`` are others of the same part, which are not judged: the part holds what is recorded of them that night.
    ``part`` names its file, such as ``00003-of-00100``. Budgets of gateways are divided by ``shards``; ``watch`` is
    called as it goes on. It runs in the calling thread; in the main thread a signal ends it: what is under way is
    dropped then, to be done when this is called again, and no part is written. Raises InputError where nothing can be
    judged or kept at all.
    """
    table.require_engine()
    budgets = {name: _share(fleet, name, shards) for name in fleet.gateways}
    folder = Folder(directory, night)
    folder.make()
    shard = Shard(
        fleet, tenants, folder, at_once=at_once, budgets=budgets, beside=beside, watch=watch or (lambda _: None)
    )
    with handling(shard.interrupt), redact_logs(shard.redactor):
        anyio.run(shard.judge)
        shard.write(part)
    return shard.summary()


def _share(fleet: Fleet, name: str, shards: int) -> tuple[float, int]:
    gateway = fleet.gateways[name]
    if gateway.concurrency < shards:
        raise InputError.of(
            f"the gateway {name!r} takes {gateway.concurrency} requests at once, which {shards} shards cannot share.",
            hint=f"Make at most {gateway.concurrency} shards, or raise its concurrency in {fleet.path}.",
        )
    return gateway.requests_per_minute / shards, gateway.concurrency // shards


# -- memory


_TENANTS_PER_RELEASE = 16
"""After so many tenants. A run is full of cycles, which the garbage collector would look for once in some hundred."""


def _release_memory() -> None:
    """Free what nothing refers to any more, and give the system what the allocator keeps of it."""
    gc.collect()
    trim = _find_trim()
    if trim is not None:
        trim(0)


@cache
def _find_trim() -> "ctypes._NamedFuncPointer | None":
    """``malloc_trim`` of glibc, which other systems do not have: its arenas keep what threads have freed."""
    try:
        return ctypes.CDLL(None).malloc_trim
    except (OSError, AttributeError, TypeError):
        return None
