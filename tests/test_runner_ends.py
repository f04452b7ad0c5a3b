"""The runner at its end: faults of the suite, time limits, stopping, and threads that look on."""

import asyncio
import errno
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from dataclasses import replace
from types import FrameType
from typing import Any

import anyio
import pytest

from gt_conformance.checks import Probe
from gt_conformance.errors import Blocker
from gt_conformance.exchange import Exchange, Request
from gt_conformance.runner import INTERRUPTED, Runner, Sender
from gt_conformance.runner._once import Once
from gt_conformance.session import Session
from gt_conformance.vocabulary import Actor, Outcome
from tests.defined_checks import (
    CHAT,
    MODELS,
    NOWHERE,
    TENANT,
    Defined,
    asks,
    breaks_two_promises,
    chats,
    definer,
    of_key,
    raises,
    reads_all,
    run,
    sent_urls,
)
from tests.fake_tenant import (
    ASKED_AGAIN,
    FakeSender,
    key,
    plan_of,
    refusal,
    tenant_of,
    to,
)


@pytest.fixture
def define(monkeypatch: pytest.MonkeyPatch) -> Defined:
    """Define a check for this test: what it does, and whether it creates or reads the whole run."""
    return definer(monkeypatch)


TraceFunction = Callable[[FrameType, str, object], Any]


# -- what goes wrong in the suite


@pytest.mark.parametrize("error", [SystemExit(0), KeyboardInterrupt(), GeneratorExit(), BaseException("odd")], ids=repr)
def test_a_check_that_would_end_the_process_is_a_fault_of_the_suite(define: Defined, error: BaseException) -> None:
    """What is no Exception ends no thread either: the check is blocked, and all others are judged."""

    async def ends(probe: Probe) -> None:
        await probe.send(chats(probe))
        raise error

    define("test.ends", ends)
    define("test.asks", asks)
    runner = run(plan_of(TENANT, of_key("test.ends"), of_key("test.asks", "two")), FakeSender())
    assert runner.result(of_key("test.ends")).outcome is Outcome.BLOCKED
    assert runner.result(of_key("test.asks", "two")).outcome is Outcome.CONFORMS
    assert len(runner.suite_errors) == 1


def test_a_check_that_raises_is_a_fault_of_the_suite(define: Defined) -> None:
    """A check that fails itself is blocked, never a verdict; its traceback is kept, and no other result is lost."""
    define("test.raises", raises)
    define("test.asks", asks)
    runner = run(plan_of(TENANT, of_key("test.raises"), of_key("test.asks", "two")), FakeSender())
    result = runner.result(of_key("test.raises"))
    assert result.outcome is Outcome.BLOCKED
    assert (
        result.reason == "the check test.raises itself failed on this machine (KeyError): this is a fault of the suite"
    )
    assert [runner.evidence()[ref]["request"]["url"] for ref in result.exchanges] == [CHAT]
    assert runner.result(of_key("test.asks", "two")).outcome is Outcome.CONFORMS
    [error] = runner.suite_errors
    assert "KeyError" in error
    assert "in raises" in error
    assert TENANT.secrets()["one"].reveal() not in error


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (OSError(errno.EMFILE, "Too many open files", "schemas"), "this process may open no more files (EMFILE)"),
        (OSError(errno.ENFILE, "Too many open files in system"), "the system may open no more files (ENFILE)"),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), "memory is exhausted (ENOMEM)"),
        (MemoryError(), "memory is exhausted (MemoryError)"),
        (RuntimeError("can't start new thread"), "no thread can be started (RuntimeError)"),
    ],
    ids=["EMFILE", "ENFILE", "ENOMEM", "MemoryError", "threads"],
)
def test_a_machine_that_has_no_more_is_no_fault_of_the_suite(define: Defined, error: Exception, reason: str) -> None:
    """A check that finds no file, memory or thread, beside any request, is blocked on this machine."""

    async def needs_more(probe: Probe) -> None:
        await probe.send(chats(probe))
        raise error

    define("test.needs-more", needs_more)
    runner = run(plan_of(TENANT, of_key("test.needs-more")), FakeSender())
    result = runner.result(of_key("test.needs-more"))
    assert (result.outcome, result.reason) == (Outcome.BLOCKED, f"on this machine: {reason}")
    assert not runner.suite_errors


@pytest.mark.parametrize("code", [errno.EACCES, errno.ENOENT, errno.ENETUNREACH])
def test_another_error_of_the_system_is_a_fault_of_the_suite(define: Defined, code: int) -> None:
    """A file that a check may not read is no firewall: what forbids a connection explains connections only."""

    async def cannot(probe: Probe) -> None:
        await probe.send(chats(probe))
        raise OSError(code, os.strerror(code))

    define("test.cannot", cannot)
    runner = run(plan_of(TENANT, of_key("test.cannot")), FakeSender())
    assert len(runner.suite_errors) == 1


def test_a_sender_that_cannot_be_made_blocks_everything() -> None:
    """Where the run cannot even begin, every check is blocked at once rather than waited for."""

    def cannot() -> Sender:
        raise OSError("no certificates")

    calls = [of_key("chat.completes"), of_key("chat.roles", "two")]
    runner = Runner(plan_of(TENANT, *calls), cannot, run_id="r1")
    runner.start()
    results = [runner.result(call) for call in calls]
    runner.stop()
    assert {result.outcome for result in results} == {Outcome.BLOCKED}
    [reason] = {result.reason for result in results}
    assert reason == "the run stopped on this machine (OSError): this is a fault of the suite"
    assert "no certificates" in runner.suite_errors[0]


class Raising(FakeSender):
    """A sender with a fault of its own."""

    async def send(self, request: Request, ref: str) -> Exchange:
        """Fail."""
        raise RuntimeError(f"cannot send {ref} to {request.path}")


def test_a_sender_that_raises_is_a_fault_of_the_suite() -> None:
    """A fault on the way to the tenant is nobody's broken promise."""
    runner = run(plan_of(TENANT, of_key("chat.completes")), Raising())
    assert runner.result(of_key("chat.completes")).outcome is Outcome.BLOCKED
    assert "RuntimeError" in runner.suite_errors[0]


# -- the end of a run


class Waiting(FakeSender):
    """Answers the preflight, and then never again."""

    def __init__(self) -> None:
        super().__init__()
        self.waits = threading.Event()

    async def send(self, request: Request, ref: str) -> Exchange:
        """The answer to a preflight; any other request waits for ever."""
        if request.url not in {MODELS, NOWHERE}:
            self.sent.append(request)
            self.waits.set()
            await anyio.sleep_forever()
        return await super().send(request, ref)


@pytest.fixture
def interrupted(define: Defined) -> Iterator[tuple[Runner, Waiting]]:
    """A runner under way: one check judged, one waiting for its answer, one for that one's, one for the whole run."""

    async def nothing(probe: Probe) -> None:
        del probe

    define("test.done", nothing)
    define("test.asks", asks)
    define("test.also", asks)
    define("test.reads", reads_all, whole_run=True)
    calls = (of_key("test.done"), of_key("test.asks"), of_key("test.also"), of_key("test.reads", None))
    sender = Waiting()
    runner = Runner(plan_of(TENANT, *calls), lambda: sender, run_id="r1")
    runner.start()
    assert sender.waits.wait(timeout=60)
    runner.result(of_key("test.done"))
    yield runner, sender
    runner.stop()


def test_a_run_that_is_stopped_has_a_result_for_every_check(interrupted: tuple[Runner, Waiting]) -> None:
    """What was judged stands; all else is blocked with the reason of the end, and nothing waits."""
    runner, sender = interrupted
    assert runner.progress.judged == 1
    runner.stop(INTERRUPTED)
    assert runner.result(of_key("test.done")).outcome is Outcome.CONFORMS
    rest = [
        runner.result(of_key("test.asks")),
        runner.result(of_key("test.also")),
        runner.result(of_key("test.reads", None)),
    ]
    assert {(result.outcome, result.reason) for result in rest} == {
        (Outcome.BLOCKED, "the run was interrupted before this was judged")
    }
    assert {(result.remedy, result.blockers[0].acts) for result in rest} == {
        ("Run again, and let the run finish.", Actor.HERE)
    }
    assert sender.closed
    assert runner.suite_errors == ()


def test_a_run_ends_at_its_time_limit(define: Defined) -> None:
    """Whatever a tenant does, the run is over after run_timeout_s: what is not judged by then is blocked for that."""
    define("test.asks", asks)
    tenant = replace(TENANT, limits=replace(TENANT.limits, run_timeout_s=0.2))
    sender = Waiting()
    runner = run(plan_of(tenant, of_key("test.asks")), sender)
    result = runner.result(of_key("test.asks"))
    assert result.outcome is Outcome.BLOCKED
    assert result.reason == "the run's time limit of 0.2 s was reached before this was judged (limits.run_timeout_s)"
    assert "raise limits.run_timeout_s" in result.remedy
    assert sender.closed
    assert runner.suite_errors == ()


def test_a_rate_that_leaves_no_time_is_named(define: Defined) -> None:
    """Where the operator's own rate keeps the requests waiting, no slow request is looked for."""
    define("test.asks", asks)
    limits = replace(TENANT.limits, run_timeout_s=0.2, requests_per_minute=300)
    runner = run(plan_of(replace(TENANT, limits=limits), of_key("test.asks")), Waiting())
    remedy = runner.result(of_key("test.asks")).remedy
    assert "limits.requests_per_minute (300): in that time, 1 request can start" in remedy


def test_an_answer_that_breaks_off_ends_its_check(define: Defined) -> None:
    """A refusal that never comes to its end is none, and the check does not go on to wait for the next one."""

    async def asks_twice(probe: Probe) -> None:
        for again in (1, 2):
            probe.answer(await probe.send(chats(probe), again=again), "the chat is refused")

    define("test.asks", asks_twice)
    cut = replace(refusal(401, "No."), complete=False, end="the answer was not complete after 2 s (limits.timeout_s)")
    sender = FakeSender(to("chat/completions", cut))
    result = run(plan_of(TENANT, of_key("test.asks")), sender).result(of_key("test.asks"))
    assert result.outcome is Outcome.VIOLATES
    assert "HTTP 401, but the answer was not complete after 2 s" in result.reason
    assert [url for _, url in sent_urls(sender)].count(CHAT) == 2  # once more at the end: it may fail now and then


def test_a_run_is_stopped_once(interrupted: tuple[Runner, Waiting]) -> None:
    """Stopping again changes nothing."""
    runner, _ = interrupted
    runner.stop(Blocker("the first reason", ""))
    runner.stop(Blocker("another", ""))
    assert runner.result(of_key("test.asks")).reason == "the first reason"


def test_a_run_that_never_began_is_blocked() -> None:
    """A runner that is stopped before it started has a result for every check."""
    runner = Runner(plan_of(TENANT, of_key("chat.completes")), FakeSender, run_id="r1")
    runner.stop(Blocker("nothing was started", ""))
    assert runner.result(of_key("chat.completes")).reason == "nothing was started"


def test_a_run_that_ended_keeps_its_results(define: Defined) -> None:
    """Stopping after the end takes nothing back, and closes the sender."""
    define("test.asks", asks)
    sender = FakeSender()
    runner = run(plan_of(TENANT, of_key("test.asks")), sender)
    runner.stop(Blocker("too late", ""))
    assert runner.result(of_key("test.asks")).outcome is Outcome.CONFORMS
    assert sender.closed


def test_progress_counts_what_is_judged_sent_and_wrong(define: Defined) -> None:
    """Progress tells checks judged of all, requests sent and violations."""
    define("test.asks", asks)
    define("test.breaks", breaks_two_promises)
    runner = Runner(plan_of(TENANT, of_key("test.asks"), of_key("test.breaks")), FakeSender, run_id="r1")
    before = runner.progress
    assert (before.judged, before.planned, before.requests, before.violating) == (0, 2, 0, 0)
    runner.start()
    runner.result(of_key("test.asks"))
    runner.result(of_key("test.breaks"))
    runner.stop()
    after = runner.progress
    assert (after.judged, after.planned, after.requests, after.violating) == (2, 2, 3 + ASKED_AGAIN, 1)


# -- threads


class Watched(MutableMapping[str, str]):
    """An environment that notes what other threads than the one that made it read of it."""

    def __init__(self, values: Mapping[str, str]) -> None:
        self._values = dict(values)
        self._owner = threading.current_thread()
        self.read_elsewhere: set[str] = set()

    def _note(self, name: str) -> None:
        if threading.current_thread() is not self._owner:
            self.read_elsewhere.add(name)

    def __getitem__(self, name: str) -> str:
        self._note(name)
        return self._values[name]

    def __setitem__(self, name: str, value: str) -> None:
        self._values[name] = value

    def __delitem__(self, name: str) -> None:
        del self._values[name]

    def __iter__(self) -> Iterator[str]:
        self._note("all of it")
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def copy(self) -> dict[str, str]:
        """As os.environ's."""
        return dict(self)


def test_the_environment_is_read_before_the_thread_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    """A test's name is put into the environment and taken out again, so the thread that sends never looks at it."""
    elsewhere = replace(TENANT, base_url="https://127.0.0.1:9")
    environment = Watched(os.environ)
    monkeypatch.setattr(os, "environ", environment)
    call = of_key("chat.completes")
    with Session(plan_of(elsewhere, call)) as session:
        assert session.result(call).outcome is Outcome.BLOCKED
    assert environment.read_elsewhere <= {"PYTHONASYNCIODEBUG"}  # the event loop's own switch


def linger(frame: FrameType, event: str, _: object) -> TraceFunction | None:
    """Trace a thread so that it rests between any two steps of the runner's code: whatever may come between, does."""
    if "/runner/" not in frame.f_code.co_filename:
        return None
    frame.f_trace_opcodes = True
    if event == "opcode":
        time.sleep(0.001)
    return linger


def test_a_refusal_may_be_read_while_it_comes_about() -> None:
    """Another thread that asks why nothing could be judged sees whole values, while key after key is refused."""
    names = [f"key-{number}" for number in range(80)]
    calls = [of_key("chat.completes", name) for name in names]
    plan = plan_of(tenant_of(*map(key, names)), *calls)
    errors: list[BaseException] = []
    ended = threading.Event()
    with Session(plan, sender=lambda: FakeSender(lambda _: refusal(401, "Unknown key."))) as session:

        def read() -> None:
            sys.settrace(linger)
            try:
                while not ended.is_set():
                    _ = session.refusal
            except RuntimeError as error:
                errors.append(error)

        readers = [threading.Thread(target=read) for _ in range(2)]
        for reader in readers:
            reader.start()
        found = {session.result(call).outcome for call in calls}
        ended.set()
        for reader in readers:
            reader.join()
    assert errors == []
    assert found == {Outcome.BLOCKED}
    assert session.refusal is not None


def test_what_was_abandoned_is_made_by_who_waits_for_it() -> None:
    """The first to ask is cancelled while it makes it: who waits gets a thing all the same, not nothing."""

    async def ask() -> str:
        once, begun = Once(), asyncio.Event()

        async def never() -> str:
            begun.set()
            await asyncio.Event().wait()
            return "never"

        async def made() -> str:
            return "made"

        first = asyncio.create_task(once.get("file", never))
        await begun.wait()
        second = asyncio.create_task(once.get("file", made))
        await asyncio.sleep(0)
        first.cancel()
        return await second

    assert asyncio.run(ask()) == "made"
