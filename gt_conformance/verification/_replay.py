"""The checks of a record, run again on the answers that it holds. Nothing is sent.

Replayed is what the record holds whole: each request of the check with its answer, neither shortened nor redacted nor
binary. Not replayed are checks of real clients and of added modules, those that read every exchange of the run, and
those that compare with an earlier run. Nor is a record of another suite, of other runbooks, or without its tenant file.

Each request gets the answer that the record has for it. Time is the recorded one: an answer takes as long as it took,
and where nothing else is left to do, the loop's clock goes on to the next moment that somebody waits for, at once.
"""

import asyncio
import json
import re
import selectors
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import anyio

from gt_conformance import results
from gt_conformance.checks import BUILT_IN, CheckCall, CheckResult, Earlier
from gt_conformance.errors import Blocked, InputError
from gt_conformance.exchange import Exchange, ExchangeRecord, Redactor, Request, as_request_record, from_record
from gt_conformance.planning import CaseKind, Plan, Selection, list_cases, make_plan
from gt_conformance.results import Record
from gt_conformance.results.case_types import CheckRecord
from gt_conformance.runbook import Runbook
from gt_conformance.runner import Sender
from gt_conformance.session import Session
from gt_conformance.tenant import TenantKind, from_declared
from gt_conformance.verification._derived import Difference
from gt_conformance.vocabulary import Actor, Outcome, Route, Verdict

_NOT_RECORDED = "not recorded"
"""The cause of what is blocked since the record does not hold an answer, or not all of it."""


class _NotRecorded(Blocked):
    """The record does not hold what a check asks for."""

    def __init__(self, what: str) -> None:
        super().__init__(what, "", acts=Actor.HERE, cause=_NOT_RECORDED)


class _Replay(Sender):
    """Answers from the exchanges of a record: equal requests in the order in which they were sent."""

    def __init__(self, exchanges: Mapping[str, ExchangeRecord]) -> None:
        self._exchanges = exchanges
        self._redactor = Redactor({})  # the record was redacted, and the requests of a replay hold no secret
        self._left: dict[str, deque[str]] = {}
        for ref in sorted(exchanges, key=lambda ref: (len(ref), ref)):
            self._left.setdefault(_text_of(exchanges[ref]["request"]), deque()).append(ref)

    async def send(self, request: Request, ref: str) -> Exchange:
        """The recorded exchange, under the reference that it has in the record. Raises _NotRecorded."""
        del ref
        left = self._left.get(_text_of(as_request_record(request, self._redactor)))
        if not left:
            raise _NotRecorded("the record does not hold this request")
        recorded = left.popleft()
        exchange = from_record(self._exchanges[recorded], recorded, request)
        if exchange is None:
            raise _NotRecorded("the record does not hold the whole answer")
        await anyio.sleep(exchange.elapsed_ms / 1000)
        return exchange

    async def close(self) -> None:
        """Nothing to close."""

    def new_loop(self) -> asyncio.AbstractEventLoop:
        """A loop that waits for nothing but for other threads."""
        return _TimelessLoop()


def _text_of(request: object) -> str:
    return json.dumps(request, sort_keys=True)


class _TimelessLoop(asyncio.SelectorEventLoop):
    """Its clock goes on by itself only as far as somebody waits for it."""

    def __init__(self) -> None:
        self.skipped_s = 0.0
        super().__init__(_Skipping(self))

    def time(self) -> float:
        """The loop's time, ahead of the machine's by what was not waited for."""
        return super().time() + self.skipped_s


class _Skipping(selectors.DefaultSelector):
    """Does not wait for a moment: it takes the loop there."""

    def __init__(self, loop: _TimelessLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """What is ready to be read or written."""
        if timeout is None or timeout <= 0:
            return super().select(timeout)
        ready = super().select(0)
        if not ready:
            self._loop.skipped_s += timeout
        return ready


# -- what is replayed of a record


_DURATION = re.compile(r"\b\d+(?:\.\d+)? m?s\b")
_Name = tuple[str, str | None, str]


@dataclass(frozen=True)
class Replayed:
    """What a replay found. ``checks`` are those that were replayed; ``problem`` says why none could be."""

    differences: tuple[Difference, ...] = ()
    checks: frozenset[_Name] = frozenset()
    problem: str = ""


@dataclass(frozen=True)
class _Recorded:
    """A check as a case has it."""

    place: str
    check: CheckRecord

    @property
    def outcome(self) -> Outcome:
        """Its outcome before anything was waived."""
        if self.check["breaches"]:
            return Outcome.VIOLATES
        return Outcome.BLOCKED if self.check["obstacles"] else Outcome.CONFORMS


def count_checks(record: Record) -> int:
    """How many different checks a record has."""
    return len({_name_of(check) for case in results.cases(record) for check in case.checks})


def replay(record: Record, runbooks: Sequence[Runbook]) -> Replayed:
    """What the checks come to on the recorded answers, where that is not what the record says."""
    if problem := _why_not(record, runbooks):
        return Replayed(problem=problem)
    try:
        plan = _plan(record, runbooks)
    except (InputError, ValueError, LookupError, TypeError) as error:
        return Replayed(problem=f"its plan cannot be made again ({type(error).__name__}: {error})")
    recorded = _by_name(record)
    found: dict[_Name, None] = {}
    differences: dict[Difference, None] = {}
    runs = [shard["id"] for shard in record["run"].get("shards", ())] or [record["run"]["id"]]
    for result in (result for run_id in runs for result in _run_again(record, plan, run_id)):
        name = _name_of_call(result.call)
        for place in recorded.get(name, ()):
            if (compared := _compare(place, result, alone=len(runs) == 1)) is not None:
                found[name] = None
                differences |= dict.fromkeys(compared)
    return Replayed(tuple(differences), frozenset(found))


def _why_not(record: Record, runbooks: Sequence[Runbook]) -> str:
    """Why nothing of a record can be replayed here; empty where it can."""
    run = record["run"]
    if "setup" not in record:
        return "the record does not hold what its tenant file declares"
    made_by = run.get("provenance")
    if made_by is None or made_by["suite"] != results.suite_digest():
        return f"another build of the suite made it (version {run['version']})"
    if results.runbooks_digest((book.id, book.digest) for book in runbooks) != run["runbooks_digest"]:
        return "it was made with other runbooks (name their folder with --runbooks)"
    return ""


def _by_name(record: Record) -> dict[_Name, list[_Recorded]]:
    """The checks of a record by what tells one from another, with each place of it."""
    recorded: dict[_Name, list[_Recorded]] = {}
    for case in results.cases(record):
        for check in case.checks if case.kind is not CaseKind.CLIENT else ():
            recorded.setdefault(_name_of(check), []).append(_Recorded(case.id, check))
    return recorded


def _plan(record: Record, runbooks: Sequence[Runbook]) -> Plan:
    """The plan of the run, without what reads all of it."""
    run, options = record["run"], record["run"]["options"]
    tenant = from_declared(record["setup"], kind=TenantKind(run["tenant"]["kind"]))
    tenant = replace(tenant, limits=replace(tenant.limits, run_timeout_s=float("inf")))
    selection = Selection(
        tuple(options["runbooks"]),
        tuple(map(Route, options["routes"])),
        tuple(map(Verdict, options["verdicts"])),
        boundary=options.get("boundary", False),
    )
    judged = {case.id for case in results.cases(record)}
    cases = [case for case in list_cases(runbooks, selection) if case.id in judged]
    plan = make_plan(tenant, runbooks, cases, selection=selection, earlier=_NotRecordedEarlier())
    left = tuple(
        replace(case, checks=tuple(call for call in case.checks if not BUILT_IN[call.check].whole_run))
        for case in plan.cases
    )
    return replace(plan, cases=left)


def _run_again(record: Record, plan: Plan, run_id: str) -> Iterator[CheckResult]:
    exchanges = record["exchanges"]
    strict = record["run"]["options"]["strict"]
    with Session(plan, sender=lambda: _Replay(exchanges), run_id=run_id, strict=strict) as session:
        yield from [session.result(call) for call in plan.distinct]


def _compare(recorded: _Recorded, result: CheckResult, *, alone: bool) -> list[Difference] | None:
    """Where the replayed check differs from the recorded one; None where it cannot be compared.

    It can where it met the same exchanges, and nothing that the record does not hold.
    """
    if any(blocker.cause == _NOT_RECORDED for blocker in result.blockers):
        return None
    said, found = set(recorded.check["exchanges"]), set(result.exchanges)
    if said == found:
        return _compare_results(recorded, result)
    # What was not judged has no exchanges; what was judged cannot have fewer than it takes.
    if alone and said < found and recorded.outcome is not Outcome.BLOCKED:
        left_out = ", ".join(sorted(found - said)[:3])
        text = f"{recorded.check['id']} rests on {len(said)} exchanges"
        return [Difference(recorded.place, text, f"it also asked for {left_out}")]
    return None


def _compare_results(recorded: _Recorded, result: CheckResult) -> list[Difference] | None:
    check = recorded.check
    if recorded.outcome is not result.outcome:
        if result.outcome is Outcome.BLOCKED or (recorded.outcome is Outcome.BLOCKED and not check["exchanges"]):
            return None  # by an earlier check of which the record does not hold all, or by the end of the run
        text = f"from its exchanges follows {result.outcome.value}{_explain(result)}"
        return [Difference(recorded.place, f"{check['id']} {recorded.outcome.value}", text)]
    violations = [_timeless(one.expected, one.found) for one in result.violations]
    if violations != [_timeless(one["expected"], one["found"]) for one in check["breaches"]]:
        text = f"from its exchanges follows{_explain(result)}"
        return [Difference(recorded.place, f"{check['id']}: {_describe_violations(check)}", text)]
    return []


def _timeless(*texts: str) -> tuple[str, ...]:
    """The texts without how long something took: what passed between two answers is not recorded."""
    return tuple(_DURATION.sub("#", text) for text in texts)


def _describe_violations(check: CheckRecord) -> str:
    return "; ".join(f"expected {one['expected']}, found {one['found']}" for one in check["breaches"][:2])


def _explain(result: CheckResult) -> str:
    return f" ({result.reason})" if result.reason else ""


def _name_of(check: CheckRecord) -> _Name:
    return check["id"], check["credential"], _as_text(check["parameters"])


def _name_of_call(call: CheckCall) -> _Name:
    return call.check, call.credential, _as_text(call.parameters.described())


def _as_text(parameters: Mapping[str, Any]) -> str:
    return json.dumps(parameters, sort_keys=True)


class _NotRecordedEarlier(dict[str, Earlier]):
    """What an earlier run saw, which this record does not hold."""

    def get(self, *_: object) -> Earlier:
        """Raises _NotRecorded."""
        raise _NotRecorded("the record does not hold what an earlier run saw")

    def __bool__(self) -> bool:
        """It is taken for a full one."""
        return True
