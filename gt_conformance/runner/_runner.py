"""The runner: runs a plan's checks concurrently and gives the result of each.

It runs in the caller's event loop (``carry_out``), which many runners may share, or in a thread of its own (``start``,
``stop``). Other threads see only what is published whole: futures, tuples and frozen values that are replaced, never
changed.
"""

import threading
import time
import traceback
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Hashable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TypeVar

import anyio

from gt_conformance.causes import Causes, Seen, find_causes, find_kept, may_be_mixed, rests_on_failure
from gt_conformance.checks import (
    KNOWN_ROUTE,
    MINIMAL,
    NO_SUCH_ROUTE,
    OWN,
    PREFLIGHT,
    READ_ONLY,
    Check,
    CheckCall,
    CheckResult,
    Earlier,
    Evidence,
    Probe,
    StopCheck,
)
from gt_conformance.errors import Blocked, Blocker
from gt_conformance.exchange import Exchange, ExchangeRecord, Presentation, Redactor, Request, as_records
from gt_conformance.network import find_exhaustion
from gt_conformance.planning import CaseKind, Plan
from gt_conformance.runner._background import Background
from gt_conformance.runner._closing import Closing, Control, is_certain, may_rest_on_refusals
from gt_conformance.runner._once import Once
from gt_conformance.runner._preflight import Preflight
from gt_conformance.runner._sender import Sender
from gt_conformance.schema import count_noun
from gt_conformance.tenant import Tenant, TenantKind
from gt_conformance.timing import Past, Samples, sample_of
from gt_conformance.together import together
from gt_conformance.vocabulary import SANDBOX_HEADER, Actor, Outcome, Route

_T = TypeVar("_T")
_WAKE_S = 0.1
_CLOSING = -1
"""The number of a request that is sent once more at the end of the run."""
_CONTROLS = 4
INTERRUPTED = Blocker(
    "the run was interrupted before this was judged", "Run again, and let the run finish.", Actor.HERE
)
UNJUDGED = Blocker(
    "the run ended before this was judged",
    "Run again; if -x or --maxfail of pytest ended the run, leave it out.",
    Actor.HERE,
)
_REPORT_IT = "Report it with results.json, which holds the traceback under suite_errors."


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run is: checks judged of all, and requests sent."""

    judged: int
    planned: int
    requests: int
    violating: int


class Runner:
    """Carries one plan out: ``carry_out`` in the caller's event loop, to the end.

    Or in a thread of its own: ``start`` returns at once; ``result`` waits for one check; ``stop`` ends everything.
    Implements what checks ask of their runner (:class:`gt_conformance.checks.Runner`).
    """

    def __init__(self, plan: Plan, sender: Callable[[], Sender], *, run_id: str, strict: bool = False) -> None:
        self.plan = plan
        self._run_id = run_id
        self._strict = strict
        self._make_sender = sender
        self._sender: Sender | None = None
        self._seen: list[Exchange] = []
        self._by_ref: dict[str, Exchange] = {}
        self._records: dict[str, ExchangeRecord] = {}
        self._once = Once()
        self._started_requests = 0
        self._redactor = Redactor({name: secret.reveal() for name, secret in plan.tenant.secrets().items()})
        self._results: dict[CheckCall, Future[CheckResult]] = {call: Future() for call in plan.distinct}
        self._background: Background | None = None
        self._scope: anyio.CancelScope | None = None
        self._stopping = threading.Lock()
        self._stopped: Blocker | None = None
        # Written in the event loop alone:
        self._preflight = Preflight(plan, self._probe_before_preflight, self._exchanged, self._redactor.text)
        self._unsent: Blocker | None = None
        self._footing: dict[CheckCall, CheckResult] = {}
        self._held: dict[CheckCall, CheckResult] = {}
        self._causes = Causes()
        self._closed = False
        # What it publishes:
        self._published_footing: tuple[CheckResult, ...] = ()
        self._suite_errors: tuple[str, ...] = ()

    # -- in the caller's event loop

    async def carry_out(self) -> None:
        """Judge everything, in the event loop of the caller. Cancelled, it leaves what is not judged without result."""
        if self._prepare() is not None:
            await self._run_plan()

    # -- for other threads

    def start(self) -> None:
        """Begin to judge, in a thread of its own."""
        sender = self._prepare()
        if sender is not None:
            self._background = Background(sender.new_loop, self._run_plan)

    def _prepare(self) -> Sender | None:
        """The sender, made before anything runs: it reads the environment, which pytest changes meanwhile."""
        try:
            self._sender = self._make_sender()
        except Exception as error:  # noqa: BLE001 - whoever waits for a result would wait for ever
            self._break_off(error)
        return self._sender

    def result(self, call: CheckCall) -> CheckResult:
        """The result of one check; waits for it."""
        while True:
            # In slices: a signal that comes just before an unlimited wait is handled only when that wait ends.
            with suppress(TimeoutError):
                return self._results[call].result(_WAKE_S)

    def is_judged(self, call: CheckCall) -> bool:
        """Whether there is a result of that check already."""
        return self._results[call].done()

    def stop(self, why: Blocker = UNJUDGED) -> None:
        """End the run: what is not judged yet is blocked by that. Safe to call again, from any thread."""
        with self._stopping:
            background, self._background = self._background, None
            if background is not None:
                self._stopped = why
                background.end(self._cancel)
            self._block_unjudged(self._stopped or why)

    @property
    def progress(self) -> Progress:
        """How far it is."""
        done = [future for future in self._results.values() if future.done()]
        violating = sum(future.result().outcome is Outcome.VIOLATES for future in done)
        return Progress(len(done), len(self._results), self._started_requests, violating)

    @property
    def refusal(self) -> Blocker | None:
        """Why nothing could be judged: the tenant is unreachable, or refused every credential; else None."""
        return self._preflight.refusal

    @property
    def footing(self) -> tuple[CheckResult, ...]:
        """The results of checks that no case names and that others rest on."""
        return self._published_footing

    @property
    def suite_errors(self) -> tuple[str, ...]:
        """What went wrong in the suite itself so far, as redacted tracebacks."""
        return self._suite_errors

    def evidence(self, refs: Collection[str] | None = None) -> Evidence:
        """The exchanges so far, or those of these references, redacted."""
        seen = self.seen if refs is None else [self._by_ref[ref] for ref in refs if ref in self._by_ref]
        wanted = sorted(seen, key=lambda item: item.ref)
        new = [item for item in wanted if item.ref not in self._records]
        for item, record in zip(new, as_records(new, self._redactor), strict=True):
            self._records[item.ref] = record
        return {item.ref: self._records[item.ref] for item in wanted}

    @property
    def redactor(self) -> Redactor:
        """Knows every secret of the tenant."""
        return self._redactor

    # -- for the checks

    @property
    def tenant(self) -> Tenant:
        """The tenant under test."""
        return self.plan.tenant

    @property
    def run_id(self) -> str:
        """Names what this run creates."""
        return self._run_id

    @property
    def earlier(self) -> Mapping[str, Earlier]:
        """What the last recorded run saw, by the fingerprint of the secret with which it did."""
        return self.plan.earlier

    @property
    def past(self) -> Past:
        """The earlier runs of the tenant."""
        return self.plan.past

    @property
    def is_embedded(self) -> bool:
        """Whether the tenant is the embedded one, by what its answers carry."""
        return is_embedded(self.tenant, self._seen)

    @property
    def seen(self) -> Sequence[Exchange]:
        """Every exchange of the run so far."""
        return tuple(self._seen)

    def samples(self) -> Samples:
        """What the run has measured of the tenant's speed, and what of it each row rests on."""
        live = {key.name for key in self.tenant.live_credentials}
        found = {one.ref: sample_of(one, self.tenant.base_url, live) for one in self._seen}
        rows = {
            (row.runbook, row.route): {ref for call in case.checks for ref in self._exchanges_of(call)}
            for case in self.plan.of(CaseKind.ROW)
            if (row := case.row) is not None
        }
        return Samples({ref: one for ref, one in sorted(found.items()) if one is not None}, rows)

    def _exchanges_of(self, call: CheckCall) -> Sequence[str]:
        future = self._results[call]
        return future.result().exchanges if future.done() else ()

    async def exchange(self, request: Request, *, again: int = 0) -> Exchange:
        """Send once, after the preflight of the live key that it presents; without one, after that of some key."""
        self._preflight.require_set(request.key or "")
        await self._preflight.require_api()
        key = self.tenant.credentials.get(request.key) if request.key else None
        if key is not None and not key.revoked and request.presentation is Presentation.BEARER:
            await self._preflight.require(key.name, listing=request.url == self.tenant.base_url + KNOWN_ROUTE)
        else:
            await self._preflight.require_any()
        return await self._send(request, again=again)

    async def once(self, name: Hashable, make: Callable[[], Awaitable[_T]]) -> _T:
        """What ``make`` gives, made once a run."""
        return await self._once.get(name, make)

    async def require(self, call: CheckCall, *, conforming: bool = False) -> None:
        """Raises Blocked, because of that check's finding, unless others can rest on it, or all of it conforms."""
        result = await self._result_of(call)
        if not result.usable or (conforming and result.outcome is not Outcome.CONFORMS):
            raise Blocked.by(result.explain_block())

    def nearest(self, check: str, call: CheckCall) -> CheckCall | None:
        """The planned call of that check with the same key whose parameters are nearest to this call's."""
        return self.plan.nearest(check, call)

    async def require_route(self, route: Route, key: str) -> None:
        """Raises Blocked, because of the finding, unless the route answers a minimal request of that key."""
        await self.require(CheckCall(self.plan.registry.opening(route).id, key, MINIMAL))

    # -- what a check rests on

    async def _result_of(self, call: CheckCall) -> CheckResult:
        """The result of a check, carried out once a run, whether a case names it or another check rests on it."""
        check = self.plan.registry[call.check]
        result = await self._once.get(("check", call), lambda: self._run_check(call, check))
        if call not in self._results and call not in self._footing:
            self._footing[call] = self._causes.amend(result)  # what is asked for after them has them as well
            self._published_footing = tuple(self._footing.values())
        return result

    async def _find_footing(self, call: CheckCall, check: Check) -> CheckResult | None:
        """The first result on which the check rests and cannot; None where all of them bear."""
        found = await together(self._result_of(needed) for needed in self._rests_on(call, check))
        return next((result for result in found if not result.usable), None)

    def _rests_on(self, call: CheckCall, check: Check) -> Iterator[CheckCall]:
        """What a call rests on: its check in the plainest form; what it declares, in the shape nearest to its own.

        What opens a route bears in its plainest form alone, where no shape has anything in common with this one.
        """
        if check.opens is not None and call.parameters != MINIMAL:
            yield CheckCall(check.id, call.credential, MINIMAL)
        for name in check.rests_on:
            if self.plan.registry[name].opens is not None:
                yield CheckCall(name, call.credential, MINIMAL)
            nearest = self.plan.nearest(name, call)
            if nearest is None or nearest.blocker is not None:
                continue
            if self.plan.registry[name].opens is None or nearest.parameters.resembles(call.parameters):
                yield nearest

    async def _send(self, request: Request, *, again: int = 0) -> Exchange:
        async def send() -> Exchange:
            if self._sender is None:
                raise Blocked.by(UNJUDGED)
            self._started_requests += 1
            try:
                exchange = await self._sender.send(request, f"x{self._started_requests:04d}")
            except Blocked as blocked:
                self._unsent = self._unsent or blocked.blocker
                raise
            self._by_ref[exchange.ref] = exchange  # first: what was seen is found by its reference
            self._seen.append(exchange)
            return exchange

        return await self._once.get(("request", request, again), send)

    def _probe_before_preflight(self, call: CheckCall) -> Probe:
        return Probe(_WithoutPreflight(self), PREFLIGHT, call)

    def _exchanged(self, refs: Collection[str]) -> Sequence[Exchange]:
        """The exchanges of these references, in the order in which they were answered."""
        return [item for item in self._seen if item.ref in refs]

    # -- the run

    async def _run_plan(self) -> None:
        try:
            await self._run_checks()
        except Exception as error:  # noqa: BLE001 - whoever waits for a result would wait for ever
            self._break_off(error)

    async def _run_checks(self) -> None:
        longest = self.tenant.limits.run_timeout_s
        with anyio.move_on_after(longest) as self._scope:
            try:
                await self._judge_all(self._in_order(lambda check: not check.last and not check.whole_run))
                # What sees that the other keys go on working asks twice, so it begins before what asks most, but once.
                await self._judge_all(reversed(self._in_order(lambda check: check.last)))
                await self._close_refusals()
                await self._judge_all(self._in_order(lambda check: check.whole_run))
            finally:
                with anyio.CancelScope(shield=True), anyio.move_on_after(1):
                    if self._sender is not None:
                        await self._sender.close()
        if self._stopped is None:
            # Nothing is left unjudged but where the time was over.
            self._block_unjudged(
                Blocker(
                    f"the run's time limit of {longest:g} s was reached before this was judged (limits.run_timeout_s)",
                    self._explain_time(longest),
                )
            )

    def _explain_time(self, longest: float) -> str:
        """What to do about a run that took too long: the operator's own rate may have kept it waiting."""
        limits = self.tenant.limits
        at_most = limits.requests_per_minute * longest / 60
        if self._started_requests >= at_most / 2:
            return (
                f"Raise limits.run_timeout_s or limits.requests_per_minute ({limits.requests_per_minute}): in "
                f"that time, {count_noun(int(at_most), 'request')} can start. Or select fewer runbooks."
            )
        return "Look for slow requests in results.json; raise limits.run_timeout_s, or select fewer runbooks."

    def _in_order(self, wanted: Callable[[Check], bool]) -> Sequence[CheckCall]:
        """The calls of these checks. What is about the whole tenant asks most, in most steps: it begins first."""
        checks = self.plan.registry
        calls = [call for call in self.plan.distinct if wanted(checks[call.check])]
        return sorted(calls, key=lambda call: not checks[call.check].tenant_wide)

    async def _judge_all(self, calls: Iterable[CheckCall]) -> None:
        async with anyio.create_task_group() as group:
            for call in calls:
                group.start_soon(self._judge, call)

    async def _judge(self, call: CheckCall) -> None:
        result = await self._result_of(call)
        if not self._closed and (self._is_open(result) or may_be_mixed(result)):
            self._held[call] = result
        else:
            self._publish(call, result)

    def _is_open(self, result: CheckResult) -> bool:
        """Whether the end of the run may change what the result comes to, and not merely explain it."""
        waits = may_rest_on_refusals(result, self._by_ref) and not is_certain(result, self._by_ref)
        return waits or rests_on_failure(result, self._by_ref)

    def _publish(self, call: CheckCall, result: CheckResult) -> None:
        future = self._results[call]
        if not future.done():
            future.set_result(self._causes.amend(result))

    async def _close_refusals(self) -> None:
        """Try the live keys again, and publish what was held until then: refusals count between two good controls."""
        controls: list[Control] = []
        blocker: Blocker | None = None
        kept = find_kept([*self._held.values(), *self._footing.values()], self._by_ref, self._preflight.not_taken)
        if kept is None and any(may_rest_on_refusals(result, self._by_ref) for result in self._held.values()):
            try:
                refused, others = self._keys_by_refusals()
                controls = await together(map(self._control_again, refused))
                if not all(control.is_good for control in controls):  # whether it is those keys alone, or everything
                    controls += await together(map(self._control_again, others))
            except Blocked as blocked:  # by a limit of the run: whether the keys still work is unknown
                blocker = blocked.blocker
        closing = Closing(controls, self._by_ref)
        blocker = blocker or closing.blocker
        if blocker is not None:
            blocker = replace(blocker, reason=self._redactor.text(blocker.reason))
            results = [*self._held.values(), *self._footing.values()]
            blocker = replace(blocker, because=closing.find_reason(results))
            vanished = {finding for result in results for finding in closing.vanish(result)}
            self._held = {call: closing.amend(result, vanished, blocker) for call, result in self._held.items()}
            self._footing = {call: closing.amend(result, vanished, blocker) for call, result in self._footing.items()}
        keys = tuple(self.tenant.credentials.values())
        seen = Seen(self._run_id, self._by_ref, self._seen, self._preflight.not_taken, keys, self._send_again)
        results = [*self._held.values(), *self._footing.values()]
        self._causes = await find_causes(results, seen, self._judge_own, kept)
        self._footing = {call: self._causes.amend(result) for call, result in self._footing.items()}
        self._published_footing = tuple(self._footing.values())
        self._closed = True
        for call, result in self._held.items():
            self._publish(call, result)

    def _keys_by_refusals(self) -> tuple[Sequence[str], Sequence[str]]:
        """The working keys that were refused more than once, since nobody is banned sooner; and the others.

        Where there is none, one of the others stands for what was refused without a key.
        """
        refused = Counter(one.request.key for one in self._seen if one.response is not None and one.response.refused)
        working = sorted(self._preflight.working)
        first = [key for key in working if refused[key] > 1] or working[:1]
        return first, [key for key in working if key not in first]

    async def _send_again(self, exchange: Exchange, again: int) -> Exchange:
        return await self._send(exchange.request, again=_CLOSING - again)

    async def _judge_own(self) -> CheckResult | None:
        """The result of the check that looks for answers of others; None where the run does not have it."""
        own = next((call for call in self.plan.distinct if call.check == OWN), None)
        return None if own is None else await self._result_of(own)

    async def _control_again(self, key: str) -> Control:
        """What the key was first answered, and is now: its list of models, or a route that cannot exist."""
        before = await self._send(Request("GET", self.tenant.base_url + KNOWN_ROUTE, key))
        if before.response is None or not before.response.succeeded:
            before = await self._send(Request("GET", self.tenant.base_url + NO_SUCH_ROUTE, key))
        after = await self._send(before.request, again=_CLOSING)
        for again in range(1, _CONTROLS):
            if Control(before, after).is_good:  # what fails or refuses now and then is no ban, which refuses each time
                break
            after = await self._send(before.request, again=_CLOSING - again)
        return Control(before, after)

    async def _run_check(self, call: CheckCall, check: Check) -> CheckResult:
        planned = call.blocker or (Blocker(*READ_ONLY) if check.creates and self.tenant.read_only else None)
        if planned is not None:
            # Where no tenant answers, that is the one thing to say.
            return CheckResult.blocked(call, check, await self._preflight.find_unreachable() or planned)
        if (widened := self.plan.widened(call)) is not None:
            shown = await self._carry_out(widened, check)
            if shown.outcome is Outcome.CONFORMS:
                return replace(shown, call=call)
        return await self._carry_out(call, check)

    async def _carry_out(self, call: CheckCall, check: Check) -> CheckResult:
        probe = Probe(self, check, call)
        started = time.perf_counter()
        try:
            await self._preflight.require_api()
            probe.call = await self._with_working_key(call)
            if (unsound := await self._find_footing(probe.call, check)) is not None:
                return unsound.keep_from(call, check)
            if check.whole_run:
                await self._preflight.require_any()
            await check.run(probe)
        except StopCheck:
            pass
        except Blocked as blocked:
            # What reads the whole run and finds nothing in it has nothing to read where the run was not allowed to ask.
            unsent = self._unsent if check.whole_run else None
            probe.blockers.append(replace(unsent, because=unsent.finding) if unsent is not None else blocked.blocker)
        except BaseException as error:
            # A fault of the suite must not pass for the tenant's, nor lose results: what a check raises to end the
            # process (SystemExit) would end this thread alone, and leave everybody waiting.
            if isinstance(error, anyio.get_cancelled_exc_class()):
                raise
            if exhausted := find_exhaustion(error):
                probe.block(exhausted.detail, exhausted.remedy, acts=Actor.HERE)
            else:
                self._add_fault(error)
                probe.block(
                    f"the check {check.id} itself failed on this machine ({type(error).__name__}): "
                    "this is a fault of the suite",
                    _REPORT_IT,
                    acts=Actor.HERE,
                )
        elapsed_ms = (time.perf_counter() - started) * 1000
        result = CheckResult.of(probe, self._redactor, strict=self._strict, elapsed_ms=elapsed_ms)
        return replace(result, call=call)

    async def _with_working_key(self, call: CheckCall) -> CheckCall:
        """The same call, of the first of its stand-ins that works where its own key does not."""
        for name in call.stand_ins:
            if await self._preflight.attempt(name) is None:
                return replace(call, credential=name)
        return call

    def _cancel(self) -> None:
        if self._scope is not None:
            self._scope.cancel()

    def _break_off(self, error: Exception) -> None:
        self._add_fault(error)
        self._block_unjudged(
            Blocker(
                f"the run stopped on this machine ({type(error).__name__}): this is a fault of the suite",
                _REPORT_IT,
                Actor.HERE,
            )
        )

    def _add_fault(self, error: BaseException) -> None:
        text = self._redactor.text("".join(traceback.format_exception(error)))
        self._suite_errors = (*self._suite_errors, text)

    def _block_unjudged(self, blocker: Blocker) -> None:
        for call, result in list(self._held.items()):
            if not self._is_open(result):
                with suppress(InvalidStateError):
                    self._results[call].set_result(result)
        for call, future in self._results.items():
            # Another thread may set it at the same moment; whoever comes first is right.
            with suppress(InvalidStateError):
                future.set_result(CheckResult.blocked(call, self.plan.registry[call.check], blocker))


def is_embedded(tenant: Tenant, seen: Iterable[Exchange]) -> bool:
    """Whether the tenant is the embedded one: by the caller's own knowledge, or by the mark of any of its answers."""
    return tenant.kind is TenantKind.EMBEDDED or any(
        exchange.response is not None and exchange.response.header(SANDBOX_HEADER) is not None for exchange in seen
    )


class _WithoutPreflight:
    """The runner without preflight, for the preflight itself."""

    def __init__(self, runner: Runner) -> None:
        self._runner = runner

    @property
    def tenant(self) -> Tenant:
        return self._runner.tenant

    @property
    def run_id(self) -> str:
        return self._runner.run_id

    @property
    def earlier(self) -> Mapping[str, Earlier]:
        return self._runner.earlier

    @property
    def seen(self) -> Sequence[Exchange]:
        return self._runner.seen

    @property
    def redactor(self) -> Redactor:
        return self._runner.redactor

    @property
    def past(self) -> Past:
        return self._runner.past

    @property
    def is_embedded(self) -> bool:
        return self._runner.is_embedded

    def samples(self) -> Samples:
        return self._runner.samples()

    async def exchange(self, request: Request, *, again: int = 0) -> Exchange:
        return await self._runner._send(request, again=again)  # noqa: SLF001 - two halves of one class

    async def once(self, name: Hashable, make: Callable[[], Awaitable[_T]]) -> _T:
        return await self._runner.once(name, make)

    async def require(self, call: CheckCall, *, conforming: bool = False) -> None:
        await self._runner.require(call, conforming=conforming)

    def nearest(self, check: str, call: CheckCall) -> CheckCall | None:
        return self._runner.nearest(check, call)

    async def require_route(self, route: Route, key: str) -> None:
        await self._runner.require_route(route, key)
