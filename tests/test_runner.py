"""The runner: each request once, a preflight before a key is used, and a result for every check, whatever happens."""

import asyncio
import errno
import os
import sys
import threading
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping, MutableMapping, Sequence
from dataclasses import replace
from types import FrameType
from typing import Any

import anyio
import pytest

from gt_conformance.checks import Check, CheckCall, CheckResult, Parameters, Probe, Registry, StopCheck
from gt_conformance.checks import _requests as requests
from gt_conformance.errors import Blocked, Blocker
from gt_conformance.exchange import Exchange, Failure, Presentation, Request, Response
from gt_conformance.planning import Plan
from gt_conformance.runner import INTERRUPTED, Runner, Sender
from gt_conformance.runner._once import Once
from gt_conformance.session import Session
from gt_conformance.tenant import Secret, Tenant
from gt_conformance.vocabulary import Actor, Outcome
from tests import fake_tenant
from tests.fake_tenant import (
    ALIAS,
    ASKED_AGAIN,
    BASE_URL,
    COMPLETION,
    DROPPED,
    HTML_PAGE,
    FakeSender,
    Reply,
    Rule,
    answer,
    changed,
    escaped,
    is_control,
    key,
    plan_of,
    refusal,
    stream,
    tenant_of,
    to,
)

SECRET = "gtak_4f9AbQ-x7Lm2_ZkR0vTn8sWc"
TENANT = tenant_of(key("one"), key("two"), key("three"))
MODELS, NOWHERE = f"{BASE_URL}/v1/models", f"{BASE_URL}/v1/gt-conformance-no-such-route"
CHAT = f"{BASE_URL}/v1/chat/completions"
Body = Callable[[Probe], Awaitable[None]]
TraceFunction = Callable[[FrameType, str, object], Any]


def run(plan: Plan, sender: Sender, *, strict: bool = False) -> Runner:
    """The runner after it carried the plan out to the end."""
    runner = Runner(plan, lambda: sender, run_id="r1", strict=strict)
    runner.start()
    try:
        for call in plan.distinct:
            runner.result(call)
    finally:
        runner.stop()
    return runner


Defined = Callable[..., None]


@pytest.fixture
def define(monkeypatch: pytest.MonkeyPatch) -> Defined:
    """Define a check for this test: what it does, and whether it creates or reads the whole run."""

    def defining(check_id: str, body: Body, **facts: Any) -> None:
        made = Check(check_id, f"The claim of {check_id}.", f"The remedy of {check_id}.", "a test", body, **facts)
        monkeypatch.setattr(fake_tenant, "REGISTRY", Registry((*fake_tenant.REGISTRY.checks, made)))

    return defining


def of_key(check: str, name: str | None = "one", **parameters: Any) -> CheckCall:
    """The check applied to that key."""
    return CheckCall(check, name, Parameters(**parameters))


def chats(probe: Probe) -> Request:
    """A chat of the check's key."""
    return requests.chat(probe.tenant, probe.credential.name)


async def asks(probe: Probe) -> None:
    """Send a chat, and hold the answer to be a 2xx."""
    probe.success(await probe.send(chats(probe)), "the chat is answered")


def sent_urls(sender: FakeSender) -> list[tuple[str | None, str]]:
    """What was sent: the key and the address of each request, in order."""
    return [(request.key, request.url) for request in sender.sent]


# -- once


def test_a_request_is_sent_once_however_many_ask(define: Defined) -> None:
    """Checks that ask for the same at the same time share one exchange, and each has it for evidence."""
    names = [f"test.asks{number}" for number in range(5)]
    for name in names:
        define(name, asks)
    sender = FakeSender()
    runner = run(plan_of(TENANT, *map(of_key, names)), sender)
    assert Counter(sent_urls(sender)) == {("one", MODELS): 1, ("one", NOWHERE): 1, ("one", CHAT): 1}
    results = [runner.result(of_key(name)) for name in names]
    assert {result.outcome for result in results} == {Outcome.CONFORMS}
    assert {result.exchanges for result in results} == {("x0003",)}


def test_another_asking_is_another_sending(define: Defined) -> None:
    """A check may ask for the same again by number, and each number is sent once."""

    async def twice(probe: Probe) -> None:
        for number in (0, 1, 1):
            await probe.send(chats(probe), again=number)

    define("test.twice", twice)
    define("test.asks", asks)
    sender = FakeSender()
    run(plan_of(TENANT, of_key("test.twice"), of_key("test.asks")), sender)
    assert sent_urls(sender).count(("one", CHAT)) == 2


def test_what_several_need_is_made_once(define: Defined) -> None:
    """Something shared is made by one check, and is evidence for each; so is the block that it came to."""
    made: list[str] = []

    async def needs(probe: Probe) -> None:
        async def make() -> tuple[str, Sequence[Exchange]]:
            made.append(probe.check.id)
            return "thing", [await probe.send(chats(probe))]

        assert await probe.shared("thing", make) == "thing"

    async def fails(probe: Probe) -> None:
        async def make() -> tuple[str, Sequence[Exchange]]:
            made.append("failed")
            raise Blocked("nothing to make it of", "Bring some.")

        await probe.shared("other", make)

    for name, body in {"test.a": needs, "test.b": needs, "test.c": fails, "test.d": fails}.items():
        define(name, body)
    runner = run(plan_of(TENANT, *map(of_key, ("test.a", "test.b", "test.c", "test.d"))), FakeSender())
    assert sorted(made) in (["failed", "test.a"], ["failed", "test.b"])
    assert runner.result(of_key("test.a")).exchanges == runner.result(of_key("test.b")).exchanges == ("x0003",)
    assert {runner.result(of_key(name)).reason for name in ("test.c", "test.d")} == {"nothing to make it of"}


def test_exchanges_are_numbered_in_the_order_of_sending(define: Defined) -> None:
    """References count from x0001, and the evidence of a check is found by them."""
    define("test.asks", asks)
    runner = run(plan_of(TENANT, of_key("test.asks")), FakeSender())
    assert list(runner.evidence()) == ["x0001", "x0002", "x0003"]
    assert list(runner.evidence({"x0003"})) == ["x0003"]
    assert runner.evidence()["x0003"]["request"]["url"] == CHAT
    assert [exchange.ref for exchange in runner.seen] == ["x0001", "x0002", "x0003"]


# -- preflight


def test_a_key_passes_preflight_before_it_is_used(define: Defined) -> None:
    """Each key lists models before its first request, the first is refused where nothing is; an unused key is not."""
    define("test.asks", asks)
    sender = FakeSender()
    run(plan_of(TENANT, of_key("test.asks", "one"), of_key("test.asks", "two")), sender)
    for name, wanted in {"one": [MODELS, NOWHERE, CHAT], "two": [MODELS, CHAT]}.items():
        assert [url for who, url in sent_urls(sender) if who == name] == wanted
    assert not [request for request in sender.sent if request.key == "three"]
    first = sent_urls(sender).index(("one", NOWHERE))
    assert sent_urls(sender).index(("two", MODELS)) > first


def for_key(name: str, found: Response | Reply, url: str | None = None) -> Rule:
    """A rule for the requests of one key, to one address if it is named."""
    return lambda request: found if request.key == name and url in {None, request.url} else None


FAILING: dict[str, tuple[Rule, str]] = {
    "a key that is refused": (for_key("two", refusal(401, "Unknown key.")), "HTTP 401: Unknown key."),
    "a key that may do nothing": (for_key("two", refusal(403, "No rights.")), "HTTP 403: No rights."),
    "a key that gets a web page": (for_key("two", HTML_PAGE), "it is an HTML page"),
    "a key that gets no answer": (for_key("two", Reply(failure=Failure.TIMEOUT, detail="late")), "no answer: late"),
    "a key that is busy": (for_key("two", refusal(429)), "429 (too many requests)"),
}


@pytest.mark.parametrize(("rule", "said"), FAILING.values(), ids=FAILING)
def test_a_preflight_that_fails_blocks_its_key_alone(define: Defined, rule: Rule, said: str) -> None:
    """Where a key's preflight fails, its checks are blocked with the reason, and other keys' are judged."""
    define("test.asks", asks)
    sender = FakeSender(rule)
    runner = run(plan_of(TENANT, *(of_key("test.asks", name) for name in ("one", "two", "three"))), sender)
    outcomes = [runner.result(of_key("test.asks", name)).outcome for name in ("one", "two", "three")]
    assert outcomes == [Outcome.CONFORMS, Outcome.BLOCKED, Outcome.CONFORMS]
    blocked = runner.result(of_key("test.asks", "two"))
    assert said in blocked.reason
    assert blocked.remedy
    assert ("two", CHAT) not in sent_urls(sender)
    assert runner.refusal is None


def test_preflight_is_run_once_a_key(define: Defined) -> None:
    """However many checks use a key that fails its preflight, that is sent once."""
    for name in ("test.a", "test.b", "test.c"):
        define(name, asks)
    sender = FakeSender(for_key("one", refusal(401)))
    run(plan_of(TENANT, *map(of_key, ("test.a", "test.b", "test.c"))), sender)
    assert sent_urls(sender).count(("one", MODELS)) == 1


async def presents(probe: Probe) -> None:
    """Present the keys in ways that are to be refused."""
    chat = chats(probe)
    for presentation in (Presentation.NONE, Presentation.WITHOUT_SCHEME, Presentation.BASIC, Presentation.QUERY):
        await probe.send(requests.present(chat, presentation, "three"))
    await probe.send(requests.present(chat, Presentation.MADE_UP, None))
    for dead in ("gone", "one.old"):
        await probe.send(replace(chat, key=dead))


def test_what_is_to_be_refused_needs_no_preflight_of_its_own(define: Defined) -> None:
    """A key shown in another way, a made-up, a retired and a revoked one are sent as they are, once a key works."""
    define("test.presents", presents)
    keys = [replace(key("one"), retired_secret=Secret(SECRET)), key("three"), key("gone", revoked=True)]
    sender = FakeSender()
    run(plan_of(tenant_of(*keys), of_key("test.presents")), sender)
    assert Counter(who for who, url in sent_urls(sender) if url != CHAT) == {"one": 2}
    assert len([url for _, url in sent_urls(sender) if url == CHAT]) == 7


def test_no_refusal_proves_anything_where_no_key_works(define: Defined) -> None:
    """Where every key fails its preflight, what is to be refused is not even sent."""
    define("test.presents", presents)
    sender = FakeSender(lambda _: refusal(401))
    runner = run(plan_of(TENANT, of_key("test.presents")), sender)
    result = runner.result(of_key("test.presents"))
    assert result.outcome is Outcome.BLOCKED
    assert "preflight for key `one` failed" in result.reason
    assert {url for _, url in sent_urls(sender)} == {MODELS, NOWHERE}


BROKEN_LIST = for_key("one", refusal(500, "Broke."), MODELS)


@pytest.mark.parametrize("told_apart", [True, False])
def test_a_model_list_that_alone_is_broken_is_a_finding(define: Defined, *, told_apart: bool) -> None:
    """Where the list fails, its own checks find it; others are judged where the tenant tells real keys from made-up."""
    define("test.asks", asks)

    def made_up(request: Request) -> Response | None:
        return refusal(401) if request.presentation is Presentation.MADE_UP and told_apart else None

    runner = run(
        plan_of(TENANT, of_key("models.contains_alias"), of_key("test.asks")), FakeSender(BROKEN_LIST, made_up)
    )
    assert runner.result(of_key("models.contains_alias")).outcome is Outcome.VIOLATES
    assert runner.result(of_key("test.asks")).outcome is (Outcome.CONFORMS if told_apart else Outcome.BLOCKED)
    assert runner.refusal is None


# -- a tenant that cannot be judged

AT_ONCE: dict[str, tuple[Response | Reply, str]] = {
    "no connection": (Reply(failure=Failure.CONNECT, detail="no connection (refused)"), "no connection (refused)"),
    "no address": (Reply(failure=Failure.DNS, detail="the host's name has no address"), "has no address"),
    "no TLS": (Reply(failure=Failure.TLS, detail="the TLS connection failed"), "TLS"),
    "no answer": (Reply(failure=Failure.TIMEOUT, detail="nothing came"), "nothing came"),
    "a web page": (HTML_PAGE, "it is an HTML page"),
    "a proxy before nothing": (answer("Bad Gateway", 502, "text/plain"), "HTTP 502"),
    "a proxy that speaks JSON": (answer({"message": "down"}, 503), "HTTP 503: down"),
    "a redirect": (answer("", 302, location="https://acme.example/login"), "HTTP 302 redirect to"),
}


@pytest.mark.parametrize(("found", "said"), AT_ONCE.values(), ids=AT_ONCE)
def test_a_tenant_that_is_not_there_blocks_everything_at_once(
    define: Defined, found: Response | Reply, said: str
) -> None:
    """The first preflight tells that nothing can be judged: no other request is sent, and everything says why."""
    define("test.asks", asks)
    define("test.reads", reads_all, whole_run=True)
    calls = [*(of_key("test.asks", name) for name in ("one", "two", "three")), of_key("test.reads", None)]
    sender = FakeSender(lambda _: found)
    runner = run(plan_of(TENANT, *calls), sender)
    assert len(sender.sent) <= 2
    results = [runner.result(call) for call in calls]
    assert {result.outcome for result in results} == {Outcome.BLOCKED}
    assert {result.reason for result in results} == {runner.refusal.reason if runner.refusal else None}
    assert said in results[0].reason
    assert results[0].remedy


def test_a_tenant_that_takes_no_key_refuses_the_run(define: Defined) -> None:
    """Where every key that is used is refused, the run could judge nothing; where one works, it could."""
    define("test.asks", asks)
    define("test.reads", reads_all, whole_run=True)
    calls = [of_key("test.asks", "one"), of_key("test.asks", "two"), of_key("test.reads", None)]
    tenant = tenant_of(key("one"), key("two"))
    runner = run(plan_of(tenant, *calls), FakeSender(lambda _: refusal(401, "Unknown key.")))
    assert runner.refusal is not None
    assert runner.refusal.reason.startswith(
        "the tenant refuses all 2 keys that were tried: preflight for key `one` failed"
    )
    assert "Unknown key." in runner.refusal.reason
    alone = run(plan_of(tenant_of(key("one")), calls[0]), FakeSender(lambda _: refusal(401, "Unknown key.")))
    assert alone.refusal is not None
    assert alone.refusal.reason == alone.result(calls[0]).reason
    assert {runner.result(call).outcome for call in calls} == {Outcome.BLOCKED}
    runner = run(plan_of(tenant, *calls), FakeSender(for_key("one", refusal(401, "Unknown key."))))
    assert runner.refusal is None
    assert [runner.result(call).outcome for call in calls] == [Outcome.BLOCKED, *[Outcome.CONFORMS] * 2]


def test_a_limit_that_is_reached_is_no_fault_of_the_tenant(define: Defined) -> None:
    """Where max_requests forbids a key's preflight, its checks are blocked for that, and the tenant is not blamed."""

    class Limited(FakeSender):
        async def send(self, request: Request, ref: str) -> Exchange:
            if request.key == "two":
                raise Blocked("the run's limit of 3 requests was reached", "Raise limits.max_requests.")
            return await super().send(request, ref)

    define("test.asks", asks)
    runner = run(plan_of(TENANT, of_key("test.asks", "one"), of_key("test.asks", "two")), Limited())
    assert runner.result(of_key("test.asks", "one")).outcome is Outcome.CONFORMS
    blocked = runner.result(of_key("test.asks", "two"))
    assert (blocked.outcome, blocked.remedy) == (Outcome.BLOCKED, "Raise limits.max_requests.")
    assert runner.refusal is None


# -- what a check comes to


async def breaks_two_promises(probe: Probe) -> None:
    """Note two violations, an advisory and a blocker, and stop."""
    exchange = await probe.send(chats(probe))
    probe.fail("a", "b", exchange)
    probe.fail("c", "d", exchange, remedy="Mend d.")
    probe.advise("remarked", exchange)
    probe.block("not all was tried", "Try.")
    probe.stop_if_failed()
    raise AssertionError("never reached")


async def breaks_one_promise(probe: Probe) -> None:
    """Note one violation."""
    probe.fail("a", "b")


async def stops_short(probe: Probe) -> None:
    """Note a blocker, and stop before what depends on it."""
    probe.block("no time", "Wait.")
    probe.stop_if_failed()
    raise AssertionError("never reached")


async def is_kept_from_it(probe: Probe) -> None:
    """Note two obstacles, one by raising it."""
    probe.block("no time", "Wait.")
    raise Blocked("no key", "Add.")


async def remarks(probe: Probe) -> None:
    """Note a remark, twice."""
    probe.should(holds=False, text="remarked")
    probe.advise("remarked")


async def halts(probe: Probe) -> None:
    """End with nothing noted."""
    del probe
    raise StopCheck


async def is_full_of_secrets(probe: Probe) -> None:
    """Note a secret and an escape sequence everywhere."""
    hostile = f"\x1b[2J{probe.tenant.secrets()[probe.credential.name].reveal()}"
    probe.fail(hostile, hostile, remedy=hostile)
    probe.advise(hostile)
    probe.block(hostile, hostile)


def test_breaches_outweigh_obstacles(define: Defined) -> None:
    """A check with breaches violates: the first is its reason, with how many more. Each has its own remedy."""
    define("test.breaks", breaks_two_promises)
    result = run(plan_of(TENANT, of_key("test.breaks")), FakeSender()).result(of_key("test.breaks"))
    assert (result.outcome, result.claim) == (Outcome.VIOLATES, "The claim of test.breaks.")
    assert result.reason == "expected a; found b (and 1 more)"
    assert result.remedy == "Mend d."
    assert [violation.remedy for violation in result.violations] == ["The remedy of test.breaks.", "Mend d."]
    assert [violation.exchange for violation in result.violations] == ["x0003", "x0003"]
    assert [advisory.text for advisory in result.advisories] == ["remarked"]
    assert result.blockers == (Blocker("not all was tried", "Try."),)
    assert 0 < result.elapsed_ms < 60_000


def test_one_breach_is_the_whole_reason(define: Defined) -> None:
    """A single violation is described alone, with the check's own remedy."""
    define("test.breaks", breaks_one_promise)
    result = run(plan_of(TENANT, of_key("test.breaks")), FakeSender()).result(of_key("test.breaks"))
    assert (result.reason, result.remedy) == ("expected a; found b", "The remedy of test.breaks.")


def test_an_obstacle_halts_as_well(define: Defined) -> None:
    """What depends on something that could not be tested is not tried."""
    define("test.stops", stops_short)
    result = run(plan_of(TENANT, of_key("test.stops")), FakeSender()).result(of_key("test.stops"))
    assert (result.outcome, result.reason) == (Outcome.BLOCKED, "no time")


def test_obstacles_block(define: Defined) -> None:
    """A check that could not be carried out is blocked, with what is missing and no violation."""
    define("test.kept", is_kept_from_it)
    result = run(plan_of(TENANT, of_key("test.kept")), FakeSender()).result(of_key("test.kept"))
    assert (result.outcome, result.violations) == (Outcome.BLOCKED, ())
    assert (result.reason, result.remedy) == ("no time (and 1 more)", "Wait.")
    assert result.blockers == (Blocker("no time", "Wait."), Blocker("no key", "Add."))


@pytest.mark.parametrize(
    ("strict", "outcome"), [(False, Outcome.CONFORMS), (True, Outcome.VIOLATES)], ids=["as ever", "strict"]
)
def test_remarks_are_findings_with_strict_only(define: Defined, outcome: Outcome, *, strict: bool) -> None:
    """A remark is said once and conforms, unless the run is strict."""
    define("test.remarks", remarks)
    result = run(plan_of(TENANT, of_key("test.remarks")), FakeSender(), strict=strict).result(of_key("test.remarks"))
    assert result.outcome is outcome
    assert len(result.advisories) + len(result.violations) == 1


def test_a_check_that_halts_with_nothing_found_conforms(define: Defined) -> None:
    """Halting alone says nothing."""
    define("test.halts", halts)
    assert (
        run(plan_of(TENANT, of_key("test.halts")), FakeSender()).result(of_key("test.halts")).outcome
        is Outcome.CONFORMS
    )


def test_a_result_is_safe_to_show(define: Defined) -> None:
    """No text of a result holds a secret or acts on a terminal."""
    define("test.hostile", is_full_of_secrets)
    result = run(plan_of(TENANT, of_key("test.hostile")), FakeSender()).result(of_key("test.hostile"))
    shown = repr(result) + result.reason + result.remedy
    assert TENANT.secrets()["one"].reveal()[5:21] not in shown
    assert "\x1b" not in result.reason + result.remedy
    assert "[secret one]" in result.reason


def test_a_check_that_is_blocked_already_sends_nothing(define: Defined) -> None:
    """A planned blocker is the result, without a request but those that show whether there is a tenant at all."""
    define("test.asks", asks)
    blocker = Blocker("no credential reaches it", "Add a key.")
    plan = plan_of(TENANT, CheckCall("test.asks", blocker=blocker))
    sender = FakeSender()
    result = run(plan, sender).result(CheckCall("test.asks"))
    assert (result.outcome, result.reason, result.remedy) == (Outcome.BLOCKED, "no credential reaches it", "Add a key.")
    assert all(map(is_control, sender.sent))


def test_a_read_only_run_creates_nothing(define: Defined) -> None:
    """A check that creates something is blocked in a read-only run, and any other is judged."""
    define("test.creates", asks, creates=True)
    define("test.asks", asks)
    tenant = replace(TENANT, read_only=True)
    sender = FakeSender()
    runner = run(plan_of(tenant, of_key("test.creates"), of_key("test.asks", "two")), sender)
    assert runner.result(of_key("test.creates")).outcome is Outcome.BLOCKED
    assert "read-only" in runner.result(of_key("test.creates")).reason
    assert runner.result(of_key("test.asks", "two")).outcome is Outcome.CONFORMS
    assert ("one", CHAT) not in sent_urls(sender)


# -- the whole run


async def reads_all(probe: Probe) -> None:
    """Note every exchange of the run."""
    for exchange in probe.seen:
        probe.note(exchange)


def test_checks_of_the_whole_run_come_last(define: Defined) -> None:
    """A check that reads every exchange runs after all others, and sees what each of them sent."""
    define("test.a-reads", reads_all, whole_run=True)
    for name in ("test.b", "test.c"):
        define(name, asks)
    calls = [of_key("test.a-reads", None), of_key("test.b", "one"), of_key("test.c", "two")]
    runner = run(plan_of(TENANT, *calls), FakeSender())
    assert runner.result(calls[0]).exchanges == tuple(exchange.ref for exchange in runner.seen)
    assert len(runner.seen) == 5


# -- what goes wrong in the suite


async def raises(probe: Probe) -> None:
    """Fail as a check that has a fault would, with a secret in the message."""
    await probe.send(chats(probe))
    raise KeyError(probe.tenant.secrets()[probe.credential.name].reveal())


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


# -- what the run says of echoes and names, which it reads in every exchange

ECHOES: dict[str, Response | Reply] = {
    "in a body": answer(changed(COMPLETION, {"echo": SECRET})),
    "in a header": answer(COMPLETION, X_Key=SECRET),
    "its random part": answer(changed(COMPLETION, {"echo": SECRET[5:]})),
    "with its characters escaped": answer(f'{{"echo": {escaped(SECRET)}}}'),
    "in pieces of a stream": stream(
        *({"choices": [{"delta": {"content": part}}]} for part in (SECRET[:12], SECRET[12:]))
    ),
}


def a_secret_tenant(**facts: Any) -> Tenant:
    """A tenant whose key's secret is known."""
    return tenant_of(replace(key("one"), secret=Secret(SECRET)), **facts)


@pytest.mark.parametrize("found", ECHOES.values(), ids=ECHOES)
def test_an_echoed_secret_is_found_in_the_whole_run(found: Response) -> None:
    """A secret in any answer of the run violates, and is not repeated by the result."""
    calls = (of_key("chat.roles"), of_key("key.never_echoed", None))
    runner = run(plan_of(a_secret_tenant(), *calls), FakeSender(to("chat/completions", found)))
    result = runner.result(calls[1])
    assert result.outcome is Outcome.VIOLATES
    assert "x0003" in result.exchanges
    assert SECRET[5:21] not in repr(result)


def test_a_run_without_an_echo_conforms() -> None:
    """Answers that hold no secret give nothing to say."""
    calls = (of_key("chat.roles"), of_key("key.never_echoed", None))
    runner = run(plan_of(a_secret_tenant(), *calls), FakeSender())
    assert runner.result(calls[1]).outcome is Outcome.CONFORMS


def test_an_unpublished_name_is_found_in_the_whole_run() -> None:
    """An internal name in any answer violates, unless the request itself had named it."""
    tenant = a_secret_tenant(unpublished_models=("agent-7f3a",))
    calls = (of_key("chat.completes"), of_key("tenant.no_raw_model_ids", None))
    leaks = to("chat/completions", answer(changed(COMPLETION, {"system_fingerprint": "agent-7f3a"})))
    assert run(plan_of(tenant, *calls), FakeSender(leaks)).result(calls[1]).outcome is Outcome.VIOLATES
    hidden = to("chat/completions", answer(f'{{"provider": {escaped("agent-7f3a")}}}'))
    assert run(plan_of(tenant, *calls), FakeSender(hidden)).result(calls[1]).outcome is Outcome.VIOLATES
    assert run(plan_of(tenant, *calls), FakeSender()).result(calls[1]).outcome is Outcome.CONFORMS
    named = tenant_of(key("one", models=None), unpublished_models=(ALIAS,))
    fingerprint = to("chat/completions", answer(changed(COMPLETION, {"usage": DROPPED, "system_fingerprint": ALIAS})))
    runner = run(plan_of(named, *calls), FakeSender(fingerprint, for_key("one", answer({"data": []}), MODELS)))
    assert runner.result(calls[1]).outcome is Outcome.CONFORMS


def test_results_are_values(define: Defined) -> None:
    """A result is frozen: what was judged is not changed afterwards."""
    define("test.asks", asks)
    result: CheckResult = run(plan_of(TENANT, of_key("test.asks")), FakeSender()).result(of_key("test.asks"))
    with pytest.raises(AttributeError):
        result.outcome = Outcome.VIOLATES  # type: ignore[misc]


def test_a_plan_without_checks_ends_at_once() -> None:
    """A run of nothing sends nothing and ends."""
    sender = FakeSender()
    plan: Plan = plan_of(TENANT)
    runner = run(plan, sender)
    assert (runner.progress.planned, sender.sent, runner.refusal) == (0, [], None)


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
